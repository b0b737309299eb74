//! One fetch for all who wait for the same answer, whoever of them leaves.

use std::time::Duration;

use holdline::{
    pipeline::{cache::Room, call::Call},
    telemetry::{
        outcome::{Outcome, Source},
        stage::Stage,
        steps::Steps,
    },
};
use serde_json::json;

use super::{MINUTE, named, source};
use crate::support::{ask::Heard, rig::Setup, scripted::Line};

fn from(heard: &[Heard], source: Source) -> usize {
    heard.iter().filter(|heard| heard.result.as_ref().is_ok_and(|a| a.source == source)).count()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_for_one_customer_are_one_request() {
    let rig = MINUTE.rig();
    rig.upstream().always(named("Ada").after(50));
    let heard = rig.lookup().times(100).await;
    assert_eq!(rig.upstream().count(), 1);
    assert_eq!((from(&heard, Source::Upstream), from(&heard, Source::Coalesced)), (1, 99));
    assert!(heard.iter().all(|heard| heard.at == 50 && heard.body() == r#"{"name":"Ada"}"#));
    let roles = rig.counts("holdline_coalesced_requests_total");
    assert_eq!(roles["action=lookup,role=leader"], 1);
    assert_eq!(roles["action=lookup,role=follower"], 99);
}

#[tokio::test(start_paused = true)]
async fn the_leader_tells_the_flights_steps_and_a_follower_that_it_joined() {
    let rig = MINUTE.rig();
    rig.upstream().always(named("Ada").after(50));
    let (leader, follower) = tokio::join!(rig.lookup().heard(), rig.lookup().heard());
    let expected = [
        "attempt: 200",
        "upstream: answered",
        "map_output: mapped",
        "flight: landed",
        "cache: miss",
    ];
    assert_eq!(leader.decisions()[3..], expected);
    assert_eq!(follower.decisions()[3..], ["flight: joined", "cache: coalesced"]);
    let waited = follower.steps.iter().map(|step| step.took.as_millis()).max();
    assert_eq!(waited, Some(50));
}

#[tokio::test(start_paused = true)]
async fn two_customers_never_share_a_flight() {
    let rig = MINUTE.rig();
    rig.upstream().rule(|seen| named(seen.path.rsplit('/').next().unwrap()).after(50));
    let (one, two) = tokio::join!(rig.lookup().id(1).heard(), rig.lookup().id(2).heard());
    assert_eq!((one.body(), two.body()), (r#"{"name":"1"}"#, r#"{"name":"2"}"#));
    assert_eq!((rig.upstream().count(), rig.upstream().most_in_flight()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_cancels_nothing() {
    let rig = MINUTE.rig();
    rig.upstream().next(Line::hangs());
    rig.lookup().set_off().await.hang_up().await;
    assert_eq!((rig.pipeline.flights(), rig.upstream().in_flight()), (1, 1));
    rig.upstream().release(named("Ada"));
    rig.settle().await;
    assert_eq!((rig.pipeline.flights(), rig.tasks()), (0, 0));
    assert_eq!(source(&rig).await, Source::CacheFresh);
    assert_eq!(rig.upstream().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_has_met_what_the_flight_had_met_until_then() {
    let retry = "retry: {attempts: 2, backoff: {first: 10ms, max: 10ms}}";
    let rig = Setup { crm: &[retry], ..MINUTE }.rig();
    rig.upstream().next(Line::status(503)).next(Line::hangs());
    let (leader, follower) = (rig.lookup().call(), rig.lookup().call());
    let both = async { tokio::join!(rig.pipeline.run(&leader), rig.pipeline.run(&follower)) };
    let patience = Duration::from_millis(300);
    assert!(tokio::time::timeout(patience, both).await.is_err(), "both hang up");
    let met = |call: &Call| {
        let steps = call.trail.steps();
        let words = steps.iter().map(|step| (step.stage, step.decision)).skip(3).collect();
        let words: Vec<_> = words;
        (words, Steps::of(&steps).by_stage().waited(), call.trail.met().breaker)
    };
    let left = [(Stage::Flight, "left"), (Stage::Cache, "left")];
    let led = [(Stage::Attempt, "503"), left[0], left[1]];
    assert_eq!(met(&leader), (led.into(), patience, Some("closed")));
    assert_eq!(met(&follower), (left.into(), patience, None));
    // What comes of the flight later is none of theirs.
    rig.upstream().release(named("Ada"));
    rig.settle().await;
    assert_eq!(met(&leader).0, led);
    assert_eq!(source(&rig).await, Source::CacheFresh);
}

#[tokio::test(start_paused = true)]
async fn followers_are_served_when_their_leader_hangs_up() {
    let rig = MINUTE.rig();
    rig.upstream().next(Line::hangs());
    let leader = rig.lookup().set_off().await;
    let first = rig.lookup().set_off().await;
    let second = rig.lookup().set_off().await;
    leader.hang_up().await;
    first.hang_up().await;
    rig.upstream().release(named("Ada"));
    assert_eq!(second.heard().await.source(), Source::Coalesced);
    assert_eq!(rig.upstream().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_time_is_up_leaves_and_the_flight_fills_the_cache() {
    let rig = MINUTE.rig();
    rig.upstream().next(named("Ada").after(1500));
    let (hasty, patient) = tokio::join!(rig.lookup().within(500).heard(), rig.lookup().heard());
    assert_eq!((hasty.outcome(), hasty.at), (Outcome::DeadlineExceeded, 450));
    assert_eq!(hasty.decisions()[3..], ["flight: left", "cache: deadline_exceeded"]);
    assert_eq!((patient.source(), patient.at), (Source::Coalesced, 1500));
    assert_eq!(source(&rig).await, Source::CacheFresh);
    assert_eq!(rig.upstream().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flight_has_its_whole_time_however_little_its_leader_has() {
    let rig = Setup { crm: &[], ..MINUTE }.rig();
    rig.upstream().next(Line::hangs()).next(Line::hangs()).next(named("Ada").after(600));
    let heard = rig.lookup().within(200).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::DeadlineExceeded, 180));
    rig.until(4675).await;
    assert_eq!(rig.upstream().instants(), [0, 2025, 4075]);
    assert_eq!(source(&rig).await, Source::CacheFresh);
}

#[tokio::test(start_paused = true)]
async fn a_flight_ends_with_its_time() {
    let rig = MINUTE.rig();
    rig.upstream().always(Line::hangs());
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamTimeout, 2000));
    assert_eq!((rig.pipeline.flights(), rig.tasks(), rig.upstream().in_flight()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_by_those_who_wait_and_not_remembered_beyond_a_second() {
    for (line, outcome, forgotten_at) in [
        (Line::status(400), Outcome::UpstreamRejected, 50),
        (Line::status(404), Outcome::NotFound, 50),
        (Line::status(503), Outcome::UpstreamError, 1050),
        (Line::json(&json!({"name": 7})), Outcome::MappingError, 1050),
    ] {
        let rig = MINUTE.rig();
        rig.upstream().next(line.after(50));
        for heard in rig.lookup().times(20).await {
            assert_eq!((heard.outcome(), heard.at), (outcome, 50));
        }
        assert_eq!(rig.upstream().count(), 1);
        rig.until(forgotten_at).await;
        assert_eq!(source(&rig).await, Source::Upstream);
        assert_eq!(rig.upstream().count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_may_not_be_kept_is_shared_by_those_who_wait_all_the_same() {
    let rig = Setup { room: Room { memory: 1 << 20, max_entry: 1 }, ..MINUTE }.rig();
    rig.upstream().always(named("Ada").after(50));
    for round in 1..=2 {
        for heard in rig.lookup().times(20).await {
            assert_eq!((heard.body(), heard.at), (r#"{"name":"Ada"}"#, round * 50));
        }
        assert_eq!(u128::try_from(rig.upstream().count()), Ok(round));
    }
}

#[tokio::test(start_paused = true)]
async fn who_led_and_who_followed_is_told_of_a_404_too() {
    let rig = MINUTE.rig();
    rig.upstream().next(Line::status(404).after(50));
    let (leader, follower) = tokio::join!(rig.lookup().heard(), rig.lookup().heard());
    let sources = (leader.failure().source(), follower.failure().source());
    assert_eq!(sources, (Source::Upstream, Source::Coalesced));
}

#[tokio::test(start_paused = true)]
pub(crate) async fn as_many_wait_for_one_flight_as_may_and_no_more() {
    let rig = Setup { cache: &["ttl: 60s", "max_waiters: 2"], ..MINUTE }.rig();
    rig.upstream().next(Line::hangs());
    let leader = rig.lookup().set_off().await;
    let first = rig.lookup().set_off().await;
    let second = rig.lookup().set_off().await;
    let turned_away = rig.lookup().heard().await;
    assert_eq!((turned_away.outcome(), turned_away.at), (Outcome::Overloaded, 0));
    assert_eq!(turned_away.failure().detail(), "Too many calls are waiting for the same record");
    assert_eq!(turned_away.failure().retry_after().unwrap().as_secs(), 1);
    assert_eq!(turned_away.decision(Stage::Cache), "overloaded");

    first.hang_up().await;
    let third = rig.lookup().set_off().await;
    rig.upstream().release(named("Ada"));
    for waiting in [leader, second, third] {
        assert!(waiting.heard().await.result.is_ok());
    }
    assert_eq!(rig.upstream().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_turned_away_from_a_flight_takes_the_old_answer_or_the_fallback() {
    let cache = ["ttl: 60s", "max_waiters: 1", "stale_if_error: 5m"];
    let rig = Setup { cache: &cache, lookup: &["fallback: {name: Nobody}"], ..MINUTE }.rig();
    source(&rig).await;
    rig.until(60_000).await;
    rig.upstream().always(Line::hangs());
    for id in [1, 2] {
        let _leader = rig.lookup().id(id).set_off().await;
        let _follower = rig.lookup().id(id).set_off().await;
        let heard = rig.lookup().id(id).heard().await;
        let expected = if id == 1 { Source::CacheStale } else { Source::Fallback };
        assert_eq!((heard.source(), heard.at), (expected, 60_000));
    }
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_panics_is_a_bug_to_its_waiters_and_blocks_nobody_after_them() {
    let rig = MINUTE.rig();
    rig.upstream().rule(|_| panic!("planted: a bug in the fetch"));
    let (leader, follower) = tokio::join!(rig.lookup().heard(), rig.lookup().heard());
    assert_eq!(leader.outcome(), Outcome::InternalError);
    assert_eq!(follower.outcome(), Outcome::InternalError);
    assert_eq!((rig.pipeline.flights(), rig.tasks(), rig.condition().in_flight), (0, 0, 0));
    rig.upstream().always(named("Ada"));
    assert_eq!(source(&rig).await, Source::Upstream);
}
