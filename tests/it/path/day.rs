//! A day of traffic in virtual time, with every kind of trouble in every hour: at its end every table
//! is as large as it was after the first hour.
//!
//! Each hour is the same but for who calls and about whom: tokens live for a quarter of an hour and no
//! customer comes back in another hour. The dice are loaded, so nothing is left to chance, and the
//! tolerance is zero: what a scrape shows as a gauge is equal at the end of each hour, to the bit.

use std::{collections::BTreeMap, time::Duration};

use holdline::{chance::Chance, client::WireError, pipeline::cache::Room};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{
    rig::{Rig, START},
    scripted::{Line, Seen},
};

const HOURS: u64 = 24;
/// Seconds.
const HOUR: u64 = 3_600;
const MINUTE: u64 = 60;
/// As the service does it.
const SWEEP: u64 = 10;

const YAML: &str = "
version: 1
callers:
  genesys:
    type: introspection
    url: https://authority.test/introspect
    cache: {ttl: 5m, stale_on_outage: 5m, refused_ttl: 10s}
limits:
  per_caller: {key: caller, rate: 20/s, burst: 40}
  per_customer: {key: [org, input.id], rate: 6/m, burst: 3}
  to_come: {key: [action, org], rate: 10/m, burst: 10, enforce: false}
upstreams:
  crm:
    base_url: https://crm.test/v2
    concurrency: {limit: 20, wait: 100ms}
actions:
  customer:
    caller: genesys
    limits: [per_caller, per_customer, to_come]
    input: {id: {type: integer, required: true}}
    request: {upstream: crm, path: '/users/{id}'}
    output: {name: {type: string, from: $.name}}
    cache: {ttl: 60s, customer: id, stale_while_revalidate: 30s, stale_if_error: 5m, not_found: 20s}
  orders:
    caller: genesys
    limits: [per_caller]
    input: {id: {type: integer, required: true}}
    request: {upstream: crm, path: '/orders{?id}'}
    output: {name: {type: string, from: $.name}}
    cache: {ttl: 10s, shared_by: caller}
    fallback: {name: nobody}
  balance:
    caller: genesys
    limits: [per_caller]
    input: {id: {type: integer, required: true}}
    request: {upstream: crm, path: '/balance/{id}'}
    output: {name: {type: string, from: $.name}}
  note:
    caller: genesys
    limits: [per_caller]
    input: {id: {type: integer, required: true}}
    request: {upstream: crm, method: POST, path: /notes, body: {id: '{id}'}}
    output: {done: {type: boolean, value: true}}
";

fn rig() -> Rig {
    let room = Room { memory: 64 << 20, max_entry: 256 << 10 };
    let rig = Rig::of(YAML, room, Chance::Loaded(0.4));
    rig.authority().rule(authority);
    rig.upstream().rule(upstream);
    rig
}

/// The second of the hour.
fn second(seen: &Seen) -> u64 {
    seen.at.as_secs() % HOUR
}

/// Down for two minutes of each hour. Every ninth token is no good; the others are, for ten minutes.
fn authority(seen: &Seen) -> Line {
    if (40 * MINUTE..42 * MINUTE).contains(&second(seen)) {
        return Line::status(503).after(20);
    }
    let parts: Vec<_> = seen.bearer().split('-').collect();
    let [org, client, good, _] = parts[..] else { panic!("{}", seen.bearer()) };
    if good == "bad" {
        return Line::status(401).after(10);
    }
    let expires = START + seen.at.as_secs() + 10 * MINUTE;
    let claims =
        json!({"active": true, "organization": {"id": org}, "client_id": client, "exp": expires});
    Line::json(&claims).after(30)
}

