//! When an upstream is given a rest, and how it comes back.

use std::time::Duration;

use holdline::{
    chance::Chance,
    client::WireError,
    mechanism::breaker::State,
    telemetry::{outcome::Outcome, stage::Stage},
};

use super::{calls, state};
use crate::support::{
    ask::Heard,
    rig::{Rig, Setup},
    scripted::Line,
};

/// Attempts stand for calls, and a closed breaker lets everything pass.
const NO_RAMP: &[&str] = &["retry: {attempts: 1}", "breaker: {ramp: 0s}"];

fn rig() -> Rig {
    Setup { crm: NO_RAMP, ..Setup::PLAIN }.rig()
}

/// A pipeline whose breaker has just opened, at 0, for two seconds.
async fn opened() -> Rig {
    let rig = rig();
    calls(&rig, 7, Line::status(503)).await;
    assert_eq!(state(&rig), State::Open);
    rig
}

#[track_caller]
fn refused_for(heard: &Heard) -> u128 {
    assert_eq!(heard.outcome(), Outcome::BreakerOpen);
    assert_eq!(heard.decision(Stage::Upstream), "breaker_open");
    heard.failure().retry_after().expect("it says when").as_millis()
}

#[tokio::test(start_paused = true)]
async fn seven_failures_in_a_row_open_it_and_six_do_not() {
    let rig = rig();
    calls(&rig, 6, Line::status(503)).await;
    calls(&rig, 1, Line::status(200)).await;
    calls(&rig, 6, Line::fails(WireError::Reset)).await;
    assert_eq!(state(&rig), State::Closed);
    calls(&rig, 1, Line::fails(WireError::Timeout)).await;
    assert_eq!(state(&rig), State::Open);
}

