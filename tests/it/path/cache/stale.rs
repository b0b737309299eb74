//! What an answer past its time to live is worth: at once while it is refreshed behind, instead of a
//! failure, and instead of a long wait.

use std::time::Duration;

use holdline::telemetry::{
    outcome::{Outcome, Source},
    stage::Stage,
};

use super::{MINUTE, broken, named, source};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// Refreshed behind for half a minute.
const REVALIDATED: Setup<'_> =
    Setup { cache: &["ttl: 60s", "stale_while_revalidate: 30s"], ..MINUTE };
/// A spare for five minutes.
const SPARE: Setup<'_> = Setup { cache: &["ttl: 60s", "stale_if_error: 5m"], ..MINUTE };

/// A pipeline that was told of Ada at 0, at that instant.
async fn knows_ada(setup: Setup<'_>, at: u64) -> Rig {
    let rig = setup.rig();
    assert_eq!(source(&rig).await, Source::Upstream);
    rig.until(at).await;
    rig
}

fn refreshes(rig: &Rig, result: &str) -> u64 {
    let counts = rig.counts("holdline_cache_refreshes_total");
    counts.get(&format!("action=lookup,result={result}")).copied().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
pub(crate) async fn it_is_answered_at_once_while_one_refresh_runs() {
    let rig = knows_ada(REVALIDATED, 60_000).await;
    rig.upstream().always(named("Eve").after(50));
    for heard in rig.lookup().times(10).await {
        assert_eq!((heard.outcome(), heard.source()), (Outcome::Stale, Source::CacheStale));
        assert_eq!((heard.body(), heard.at), (r#"{"name":"Ada"}"#, 60_000));
        assert_eq!(heard.answer().age, Duration::from_secs(60));
        assert_eq!(heard.answer().ttl, Duration::ZERO);
        assert_eq!(heard.decision(Stage::Attempt), "", "the refresh is not the call's own");
    }
    assert_eq!((rig.upstream().count(), rig.pipeline.flights()), (2, 1));
    rig.until(60_050).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.source(), heard.body()), (Source::CacheFresh, r#"{"name":"Eve"}"#));
    assert_eq!((rig.upstream().count(), rig.pipeline.flights(), rig.tasks()), (2, 0, 0));
    assert_eq!((refreshes(&rig, "success"), refreshes(&rig, "skipped")), (1, 9));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_keeps_the_old_entry_and_is_tried_again_after_a_second() {
    let rig = knows_ada(REVALIDATED, 60_000).await;
    rig.upstream().always(Line::status(503));
    for (at, requests) in [(60_000, 2), (60_999, 2), (61_000, 3), (61_500, 3), (62_000, 4)] {
        rig.until(at).await;
        assert_eq!(source(&rig).await, Source::CacheStale);
        rig.settle().await;
        assert_eq!(rig.upstream().count(), requests, "{at}");
    }
    assert_eq!((refreshes(&rig, "failure"), refreshes(&rig, "skipped")), (3, 2));
    rig.until(89_999).await;
    assert_eq!(source(&rig).await, Source::CacheStale);
    rig.until(90_000).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_finds_nothing_removes_the_old_entry() {
    let rig = knows_ada(REVALIDATED, 60_000).await;
    rig.upstream().next(Line::status(404)).always(Line::status(503));
    assert_eq!(source(&rig).await, Source::CacheStale);
    rig.settle().await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_has_all_the_time_of_a_call_and_a_caller_in_a_hurry_takes_none_of_it() {
    let rig = knows_ada(REVALIDATED, 60_000).await;
    rig.upstream().always(named("Eve").after(1500));
    let heard = rig.lookup().within(100).heard().await;
    assert_eq!((heard.source(), heard.at), (Source::CacheStale, 60_000));
    rig.until(61_500).await;
    assert_eq!(source(&rig).await, Source::CacheFresh);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn it_stands_in_for_whatever_breaks() {
    for broken in broken().chain([429, 401, 302].map(Line::status)) {
        let rig = knows_ada(SPARE, 60_000).await;
        rig.upstream().always(broken.clone().after(20));
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.source(), heard.at), (Source::CacheStale, 60_020), "{broken:?}");
        assert_eq!(heard.body(), r#"{"name":"Ada"}"#);
        assert_eq!(rig.upstream().count(), 2, "the upstream is asked first");
        rig.until(359_999).await;
        assert_eq!(source(&rig).await, Source::CacheStale, "{broken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_stands_in_while_the_breaker_is_open_or_the_queue_is_full() {
    let rig = knows_ada(SPARE, 60_000).await;
    rig.upstream().always(Line::status(503));
    for second in 0..8 {
        rig.until(60_000 + second * 1000).await;
        assert_eq!(source(&rig).await, Source::CacheStale);
    }
    assert_eq!(rig.upstream().count(), 8, "seven failures, then nothing is sent");

    let crm = ["retry: {attempts: 1}", "concurrency: {limit: 1, wait: 10ms}"];
    let rig = knows_ada(Setup { crm: &crm, ..SPARE }, 60_000).await;
    rig.upstream().next(Line::hangs());
    let _holds = rig.lookup().id(2).set_off().await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.source(), heard.at), (Source::CacheStale, 60_010));
}

#[tokio::test(start_paused = true)]
async fn it_never_hides_that_the_upstream_refused() {
    for (status, outcome) in [
        (404, Outcome::NotFound),
        (410, Outcome::UpstreamRejected),
        (400, Outcome::UpstreamRejected),
        (409, Outcome::UpstreamRejected),
        (422, Outcome::UpstreamRejected),
    ] {
        let rig = knows_ada(SPARE, 60_000).await;
        rig.upstream().next(Line::status(status)).always(Line::status(503));
        assert_eq!(rig.lookup().heard().await.outcome(), outcome);
        let after =
            if [404, 410].contains(&status) { Outcome::UpstreamError } else { Outcome::Stale };
        assert_eq!(rig.lookup().heard().await.outcome(), after, "a {status} removes it, or not");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_worth_nothing_past_its_spare_time_or_without_any() {
    for (setup, at) in [(SPARE, 360_000), (MINUTE, 60_000)] {
        let rig = knows_ada(setup, at).await;
        rig.upstream().always(Line::status(503));
        assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError);
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_answered_instead_of_a_long_wait_and_the_fetch_goes_on() {
    let rig = knows_ada(SPARE, 60_000).await;
    rig.upstream().always(named("Eve").after(1000));
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.source(), heard.at), (Source::CacheStale, 60_300));
    assert_eq!(heard.decisions()[3..], ["flight: left", "cache: stale"]);
    assert_eq!((rig.pipeline.flights(), rig.upstream().in_flight()), (1, 1));
    let second = rig.lookup().heard().await;
    assert_eq!((second.source(), second.at), (Source::CacheStale, 60_600));
    rig.until(61_000).await;
    let third = rig.lookup().heard().await;
    assert_eq!((third.source(), third.body()), (Source::CacheFresh, r#"{"name":"Eve"}"#));
    assert_eq!((rig.upstream().count(), rig.pipeline.flights(), rig.tasks()), (2, 0, 0));
}

#[tokio::test(start_paused = true)]
pub(crate) async fn how_long_is_too_long_is_written_and_a_caller_in_a_hurry_waits_less() {
    for (cache, within, waits) in [
        (&["ttl: 60s", "stale_if_error: 5m", "stale_after: 700ms"][..], 5000, 700),
        (&["ttl: 60s", "stale_if_error: 5m"][..], 200, 180),
        (&["ttl: 60s", "stale_if_error: 5m", "stale_after: 0s"][..], 5000, 0),
        (&["ttl: 60s", "stale_if_error: 5m", "stale_after: 1m"][..], 5000, 2000),
    ] {
        let rig = knows_ada(Setup { cache, ..MINUTE }, 60_000).await;
        rig.upstream().always(Line::hangs());
        let heard = rig.lookup().within(within).heard().await;
        assert_eq!((heard.source(), heard.at), (Source::CacheStale, 60_000 + waits), "{cache:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_answer_within_the_patience_is_waited_for() {
    let rig = knows_ada(SPARE, 60_000).await;
    rig.upstream().always(named("Eve").after(299));
    let (leader, follower) = tokio::join!(rig.lookup().heard(), rig.lookup().heard());
    assert_eq!((leader.source(), leader.at), (Source::Upstream, 60_299));
    assert_eq!((follower.source(), follower.at), (Source::Coalesced, 60_299));
    for (heard, flight) in [(leader, "landed"), (follower, "joined")] {
        assert_eq!(heard.outcome(), Outcome::Ok);
        assert_eq!((heard.body(), heard.answer().age), (r#"{"name":"Eve"}"#, Duration::ZERO));
        assert_eq!(heard.decision(Stage::Flight), flight);
        assert_eq!(heard.decision(Stage::Cache), "refreshed");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_refreshed_first_and_spare_afterwards_whichever_time_is_longer() {
    let cache = ["ttl: 60s", "stale_while_revalidate: 30s", "stale_if_error: 90s"];
    let rig = knows_ada(Setup { cache: &cache, ..MINUTE }, 89_999).await;
    rig.upstream().always(Line::status(503).after(10));
    assert_eq!(rig.lookup().heard().await.at, 89_999, "revalidating: at once");
    rig.until(91_100).await;
    let heard = rig.lookup().heard().await;
    assert_eq!(
        (heard.source(), heard.at),
        (Source::CacheStale, 91_110),
        "spare: after the failure"
    );
    rig.until(150_000).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_under_way_is_joined_when_the_entry_has_become_a_spare() {
    let cache = ["ttl: 60s", "stale_while_revalidate: 30s", "stale_if_error: 90s"];
    for (takes, source_then, heard_at) in
        [(350, Source::Coalesced, 90_250), (1000, Source::CacheStale, 90_300)]
    {
        let rig = knows_ada(Setup { cache: &cache, ..MINUTE }, 89_900).await;
        rig.upstream().always(named("Eve").after(takes));
        assert_eq!(source(&rig).await, Source::CacheStale);
        rig.until(90_000).await;
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.source(), heard.at), (source_then, heard_at));
        rig.until(91_000).await;
        assert_eq!(source(&rig).await, Source::CacheFresh);
        assert_eq!((rig.upstream().count(), rig.pipeline.flights(), rig.tasks()), (2, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_with_an_old_answer_at_hand_cancels_nothing() {
    let rig = knows_ada(SPARE, 60_000).await;
    rig.upstream().next(Line::hangs());
    let follower = {
        let leader = rig.lookup().set_off().await;
        let follower = rig.lookup().set_off().await;
        leader.hang_up().await;
        follower
    };
    rig.upstream().release(named("Eve"));
    let heard = follower.heard().await;
    assert_eq!((heard.source(), heard.body()), (Source::Coalesced, r#"{"name":"Eve"}"#));
    assert_eq!(source(&rig).await, Source::CacheFresh);
    assert_eq!((rig.pipeline.flights(), rig.tasks()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_until_it_is_worth_nothing() {
    let cache = ["ttl: 60s", "stale_if_error: 2s", "stale_after: 1500ms"];
    let rig = knows_ada(Setup { cache: &cache, ..MINUTE }, 61_000).await;
    rig.upstream().next(Line::hangs());
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.source(), heard.at), (Source::CacheStale, 62_000));
}

#[tokio::test(start_paused = true)]
async fn who_has_nothing_passes_a_refresh_by_and_its_late_reply_changes_nothing() {
    let cache = ["ttl: 60s", "stale_while_revalidate: 2s"];
    let rig = knows_ada(Setup { cache: &cache, ..MINUTE }, 61_000).await;
    rig.upstream().next(Line::hangs()).next(named("Eve"));
    assert_eq!(source(&rig).await, Source::CacheStale);
    rig.until(62_000).await;
    assert_eq!(source(&rig).await, Source::Upstream, "it does not stand in line with the refresh");
    rig.upstream().release(named("Ada"));
    rig.settle().await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.source(), heard.body()), (Source::CacheFresh, r#"{"name":"Eve"}"#));
}
