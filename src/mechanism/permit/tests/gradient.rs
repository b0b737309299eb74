//! The claims of the limit, against an upstream that is simulated.

use proptest::prelude::*;

use super::super::gradient::Gradient;
use super::upstream::{FIFTY, MINUTE, MS, Nature, SECOND, Sim};
use super::*;

#[test]
fn it_settles_where_the_upstream_is_full_and_does_not_drift_for_ten_minutes() {
    for overload in [2.0, 5.0, 10.0] {
        let mut sim = Sim::new(FIFTY);
        let first = sim.run(overload * 1000.0, 5 * SECOND);
        assert!(first.answered >= 4_250, "{first:?}");
        for _ in 0..10 {
            let seen = sim.run(overload * 1000.0, MINUTE);
            assert!(seen.answered >= 60 * 950, "{overload}: {seen:?}");
            assert!(seen.slowest <= 3 * FIFTY.service, "{overload}: {seen:?}");
            // It is lower only while the baseline is measured, and never higher.
            assert!(seen.highest <= 130, "{overload}: {seen:?}");
            assert!(seen.settled * 100 >= seen.events * 98, "{overload}: {seen:?}");
        }
    }
}

#[test]
fn a_small_upstream_keeps_its_speed_too() {
    for places in [1, 4, 10] {
        let mut sim = Sim::new(Nature { places, ..FIFTY });
        let rate = 40.0 * places as f64;
        sim.run(rate, 2 * MINUTE);
        let seen = sim.run(rate, 5 * MINUTE);
        assert!(seen.answered >= 300 * 20 * places * 94 / 100, "{places}: {seen:?}");
        // Never below four, so the smallest has some queue in any case.
        assert!(seen.highest <= (2 * places + 5), "{places}: {seen:?}");
    }
}

#[test]
fn an_upstream_that_becomes_slower_and_fast_again_is_followed() {
    let mut sim = Sim::new(FIFTY);
    sim.run(2_000.0, MINUTE);
    for (service, capacity) in [(200 * MS, 250), (50 * MS, 1_000), (200 * MS, 250)] {
        sim.nature.service = service;
        sim.run(2_000.0, 15 * SECOND);
        let seen = sim.run(2_000.0, MINUTE);
        assert!(seen.answered >= 60 * capacity * 95 / 100, "{service:?}: {seen:?}");
        assert!(seen.slowest <= 3 * service, "{service:?}: {seen:?}");
    }
}

#[test]
fn it_rises_from_its_floor_within_five_seconds() {
    let mut sim = Sim::starting(FIFTY, 4);
    sim.run(2_000.0, 5 * SECOND);
    let seen = sim.run(2_000.0, SECOND);
    assert!(seen.answered >= 950 && seen.lowest >= 45, "{seen:?}");
}

#[test]
fn a_cold_start_doubles_until_the_upstream_is_full() {
    // 500 calls/s of 200 ms each need 100 places.
    let wide = Nature { places: 1_000, service: 200 * MS, ..FIFTY };
    let mut sim = Sim::new(wide);
    sim.run(500.0, 3 * SECOND);
    let seen = sim.run(500.0, SECOND);
    assert!(seen.shed == 0 && sim.limit() >= 100, "{seen:?}");
}

#[test]
fn an_upstream_that_is_slower_by_itself_is_accepted_at_once() {
    let mut sim = Sim::new(Nature { places: 1_000, service: MS, ..FIFTY });
    sim.run(15_000.0, SECOND);
    sim.nature.service = 200 * MS;
    sim.run(50.0, 2 * SECOND);
    assert!(sim.limit() >= 20, "with ten in use it is slower than it was with fifteen");
    sim.run(500.0, 2 * SECOND);
    let seen = sim.run(500.0, SECOND);
    assert!(seen.shed == 0, "{seen:?}");
}

