//! The token authority fails.

use holdline::telemetry::outcome::{Outcome, Source};

use super::{
    given::{self, NOT_KEPT, OnLine, named},
    then, when,
};
use crate::support::rig::Rig;

/// A call with a token that the authority has not been asked about: neither served nor refused.
async fn a_stranger_is_told_to_come_back(rig: &Rig) {
    let before = (rig.upstream().count(), short_circuited(rig));
    let heard = rig.lookup().token("unknown").heard().await;
    assert_eq!(heard.outcome(), Outcome::AuthUnavailable);
    assert!(heard.failure().retry_after().is_some());
    assert_eq!((rig.upstream().count(), short_circuited(rig)), before, "it came no further");
}

fn short_circuited(rig: &Rig) -> f64 {
    rig.metric(r#"holdline_breaker_short_circuited_total{upstream="crm"}"#)
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_known_token_is_answered_and_an_unknown_one_is_not_refused() {
    let rig = given::fresh().await;
    when::the_authority_is_down(&rig);
    then::a_hit_asks_nobody(&rig).await;
    a_stranger_is_told_to_come_back(&rig).await;
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_refresh_asks_nobody_who_it_is_for() {
    let rig = given::stale().await;
    when::the_authority_is_down(&rig);
    rig.upstream().always(named("Eve"));
    then::ada_is_served_stale(&rig).await;
    rig.settle().await;
    then::is_from(&rig.lookup().heard().await, Source::CacheFresh, "Eve");
    assert_eq!(rig.authority().count(), 1);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_leader_is_not_identified_twice() {
    let (rig, leader) = given::leader().await;
    when::the_authority_is_down(&rig);
    when::the_upstream_says(&rig, &named("Ada"));
    then::is_from(&leader.heard().await, Source::Upstream, "Ada");
    then::a_hit_asks_nobody(&rig).await;
    assert_eq!(rig.authority().count(), 1);
}

#[tokio::test(start_paused = true)]
pub(super) async fn who_cannot_be_identified_joins_no_flight() {
    let (rig, leader, waiter) = given::waiter().await;
    when::the_authority_is_down(&rig);
    a_stranger_is_told_to_come_back(&rig).await;
    assert_eq!(rig.pipeline.flights(), 1);
    when::the_upstream_says(&rig, &named("Ada"));
    then::is_from(&leader.heard().await, Source::Upstream, "Ada");
    then::is_from(&waiter.heard().await, Source::Coalesced, "Ada");
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn who_cannot_be_identified_takes_no_probes_place() {
    let (rig, probe) = given::probe(NOT_KEPT).await;
    when::the_authority_is_down(&rig);
    a_stranger_is_told_to_come_back(&rig).await;
    probe.hang_up(&rig).await;
    a_stranger_is_told_to_come_back(&rig).await;
    rig.upstream().only([]).always(named("Ada"));
    assert!(rig.lookup().heard().await.result.is_ok(), "the place was free for a known caller");
    then::two_more_probes_close_the_breaker(&rig).await;
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_repeat_is_not_identified_again() {
    let (rig, waits) = given::retry_wait(NOT_KEPT).await;
    when::the_authority_is_down(&rig);
    let heard = waits.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 500));
    assert_eq!(rig.authority().count(), 1);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn one_in_line_is_not_identified_again() {
    let (rig, holder, in_line) = given::permit_wait(NOT_KEPT).await;
    when::the_authority_is_down(&rig);
    let stranger = OnLine::new(&rig, rig.lookup().token("unknown")).await.heard().await;
    assert_eq!(stranger.outcome(), Outcome::AuthUnavailable, "and it took no place in line");
    when::the_upstream_says(&rig, &named("Ada"));
    for heard in [holder.heard().await, in_line.heard().await] {
        assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 0));
    }
    assert_eq!(rig.upstream().count(), 2);
    then::nothing_is_left(&rig).await;
}
