//! Nothing comes, and time is up.

use holdline::telemetry::outcome::{Outcome, Source};

use super::{
    given::{self, NOT_KEPT, OnLine, named},
    then, when,
};

#[tokio::test(start_paused = true)]
pub(super) async fn a_silent_upstream_is_not_noticed() {
    let rig = given::fresh().await;
    when::it_is_silent(&rig);
    then::a_hit_asks_nobody(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_refresh_that_times_out_keeps_the_old_answer() {
    let rig = given::stale().await;
    when::it_is_silent(&rig);
    then::ada_is_served_stale(&rig).await;
    rig.until(64_750).await;
    then::nothing_is_left(&rig).await;
    assert!(rig.upstream().count() > 1, "it was tried");
    then::ada_is_served_stale(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_flight_ends_with_its_time_and_keeps_nothing() {
    let (rig, leader) = given::leader().await;
    when::it_is_silent(&rig);
    let heard = leader.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::DeadlineExceeded, 4_750));
    then::nothing_is_left(&rig).await;
    rig.until(5_750).await;
    then::nothing_was_kept(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_waiter_whose_time_is_up_leaves_and_the_flight_goes_on() {
    let (rig, leader) = given::leader().await;
    let hasty = OnLine::new(&rig, rig.lookup().within(500)).await.heard().await;
    assert_eq!((hasty.outcome(), hasty.at), (Outcome::DeadlineExceeded, 450));
    assert_eq!(rig.pipeline.flights(), 1);
    when::the_upstream_says(&rig, &named("Ada"));
    then::is_from(&leader.heard().await, Source::Upstream, "Ada");
    then::a_hit_asks_nobody(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_probe_that_times_out_doubles_the_rest() {
    let (rig, probe) = given::probe(NOT_KEPT).await;
    when::it_is_silent(&rig);
    let heard = probe.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamTimeout, 4_000));
    then::the_breaker_rests_for(&rig, 4_000).await;
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_call_that_waited_between_attempts_ends_with_its_deadline() {
    let (rig, waits) = given::retry_wait(NOT_KEPT).await;
    when::it_is_silent(&rig);
    let heard = waits.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamTimeout, 4_750));
    assert_eq!(rig.upstream().instants(), [0, 500, 3_000]);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn one_whose_turn_does_not_come_is_refused_within_its_wait() {
    let (rig, holder, in_line) = given::permit_wait(NOT_KEPT).await;
    when::it_is_silent(&rig);
    let heard = in_line.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Overloaded, 400));
    assert_eq!(rig.upstream().count(), 1, "nothing was sent");
    assert_eq!(holder.heard().await.at, 4_500, "a third attempt could not finish");
    then::nothing_is_left(&rig).await;
}
