//! No call is answered after its time.

use proptest::prelude::*;

use super::{any_line, for_all};
use crate::support::{rig::Setup, scripted::Line};

/// What happens to a few calls at once.
#[derive(Debug, Clone)]
struct History {
    authority: Vec<Line>,
    upstream: Vec<Line>,
    /// When each call begins, how long its caller waits, whether it changes something.
    calls: Vec<(u64, u64, bool)>,
}

fn history() -> impl Strategy<Value = History> {
    let authority = prop::collection::vec(any_line(3_000), 0..4);
    let upstream = prop::collection::vec(any_line(6_000), 0..8);
    // Tens of milliseconds, so that a deadline falls on a tick of the timer.
    let calls = prop::collection::vec((0..3_000_u64, 0..700_u64, prop::bool::weighted(0.2)), 1..6);
    (authority, upstream, calls).prop_map(|(authority, upstream, calls)| History {
        authority,
        upstream,
        calls: calls.into_iter().map(|(at, tens, change)| (at, tens * 10, change)).collect(),
    })
}

fn every_call_is_answered_in_time(setup: &Setup<'_>) {
    for_all(setup, &history(), &async |rig, history| {
        rig.authority().only(history.authority);
        rig.upstream().only(history.upstream);
        let mut tasks = tokio::task::JoinSet::new();
        for (at, within, change) in history.calls {
            let ask = rig.ask(if change { "update" } else { "lookup" }).within(within);
            tasks.spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(at)).await;
                let began = holdline::time::now();
                let deadline = ask.deadline(began);
                let heard = ask.heard().await;
                (heard, deadline.instant(), holdline::time::now())
            });
        }
        for (heard, deadline, ended) in tasks.join_all().await {
            prop_assert!(ended <= deadline, "{:?} late: {:#?}", ended - deadline, heard);
        }
        Ok(())
    });
}

#[test]
fn a_call_that_is_not_cached_is_answered_in_time() {
    every_call_is_answered_in_time(&Setup { caller: "genesys", ..Setup::PLAIN });
}

#[test]
fn a_cached_call_is_answered_in_time() {
    let cache = ["ttl: 1s", "stale_while_revalidate: 1s", "stale_if_error: 2s"];
    let crm = ["concurrency: {limit: 2, wait: 100ms}"];
    let setup = Setup { caller: "genesys", cache: &cache, crm: &crm, ..Setup::PLAIN };
    every_call_is_answered_in_time(&setup);
}
