//! An attempt's turn: who waits for it and how long, and how many there are at once.

use holdline::{
    client::WireError,
    telemetry::{outcome::Outcome, stage::Stage},
};

use super::{ONCE, ada};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// At most two attempts at once.
fn narrow(wait: &str) -> Rig {
    let concurrency = format!("concurrency: {{limit: 2, wait: {wait}}}");
    Setup { crm: &[&concurrency, "retry: {attempts: 1}"], ..Setup::PLAIN }.rig()
}

#[tokio::test(start_paused = true)]
async fn attempts_beyond_the_limit_wait_for_their_turn() {
    let rig = narrow("100ms");
    rig.upstream().always(ada().after(60));
    let mut at: Vec<_> = rig.lookup().times(4).await.iter().map(|heard| heard.at).collect();
    at.sort_unstable();
    assert_eq!(at, [60, 60, 120, 120]);
    assert_eq!(rig.upstream().most_in_flight(), 2);
    assert_eq!(rig.condition().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_come_is_given_up_and_nothing_is_sent() {
    let rig = narrow("100ms");
    rig.upstream().always(ada().after(150));
    let heard = rig.lookup().times(3).await;
    let (good, shed): (Vec<_>, Vec<_>) = heard.iter().partition(|heard| heard.result.is_ok());
    assert_eq!((good.len(), shed.len(), rig.upstream().count()), (2, 1, 2));
    assert_eq!((shed[0].outcome(), shed[0].at), (Outcome::Overloaded, 100));
    assert_eq!(shed[0].decision(Stage::Upstream), "saturated");
    assert_eq!(shed[0].failure().retry_after().unwrap().as_secs(), 1);
    let calls = rig.counts("holdline_upstream_calls_total");
    assert_eq!(calls["upstream=crm,result=shed,retried=false"], 1);
}

#[tokio::test(start_paused = true)]
async fn at_most_a_tenth_of_the_time_left_is_spent_in_line() {
    let rig = narrow("1s");
    rig.upstream().always(Line::hangs());
    let _first = rig.lookup().set_off().await;
    let _second = rig.lookup().set_off().await;
    let heard = rig.lookup().within(500).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Overloaded, 45));
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Overloaded, 45 + 475));
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_gives_a_permit_or_a_place_in_line_back() {
    let rig = narrow("1s");
    rig.upstream().next(Line::hangs()).next(Line::hangs());
    let first = rig.lookup().set_off().await;
    let second = rig.lookup().set_off().await;
    let in_line = rig.lookup().set_off().await;
    let behind = rig.lookup().set_off().await;
    assert_eq!((rig.condition().in_flight, rig.condition().limit), (2, 2));
    in_line.hang_up().await;
    first.hang_up().await;
    assert_eq!(behind.heard().await.at, 0);
    second.hang_up().await;
    assert_eq!((rig.condition().in_flight, rig.upstream().in_flight()), (0, 0));
}

/// One attempt at once, and an answer about customer 1 that is past its time.
async fn stale_and_narrow() -> Rig {
    let setup = Setup {
        crm: &["concurrency: {limit: 1, wait: 100ms}", "retry: {attempts: 1}"],
        cache: &["ttl: 60s", "stale_while_revalidate: 30s"],
        ..Setup::PLAIN
    };
    let rig = setup.rig();
    assert!(rig.lookup().id(1).heard().await.result.is_ok());
    rig.until(60_000).await;
    rig
}

#[tokio::test(start_paused = true)]
async fn a_refresh_lets_callers_go_first() {
    let rig = stale_and_narrow().await;
    rig.upstream().always(ada().after(60));
    let _holds = rig.lookup().id(2).set_off().await;
    assert_eq!(rig.lookup().id(1).heard().await.outcome(), Outcome::Stale);
    rig.settle().await;
    assert_eq!(rig.lookup().id(3).heard().await.at, 60_120);
    rig.until(60_180).await;
    let seen = rig.upstream().seen();
    let paths: Vec<_> = seen.iter().map(|seen| &*seen.path).collect();
    assert_eq!(paths, ["/v2/users/1", "/v2/users/2", "/v2/users/3", "/v2/users/1"]);
    assert_eq!(rig.upstream().most_in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_waits_for_half_of_its_time_since_nobody_waits_for_it() {
    for (held, result) in [(2_374, "success"), (2_376, "failure")] {
        let rig = stale_and_narrow().await;
        // Longer than one attempt may take, so two hold the permit one after the other.
        rig.upstream().next(ada().after(1_900));
        let _holds = rig.lookup().id(2).set_off().await;
        assert_eq!(rig.lookup().id(1).heard().await.outcome(), Outcome::Stale);
        rig.until(61_850).await;
        rig.upstream().next(ada().after(held - 1_900));
        let _holds_next = rig.lookup().id(3).set_off().await;
        rig.until(64_000).await;
        let refreshes = rig.counts("holdline_cache_refreshes_total");
        assert_eq!(refreshes[&format!("action=lookup,result={result}")], 1, "{refreshes:?}");
    }
}

/// Rounds of as many attempts as may be under way at once, each of which ends like `line`.
async fn after_rounds_of(line: Line) -> usize {
    let rig = Setup { crm: ONCE, ..Setup::PLAIN }.rig();
    assert_eq!(rig.condition().limit, 20);
    rig.upstream().always(line.after(50));
    for _ in 0..30 {
        rig.lookup().times(rig.condition().limit).await;
    }
    let limit = rig.condition().limit;
    assert_eq!(rig.metric(r#"holdline_upstream_concurrency_limit{upstream="crm"}"#), limit as f64);
    limit
}

#[tokio::test(start_paused = true)]
async fn answers_raise_the_limit() {
    for answer in [ada(), Line::status(404), Line::status(410)] {
        assert!(after_rounds_of(answer).await > 30);
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_and_silence_lower_the_limit() {
    for refusal in [Line::status(503), Line::status(429), Line::fails(WireError::Timeout)] {
        assert!(after_rounds_of(refusal).await < 15);
    }
}

#[tokio::test(start_paused = true)]
async fn other_failures_tell_nothing_about_the_limit() {
    for failure in [
        Line::status(500),
        Line::status(401),
        Line::status(302),
        Line::fails(WireError::Connect),
        Line::fails(WireError::Reset),
        Line::fails(WireError::Protocol),
    ] {
        assert_eq!(after_rounds_of(failure).await, 20);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_short_or_hangs_up_tells_nothing_about_the_limit() {
    let rig = Setup { crm: ONCE, ..Setup::PLAIN }.rig();
    rig.upstream().always(Line::hangs());
    for _ in 0..30 {
        rig.lookup().within(800).times(20).await;
    }
    assert_eq!(rig.condition().limit, 20);
    rig.lookup().set_off().await.hang_up().await;
    assert_eq!((rig.condition().in_flight, rig.condition().limit), (0, 20));
    for _ in 0..2 {
        rig.lookup().times(20).await;
    }
    assert!(rig.condition().limit < 20, "an attempt that had all its time tells something");
}
