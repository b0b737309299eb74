//! The process stops: it waits for what is under way, as long as it may.

use holdline::telemetry::outcome::{Outcome, Source};

use super::{
    given::{self, NOT_KEPT, OnLine, named},
    then, when,
};

#[tokio::test(start_paused = true)]
pub(super) async fn a_hit_is_answered_until_the_last_moment() {
    let rig = given::fresh().await;
    let hit = OnLine::new(&rig, rig.lookup()).await;
    assert_eq!(when::it_stops(&rig, 30).await, 0);
    assert_eq!(rig.now(), 1_000, "nothing was waited for");
    then::is_from(&hit.heard().await, Source::CacheFresh, "Ada");
    // One that comes on a connection which is still open.
    then::a_hit_asks_nobody(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_refresh_is_finished_before_the_stop_is_over() {
    let rig = given::stale().await;
    when::it_is_slow(&rig);
    then::ada_is_served_stale(&rig).await;
    assert_eq!(rig.tasks(), 1, "the refresh");
    assert_eq!((when::it_stops(&rig, 30).await, rig.now()), (0, 61_500));
    then::is_from(&rig.lookup().heard().await, Source::CacheFresh, "Eve");
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_flight_and_its_leader_are_finished() {
    let (rig, leader) = given::leader().await;
    when::it_is_slow(&rig);
    let (cut, heard) = tokio::join!(when::it_stops(&rig, 30), leader.heard());
    then::is_from(&heard, Source::Upstream, "Eve");
    assert_eq!((cut, heard.at, rig.now()), (0, 1_500, 1_500));
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn what_outlasts_the_stop_is_counted_and_not_waited_for() {
    let (rig, leader, waiter) = given::waiter().await;
    when::it_is_silent(&rig);
    assert_eq!(when::it_stops(&rig, 1).await, 3, "the flight, its leader and its waiter");
    assert_eq!(rig.now(), 1_000);
    // Where the process goes on all the same, they are told by their deadline.
    for heard in [leader.heard().await, waiter.heard().await] {
        assert_eq!((heard.outcome(), heard.at), (Outcome::DeadlineExceeded, 4_750));
    }
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_probe_is_finished_and_counts() {
    let (rig, probe) = given::probe(NOT_KEPT).await;
    when::it_is_slow(&rig);
    let (cut, heard) = tokio::join!(when::it_stops(&rig, 30), probe.heard());
    assert_eq!((cut, heard.outcome(), heard.at), (0, Outcome::Ok, 3_500));
    then::nothing_is_left(&rig).await;
    then::two_more_probes_close_the_breaker(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_call_between_attempts_is_repeated_and_answered() {
    let (rig, waits) = given::retry_wait(NOT_KEPT).await;
    let (cut, heard) = tokio::join!(when::it_stops(&rig, 30), waits.heard());
    assert_eq!((cut, heard.outcome(), heard.at), (0, Outcome::Ok, 500));
    assert_eq!(rig.upstream().instants(), [0, 500]);
    then::nothing_is_left(&rig).await;
}

#[tokio::test(start_paused = true)]
pub(super) async fn one_in_line_still_gets_its_turn() {
    let (rig, holder, in_line) = given::permit_wait(NOT_KEPT).await;
    let upstream = async {
        rig.until(300).await;
        when::the_upstream_says(&rig, &named("Ada").after(50));
    };
    let (cut, holder, in_line, ()) =
        tokio::join!(when::it_stops(&rig, 30), holder.heard(), in_line.heard(), upstream);
    assert_eq!((cut, holder.outcome(), holder.at), (0, Outcome::Ok, 350));
    assert_eq!((in_line.outcome(), in_line.at), (Outcome::Ok, 400));
    then::nothing_is_left(&rig).await;
}
