//! What operators and the sweeper do with the cache: purges, sweeps, and the count of what is there.

use crate::{
    catalog::name::Name,
    pipeline::cache::{
        AnswerCache, FetchFailure,
        purge::{Manner, Which},
    },
    time,
};

/// What the cache holds. No key, and nobody's name.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// Entries.
    pub entries: u64,
    /// Their bytes, keys and overhead counted.
    pub bytes: u64,
    /// Bytes that may be kept.
    pub capacity: u64,
    /// The part of each action that keeps answers.
    pub actions: Vec<OfAction>,
}

/// One action's part of the cache.
#[derive(Debug, Clone)]
pub struct OfAction {
    /// Its name.
    pub name: Name,
    /// Entries.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Look-ups since the start, by result.
    pub lookups: Vec<(&'static str, u64)>,
    /// Fetches under way.
    pub flights: usize,
    /// Calls that wait for a fetch that another one began.
    pub waiters: usize,
    /// Failures that are remembered for the moment.
    pub memos: usize,
}

impl<E: FetchFailure> AnswerCache<E> {
    /// Removes the entries of an action, of a customer, of both, or all, or marks them stale. Returns
    /// how many. A fetch under way is not kept when it lands, who asks from now on does not join it,
    /// and no failure from before is told any more.
    pub fn purge(&self, action: Option<&Name>, customer: Option<&str>, manner: Manner) -> u64 {
        let which = match (action, customer) {
            (None, None) => Which::All,
            (action, customer) => Which::Of {
                action: action.map(Name::shared),
                customer: customer.map(|customer| self.customer_of(customer)),
            },
        };
        // First: whatever lands from now on sees it.
        self.purges.note(which.clone(), manner);
        for (name, shelf) in &self.shelves {
            shelf.flights.detach_where(|mark| which.covers(name.as_str(), mark.customer));
            shelf.memos.forget_where(|customer| which.covers(name.as_str(), customer));
        }
        self.memory.purge(&which, manner)
    }

    /// Forgets what is good for nothing any more.
    pub fn sweep(&self) {
        self.memory.sweep();
        let now = time::now();
        self.shelves.values().for_each(|shelf| shelf.memos.sweep(now));
    }

    /// Entries, bytes, and bytes that may be kept.
    pub fn fill(&self) -> (u64, u64, u64) {
        (self.memory.len(), self.memory.bytes(), self.memory.capacity())
    }

    /// Fetches under way.
    pub fn flights(&self) -> usize {
        self.shelves.values().map(|shelf| shelf.flights.len()).sum()
    }

    /// All that is there. Walks the whole table: for people, not for calls.
    pub fn inventory(&self) -> Inventory {
        let (entries, bytes, capacity) = self.fill();
        let kept = self.memory.by_action();
        let actions = self.shelves.iter().map(|(name, shelf)| {
            let (entries, bytes) = kept.get(name.as_str()).copied().unwrap_or_default();
            OfAction {
                name: name.clone(),
                entries,
                bytes,
                lookups: shelf.meters.lookups.counts().collect(),
                flights: shelf.flights.len(),
                waiters: shelf.flights.followers(),
                memos: shelf.memos.len(),
            }
        });
        Inventory { entries, bytes, capacity, actions: actions.collect() }
    }
}
