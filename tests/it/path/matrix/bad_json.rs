//! The upstream says 200, and what follows is no JSON.

use holdline::telemetry::outcome::Outcome;

use super::{
    given::{self, NOT_KEPT},
    then, when,
};

#[tokio::test(start_paused = true)]
pub(super) async fn what_cannot_be_read_is_not_noticed() {
    let rig = given::fresh().await;
    when::it_sends_a_page(&rig);
    then::a_hit_asks_nobody(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_refresh_that_cannot_be_read_keeps_the_old_answer() {
    let rig = given::stale().await;
    when::it_sends_a_page(&rig);
    then::ada_is_served_stale(&rig).await;
    then::nothing_is_left(&rig).await;
    rig.until(60_900).await;
    then::ada_is_served_stale(&rig).await;
    assert_eq!(rig.upstream().count(), 2, "it rests for a second");
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn what_cannot_be_read_is_told_and_never_kept() {
    let (rig, leader) = given::leader().await;
    when::it_sends_a_page(&rig);
    let heard = leader.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::MappingError, 0));
    assert_eq!(rig.upstream().count(), 1, "asking again would not make it better");
    then::nothing_is_left(&rig).await;
    rig.until(1_000).await;
    then::nothing_was_kept(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn what_cannot_be_read_is_asked_for_once_for_all() {
    let (rig, leader, waiter) = given::waiter().await;
    when::it_sends_a_page(&rig);
    for heard in [leader.heard().await, waiter.heard().await] {
        assert_eq!((heard.outcome(), heard.at), (Outcome::MappingError, 0));
    }
    assert_eq!(rig.upstream().count(), 1);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_probe_that_cannot_be_read_was_answered_all_the_same() {
    let (rig, probe) = given::probe(NOT_KEPT).await;
    when::it_sends_a_page(&rig);
    assert_eq!(probe.heard().await.outcome(), Outcome::MappingError);
    then::two_more_probes_close_the_breaker(&rig).await;
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn what_cannot_be_read_is_not_asked_for_again() {
    let (rig, waits) = given::retry_wait(NOT_KEPT).await;
    when::it_sends_a_page(&rig);
    let heard = waits.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::MappingError, 500));
    assert_eq!(rig.upstream().instants(), [0, 500]);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn what_cannot_be_read_gives_its_permit_on() {
    let (rig, holder, in_line) = given::permit_wait(NOT_KEPT).await;
    when::it_sends_a_page(&rig);
    for heard in [holder.heard().await, in_line.heard().await] {
        assert_eq!((heard.outcome(), heard.at), (Outcome::MappingError, 0));
    }
    assert_eq!((rig.upstream().count(), rig.upstream().most_in_flight()), (2, 1));
    then::nothing_is_left(&rig).await;
}
