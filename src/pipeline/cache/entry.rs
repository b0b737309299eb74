//! An entry: a cached answer and until when it is worth what. Pure; the instant is handed in.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use crate::{catalog::policy::CachePolicy, fingerprint::Fingerprint, time::Instant};

pub(super) use crate::catalog::policy::TTL_JITTER as JITTER;

/// How long no refresh is begun after one that failed. Without it, each stale hit would send one.
const REST: Duration = Duration::from_secs(1);

/// A cached answer.
pub(super) struct Entry {
    /// The flat object, serialised; `None`: the upstream said that there is no such record.
    pub(super) answer: Option<Bytes>,
    /// Whose answer it is.
    pub(super) action: Arc<str>,
    /// Whose data it is, as a keyed fingerprint.
    pub(super) customer: Option<Fingerprint>,
    stored: Instant,
    fresh_until: Instant,
    revalidate_until: Instant,
    usable_until: Instant,
    /// Before this no refresh is begun: the last one failed.
    rest_until: Mutex<Option<Instant>>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.answer.as_ref().map(Bytes::len);
        f.debug_struct("Entry").field("bytes", &bytes).finish_non_exhaustive()
    }
}

/// What an entry is worth at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Within its time to live.
    Fresh,
    /// Past it, and good enough to be answered at once while a refresh runs behind.
    Revalidating,
    /// Past that too; good enough only when the fetch fails or is slow.
    Spare,
    /// Good for nothing.
    Expired,
}

impl Entry {
    /// An answer that arrived at `now`; `stretch` is its share of jitter, around 1.
    pub(super) fn found(
        answer: Bytes,
        policy: &CachePolicy,
        stretch: f64,
        now: Instant,
        of: (Arc<str>, Option<Fingerprint>),
    ) -> Self {
        let fresh_until = now + policy.ttl.mul_f64(stretch);
        let revalidate_until = fresh_until + policy.stale_while_revalidate;
        let usable_until = fresh_until + policy.stale_while_revalidate.max(policy.stale_if_error);
        let (action, customer) = of;
        Self {
            answer: Some(answer),
            action,
            customer,
            stored: now,
            fresh_until,
            revalidate_until,
            usable_until,
            rest_until: Mutex::default(),
        }
    }

    /// That there is no such record, for `ttl`.
    pub(super) fn not_found(
        ttl: Duration,
        now: Instant,
        of: (Arc<str>, Option<Fingerprint>),
    ) -> Self {
        let until = now + ttl;
        let (action, customer) = of;
        Self {
            answer: None,
            action,
            customer,
            stored: now,
            fresh_until: until,
            revalidate_until: until,
            usable_until: until,
            rest_until: Mutex::default(),
        }
    }

    /// What it is worth at `now`.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        if now < self.fresh_until {
            Standing::Fresh
        } else if now < self.revalidate_until {
            Standing::Revalidating
        } else if now < self.usable_until {
            Standing::Spare
        } else {
            Standing::Expired
        }
    }

    /// Notes that a refresh failed at `now`.
    pub(super) fn rest(&self, now: Instant) {
        *self.rest_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(now + REST);
    }

    /// Whether a refresh failed a moment ago.
    pub(super) fn is_resting(&self, now: Instant) -> bool {
        let until = *self.rest_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| now < until)
    }

    /// How old it is at `now`.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.stored)
    }

    /// How many seconds of its time to live are left at `now`, for `Cache-Status`.
    pub(super) fn ttl_left(&self, now: Instant) -> Duration {
        self.fresh_until.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::policy::SharedBy, time};

    fn policy() -> CachePolicy {
        CachePolicy {
            ttl: Duration::from_secs(60),
            key: Vec::new(),
            customer: None,
            shared_by: SharedBy::Org,
            stale_while_revalidate: Duration::from_secs(30),
            stale_if_error: Duration::from_secs(300),
            stale_after: Duration::from_millis(300),
            not_found: Duration::ZERO,
            max_waiters: 1,
        }
    }

    fn of() -> (Arc<str>, Option<Fingerprint>) {
        ("lookup".into(), None)
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_ages_from_fresh_over_revalidating_and_spare_to_expired() {
        let now = time::now();
        let entry = Entry::found(Bytes::new(), &policy(), 1.0, now, of());
        let at = |secs| entry.standing(now + Duration::from_secs(secs));
        assert_eq!(at(59), Standing::Fresh);
        assert_eq!(at(60), Standing::Revalidating);
        assert_eq!(at(90), Standing::Spare);
        assert_eq!(at(359), Standing::Spare);
        assert_eq!(at(360), Standing::Expired);
    }

    #[tokio::test(start_paused = true)]
    async fn jitter_stretches_the_time_to_live_only() {
        let now = time::now();
        let entry = Entry::found(Bytes::new(), &policy(), 0.9, now, of());
        assert_eq!(entry.standing(now + Duration::from_secs(54)), Standing::Revalidating);
        assert_eq!(entry.standing(now + Duration::from_secs(84)), Standing::Spare);
    }

    #[tokio::test(start_paused = true)]
    async fn a_remembered_absence_is_never_served_stale() {
        let now = time::now();
        let entry = Entry::not_found(Duration::from_secs(10), now, of());
        assert_eq!(entry.standing(now + Duration::from_secs(9)), Standing::Fresh);
        assert_eq!(entry.standing(now + Duration::from_secs(10)), Standing::Expired);
    }
}
