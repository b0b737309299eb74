//! A failure of a moment ago: for a second it is told to all who ask for the same, and nothing is
//! sent.

use holdline::{
    catalog::name::Name,
    pipeline::{cache::Manner, operate::Purge},
    telemetry::{
        outcome::{Outcome, Source},
        stage::Stage,
    },
};
use serde_json::json;

use super::{MINUTE, broken, named, source};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

fn memos(rig: &Rig) -> usize {
    rig.pipeline.answers().actions[0].memos
}

#[tokio::test(start_paused = true)]
async fn what_the_upstream_did_is_told_for_a_second_and_nothing_is_sent() {
    for broken in broken() {
        let rig = MINUTE.rig();
        rig.upstream().next(broken.clone().after(20));
        let first = rig.lookup().heard().await;
        rig.until(1019).await;
        let second = rig.lookup().heard().await;
        assert_eq!(second.failure().outcome(), first.failure().outcome(), "{broken:?}");
        assert_eq!(second.failure().detail(), first.failure().detail(), "{broken:?}");
        assert_eq!((second.at, rig.upstream().count()), (1019, 1), "{broken:?}");
        assert_eq!(second.decisions()[3..], ["flight: remembered", "cache: failed"]);
        assert_eq!(memos(&rig), 1);
        rig.until(1020).await;
        assert_eq!(source(&rig).await, Source::Upstream, "{broken:?}");
        let lookups = rig.counts("holdline_cache_lookups_total");
        assert_eq!(lookups["cache=response,action=lookup,result=miss"], 2);
        assert_eq!(lookups["cache=response,action=lookup,result=negative_hit"], 1);
        rig.pipeline.sweep();
        assert_eq!(memos(&rig), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_upstreams_own_is_not_remembered_at_all() {
    for status in [302, 400, 401, 403, 404, 407, 408, 409, 410, 422, 429] {
        let rig = MINUTE.rig();
        rig.upstream().next(Line::status(status));
        assert!(rig.lookup().heard().await.result.is_err());
        assert_eq!(memos(&rig), 0, "{status}");
        assert_eq!(source(&rig).await, Source::Upstream, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_the_flights_own_time_cut_short_is_not_remembered() {
    let crm = ["timeouts: {attempt: 4700ms}", "concurrency: {limit: 1, wait: 1s}"];
    let rig = Setup { crm: &crm, ..MINUTE }.rig();
    rig.upstream().next(Line::status(200).after(100)).next(Line::hangs());
    let before = rig.lookup().id(2).set_off().await;
    let heard = rig.lookup().heard().await;
    before.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::DeadlineExceeded, 4750));
    rig.settle().await;
    assert_eq!(source(&rig).await, Source::Upstream);
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_here_is_not_remembered() {
    let rig = MINUTE.rig();
    rig.upstream().always(Line::status(503));
    for id in 1..=7 {
        rig.lookup().id(id).heard().await;
    }
    for _ in 0..2 {
        let heard = rig.lookup().id(8).heard().await;
        assert_eq!(heard.outcome(), Outcome::BreakerOpen);
        assert_eq!(heard.decision(Stage::Flight), "breaker_open");
    }
    assert_eq!(memos(&rig), 7);

    let crm = ["retry: {attempts: 1}", "concurrency: {limit: 1, wait: 10ms}"];
    let rig = Setup { crm: &crm, ..MINUTE }.rig();
    rig.upstream().next(Line::hangs());
    let holds = rig.lookup().id(2).set_off().await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Overloaded);
    holds.hang_up().await;
    rig.upstream().release(named("Ada"));
    rig.settle().await;
    assert_eq!((memos(&rig), source(&rig).await), (0, Source::Upstream));
}

#[tokio::test(start_paused = true)]
async fn a_burst_on_a_failing_upstream_is_one_attempt_a_second_and_no_recovery_is_late() {
    let rig = MINUTE.rig();
    rig.upstream().always(Line::status(503));
    for tenth in 0..29 {
        rig.until(tenth * 100).await;
        for heard in rig.lookup().times(50).await {
            assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamError, rig.now()));
        }
    }
    assert_eq!(rig.upstream().instants(), [0, 1000, 2000]);
    rig.upstream().always(named("Ada"));
    rig.until(2999).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError);
    rig.until(3000).await;
    assert_eq!(source(&rig).await, Source::Upstream);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_upstream_named_shrinks() {
    let rig = MINUTE.rig();
    rig.upstream().always(Line::status(503).header("retry-after", "5"));
    for (at, left) in [(0, 5000), (1, 4999), (600, 4400), (999, 4001)] {
        rig.until(at).await;
        let heard = rig.lookup().heard().await;
        let told = heard.failure().retry_after().map(|wait| wait.as_millis());
        assert_eq!((told, heard.at), (Some(left), u128::from(at)));
    }
    assert_eq!(rig.upstream().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_or_the_fallback_stands_in_for_it_at_once() {
    let cache = ["ttl: 60s", "stale_if_error: 5m"];
    let rig = Setup { cache: &cache, lookup: &["fallback: {name: Nobody}"], ..MINUTE }.rig();
    source(&rig).await;
    rig.until(60_000).await;
    rig.upstream().always(Line::status(503).after(20));
    for (id, expected) in [(1, Source::CacheStale), (2, Source::Fallback)] {
        let began = rig.now();
        let (first, sent) = (rig.lookup().id(id).heard().await, rig.upstream().count());
        assert_eq!((first.source(), first.at), (expected, began + 20));
        let second = rig.lookup().id(id).heard().await;
        assert_eq!((second.source(), second.at), (expected, began + 20));
        assert_eq!(second.decision(Stage::Flight), "remembered");
        assert_eq!(rig.upstream().count(), sent);
    }
    let lookups = rig.counts("holdline_cache_lookups_total");
    assert_eq!(lookups["cache=response,action=lookup,result=stale"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_is_remembered_when_the_entry_has_become_a_spare() {
    let cache = ["ttl: 60s", "stale_while_revalidate: 30s", "stale_if_error: 90s"];
    let rig = Setup { cache: &cache, ..MINUTE }.rig();
    source(&rig).await;
    rig.until(89_500).await;
    rig.upstream().always(Line::status(503));
    assert_eq!(source(&rig).await, Source::CacheStale);
    rig.until(90_499).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.source(), heard.decision(Stage::Flight)), (Source::CacheStale, "remembered"));
    assert_eq!(rig.upstream().count(), 2);
    rig.until(90_500).await;
    assert_eq!(source(&rig).await, Source::CacheStale);
    assert_eq!(rig.upstream().count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_was_told_to_wait_rests_and_nobody_else_is_told_so() {
    let cache = ["ttl: 60s", "stale_while_revalidate: 30s", "stale_if_error: 90s"];
    let rig = Setup { cache: &cache, ..MINUTE }.rig();
    source(&rig).await;
    rig.until(89_500).await;
    rig.upstream().next(Line::status(429));
    for _ in 0..3 {
        assert_eq!(source(&rig).await, Source::CacheStale);
        rig.settle().await;
    }
    assert_eq!(rig.upstream().count(), 2);
    rig.until(90_000).await;
    assert_eq!(source(&rig).await, Source::Upstream, "a spare is only for what fails now");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_nobody_who_asks_for_another() {
    let rig = MINUTE.rig();
    rig.upstream().next(Line::status(503));
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError);
    assert_eq!(rig.lookup().id(2).heard().await.source(), Source::Upstream);
    let other = rig.lookup().input(&json!({"id": 1, "lang": "de"})).heard().await;
    assert_eq!(other.source(), Source::Upstream);
}

#[tokio::test(start_paused = true)]
async fn a_purge_forgets_the_failures_that_it_covers() {
    let action = |name| Name::new(name).expect("a name");
    let customer = |id: &str| Purge::Customer { customer: id.to_owned(), action: action("lookup") };
    for manner in [Manner::Hard, Manner::Soft] {
        for (purge, forgotten) in [
            (customer("1"), true),
            (Purge::Action(action("lookup")), true),
            (Purge::All, true),
            (customer("2"), false),
            (Purge::Action(action("update")), false),
        ] {
            let rig = MINUTE.rig();
            rig.upstream().next(Line::status(503));
            rig.lookup().heard().await;
            rig.purge_by(&purge, manner);
            assert_eq!(rig.lookup().heard().await.result.is_ok(), forgotten, "{purge:?}");
        }
    }
}
