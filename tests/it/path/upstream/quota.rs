//! What the upstream's vendor allows: paid by every attempt, waited for a moment, and kept for calls
//! before refreshes.

use std::time::Duration;

use holdline::telemetry::{
    outcome::{Outcome, Source},
    stage::Stage,
};

use super::{ada, held_because_of, held_for};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// One attempt each 50 ms, after so many at once.
fn rig(burst: u32) -> Rig {
    with(burst, &["retry: {attempts: 1}"])
}

/// The same with further keys of the upstream.
fn with(burst: u32, further: &[&str]) -> Rig {
    let quota = format!("quota: {{rate: 20/s, burst: {burst}}}");
    let crm: Vec<_> = further.iter().copied().chain([&*quota]).collect();
    Setup { crm: &crm, ..Setup::PLAIN }.rig()
}

fn held(rig: &Rig) -> u64 {
    held_because_of(rig, "quota")
}

#[tokio::test(start_paused = true)]
async fn a_place_is_waited_for_where_it_comes_soon_and_not_where_it_comes_late() {
    let rig = rig(2);
    let mut heard = rig.lookup().times(6).await;
    heard.sort_by_key(|heard| (heard.result.is_err(), heard.at));
    let (good, bad) = heard.split_at(4);
    assert!(good.iter().all(|heard| heard.result.is_ok()));
    assert_eq!(good.iter().map(|heard| heard.at).collect::<Vec<_>>(), [0, 0, 50, 100]);
    for heard in bad {
        assert_eq!((held_for(heard), heard.at), (150, 0));
    }
    assert_eq!(rig.upstream().instants(), [0, 0, 50, 100]);
    assert_eq!(held(&rig), 2);
    let calls = rig.counts("holdline_upstream_calls_total");
    assert_eq!(calls["upstream=crm,result=shed,retried=false"], 2);
}

