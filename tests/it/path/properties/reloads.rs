//! Configurations take each other's place at any instant: every call comes to its end in its time, and
//! of what is no longer in force nothing is left.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex},
    time::Duration,
};

use holdline::pipeline::failure::Failure;
use proptest::prelude::*;
use serde_json::json;

use super::{any_line, for_so_many};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// When a call begins, which customer it is about, whether it changes something, when it hangs up.
type Calls = Vec<(u64, i64, bool, Option<u64>)>;

/// When a configuration is put in force, and which.
type Reloads = Vec<(u64, String)>;

fn calls() -> impl Strategy<Value = Calls> {
    let hangs_up = prop::option::weighted(0.2, 0..6_000_u64);
    let call = (0..6_000_u64, 0..3_i64, prop::bool::weighted(0.2), hangs_up);
    prop::collection::vec(call, 1..12)
}

fn reloads() -> impl Strategy<Value = Reloads> {
    prop::collection::vec((0..8_000_u64, configurations()), 1..6)
}

/// Configurations that differ in any of what state hangs on.
fn configurations() -> impl Strategy<Value = String> {
    let one_of = |lines: &'static [&'static str]| prop::sample::select(lines);
    (
        one_of(&["breaker: {run: 2, ramp: 0s}", "breaker: {run: 3, ramp: 0s}"]),
        one_of(&["concurrency: {limit: 1, wait: 500ms}", "concurrency: {limit: 3}"]),
        one_of(&["timeouts: {attempt: 1s}", "timeouts: {attempt: 2s}"]),
        one_of(&["pool: {idle: 1}", "quota: {rate: 5/s, burst: 5}"]),
        one_of(&["none", "genesys", "[genesys, portal]"]),
        one_of(&["timeout: 4s", "timeout: 5s", "fallback: {name: nobody}"]),
        one_of(&["", "ttl: 1s", "ttl: 2s", "ttl: 1s, customer: id", "ttl: 1s, stale_if_error: 2s"]),
        one_of(&["per_org: 1", "per_org: 4"]),
        one_of(&["test/v2", "test/v3"]),
        one_of(&["from: $.name", "from: $.alias, default: none"]),
    )
        .prop_map(|lines| {
            let (breaker, limit, attempt, quota, caller, lookup, cache, per_org, url, output) =
                lines;
            let server = format!("max_in_flight_{per_org}");
            let kept: Vec<_> = cache.split(", ").filter(|line| !line.is_empty()).collect();
            let setup = Setup {
                server: &[&server],
                crm: &[breaker, limit, attempt, quota],
                caller,
                lookup: &[lookup],
                cache: &kept,
                ..Setup::PLAIN
            };
            setup.yaml().replace("test/v2", url).replace("from: $.name", output)
        })
}

/// Makes the calls, each on what is in force when it begins. Returns what is in force at the end.
async fn make_and_reload(rig: Rig, calls: Calls, reloads: Reloads) -> Result<Rig, TestCaseError> {
    let in_force = Arc::new(Mutex::new(rig));
    let now = |in_force: &Mutex<Rig>| in_force.lock().expect("no panic holds it").clone();
    let mut tasks = tokio::task::JoinSet::new();
    for (at, yaml) in reloads {
        let in_force = Arc::clone(&in_force);
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(at)).await;
            let mut in_force = in_force.lock().expect("no panic holds it");
            *in_force = in_force.reload_whole(&yaml);
            None
        });
    }
    for (at, id, change, hangs_up) in calls {
        let in_force = Arc::clone(&in_force);
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(at)).await;
            let ask = now(&in_force).ask(if change { "update" } else { "lookup" }).id(id);
            match hangs_up {
                Some(ms) => {
                    let _ = tokio::time::timeout(Duration::from_millis(ms), ask.heard()).await;
                    None
                }
                None => Some(tokio::time::timeout(Duration::from_secs(5), ask.heard()).await),
            }
        });
    }
    for ended in tasks.join_all().await.into_iter().flatten() {
        let heard = ended.map_err(|_| TestCaseError::fail("a call outlived its deadline"))?;
        prop_assert!(!matches!(heard.result, Err(Failure::Bug)), "{:?}", heard);
    }
    Ok(now(&in_force))
}

#[test]
fn no_call_is_lost_and_nothing_is_left_of_what_is_no_longer_in_force() {
    let lines = || prop::collection::vec(any_line(3_000), 0..12);
    let setup = Setup { caller: "genesys", ..Setup::PLAIN };
    // One after the other, through all histories.
    let last = RefCell::new(None::<Rig>);
    // Each builds several pipelines.
    for_so_many(1_000, &setup, &(calls(), reloads(), lines(), lines()), &async |rig, value| {
        let (calls, reloads, authority, upstream) = value;
        rig.authority().only(authority);
        rig.upstream().only(upstream);
        let known = last.take();
        // The first of all is held by the property.
        let first_of_all = usize::from(known.is_none());
        let first = known.unwrap_or_else(|| rig.clone());
        let before = Arc::downgrade(&first.pipeline);
        let rig = make_and_reload(first, calls, reloads).await?;
        tokio::time::sleep(Duration::from_secs(120)).await;
        prop_assert_eq!(
            (rig.condition().in_flight, rig.tasks(), rig.pipeline.flights()),
            (0, 0, 0)
        );
        prop_assert!(rig.pipeline.orgs_in_flight().is_none_or(|used| used.orgs == 0));
        prop_assert_eq!((rig.authority().in_flight(), rig.upstream().in_flight()), (0, 0));
        prop_assert_eq!(Arc::strong_count(&rig.pipeline), 1, "what is in force is held once");
        prop_assert_eq!(before.strong_count(), first_of_all, "what was in force is gone");

        rig.authority().only([]).always(Line::active("acme", "ivr"));
        let good = json!({"name": "Ada", "alias": "Ada"});
        rig.upstream().only([]).always(Line::json(&good).after(10));
        for id in 10..13 {
            let heard = rig.lookup().id(id).heard().await;
            prop_assert!(heard.result.is_ok(), "{:?}", heard);
        }
        *last.borrow_mut() = Some(rig);
        Ok(())
    });
}
