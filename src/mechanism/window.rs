//! Counts what happened lately: exact counts over a span of time that slides on in ten steps.
//!
//! Ten buckets rather than one stamp for each event: the size is fixed whatever the traffic. The
//! price is that the oldest tenth of the span leaves at once.

use std::time::Duration;

use crate::time::Instant;

const BUCKETS: usize = 10;

/// `N` counters over a sliding span. What is younger than nine tenths of the span is always
/// counted, what is as old as the span never.
#[derive(Debug, Clone)]
pub struct Window<const N: usize> {
    /// The time one bucket stands for, in nanoseconds; never zero.
    width: u64,
    /// Where the first bucket begins: the first event.
    origin: Option<Instant>,
    /// The newest bucket, counted from the origin.
    newest: u64,
    buckets: [[u64; N]; BUCKETS],
    /// What all buckets hold together.
    sums: [u64; N],
}

impl<const N: usize> Window<N> {
    /// An empty window of that length.
    pub fn new(span: Duration) -> Self {
        let width = nanoseconds(span) / BUCKETS as u64;
        Self {
            width: width.max(1),
            origin: None,
            newest: 0,
            buckets: [[0; N]; BUCKETS],
            sums: [0; N],
        }
    }

    /// Counts one event at `now` in the counter of that number, below `N`. An instant before the
    /// newest one seen (two threads read the clock, then raced) counts as the newest.
    pub fn add(&mut self, now: Instant, counter: usize) {
        self.origin.get_or_insert(now);
        self.slide(now);
        self.buckets[place(self.newest)][counter] += 1;
        self.sums[counter] += 1;
    }

    /// The counters over the span that ends at `now`.
    pub fn sums(&mut self, now: Instant) -> [u64; N] {
        self.slide(now);
        self.sums
    }

    /// Forgets every event.
    pub fn clear(&mut self) {
        self.buckets = [[0; N]; BUCKETS];
        self.sums = [0; N];
    }

    /// Makes the bucket of `now` the newest and empties those passed on the way.
    fn slide(&mut self, now: Instant) {
        let Some(origin) = self.origin else { return };
        let current = nanoseconds(now.saturating_duration_since(origin)) / self.width;
        let steps = current.saturating_sub(self.newest);
        for step in 1..=steps.min(BUCKETS as u64) {
            let leaves = std::mem::replace(&mut self.buckets[place(self.newest + step)], [0; N]);
            for (sum, count) in self.sums.iter_mut().zip(leaves) {
                *sum -= count;
            }
        }
        self.newest += steps;
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn place(bucket: u64) -> usize {
    (bucket % BUCKETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::now;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_event_is_counted_for_nine_to_ten_tenths_of_the_span() {
        let start = now();
        let mut window = Window::<1>::new(10 * SECOND);
        window.add(start, 0);
        window.add(start + SECOND * 3 / 2, 0);
        assert_eq!(window.sums(start + 9 * SECOND), [2]);
        assert_eq!(window.sums(start + 10 * SECOND), [1]);
        assert_eq!(window.sums(start + 11 * SECOND), [0]);
    }

    #[test]
    fn a_long_silence_empties_it() {
        let start = now();
        let mut window = Window::<2>::new(SECOND);
        window.add(start, 0);
        window.add(start, 1);
        window.add(start + 3600 * SECOND, 1);
        assert_eq!(window.sums(start + 3600 * SECOND), [0, 1]);
    }

    #[test]
    fn an_instant_from_the_past_counts_as_the_newest() {
        let start = now();
        let mut window = Window::<1>::new(10 * SECOND);
        window.add(start + 5 * SECOND, 0);
        window.add(start + 9 * SECOND, 0);
        window.add(start, 0);
        assert_eq!(window.sums(start), [3]);
        assert_eq!(window.sums(start + 15 * SECOND), [2]);
    }

    #[test]
    fn a_span_of_nothing_or_of_everything_does_no_harm() {
        let start = now();
        for span in [Duration::ZERO, Duration::from_nanos(3), Duration::MAX] {
            let mut window = Window::<1>::new(span);
            window.add(start, 0);
            assert_eq!(window.sums(start), [1]);
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_list_of_all_events(
            steps in prop::collection::vec((0u64..4_000, 0usize..2), 1..200),
        ) {
            let span = 10 * SECOND;
            let mut window = Window::<2>::new(span);
            let mut events = Vec::new();
            let mut at = now();
            for (pause, counter) in steps {
                at += Duration::from_millis(pause);
                window.add(at, counter);
                events.push((at, counter));
                let sums = window.sums(at);
                for (counter, sum) in sums.into_iter().enumerate() {
                    let younger = |age: Duration| {
                        let counted = events.iter().filter(|(then, which)| {
                            *which == counter && at.duration_since(*then) < age
                        });
                        counted.count() as u64
                    };
                    prop_assert!(sum >= younger(span * 9 / 10));
                    prop_assert!(sum <= younger(span));
                }
            }
        }
    }
}