#[tokio::test(start_paused = true)]
async fn at_most_a_tenth_of_the_time_left_is_waited() {
    let rig = rig(1);
    rig.lookup().heard().await;
    // A call that may take 490 ms has 441 of them, and 44 for a line.
    let heard = rig.lookup().within(490).heard().await;
    assert_eq!((held_for(&heard), heard.at), (50, 0));
    let heard = rig.lookup().within(560).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 50));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_pays_too_and_one_that_cannot_hides_nothing() {
    let rig = with(2, &["retry: {backoff: {first: 2ms}}", "concurrency: {wait: 10ms}"]);
    rig.upstream().always(Line::status(503));
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.failure().upstream_status(), heard.at), (Some(503), 3));
    assert_eq!((rig.upstream().count(), held(&rig)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_no_verdict_and_never_repeated() {
    let rig = with(1, &["concurrency: {wait: 0s}", "retry: {on: [connect, reset, 503]}"]);
    rig.lookup().heard().await;
    for ask in ["lookup", "update"].into_iter().cycle().take(30) {
        assert_eq!(held_for(&rig.ask(ask).heard().await), 50);
    }
    assert_eq!((rig.upstream().count(), rig.condition().breaker.attempts), (1, 1));
    assert_eq!(rig.counts("holdline_upstream_retries_total").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_breaker_refuses_costs_nothing() {
    let rig = with(10, &["breaker: {run: 1}", "retry: {attempts: 1}"]);
    rig.upstream().always(Line::status(503));
    for _ in 0..5 {
        rig.lookup().heard().await;
    }
    assert_eq!((rig.upstream().count(), rig.condition().quota_left), (1, Some(0.9)));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_gets_no_turn_gives_its_place_back() {
    let rig = with(4, &["concurrency: {limit: 1, wait: 0s}", "retry: {attempts: 1}"]);
    rig.upstream().next(Line::hangs());
    let holds = rig.lookup().set_off().await;
    for _ in 0..10 {
        assert_eq!(rig.lookup().heard().await.decision(Stage::Upstream), "saturated");
    }
    assert_eq!(rig.condition().quota_left, Some(0.75));
    holds.hang_up().await;
    assert_eq!(rig.condition().quota_left, Some(0.75), "what was sent is spent");
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_while_it_waits_gives_its_place_back() {
    let rig = rig(1);
    rig.lookup().heard().await;
    let leaves = rig.lookup().set_off().await;
    assert_eq!(held_for(&rig.lookup().within(900).heard().await), 100);
    rig.until(10).await;
    leaves.hang_up().await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 50));
    // One who waits for a permit with its place in hand, too.
    let rig = with(2, &["concurrency: {limit: 1, wait: 100ms}"]);
    rig.upstream().next(Line::hangs());
    let holds = rig.lookup().set_off().await;
    let in_line = rig.lookup().set_off().await;
    assert_eq!(rig.condition().quota_left, Some(0.0));
    in_line.hang_up().await;
    assert_eq!(rig.condition().quota_left, Some(0.5));
    holds.hang_up().await;
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_is_given_at_once_where_the_upstream_may_not_be_asked() {
    let crm = ["quota: {rate: 1/m, burst: 1}", "retry: {attempts: 1}"];
    let cache = ["ttl: 10s", "stale_if_error: 5m"];
    let setup =
        Setup { crm: &crm, cache: &cache, lookup: &["fallback: {name: Nobody}"], ..Setup::PLAIN };
    let rig = setup.rig();
    rig.lookup().heard().await;
    rig.until(20_000).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.source(), heard.at), (Source::CacheStale, 20_000));
    let heard = rig.lookup().id(2).heard().await;
    assert_eq!((heard.source(), heard.at), (Source::Fallback, 20_000));
    assert_eq!(rig.upstream().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn refreshes_neither_wait_nor_take_the_last_fifth() {
    let crm = ["quota: {rate: 1/s, burst: 5}", "retry: {attempts: 1}", "concurrency: {wait: 2s}"];
    let cache = ["ttl: 10s", "stale_while_revalidate: 10s"];
    let rig = Setup { crm: &crm, cache: &cache, ..Setup::PLAIN }.rig();
    for id in 1..=5 {
        rig.lookup().id(id).heard().await;
    }
    rig.until(12_000).await;
    for id in 1..=5 {
        assert_eq!(rig.lookup().id(id).heard().await.source(), Source::CacheStale);
    }
    rig.settle().await;
    assert_eq!((rig.upstream().count(), held(&rig)), (9, 1), "four refreshes pass, the fifth not");
    assert_eq!(rig.condition().quota_left, Some(0.2));
    assert_eq!(rig.lookup().id(6).heard().await.at, 12_000, "the last place is for a call");
    let refreshes = rig.counts("holdline_cache_refreshes_total");
    assert_eq!(refreshes["action=lookup,result=failure"], 1);
}

/// A pipeline that has answers about so many customers which are past their time, at 60,000.
async fn stale(crm: &[&str], customers: i64) -> Rig {
    let cache = ["ttl: 10s", "stale_while_revalidate: 5m"];
    let rig = Setup { crm, cache: &cache, ..Setup::PLAIN }.rig();
    for id in 1..=customers {
        assert!(rig.lookup().id(id).heard().await.result.is_ok());
    }
    rig.until(60_000).await;
    rig
}

#[tokio::test(start_paused = true)]
async fn refreshes_leave_a_place_of_the_smallest_burst_too() {
    for burst in 2..=4 {
        let quota = format!("quota: {{rate: 1/s, burst: {burst}}}");
        let rig = stale(&[&quota, "retry: {attempts: 1}"], burst).await;
        for id in 1..=burst {
            assert_eq!(rig.lookup().id(id).heard().await.source(), Source::CacheStale);
        }
        rig.settle().await;
        assert_eq!((rig.upstream().count() as i64, held(&rig)), (2 * burst - 1, 1));
        assert_eq!(rig.lookup().id(9).heard().await.at, 60_000, "the last place is for a call");
    }
    // Of a burst of one nothing can be left without refusing refreshes for ever.
    let rig = stale(&["quota: {rate: 1/s, burst: 1}"], 1).await;
    rig.lookup().heard().await;
    rig.settle().await;
    assert_eq!(rig.upstream().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn refreshes_that_stood_in_line_leave_within_the_quota() {
    let crm = [
        "quota: {rate: 20/s, burst: 5}",
        "concurrency: {limit: 1, wait: 100ms}",
        "retry: {attempts: 1}",
    ];
    let rig = stale(&crm, 3).await;
    rig.upstream().next(ada().after(1_900));
    let holds = rig.lookup().id(4).set_off().await;
    for id in 1..=3 {
        assert_eq!(rig.lookup().id(id).heard().await.source(), Source::CacheStale);
    }
    rig.settle().await;
    assert_eq!((rig.condition().refreshes_waiting, rig.condition().quota_left), (3, Some(0.8)));
    // By now the quota is whole again, and calls use all of it.
    rig.until(61_890).await;
    let mut calls = Vec::new();
    for id in 11..=15 {
        calls.push(rig.lookup().id(id).set_off().await);
    }
    for call in calls {
        assert_eq!(call.heard().await.at, 61_900);
    }
    rig.settle().await;
    assert_eq!(holds.heard().await.outcome(), Outcome::Ok);
    let together = rig.upstream().instants().iter().filter(|at| **at == 61_900).count();
    assert_eq!((together, held(&rig)), (5, 3), "no more leave than the burst");
    let refreshes = rig.counts("holdline_cache_refreshes_total");
    assert_eq!(refreshes["action=lookup,result=failure"], 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_it_is_told() {
    let rig = rig(4);
    rig.upstream().always(ada().after(10));
    rig.lookup().times(3).await;
    let series = r#"holdline_upstream_quota_left_ratio{upstream="crm"}"#;
    assert_eq!(rig.metric(series), 0.25);
    rig.until(1_000).await;
    assert_eq!(rig.metric(series), 1.0);
    let without = Setup::PLAIN.rig();
    without.lookup().heard().await;
    assert_eq!(without.condition().quota_left, None);
    assert_eq!(without.counts("holdline_upstream_quota_left_ratio").len(), 0);
    assert!(without.condition().not_before_left == Duration::ZERO);
}