#[test]
fn it_recovers_within_five_seconds_after_all_was_refused() {
    let mut sim = Sim::new(FIFTY);
    sim.run(2_000.0, 10 * SECOND);
    sim.nature.errors = 1.0;
    sim.run(2_000.0, 20 * SECOND);
    assert_eq!(sim.limit(), 4);
    sim.nature.errors = 0.0;
    sim.run(2_000.0, 5 * SECOND);
    let seen = sim.run(2_000.0, SECOND);
    assert!(seen.answered >= 950, "{seen:?}");
}

#[test]
fn low_traffic_leaves_it_where_it_began() {
    let mut sim = Sim::new(Nature { spread: 0.7, errors: 0.05, ..FIFTY });
    for _ in 0..30 {
        let seen = sim.run(5.0, MINUTE);
        assert_eq!((seen.lowest, seen.highest, seen.shed), (20, 20, 0));
    }
}

#[test]
fn an_upstream_that_refuses_above_thirty_is_given_thirty() {
    for rate in [1_000.0, 2_000.0, 10_000.0] {
        let mut sim = Sim::new(Nature { refuses_above: 30, ..FIFTY });
        sim.run(rate, 10 * SECOND);
        let seen = sim.run(rate, 5 * MINUTE);
        assert!(seen.highest <= 40 && sim.limit() >= 20, "{seen:?}");
        assert!(seen.answered >= 300 * 600 * 90 / 100, "{seen:?}");
    }
}

#[test]
fn errors_at_random_do_not_make_anybody_wait() {
    for errors in [0.01, 0.05, 0.2] {
        let nature = Nature { errors, spread: 0.3, ..FIFTY };
        let mut sim = Sim::new(nature);
        let seen = sim.run(200.0, 5 * MINUTE);
        assert!(seen.shed * 1000 <= seen.answered, "{errors}: {seen:?}");
    }
}

#[test]
fn an_upstream_of_uneven_speed_is_not_taken_for_a_slow_one() {
    let uneven = Nature { places: 1_000, service: 400 * MS, spread: 0.5, ..FIFTY };
    let mut sim = Sim::new(uneven);
    sim.run(200.0, MINUTE);
    let seen = sim.run(200.0, 10 * MINUTE);
    assert!(seen.shed * 1000 <= seen.answered, "{seen:?}");
}

#[test]
fn a_trial_that_hanging_attempts_hold_up_is_given_up() {
    let mut gradient = Gradient::new(20, 4, 200);
    let mut at = now();
    // Old, slower and full: the next baseline is measured at half.
    for latency in [50, 60] {
        for _ in 0..3 {
            for _ in 0..20 {
                gradient.used(at, gradient.limit());
                gradient.told(at, at + latency * MS, Load::Answered);
            }
            at += 200 * MS;
        }
        at += 31 * SECOND;
    }
    gradient.used(at, gradient.limit());
    for _ in 0..100 {
        gradient.told(at, at + 60 * MS, Load::Answered);
        at += 2 * MS;
    }
    let half = gradient.limit();
    gradient.used(at, 30);
    assert_eq!(gradient.limit(), half);
    gradient.used(at + 3 * SECOND, 30);
    assert!(gradient.limit() >= 2 * half, "{} after {half}", gradient.limit());
}

proptest! {
    #[test]
    fn it_stays_within_its_bounds_whatever_it_is_told(
        (min, start, max) in (1u32..30, 0u32..30, 0u32..300),
        told in prop::collection::vec((0u64..3000, 0u64..3000, 0usize..400, 0u8..3), 1..500),
    ) {
        let (start, max) = (min + start, min + start + max);
        let mut gradient = Gradient::new(start, min, max);
        let mut at = now() + MINUTE;
        for (pause, took, in_use, load) in told {
            at += MS * pause as u32 / 10;
            gradient.used(at, in_use);
            match load {
                0 => gradient.told(at - MS * took as u32, at, Load::Overloaded),
                1 => {},
                _ => gradient.told(at - MS * took as u32, at, Load::Answered),
            }
            let limit = gradient.limit();
            prop_assert!(limit >= 1 && limit <= max as usize);
        }
    }
}
