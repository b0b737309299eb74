//! What may be called, by whom, and how: plain immutable data and pure functions. No I/O, no clock.
//!
//! Everything in here has been checked; nothing that holds a [`Catalog`] has to check it again.

pub mod name;

pub mod action;
pub mod caller;
pub mod limit;
pub mod upstream;

pub mod contract;
pub mod credential;
pub mod form;
pub mod mapping;
pub mod policy;
pub mod region;
pub mod scalar;
mod schema;
pub mod template;
pub mod worst_case;

use std::{collections::BTreeMap, sync::Arc};

use action::Action;
use caller::Scheme;
use limit::Limit;
use name::Name;
use upstream::Upstream;

/// All that this service can do.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The operations, by the name that stands in the path.
    pub actions: BTreeMap<Name, Arc<Action>>,
    /// The systems behind us.
    pub upstreams: BTreeMap<Name, Arc<Upstream>>,
    /// The ways to prove who is calling.
    pub callers: BTreeMap<Name, Arc<Scheme>>,
    /// The rate limits.
    pub limits: BTreeMap<Name, Arc<Limit>>,
}

impl Catalog {
    /// The action of that name.
    pub fn action(&self, name: &str) -> Option<&Arc<Action>> {
        self.actions.get(name)
    }
}
