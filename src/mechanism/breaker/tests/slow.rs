//! Slowness that counts as failing.

use super::*;
use crate::catalog::policy::SlowPolicy;

fn slow_rule() -> BreakerPolicy {
    BreakerPolicy { slow: Some(SlowPolicy { after: SECOND, ratio: 0.8 }), ..policy() }
}

impl Bench {
    fn attempts_of(&self, count: u32, took: Duration, verdict: Verdict) {
        for _ in 0..count {
            self.admit().expect("it is admitted").took(took).settle(self.now, verdict);
        }
    }

    fn slow(&self) -> (u64, u64) {
        let snapshot = self.breaker.snapshot(self.now);
        (snapshot.slow, snapshot.attempts)
    }
}

#[test]
fn it_opens_at_the_ratio_of_slow_attempts_once_there_are_enough() {
    let bench = Bench::new(slow_rule(), EVEN);
    bench.attempts_of(4, 10 * MS, Verdict::Success);
    bench.attempts_of(15, 1001 * MS, Verdict::Success);
    assert_eq!((bench.state(), bench.slow()), (State::Closed, (15, 19)), "nineteen say nothing");
    bench.attempts_of(1, 1001 * MS, Verdict::Success);
    assert_eq!((bench.state(), bench.slow()), (State::Open, (16, 20)));
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.slow_ratio, snapshot.failure_ratio), (0.8, 0.0));
}

#[test]
fn it_stays_closed_below_the_ratio_and_at_the_very_time() {
    let bench = Bench::new(slow_rule(), EVEN);
    for _ in 0..50 {
        bench.attempts_of(1, SECOND, Verdict::Success);
        bench.attempts_of(3, 1001 * MS, Verdict::Success);
    }
    assert_eq!((bench.state(), bench.slow()), (State::Closed, (150, 200)));
}

#[test]
fn a_slow_failure_is_slow_too_and_a_slow_attempt_without_a_verdict_is_nothing() {
    let bench = Bench::new(BreakerPolicy { failure_ratio: 1.0, ..slow_rule() }, EVEN);
    for _ in 0..8 {
        bench.attempts_of(1, 2 * SECOND, OTHER);
        bench.attempts_of(1, 2 * SECOND, Verdict::Success);
        bench.attempts_of(1, 2 * SECOND, Verdict::None);
    }
    bench.attempts_of(3, MS, Verdict::Success);
    assert_eq!((bench.state(), bench.slow()), (State::Closed, (16, 19)));
    bench.attempts_of(1, MS, Verdict::Success);
    assert_eq!(bench.state(), State::Open, "16 of 20");
}

#[test]
fn a_slow_success_ends_a_run_of_failures() {
    let bench = Bench::new(slow_rule(), EVEN);
    bench.attempts(6, OTHER);
    bench.attempts_of(1, 2 * SECOND, Verdict::Success);
    bench.attempts(6, OTHER);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn slow_probes_are_weighed_by_the_ratio_and_those_without_a_verdict_are_not() {
    let mut bench = Bench::half_open(slow_rule(), EVEN);
    bench.attempts_of(9, 2 * SECOND, Verdict::None);
    bench.attempts_of(2, 1001 * MS, Verdict::Success);
    assert_eq!(bench.state(), State::HalfOpen, "two say too little");
    bench.attempts_of(1, 1001 * MS, Verdict::Success);
    assert_eq!(bench.refusal(), 4 * SECOND);
    bench.advance(4 * SECOND);
    bench.attempts_of(3, MS, Verdict::Success);
    assert_eq!((bench.state(), bench.slow()), (State::Closed, (0, 0)));
}

#[test]
fn an_upstream_of_which_a_part_is_slow_by_nature_is_let_back() {
    let bench = Bench::half_open(slow_rule(), EVEN);
    for took in [2 * SECOND, MS, 2 * SECOND, 2 * SECOND, MS] {
        bench.attempts_of(1, took, Verdict::Success);
        assert_eq!(bench.state(), State::HalfOpen);
    }
    bench.attempts_of(1, MS, Verdict::Success);
    assert_eq!(bench.state(), State::Closed, "three of six");
}

#[test]
fn without_the_rule_nothing_is_slow() {
    let bench = Bench::new(policy(), EVEN);
    bench.attempts_of(100, 3600 * SECOND, Verdict::Success);
    assert_eq!((bench.state(), bench.slow()), (State::Closed, (0, 100)));
}
