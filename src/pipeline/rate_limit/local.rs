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
    fingerprint::Fingerprint,
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
}

impl Buckets {
    /// Full buckets that gain one call a `period` up to `burst`.
    pub(super) fn new(period: Duration, burst: NonZeroU32) -> Self {
        let quota = Quota::with_period(period)
            .expect("the configuration refuses a rate without end")
            .allow_burst(burst);
        let clock = Ticks { start: time::now() };
        let table = Table(Arc::new(Shards {
            parts: std::array::from_fn(|_| Mutex::default()),
            overflow: InMemoryState::default(),
            full_after: period * burst.get(),
            clock,
        }));
        Self { limiter: RateLimiter::new(quota, table.clone(), clock), table }
    }

    /// Takes one call out of the bucket of `key`, or says after how long there is one.
    pub(super) fn take(&self, key: Fingerprint) -> Result<(), Duration> {
        self.limiter
            .check_key(&key)
            .map_err(|not_until| not_until.wait_time_from(self.limiter.clock().now()))
    }

    /// Forgets the buckets that are full again.
    pub(super) fn sweep(&self) {
        let shards = &self.table.0;
        let (now, full_after) = (shards.clock.now(), to_nanos(shards.full_after));
        for part in &shards.parts {
            let mut part = lock(part);
            part.retain(|_, bucket| Tick(bucket.used.load(Ordering::Relaxed)) + full_after > now);
            part.shrink_to_fit();
        }
    }

    /// How many keys are kept count of.
    pub(super) fn len(&self) -> usize {
        self.table.0.parts.iter().map(|part| lock(part).len()).sum()
    }
}

/// governor's state store.
#[derive(Debug, Clone)]
struct Table(Arc<Shards>);

#[derive(Debug)]
struct Shards {
    parts: [Mutex<HashMap<Fingerprint, Arc<Bucket>>>; SHARDS],
    overflow: InMemoryState,
    full_after: Duration,
    clock: Ticks,
}

#[derive(Debug, Default)]
struct Bucket {
    state: InMemoryState,
    /// The tick of its last use.
    used: AtomicU64,
}

impl StateStore for Table {
    type Key = Fingerprint;

    fn measure_and_replace<T, F, E>(&self, key: &Fingerprint, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let shards = &self.0;
        let bucket = {
            let mut part = lock(&shards.parts[usize::from(key.bytes()[0]) % SHARDS]);
            match part.get(key) {
                Some(bucket) => Some(Arc::clone(bucket)),
                None if part.len() >= CAP / SHARDS => None,
                None => Some(Arc::clone(part.entry(*key).or_default())),
            }
        };
        let Some(bucket) = bucket else {
            return shards.overflow.measure_and_replace(&NotKeyed::NonKey, decide);
        };
        bucket.used.store(shards.clock.now().0, Ordering::Relaxed);
        bucket.state.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Our clock, as governor wants one.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    start: Instant,
}

/// Nanoseconds since the limit was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(u64);

impl Clock for Ticks {
    type Instant = Tick;

    fn now(&self) -> Tick {
        Tick(to_nanos(time::now().saturating_duration_since(self.start)).as_u64())
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

fn to_nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(period_ms: u64, burst: u32) -> Buckets {
        Buckets::new(Duration::from_millis(period_ms), NonZeroU32::new(burst).unwrap())
    }

    fn key(n: u32) -> Fingerprint {
        Fingerprint::of(&n.to_be_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn the_promised_wait_is_exact() {
        let buckets = buckets(20, 3);
        for _ in 0..3 {
            assert_eq!(buckets.take(key(1)), Ok(()));
        }
        let wait = buckets.take(key(1)).unwrap_err();
        assert_eq!(wait, Duration::from_millis(20));
        tokio::time::advance(wait - Duration::from_millis(1)).await;
        assert!(buckets.take(key(1)).is_err());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(buckets.take(key(1)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_key_does_not_use_up_another() {
        let buckets = buckets(20, 1);
        assert_eq!(buckets.take(key(1)), Ok(()));
        assert!(buckets.take(key(1)).is_err());
        assert_eq!(buckets.take(key(2)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_forgotten_once_its_bucket_is_full_again_and_not_before() {
        let buckets = buckets(20, 5);
        let _ = buckets.take(key(1));
        tokio::time::advance(Duration::from_millis(99)).await;
        buckets.sweep();
        assert_eq!(buckets.len(), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        buckets.sweep();
        assert_eq!(buckets.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_keys_stays_under_the_cap_and_spares_the_known_ones() {
        let buckets = buckets(1000, 2);
        assert_eq!(buckets.take(key(0)), Ok(()));
        let refused = (1..150_000).filter(|n| buckets.take(key(*n)).is_err()).count();
        assert!(buckets.len() <= CAP);
        assert!(refused > 40_000, "newcomers beyond the cap share one bucket: {refused}");
        assert_eq!(buckets.take(key(0)), Ok(()));
    }
}
