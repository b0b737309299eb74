//! The upstream says 503.

use holdline::telemetry::outcome::{Outcome, Source};

use super::{
    given::{self, NOT_KEPT},
    then, when,
};

#[tokio::test(start_paused = true)]
pub(super) async fn a_failing_upstream_is_not_noticed() {
    let rig = given::fresh().await;
    when::it_says_503(&rig);
    then::a_hit_asks_nobody(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_spare_answer_stands_in_for_a_failing_upstream() {
    let rig = given::spare().await;
    when::it_says_503(&rig);
    let heard = rig.lookup().heard().await;
    then::is_from(&heard, Source::CacheStale, "Ada");
    assert_eq!(heard.at, 90_075, "once all attempts have failed");
    assert_eq!(rig.upstream().count(), 4);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_failure_is_told_and_forgotten_after_a_second() {
    let (rig, leader) = given::leader().await;
    when::it_says_503(&rig);
    let heard = leader.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamError, 75));
    then::nothing_is_left(&rig).await;
    rig.until(1_074).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError);
    assert_eq!(rig.upstream().count(), 3, "a burst is spared the upstream");
    rig.until(1_075).await;
    then::nothing_was_kept(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_failure_is_shared_and_not_multiplied() {
    let (rig, leader, waiter) = given::waiter().await;
    when::it_says_503(&rig);
    for heard in [leader.heard().await, waiter.heard().await] {
        assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamError, 75));
    }
    assert_eq!(rig.upstream().count(), 3, "one flight's attempts");
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_probe_that_fails_doubles_the_rest() {
    let (rig, probe) = given::probe(NOT_KEPT).await;
    when::it_says_503(&rig);
    assert_eq!(probe.heard().await.failure().upstream_status(), Some(503));
    then::the_breaker_rests_for(&rig, 4_000).await;
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_call_is_repeated_as_often_as_it_may_and_no_more() {
    let (rig, waits) = given::retry_wait(NOT_KEPT).await;
    when::it_says_503(&rig);
    let heard = waits.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamError, 1_000));
    assert_eq!(rig.upstream().instants(), [0, 500, 1_000]);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn whoever_fails_gives_its_permit_on() {
    let (rig, holder, in_line) = given::permit_wait(NOT_KEPT).await;
    when::it_says_503(&rig);
    for heard in [holder.heard().await, in_line.heard().await] {
        assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamError, 1_000));
    }
    assert_eq!((rig.upstream().count(), rig.upstream().most_in_flight()), (6, 1));
    then::nothing_is_left(&rig).await;
}
