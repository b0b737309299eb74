//! What the cache of a new configuration takes over from the one before it: all that is kept, and of
//! each action whose answers are the same the flights and memos too.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    catalog::{Catalog, name::Name},
    fingerprint::FingerprintKey,
    pipeline::cache::{AnswerCache, FetchFailure, shelf::Shelf},
    telemetry::{meters::ActionCacheMeters, metrics::Registry},
};

impl<E: FetchFailure> AnswerCache<E> {
    /// The cache for `catalog` after this one, over the same entries. Nothing of this one is changed.
    pub fn succeed(&self, catalog: &Catalog, registry: &Registry) -> Arc<Self> {
        Arc::new(Self {
            shelves: shelves(catalog, &self.shelves, &self.fingerprints, registry),
            memory: Arc::clone(&self.memory),
            fingerprints: self.fingerprints.clone(),
            stores: Arc::clone(&self.stores),
            purges: Arc::clone(&self.purges),
            background: self.background.clone(),
            chance: self.chance,
        })
    }

    /// Removes what `successor`, which is in force by now, has no use for: the entries of actions that
    /// are gone or answer something else, or are asked for as somebody else. What is still being fetched for them is told to those who
    /// wait and not kept.
    pub fn retire(&self, successor: &Self) {
        let mut gone = BTreeSet::new();
        for (name, shelf) in &self.shelves {
            let next = successor.shelves.get(name);
            if next.is_some_and(|next| Arc::ptr_eq(next, shelf)) {
                continue;
            }
            // First: whatever lands from now on sees it.
            shelf.retire();
            if !next.is_some_and(|next| next.has_the_entries_of(shelf)) {
                gone.insert(name.as_str());
            }
        }
        if !gone.is_empty() {
            self.memory.remove_of(|action| gone.contains(action));
        }
    }
}

/// A shelf for each action of `catalog` that keeps its answers: the one of `before`, where it still fits.
pub(super) fn shelves<E: FetchFailure>(
    catalog: &Catalog,
    before: &BTreeMap<Name, Arc<Shelf<E>>>,
    fingerprints: &FingerprintKey,
    registry: &Registry,
) -> BTreeMap<Name, Arc<Shelf<E>>> {
    let shelves = catalog.actions.values().filter_map(|action| {
        let policy = action.cache.as_ref()?;
        let asker = catalog.upstreams[action.upstream.as_str()].asker(fingerprints);
        let known = before.get(&action.name);
        let shelf = match known.filter(|shelf| shelf.is_for(action, policy, asker)) {
            Some(shelf) => Arc::clone(shelf),
            None => {
                let meters = known.map(|shelf| Arc::clone(&shelf.meters));
                let meters = meters.unwrap_or_else(|| {
                    Arc::new(ActionCacheMeters::new(registry, action.name.as_str()))
                });
                Arc::new(Shelf::new(action, policy, asker, meters))
            }
        };
        Some((action.name.clone(), shelf))
    });
    shelves.collect()
}
