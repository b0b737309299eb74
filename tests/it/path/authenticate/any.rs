//! An action that any of several callers may call, each proved in its own way.

use holdline::telemetry::{outcome::Outcome, stage::Stage};
use serde_json::json;

use super::{refused, unproven};
use crate::support::{
    ask::Ask,
    jwt_issuer::{FIRST, ISSUER, SECOND, set},
    rig::{Rig, Setup},
    scripted::{Line, Seen},
};

/// What the two systems that are asked do: the issuer of tokens, and Genesys Cloud.
fn world(rig: &Rig, issuer: Line, genesys: Line) {
    rig.authority().rule(move |seen: &Seen| match &*seen.path {
        "/jwks" => issuer.clone(),
        _ => genesys.clone(),
    });
}

fn rig(callers: &str) -> Rig {
    let idp = format!(
        "idp: {{type: jwt, jwks: 'https://authority.test/jwks', issuer: '{ISSUER}', \
         audience: holdline}}"
    );
    let real = "real: {type: tokens_me, api_base: 'https://authority.test', org: acme}";
    let rig = Setup { caller: callers, callers: &[&idp, real], ..Setup::PLAIN }.rig();
    world(&rig, issuer(), good());
    rig
}

fn issuer() -> Line {
    Line::json(&set(&[&FIRST]))
}

fn good() -> Line {
    Line::json(&json!({"organization": {"id": "acme"}, "OAuthClient": {"id": "ivr"}}))
}

#[tokio::test(start_paused = true)]
async fn whoever_proves_any_of_them_may_call() {
    let rig = rig("[idp, portal, real]");
    let key = |ask: Ask| ask.header("x-api-key", "web-key");
    let signed = FIRST.good("ivr");
    for (ask, decision) in [
        (rig.lookup().bearer(&signed), "remote"),
        (key(rig.lookup().bare()), "local"),
        (rig.lookup().bearer("opaque"), "remote"),
        (key(rig.lookup().bearer("no.good.token")), "local"),
    ] {
        let heard = ask.heard().await;
        assert!(heard.result.is_ok(), "{heard:?}");
        assert_eq!(heard.decision(Stage::Authenticate), decision);
    }
    let paths: Vec<_> = rig.authority().seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/jwks", "/api/v2/tokens/me?preserveIdleTTL=true"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_down_is_told_before_what_is_wrong_and_that_before_what_is_missing() {
    let down = || Line::status(503);
    let bad = || Line::status(401);
    for (order, issuer_is, genesys_is, bearer, key, outcome) in [
        ("[idp, portal, real]", issuer(), good(), None, None, Outcome::Unauthenticated),
        ("[idp, portal, real]", issuer(), good(), None, Some("wrong"), Outcome::Forbidden),
        ("[idp, portal, real]", issuer(), bad(), Some("opaque"), None, Outcome::Forbidden),
        ("[real, portal, idp]", issuer(), down(), Some("opaque"), None, Outcome::AuthUnavailable),
        ("[idp, portal, real]", down(), bad(), Some("signed"), None, Outcome::AuthUnavailable),
        (
            "[real, idp, portal]",
            down(),
            bad(),
            Some("signed"),
            Some("wrong"),
            Outcome::AuthUnavailable,
        ),
        // A good proof is good whatever is down beside it.
        ("[idp, real, portal]", down(), down(), Some("signed"), Some("web-key"), Outcome::Ok),
        ("[real, idp]", issuer(), down(), Some("signed"), None, Outcome::Ok),
    ] {
        let rig = rig(order);
        world(&rig, issuer_is, genesys_is);
        let mut ask = rig.lookup().bare();
        ask = match bearer {
            Some("signed") => ask.bearer(&FIRST.good("ivr")),
            Some(token) => ask.bearer(token),
            None => ask,
        };
        if let Some(key) = key {
            ask = ask.header("x-api-key", key);
        }
        let heard = ask.heard().await;
        assert_eq!(heard.outcome(), outcome, "{order} {bearer:?} {key:?}: {heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_equal_reasons_the_first_that_is_written_is_told() {
    let rig = rig("[idp, real, portal]");
    world(&rig, issuer(), Line::status(401));
    let detail = async |ask: Ask| ask.heard().await.failure().detail().into_owned();
    assert_eq!(detail(rig.lookup().bearer(&SECOND.good("ivr"))).await, "Invalid token");
    assert_eq!(detail(rig.lookup().bare()).await, "Missing Authorization header");
    let heard = rig.lookup().bearer("opaque").heard().await;
    assert_eq!((refused(&heard), heard.decision(Stage::Authenticate)), ("malformed", "refused"));
    unproven(&heard);
}
