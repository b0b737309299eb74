//! What is remembered about tokens, and for how long.

use std::time::Duration;

use holdline::telemetry::stage::Stage;
use serde_json::json;

use super::{GENESYS, refused, unavailable};
use crate::support::{
    rig::{Rig, START, Setup},
    scripted::Line,
};

/// The authority's word for a token that ends so many seconds after the start.
fn active_for(seconds: u64) -> Line {
    Line::json(&json!({"active": true, "exp": START + seconds}))
}

/// How the caller of a lookup is found out.
async fn decision(rig: &Rig) -> &'static str {
    rig.lookup().heard().await.decision(Stage::Authenticate)
}

#[tokio::test(start_paused = true)]
async fn a_good_verdict_holds_for_its_time_to_live_and_not_a_millisecond_longer() {
    let rig = Setup { genesys: &["cache: {ttl: 60s}"], ..GENESYS }.rig();
    assert_eq!(decision(&rig).await, "remote");
    rig.until(59_999).await;
    assert_eq!(decision(&rig).await, "cache");
    rig.until(60_000).await;
    assert_eq!(decision(&rig).await, "remote");
    assert_eq!(rig.authority().instants(), [0, 60_000]);
    let counts = rig.counts("holdline_token_validations_total");
    assert_eq!(counts["result=valid,source=remote"], 2);
    assert_eq!(counts["result=valid,source=cache"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_good_verdict_never_holds_past_the_authoritys_own_expiry() {
    let rig = GENESYS.rig();
    rig.authority().always(active_for(30));
    assert_eq!(decision(&rig).await, "remote");
    rig.until(29_999).await;
    assert_eq!(decision(&rig).await, "cache");
    rig.until(30_000).await;
    let heard = rig.lookup().heard().await;
    assert_eq!(refused(&heard), "expired");
    assert_eq!(rig.authority().instants(), [0, 30_000]);
}

#[tokio::test(start_paused = true)]
async fn an_expiry_may_have_a_fraction_of_a_second() {
    let rig = GENESYS.rig();
    rig.authority().always(Line::json(&json!({"active": true, "exp": START as f64 + 0.5})));
    assert_eq!(decision(&rig).await, "remote");
    rig.until(499).await;
    assert_eq!(decision(&rig).await, "cache");
    rig.until(500).await;
    assert_eq!(decision(&rig).await, "rejected");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_expired_already_is_refused_although_it_is_called_active() {
    let rig = GENESYS.rig();
    rig.until(10_000).await;
    for exp in [json!(START + 10), json!(START), json!(0), json!(-1), json!(1.5e9)] {
        rig.authority().next(Line::json(&json!({"active": true, "exp": exp})));
        let heard = rig.lookup().token(&format!("t{exp}")).heard().await;
        assert_eq!(refused(&heard), "expired", "{exp}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_holds_for_a_short_time_of_its_own() {
    let rig = Setup { genesys: &["cache: {ttl: 60s, refused_ttl: 5s}"], ..GENESYS }.rig();
    rig.authority().next(Line::json(&json!({"active": false})));
    assert_eq!(refused(&rig.lookup().heard().await), "invalid");
    rig.until(4_999).await;
    assert_eq!(refused(&rig.lookup().heard().await), "invalid");
    assert_eq!(rig.authority().count(), 1);
    rig.until(5_000).await;
    assert_eq!(decision(&rig).await, "remote");
    assert_eq!(rig.authority().count(), 2);
    let counts = rig.counts("holdline_token_validations_total");
    assert_eq!(counts["result=invalid,source=remote"], 1);
    assert_eq!(counts["result=invalid,source=cache"], 1);
}

#[tokio::test(start_paused = true)]
async fn everything_but_a_literal_active_true_is_a_refusal() {
    let rig = GENESYS.rig();
    let answers = [
        Line::status(401),
        Line::status(403),
        Line::json(&json!({})),
        Line::json(&json!({"active": "true"})),
        Line::json(&json!({"active": 1})),
        Line::json(&json!({"active": null})),
        Line::json(&json!([{"active": true}])),
        Line::json(&json!(true)),
        Line::status(200).body("<html>log in</html>"),
        Line::status(200).body(""),
    ];
    for (at, answer) in answers.into_iter().enumerate() {
        rig.authority().next(answer);
        assert_eq!(refused(&rig.lookup().token(&format!("t{at}")).heard().await), "invalid");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_no_json_is_refused_and_not_remembered() {
    let rig = GENESYS.rig();
    rig.authority().next(Line::status(200).body("<html>log in</html>"));
    assert_eq!(refused(&rig.lookup().heard().await), "invalid");
    assert_eq!(decision(&rig).await, "remote");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_bad_tokens_pushes_out_no_good_one() {
    let rig = Setup { genesys: &["cache: {capacity: 4, refused_capacity: 4}"], ..GENESYS }.rig();
    assert_eq!(decision(&rig).await, "remote");
    rig.authority().always(Line::status(401));
    for at in 0..100 {
        let heard = rig.lookup().token(&format!("bad{at}")).heard().await;
        assert_eq!(refused(&heard), "invalid");
        assert_eq!(decision(&rig).await, "cache");
    }
    rig.pipeline.sweep();
    assert!(rig.metric(r#"holdline_cache_entries{cache="token"}"#) <= 5.0);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_forgets_what_is_of_no_use_and_nothing_else() {
    let rig = Setup { genesys: &["cache: {ttl: 60s, refused_ttl: 10s}"], ..GENESYS }.rig();
    let kept = || {
        rig.pipeline.sweep();
        rig.metric(r#"holdline_cache_entries{cache="token"}"#)
    };
    rig.lookup().token("long").heard().await;
    rig.authority().next(active_for(30)).next(Line::status(401));
    rig.lookup().token("short").heard().await;
    rig.lookup().token("bad").heard().await;
    assert_eq!(kept(), 3.0);
    rig.until(10_000).await;
    assert_eq!(kept(), 2.0);
    rig.until(30_000).await;
    assert_eq!(kept(), 1.0);
    rig.until(60_000).await;
    assert_eq!(kept(), 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_old_verdict_serves_while_the_authority_is_down_and_no_longer_than_allowed() {
    let rig = Setup { genesys: &["cache: {ttl: 60s, stale_on_outage: 5m}"], ..GENESYS }.rig();
    assert_eq!(decision(&rig).await, "remote");
    rig.authority().always(Line::status(503));
    rig.until(60_000).await;
    assert_eq!(decision(&rig).await, "stale");
    assert_eq!(rig.authority().count(), 2, "it is asked first");
    rig.until(359_999).await;
    assert_eq!(decision(&rig).await, "stale");
    rig.until(360_000).await;
    assert_eq!(unavailable(&rig.lookup().heard().await), Duration::from_secs(2));
    assert_eq!(rig.counts("holdline_token_validations_total")["result=valid,source=stale"], 2);
}

#[tokio::test(start_paused = true)]
async fn without_leave_no_old_verdict_serves() {
    let rig = Setup { genesys: &["cache: {ttl: 60s}"], ..GENESYS }.rig();
    decision(&rig).await;
    rig.authority().always(Line::status(503));
    rig.until(60_000).await;
    assert_eq!(decision(&rig).await, "unavailable");
}

#[tokio::test(start_paused = true)]
async fn an_old_verdict_never_serves_past_the_tokens_expiry() {
    let rig = Setup { genesys: &["cache: {ttl: 60s, stale_on_outage: 5m}"], ..GENESYS }.rig();
    rig.authority().next(active_for(100)).always(Line::status(503));
    assert_eq!(decision(&rig).await, "remote");
    rig.until(99_999).await;
    assert_eq!(decision(&rig).await, "stale");
    rig.until(100_000).await;
    assert_eq!(decision(&rig).await, "unavailable");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_while_the_authority_is_asked_is_not_served() {
    let rig = Setup { genesys: &["cache: {ttl: 60s, stale_on_outage: 5m}"], ..GENESYS }.rig();
    rig.authority().next(active_for(62)).always(Line::hangs());
    assert_eq!(decision(&rig).await, "remote");
    rig.until(61_800).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.decision(Stage::Authenticate), heard.at), ("unavailable", 62_100));
}

#[tokio::test(start_paused = true)]
async fn an_old_verdict_serves_after_a_third_of_a_second_and_not_to_a_caller_in_more_of_a_hurry() {
    let rig = Setup { genesys: &["cache: {ttl: 60s, stale_on_outage: 5m}"], ..GENESYS }.rig();
    assert_eq!(decision(&rig).await, "remote");
    rig.until(60_000).await;
    rig.authority().always(Line::hangs());
    // Nobody knows yet whether the authority is down, or the token revoked.
    let hurried = rig.lookup().within(100).heard().await;
    assert_eq!((hurried.decision(Stage::Authenticate), hurried.at), ("unavailable", 60_090));
    let patient = rig.lookup().heard().await;
    assert_eq!((patient.decision(Stage::Authenticate), patient.at), ("stale", 60_390));
}

#[tokio::test(start_paused = true)]
async fn an_old_verdict_never_serves_a_token_that_was_refused_since() {
    let rig = Setup { genesys: &["cache: {ttl: 60s, stale_on_outage: 5m}"], ..GENESYS }.rig();
    assert_eq!(decision(&rig).await, "remote");
    rig.authority().next(Line::status(403)).always(Line::status(503));
    rig.until(60_000).await;
    assert_eq!(refused(&rig.lookup().heard().await), "invalid");
    rig.until(69_999).await;
    assert_eq!(refused(&rig.lookup().heard().await), "invalid");
    rig.until(70_000).await;
    assert_eq!(decision(&rig).await, "unavailable");
}
