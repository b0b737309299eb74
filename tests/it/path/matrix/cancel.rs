//! The caller hangs up.

use futures_util::FutureExt;
use holdline::telemetry::outcome::{Outcome, Source};

use super::{
    given::{self, NOT_KEPT, OnLine, named},
    then, when,
};
use crate::support::scripted::Line;

#[tokio::test(start_paused = true)]
pub(super) async fn a_hit_is_over_before_its_caller_can_hang_up() {
    let rig = given::fresh().await;
    let heard = rig.lookup().heard().now_or_never();
    then::is_from(&heard.expect("it never waits"), Source::CacheFresh, "Ada");
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn who_hangs_up_beside_a_spare_answer_takes_no_fetch_with_it() {
    let rig = given::spare().await;
    rig.upstream().next(Line::hangs());
    let call = OnLine::new(&rig, rig.lookup()).await;
    call.hang_up(&rig).await;
    assert_eq!((rig.pipeline.flights(), rig.upstream().in_flight()), (1, 1));
    when::the_upstream_says(&rig, &named("Eve"));
    then::nothing_is_left(&rig).await;
    then::is_from(&rig.lookup().heard().await, Source::CacheFresh, "Eve");
    assert_eq!(rig.upstream().count(), 2);
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_leader_who_hangs_up_leaves_the_flight_to_its_followers() {
    let (rig, leader) = given::leader().await;
    let follower = OnLine::new(&rig, rig.lookup()).await;
    leader.hang_up(&rig).await;
    let late = OnLine::new(&rig, rig.lookup()).await;
    when::the_upstream_says(&rig, &named("Ada"));
    then::is_from(&follower.heard().await, Source::Coalesced, "Ada");
    then::is_from(&late.heard().await, Source::Coalesced, "Ada");
    then::a_hit_asks_nobody(&rig).await;
    assert_eq!(rig.upstream().count(), 1);
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_waiter_who_hangs_up_gives_its_place_to_another() {
    let (rig, leader, waiter) = given::waiter().await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Overloaded);
    waiter.hang_up(&rig).await;
    let another = OnLine::new(&rig, rig.lookup()).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Overloaded);
    when::the_upstream_says(&rig, &named("Ada"));
    then::is_from(&leader.heard().await, Source::Upstream, "Ada");
    then::is_from(&another.heard().await, Source::Coalesced, "Ada");
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_probe_whose_caller_hangs_up_frees_its_place_at_once() {
    let (rig, probe) = given::probe(NOT_KEPT).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::BreakerOpen);
    probe.hang_up(&rig).await;
    then::nothing_is_left(&rig).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 2_000), "the next call probes");
    then::two_more_probes_close_the_breaker(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_caller_who_hangs_up_between_attempts_is_asked_for_no_more() {
    let (rig, waits) = given::retry_wait(NOT_KEPT).await;
    waits.hang_up(&rig).await;
    then::nothing_is_left(&rig).await;
    rig.until(10_000).await;
    assert_eq!(rig.upstream().instants(), [0]);
}

#[tokio::test(start_paused = true)]
pub(super) async fn one_who_leaves_the_line_sends_nothing_and_lets_the_next_move_up() {
    let (rig, holder, in_line) = given::permit_wait(NOT_KEPT).await;
    let behind = OnLine::new(&rig, rig.lookup().id(3)).await;
    in_line.hang_up(&rig).await;
    when::the_upstream_says(&rig, &named("Ada"));
    assert_eq!(behind.heard().await.at, 0);
    assert_eq!(holder.heard().await.at, 0);
    let paths: Vec<_> = rig.upstream().seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v2/users/2", "/v2/users/3"]);
    then::nothing_is_left(&rig).await;
}
