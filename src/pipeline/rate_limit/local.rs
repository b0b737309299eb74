//! The buckets of one limit, in this process: governor's GCRA on our clock, over a table that is
//! swept and capped.
//!
//! governor's own keyed table grows with every key it ever saw. This one forgets a bucket once it
//! has been left alone long enough to be full again, and beyond its cap new keys share one bucket:
//! under a flood of made-up keys memory stays bounded, and known keys keep their own counts.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    ops::Add,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference},
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};

use crate::{
    fingerprint::{Fingerprint, Passing},
    time::{self, Instant},
};

/// Keys that one limit keeps count of.
const CAP: usize = 100_000;
/// Parts of the table, each under a lock of its own.
const SHARDS: usize = 16;

/// The buckets of one limit.
#[derive(Debug)]
pub(super) struct Buckets {
    limiter: RateLimiter<Fingerprint, Table, Ticks, governor::middleware::NoOpMiddleware<Tick>>,
    table: Table,
    start: Instant,
}

impl Buckets {
    /// Full buckets that gain one call a `period` up to `burst`.
    pub(super) fn new(period: Duration, burst: NonZeroU32) -> Self {
        let quota = Quota::with_period(period)
            .expect("the configuration refuses a rate without end")
            .allow_burst(burst);
        let table = Table::default();
        let limiter = RateLimiter::new(quota, table.clone(), Ticks::default());
        Self { limiter, table, start: time::now() }
    }

    /// Takes one call out of the bucket of `key`, or says after how long there is one.
    pub(super) fn take(&self, key: Fingerprint, now: Instant) -> Result<(), Duration> {
        let now = self.tick(now);
        // Never back: who was held up in between must not set the time of those who were not.
        self.limiter.clock().0.fetch_max(now.0, Ordering::Relaxed);
        self.limiter.check_key(&key).map_err(|not_until| not_until.wait_time_from(now))
    }

    /// Forgets the buckets that are full again.
    pub(super) fn sweep(&self, now: Instant) {
        let now = Nanos::from(self.tick(now).0);
        for part in &self.table.0.parts {
            let mut part = lock(part);
            part.retain(|_, full_at| *full_at > now);
            part.shrink_to_fit();
        }
    }

    /// How many keys are kept count of.
    pub(super) fn len(&self) -> usize {
        self.table.0.parts.iter().map(|part| lock(part).len()).sum()
    }

    fn tick(&self, now: Instant) -> Tick {
        let since = now.saturating_duration_since(self.start).as_nanos();
        Tick(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

/// governor's state store.
#[derive(Debug, Clone, Default)]
struct Table(Arc<Shards>);

#[derive(Debug, Default)]
struct Shards {
    /// Of each bucket the time at which it is full again, which is all that GCRA keeps.
    parts: [Mutex<HashMap<Fingerprint, Nanos, Passing>>; SHARDS],
    overflow: InMemoryState,
}

impl StateStore for Table {
    type Key = Fingerprint;

    fn measure_and_replace<T, F, E>(&self, key: &Fingerprint, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Shards { parts, overflow } = &*self.0;
        // By the last byte: the first ones say where in its part a key stands.
        let mut part = lock(&parts[usize::from(key.bytes()[31]) % SHARDS]);
        if let Some(full_at) = part.get_mut(key) {
            let (done, next) = decide(Some(*full_at))?;
            *full_at = next;
            Ok(done)
        } else if part.len() < CAP / SHARDS {
            let (done, next) = decide(None)?;
            part.insert(*key, next);
            Ok(done)
        } else {
            drop(part);
            overflow.measure_and_replace(&NotKeyed::NonKey, decide)
        }
    }
}

fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Our clock, as governor wants one: it shows the time of the last call that asked, which may be one
/// beside the call that reads it, a moment apart.
#[derive(Debug, Clone, Default)]
struct Ticks(Arc<AtomicU64>);

/// Nanoseconds since the limit was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(u64);

impl Clock for Ticks {
    type Instant = Tick;

    fn now(&self) -> Tick {
        Tick(self.0.load(Ordering::Relaxed))
    }
}

impl Add<Nanos> for Tick {
    type Output = Self;

    fn add(self, later: Nanos) -> Self {
        Self(self.0.saturating_add(later.as_u64()))
    }
}

impl Reference for Tick {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.saturating_sub(duration.as_u64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(period_ms: u64, burst: u32) -> Buckets {
        Buckets::new(Duration::from_millis(period_ms), NonZeroU32::new(burst).unwrap())
    }

    fn take(buckets: &Buckets, key: Fingerprint) -> Result<(), Duration> {
        buckets.take(key, time::now())
    }

    fn key(n: u32) -> Fingerprint {
        Fingerprint::of(&n.to_be_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn the_promised_wait_is_exact() {
        let buckets = buckets(20, 3);
        for _ in 0..3 {
            assert_eq!(take(&buckets, key(1)), Ok(()));
        }
        let wait = take(&buckets, key(1)).unwrap_err();
        assert_eq!(wait, Duration::from_millis(20));
        tokio::time::advance(wait - Duration::from_millis(1)).await;
        assert!(take(&buckets, key(1)).is_err());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(take(&buckets, key(1)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_key_does_not_use_up_another() {
        let buckets = buckets(20, 1);
        assert_eq!(take(&buckets, key(1)), Ok(()));
        assert!(take(&buckets, key(1)).is_err());
        assert_eq!(take(&buckets, key(2)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_forgotten_once_its_bucket_is_full_again_and_not_before() {
        let buckets = buckets(20, 5);
        for _ in 0..5 {
            assert_eq!(take(&buckets, key(1)), Ok(()));
        }
        tokio::time::advance(Duration::from_millis(99)).await;
        buckets.sweep(time::now());
        assert_eq!(buckets.len(), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        buckets.sweep(time::now());
        assert_eq!(buckets.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_keys_stays_under_the_cap_and_spares_the_known_ones() {
        let buckets = buckets(1000, 2);
        assert_eq!(take(&buckets, key(0)), Ok(()));
        let refused = (1..150_000).filter(|n| take(&buckets, key(*n)).is_err()).count();
        assert!(buckets.len() <= CAP);
        assert!(refused > 40_000, "newcomers beyond the cap share one bucket: {refused}");
        assert_eq!(take(&buckets, key(0)), Ok(()));
    }
}
