//! Flights: one fetch for each key, however many wait for it, and whoever of them leaves.
//!
//! The first to ask for a key leads: it gets the [`Takeoff`] and hands it to a task of its own, which
//! fetches and lands. Everybody waits in the same way, the leader too, so a caller that hangs up
//! takes nothing with it. A takeoff that is dropped (the task panicked or was cancelled) wakes all
//! with nothing, and the next to ask leads again: no key is ever stuck.
//!
//! What lands is kept by whoever fetched it, before it lands; a leader looks there once more
//! before it fetches, for the flight before it may just have landed.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;

/// The flights under way, one for each key. `M` is what a leader tells its followers from the
/// start, such as where to find its trace.
pub struct Flights<K, V, M = ()> {
    shared: Arc<Shared<K, V, M>>,
}

struct Shared<K, V, M> {
    max_waiters: usize,
    under_way: Mutex<HashMap<K, Arc<Flight<V, M>>>>,
}

struct Flight<V, M> {
    mark: M,
    /// Who waits now, the leader not counted. Raised only under the lock of the map.
    followers: AtomicUsize,
    landed: watch::Receiver<Option<V>>,
}

/// What becomes of one that asks for a key.
#[must_use]
pub enum Boarding<K: Eq + Hash, V, M = ()> {
    /// Nobody fetches it yet: do, in a task that does not end with the one who asked.
    Lead(Takeoff<K, V, M>, Waiter<V, M>),
    /// It is being fetched.
    Follow(Waiter<V, M>),
    /// It is being fetched, and as many wait for it as may.
    Full,
}

/// The duty to land one flight. Dropped without landing, it wakes all waiters with nothing.
#[must_use = "dropping it ends the flight for all who wait"]
pub struct Takeoff<K: Eq + Hash, V, M = ()> {
    key: K,
    flight: Arc<Flight<V, M>>,
    shared: Arc<Shared<K, V, M>>,
    landing: watch::Sender<Option<V>>,
}

/// A place in a flight, given back when dropped.
#[must_use = "dropping it gives the place back"]
pub struct Waiter<V, M = ()> {
    flight: Arc<Flight<V, M>>,
    landed: watch::Receiver<Option<V>>,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Leader,
    Follower,
}

impl<K: Eq + Hash + Clone, V: Clone, M> Flights<K, V, M> {
    /// No flight yet. At most `max_waiters` wait for each one, besides its leader.
    pub fn new(max_waiters: usize) -> Self {
        Self { shared: Arc::new(Shared { max_waiters, under_way: Mutex::default() }) }
    }

    /// Joins the flight for `key`, or leads it: then its waiters read `mark`.
    pub fn join_with(&self, key: &K, mark: M) -> Boarding<K, V, M> {
        self.join_past(key, mark, |_| false)
    }

    /// The same, but a flight under `such` a mark is passed by: it lands for those who wait already,
    /// and a new one takes its place.
    pub fn join_past(&self, key: &K, mark: M, such: impl Fn(&M) -> bool) -> Boarding<K, V, M> {
        let mut under_way = self.shared.lock();
        if let Some(flight) = under_way.get(key).filter(|flight| !such(&flight.mark)) {
            return self.follow(flight);
        }
        let (landing, landed) = watch::channel(None);
        let flight = Arc::new(Flight { mark, followers: AtomicUsize::new(0), landed });
        under_way.insert(key.clone(), Arc::clone(&flight));
        let waiter = Waiter::of(&flight, Role::Leader);
        let shared = Arc::clone(&self.shared);
        Boarding::Lead(Takeoff { key: key.clone(), flight, shared, landing }, waiter)
    }

    fn follow(&self, flight: &Arc<Flight<V, M>>) -> Boarding<K, V, M> {
        if flight.followers.load(Ordering::Relaxed) >= self.shared.max_waiters {
            return Boarding::Full;
        }
        flight.followers.fetch_add(1, Ordering::Relaxed);
        Boarding::Follow(Waiter::of(flight, Role::Follower))
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Flights<K, V> {
    /// Joins the flight for `key`, or leads it.
    pub fn join(&self, key: &K) -> Boarding<K, V> {
        self.join_with(key, ())
    }
}

impl<K: Eq + Hash, V, M> Flights<K, V, M> {
    /// Takes the flights under such a mark off the board: they land for those who wait already, and
    /// the next to ask leads a new one.
    pub fn detach_where(&self, such: impl Fn(&M) -> bool) {
        self.shared.lock().retain(|_, flight| !such(&flight.mark));
    }
}

impl<K, V, M> Flights<K, V, M> {
    /// How many are under way.
    pub fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// How many wait for those that others lead.
    pub fn followers(&self) -> usize {
        let flights = self.shared.lock();
        flights.values().map(|flight| flight.followers.load(Ordering::Relaxed)).sum()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K, V, M> Shared<K, V, M> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Flight<V, M>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V, M> Takeoff<K, V, M> {
    /// What was said of the flight when it was joined.
    pub fn mark(&self) -> &M {
        &self.flight.mark
    }

    /// Ends the flight: whoever waits gets `value`, and the next to ask leads a new one.
    pub fn land(self, value: V) {
        // The slot first: one who is woken and asks again must not meet a flight that has landed.
        self.leave();
        self.landing.send_replace(Some(value));
    }

    /// Frees the slot, unless another flight has it by now.
    fn leave(&self) {
        let mut under_way = self.shared.lock();
        if under_way.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            under_way.remove(&self.key);
        }
    }
}

impl<K: Eq + Hash, V, M> Drop for Takeoff<K, V, M> {
    fn drop(&mut self) {
        // The sender goes after this, and wakes those who still wait.
        self.leave();
    }
}

impl<V: Clone, M> Waiter<V, M> {
    fn of(flight: &Arc<Flight<V, M>>, role: Role) -> Self {
        Self { flight: Arc::clone(flight), landed: flight.landed.clone(), role }
    }

    /// Waits for the landing. `None`: it will not come. Nothing is lost by dropping the future and
    /// asking again.
    pub async fn landed(&mut self) -> Option<V> {
        let landed = self.landed.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}

impl<V, M> Waiter<V, M> {
    /// What the leader said when it took off.
    pub fn mark(&self) -> &M {
        &self.flight.mark
    }
}

impl<V, M> Drop for Waiter<V, M> {
    fn drop(&mut self) {
        if self.role == Role::Follower {
            self.flight.followers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

// By hand: keys and values are a customer's, and are never shown.

impl<K, V, M> fmt::Debug for Flights<K, V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("under_way", &self.len()).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash, V, M> fmt::Debug for Boarding<K, V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lead(..) => "Lead(..)",
            Self::Follow(..) => "Follow(..)",
            Self::Full => "Full",
        })
    }
}

impl<K: Eq + Hash, V, M> fmt::Debug for Takeoff<K, V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takeoff").finish_non_exhaustive()
    }
}

impl<V, M> fmt::Debug for Waiter<V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("role", &self.role).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
