//! Another configuration is put in force.

use std::sync::Arc;

use holdline::{mechanism::breaker::State, telemetry::outcome::Source};
use serde_json::json;

use super::{
    given::{self, KEPT, NOT_KEPT, OnLine, named},
    then, when,
};
use crate::support::{rig::Rig, scripted::Line};

/// Nothing holds the pipeline of `before` any more but the test itself.
fn is_over(before: &Rig) {
    assert_eq!(Arc::strong_count(&before.pipeline), 1, "somebody holds the pipeline before");
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_hit_outlives_a_reload_that_leaves_its_action_as_it_is() {
    let before = given::fresh().await;
    let rig = when::another_is_put_in_force(&before);
    then::a_hit_asks_nobody(&rig).await;
    // One that changes it leaves nothing of it.
    let rig = when::the_action_is_changed(&rig);
    rig.upstream().always(Line::json(&json!({"name": "Ada", "alias": "Countess"})));
    assert_eq!(rig.pipeline.answers().entries, 0);
    then::is_from(&rig.lookup().heard().await, Source::Upstream, "Countess");
    then::is_from(&rig.lookup().heard().await, Source::CacheFresh, "Countess");
    is_over(&before);
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_refresh_is_kept_for_those_who_ask_after_the_reload() {
    let before = given::stale().await;
    before.upstream().next(Line::hangs());
    then::ada_is_served_stale(&before).await;
    before.settle().await;
    let rig = when::another_is_put_in_force(&before);
    then::ada_is_served_stale(&rig).await;
    rig.settle().await;
    assert_eq!((rig.pipeline.flights(), rig.upstream().in_flight()), (1, 1), "still that refresh");
    rig.upstream().release(named("Eve"));
    then::nothing_is_left(&rig).await;
    then::is_from(&rig.lookup().heard().await, Source::CacheFresh, "Eve");
    is_over(&before);
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_leader_ends_on_what_it_began_with_and_nothing_old_is_kept() {
    let (before, leader) = given::leader().await;
    let rig = when::the_action_is_changed(&before);
    rig.upstream().always(Line::json(&json!({"alias": "Countess"})));
    then::is_from(&rig.lookup().heard().await, Source::Upstream, "Countess");
    rig.upstream().release(named("Ada"));
    then::is_from(&leader.heard().await, Source::Upstream, "Ada");
    then::nothing_is_left(&rig).await;
    assert_eq!(rig.pipeline.answers().entries, 1, "that of the action as it is now");
    then::is_from(&rig.lookup().heard().await, Source::CacheFresh, "Countess");
    is_over(&before);
}

#[tokio::test(start_paused = true)]
pub(super) async fn who_asks_after_a_reload_waits_for_the_same_flight() {
    let (before, leader, waiter) = given::waiter().await;
    let rig = before.reload(&[("method: POST", "method: PUT")]);
    leader.hang_up(&before).await;
    waiter.hang_up(&before).await;
    let after = OnLine::new(&rig, rig.lookup()).await;
    assert_eq!((rig.pipeline.flights(), rig.upstream().count()), (1, 1));
    when::the_upstream_says(&rig, &named("Ada"));
    then::is_from(&after.heard().await, Source::Coalesced, "Ada");
    then::a_hit_asks_nobody(&rig).await;
    is_over(&before);
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_probe_from_before_counts_after() {
    let (before, probe) = given::probe(NOT_KEPT).await;
    let rig = when::another_is_put_in_force(&before);
    assert_eq!(rig.condition().breaker.state, State::HalfOpen);
    rig.upstream().release(named("Ada"));
    then::is_from(&probe.heard().await, Source::Upstream, "Ada");
    then::two_more_probes_close_the_breaker(&rig).await;
    then::nothing_is_left(&rig).await;
    is_over(&before);
}

#[tokio::test(start_paused = true)]
pub(super) async fn a_repeat_goes_to_where_its_call_began() {
    let (before, waits) = given::retry_wait(KEPT).await;
    let rig = before.reload(&[("crm.test/v2", "crm.test/v3")]);
    let heard = waits.heard().await;
    then::is_from(&heard, Source::Upstream, "Ada");
    assert_eq!(heard.at, 500);
    assert!(rig.lookup().heard().await.result.is_ok());
    let paths: Vec<_> = rig.upstream().seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v2/users/1", "/v2/users/1", "/v3/users/1"]);
    then::nothing_is_left(&rig).await;
    is_over(&before);
}

#[tokio::test(start_paused = true)]
pub(super) async fn one_in_line_still_gets_its_turn_and_those_after_stand_behind_it() {
    let (before, holder, in_line) = given::permit_wait(NOT_KEPT).await;
    let rig = when::another_is_put_in_force(&before);
    assert_eq!((rig.condition().in_flight, rig.condition().waiting), (1, 1));
    let after = OnLine::new(&rig, rig.lookup().id(3)).await;
    assert_eq!((rig.upstream().count(), rig.condition().waiting), (1, 2));
    rig.upstream().always(named("Ada").after(10));
    rig.upstream().release(named("Ada"));
    for (call, at) in [(holder, 0), (in_line, 10), (after, 20)] {
        let heard = call.heard().await;
        then::is_from(&heard, Source::Upstream, "Ada");
        assert_eq!(heard.at, at);
    }
    assert_eq!(rig.upstream().most_in_flight(), 1);
    then::nothing_is_left(&rig).await;
    is_over(&before);
}
