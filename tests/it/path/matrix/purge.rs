//! An operator removes what is known about a customer.

use holdline::telemetry::outcome::Source;

use super::{
    given::{self, KEPT, OnLine, named},
    then, when,
};
use crate::support::scripted::Line;

#[tokio::test(start_paused = true)]
pub(super) async fn a_purged_answer_is_gone_at_once() {
    let rig = given::fresh().await;
    assert_eq!(when::customer_1_is_purged(&rig), 1);
    then::nothing_was_kept(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_purged_answer_is_not_served_stale_nor_brought_back_by_its_refresh() {
    let rig = given::stale().await;
    rig.upstream().next(Line::hangs());
    then::ada_is_served_stale(&rig).await;
    rig.settle().await;
    assert_eq!((rig.pipeline.flights(), rig.upstream().in_flight()), (1, 1), "the refresh");
    assert_eq!(when::customer_1_is_purged(&rig), 1);
    rig.upstream().release(named("Ada"));
    then::nothing_is_left(&rig).await;
    then::nothing_was_kept(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_leader_is_answered_and_who_asks_after_joins_nothing() {
    let (rig, leader) = given::leader().await;
    assert_eq!(when::customer_1_is_purged(&rig), 0);
    then::nothing_was_kept(&rig).await;
    assert_eq!(rig.upstream().count(), 2, "who asked after the purge asked anew");
    rig.upstream().release(named("Ada"));
    then::is_from(&leader.heard().await, Source::Upstream, "Ada");
    then::is_from(&rig.lookup().heard().await, Source::CacheFresh, "Zoe");
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_waiter_is_answered_and_nothing_is_kept() {
    let (rig, leader, waiter) = given::waiter().await;
    when::customer_1_is_purged(&rig);
    when::the_upstream_says(&rig, &named("Ada"));
    then::is_from(&leader.heard().await, Source::Upstream, "Ada");
    then::is_from(&waiter.heard().await, Source::Coalesced, "Ada");
    then::nothing_is_left(&rig).await;
    then::nothing_was_kept(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_probe_counts_and_its_answer_is_not_kept() {
    let (rig, probe) = given::probe(KEPT).await;
    when::customer_1_is_purged(&rig);
    when::the_upstream_says(&rig, &named("Ada"));
    then::is_from(&probe.heard().await, Source::Upstream, "Ada");
    then::two_more_probes_close_the_breaker(&rig).await;
    then::nothing_is_left(&rig).await;
    then::nothing_was_kept(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn what_a_repeat_brings_is_told_and_not_kept() {
    let (rig, waits) = given::retry_wait(KEPT).await;
    when::customer_1_is_purged(&rig);
    let heard = waits.heard().await;
    then::is_from(&heard, Source::Upstream, "Ada");
    assert_eq!(heard.at, 500);
    then::nothing_is_left(&rig).await;
    then::nothing_was_kept(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn what_was_in_line_is_told_and_not_kept() {
    let (rig, holder, in_line) = given::permit_wait(KEPT).await;
    when::customer_1_is_purged(&rig);
    let after = OnLine::new(&rig, rig.lookup()).await;
    assert_eq!(rig.pipeline.flights(), 2, "the one of customer 2, and the new one of customer 1");
    when::the_upstream_says(&rig, &named("Ada"));
    then::is_from(&holder.heard().await, Source::Upstream, "Ada");
    then::is_from(&in_line.heard().await, Source::Upstream, "Ada");
    then::is_from(&after.heard().await, Source::Upstream, "Ada");
    assert_eq!(rig.upstream().count(), 3, "who asked after the purge joined nothing");
    then::nothing_is_left(&rig).await;
    then::a_hit_asks_nobody(&rig).await;
}
