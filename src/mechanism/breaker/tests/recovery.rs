//! How it closes again: probes, stragglers, the ramp, and what it remembers.

use super::*;

#[test]
fn half_open_lets_one_probe_out_at_a_time() {
    let bench = Bench::half_open(policy(), EVEN);
    let probe = bench.admit().unwrap();
    assert_eq!(bench.refusal(), SECOND);
    probe.settle(bench.now, Verdict::Success);
    bench.attempt(Verdict::Success);
    assert_eq!(bench.state(), State::HalfOpen, "two are not enough");
    bench.attempt(Verdict::Success);
    assert_eq!(bench.state(), State::Closed);
    assert_eq!(bench.counts(), (0, 0), "it begins anew");
}

#[test]
fn a_probe_without_a_verdict_gives_its_place_to_the_next() {
    let bench = Bench::half_open(policy(), EVEN);
    bench.attempts(2, Verdict::Success);
    bench.attempts(10, Verdict::None);
    drop(bench.admit().unwrap());
    assert_eq!(bench.state(), State::HalfOpen);
    bench.attempt(Verdict::Success);
    assert_eq!(bench.state(), State::Closed, "the two before still count");
}

#[test]
fn a_probe_that_keeps_silent_loses_its_place_and_its_voice() {
    let mut bench = Bench::half_open(policy(), EVEN);
    let silent = bench.admit().unwrap();
    bench.advance(2500 * MS);
    assert_eq!(bench.refusal(), 500 * MS);
    bench.advance(500 * MS);
    let next = bench.admit().unwrap();
    silent.settle(bench.now, OTHER);
    assert_eq!(bench.state(), State::HalfOpen);
    assert_eq!(bench.refusal(), SECOND, "the place is still the next one's");
    next.settle(bench.now, OTHER);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_probe_past_its_lease_is_not_heard_though_nobody_took_its_place() {
    let mut bench = Bench::half_open(policy(), EVEN);
    let silent = bench.admit().unwrap();
    bench.advance(3 * SECOND);
    silent.settle(bench.now, OTHER);
    assert_eq!(bench.state(), State::HalfOpen);
    bench.attempts(3, Verdict::Success);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn stragglers_from_before_a_change_are_not_heard() {
    let mut bench = Bench::new(policy(), LUCKY);
    let mut stragglers: Vec<_> = (0..30).map(|_| bench.admit().unwrap()).collect();
    bench.attempts(7, OTHER);
    let until = bench.breaker.snapshot(bench.now).open_until;
    stragglers.drain(..10).for_each(|pass| pass.settle(bench.now, OTHER));
    assert_eq!(bench.breaker.snapshot(bench.now).open_until, until);

    bench.advance(2 * SECOND);
    let probe = bench.admit().unwrap();
    stragglers.drain(..10).for_each(|pass| pass.settle(bench.now, OTHER));
    assert_eq!(bench.state(), State::HalfOpen);
    probe.settle(bench.now, Verdict::Success);
    bench.attempts(2, Verdict::Success);

    stragglers.drain(..).for_each(|pass| pass.settle(bench.now, OTHER));
    assert_eq!((bench.state(), bench.counts()), (State::Closed, (0, 0)));
}

#[test]
fn after_closing_a_quarter_passes_then_half_then_all() {
    for (roll, first, second) in
        [(0.1, true, true), (0.3, false, true), (0.49, false, true), (0.5, false, false)]
    {
        let mut bench = Bench::half_open(policy(), Chance::Loaded(roll));
        bench.attempts(3, Verdict::Success);
        assert_eq!(bench.admit().is_ok(), first, "{roll} at first");
        bench.advance(5 * SECOND - MS);
        assert_eq!(bench.admit().is_ok(), first, "{roll} just before half-time");
        bench.advance(MS);
        assert_eq!(bench.admit().is_ok(), second, "{roll} from half-time on");
        bench.advance(5 * SECOND - MS);
        assert_eq!(bench.admit().is_ok(), second, "{roll} to the end");
        bench.advance(MS);
        assert!(bench.admit().is_ok(), "{roll} after the ramp");
    }
}

#[test]
fn refused_by_the_ramp_one_may_ask_again_shortly() {
    let mut bench = Bench::half_open(policy(), EVEN);
    bench.attempts(3, Verdict::Success);
    assert_eq!(bench.refusal(), SECOND);
    bench.advance(10 * SECOND - 200 * MS);
    assert_eq!(bench.refusal(), 200 * MS);
}

#[test]
fn without_a_ramp_all_pass_at_once() {
    let bench = Bench::half_open(BreakerPolicy { ramp: Duration::ZERO, ..policy() }, EVEN);
    bench.attempts(3 + 100, Verdict::Success);
    assert_eq!(bench.counts(), (0, 100));
}

#[test]
fn failing_again_during_the_ramp_goes_on_doubling_after_it_begins_anew() {
    for (after, seconds) in [(10 * SECOND - MS, 4), (10 * SECOND, 2)] {
        for ramp in [Duration::ZERO, 10 * SECOND] {
            let policy = BreakerPolicy { ramp, ..policy() };
            // Out of a roll of 0.1 comes an open time of six tenths.
            let mut bench = Bench::half_open(policy, LUCKY);
            bench.attempts(3, Verdict::Success);
            bench.advance(after);
            bench.attempts(7, OTHER);
            assert_eq!(bench.refusal(), seconds * SECOND * 6 / 10, "{ramp:?} {after:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_cancelled_gives_the_probes_place_back() {
    let bench = Bench::half_open(policy(), EVEN);
    let attempt = async {
        let _pass = bench.admit().unwrap();
        std::future::pending::<()>().await;
    };
    tokio::time::timeout(SECOND, attempt).await.unwrap_err();
    assert!(bench.admit().is_ok());
}
