//! A caller may hang up at any instant and at any await: no permit, flight, probe or task is left
//! behind.

use std::time::Duration;

use holdline::mechanism::breaker::State;
use proptest::prelude::*;

use super::{TOKENS, any_line, for_all, polls::Polls};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// When a caller hangs up: after so many milliseconds, or at the call's own nth await.
#[derive(Debug, Clone, Copy)]
enum HangsUp {
    After(u64),
    At(Polls),
}

/// When each call begins, when its caller hangs up, which customer it is about, whether it changes
/// something.
type Calls = Vec<(u64, HangsUp, i64, bool)>;

fn calls() -> impl Strategy<Value = Calls> {
    let polls = (0..6_u32, any::<bool>()).prop_map(|(polls, woken)| Polls { polls, woken });
    let hangs_up = prop_oneof![
        (0..50_u64).prop_map(HangsUp::After),
        (0..6_000_u64).prop_map(HangsUp::After),
        polls.prop_map(HangsUp::At),
    ];
    prop::collection::vec((0..3_000_u64, hangs_up, 0..3_i64, prop::bool::weighted(0.2)), 1..10)
}

async fn make_and_hang_up(rig: &Rig, calls: Calls) {
    let mut tasks = tokio::task::JoinSet::new();
    for (at, hangs_up, id, change) in calls {
        let ask = rig.ask(if change { "update" } else { "lookup" }).id(id);
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(at)).await;
            match hangs_up {
                HangsUp::After(ms) => {
                    let _ = tokio::time::timeout(Duration::from_millis(ms), ask.heard()).await;
                }
                HangsUp::At(polls) => drop(polls.of(ask.heard()).await),
            }
        });
    }
    tasks.join_all().await;
}

fn nothing_is_left_behind(setup: &Setup<'_>) {
    let lines = || prop::collection::vec(any_line(3_000), 0..12);
    let strategy = (calls(), lines(), lines(), lines());
    for_all(setup, &strategy, &async |rig, (calls, authority, issuer, upstream)| {
        rig.authority().only(authority);
        rig.issuer().only(issuer);
        rig.upstream().only(upstream);
        make_and_hang_up(rig, calls).await;
        // Longer than any fetch, and than the longest rest of a breaker.
        tokio::time::sleep(Duration::from_secs(120)).await;
        prop_assert_eq!(rig.condition().in_flight, 0);
        prop_assert_eq!((rig.pipeline.flights(), rig.tasks()), (0, 0));
        prop_assert!(rig.pipeline.orgs_in_flight().is_none_or(|used| used.orgs == 0));
        prop_assert_eq!((rig.authority().in_flight(), rig.upstream().in_flight()), (0, 0));

        prop_assert_eq!(rig.issuer().in_flight(), 0);
        rig.authority().only([]).always(Line::active("acme", "ivr"));
        rig.issuer().only([]);
        rig.upstream().only([]).always(Line::json(&serde_json::json!({"name": "Ada"})).after(10));
        for id in 10..13 {
            let heard = rig.lookup().id(id).heard().await;
            prop_assert!(heard.result.is_ok(), "{:?}", heard);
        }
        prop_assert_eq!(rig.condition().breaker.state, State::Closed);
        let (one, two) = tokio::join!(rig.lookup().id(20).heard(), rig.lookup().id(21).heard());
        prop_assert!(one.result.is_ok() && two.result.is_ok() && one.at == two.at);
        Ok(())
    });
}

const CRM: &[&str] =
    &["concurrency: {limit: 2, wait: 500ms}", "breaker: {run: 2, connect_run: 2, ramp: 0s}"];

#[test]
fn calls_that_are_not_cached_leave_nothing_behind() {
    nothing_is_left_behind(&Setup { caller: "genesys", crm: CRM, ..Setup::PLAIN });
}

#[test]
fn cached_calls_leave_nothing_behind() {
    let cache = ["ttl: 1s", "stale_while_revalidate: 1s", "stale_if_error: 2s"];
    nothing_is_left_behind(&Setup { caller: "genesys", crm: CRM, cache: &cache, ..Setup::PLAIN });
}

#[test]
fn calls_with_a_token_of_ours_leave_nothing_behind() {
    let cache = ["ttl: 1s", "stale_while_revalidate: 1s", "stale_if_error: 2s"];
    for cache in [&[][..], &cache] {
        let crm = [CRM, &[TOKENS]].concat();
        nothing_is_left_behind(&Setup { crm: &crm, cache, ..Setup::PLAIN });
    }
}

#[test]
fn calls_of_an_organisation_with_a_cap_leave_nothing_behind() {
    let server = ["max_in_flight_per_org: 2"];
    let (cache, lookup) = (["ttl: 1s", "stale_if_error: 2s"], ["fallback: {name: nobody}"]);
    for cache in [&[][..], &cache] {
        let setup = Setup { server: &server, lookup: &lookup, cache, ..Setup::PLAIN };
        nothing_is_left_behind(&Setup { caller: "genesys", crm: CRM, ..setup });
    }
}
