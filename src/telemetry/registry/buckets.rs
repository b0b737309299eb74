//! The samples of a histogram: how many fell between which bounds, and their sum. To note one takes two
//! atomic steps and no memory, however long nobody scrapes.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{GaugeFn, HistogramFn};

/// Samples by the bounds of their metric.
pub(super) struct Buckets {
    /// Upper bounds, the lowest first.
    bounds: &'static [f64],
    /// Samples up to each bound and above the one before it, and last those above all.
    counts: Box<[AtomicU64]>,
    /// The bits of a float.
    sum: AtomicU64,
}

/// What was noted so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// Each bound, and the samples up to it.
    pub(super) up_to: Vec<(f64, u64)>,
    /// All samples.
    pub(super) count: u64,
    /// Their sum. It may hold samples more or less than the count, those that were being noted.
    pub(super) sum: f64,
}

impl Buckets {
    /// No samples yet.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// What was noted so far. Each count is read once, so that the lines of one scrape fit together.
    pub(super) fn seen(&self) -> Seen {
        let mut counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let mut count = 0;
        let up_to = self.bounds.iter().zip(&mut counts).map(|(bound, samples)| {
            count += samples;
            (*bound, count)
        });
        let up_to = up_to.collect();
        count += counts.sum::<u64>();
        Seen { up_to, count, sum: f64::from_bits(self.sum.load(Ordering::Relaxed)) }
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        // Bounds are few, and most samples are low: from below the first look is often the last.
        let at = self.bounds.iter().position(|bound| value <= *bound);
        self.counts[at.unwrap_or(self.bounds.len())].fetch_add(1, Ordering::Relaxed);
        self.sum.increment(value);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::{
        collection::vec,
        prelude::{Strategy, prop_assert_eq, prop_oneof, proptest},
    };

    use super::*;

    const BOUNDS: &[f64] = &[0.001, 0.01, 0.25, 1.0, 60.0];

    fn sample() -> impl Strategy<Value = f64> {
        prop_oneof![0.0..100.0, 0.0..0.02, (0..BOUNDS.len()).prop_map(|at| BOUNDS[at])]
    }

    proptest! {
        #[test]
        fn each_sample_counts_under_every_bound_that_it_does_not_exceed(samples in vec(sample(), 0..200)) {
            let buckets = Buckets::new(BOUNDS);
            samples.iter().for_each(|sample| buckets.record(*sample));
            let up_to = |bound: &f64| samples.iter().filter(|sample| *sample <= bound).count() as u64;
            prop_assert_eq!(buckets.seen(), Seen {
                up_to: BOUNDS.iter().map(|bound| (*bound, up_to(bound))).collect(),
                count: samples.len() as u64,
                sum: samples.iter().fold(0.0, |sum, sample| sum + sample),
            });
        }
    }

    #[test]
    fn of_samples_noted_at_once_none_is_lost() {
        let buckets = Buckets::new(BOUNDS);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|at| buckets.record(f64::from(at % 4) * 0.5)));
            }
            // Looked at meanwhile, no line contradicts another.
            for _ in 0..100 {
                let seen = buckets.seen();
                assert!(seen.up_to.is_sorted_by_key(|(_, samples)| *samples));
                assert!(seen.up_to.last().is_some_and(|(_, samples)| *samples == seen.count));
            }
        });
        let seen = buckets.seen();
        assert_eq!((seen.count, seen.sum), (40_000, 30_000.0));
        let samples: Vec<_> = seen.up_to.iter().map(|(_, samples)| *samples).collect();
        assert_eq!(samples, [10_000, 10_000, 10_000, 30_000, 40_000]);
    }
}