#[tokio::test(start_paused = true)]
async fn five_failures_to_connect_in_a_row_open_it() {
    for error in [WireError::Connect, WireError::Dns, WireError::Tls] {
        let rig = rig();
        calls(&rig, 4, Line::fails(error)).await;
        assert_eq!(state(&rig), State::Closed);
        calls(&rig, 1, Line::fails(error)).await;
        assert_eq!(state(&rig), State::Open, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn half_of_twenty_attempts_open_it_and_half_of_nineteen_do_not() {
    let rig = rig();
    for _ in 0..9 {
        calls(&rig, 1, Line::status(503)).await;
        calls(&rig, 1, Line::status(200)).await;
    }
    calls(&rig, 1, Line::status(503)).await;
    assert_eq!(state(&rig), State::Closed, "19 attempts");
    calls(&rig, 1, Line::status(503)).await;
    assert_eq!(state(&rig), State::Open, "11 of 20");
    assert_eq!(rig.condition().breaker.failure_ratio, 0.55);
}

#[tokio::test(start_paused = true)]
async fn failures_of_a_past_window_are_forgotten() {
    let rig = rig();
    for _ in 0..9 {
        calls(&rig, 1, Line::status(503)).await;
        calls(&rig, 1, Line::status(200)).await;
    }
    rig.until(10_000).await;
    calls(&rig, 2, Line::status(503)).await;
    assert_eq!(state(&rig), State::Closed);
    assert_eq!(rig.condition().breaker.attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn it_counts_attempts_and_not_calls() {
    let rig = Setup::PLAIN.rig();
    rig.upstream().always(Line::status(503));
    for _ in 0..3 {
        rig.lookup().heard().await;
    }
    assert_eq!(state(&rig), State::Open);
    assert_eq!(rig.upstream().count(), 7, "three, three, and one");
}

#[tokio::test(start_paused = true)]
async fn an_open_one_refuses_at_once_and_sends_nothing() {
    let rig = opened().await;
    rig.until(500).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((refused_for(&heard), heard.at), (1500, 500));
    rig.until(1999).await;
    assert_eq!(refused_for(&rig.lookup().heard().await), 1);
    assert_eq!(rig.upstream().count(), 7);
    assert_eq!(rig.metric(r#"holdline_breaker_short_circuited_total{upstream="crm"}"#), 2.0);
    let calls = rig.counts("holdline_upstream_calls_total");
    assert_eq!(calls["upstream=crm,result=short_circuited,retried=false"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_one_lets_one_probe_pass_at_a_time() {
    let rig = opened().await;
    rig.until(2000).await;
    assert_eq!(state(&rig), State::HalfOpen);
    for probe in 1..=3 {
        rig.upstream().next(Line::hangs());
        let first = rig.lookup().set_off().await;
        for _ in 0..5 {
            assert_eq!(refused_for(&rig.lookup().heard().await), 1000);
        }
        assert_eq!(rig.upstream().count(), 7 + probe);
        rig.upstream().release(Line::json(&serde_json::json!({"name": "Ada"})));
        assert_eq!(first.heard().await.outcome(), Outcome::Ok);
        assert_eq!(state(&rig), if probe == 3 { State::Closed } else { State::HalfOpen });
    }
    let changes = rig.counts("holdline_breaker_transitions_total");
    for change in ["from=closed,to=open", "from=open,to=half_open", "from=half_open,to=closed"] {
        assert_eq!(changes[&format!("upstream=crm,{change}")], 1, "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_doubles_the_rest_up_to_a_minute() {
    let rig = opened().await;
    rig.upstream().always(Line::status(503));
    let (mut at, mut requests) = (2_000, 7);
    for rest in [4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        rig.until(at).await;
        rig.lookup().heard().await;
        requests += 1;
        assert_eq!(u64::try_from(refused_for(&rig.lookup().heard().await)).unwrap(), rest);
        assert_eq!(rig.upstream().count(), requests);
        at += rest;
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_is_jittered_by_half_either_way() {
    for (roll, rest) in [(0.0, 1000), (0.5, 2000), (0.75, 2500)] {
        let rig = Setup { crm: NO_RAMP, chance: Chance::Loaded(roll), ..Setup::PLAIN }.rig();
        calls(&rig, 7, Line::status(503)).await;
        assert_eq!(refused_for(&rig.lookup().heard().await), rest);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_question_says_nothing_about_the_upstream() {
    let rig = rig();
    for status in [400, 401, 403, 404, 409, 410, 422, 429].into_iter().cycle().take(100) {
        calls(&rig, 1, Line::status(status)).await;
    }
    calls(&rig, 20, Line::fails(WireError::BodyTooLarge)).await;
    assert_eq!((state(&rig), rig.condition().breaker.attempts), (State::Closed, 0));
    calls(&rig, 6, Line::status(408)).await;
    calls(&rig, 1, Line::status(404)).await;
    assert_eq!(state(&rig), State::Closed);
    calls(&rig, 1, Line::status(408)).await;
    assert_eq!(state(&rig), State::Open, "a 404 in between does not end the run");
}

#[tokio::test(start_paused = true)]
async fn a_404_to_a_probe_gives_its_place_back_and_a_429_opens_again() {
    let rig = opened().await;
    rig.until(2000).await;
    calls(&rig, 2, Line::status(404)).await;
    assert_eq!((state(&rig), rig.upstream().count()), (State::HalfOpen, 9));
    calls(&rig, 1, Line::status(429)).await;
    assert_eq!(state(&rig), State::Open);
    assert_eq!(refused_for(&rig.lookup().heard().await), 4000);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_cut_short_by_its_caller_is_no_verdict() {
    let rig = rig();
    for _ in 0..30 {
        rig.upstream().next(Line::hangs());
        let heard = rig.lookup().within(1000).heard().await;
        assert_eq!(heard.outcome(), Outcome::DeadlineExceeded);
        assert_eq!(heard.decision(Stage::Attempt), "canceled");
    }
    assert_eq!((state(&rig), rig.condition().breaker.attempts), (State::Closed, 0));
    calls(&rig, 7, Line::hangs()).await;
    assert_eq!(state(&rig), State::Open, "its own time-out is one");
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_hangs_up_gives_its_place_back() {
    let rig = opened().await;
    rig.until(2000).await;
    rig.upstream().next(Line::hangs());
    let probe = rig.lookup().set_off().await;
    assert_eq!(refused_for(&rig.lookup().heard().await), 1000);
    probe.hang_up().await;
    assert_eq!(rig.upstream().in_flight(), 0);
    calls(&rig, 3, Line::status(200)).await;
    assert_eq!(state(&rig), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_the_probe_waits_no_longer_than_a_caller() {
    let crm = [
        "retry: {attempts: 1}",
        "breaker: {run: 1, close_after: 1, ramp: 0s, open: {first: 500ms}}",
        "concurrency: {limit: 2, wait: 100ms}",
    ];
    let cache = ["ttl: 60s", "stale_while_revalidate: 60s"];
    let rig = Setup { crm: &crm, cache: &cache, ..Setup::PLAIN }.rig();
    for id in 1..=2 {
        assert!(rig.lookup().id(id).heard().await.result.is_ok());
    }
    rig.until(60_000).await;
    // A refresh is under way, and no other may be beside it.
    rig.upstream().next(Line::status(200).after(1_900)).next(Line::status(503));
    assert_eq!(rig.lookup().id(1).heard().await.outcome(), Outcome::Stale);
    rig.settle().await;
    rig.lookup().id(3).heard().await;
    assert_eq!((state(&rig), rig.condition().in_flight), (State::Open, 1));
    rig.until(60_500).await;
    assert_eq!(rig.lookup().id(2).heard().await.outcome(), Outcome::Stale);
    rig.settle().await;
    assert_eq!(rig.upstream().instants()[2..], [60_000, 60_000, 60_500]);
    assert_eq!(state(&rig), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_full_is_no_verdict() {
    let crm = ["retry: {attempts: 1}", "concurrency: {limit: 1, wait: 0s}"];
    let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
    rig.upstream().next(Line::hangs());
    let holds = rig.lookup().set_off().await;
    for _ in 0..50 {
        assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Overloaded);
    }
    assert_eq!((state(&rig), rig.condition().breaker.attempts), (State::Closed, 0));
    holds.hang_up().await;
}

#[tokio::test(start_paused = true)]
async fn after_closing_a_growing_part_passes() {
    let crm = ["retry: {attempts: 1}", "breaker: {close_after: 1}"];
    let rig = Setup { crm: &crm, chance: Chance::Loaded(0.3), ..Setup::PLAIN }.rig();
    calls(&rig, 7, Line::status(503)).await;
    rig.until(2000).await;
    let closed = rig.now();
    assert!(rig.lookup().heard().await.result.is_ok());
    assert_eq!((state(&rig), closed), (State::Closed, 2000));
    assert_eq!(refused_for(&rig.lookup().heard().await), 1000, "a quarter passes");
    rig.until(6999).await;
    assert_eq!(refused_for(&rig.lookup().heard().await), 1000);
    rig.until(7000).await;
    assert!(rig.lookup().heard().await.result.is_ok(), "half of them pass");
}

#[tokio::test(start_paused = true)]
pub(crate) async fn one_that_is_switched_off_never_opens() {
    let crm = ["retry: {attempts: 1}", "breaker: {enabled: false}"];
    let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
    calls(&rig, 100, Line::fails(WireError::Connect)).await;
    assert_eq!((state(&rig), rig.upstream().count()), (State::Disabled, 100));
}

#[tokio::test(start_paused = true)]
async fn the_instant_at_which_it_opened_is_told() {
    let rig = rig();
    rig.until(4000).await;
    calls(&rig, 7, Line::status(503)).await;
    let series = r#"holdline_breaker_last_opened_timestamp_seconds{upstream="crm"}"#;
    assert_eq!(rig.metric(series), crate::support::rig::START as f64 + 4.0);
    assert_eq!(rig.metric(r#"holdline_breaker_state{upstream="crm",state="open"}"#), 1.0);
    let until = rig.condition().breaker.open_until.unwrap();
    assert_eq!(until - holdline::time::now(), Duration::from_secs(2));
}
