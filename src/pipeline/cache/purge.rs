//! Purges: which entries they remove or mark stale, and which fetches under way they make void. A
//! purge is never undone by a fetch that began before it.

use std::{
    collections::VecDeque,
    num::NonZeroU64,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::fingerprint::Fingerprint;

/// Purges that are remembered one by one. A fetch that began before the oldest of them is taken to
/// be void whatever it fetches: that many purges within one fetch are rare.
const REMEMBERED: usize = 256;

/// What a purge does to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// Marks it stale: it is still good for what stale entries are good for.
    Soft,
    /// Removes it.
    Hard,
}

impl Manner {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

/// Whose data an answer is: so much of the customer's keyed fingerprint that two customers hardly
/// ever share it. Where two do, the purge of one takes the other's answers along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Customer(NonZeroU64);

impl Customer {
    /// The customer of that fingerprint.
    pub(super) fn new(fingerprint: Fingerprint) -> Self {
        let [first, ..] = fingerprint.bytes().as_chunks().0 else {
            unreachable!("it has 32 bytes")
        };
        Self(NonZeroU64::MIN | u64::from_le_bytes(*first))
    }
}

/// Which entries a purge is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    /// All.
    All,
    /// Those of an action, of a customer, or of both.
    Of {
        /// The action's name.
        action: Option<Arc<str>>,
        /// The customer.
        customer: Option<Customer>,
    },
}

impl Which {
    /// Whether an answer of that action about that customer is among them.
    pub(super) fn covers(&self, of_action: &str, of_customer: Option<Customer>) -> bool {
        match self {
            Self::All => true,
            Self::Of { action, customer } => {
                action.as_ref().is_none_or(|action| **action == *of_action)
                    && customer.is_none_or(|customer| of_customer == Some(customer))
            }
        }
    }
}

/// The last purges, numbered.
#[derive(Debug, Default)]
pub(super) struct Purges(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    /// How many there have been.
    count: u64,
    /// The last of them.
    recent: VecDeque<(Which, Manner)>,
}

impl Purges {
    /// How many there have been: what a fetch notes when it begins.
    pub(super) fn count(&self) -> u64 {
        self.log().count
    }

    /// Notes one more.
    pub(super) fn note(&self, which: Which, manner: Manner) {
        let mut log = self.log();
        log.count += 1;
        log.recent.push_back((which, manner));
        if log.recent.len() > REMEMBERED {
            log.recent.pop_front();
        }
    }

    /// How those after the first `since` void an answer of that action about that customer: hard
    /// where any of them is; `None` where none covers it.
    pub(super) fn void(
        &self,
        since: u64,
        action: &str,
        customer: Option<Customer>,
    ) -> Option<Manner> {
        let log = self.log();
        let missed = usize::try_from(log.count - since).unwrap_or(usize::MAX);
        if missed > log.recent.len() {
            return Some(Manner::Hard);
        }
        let since = log.recent.iter().rev().take(missed);
        since.filter(|(which, _)| which.covers(action, customer)).map(|(_, manner)| *manner).max()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(action: &str) -> Which {
        Which::Of { action: Some(action.into()), customer: None }
    }

    #[test]
    fn a_purge_voids_what_began_before_it_and_nothing_that_began_after() {
        let purges = Purges::default();
        let before = purges.count();
        purges.note(of("lookup"), Manner::Hard);
        assert_eq!(purges.void(before, "lookup", None), Some(Manner::Hard));
        assert_eq!(purges.void(before, "orders", None), None);
        assert_eq!(purges.void(purges.count(), "lookup", None), None);
    }

    #[test]
    fn of_several_purges_the_hard_one_counts() {
        let purges = Purges::default();
        purges.note(of("lookup"), Manner::Soft);
        assert_eq!(purges.void(0, "lookup", None), Some(Manner::Soft));
        purges.note(of("lookup"), Manner::Hard);
        purges.note(Which::All, Manner::Soft);
        assert_eq!(purges.void(0, "lookup", None), Some(Manner::Hard));
        assert_eq!(purges.void(2, "lookup", None), Some(Manner::Soft));
        assert_eq!(purges.void(0, "orders", None), Some(Manner::Soft));
    }

    #[test]
    fn a_customers_purge_spares_the_others() {
        let (one, two) =
            (Customer::new(Fingerprint::of(b"1")), Customer::new(Fingerprint::of(b"2")));
        let purges = Purges::default();
        purges.note(Which::Of { action: None, customer: Some(one) }, Manner::Hard);
        assert!(purges.void(0, "lookup", Some(one)).is_some());
        assert!(purges.void(0, "lookup", Some(two)).is_none());
        assert!(purges.void(0, "lookup", None).is_none());
    }

    #[test]
    fn a_fetch_that_slept_through_more_than_is_remembered_is_void() {
        let purges = Purges::default();
        for _ in 0..=REMEMBERED {
            purges.note(of("orders"), Manner::Soft);
        }
        assert_eq!(purges.void(0, "lookup", None), Some(Manner::Hard));
        assert_eq!(purges.void(1, "lookup", None), None);
    }
}
