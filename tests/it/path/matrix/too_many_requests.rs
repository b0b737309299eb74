//! The upstream says 429, and to come back in a second.

use std::time::Duration;

use holdline::telemetry::outcome::{Outcome, Source};

use super::{
    given::{self, NOT_KEPT, OnLine, named},
    then, when,
};

#[tokio::test(start_paused = true)]
pub(super) async fn an_upstream_that_wants_to_wait_is_not_noticed() {
    let rig = given::fresh().await;
    when::it_says_429(&rig);
    then::a_hit_asks_nobody(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_refresh_that_is_told_to_wait_keeps_the_old_answer_and_waits() {
    let rig = given::stale().await;
    when::the_upstream_says(&rig, &named("Eve"));
    rig.upstream().next(when::told_to_wait());
    then::ada_is_served_stale(&rig).await;
    rig.until(60_900).await;
    then::ada_is_served_stale(&rig).await;
    assert_eq!(rig.upstream().count(), 2, "it is not asked before its time");
    rig.until(65_000).await;
    rig.lookup().heard().await;
    rig.settle().await;
    then::is_from(&rig.lookup().heard().await, Source::CacheFresh, "Eve");
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_flight_waits_as_told_for_all_who_ask() {
    let (rig, leader) = given::leader().await;
    when::it_says_429(&rig);
    rig.upstream().always(named("Ada"));
    rig.until(900).await;
    let late = OnLine::new(&rig, rig.lookup()).await;
    let (leader, late) = (leader.heard().await, late.heard().await);
    then::is_from(&leader, Source::Upstream, "Ada");
    then::is_from(&late, Source::Coalesced, "Ada");
    assert_eq!((leader.at, late.at), (1_025, 1_025));
    assert_eq!(rig.upstream().instants(), [0, 1_025]);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_waiter_is_told_what_the_flight_was_told() {
    let (rig, leader, waiter) = given::waiter().await;
    when::it_says_429(&rig);
    let (leader, waiter) = (leader.heard().await, waiter.heard().await);
    for heard in [leader, waiter] {
        assert_eq!(heard.failure().upstream_status(), Some(429));
        assert_eq!(heard.failure().retry_after().expect("it says when").as_secs(), 1);
        assert_eq!(heard.at, 2_075);
    }
    assert_eq!(rig.upstream().count(), 3, "one flight's attempts");
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_probe_that_is_told_to_wait_opens_the_breaker_again() {
    let (rig, probe) = given::probe(NOT_KEPT).await;
    when::it_says_429(&rig);
    assert_eq!(probe.heard().await.failure().upstream_status(), Some(429));
    then::the_breaker_rests_for(&rig, 4_000).await;
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn what_the_upstream_asks_comes_on_top_of_the_backoff() {
    let (rig, waits) = given::retry_wait(NOT_KEPT).await;
    rig.upstream().next(when::told_to_wait());
    let heard = waits.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 2_000));
    assert_eq!(rig.upstream().instants(), [0, 500, 2_000]);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn who_is_in_line_when_it_asks_to_wait_is_told_at_once() {
    let (rig, holder, in_line) = given::permit_wait(NOT_KEPT).await;
    rig.upstream().release(when::told_to_wait());
    let heard = in_line.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Overloaded, 0), "nobody is held for it");
    assert_eq!(heard.failure().retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(holder.heard().await.at, 1_500);
    assert_eq!(rig.upstream().instants(), [0, 1_500]);
    then::nothing_is_left(&rig).await;
}
