//! The quota of an upstream: what its vendor allows, paid per attempt.
//!
//! The rule is the generic cell rate algorithm: a burst at once, then one more each period. Who comes
//! too early reserves a place and is told how long to wait for it. A place that is not used is given
//! back: the state becomes what it would be had it never been taken, while those behind it keep the
//! places they were told. So over any stretch of time at most `burst + time / period` places are
//! used: of those in a stretch look at the one taken last; the `k` others were taken before it, so
//! the quota was not whole again before the first of them plus `k` periods, and it lies at most
//! `burst - 1` periods before that.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{catalog::policy::QuotaPolicy, time::Instant};

/// What one upstream may be sent.
#[derive(Debug)]
pub struct Quota {
    policy: QuotaPolicy,
    places: Mutex<Places>,
}

/// The right to make one attempt at its place. Dropped before it is spent, the place is free again.
#[derive(Debug)]
#[must_use = "dropping it gives it back"]
pub struct Paid {
    quota: Arc<Quota>,
    number: u64,
    wait: Duration,
}

/// No place in time; nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the quota is used up for {retry_after:?}")]
pub struct UsedUp {
    /// After how long there is a place.
    pub retry_after: Duration,
}

#[derive(Debug)]
struct Places {
    /// When the quota would be whole again after all that was spent before `taken`.
    settled: Instant,
    /// From the oldest place that may still be given back, in the order of taking. No longer than
    /// what is let through while one attempt waits.
    taken: VecDeque<Place>,
    /// When it is whole again after all of them.
    whole: Instant,
    next: u64,
}

#[derive(Debug)]
struct Place {
    number: u64,
    at: Instant,
    spent: bool,
}

impl Quota {
    /// A whole quota, at `now`.
    pub fn new(policy: QuotaPolicy, now: Instant) -> Arc<Self> {
        let places = Places { settled: now, taken: VecDeque::new(), whole: now, next: 0 };
        Arc::new(Self { policy, places: Mutex::new(places) })
    }

    /// Reserves a place, at most `wait_at_most` after `now`. So many places as `keep_back` says, out
    /// of the burst, are left for others; a burst no larger than that lets nobody wait in vain: it
    /// gives one place when it is whole.
    ///
    /// # Errors
    /// [`UsedUp`], where the place would come later.
    pub fn take(
        self: &Arc<Self>,
        now: Instant,
        wait_at_most: Duration,
        keep_back: u32,
    ) -> Result<Paid, UsedUp> {
        let mut places = self.lock();
        let wait = places.whole.saturating_duration_since(now + self.ahead(keep_back));
        if wait > wait_at_most {
            return Err(UsedUp { retry_after: wait });
        }
        let number = places.next;
        let place = Place { number, at: now + wait, spent: false };
        places.next += 1;
        places.whole = after(places.whole, &place, self.policy.period);
        places.taken.push_back(place);
        Ok(Paid { quota: Arc::clone(self), number, wait })
    }

    /// How many places are free at `now`.
    pub fn left(&self, now: Instant) -> u32 {
        let owed = self.lock().whole.saturating_duration_since(now).as_nanos();
        let owed = owed.div_ceil(self.policy.period.as_nanos().max(1));
        self.burst().saturating_sub(u32::try_from(owed).unwrap_or(u32::MAX))
    }

    /// How many it lets through at once when it is whole.
    pub fn burst(&self) -> u32 {
        self.policy.burst.get()
    }

    /// How far ahead of the instant at which it is whole one may come.
    fn ahead(&self, keep_back: u32) -> Duration {
        self.policy.period.saturating_mul((self.burst() - 1).saturating_sub(keep_back))
    }

    fn settle(&self, number: u64, spent: bool) {
        let period = self.policy.period;
        let mut places = self.lock();
        let Ok(at) = places.taken.binary_search_by_key(&number, |place| place.number) else {
            // Spent, and no longer needed.
            return;
        };
        if spent {
            places.taken[at].spent = true;
        } else if !places.taken[at].spent {
            places.taken.remove(at);
            let kept = places.taken.iter();
            places.whole = kept.fold(places.settled, |whole, place| after(whole, place, period));
        }
        while let Some(place) = places.taken.pop_front_if(|place| place.spent) {
            places.settled = after(places.settled, &place, period);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the quota is whole again after one more place.
fn after(whole: Instant, place: &Place, period: Duration) -> Instant {
    whole.max(place.at) + period
}

impl Paid {
    /// How long to wait before it may be spent.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// The attempt is sent: the place cannot be given back any more.
    pub fn spend(&self) {
        self.quota.settle(self.number, true);
    }
}

impl Drop for Paid {
    fn drop(&mut self) {
        self.quota.settle(self.number, false);
    }
}

#[cfg(test)]
mod tests;
