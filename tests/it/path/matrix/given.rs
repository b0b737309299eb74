//! The seven states in which something may happen to a call.
//!
//! Calls are on the line as the listener has them: each is a task that a stop waits for, and is
//! dropped where it stands when its caller hangs up. All of them are proved by the token authority.

use holdline::mechanism::breaker::State;
use serde_json::json;
use tokio::sync::oneshot;

use crate::support::{
    ask::{Ask, Heard},
    rig::{Rig, Setup},
    scripted::Line,
};

/// Answers are kept for a minute, served while they are refreshed for half a minute more, and are
/// spare for five.
pub(super) const KEPT: &[&str] =
    &["ttl: 60s", "customer: id", "stale_while_revalidate: 30s", "stale_if_error: 5m"];
/// Answers are not kept.
pub(super) const NOT_KEPT: &[&str] = &[];

/// A call whose caller is on the line.
pub(super) struct OnLine {
    heard: oneshot::Receiver<Heard>,
    line: oneshot::Sender<()>,
}

impl OnLine {
    /// Begins a call; everything that takes no time has been done.
    pub(super) async fn new(rig: &Rig, ask: Ask) -> Self {
        let (tell, heard) = oneshot::channel();
        let (line, gone) = oneshot::channel::<()>();
        rig.background().finish(async move {
            tokio::select! {
                biased;
                _ = gone => {}
                heard = ask.heard() => drop(tell.send(heard)),
            }
        });
        rig.settle().await;
        Self { heard, line }
    }

    /// Waits for what it comes to.
    pub(super) async fn heard(self) -> Heard {
        let heard = self.heard.await.expect("it comes to something while the line holds");
        drop(self.line);
        heard
    }

    /// Hangs up.
    pub(super) async fn hang_up(self, rig: &Rig) {
        drop(self.line);
        rig.settle().await;
    }
}

fn rig(cache: &[&str], crm: &[&str]) -> Rig {
    Setup { caller: "genesys", cache, crm, ..Setup::PLAIN }.rig()
}

/// The upstream's word for a customer of that name.
pub(super) fn named(name: &str) -> Line {
    Line::json(&json!({ "name": name }))
}

async fn knows_ada(at: u64) -> Rig {
    let rig = rig(KEPT, &[]);
    assert!(rig.lookup().heard().await.result.is_ok());
    rig.until(at).await;
    rig
}

/// Fresh: Ada is known, at 1,000, for 59 seconds yet.
pub(super) async fn fresh() -> Rig {
    knows_ada(1_000).await
}

/// Stale: Ada is known, at 60,000, and good enough while she is asked for anew.
pub(super) async fn stale() -> Rig {
    knows_ada(60_000).await
}

/// Stale, and good enough only instead of a failure: Ada is known, at 90,000.
pub(super) async fn spare() -> Rig {
    knows_ada(90_000).await
}

/// Flight leader: a call, at 0, to which the upstream says nothing yet.
pub(super) async fn leader() -> (Rig, OnLine) {
    leader_of(&[]).await
}

async fn leader_of(further: &[&str]) -> (Rig, OnLine) {
    let rig = rig(&[KEPT, further].concat(), &[]);
    rig.upstream().next(Line::hangs());
    let leader = OnLine::new(&rig, rig.lookup()).await;
    assert_eq!((rig.pipeline.flights(), rig.upstream().in_flight()), (1, 1));
    (rig, leader)
}

/// Flight waiter: the leader, and the one call that may wait beside it.
pub(super) async fn waiter() -> (Rig, OnLine, OnLine) {
    let (rig, leader) = leader_of(&["max_waiters: 1"]).await;
    let waiter = OnLine::new(&rig, rig.lookup()).await;
    assert_eq!((rig.pipeline.flights(), rig.upstream().count()), (1, 1));
    (rig, leader, waiter)
}

/// Probe: the breaker opened at 0; at 2,000 one call is let through, to which the upstream says
/// nothing yet. Three requests have come.
pub(super) async fn probe(cache: &[&str]) -> (Rig, OnLine) {
    let rig = rig(cache, &["retry: {attempts: 1}", "breaker: {run: 2, ramp: 0s}"]);
    rig.upstream().next(Line::status(503)).next(Line::status(503)).next(Line::hangs());
    rig.lookup().id(8).heard().await;
    rig.lookup().id(9).heard().await;
    assert_eq!(rig.condition().breaker.state, State::Open);
    rig.until(2_000).await;
    let probe = OnLine::new(&rig, rig.lookup()).await;
    assert_eq!(rig.condition().breaker.state, State::HalfOpen);
    assert_eq!((rig.upstream().count(), rig.upstream().in_flight()), (3, 1));
    (rig, probe)
}

/// Retry wait: a call whose first attempt failed at 0, and which is repeated at 500.
pub(super) async fn retry_wait(cache: &[&str]) -> (Rig, OnLine) {
    let rig = rig(cache, &["retry: {backoff: {first: 1s, max: 1s}}"]);
    rig.upstream().next(Line::status(503));
    let waits = OnLine::new(&rig, rig.lookup()).await;
    rig.until(100).await;
    assert_eq!((rig.upstream().instants(), rig.condition().in_flight), (vec![0], 0));
    (rig, waits)
}

/// Permit wait: one call about customer 2 has the only permit, and the upstream says nothing to it
/// yet; one about customer 1 stands in line behind it, at 0, for at most 400 milliseconds.
pub(super) async fn permit_wait(cache: &[&str]) -> (Rig, OnLine, OnLine) {
    let crm = ["retry: {backoff: {first: 1s, max: 1s}}", "concurrency: {limit: 1, wait: 400ms}"];
    let rig = rig(cache, &crm);
    rig.upstream().next(Line::hangs());
    let holder = OnLine::new(&rig, rig.lookup().id(2)).await;
    let in_line = OnLine::new(&rig, rig.lookup()).await;
    assert_eq!((rig.upstream().count(), rig.condition().in_flight), (1, 1));
    (rig, holder, in_line)
}