/// Down for four minutes of each hour, then short of breath for one. Otherwise it takes its time, does
/// not know every eleventh customer, and sends a page now and then.
fn upstream(seen: &Seen) -> Line {
    let at = second(seen);
    let id: u64 = seen.path.rsplit(['/', '=']).next().and_then(|id| id.parse().ok()).unwrap_or(at);
    match at / MINUTE {
        20 => Line::status(503).after(40),
        21 => Line::fails(WireError::Connect),
        22 | 23 => Line::hangs(),
        24 => Line::status(429).header("retry-after", "2"),
        _ if id % 11 == 3 => Line::status(404).after(20),
        _ if at % 97 == 5 => Line::status(200).body("<html>"),
        _ => Line::json(&json!({"name": "Ada"})).after(20 + (at * 37) % 300),
    }
}

/// One call a second; each customer is asked about for some minutes, and hastily at times.
fn calls(rig: &Rig, second: u64, calls: &mut JoinSet<&'static str>) {
    let (hour, at) = (second / HOUR, second % HOUR);
    // A multiple of eleven: the same customers of each hour are not known.
    let customer = 1_100_000 * (hour as i64 + 1) + (at as i64 / 120) * 10 + (at % 7) as i64;
    let token = match at % 9 {
        8 => format!("org0-client0-bad-{}", second / 30),
        n => format!("org{}-client{}-good-{}", n % 3, n % 4, second / (15 * MINUTE)),
    };
    let action = ["customer", "customer", "orders", "balance", "customer", "note"][at as usize % 6];
    let times = if at.is_multiple_of(50) { 5 } else { 1 };
    for _ in 0..times {
        let ask = rig.ask(action).token(&token).id(customer);
        calls.spawn(async move { ask.heard().await.outcome().as_str() });
    }
}

/// What the first hour and every other must be alike in.
#[derive(Debug, PartialEq)]
struct Sizes {
    gauges: BTreeMap<String, f64>,
    flights: usize,
    tasks: usize,
}

fn sizes(rig: &Rig) -> Sizes {
    Sizes { gauges: rig.gauges(), flights: rig.pipeline.flights(), tasks: rig.tasks() }
}

/// One hour of it; how often calls ended in which way.
async fn pass(rig: &Rig, hour: u64) -> BTreeMap<&'static str, u64> {
    let (mut under_way, mut outcomes) = (JoinSet::new(), BTreeMap::new());
    for second in hour * HOUR..(hour + 1) * HOUR {
        rig.wait_until(Duration::from_secs(second)).await;
        if second.is_multiple_of(SWEEP) {
            rig.pipeline.sweep();
        }
        // The last minute is silent, so that what is under way comes to its end.
        if second % HOUR < HOUR - MINUTE {
            calls(rig, second, &mut under_way);
        }
        while let Some(outcome) = under_way.try_join_next() {
            *outcomes.entry(outcome.expect("no panic")).or_default() += 1;
        }
    }
    assert!(under_way.is_empty(), "every call has been answered");
    rig.forget();
    outcomes
}

#[tokio::test(start_paused = true)]
async fn after_a_day_every_table_is_as_large_as_after_an_hour() {
    let rig = rig();
    let first = pass(&rig, 0).await;
    let (after_one, series) = (sizes(&rig), rig.series());
    assert!(after_one.gauges.len() > 15, "{after_one:#?}");
    for outcome in [
        "ok",
        "stale",
        "fallback",
        "not_found",
        "forbidden",
        "rate_limited",
        "auth_unavailable",
        "breaker_open",
        "upstream_unreachable",
        "upstream_error",
        "mapping_error",
    ] {
        assert!(first.contains_key(outcome), "each kind of trouble was met: {outcome} {first:#?}");
    }
    for hour in 1..HOURS {
        let outcomes = pass(&rig, hour).await;
        assert_eq!(sizes(&rig), after_one, "after hour {hour}");
        assert_eq!(outcomes, first, "hour {hour} was another");
    }
    assert_eq!(rig.series(), series, "no label has a value for each caller or customer");
    let opened = rig.counts("holdline_breaker_transitions_total");
    assert!(opened["upstream=crm,from=closed,to=open"] >= HOURS, "{opened:#?}");
}
