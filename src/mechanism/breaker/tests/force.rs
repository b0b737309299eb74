//! What an operator may make of it for a while, and what becomes of it afterwards.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn forced_open_it_refuses_all_and_sends_nobody_away_for_longer_than_it_lasts() {
    let mut bench = Bench::new(policy(), EVEN);
    bench.force(Force::Open, 10 * MINUTE);
    assert_eq!(bench.state(), State::ForcedOpen);
    assert_eq!(bench.refusal(), MINUTE, "no longer than an open breaker would");
    bench.advance(10 * MINUTE - 5 * SECOND);
    assert_eq!(bench.refusal(), 5 * SECOND);
    bench.advance(5 * SECOND - MS);
    assert_eq!(bench.refusal(), MS);
}

#[test]
fn after_having_been_forced_open_it_wants_probes_and_ramps_up() {
    use State::{Closed, ForcedOpen, HalfOpen};
    for early in [false, true] {
        let mut bench = Bench::new(policy(), EVEN);
        bench.force(Force::Open, MINUTE);
        if early {
            bench.advance(SECOND);
            bench.breaker.release(bench.now);
        } else {
            bench.advance(MINUTE);
        }
        assert_eq!(bench.state(), HalfOpen);
        let probe = bench.admit().unwrap();
        assert!(probe.is_probe());
        assert_eq!(bench.refusal(), SECOND);
        probe.settle(bench.now, Verdict::Success);
        bench.attempts(2, Verdict::Success);
        let snapshot = bench.breaker.snapshot(bench.now);
        assert_eq!((snapshot.state, snapshot.ramp_left), (Closed, 10 * SECOND));
        let expected = [(Closed, ForcedOpen), (ForcedOpen, HalfOpen), (HalfOpen, Closed)];
        assert_eq!(bench.heard(), expected);
    }
}

#[test]
fn a_breaker_that_was_well_forgets_its_openings_when_it_is_forced_open() {
    let mut bench = Bench::half_open(policy(), LUCKY);
    bench.attempts(3, Verdict::Success);
    bench.advance(MINUTE);
    bench.force(Force::Open, MINUTE);
    bench.advance(MINUTE);
    bench.attempt(OTHER);
    assert_eq!(bench.refusal(), 1200 * MS, "the first open time again");
}

#[test]
fn a_probe_that_is_out_keeps_its_place_while_it_is_forced_open_and_says_nothing() {
    let bench = Bench::half_open(policy(), EVEN);
    let probe = bench.admit().unwrap();
    bench.force(Force::Open, MINUTE);
    bench.breaker.release(bench.now);
    assert_eq!(bench.refusal(), SECOND, "there are never two");
    bench.force(Force::Open, MINUTE);
    probe.settle(bench.now, OTHER);
    bench.breaker.release(bench.now);
    assert!(bench.admit().unwrap().is_probe());
}

#[test]
fn forced_closed_all_pass_and_nothing_counts() {
    let mut bench = Bench::half_open(policy(), EVEN);
    let probe = bench.admit().unwrap();
    bench.force(Force::Closed, MINUTE);
    bench.attempts(100, CONNECT);
    let straggler = bench.admit().unwrap();
    probe.settle(bench.now, OTHER);
    assert_eq!((bench.state(), bench.counts()), (State::ForcedClosed, (0, 0)));

    bench.advance(MINUTE);
    bench.attempts(6, OTHER);
    straggler.settle(bench.now, OTHER);
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.state, snapshot.attempts), (State::Closed, 6), "it began anew");
    assert!(snapshot.ramp_left.is_zero());
    bench.attempt(OTHER);
    assert_eq!(bench.refusal(), 2 * SECOND, "the first open time again");
}

#[test]
fn observing_all_pass_and_the_rules_go_on_and_are_told() {
    use State::{Closed, HalfOpen, Open};
    let mut bench = Bench::new(policy(), EVEN);
    bench.force(Force::Observe, MINUTE);
    bench.attempts(7, OTHER);
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.state, snapshot.would_be), (State::Observing, Some(Open)));
    assert_eq!(snapshot.open_until, Some(bench.now + 2 * SECOND));

    // What would be refused passes all the same, and counts for nothing.
    for verdict in [OTHER, Verdict::Success, Verdict::None] {
        let pass = bench.admit().unwrap();
        assert!(pass.would_be_refused() && !pass.is_probe());
        pass.settle(bench.now, verdict);
    }
    bench.advance(2 * SECOND);
    let probe = bench.admit().unwrap();
    assert!(probe.is_probe() && !probe.would_be_refused());
    let beside = bench.admit().unwrap();
    assert!(beside.would_be_refused() && !beside.is_probe());
    beside.settle(bench.now, OTHER);
    probe.settle(bench.now, Verdict::Success);
    bench.attempts(2, Verdict::Success);
    assert!(bench.admit().unwrap().would_be_refused(), "the ramp would refuse it");
    assert_eq!(bench.observed(), [(Closed, Open), (Open, HalfOpen), (HalfOpen, Closed)]);
    assert_eq!(bench.heard(), [(Closed, State::Observing)]);
}

