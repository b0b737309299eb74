//! Policies: numbers that were checked once, with their reasons beside the defaults.
//!
//! The defaults are those of `holdline.yaml`; the reasons are in `ARCHITECTURE.md`.

use std::{num::NonZeroU32, time::Duration};

/// How long one exchange with an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// DNS, TCP and TLS.
    pub connect: Duration,
    /// One attempt: connect, send, headers and the whole body.
    pub attempt: Duration,
}

/// The least time in which an attempt of at most `attempt` is worth beginning. With less than 150 ms
/// it could not finish; one that may not take as long itself needs only its own time.
pub fn least(attempt: Duration) -> Duration {
    attempt.min(Duration::from_millis(150))
}

/// What may be repeated, when, and out of which budget.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all; 1 means never again.
    pub attempts: u32,
    /// The causes that are repeated.
    pub on: Vec<RetryOn>,
    /// The ceiling of the first wait; doubled each time. The wait is a random part of the ceiling.
    pub first: Duration,
    /// The highest ceiling.
    pub max: Duration,
    /// How many repeats all calls together may have.
    pub budget: BudgetPolicy,
    /// The header by which the upstream tells repeats apart. Absent: unsafe actions are repeated
    /// only where nothing was sent.
    pub idempotency_key: Option<http::HeaderName>,
}

impl RetryPolicy {
    /// The longest wait after the `attempts`th attempt, from 1: it doubles each time.
    pub fn ceiling(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.max)
    }
}

/// A cause to repeat an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    /// No connection: nothing was sent.
    Connect,
    /// The connection broke before the whole reply was there.
    Reset,
    /// The attempt's time was up.
    Timeout,
    /// A status: one of 408, 500, 502, 503, 504.
    Status(u16),
}

/// How many repeats all calls to one upstream may have together, so that a retry never becomes the
/// storm that keeps it down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetPolicy {
    /// Repeats for each first try, such as 0.2.
    pub ratio: f64,
    /// Repeats a second that are always allowed.
    pub per_second: f64,
    /// The time over which both are counted.
    pub window: Duration,
}

/// When an upstream is given a rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerPolicy {
    /// Off: every attempt passes, nothing is counted.
    pub enabled: bool,
    /// It opens at this share of failures, `0.0..=1.0` ...
    pub failure_ratio: f64,
    /// ... of at least this many attempts ...
    pub min_attempts: u32,
    /// ... within this time.
    pub window: Duration,
    /// It opens after this many failures in a row.
    pub run: u32,
    /// It opens after this many failures to connect in a row.
    pub connect_run: u32,
    /// How long it stays open the first time; doubled each time after.
    pub open_first: Duration,
    /// How long it stays open at most.
    pub open_max: Duration,
    /// Good probes, one at a time, that close it.
    pub close_after: u32,
    /// How long after closing only a part of the attempts passes.
    pub ramp: Duration,
    /// When slowness counts as failing too; `None`: never.
    pub slow: Option<SlowPolicy>,
    /// How long a probe may keep its place without a word: its waits, its attempt and a second.
    pub lease: Duration,
}

impl BreakerPolicy {
    /// Whether what was counted under the other policy counts under this one too. The lease is no
    /// rule: it follows the time-out of an attempt.
    pub fn judges_like(&self, other: &Self) -> bool {
        let rules = |policy: &Self| Self { lease: Duration::ZERO, ..*policy };
        rules(self) == rules(other)
    }
}

/// When slowness counts as failing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowPolicy {
    /// An attempt that took longer is slow, however it ended.
    pub after: Duration,
    /// The breaker opens at this share of slow attempts, `0.0..=1.0`.
    pub ratio: f64,
}

/// How many attempts may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencyPolicy {
    /// The number.
    pub limit: ConcurrencyLimit,
    /// How long an attempt waits for its turn at most.
    pub wait: Duration,
}

/// A number of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConcurrencyLimit {
    /// Always this many.
    Fixed(u32),
    /// As many as the upstream takes without slowing down: found by measuring.
    Adaptive {
        /// Where it begins.
        start: u32,
        /// It never falls below this, but for the moments in which it is measured.
        min: u32,
        /// It never rises above this.
        max: u32,
    },
}

/// What an upstream's vendor allows; paid per attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaPolicy {
    /// The time after which one more attempt is allowed.
    pub period: Duration,
    /// How many are allowed at once after a rest.
    pub burst: NonZeroU32,
}

/// When a second attempt is sent beside one that is late.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HedgePolicy {
    /// It is late after this part of the recent attempts were answered, such as 0.95.
    pub quantile: f64,
    /// The most second attempts, as a share of all first ones.
    pub budget: f64,
}

/// How far the time to live of one entry may be from its policy's, either way, as a share: entries
/// that were loaded together must not expire together.
pub const TTL_JITTER: f64 = 0.1;

/// How answers are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct CachePolicy {
    /// How long an entry is fresh, before jitter of a tenth either way.
    pub ttl: Duration,
    /// The inputs that make the key, sorted.
    pub key: Vec<String>,
    /// The input that says whose data it is.
    pub customer: Option<String>,
    /// Who may be given the same entry.
    pub shared_by: SharedBy,
    /// After `ttl`: answered stale at once, refreshed behind.
    pub stale_while_revalidate: Duration,
    /// After `ttl`: answered stale when the fetch fails.
    pub stale_if_error: Duration,
    /// Within `stale_if_error`: answered stale when the fetch takes longer than this.
    pub stale_after: Duration,
    /// How long a 404 is remembered; zero: not at all.
    pub not_found: Duration,
    /// Calls that may wait for one flight.
    pub max_waiters: usize,
}

/// Who may be given the same entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedBy {
    /// Callers of one organisation.
    Org,
    /// One caller.
    Caller,
    /// Everybody.
    All,
}
