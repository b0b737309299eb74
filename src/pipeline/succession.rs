//! One pipeline after the other: a new configuration takes over what the one before it knows, piece by
//! piece, wherever the settings of that piece are the same. Calls under way end on the pipeline that
//! they began with.

use std::sync::Arc;

use crate::{
    catalog::Catalog,
    client::ClientError,
    pipeline::{Parts, Pipeline},
};

impl Pipeline {
    /// Prepares the successor of this pipeline for `catalog`. Nothing of this one is changed: it may
    /// be dropped again. `parts` are those of this one, but for what may change while calls are
    /// served: the cap for each organisation.
    ///
    /// # Errors
    /// [`ClientError`] where no HTTP client can be built.
    pub fn succeed(&self, catalog: Catalog, parts: &Parts) -> Result<Arc<Self>, ClientError> {
        Self::after(Some(self), catalog, parts)
    }

    /// Ends what this pipeline has to itself, once `successor` is in force. Calls and fetches under
    /// way go on, and keep it until they end.
    pub fn retire(&self, successor: &Self) {
        successor.fetcher.upstreams.take_over(&self.fetcher.upstreams);
        self.cache.retire(&successor.cache);
    }
}
