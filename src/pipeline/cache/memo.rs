//! Memos: failures of a moment ago. Whoever asks for the same within a second is told the same, and
//! nothing is sent; no refresh is begun for an entry whose last one has just failed.
//!
//! A memo takes the brunt of a burst and delays no recovery: it is never extended, and what it tells
//! leaves no new one.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    pipeline::cache::{FetchFailure, purge::Customer},
    time::Instant,
};

/// How long a failure is remembered.
const LIFE: Duration = Duration::from_secs(1);
/// How many are remembered for one action; beyond that the oldest go.
const MOST: usize = 10_000;

/// The failures of a moment ago, by key.
pub(super) struct Memos<K, E>(Mutex<Noted<K, E>>);

struct Noted<K, E> {
    by_key: HashMap<K, Memo<E>>,
    /// When each was noted, the oldest first. All live equally long, so this is also the order in
    /// which they go. One that was forgotten meanwhile has its place here until then.
    order: VecDeque<(Instant, K)>,
}

struct Memo<E> {
    failure: E,
    noted: Instant,
    customer: Option<Customer>,
}

impl<K, E> Default for Memos<K, E> {
    fn default() -> Self {
        Self(Mutex::new(Noted { by_key: HashMap::new(), order: VecDeque::new() }))
    }
}

impl<K: Eq + Hash + Copy, E: FetchFailure> Memos<K, E> {
    /// Notes that a fetch of `customer`'s data failed at `now`.
    pub(super) fn note(&self, key: K, failure: E, customer: Option<Customer>, now: Instant) {
        let mut noted = self.lock();
        noted.drop_old(now);
        while noted.order.len() >= MOST {
            noted.drop_oldest();
        }
        noted.order.push_back((now, key));
        noted.by_key.insert(key, Memo { failure, noted: now, customer });
    }

    /// What is told to whoever asks for that key at `now`: only what is the upstream's own.
    pub(super) fn told(&self, key: &K, now: Instant) -> Option<E> {
        let noted = self.lock();
        let (memo, age) = noted.live(key, now)?;
        memo.failure.is_upstreams_own().then(|| memo.failure.clone().told_after(age))
    }

    /// Whether any fetch of that key failed a moment before `now`.
    pub(super) fn rests(&self, key: &K, now: Instant) -> bool {
        self.lock().live(key, now).is_some()
    }

    /// Forgets the failure of that key.
    pub(super) fn forget(&self, key: &K) {
        self.lock().by_key.remove(key);
    }

    /// Forgets the failures about such customers.
    pub(super) fn forget_where(&self, such: impl Fn(Option<Customer>) -> bool) {
        self.lock().by_key.retain(|_, memo| !such(memo.customer));
    }

    /// Forgets what is told to nobody any more.
    pub(super) fn sweep(&self, now: Instant) {
        self.lock().drop_old(now);
    }
}

impl<K, E> Memos<K, E> {
    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.lock().by_key.len()
    }

    fn lock(&self) -> MutexGuard<'_, Noted<K, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, E> Noted<K, E> {
    fn live(&self, key: &K, now: Instant) -> Option<(&Memo<E>, Duration)> {
        let memo = self.by_key.get(key)?;
        let age = now.saturating_duration_since(memo.noted);
        (age < LIFE).then_some((memo, age))
    }

    fn drop_old(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(noted, _)| *noted + LIFE <= now) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((noted, key)) = self.order.pop_front() else { return };
        // A newer one of the same key has a place of its own.
        if self.by_key.get(&key).is_some_and(|memo| memo.noted == noted) {
            self.by_key.remove(&key);
        }
    }
}

// By hand: what is remembered belongs to customers.
impl<K, E> fmt::Debug for Memos<K, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memos").field("kept", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fingerprint::Fingerprint, pipeline::cache::Meaning, telemetry::stage::Decided, time,
    };

    #[derive(Debug, Clone, PartialEq)]
    struct Broke {
        own: bool,
        wait: u64,
    }

    impl Decided for Broke {
        fn decision(&self) -> &'static str {
            "broke"
        }
    }

    impl FetchFailure for Broke {
        fn meaning(&self) -> Meaning {
            Meaning::Broken
        }

        fn is_upstreams_own(&self) -> bool {
            self.own
        }

        fn told_after(mut self, age: Duration) -> Self {
            self.wait -= age.as_secs();
            self.wait = self.wait * 1000 - u64::from(age.subsec_millis());
            self
        }
    }

    const OWN: Broke = Broke { own: true, wait: 5 };
    const OURS: Broke = Broke { own: false, wait: 5 };

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_for_a_second_with_what_is_left_of_its_wait() {
        let (memos, start) = (Memos::default(), time::now());
        let at = |ms| start + Duration::from_millis(ms);
        memos.note(1, OWN, None, start);
        assert_eq!(memos.told(&1, at(999)), Some(Broke { own: true, wait: 4001 }));
        assert_eq!((memos.told(&1, at(1000)), memos.told(&2, start)), (None, None));
        assert!(memos.rests(&1, at(999)) && !memos.rests(&1, at(1000)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_the_upstreams_own_is_told_to_nobody_and_refreshes_rest_all_the_same() {
        let (memos, now) = (Memos::default(), time::now());
        memos.note(1, OURS, None, now);
        assert_eq!(memos.told(&1, now), None);
        assert!(memos.rests(&1, now));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newer_failure_of_a_key_outlives_the_place_of_the_older() {
        let (memos, start) = (Memos::default(), time::now());
        let at = |ms| start + Duration::from_millis(ms);
        memos.note(1, OWN, None, start);
        memos.forget(&1);
        memos.note(1, OWN, None, at(500));
        memos.sweep(at(1200));
        assert!(memos.rests(&1, at(1200)));
        memos.sweep(at(1500));
        assert_eq!((memos.len(), memos.lock().order.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn those_about_a_customer_are_forgotten_together() {
        let (memos, now) = (Memos::default(), time::now());
        let [one, two] = [b"1", b"2"].map(|name| Customer::new(Fingerprint::of(name)));
        memos.note(1, OWN, Some(one), now);
        memos.note(2, OWN, Some(two), now);
        memos.note(3, OWN, None, now);
        memos.forget_where(|customer| customer == Some(one));
        assert_eq!([1, 2, 3].map(|key| memos.rests(&key, now)), [false, true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_are_kept_as_may_and_the_oldest_go_first() {
        let (memos, start) = (Memos::default(), time::now());
        for key in 0..3 * MOST {
            memos.note(key, OWN, None, start);
            // What is forgotten and noted again takes no second room for ever.
            memos.forget(&key);
            memos.note(key, OWN, None, start);
        }
        assert!(memos.len() <= MOST && memos.lock().order.len() <= MOST);
        assert!(memos.rests(&(3 * MOST - 1), start) && !memos.rests(&0, start));
    }
}
