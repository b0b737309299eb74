//! The reply takes a second and a half to its last byte, which is within an attempt's time.

use holdline::{
    mechanism::breaker::State,
    telemetry::outcome::{Outcome, Source},
};

use super::{
    given::{self, NOT_KEPT, OnLine},
    then, when,
};

#[tokio::test(start_paused = true)]
pub(super) async fn a_slow_upstream_is_not_noticed() {
    let rig = given::fresh().await;
    when::it_is_slow(&rig);
    then::a_hit_asks_nobody(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_slow_refresh_makes_nobody_wait() {
    let rig = given::stale().await;
    when::it_is_slow(&rig);
    then::ada_is_served_stale(&rig).await;
    rig.until(61_499).await;
    then::ada_is_served_stale(&rig).await;
    rig.until(61_500).await;
    then::is_from(&rig.lookup().heard().await, Source::CacheFresh, "Eve");
    assert_eq!(rig.upstream().count(), 2);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_slow_reply_is_waited_for_and_kept() {
    let (rig, leader) = given::leader().await;
    when::it_is_slow(&rig);
    let heard = leader.heard().await;
    then::is_from(&heard, Source::Upstream, "Eve");
    assert_eq!(heard.at, 1_500);
    then::is_from(&rig.lookup().heard().await, Source::CacheFresh, "Eve");
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn who_comes_late_waits_for_the_rest_only() {
    let (rig, leader) = given::leader().await;
    when::it_is_slow(&rig);
    rig.until(1_400).await;
    let late = OnLine::new(&rig, rig.lookup().within(200)).await.heard().await;
    then::is_from(&late, Source::Coalesced, "Eve");
    assert_eq!((late.at, leader.heard().await.at), (1_500, 1_500));
    assert_eq!(rig.upstream().count(), 1);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_slow_probe_keeps_its_place_and_counts() {
    let (rig, probe) = given::probe(NOT_KEPT).await;
    when::it_is_slow(&rig);
    rig.until(3_499).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::BreakerOpen);
    assert_eq!(probe.heard().await.at, 3_500);
    assert_eq!(rig.condition().breaker.state, State::HalfOpen);
    then::two_more_probes_close_the_breaker(&rig).await;
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_repeat_has_all_the_time_of_an_attempt() {
    let (rig, waits) = given::retry_wait(NOT_KEPT).await;
    when::it_is_slow(&rig);
    let heard = waits.heard().await;
    then::is_from(&heard, Source::Upstream, "Eve");
    assert_eq!(heard.at, 2_000);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_slow_reply_keeps_its_permit_and_one_in_line_gives_up() {
    let (rig, holder, in_line) = given::permit_wait(NOT_KEPT).await;
    when::it_is_slow(&rig);
    let heard = in_line.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Overloaded, 400));
    assert_eq!(rig.condition().in_flight, 1);
    let heard = holder.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 1_500));
    assert_eq!(rig.upstream().count(), 1);
    then::nothing_is_left(&rig).await;
}
