//! What proves to an upstream who we are, over real sockets: a token is got as the standard has it,
//! and goes nowhere but where it belongs.

use holdline::demo::{
    crm::{CrmSettings, FakeCrm},
    fault::{Fault, Standing},
};

use crate::support::{
    form::Form,
    proxy::{Setup, TestProxy},
    token_endpoint::{Issuer, Known},
};

const KNOWN: Known =
    Known { id: "hold line:1", secret: "s3cret&+ %/\u{7e}=", scope: "crm.read crm:write" };

fn oauth2(url: &str) -> String {
    format!(
        "auth: {{type: oauth2, token_url: '{url}', client_id: 'hold line:1', \
         client_secret: \"${{NO:-s3cret&+ %/~=}}\", scope: 'crm.read crm:write'}}"
    )
}

/// What the CRM was shown in `Authorization`, request by request.
fn shown(proxy: &TestProxy) -> Vec<String> {
    let seen = proxy.crm.site.seen();
    let shown = |seen: &holdline::demo::record::Seen| {
        seen.request.header("authorization").unwrap_or_default().to_owned()
    };
    seen.iter().map(shown).collect()
}

#[tokio::test]
async fn a_token_is_got_by_the_client_credentials_grant_and_got_anew_after_a_401() {
    let issuer = Issuer::start(KNOWN, "token").await;
    let proxy = Setup::new().upstream(&oauth2(&issuer.url)).start().await;
    proxy.works().await;
    proxy.works().await;
    assert_eq!(issuer.said(), ["token-1"]);
    assert_eq!(shown(&proxy), ["Bearer token-1"; 2]);

    proxy.crm.site.script([Fault::status(401)]);
    proxy.works().await;
    assert_eq!(issuer.said(), ["token-1", "token-2"]);
    assert_eq!(shown(&proxy)[2..], ["Bearer token-1", "Bearer token-2"]);

    // Another to which the same happens at once is told of it.
    proxy.crm.site.script([Fault::status(401)]);
    let answer = proxy.call(1).await;
    Form::TUTORIAL.failed(&answer, 502, "upstream_rejected", "External API failed: 401");
    proxy.works().await;
    assert_eq!(issuer.said().len(), 2);
    let refreshes = "holdline_upstream_credential_refreshes_total";
    assert_eq!(proxy.metric(refreshes, ["result=\"success\""]).await, 2.0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_or_scope_that_the_issuer_does_not_know_is_ours_to_mend() {
    for (wrong, error) in [
        (Known { secret: "another", ..KNOWN }, "invalid_client"),
        (Known { id: "another", ..KNOWN }, "invalid_client"),
        (Known { scope: "another", ..KNOWN }, "invalid_scope"),
    ] {
        let issuer = Issuer::start(wrong, "token").await;
        let proxy = Setup::new().upstream(&oauth2(&issuer.url)).start().await;
        for form in Form::ALL {
            let answer = proxy.ask(form, 1).send().await;
            form.failed(&answer, 502, "upstream_rejected", "Login to external API is refused");
        }
        assert_eq!(issuer.said(), [error], "it is not asked for each call");
        assert_eq!(proxy.crm.site.counts().requests, 0);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn an_issuer_that_misbehaves_is_a_bad_gateway_and_is_followed_nowhere() {
    let here = || "127.0.0.1:0".parse().expect("an address");
    let elsewhere = FakeCrm::start(here(), CrmSettings::default()).await.expect("a free port");
    for fault in [
        Fault::status(500),
        Fault::Html,
        Fault::Empty,
        Fault::Reset,
        Fault::Garbage,
        Fault::GzipBomb,
        Fault::Deep,
        Fault::Redirect(elsewhere.site.url()),
    ] {
        let issuer = FakeCrm::start(here(), CrmSettings::default()).await.expect("a free port");
        issuer.site.set(Standing::every(fault.clone())).await.expect("it stands");
        let proxy = Setup::new().upstream(&oauth2(&issuer.site.url())).start().await;
        let answer = proxy.call(1).await;
        let detail = "Login to external API is not possible";
        Form::TUTORIAL.failed(&answer, 502, "upstream_unreachable", detail);
        assert!((1..=2).contains(&answer.retry_after()), "{fault:?}");
        assert_eq!((issuer.site.counts().requests, proxy.crm.site.counts().requests), (1, 0));
        proxy.stop().await;
        issuer.site.stop().await;
    }
    assert_eq!(elsewhere.site.counts().connections, 0);
    elsewhere.site.stop().await;
}
