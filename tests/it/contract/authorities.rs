//! Authorities of each type over sockets: whom they let in, whom not, and what is told while they give
//! no verdict.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use holdline::demo::{
    fault::{Fault, Standing},
    genesys::Claims,
    idp::FakeIdp,
    site::Site,
};
use serde_json::{Value, json};

use crate::support::{
    client::{Ask, TOKEN_HEADER},
    form::Form,
    jwt_issuer::{FIRST, ISSUER, SECOND, claims, set},
    proxy::{Setup, TestProxy},
};

const UNAVAILABLE: &str = "Token authority is unavailable, so the token could not be checked";
/// In the year 2096, by the machine's own clock.
const FAR: u64 = 4_000_000_000;

/// An identity provider that this client may ask.
async fn idp() -> FakeIdp {
    let here = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    FakeIdp::start(here, "hold line", "s:cret%+").await.expect("a free port")
}

async fn asking(idp: &FakeIdp) -> TestProxy {
    let url = idp.introspect_url();
    let caller = format!(
        "idp: {{type: rfc7662, url: \"{url}\", client_id: hold line, client_secret: \"s:cret%+\", \
         timeout: 200ms, claims: {{org: $.tenant}}, org: acme}}"
    );
    Setup::new().caller(&caller).action("caller: idp").start().await
}

async fn checking(idp: &FakeIdp) -> TestProxy {
    let url = idp.jwks_url();
    let caller = format!(
        "idp: {{type: jwt, jwks: \"{url}\", issuer: \"{ISSUER}\", audience: holdline, \
         timeout: 200ms}}"
    );
    Setup::new().caller(&caller).action("caller: idp").start().await
}

async fn real() -> TestProxy {
    let caller =
        "real: {type: tokens_me, api_base: \"${GENESYS_API_BASE}\", org: acme, timeout: 200ms}";
    Setup::new().caller(caller).action("caller: real").start().await
}

fn bearer(proxy: &TestProxy, form: Form, token: &str) -> Ask {
    let header = format!("Bearer {token}");
    proxy.ask(form, 1).without(TOKEN_HEADER).header("authorization", &header)
}

fn lasting(more: Value) -> Value {
    let mut claims = claims(more);
    claims["exp"] = FAR.into();
    claims
}

/// Calls in every form with `token` while `site` stands in each of the ways in which an authority gives
/// no verdict, a service of its own for each: a breaker rests after a run of failures.
async fn unavailable_whenever_broken(
    site: &Site,
    token: &str,
    start: impl AsyncFn() -> TestProxy,
    others: &[Fault],
) {
    let broken = [
        Fault::status(500),
        Fault::status(429),
        Fault::status(404),
        Fault::Hang,
        Fault::Reset,
        Fault::Truncate,
        Fault::Garbage,
        Fault::Html,
        Fault::Empty,
        Fault::Endless,
        Fault::GzipBomb,
        Fault::Redirect("http://127.0.0.1:1/".to_owned()),
    ];
    let standings = broken.iter().chain(others).cloned().map(Standing::every);
    for standing in standings.chain([Standing::Down]) {
        let proxy = start().await;
        site.set(standing.clone()).await.expect("its port can be had again");
        for form in Form::ALL {
            let answer = bearer(&proxy, form, token).send().await;
            form.failed(&answer, 503, "auth_unavailable", UNAVAILABLE);
        }
        assert_eq!(proxy.crm.site.counts().requests, 0, "{standing:?}");
        site.set(Standing::ok()).await.expect("its port can be had again");
        crate::support::eventually("the authority is back", async || {
            let answer = bearer(&proxy, Form::TUTORIAL, token).send().await;
            (answer.status == 200).then_some(())
        })
        .await;
        proxy.stop().await;
    }
}

#[tokio::test]
async fn an_identity_provider_is_asked_as_rfc_7662_has_it() {
    let idp = idp().await;
    idp.know("good", json!({"client_id": "ivr", "tenant": "acme", "exp": FAR}));
    idp.know("foreign", json!({"client_id": "ivr", "tenant": "globex"}));
    idp.know("nameless", json!({"client_id": "ivr"}));
    idp.know("expired", json!({"tenant": "acme", "exp": 1_000_000_000}));
    idp.know("early", json!({"tenant": "acme", "nbf": FAR}));
    let proxy = asking(&idp).await;
    for form in Form::ALL {
        form.answered(&bearer(&proxy, form, "good").send().await, &proxy.outputs(1));
        for bad in ["stranger", "foreign", "nameless", "expired", "early"] {
            let refused = bearer(&proxy, form, bad).send().await;
            refused.failed(403, "forbidden", "Invalid token");
            refused.never_says(bad);
        }
        let missing = proxy.ask(form, 1).send().await;
        missing.failed(401, "unauthenticated", "Missing Authorization header");
    }
    // One question a token; what begins later is asked about anew.
    assert_eq!(idp.introspections(), 5 + 4);
    proxy.stop().await;
    idp.site.stop().await;
}

#[tokio::test]
async fn an_identity_provider_that_gives_no_verdict_is_unavailable() {
    let idp = idp().await;
    idp.know("good", json!({"tenant": "acme"}));
    let odd = r#"{"active": "true", "tenant": "acme"}"#;
    let others = [Fault::Body(odd.to_owned()), Fault::status(401), Fault::status(403)];
    let start = async || asking(&idp).await;
    unavailable_whenever_broken(&idp.site, "good", start, &others).await;
    idp.site.stop().await;
}

