//! What is let through, what is given back, and that it is never too much.

use std::num::NonZeroU32;

use proptest::{prelude::*, sample::Index, test_runner::Config};

use super::*;
use crate::time::now;

const PERIOD: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

fn quota(burst: u32, start: Instant) -> Arc<Quota> {
    let burst = NonZeroU32::new(burst).unwrap();
    Quota::new(QuotaPolicy { period: PERIOD, burst }, start)
}

fn spend(quota: &Arc<Quota>, now: Instant, times: u32) {
    for _ in 0..times {
        quota.take(now, Duration::ZERO, 0).unwrap().spend();
    }
}

fn refused(quota: &Arc<Quota>, now: Instant, keep_back: u32) -> Duration {
    quota.take(now, Duration::ZERO, keep_back).unwrap_err().retry_after
}

#[test]
fn a_burst_passes_at_once_and_then_one_each_period() {
    let start = now();
    let quota = quota(3, start);
    assert_eq!((quota.left(start), quota.burst()), (3, 3));
    spend(&quota, start, 3);
    assert_eq!((quota.left(start), refused(&quota, start, 0)), (0, PERIOD));
    let almost = start + PERIOD - Duration::from_nanos(1);
    assert_eq!((quota.left(almost), refused(&quota, almost, 0)), (0, Duration::from_nanos(1)));
    spend(&quota, start + PERIOD, 1);
    assert_eq!(refused(&quota, start + PERIOD, 0), PERIOD);
    assert_eq!(quota.left(start + 3 * PERIOD), 2);
    assert_eq!(quota.left(start + 100 * PERIOD), 3, "no more than the burst is saved up");
}

#[test]
fn a_place_is_waited_for_where_that_is_short_enough() {
    let start = now();
    let quota = quota(1, start);
    spend(&quota, start, 1);
    let first = quota.take(start, PERIOD, 0).unwrap();
    assert_eq!(first.wait(), PERIOD);
    let second = quota.take(start, LONG, 0).unwrap();
    assert_eq!(second.wait(), 2 * PERIOD);
    let third = quota.take(start, 3 * PERIOD - Duration::from_nanos(1), 0);
    assert_eq!(third.unwrap_err().retry_after, 3 * PERIOD);
}

#[test]
fn what_is_kept_back_is_there_for_others() {
    let start = now();
    let quota = quota(5, start);
    for _ in 0..4 {
        quota.take(start, Duration::ZERO, 1).unwrap().spend();
    }
    assert_eq!((quota.left(start), refused(&quota, start, 1)), (1, PERIOD));
    spend(&quota, start, 1);
    assert_eq!(refused(&quota, start, 1), 2 * PERIOD);
}

#[test]
fn a_burst_no_larger_than_what_is_kept_back_still_gives_one_when_it_is_whole() {
    let start = now();
    let quota = quota(2, start);
    quota.take(start, Duration::ZERO, 7).unwrap().spend();
    assert_eq!(refused(&quota, start, 7), PERIOD);
}

#[test]
fn a_place_that_is_not_used_is_free_again() {
    let start = now();
    let quota = quota(2, start);
    let first = quota.take(start, Duration::ZERO, 0).unwrap();
    let second = quota.take(start, Duration::ZERO, 0).unwrap();
    drop(first);
    assert_eq!(quota.left(start), 1);
    second.spend();
    drop(second);
    assert_eq!(quota.left(start), 1, "what was spent is not given back");
    let waits = quota.take(start, LONG, 0).unwrap();
    let waits_longer = quota.take(start, LONG, 0).unwrap();
    assert_eq!((waits.wait(), waits_longer.wait()), (Duration::ZERO, PERIOD));
    drop((waits, waits_longer));
    assert_eq!(quota.left(start), 1);
}

#[test]
fn time_that_has_passed_is_not_given_back_twice() {
    let start = now();
    let quota = quota(1, start);
    let unused = quota.take(start, Duration::ZERO, 0).unwrap();
    spend(&quota, start + 2 * PERIOD, 1);
    drop(unused);
    assert_eq!(quota.left(start + 2 * PERIOD), 0);
}

