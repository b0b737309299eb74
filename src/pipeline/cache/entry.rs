//! An entry: a cached answer and until when it is worth what. Pure; the instant is handed in.
//!
//! A cache is as good as what fits into it, so an entry is one piece of memory with its answer behind
//! it; what all answers of an action have in common is kept once, in their [`Lot`].

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use triomphe::ThinArc;

use crate::{
    catalog::policy::CachePolicy,
    pipeline::cache::purge::Customer,
    time::{self, Instant},
};

pub(super) use crate::catalog::policy::TTL_JITTER as JITTER;

/// What the entries of an action have in common: those that hold an answer, or those that say that
/// there is no such record. An entry keeps the lot that it was stored with.
#[derive(Debug)]
pub(super) struct Lot {
    /// Whose answers they are.
    pub(super) action: Arc<str>,
    /// Whether there is no such record.
    absent: bool,
    ttl: Duration,
    /// How long after that they are refreshed behind, and how long they are worth anything.
    revalidated_for: Duration,
    usable_for: Duration,
    /// What their times count from.
    since: Instant,
}

/// A cached answer. A clone is the same entry.
#[derive(Clone)]
pub(super) struct Entry(ThinArc<Head, u8>);

/// What stands before the flat object, serialised.
struct Head {
    lot: Arc<Lot>,
    /// Whose data it is.
    customer: Option<Customer>,
    /// Nanoseconds since the lot's beginning.
    stored: u64,
    /// Its time to live, unless it was marked stale before; milliseconds, of which no policy has more
    /// than fit.
    fresh_for: u32,
    /// How long after it was stored it was marked stale, in milliseconds, where it was.
    marked: AtomicU32,
}

/// Not marked stale. No time to live is as long.
const UNMARKED: u32 = u32::MAX;

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

/// The flat object, serialised.
impl AsRef<[u8]> for Entry {
    fn as_ref(&self) -> &[u8] {
        &self.0.slice
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

impl Lot {
    /// Of the answers of `action`.
    pub(super) fn of_answers(action: Arc<str>, policy: &CachePolicy) -> Arc<Self> {
        Arc::new(Self {
            action,
            absent: false,
            ttl: policy.ttl,
            revalidated_for: policy.stale_while_revalidate,
            usable_for: policy.stale_while_revalidate.max(policy.stale_if_error),
            since: time::now(),
        })
    }

    /// Of what `action` knows not to be there: that is never served stale.
    pub(super) fn of_absences(action: Arc<str>, policy: &CachePolicy) -> Arc<Self> {
        Arc::new(Self {
            action,
            absent: true,
            ttl: policy.not_found,
            revalidated_for: Duration::ZERO,
            usable_for: Duration::ZERO,
            since: time::now(),
        })
    }
}

impl Entry {
    /// An answer that arrived at `now`; `stretch` is its share of jitter, around 1.
    pub(super) fn found(
        answer: &[u8],
        lot: &Arc<Lot>,
        stretch: f64,
        now: Instant,
        customer: Option<Customer>,
    ) -> Self {
        Self::new(answer, lot, lot.ttl.mul_f64(stretch), now, customer)
    }

    /// That there is no such record.
    pub(super) fn not_found(lot: &Arc<Lot>, now: Instant, customer: Option<Customer>) -> Self {
        Self::new(b"", lot, lot.ttl, now, customer)
    }

    fn new(
        answer: &[u8],
        lot: &Arc<Lot>,
        fresh_for: Duration,
        now: Instant,
        customer: Option<Customer>,
    ) -> Self {
        let stored = now.saturating_duration_since(lot.since).as_nanos();
        let head = Head {
            lot: Arc::clone(lot),
            customer,
            stored: u64::try_from(stored).unwrap_or(u64::MAX),
            // The nearest; but no time to live becomes none at all.
            fresh_for: millis(fresh_for + Duration::from_micros(500)).max(1),
            marked: AtomicU32::new(UNMARKED),
        };
        Self(ThinArc::from_header_and_slice(head, answer))
    }

    /// Whose answer it is, and how it is kept.
    pub(super) fn lot(&self) -> &Lot {
        &self.head().lot
    }

    /// Whose data it is.
    pub(super) fn customer(&self) -> Option<Customer> {
        self.head().customer
    }

    /// The answer, not copied; `None`: the upstream said that there is no such record.
    pub(super) fn answer(&self) -> Option<Bytes> {
        (!self.lot().absent).then(|| Bytes::from_owner(self.clone()))
    }

    /// Bytes of the answer.
    pub(super) fn len(&self) -> usize {
        self.0.slice.len()
    }

    /// Whether it says that there is no such record.
    pub(super) fn is_absence(&self) -> bool {
        self.lot().absent
    }

    /// What it is worth at `now`.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        let fresh_until = self.fresh_until();
        if now < fresh_until {
            return Standing::Fresh;
        }
        let past = now.saturating_duration_since(fresh_until);
        if past < self.lot().revalidated_for {
            Standing::Revalidating
        } else if past < self.lot().usable_for {
            Standing::Spare
        } else {
            Standing::Expired
        }
    }

    /// Marks it stale from `now` on: what follows its time to live begins at once, and so also ends
    /// sooner, never later. Returns whether it was not marked before; the first mark holds.
    pub(super) fn mark(&self, now: Instant) -> bool {
        // After its time to live a mark says nothing, so none is ever as late as `UNMARKED`.
        let marked = millis(self.age(now)).min(self.head().fresh_for);
        let first = self.head().marked.compare_exchange(
            UNMARKED,
            marked,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        first.is_ok()
    }

    /// From when on it is worth nothing.
    pub(super) fn usable_until(&self) -> Instant {
        self.fresh_until() + self.lot().usable_for
    }

    /// When it was kept.
    pub(super) fn stored(&self) -> Instant {
        self.lot().since + Duration::from_nanos(self.head().stored)
    }

    fn fresh_until(&self) -> Instant {
        let head = self.head();
        let fresh_for = head.fresh_for.min(head.marked.load(Ordering::Relaxed));
        self.stored() + Duration::from_millis(fresh_for.into())
    }

    /// How old it is at `now`.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.stored())
    }

    /// How many seconds of its time to live are left at `now`, for `Cache-Status`.
    pub(super) fn ttl_left(&self, now: Instant) -> Duration {
        self.fresh_until().saturating_duration_since(now)
    }

    /// For how long it has been past its time to live at `now`.
    pub(super) fn overdue(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.fresh_until())
    }

