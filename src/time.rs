//! Time as a value: the one monotonic clock, the one wall clock, and the deadline of a call.
//!
//! Everything that waits or expires reads [`now`], which follows tokio's clock and therefore stands
//! still in tests until they move it. Wall time is needed for two things only, the expiry that a
//! token authority names and an HTTP date in `Retry-After`; it is handed in as a [`Wall`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use tokio::time::Instant;

/// The monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

/// Where wall time comes from.
#[derive(Debug, Clone, Copy)]
pub enum Wall {
    /// The machine's clock.
    System,
    /// A clock that showed `shown` at the instant `at` and runs with [`now`] since then: wall time
    /// for tests in virtual time.
    Anchored {
        /// What the clock showed, in seconds since 1970.
        shown: u64,
        /// When it showed that.
        at: Instant,
    },
}

impl Wall {
    /// Time since 1970-01-01 UTC.
    pub fn since_epoch(self) -> Duration {
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place that reads the machine's clock"
            )]
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Self::Anchored { shown, at } => {
                Duration::from_secs(shown) + now().saturating_duration_since(at)
            }
        }
    }

    /// The same as a [`SystemTime`].
    pub fn system_time(self) -> SystemTime {
        UNIX_EPOCH + self.since_epoch()
    }
}

/// The instant after which nobody listens any more. Fixed once, carried everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline of something that began at `start` and may take `total`.
    pub fn after(start: Instant, total: Duration) -> Self {
        Self(start + total)
    }

    /// The instant itself.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// Time left; zero when it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(now())
    }

    /// The earlier of two.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        self.min(other)
    }
}
