//! How long an upstream took lately: counts in buckets that grow with the time they stand for.
//!
//! Up to 16 ms each millisecond is a bucket, beyond that each doubling is eight: what is read is too
//! high by an eighth at most, and the memory is fixed whatever the traffic.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{mechanism::window::Window, time::Instant};

/// How far back "lately" reaches.
pub const LATELY: Duration = Duration::from_secs(30);

/// Buckets of a millisecond each.
const SINGLE: u64 = 16;
/// Buckets for each doubling above.
const STEPS: u64 = 8;
/// Doublings: from 16 ms to 65 s, more than any attempt may take; what lies beyond counts as that.
const DOUBLINGS: u64 = 12;
const BUCKETS: usize = (SINGLE + STEPS * DOUBLINGS) as usize;

/// Below so many answers nothing can be said of the middle ...
const LEAST_FOR_THE_MIDDLE: u64 = 20;
/// ... and below so many nothing of the tail.
const LEAST_FOR_THE_TAIL: u64 = 100;

/// The recent latencies of one upstream.
#[derive(Debug)]
pub struct Latency(Mutex<Window<BUCKETS>>);

impl Default for Latency {
    fn default() -> Self {
        Self(Mutex::new(Window::new(LATELY)))
    }
}

impl Latency {
    /// Notes at `now` that an answer took so long.
    pub fn note(&self, now: Instant, took: Duration) {
        self.window().add(now, bucket(took));
    }

    /// The time within which the part `quantile` of the recent answers came, `0.0..=1.0`. `None`
    /// where there were too few: 20 for a half or less, 100 for more.
    pub fn quantile(&self, now: Instant, quantile: f64) -> Option<Duration> {
        let counts = self.window().sums(now);
        let all: u64 = counts.iter().sum();
        let least = if quantile > 0.5 { LEAST_FOR_THE_TAIL } else { LEAST_FOR_THE_MIDDLE };
        if all < least {
            return None;
        }
        let wanted = (all as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        let within = counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        Some(bound(within.unwrap_or(BUCKETS - 1)))
    }

    fn window(&self) -> MutexGuard<'_, Window<BUCKETS>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bucket of a time: the first whose bound is not below it.
fn bucket(took: Duration) -> usize {
    // A bucket holds what is above the bound of the one before, and its own bound.
    let above = u64::try_from(took.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    let above = above.saturating_sub(1);
    if above < SINGLE {
        return above as usize;
    }
    let doubling = u64::from((above / SINGLE).ilog2());
    let step = above / ((SINGLE / STEPS) << doubling) - STEPS;
    ((SINGLE + doubling * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The longest time in a bucket.
fn bound(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    Duration::from_millis(match bucket.checked_sub(SINGLE) {
        None => bucket + 1,
        Some(beyond) => {
            let (doubling, step) = (beyond / STEPS, beyond % STEPS);
            (STEPS + step + 1) * ((SINGLE / STEPS) << doubling)
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::now;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn half_of_the_answers_came_within_the_median() {
        let (at, latency) = (now(), Latency::default());
        for took in 1..=16 {
            latency.note(at, took * MS);
        }
        (0..4).for_each(|_| latency.note(at, 500 * MS));
        assert_eq!(latency.quantile(at, 0.5), Some(10 * MS));
        assert_eq!(latency.quantile(at, 0.0), Some(MS));
    }

    #[test]
    fn too_few_answers_say_nothing() {
        let (at, latency) = (now(), Latency::default());
        for count in 1..=100 {
            latency.note(at, 40 * MS);
            assert_eq!(latency.quantile(at, 0.5).is_some(), count >= 20, "{count}");
            assert_eq!(latency.quantile(at, 0.95).is_some(), count >= 100, "{count}");
        }
        assert_eq!(latency.quantile(at, 0.95), Some(40 * MS));
        let later = at + LATELY;
        assert_eq!((latency.quantile(later, 0.5), latency.quantile(later, 0.95)), (None, None));
    }

    #[test]
    fn the_tail_begins_behind_its_part() {
        let (at, latency) = (now(), Latency::default());
        (0..95).for_each(|_| latency.note(at, 64 * MS));
        (0..5).for_each(|_| latency.note(at, 2000 * MS));
        assert_eq!(latency.quantile(at, 0.95), Some(64 * MS));
        assert_eq!(latency.quantile(at, 0.96), Some(2048 * MS));
    }

    #[test]
    fn buckets_follow_on_one_another() {
        for at in 1..BUCKETS {
            assert!(bound(at - 1) < bound(at));
            assert_eq!(bucket(bound(at - 1)), at - 1);
            assert_eq!(bucket(bound(at - 1) + Duration::from_nanos(1)), at);
        }
        assert_eq!(bucket(Duration::ZERO), 0);
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        assert_eq!(bound(BUCKETS - 1), 65_536 * MS);
    }

    proptest! {
        #[test]
        fn what_is_read_is_too_high_by_an_eighth_at_most(micros in 16_000..60_000_000_u64) {
            let took = Duration::from_micros(micros);
            let read = bound(bucket(took));
            prop_assert!(took <= read && read <= took.mul_f64(1.126), "{took:?} read as {read:?}");
        }
    }
}
