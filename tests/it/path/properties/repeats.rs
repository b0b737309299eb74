//! Repeats stay within their budget, and what changes something is changed at most once.

use std::time::Duration;

use holdline::client::WireError;
use proptest::prelude::*;

use super::{any_error, any_line, for_all};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

const RATIO: f64 = 0.2;
const PER_SECOND: f64 = 1.0;
const WINDOW: f64 = 10.0;

#[test]
fn attempts_are_calls_and_what_the_budget_allows() {
    let step = (0..2_500_u64, 1..6_usize);
    let steps = prop::collection::vec(step, 1..40);
    let fails = prop::collection::vec(prop::bool::weighted(0.8), 1..60);
    let crm = ["breaker: {enabled: false}", "retry: {attempts: 10}"];
    let setup = Setup { crm: &crm, ..Setup::PLAIN };
    for_all(&setup, &(steps, fails), &async |rig, (steps, fails)| {
        let count = std::sync::atomic::AtomicUsize::new(0);
        rig.upstream().rule(move |_| {
            let at = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if fails[at % fails.len()] { Line::status(503) } else { Line::status(404) }
        });
        let (before, began, mut calls) = (rig.upstream().count(), rig.now(), 0);
        for (pause, batch) in steps {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            rig.lookup().times(batch).await;
            calls += batch;
            let time = (rig.now() - began) as f64 / 1000.0;
            let attempts = rig.upstream().count() - before;
            // One window and the tenth by which it slides may hold an older allowance.
            let burst = PER_SECOND * WINDOW * 1.1;
            let most = calls as f64 * (1.0 + RATIO) + PER_SECOND * time + burst;
            prop_assert!(attempts as f64 <= most, "{attempts} attempts, at most {most}");
        }
        Ok(())
    });
}

/// What the upstream says to one attempt: mostly nothing good, and now and then late enough for a
/// hedge.
fn says() -> impl Strategy<Value = Line> {
    let line = prop_oneof![
        12 => prop::sample::select(vec![502_u16, 503, 504]).prop_map(Line::status),
        4 => Just(Line::fails(WireError::Connect)),
        1 => Just(Line::status(429).header("retry-after", "1")),
        5 => Just(Line::status(404)),
        10 => Just(Line::json(&serde_json::json!({"name": "Ada"}))),
    ];
    let after = prop_oneof![1 => Just(0), 1 => 0..60_u64, 4 => 60..1_500_u64];
    (line, after).prop_map(|(line, after)| line.after(after))
}

/// Looks up those customers at once; returns how many calls that were.
async fn ask_about(rig: &Rig, ids: std::ops::Range<i64>) -> usize {
    let mut tasks = tokio::task::JoinSet::new();
    for id in ids {
        tasks.spawn(rig.lookup().id(id).heard());
    }
    tasks.join_all().await.len()
}

/// Repeats, hedges and refreshes are paid out of one budget: a call causes one attempt, that of the
/// refresh behind its stale answer included, and all further ones are a share of the calls.
#[test]
fn hedges_and_refreshes_stay_within_the_same_budget() {
    // Most are strangers, some are known, and answered stale.
    let customer = prop_oneof![1 => 0..4_i64, 4 => 1_000..1_000_000_i64];
    let step = (0..1_000_u64, 1..6_i64, customer);
    let steps = prop::collection::vec(step, 1..6);
    let says = prop::collection::vec(says(), 1..40);
    let crm = [
        "breaker: {enabled: false}",
        "retry: {attempts: 10, budget: {per_second: 0.1}}",
        "hedge: {enabled: true, after: p50, budget: 1}",
    ];
    let cache = ["ttl: 100ms", "stale_while_revalidate: 2s"];
    let setup = Setup { crm: &crm, cache: &cache, ..Setup::PLAIN };
    let per_second = 0.1;
    for_all(&setup, &(any::<bool>(), steps, says), &async |rig, (warm, steps, says)| {
        let (before, began, mut calls) = (rig.upstream().count(), rig.now(), 0);
        // Enough answers for a hedge to be possible at once.
        calls += ask_about(rig, 100..100 + 20 * i64::from(warm)).await;
        let count = std::sync::atomic::AtomicUsize::new(0);
        rig.upstream().rule(move |_| {
            let at = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            says[at % says.len()].clone()
        });
        for (pause, batch, id) in steps {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            calls += ask_about(rig, id..id + batch).await;
            let time = (rig.now() - began) as f64 / 1000.0;
            let attempts = rig.upstream().count() - before;
            let burst = per_second * WINDOW * 1.1;
            let most = calls as f64 * (1.0 + RATIO) + per_second * time + burst;
            prop_assert!(attempts as f64 <= most, "{attempts} attempts, at most {most}");
        }
        Ok(())
    });
}

#[test]
fn a_change_is_sent_at_most_once_unless_it_provably_was_not() {
    let crm = [
        "breaker: {enabled: false}",
        "retry: {attempts: 10, on: [connect, reset, timeout, 408, 500, 502, 503, 504], \
         budget: {per_second: 1000}}",
    ];
    let setup = Setup { crm: &crm, ..Setup::PLAIN };
    let unsent = prop::sample::select(vec![WireError::Connect, WireError::Dns]);
    let unsent = prop::collection::vec(unsent, 0..6);
    let rest = prop::collection::vec(
        prop_oneof![any_line(3_000), any_error().prop_map(Line::fails)],
        1..6,
    );
    let hangs_up = prop::option::of(0..5_000_u64);
    for_all(&setup, &(unsent, rest, hangs_up), &async |rig, (unsent, rest, hangs_up)| {
        let never_sent = unsent.len();
        let lines: Vec<_> = unsent.into_iter().map(Line::fails).chain(rest).collect();
        rig.upstream().only(lines.clone());
        let before = rig.upstream().count();
        let ask = rig.ask("update");
        match hangs_up {
            Some(at) => {
                let _ = tokio::time::timeout(Duration::from_millis(at), ask.heard()).await;
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            None => drop(ask.heard().await),
        }
        let requests = rig.upstream().count() - before;
        prop_assert!(requests > never_sent, "{requests} requests, {never_sent} were never sent");
        let may_be_repeated = |line: &Line| {
            line.error().is_some_and(|error| matches!(error, WireError::Connect | WireError::Dns))
        };
        let repeated = &lines[..requests - 1];
        prop_assert!(repeated.iter().all(may_be_repeated), "repeated after one of {repeated:?}");
        Ok(())
    });
}