    fn head(&self) -> &Head {
        &self.0.header.header
    }

    /// Bytes of memory that it takes beside its answer.
    pub(super) const OVERHEAD: usize = size_of::<Head>() + 2 * size_of::<usize>();
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::policy::SharedBy;

    fn policy() -> CachePolicy {
        CachePolicy {
            ttl: Duration::from_secs(60),
            key: Vec::new(),
            customer: None,
            shared_by: SharedBy::Org,
            stale_while_revalidate: Duration::from_secs(30),
            stale_if_error: Duration::from_secs(300),
            stale_after: Duration::from_millis(300),
            not_found: Duration::from_secs(10),
            max_waiters: 1,
        }
    }

    fn found(stretch: f64, now: Instant) -> Entry {
        Entry::found(b"{}", &Lot::of_answers("lookup".into(), &policy()), stretch, now, None)
    }

    fn not_found(now: Instant) -> Entry {
        Entry::not_found(&Lot::of_absences("lookup".into(), &policy()), now, None)
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_ages_from_fresh_over_revalidating_and_spare_to_expired() {
        let now = time::now();
        let entry = found(1.0, now);
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
        let entry = found(0.9, now);
        assert_eq!(entry.standing(now + Duration::from_secs(54)), Standing::Revalidating);
        assert_eq!(entry.standing(now + Duration::from_secs(84)), Standing::Spare);
    }

    #[tokio::test(start_paused = true)]
    async fn a_remembered_absence_is_never_served_stale() {
        let now = time::now();
        let entry = not_found(now);
        assert_eq!(entry.standing(now + Duration::from_secs(9)), Standing::Fresh);
        assert_eq!(entry.standing(now + Duration::from_secs(10)), Standing::Expired);
    }

    #[tokio::test(start_paused = true)]
    async fn a_mark_begins_at_once_what_follows_the_time_to_live_and_the_first_one_holds() {
        let now = time::now();
        let entry = found(1.0, now);
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
        let entry = found(1.0, now);
        entry.mark(now + Duration::from_secs(80));
        let at = |secs| entry.standing(now + Duration::from_secs(secs));
        assert_eq!((at(89), at(90)), (Standing::Revalidating, Standing::Spare));
        assert_eq!((at(359), at(360)), (Standing::Spare, Standing::Expired));
    }

    #[tokio::test(start_paused = true)]
    async fn a_remembered_absence_that_is_marked_is_as_good_as_removed() {
        let now = time::now();
        let entry = not_found(now);
        entry.mark(now + Duration::from_secs(1));
        assert_eq!(entry.standing(now + Duration::from_secs(1)), Standing::Expired);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_given_as_it_lies_and_its_length_moves_nothing_else() {
        let lot = Lot::of_answers("lookup".into(), &policy());
        let entry = Entry::found(br#"{"a":1}"#, &lot, 1.0, time::now(), None);
        let (one, other) = (entry.answer().unwrap(), entry.answer().unwrap());
        assert_eq!((&one[..], one.as_ptr()), (&br#"{"a":1}"#[..], other.as_ptr()));
        assert_eq!(not_found(time::now()).answer(), None);
        drop(entry);
        assert_eq!(&one[..], br#"{"a":1}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_time_to_live_fits() {
        let month = Duration::from_secs(30 * 24 * 60 * 60);
        let lot = Lot::of_answers("lookup".into(), &CachePolicy { ttl: month, ..policy() });
        let now = time::now();
        let entry = Entry::found(b"{}", &lot, 1.0 + JITTER, now, None);
        assert_eq!(entry.ttl_left(now), month.mul_f64(1.0 + JITTER));
        assert!(entry.mark(now + month) && !entry.mark(now));
        assert_eq!(entry.standing(now + month), Standing::Revalidating);
    }

    #[test]
    fn an_entry_takes_no_more_than_it_did() {
        assert_eq!(Entry::OVERHEAD, 48);
    }
}
