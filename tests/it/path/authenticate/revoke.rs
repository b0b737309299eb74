//! Verdicts that an operator has forgotten: what is asked again, and what a question that was under
//! way at that moment does not bring back.

use holdline::{pipeline::authenticate::Revoke, telemetry::stage::Stage};
use serde_json::json;

use super::{GENESYS, refused};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

const ALL: Revoke<'_> = Revoke::Of { caller: None, client: None };

fn client(client: &str) -> Revoke<'_> {
    Revoke::Of { caller: None, client: Some(client) }
}

/// How the bearer of that token is found out.
async fn decision(rig: &Rig, token: &str) -> &'static str {
    rig.lookup().token(token).heard().await.decision(Stage::Authenticate)
}

#[tokio::test(start_paused = true)]
async fn exactly_what_is_named_is_forgotten() {
    let rig = GENESYS.rig();
    let know = async || {
        rig.authority().next(Line::active("acme", "ivr"));
        decision(&rig, "first").await;
        rig.authority().next(Line::active("acme", "web"));
        decision(&rig, "second").await;
        rig.authority().next(Line::json(&json!({"active": false})));
        decision(&rig, "third").await;
    };
    let genesys = rig.pipeline.catalog().callers.keys().find(|name| name.as_str() == "genesys");
    let portal = rig.pipeline.catalog().callers.keys().find(|name| name.as_str() == "portal");
    for (revoke, forgotten, [first, second, third]) in [
        (Revoke::Token("first"), 1, ["remote", "cache", "refused"]),
        (Revoke::Token("third"), 1, ["cache", "cache", "remote"]),
        (Revoke::Token("fourth"), 0, ["cache", "cache", "refused"]),
        (client("ivr"), 1, ["remote", "cache", "refused"]),
        (client("nobody"), 0, ["cache", "cache", "refused"]),
        (Revoke::Of { caller: genesys, client: Some("web") }, 1, ["cache", "remote", "refused"]),
        (Revoke::Of { caller: portal, client: Some("web") }, 0, ["cache", "cache", "refused"]),
        (Revoke::Of { caller: portal, client: None }, 0, ["cache", "cache", "refused"]),
        (Revoke::Of { caller: genesys, client: None }, 3, ["remote", "remote", "remote"]),
        (ALL, 3, ["remote", "remote", "remote"]),
    ] {
        know().await;
        assert_eq!(rig.pipeline.revoke(revoke).forgotten, forgotten, "{revoke:?}");
        assert_eq!(decision(&rig, "first").await, first, "{revoke:?}");
        assert_eq!(decision(&rig, "second").await, second, "{revoke:?}");
        assert_eq!(decision(&rig, "third").await, third, "{revoke:?}");
        rig.pipeline.revoke(ALL);
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_under_way_does_not_bring_back_what_was_revoked() {
    let rig = GENESYS.rig();
    for before in [Line::active("acme", "ivr"), Line::json(&json!({"active": false}))] {
        for revoke in [Revoke::Token("good"), client("ivr"), ALL] {
            rig.authority().next(before.clone().after(100));
            let asks = rig.lookup().set_off().await;
            assert_eq!(rig.pipeline.revoke(revoke).forgotten, 0);
            asks.heard().await;
            let asked = rig.authority().count();
            rig.lookup().heard().await;
            assert_eq!(rig.authority().count(), asked + 1, "{revoke:?}: asked anew");
            rig.pipeline.revoke(ALL);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_calls_after_it_does_not_join_a_question_from_before_it() {
    let rig = GENESYS.rig();
    rig.authority().next(Line::active("acme", "ivr").after(500));
    let before = rig.lookup().set_off().await;
    rig.pipeline.revoke(Revoke::Token("good"));
    rig.authority().next(Line::status(401).after(100));
    let after = rig.lookup().set_off().await;
    let beside = rig.lookup().set_off().await;
    assert_eq!(rig.authority().count(), 2, "those after it share one question");
    assert_eq!(refused(&after.heard().await), "invalid");
    assert_eq!(refused(&beside.heard().await), "invalid");
    assert!(before.heard().await.result.is_ok(), "it asked before");
    assert_eq!(decision(&rig, "good").await, "refused", "what was asked last is what is known");
}

#[tokio::test(start_paused = true)]
async fn an_aged_verdict_that_was_revoked_stands_in_for_nobody() {
    let rig = Setup { genesys: &["cache: {ttl: 10s, stale_on_outage: 1h}"], ..GENESYS }.rig();
    assert_eq!(decision(&rig, "good").await, "remote");
    rig.until(20_000).await;
    rig.authority().always(Line::status(500));
    assert_eq!(decision(&rig, "good").await, "stale");
    assert_eq!(rig.pipeline.revoke(client("ivr")).forgotten, 1);
    assert_eq!(decision(&rig, "good").await, "unavailable");
}
