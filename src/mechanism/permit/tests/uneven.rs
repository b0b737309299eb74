//! The claims of the limit against upstreams of uneven speed, and such as fail at random.

use super::upstream::{FIFTY, MINUTE, MS, Nature, SECOND, Seen, Sim};

/// Takes as many as come.
const WIDE: Nature = Nature { places: 1_000, spread: 0.2, ..FIFTY };

/// 30 ms for so many of its calls, 400 ms for the others.
fn two_speeds(fast: f64) -> Nature {
    Nature { service: 400 * MS, fast: (30 * MS, fast), ..WIDE }
}

/// The share of calls, in percent, that is turned away.
fn shed(seen: &Seen) -> f64 {
    100.0 * seen.shed as f64 / (seen.shed + seen.answered + seen.refused) as f64
}

/// Five upstreams of that nature shed less than `most` percent in a minute, after they have run in.
#[track_caller]
fn sheds_less_than(most: f64, nature: Nature, rate: f64) {
    for seed in 0..5 {
        let mut sim = Sim::seeded(nature, seed);
        sim.run(rate, 20 * SECOND);
        let seen = sim.run(rate, MINUTE);
        assert!(shed(&seen) < most, "{:?}, seed {seed}: {seen:?}", nature.fast);
    }
}

#[test]
fn an_upstream_of_two_speeds_is_not_taken_for_a_slow_one() {
    for fast in [0.1, 0.2, 0.35, 0.4, 0.5, 0.65, 0.9] {
        sheds_less_than(2.0, two_speeds(fast), 200.0);
    }
}

#[test]
fn nor_is_one_that_is_quick_and_busy() {
    for fast in [0.3, 0.4, 0.5] {
        sheds_less_than(2.0, Nature { service: 80 * MS, fast: (20 * MS, fast), ..WIDE }, 1_000.0);
    }
}

#[test]
fn nor_is_one_that_varies_widely() {
    sheds_less_than(5.0, Nature { service: 100 * MS, spread: 1.0, ..WIDE }, 500.0);
}

#[test]
fn refusals_at_random_do_not_wear_the_limit_down() {
    for errors in [0.1, 0.2] {
        sheds_less_than(3.0, Nature { service: 500 * MS, errors, ..WIDE }, 200.0);
    }
}

#[test]
fn attempts_that_hang_at_random_do_not_wear_the_limit_down() {
    sheds_less_than(5.0, Nature { hangs: 0.2, ..WIDE }, 100.0);
}

#[test]
fn it_is_back_within_fifteen_seconds_after_everything_hung() {
    for seed in 0..5 {
        let mut sim = Sim::seeded(two_speeds(0.45), seed);
        sim.run(200.0, 30 * SECOND);
        sim.nature.hangs = 1.0;
        sim.run(200.0, 20 * SECOND);
        sim.nature.hangs = 0.0;
        sim.run(200.0, 15 * SECOND);
        let seen = sim.run(200.0, MINUTE);
        assert!(shed(&seen) < 5.0, "seed {seed}: {seen:?}");
    }
}

#[test]
fn it_is_back_within_fifteen_seconds_after_everything_was_slow() {
    for seed in 0..5 {
        let well = two_speeds(0.45);
        let mut sim = Sim::seeded(well, seed);
        sim.run(200.0, 30 * SECOND);
        sim.nature = Nature { service: 2 * SECOND, ..WIDE };
        sim.run(200.0, 20 * SECOND);
        sim.nature = well;
        sim.run(200.0, 15 * SECOND);
        let seen = sim.run(200.0, MINUTE);
        assert!(shed(&seen) < 5.0, "seed {seed}: {seen:?}");
    }
}

#[test]
fn an_upstream_of_two_speeds_that_is_full_keeps_its_speed() {
    for seed in 0..3 {
        // 50 at a time in 50 ms, on the average.
        let nature = Nature { service: 80 * MS, fast: (20 * MS, 0.5), ..FIFTY };
        let mut sim = Sim::seeded(nature, seed);
        sim.run(2_000.0, 20 * SECOND);
        let seen = sim.run(2_000.0, 5 * MINUTE);
        assert!(seen.answered >= 300 * 950, "{seen:?}");
        assert!(seen.highest <= 130 && seen.slowest <= 200 * MS, "{seen:?}");
    }
}