#[test]
fn those_behind_a_place_that_is_given_back_keep_theirs() {
    let start = now();
    let quota = quota(1, start);
    spend(&quota, start, 1);
    let leaves = quota.take(start, LONG, 0).unwrap();
    let stays = quota.take(start, LONG, 0).unwrap();
    drop(leaves);
    assert_eq!(refused(&quota, start, 0), stays.wait() + PERIOD);
}

/// Steps of a history: a pause in milliseconds, then somebody comes, spends or leaves.
#[derive(Debug, Clone)]
enum Step {
    Come { wait_at_most: u64, keep_back: u32 },
    Spend(Index),
    Leave(Index),
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let pause = prop_oneof![3 => Just(0), 2 => 0..60_u64, 1 => 0..700_u64];
    let come = (prop_oneof![Just(0), 0..600_u64], prop_oneof![3 => Just(0), 1 => 0..4_u32]);
    let step = prop_oneof![
        4 => come.prop_map(|(wait_at_most, keep_back)| Step::Come { wait_at_most, keep_back }),
        2 => any::<Index>().prop_map(Step::Spend),
        2 => any::<Index>().prop_map(Step::Leave),
    ];
    (pause, step)
}

proptest! {
    #![proptest_config(Config { cases: 10_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn never_more_than_the_burst_and_what_time_gives_passes(
        burst in 1..6_u32,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let start = now();
        let (quota, mut at) = (quota(burst, start), start);
        let mut out: Vec<(Instant, Paid)> = Vec::new();
        let mut spent = Vec::new();
        for (pause, step) in steps {
            at += Duration::from_millis(pause);
            match step {
                Step::Come { wait_at_most, keep_back } => {
                    let wait_at_most = Duration::from_millis(wait_at_most);
                    if let Ok(paid) = quota.take(at, wait_at_most, keep_back) {
                        prop_assert!(paid.wait() <= wait_at_most);
                        out.push((at + paid.wait(), paid));
                    }
                }
                Step::Spend(which) if !out.is_empty() => {
                    let (place, paid) = out.swap_remove(which.index(out.len()));
                    paid.spend();
                    spent.push(place);
                }
                Step::Leave(which) if !out.is_empty() => {
                    drop(out.swap_remove(which.index(out.len())));
                }
                Step::Spend(_) | Step::Leave(_) => {}
            }
            prop_assert!(quota.left(at) <= burst);
        }
        // Half of those who are left go, the others leave.
        for (number, (place, paid)) in out.into_iter().enumerate() {
            if number % 2 == 0 {
                paid.spend();
                spent.push(place);
            }
        }
        prop_assert_eq!(quota.lock().taken.len(), 0, "nothing is kept that cannot come back");
        spent.sort_unstable();
        for (first, begins) in spent.iter().enumerate() {
            for (last, ends) in spent.iter().enumerate().skip(first) {
                let given = ends.duration_since(*begins).as_nanos() / PERIOD.as_nanos();
                let passed = (last - first + 1) as u128;
                prop_assert!(passed <= u128::from(burst) + given, "{passed} of {burst} + {given}");
            }
        }
    }

    #[test]
    fn whoever_leaves_has_never_come(
        burst in 1..6_u32,
        before in prop::collection::vec((0..300_u64, 0..400_u64), 0..20),
        guests in 1..20_usize,
    ) {
        let start = now();
        let (quota, mut at) = (quota(burst, start), start);
        for (pause, wait) in before {
            at += Duration::from_millis(pause);
            if let Ok(paid) = quota.take(at, Duration::from_millis(wait), 0) {
                paid.spend();
            }
        }
        let whole = quota.lock().whole;
        let guests: Vec<_> = (0..guests).filter_map(|_| quota.take(at, LONG, 0).ok()).collect();
        drop(guests);
        let soonest = |whole: Instant| whole.max(at);
        prop_assert_eq!(soonest(quota.lock().whole), soonest(whole));
    }
}
