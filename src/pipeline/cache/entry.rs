//! An entry: a cached answer and until when it is worth what. Pure; the instant is handed in.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;

use crate::{catalog::policy::CachePolicy, fingerprint::Fingerprint, time::Instant};

pub(super) use crate::catalog::policy::TTL_JITTER as JITTER;

/// A cached answer.
pub(super) struct Entry {
    /// The flat object, serialised; `None`: the upstream said that there is no such record.
    pub(super) answer: Option<Bytes>,
    /// Whose answer it is.
    pub(super) action: Arc<str>,
    /// Whose data it is, as a keyed fingerprint.
    pub(super) customer: Option<Fingerprint>,
    stored: Instant,
    /// The end of its time to live, unless it was marked stale before.
    fresh_until: Instant,
    /// How long after that it is refreshed behind, and how long it is worth anything.
    revalidated_for: Duration,
    usable_for: Duration,
    /// When it was marked stale, where it was.
    marked: OnceLock<Instant>,
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
        let (action, customer) = of;
        Self {
            answer: Some(answer),
            action,
            customer,
            stored: now,
            fresh_until: now + policy.ttl.mul_f64(stretch),
            revalidated_for: policy.stale_while_revalidate,
            usable_for: policy.stale_while_revalidate.max(policy.stale_if_error),
            marked: OnceLock::new(),
        }
    }

    /// That there is no such record, for `ttl`.
    pub(super) fn not_found(
        ttl: Duration,
        now: Instant,
        of: (Arc<str>, Option<Fingerprint>),
    ) -> Self {
        let (action, customer) = of;
        Self {
            answer: None,
            action,
            customer,
            stored: now,
            fresh_until: now + ttl,
            revalidated_for: Duration::ZERO,
            usable_for: Duration::ZERO,
            marked: OnceLock::new(),
        }
    }

    /// What it is worth at `now`.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        let fresh_until = self.fresh_until();
        if now < fresh_until {
            return Standing::Fresh;
        }
        let past = now.saturating_duration_since(fresh_until);
        if past < self.revalidated_for {
            Standing::Revalidating
        } else if past < self.usable_for {
            Standing::Spare
        } else {
            Standing::Expired
        }
    }

    /// Marks it stale from `now` on: what follows its time to live begins at once, and so also ends
    /// sooner, never later. Returns whether it was not marked before; the first mark holds.
    pub(super) fn mark(&self, now: Instant) -> bool {
        self.marked.set(now).is_ok()
    }

    /// From when on it is worth nothing.
    pub(super) fn usable_until(&self) -> Instant {
        self.fresh_until() + self.usable_for
    }

    /// When it was kept.
    pub(super) fn stored(&self) -> Instant {
        self.stored
    }

    fn fresh_until(&self) -> Instant {
        self.marked.get().map_or(self.fresh_until, |marked| self.fresh_until.min(*marked))
    }

    /// How old it is at `now`.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.stored)
    }

    /// How many seconds of its time to live are left at `now`, for `Cache-Status`.
    pub(super) fn ttl_left(&self, now: Instant) -> Duration {
        self.fresh_until().saturating_duration_since(now)
    }

    /// For how long it has been past its time to live at `now`.
    pub(super) fn overdue(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.fresh_until())
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

    #[tokio::test(start_paused = true)]
    async fn a_mark_begins_at_once_what_follows_the_time_to_live_and_the_first_one_holds() {
        let now = time::now();
        let entry = Entry::found(Bytes::new(), &policy(), 1.0, now, of());
        let after = |secs| now + Duration::from_secs(secs);
        assert!(entry.mark(after(10)));
        assert!(!entry.mark(after(20)));
        let at = |secs| entry.standing(after(secs));
        assert_eq!(at(9), Standing::Fresh);
        assert_eq!(at(10), Standing::Revalidating);
        assert_eq!(at(40), Standing::Spare);
        assert_eq!(at(309), Standing::Spare);
        assert_eq!(at(310), Standing::Expired);
        assert_eq!(entry.ttl_left(after(10)), Duration::ZERO);
        assert_eq!(entry.age(after(10)), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_mark_on_a_stale_entry_adds_nothing_to_its_time() {
        let now = time::now();
        let entry = Entry::found(Bytes::new(), &policy(), 1.0, now, of());
        entry.mark(now + Duration::from_secs(80));
        let at = |secs| entry.standing(now + Duration::from_secs(secs));
        assert_eq!((at(89), at(90)), (Standing::Revalidating, Standing::Spare));
        assert_eq!((at(359), at(360)), (Standing::Spare, Standing::Expired));
    }

    #[tokio::test(start_paused = true)]
    async fn a_remembered_absence_that_is_marked_is_as_good_as_removed() {
        let now = time::now();
        let entry = Entry::not_found(Duration::from_secs(10), now, of());
        entry.mark(now + Duration::from_secs(1));
        assert_eq!(entry.standing(now + Duration::from_secs(1)), Standing::Expired);
    }
}
