//! What is repeated, when, and out of which budget.

use std::time::Duration;

use holdline::{
    chance::Chance,
    client::WireError,
    telemetry::{outcome::Outcome, stage::Stage},
};

use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

const SUPPRESSED: &str = "holdline_upstream_retries_suppressed_total";
const NO_BREAKER: &str = "breaker: {enabled: false}";

/// A pipeline without a breaker, with these keys of `retry`.
fn rig(retry: &str) -> Rig {
    Setup { crm: &[&format!("retry: {{{retry}}}"), NO_BREAKER], ..Setup::PLAIN }.rig()
}

/// How many retries were not made, for that reason.
fn suppressed(rig: &Rig, reason: &str) -> u64 {
    let series = format!("upstream=crm,reason={reason}");
    rig.counts(SUPPRESSED).get(&series).copied().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_repeated_after_half_its_ceiling() {
    let causes = [
        (Line::fails(WireError::Connect), "connect"),
        (Line::fails(WireError::Dns), "connect"),
        (Line::fails(WireError::Reset), "reset"),
        (Line::fails(WireError::Timeout), "timeout"),
        (Line::status(408), "status_4xx"),
        (Line::status(502), "status_5xx"),
        (Line::status(503), "status_5xx"),
        (Line::status(504), "status_5xx"),
    ];
    for (cause, reason) in causes {
        let rig = Setup::PLAIN.rig();
        rig.upstream().next(cause.clone());
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 25), "{cause:?}");
        assert_eq!(rig.upstream().instants(), [0, 25], "{cause:?}");
        let retries = rig.counts("holdline_upstream_retries_total");
        assert_eq!(retries[&format!("upstream=crm,reason={reason}")], 1);
        assert_eq!(heard.decision(Stage::Upstream), "retried");
    }
}

