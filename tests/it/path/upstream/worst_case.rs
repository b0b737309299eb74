//! What `explain` promises is what happens: for any policy and an upstream that is broken in one
//! way, attempts and time are those that `worst_case` computes.

use std::time::Duration;

use holdline::{
    catalog::worst_case::{Course, Fetch, Trouble},
    chance::Chance,
    client::WireError,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// A policy in milliseconds, such that every instant falls on a tick of the timer.
#[derive(Debug, Clone)]
struct Policy {
    timeout: u64,
    connect: u64,
    attempt: u64,
    attempts: u32,
    first: u64,
    max: u64,
    /// Whether the action changes something.
    changes: bool,
}

fn policy() -> impl Strategy<Value = Policy> {
    let times = (1..=50_u64, 1..100_u64, 1..=100_u64, 1..=10_u32, 1..10_u64, 0..20_u64);
    (times, prop::bool::weighted(0.2)).prop_map(|(times, changes)| {
        let (timeout, attempt, connect, attempts, first, more) = times;
        let timeout = timeout * 100;
        // An attempt that does not fit is refused, and so is a connect that is longer than it.
        let patience = timeout - (timeout / 10).min(250);
        let attempt = (patience * attempt / 100).max(1);
        let connect = (attempt * connect / 100).max(1);
        let (first, max) = (first * 100, (first + more) * 100);
        Policy { timeout, connect, attempt, attempts, first, max, changes }
    })
}

impl Policy {
    fn rig(&self, share: f64) -> Rig {
        let Self { timeout, connect, attempt, attempts, first, max, changes } = self;
        let crm = [
            "breaker: {enabled: false}",
            "concurrency: {limit: 10}",
            &format!("timeouts: {{connect: {connect}ms, attempt: {attempt}ms}}"),
            &format!(
                "retry: {{attempts: {attempts}, backoff: {{first: {first}ms, max: {max}ms}}, \
                 budget: {{per_second: 1000}}}}"
            ),
        ];
        let lookup = [&*format!("timeout: {timeout}ms"), &format!("safe: {}", !changes)];
        let chance = Chance::Loaded(share);
        Setup { crm: &crm, lookup: &lookup, chance, ..Setup::PLAIN }.rig()
    }
}

/// What one call comes to, and what was computed of it.
async fn measured(rig: &Rig, trouble: Trouble) -> Course {
    let connect = fetch(rig).timeouts.connect.as_millis() as u64;
    rig.upstream().always(match trouble {
        Trouble::Refuses => Line::fails(WireError::Connect),
        Trouble::Silent => Line::fails(WireError::Connect).after(connect),
        Trouble::Unavailable => Line::status(503),
        Trouble::Hangs => Line::hangs(),
    });
    let (began, before) = (rig.now(), rig.upstream().count());
    let heard = rig.lookup().heard().await;
    let attempts = (rig.upstream().count() - before) as u32;
    Course { attempts, takes: Duration::from_millis((heard.at - began) as u64) }
}

fn fetch(rig: &Rig) -> Fetch<'_> {
    let catalog = rig.pipeline.catalog();
    Fetch::of(catalog.action("lookup").expect("it is there"), &catalog.upstreams["crm"])
}

/// Checks a policy under pauses of that share of their ceilings.
fn check(policy: &Policy, share: f64) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let rig = policy.rig(share);
        for trouble in Trouble::ALL {
            let measured = measured(&rig, trouble).await;
            let fetch = Fetch { turn: Duration::ZERO, ..fetch(&rig) };
            prop_assert_eq!(measured, fetch.course(trouble, share), "{:?}", trouble);
            let worst = fetch.worst(trouble);
            prop_assert!(measured.takes <= worst.takes, "{:?}: {:?}", measured, worst);
            prop_assert!(measured.attempts <= worst.attempts, "{:?}: {:?}", measured, worst);
            if share == 0.0 {
                prop_assert_eq!(measured.attempts, worst.attempts);
            }
            if share == 1.0 && measured.attempts == worst.attempts {
                prop_assert_eq!(measured.takes, worst.takes);
            }
        }
        Ok(())
    })
}

#[tokio::test(start_paused = true)]
async fn an_attempt_waits_for_its_quota_and_then_for_its_turn() {
    let crm = [
        "breaker: {enabled: false}",
        "concurrency: {limit: 1}",
        "quota: {rate: 10/s, burst: 1}",
        "retry: {attempts: 1}",
    ];
    let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
    rig.upstream().always(Line::fails(WireError::Connect).after(180));
    let began = rig.now();
    let first = rig.lookup().id(1).set_off().await;
    let second = rig.lookup().id(2).heard().await;
    first.heard().await;
    // A tenth of a second for the quota, then for the first to end; then its own time.
    let waited = Duration::from_millis((second.at - began) as u64 - 180);
    assert_eq!(waited, Duration::from_millis(180));
    let worst = |fetch: Fetch<'_>| fetch.worst(Trouble::Refuses).takes;
    assert!(waited <= worst(fetch(&rig)), "{:?}", worst(fetch(&rig)));
    assert!(waited > worst(Fetch { pace: Duration::ZERO, ..fetch(&rig) }));
}

#[test]
fn a_call_costs_what_is_computed_of_it_and_never_more_than_the_worst_case() {
    let mut runner =
        TestRunner::new(Config { cases: 128, failure_persistence: None, ..Config::default() });
    let share = prop_oneof![Just(0), Just(100), 0..=100_u32];
    let result = runner.run(&(policy(), share), |(policy, hundredths)| {
        check(&policy, f64::from(hundredths) / 100.0)
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
