//! How the authority is asked, and what its answer says about a caller.

use holdline::telemetry::{outcome::Outcome, stage::Stage};
use serde_json::{Value, json};

use super::{GENESYS, pair, refused};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// The organisation and client that the bearer of `token` is taken for.
async fn caller(rig: &Rig, token: &str) -> (String, String) {
    let call = rig.lookup().token(token).call();
    let caller = rig.pipeline.schemes().identify(&call).await.expect("a good token").caller;
    (caller.org().to_owned(), caller.client().to_owned())
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_question_carries_the_token_as_bearer_and_in_the_body() {
    let rig = GENESYS.rig();
    rig.lookup().token("abc").heard().await;
    let seen = rig.authority().seen();
    assert_eq!((&*seen[0].method, &*seen[0].path), ("POST", "/introspect"));
    assert_eq!(seen[0].header("authorization"), "Bearer abc");
    assert_eq!(seen[0].header("content-type"), "application/json");
    assert_eq!(seen[0].body, r#"{"token":"abc"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_with_one_token_ask_once() {
    let rig = GENESYS.rig();
    rig.authority().always(Line::active("acme", "ivr").after(50));
    let heard = rig.lookup().times(100).await;
    assert_eq!(rig.authority().count(), 1);
    let with = |word| heard.iter().filter(|h| h.decision(Stage::Authenticate) == word).count();
    assert_eq!((with("remote"), with("coalesced")), (1, 99));
    assert!(heard.iter().all(|heard| heard.result.is_ok() && heard.at == 50));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_too_is_shared_by_those_who_wait() {
    let rig = GENESYS.rig();
    rig.authority().always(Line::status(401).after(50));
    for heard in rig.lookup().times(20).await {
        assert_eq!((refused(&heard), heard.at), ("invalid", 50));
    }
    assert_eq!(rig.authority().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_takes_no_question_with_it() {
    let rig = GENESYS.rig();
    rig.authority().next(Line::hangs());
    let first = rig.lookup().set_off().await;
    let second = rig.lookup().set_off().await;
    first.hang_up().await;
    assert_eq!(rig.authority().in_flight(), 1);
    rig.authority().release(Line::active("acme", "ivr"));
    assert_eq!(second.heard().await.decision(Stage::Authenticate), "coalesced");

    rig.authority().next(Line::hangs());
    rig.lookup().token("lonely").set_off().await.hang_up().await;
    assert_eq!(rig.authority().in_flight(), 1);
    rig.authority().release(Line::active("acme", "ivr"));
    rig.settle().await;
    let heard = rig.lookup().token("lonely").heard().await;
    assert_eq!(heard.decision(Stage::Authenticate), "cache");
    assert_eq!((rig.authority().count(), rig.tasks()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_time_is_up_leaves_and_the_verdict_is_kept_all_the_same() {
    let rig = GENESYS.rig();
    rig.authority().always(Line::active("acme", "ivr").after(1500));
    let heard = rig.lookup().within(1000).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::AuthUnavailable, 900));
    rig.until(1500).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.decision(Stage::Authenticate), heard.at), ("cache", 1500));
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_caller_is_the_one_that_the_claims_name() {
    let claims = "claims: {org: $.tenant.name, client: $.azp, expires: $.until}";
    let rig = Setup { genesys: &[claims], ..GENESYS }.rig();
    let answer = |inside: Value| {
        let mut answer = json!({"active": true, "client_id": "not-this"});
        answer.as_object_mut().unwrap().extend(inside.as_object().unwrap().clone());
        Line::json(&answer)
    };
    rig.authority().next(answer(json!({"tenant": {"name": "globex"}, "azp": "desk"})));
    assert_eq!(caller(&rig, "a").await, pair("globex", "desk"));
    rig.authority().next(answer(json!({"until": 1})));
    assert_eq!(refused(&rig.lookup().token("b").heard().await), "expired");
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_names_nobody_is_taken_to_serve_one_organisation() {
    let active = Line::json(&json!({"active": true}));
    let rig = GENESYS.rig();
    rig.authority().always(active.clone());
    assert_eq!(caller(&rig, "a").await, pair("genesys", "genesys"));

    let rig = Setup { genesys: &["org: acme"], ..GENESYS }.rig();
    rig.authority().always(active);
    assert_eq!(caller(&rig, "a").await, pair("acme", "genesys"));

    let empty = json!({"active": true, "organization": {"id": ""}, "client_id": null});
    rig.authority().always(Line::json(&empty));
    assert_eq!(caller(&rig, "b").await, pair("acme", "genesys"));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_cannot_be_read_is_no_verdict_rather_than_an_absent_claim() {
    let rig = Setup { genesys: &["org: acme"], ..GENESYS }.rig();
    for odd in [
        json!({"active": true, "organization": {"id": 4711}}),
        json!({"active": true, "client_id": ["ivr"]}),
        json!({"active": true, "exp": "tomorrow"}),
    ] {
        rig.authority().next(Line::json(&odd));
        let heard = rig.lookup().token("odd").heard().await;
        assert_eq!(heard.outcome(), Outcome::AuthUnavailable, "{odd}");
    }
    rig.authority().next(Line::active("acme", "ivr"));
    assert_eq!(caller(&rig, "odd").await, pair("acme", "ivr"));
}

#[tokio::test(start_paused = true)]
pub(crate) async fn another_organisation_than_the_configured_one_is_refused() {
    let rig = Setup { genesys: &["org: acme"], ..GENESYS }.rig();
    assert_eq!(caller(&rig, "ours").await, pair("acme", "ivr"));
    rig.authority().always(Line::active("globex", "ivr"));
    let heard = rig.lookup().token("theirs").heard().await;
    assert_eq!(refused(&heard), "forbidden");
    assert_eq!(heard.failure().detail(), "Invalid Genesys Cloud Auth Token");
    rig.lookup().token("theirs").heard().await;
    assert_eq!(rig.authority().count(), 2, "the refusal is remembered");
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_client_that_is_not_listed_is_refused_and_so_is_one_that_is_not_named() {
    let rig = Setup { genesys: &["clients: [ivr, desk]"], ..GENESYS }.rig();
    rig.authority().next(Line::active("acme", "desk")).next(Line::active("acme", "bot"));
    rig.authority().next(Line::json(&json!({"active": true})));
    assert_eq!(caller(&rig, "a").await, pair("acme", "desk"));
    assert_eq!(refused(&rig.lookup().token("b").heard().await), "forbidden");
    assert_eq!(refused(&rig.lookup().token("c").heard().await), "forbidden");
}
