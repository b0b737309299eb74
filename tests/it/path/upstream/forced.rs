//! A breaker in an operator's hand, and one that counts slowness as failing.

use std::{sync::Arc, time::Duration};

use holdline::{
    mechanism::breaker::State,
    pipeline::operate::Force,
    telemetry::{
        outcome::{Outcome, Source},
        stage::Stage,
    },
};

use super::{calls, state};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

const MINUTE: Duration = Duration::from_secs(60);
/// Attempts stand for calls.
const ONCE: &str = "retry: {attempts: 1}";

fn rig() -> Rig {
    Setup { crm: &[ONCE], ..Setup::PLAIN }.rig()
}

/// One that counts attempts of more than a second as slow, half of which open it.
fn impatient() -> Rig {
    let breaker = "breaker: {slow: {after: 1s, ratio: 0.5}, ramp: 0s}";
    Setup { crm: &[ONCE, breaker], ..Setup::PLAIN }.rig()
}

fn force(rig: &Rig, force: Force, lasts: Duration) {
    rig.pipeline.force_breaker("crm", force, lasts, None).expect("it is known");
}

fn answer_after(ms: u64) -> Line {
    Line::json(&serde_json::json!({"name": "Ada"})).after(ms)
}

#[tokio::test(start_paused = true)]
async fn attempts_that_are_slow_open_it_though_they_are_answered() {
    let ratio = r#"holdline_breaker_slow_ratio{upstream="crm"}"#;
    for (takes, slow) in [(1000, 0.0), (1001, 1.0)] {
        let rig = impatient();
        rig.upstream().always(answer_after(takes));
        rig.lookup().times(10).await;
        assert_eq!((state(&rig), rig.metric(ratio)), (State::Closed, slow));
        rig.upstream().always(answer_after(0));
        rig.lookup().times(9).await;
        assert_eq!(state(&rig), State::Closed, "nineteen say nothing");
        let last = rig.lookup().heard().await;
        assert!(last.result.is_ok());
        assert_eq!(rig.metric(ratio), slow / 2.0);
        let refused = rig.lookup().heard().await.outcome() == Outcome::BreakerOpen;
        assert_eq!(refused, slow > 0.0, "{takes} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_turn_makes_no_attempt_slow() {
    let crm =
        [ONCE, "breaker: {slow: {after: 100ms, ratio: 0.5}}", "concurrency: {limit: 1, wait: 5s}"];
    let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
    rig.upstream().rule(|_| answer_after(80));
    let heard = rig.lookup().times(4).await;
    assert!(heard.iter().all(|heard| heard.result.is_ok()));
    assert_eq!(heard.iter().map(|heard| heard.at).max(), Some(320), "one after the other");
    let breaker = rig.condition().breaker;
    assert_eq!((breaker.slow, breaker.attempts), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn slow_probes_open_it_again() {
    let rig = impatient();
    calls(&rig, 7, Line::status(503)).await;
    rig.until(2000).await;
    calls(&rig, 2, answer_after(0)).await;
    calls(&rig, 2, answer_after(1500)).await;
    assert_eq!(state(&rig), State::HalfOpen);
    calls(&rig, 1, answer_after(1500)).await;
    assert_eq!(state(&rig), State::Open, "three of five");
}

#[tokio::test(start_paused = true)]
async fn forced_open_it_refuses_at_once_and_says_when_to_come_back() {
    let rig = rig();
    force(&rig, Force::Open, 10 * MINUTE);
    for (at, wait) in [(0, 60_000), (595_000, 5_000)] {
        rig.until(at).await;
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.outcome(), heard.at), (Outcome::BreakerOpen, u128::from(at)));
        assert_eq!(heard.failure().retry_after(), Some(Duration::from_millis(wait)));
    }
    assert_eq!(rig.upstream().count(), 0);
    assert_eq!(rig.metric(r#"holdline_breaker_short_circuited_total{upstream="crm"}"#), 2.0);
    assert_eq!(rig.metric(r#"holdline_breaker_state{upstream="crm",state="forced_open"}"#), 1.0);
    assert_eq!(rig.metric(r#"holdline_breaker_state{upstream="crm",state="closed"}"#), 0.0);
    let opened = r#"holdline_breaker_last_opened_timestamp_seconds{upstream="crm"}"#;
    assert_eq!(rig.metric(opened), crate::support::rig::START as f64);
}

#[tokio::test(start_paused = true)]
async fn forced_open_what_is_known_stands_in() {
    let cache = ["ttl: 60s", "stale_if_error: 1h"];
    let rig = Setup { crm: &[ONCE], cache: &cache, ..Setup::PLAIN }.rig();
    rig.lookup().heard().await;
    force(&rig, Force::Open, 10 * MINUTE);
    assert_eq!(rig.lookup().heard().await.source(), Source::CacheFresh);
    rig.until(120_000).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.source(), heard.at), (Source::CacheStale, 120_000), "at once");
    assert_eq!(rig.lookup().id(2).heard().await.outcome(), Outcome::BreakerOpen);
    assert_eq!(rig.upstream().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_having_been_forced_open_probes_close_it_and_it_ramps_up() {
    let rig = rig();
    force(&rig, Force::Open, MINUTE);
    rig.until(60_000).await;
    assert_eq!(state(&rig), State::HalfOpen);
    rig.upstream().next(Line::hangs());
    let probe = rig.lookup().set_off().await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::BreakerOpen);
    rig.upstream().release(answer_after(0));
    probe.heard().await;
    calls(&rig, 2, answer_after(0)).await;
    let breaker = rig.condition().breaker;
    assert_eq!((breaker.state, breaker.ramp_left.as_secs()), (State::Closed, 10));
    let changes = rig.counts("holdline_breaker_transitions_total");
    for change in
        ["from=closed,to=forced_open", "from=forced_open,to=half_open", "from=half_open,to=closed"]
    {
        assert_eq!(changes[&format!("upstream=crm,{change}")], 1, "{change}");
    }
    assert_eq!(changes.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn forced_closed_all_pass_and_failures_are_forgotten() {
    let rig = rig();
    calls(&rig, 7, Line::status(503)).await;
    force(&rig, Force::Closed, MINUTE);
    calls(&rig, 100, Line::status(503)).await;
    assert_eq!((state(&rig), rig.upstream().count()), (State::ForcedClosed, 107));
    assert_eq!(rig.condition().breaker.attempts, 0);
    rig.until(60_000).await;
    calls(&rig, 6, Line::status(503)).await;
    assert_eq!((state(&rig), rig.upstream().count()), (State::Closed, 113), "no ramp, new counts");
}

#[tokio::test(start_paused = true)]
async fn observing_all_pass_and_what_it_would_refuse_is_counted() {
    let rig = rig();
    let would_refuse = r#"holdline_breaker_would_refuse_total{upstream="crm"}"#;
    assert_eq!(rig.metric(would_refuse), 0.0);
    force(&rig, Force::Observe, 5 * MINUTE);
    calls(&rig, 17, Line::status(503)).await;
    let breaker = rig.condition().breaker;
    assert_eq!((breaker.state, breaker.would_be), (State::Observing, Some(State::Open)));
    assert_eq!((rig.upstream().count(), rig.metric(would_refuse)), (17, 10.0));
    assert_eq!(rig.metric(r#"holdline_breaker_state{upstream="crm",state="observing"}"#), 1.0);
    let changes = rig.counts("holdline_breaker_transitions_total");
    assert_eq!(changes["upstream=crm,from=closed,to=observing"], 1);
    assert_eq!(changes.len(), 1, "a change of mind is no change");

    rig.pipeline.release_breaker("crm").expect("it is known");
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::BreakerOpen, "it is obeyed again");
    let changes = rig.counts("holdline_breaker_transitions_total");
    assert_eq!(changes["upstream=crm,from=observing,to=open"], 1);
}

#[tokio::test(start_paused = true)]
async fn while_it_observes_repeats_go_on() {
    let rig = Setup { crm: &["retry: {attempts: 3, budget: {per_second: 100}}"], ..Setup::PLAIN };
    let rig = rig.rig();
    force(&rig, Force::Observe, MINUTE);
    rig.upstream().always(Line::status(503));
    for _ in 0..5 {
        let heard = rig.lookup().heard().await;
        assert_eq!(heard.outcome(), Outcome::UpstreamError);
        assert_eq!(heard.steps.iter().filter(|step| step.stage == Stage::Attempt).count(), 3);
    }
    assert_eq!(rig.condition().breaker.would_be, Some(State::Open));
}

#[tokio::test(start_paused = true)]
async fn a_force_tells_until_when_and_why_and_an_unknown_upstream_has_none() {
    let rig = rig();
    let why = || Some(Arc::from("the vendor asked for it"));
    let until = holdline::time::now() + MINUTE;
    let condition = rig.pipeline.force_breaker("crm", Force::Closed, MINUTE, why());
    let forced = condition.expect("it is known").breaker.forced.expect("it is forced");
    assert_eq!((forced.force, forced.until, forced.reason), (Force::Closed, until, why()));
    assert!(rig.pipeline.force_breaker("crn", Force::Closed, MINUTE, None).is_none());
    assert!(rig.pipeline.release_breaker("crn").is_none());
    rig.until(60_000).await;
    assert_eq!((rig.condition().breaker.forced, state(&rig)), (None, State::Closed));
}