#[tokio::test(start_paused = true)]
async fn what_would_come_out_the_same_is_not_repeated() {
    let statuses = [301, 400, 401, 403, 404, 409, 410, 422, 429, 500, 501];
    let errors = [WireError::Tls, WireError::Protocol, WireError::BodyTooLarge];
    let causes = statuses.map(Line::status).into_iter().chain(errors.map(Line::fails));
    for cause in causes {
        let rig = Setup::PLAIN.rig();
        rig.upstream().next(cause.clone());
        assert!(rig.lookup().heard().await.result.is_err(), "{cause:?}");
        assert_eq!(rig.upstream().count(), 1, "{cause:?}");
        assert_eq!(rig.counts(SUPPRESSED).len(), 0, "{cause:?}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn only_the_causes_that_are_written_are_repeated() {
    for (cause, requests) in [
        (Line::status(500), 2),
        (Line::fails(WireError::Connect), 2),
        (Line::status(503), 1),
        (Line::fails(WireError::Reset), 1),
        (Line::fails(WireError::Timeout), 1),
    ] {
        let rig = rig("on: [500, connect]");
        rig.upstream().next(cause.clone());
        rig.lookup().heard().await;
        assert_eq!(rig.upstream().count(), requests, "{cause:?}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_ceiling_doubles_up_to_its_top_and_attempts_end_at_their_number() {
    let rig = rig("attempts: 10");
    rig.upstream().always(Line::status(503));
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamError, 2775));
    let waits = [25, 50, 100, 200, 400, 500, 500, 500, 500];
    let instants = rig.upstream().instants();
    let between: Vec<_> = instants.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(between, waits);
    assert_eq!(suppressed(&rig, "limit_reached"), 1);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_wait_is_any_part_of_the_ceiling() {
    for (roll, wait) in [(0.0, 0), (0.9, 180)] {
        let crm = ["retry: {backoff: {first: 200ms}}"];
        let rig = Setup { crm: &crm, chance: Chance::Loaded(roll), ..Setup::PLAIN }.rig();
        rig.upstream().next(Line::status(503));
        assert_eq!(rig.lookup().heard().await.at, wait);
    }
}

#[tokio::test(start_paused = true)]
async fn one_attempt_means_never_again() {
    let rig = rig("attempts: 1");
    rig.upstream().always(Line::status(503));
    rig.lookup().heard().await;
    assert_eq!((rig.upstream().count(), suppressed(&rig, "limit_reached")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_says_when_is_taken_at_its_word() {
    for (after, wait) in [
        ("1", 1000),
        ("0", 0),
        (" 2 ", 2000),
        ("Wed, 01 Jan 2025 00:00:03 GMT", 3000),
        ("Wednesday, 01-Jan-25 00:00:03 GMT", 3000),
        ("Tue, 31 Dec 2024 23:59:59 GMT", 0),
        ("soon", 0),
        ("-1", 0),
        ("1.5", 0),
    ] {
        let rig = Setup::PLAIN.rig();
        rig.upstream().next(Line::status(503).header("retry-after", after));
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, wait + 25), "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_is_repeated_only_where_it_says_when() {
    for after in ["1", "Wed, 01 Jan 2025 00:00:01 GMT"] {
        let rig = rig("on: [connect]");
        rig.upstream().next(Line::status(429).header("retry-after", after));
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 1025), "{after}");
        let retries = rig.counts("holdline_upstream_retries_total");
        assert_eq!(retries["upstream=crm,reason=retry_after"], 1);
    }
    for after in ["soon", "", "1.5", "99999999999999999999"] {
        let rig = Setup::PLAIN.rig();
        rig.upstream().next(Line::status(429).header("retry-after", after));
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.failure().upstream_status(), heard.at), (Some(429), 0), "{after}");
        assert_eq!(rig.upstream().count(), 1, "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_wait_is_passed_on_where_it_cannot_be_waited_for() {
    let rig = Setup::PLAIN.rig();
    rig.upstream().next(Line::status(503).header("retry-after", "10"));
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.at, rig.upstream().count()), (0, 1));
    assert_eq!(heard.failure().retry_after(), Some(Duration::from_secs(10)));
    assert_eq!(suppressed(&rig, "deadline"), 1);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_is_begun_that_could_not_finish() {
    // The call's time ends at 900: what is begun at 750 has its 150 ms, a millisecond later not.
    for (fails_at, requests) in [(725, 2), (726, 1)] {
        let rig = rig("");
        rig.upstream().next(Line::status(503).after(fails_at));
        let heard = rig.lookup().within(1000).heard().await;
        assert_eq!(rig.upstream().count(), requests, "{fails_at}");
        assert_eq!(heard.result.is_ok(), requests == 2);
        assert_eq!(suppressed(&rig, "deadline"), 2 - requests as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_with_too_little_time_sends_nothing() {
    for (within, requests) in [(160, 0), (170, 1)] {
        let rig = rig("");
        let heard = rig.lookup().within(within).heard().await;
        assert_eq!(rig.upstream().count(), requests);
        let outcome = if requests == 0 { Outcome::DeadlineExceeded } else { Outcome::Ok };
        assert_eq!((heard.outcome(), heard.at), (outcome, 0));
        let result = if requests == 0 { "shed" } else { "success" };
        let calls = rig.counts("holdline_upstream_calls_total");
        assert_eq!(calls[&format!("upstream=crm,result={result},retried=false")], 1);
        assert_eq!(calls.len(), 1);
    }
    // What is cut short on its way has failed.
    let rig = rig("");
    rig.upstream().next(Line::hangs());
    let heard = rig.lookup().within(1000).heard().await;
    assert_eq!(heard.outcome(), Outcome::DeadlineExceeded);
    let calls = rig.counts("holdline_upstream_calls_total");
    assert_eq!(calls["upstream=crm,result=failure,retried=false"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_changes_something_is_repeated_only_where_it_was_never_sent() {
    for (cause, requests) in [
        (Line::fails(WireError::Connect), 2),
        (Line::fails(WireError::Dns), 2),
        (Line::fails(WireError::Reset), 1),
        (Line::fails(WireError::Timeout), 1),
        (Line::status(503), 1),
        (Line::status(429).header("retry-after", "1"), 1),
        (Line::hangs(), 1),
    ] {
        let rig = rig("");
        rig.upstream().next(cause.clone());
        let heard = rig.ask("update").heard().await;
        assert_eq!(heard.result.is_ok(), requests == 2, "{cause:?}");
        assert_eq!(rig.upstream().count(), requests, "{cause:?}");
        assert_eq!(suppressed(&rig, "not_idempotent"), 2 - requests as u64, "{cause:?}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn an_idempotency_key_makes_it_repeatable_and_stays_the_same() {
    let rig = rig("idempotency_key: Idempotency-Key");
    rig.upstream().next(Line::status(503)).next(Line::fails(WireError::Reset));
    assert!(rig.ask("update").heard().await.result.is_ok());
    assert!(rig.ask("update").heard().await.result.is_ok());
    let seen = rig.upstream().seen();
    let keys: Vec<_> = seen.iter().map(|seen| seen.header("idempotency-key")).collect();
    assert_eq!(keys.len(), 4);
    assert_eq!((keys[0].len(), keys[0], keys[0]), (32, keys[1], keys[2]));
    assert_ne!(keys[0], keys[3], "another call is another change");
}

#[tokio::test(start_paused = true)]
async fn repeats_are_a_share_of_first_tries() {
    let rig = rig("budget: {ratio: 0.2, per_second: 0, window: 10s}");
    rig.upstream().always(Line::status(503));
    for call in 1..=10 {
        rig.lookup().heard().await;
        assert_eq!(rig.upstream().count(), call + call / 5);
    }
    assert_eq!(suppressed(&rig, "budget_exhausted"), 10);
    assert_eq!(rig.metric(r#"holdline_upstream_retry_budget_ratio{upstream="crm"}"#), 0.0);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_few_repeats_a_second_are_always_allowed() {
    let rig = rig("attempts: 2, budget: {ratio: 0, per_second: 0.3, window: 10s}");
    rig.upstream().always(Line::status(503));
    for _ in 0..10 {
        rig.lookup().heard().await;
    }
    assert_eq!(rig.upstream().count(), 13);
    rig.until(10_100).await;
    for _ in 0..10 {
        rig.lookup().heard().await;
    }
    assert_eq!(rig.upstream().count(), 26);
}

#[tokio::test(start_paused = true)]
async fn refreshes_leave_half_of_the_budget_to_callers() {
    let retry = "retry: {attempts: 2, budget: {ratio: 0, per_second: 1, window: 10s}}";
    let cache = ["ttl: 10s", "stale_while_revalidate: 5m"];
    let rig = Setup { crm: &[retry, NO_BREAKER], cache: &cache, ..Setup::PLAIN }.rig();
    for id in 1..=20 {
        assert!(rig.lookup().id(id).heard().await.result.is_ok());
    }
    rig.until(60_000).await;
    rig.upstream().always(Line::status(503));
    for id in 1..=20 {
        assert_eq!(rig.lookup().id(id).heard().await.outcome(), Outcome::Stale);
    }
    rig.until(61_000).await;
    assert_eq!((rig.upstream().count(), suppressed(&rig, "budget_exhausted")), (20 + 20 + 5, 15));
    assert_eq!(rig.condition().budget_left, 0.5);
    for id in 101..=106 {
        rig.lookup().id(id).heard().await;
    }
    assert_eq!((rig.upstream().count(), suppressed(&rig, "budget_exhausted")), (45 + 6 + 5, 16));
    assert_eq!(rig.condition().budget_left, 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_between_two_attempts_ends_the_repeats() {
    let rig = Setup { crm: &["breaker: {run: 2}"], ..Setup::PLAIN }.rig();
    rig.upstream().always(Line::status(503));
    let heard = rig.lookup().heard().await;
    // What the upstream did is told, not that the repeat was refused here.
    // No wait is made for a repeat that would be refused.
    assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamError, 25));
    assert_eq!(heard.failure().upstream_status(), Some(503));
    assert_eq!((rig.upstream().count(), suppressed(&rig, "breaker_open")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_wait_holds_no_permit() {
    let crm = ["concurrency: {limit: 1, wait: 0s}", "retry: {backoff: {first: 1s}}"];
    let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
    rig.upstream().next(Line::status(503));
    let waits = rig.lookup().set_off().await;
    assert_eq!(rig.condition().in_flight, 0);
    assert_eq!(rig.lookup().heard().await.at, 0);
    assert_eq!(waits.heard().await.at, 500);
}

#[tokio::test(start_paused = true)]
async fn what_an_open_breaker_refuses_earns_no_repeats() {
    let crm = [
        "breaker: {run: 2, open: {first: 60s}}",
        "retry: {attempts: 1, budget: {ratio: 0.2, per_second: 0, window: 10s}}",
    ];
    let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
    rig.upstream().always(Line::status(503));
    for _ in 0..100 {
        rig.lookup().heard().await;
    }
    assert_eq!(rig.upstream().count(), 2);
    assert_eq!(rig.metric(r#"holdline_upstream_retry_budget_ratio{upstream="crm"}"#), 0.0);
}