#[tokio::test]
async fn credentials_of_ours_that_are_wrong_refuse_nobody() {
    let idp = idp().await;
    idp.know("good", json!({"tenant": "acme"}));
    let proxy = asking(&idp).await;
    bearer(&proxy, Form::TUTORIAL, "good").send().await;
    idp.change_secret("another");
    for form in Form::ALL {
        let answer = bearer(&proxy, form, "other").send().await;
        form.failed(&answer, 503, "auth_unavailable", UNAVAILABLE);
        form.answered(&bearer(&proxy, form, "good").send().await, &proxy.outputs(1));
    }
    proxy.stop().await;
    idp.site.stop().await;
}

#[tokio::test]
async fn real_genesys_cloud_says_whose_a_token_is() {
    let proxy = real().await;
    let of = |organization: &str| Claims {
        organization: Some(organization.to_owned()),
        client: Some("flow".to_owned()),
        expires: None,
    };
    proxy.genesys.know("ours", of("acme"));
    proxy.genesys.know("theirs", of("globex"));
    for form in Form::ALL {
        form.answered(&bearer(&proxy, form, "ours").send().await, &proxy.outputs(1));
        for bad in ["theirs", "stranger"] {
            let refused = bearer(&proxy, form, bad).send().await;
            refused.failed(403, "forbidden", "Invalid Genesys Cloud Auth Token");
        }
    }
    assert_eq!((proxy.genesys.tokens_me(), proxy.genesys.introspections()), (3, 0));
    proxy.stop().await;
}

#[tokio::test]
async fn a_token_that_genesys_cloud_limits_is_left_alone_and_no_other() {
    let proxy = real().await;
    let ours = Claims { organization: Some("acme".to_owned()), ..Claims::default() };
    proxy.genesys.know("busy", ours.clone());
    proxy.genesys.know("idle", ours);
    proxy.genesys.limit_each_token(Some((0, 17)));
    for form in Form::ALL {
        let answer = bearer(&proxy, form, "busy").send().await;
        form.failed(&answer, 503, "auth_unavailable", UNAVAILABLE);
        assert!((16..=17).contains(&answer.retry_after()));
    }
    assert_eq!(proxy.genesys.tokens_me(), 1);
    proxy.genesys.limit_each_token(None);
    let other = bearer(&proxy, Form::TUTORIAL, "idle").send().await;
    Form::TUTORIAL.answered(&other, &proxy.outputs(1));
    proxy.stop().await;
}

#[tokio::test]
async fn genesys_cloud_that_gives_no_verdict_is_unavailable() {
    for fault in [
        Fault::status(500),
        Fault::status(404),
        Fault::Hang,
        Fault::Reset,
        Fault::Html,
        Fault::Body("{}".to_owned()),
    ] {
        let proxy = real().await;
        proxy.genesys_stands(Standing::every(fault)).await;
        for form in Form::ALL {
            let answer = bearer(&proxy, form, "ours").send().await;
            form.failed(&answer, 503, "auth_unavailable", UNAVAILABLE);
        }
        assert_eq!(proxy.crm.site.counts().requests, 0);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_signed_token_is_checked_by_the_keys_of_its_issuer() {
    let idp = idp().await;
    idp.publish(set(&[&FIRST]));
    let proxy = checking(&idp).await;
    let good = FIRST.token("RS256", &lasting(json!({})));
    let refused = [
        FIRST.token("RS256", &lasting(json!({"iss": "https://other.test"}))),
        FIRST.token("RS256", &lasting(json!({"aud": "other"}))),
        FIRST.token("RS256", &claims(json!({"exp": 1_000_000_000}))),
        FIRST.token("RS256", &lasting(json!({"nbf": FAR}))),
        FIRST.token("RS512", &lasting(json!({}))),
        SECOND.signed(&json!({"alg": "RS256", "kid": "first"}), &lasting(json!({}))),
        SECOND.token("RS256", &lasting(json!({}))),
    ];
    for form in Form::ALL {
        form.answered(&bearer(&proxy, form, &good).send().await, &proxy.outputs(1));
        for bad in &refused {
            let answer = bearer(&proxy, form, bad).send().await;
            answer.failed(403, "forbidden", "Invalid token");
        }
    }
    assert_eq!(idp.fetches(), 1, "and an unknown key is not fetched again so soon");
    proxy.stop().await;
    idp.site.stop().await;
}

#[tokio::test]
async fn an_issuer_whose_keys_cannot_be_had_is_unavailable() {
    let idp = idp().await;
    idp.publish(set(&[&FIRST]));
    let token = FIRST.token("RS256", &lasting(json!({})));
    let others = [Fault::Body("{\"keys\": []}".to_owned()), Fault::status(401)];
    let start = async || checking(&idp).await;
    unavailable_whenever_broken(&idp.site, &token, start, &others).await;
    idp.site.stop().await;
}

#[tokio::test]
async fn tokens_that_are_known_outlive_their_issuer() {
    let idp = idp().await;
    idp.publish(set(&[&FIRST]));
    let proxy = checking(&idp).await;
    let token = |client: &str| FIRST.token("RS256", &lasting(json!({ "client_id": client })));
    bearer(&proxy, Form::TUTORIAL, &token("a")).send().await;
    idp.site.set(Standing::Down).await.expect("its port can be had again");
    for form in Form::ALL {
        for client in ["a", "b"] {
            let answer = bearer(&proxy, form, &token(client)).send().await;
            form.answered(&answer, &proxy.outputs(1));
        }
    }
    proxy.stop().await;
    idp.site.stop().await;
}
