//! The store of entries in this process: moka, bounded by bytes. What an entry is worth is its own
//! affair (moka's clock cannot be replaced); moka only decides who has to go when memory is full.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use moka::{notification::RemovalCause, sync::Cache};

use crate::{
    fingerprint::Passing,
    pipeline::cache::{
        Room,
        entry::{Entry, Standing},
        key::CacheKey,
        purge::{Manner, Which},
    },
    telemetry::meters::CacheMeters,
    time,
};

/// What an entry costs beside itself: key and place in the table, its places in the queues of those
/// that were used last. Measured, with what the allocator adds.
const OVERHEAD: usize = 250;

/// Where an entry lies in the table: half of its key, which is enough to tell all answers apart. Two
/// of 10^10 keys meet in it with a chance below 10^-18.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place([u8; 16]);

impl Place {
    fn of(key: &CacheKey) -> Self {
        let [half, ..] = key.bytes().as_chunks().0 else { unreachable!("it has 32 bytes") };
        Self(*half)
    }
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [first, ..] = self.0.as_chunks().0 else { unreachable!("it has 16 bytes") };
        state.write_u64(u64::from_le_bytes(*first));
    }
}

/// The store.
pub(super) struct Memory {
    entries: Cache<Place, Entry, Passing>,
    max_entry: usize,
    capacity: u64,
    meters: Arc<CacheMeters>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Counts alone: moka's own would show every customer's answer.
        f.debug_struct("Memory")
            .field("entries", &self.entries.entry_count())
            .finish_non_exhaustive()
    }
}

impl Memory {
    /// An empty store.
    pub(super) fn new(room: Room, meters: Arc<CacheMeters>) -> Self {
        let counts = Arc::clone(&meters);
        let entries = Cache::builder()
            .max_capacity(room.memory)
            .weigher(|_: &Place, entry: &Entry| weight(entry))
            .eviction_listener(move |_, _, cause| match cause {
                RemovalCause::Size => counts.evictions.count("size"),
                RemovalCause::Replaced => counts.evictions.count("replaced"),
                // counted where it is known whether it expired or was purged
                RemovalCause::Explicit | RemovalCause::Expired => {}
            })
            .build_with_hasher(Passing::default());
        Self { entries, max_entry: room.max_entry, capacity: room.memory, meters }
    }

    /// The entry of that key, whatever it is worth.
    pub(super) fn get(&self, key: &CacheKey) -> Option<Entry> {
        self.entries.get(&Place::of(key))
    }

    /// Keeps an entry, unless its answer is too large. Returns whether it is kept.
    pub(super) fn put(&self, key: CacheKey, entry: Entry) -> bool {
        if entry.len() > self.max_entry {
            self.meters.stores.count("too_large");
            self.remove(&key);
            return false;
        }
        self.entries.insert(Place::of(&key), entry);
        self.meters.stores.count("stored");
        true
    }

    /// Forgets the entry of that key.
    pub(super) fn remove(&self, key: &CacheKey) {
        self.entries.invalidate(&Place::of(key));
    }

    /// Removes entries, or marks them stale; returns how many, those marked before not counted.
    pub(super) fn purge(&self, which: &Which, manner: Manner) -> u64 {
        let covered = |entry: &Entry| which.covers(&entry.lot().action, entry.customer());
        match manner {
            Manner::Hard => {
                let removed = self.remove_where(covered);
                self.meters.evictions.add("purged", removed);
                removed
            }
            Manner::Soft => {
                let now = time::now();
                let entries = self.entries.iter().filter(|(_, entry)| covered(entry));
                entries.map(|(_, entry)| u64::from(entry.mark(now))).sum()
            }
        }
    }

    /// Removes the entries of such actions: they would never be found again.
    pub(super) fn remove_of(&self, such: impl Fn(&str) -> bool) {
        let removed = self.remove_where(|entry| such(&entry.lot().action));
        self.meters.evictions.add("outdated", removed);
    }

    /// Removes what is good for nothing any more.
    pub(super) fn sweep(&self) {
        let now = time::now();
        let removed = self.remove_where(|entry| entry.standing(now) == Standing::Expired);
        self.meters.evictions.add("expired", removed);
        self.entries.run_pending_tasks();
    }

    fn remove_where(&self, goes: impl Fn(&Entry) -> bool) -> u64 {
        let mut removed = 0;
        for (key, entry) in &self.entries {
            if goes(&entry) {
                self.entries.invalidate(&*key);
                removed += 1;
            }
        }
        removed
    }

    /// Entries kept.
    pub(super) fn len(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    /// Bytes kept.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.weighted_size()
    }

    /// Entries and bytes of each action. Walks the whole table.
    pub(super) fn by_action(&self) -> BTreeMap<Arc<str>, (u64, u64)> {
        let mut kept = BTreeMap::new();
        for (_, entry) in &self.entries {
            let (entries, bytes) = kept.entry(Arc::clone(&entry.lot().action)).or_default();
            *entries += 1;
            *bytes += u64::from(weight(&entry));
        }
        kept
    }

    /// Bytes that may be kept.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }
}

fn weight(entry: &Entry) -> u32 {
    let bytes = allocated(Entry::OVERHEAD + entry.len()) + OVERHEAD;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// What the allocator takes for that many bytes: it knows four sizes between a power of two and the
/// next one, and none closer than 16 bytes.
fn allocated(bytes: usize) -> usize {
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(16))
}