#[test]
fn after_observing_it_acts_on_the_state_that_its_rules_have_come_to() {
    use State::{Closed, HalfOpen, Observing, Open};
    let mut bench = Bench::new(policy(), EVEN);
    bench.force(Force::Observe, MINUTE);
    bench.attempts(7, OTHER);
    bench.advance(SECOND);
    bench.breaker.release(bench.now);
    assert_eq!((bench.state(), bench.refusal()), (Open, SECOND));
    assert_eq!(bench.heard(), [(Closed, Observing), (Observing, Open)]);

    let mut bench = Bench::new(policy(), EVEN);
    bench.force(Force::Observe, 3 * SECOND);
    bench.attempts(7, OTHER);
    bench.advance(MINUTE);
    assert!(bench.admit().unwrap().is_probe());
    assert_eq!(bench.observed(), [(Closed, Open), (Open, HalfOpen)], "within the three seconds");
    assert_eq!(bench.heard(), [(Closed, Observing), (Observing, HalfOpen)]);
}

#[test]
fn an_attempt_from_before_observing_began_is_heard() {
    let bench = Bench::new(policy(), EVEN);
    bench.attempts(6, OTHER);
    let before = bench.admit().unwrap();
    bench.force(Force::Observe, MINUTE);
    before.settle(bench.now, OTHER);
    assert_eq!(bench.breaker.snapshot(bench.now).would_be, Some(State::Open));
}

#[test]
fn one_force_takes_the_place_of_another_and_the_same_one_is_no_change() {
    use State::{Closed, ForcedClosed, ForcedOpen, Observing};
    let mut bench = Bench::new(policy(), EVEN);
    bench.force(Force::Open, MINUTE);
    bench.advance(SECOND);
    bench.force(Force::Open, SECOND);
    assert_eq!(bench.refusal(), SECOND);
    bench.force(Force::Observe, MINUTE);
    bench.force(Force::Closed, MINUTE);
    bench.breaker.release(bench.now);
    bench.breaker.release(bench.now);
    let expected = [
        (Closed, ForcedOpen),
        (ForcedOpen, Observing),
        (Observing, ForcedClosed),
        (ForcedClosed, Closed),
    ];
    assert_eq!(bench.heard(), expected);
}

#[test]
fn a_force_that_is_over_already_only_lifts_the_other() {
    let bench = Bench::new(policy(), EVEN);
    for force in [Force::Open, Force::Closed, Force::Observe] {
        bench.force(Force::Closed, MINUTE);
        bench.force(force, Duration::ZERO);
        assert_eq!(bench.state(), State::Closed);
    }
}

#[test]
fn looking_lifts_a_force_that_is_over() {
    let mut bench = Bench::new(policy(), EVEN);
    bench.force(Force::Closed, MINUTE);
    bench.advance(2 * MINUTE);
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.state, snapshot.forced), (State::Closed, None));
    assert_eq!(snapshot.since, Some(bench.now - MINUTE), "since its end");
    assert_eq!(bench.heard().len(), 2);
}

#[test]
fn it_shows_since_when_it_is_in_its_state_though_nobody_has_asked() {
    let mut bench = Bench::new(policy(), EVEN);
    assert_eq!(bench.breaker.snapshot(bench.now).since, None, "from the start");
    bench.advance(SECOND);
    bench.attempts(7, OTHER);
    let opened = bench.now;
    assert_eq!(bench.breaker.snapshot(bench.now).since, Some(opened));
    bench.advance(MINUTE);
    assert_eq!(bench.breaker.snapshot(bench.now).since, Some(opened + 2 * SECOND));
    bench.force(Force::Observe, MINUTE);
    assert_eq!(bench.breaker.snapshot(bench.now).since, Some(bench.now));
}

#[test]
fn one_that_is_switched_off_can_be_forced_and_is_off_again_afterwards() {
    let off = BreakerPolicy { enabled: false, ..policy() };
    for force in [Force::Open, Force::Closed, Force::Observe] {
        let mut bench = Bench::new(off, EVEN);
        bench.force(force, MINUTE);
        for _ in 0..7 {
            if let Ok(pass) = bench.admit() {
                pass.settle(bench.now, OTHER);
            }
        }
        let snapshot = bench.breaker.snapshot(bench.now);
        let would_be = (force == Force::Observe).then_some(State::Open);
        assert_eq!((snapshot.state, snapshot.would_be), (force.state(), would_be));
        bench.advance(MINUTE);
        bench.attempts(100, OTHER);
        assert_eq!((bench.state(), bench.counts()), (State::Disabled, (0, 0)));
    }
}
