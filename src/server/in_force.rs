//! What is in force: the pipeline, and the settings that are read for each call. A reload puts others
//! in their place at once; a call keeps to the end those that it began with.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use crate::{
    catalog::name::Name,
    pipeline::Pipeline,
    settings::{ServerSettings, Settings},
    telemetry::{
        meters::{CallMeters, UNKNOWN_ACTION},
        metrics::Registry,
    },
};

/// One configuration, ready for calls.
#[derive(Debug)]
pub struct Served {
    /// All stages.
    pub pipeline: Arc<Pipeline>,
    /// The data plane's limits.
    pub settings: ServerSettings,
    /// The fingerprint of the configuration.
    pub revision: String,
    /// Each value that is written in it, with its path.
    pub written: Arc<[(String, String)]>,
    meters: BTreeMap<Name, CallMeters>,
    unknown: CallMeters,
}

impl Served {
    /// That configuration, with the series of each of its actions.
    pub fn new(
        pipeline: Arc<Pipeline>,
        settings: &Settings,
        registry: &Arc<Registry>,
    ) -> Arc<Self> {
        let names = pipeline.catalog().actions.keys();
        let meters =
            names.map(|name| (name.clone(), CallMeters::new(registry, name.as_str()))).collect();
        let unknown = CallMeters::new(registry, UNKNOWN_ACTION);
        Arc::new(Self {
            pipeline,
            settings: settings.server.clone(),
            revision: settings.revision.clone(),
            written: Arc::clone(&settings.written),
            meters,
            unknown,
        })
    }

    /// Where calls to the action of that name are counted.
    pub fn meters(&self, action: &str) -> &CallMeters {
        self.meters.get(action).unwrap_or(&self.unknown)
    }
}

/// The configuration in force. Clones show the same one.
#[derive(Debug, Clone)]
pub struct InForce(Arc<ArcSwap<Served>>);

impl InForce {
    /// Puts the first one in force.
    pub fn new(served: Arc<Served>) -> Self {
        Self(Arc::new(ArcSwap::new(served)))
    }

    /// The one in force now.
    pub fn now(&self) -> Arc<Served> {
        self.0.load_full()
    }

    /// Puts `served` in force.
    pub fn put(&self, served: Arc<Served>) {
        self.0.store(served);
    }
}
