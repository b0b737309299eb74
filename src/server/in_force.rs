//! What is in force: the pipeline, and the settings that are read for each call. A reload puts others
//! in their place at once; a call keeps to the end those that it began with.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use crate::{
    catalog::{action::Action, name::Name},
    pipeline::Pipeline,
    server::public,
    settings::{ServerSettings, Settings},
    telemetry::{
        meters::{CallMeters, Means, UNKNOWN_ACTION},
        metrics::Registry,
        routes::{BodyMeters, RouteMeters},
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
    meters: Meters,
}

/// An action that is served, and where its calls are counted.
#[derive(Debug)]
pub struct Offer {
    /// The action.
    pub action: Arc<Action>,
    /// Its series.
    pub meters: Arc<CallMeters>,
}

/// Where calls and requests are counted. What is still there after a reload stays: a histogram that
/// appeared with its first call would be gone until the next.
#[derive(Debug)]
struct Meters {
    offers: BTreeMap<Name, Offer>,
    unknown: Arc<CallMeters>,
    route: Arc<RouteMeters>,
    /// Of the paths at which tokens are fetched.
    tokens: BTreeMap<String, Arc<RouteMeters>>,
    elsewhere: Arc<RouteMeters>,
    bodies: Arc<BodyMeters>,
}

impl Meters {
    fn new(registry: &Arc<Registry>, settings: &Settings) -> Self {
        Self {
            offers: BTreeMap::new(),
            unknown: Arc::new(CallMeters::new(registry, UNKNOWN_ACTION, Means::default())),
            route: RouteMeters::new(registry, &public::route(&settings.server)),
            tokens: BTreeMap::new(),
            elsewhere: RouteMeters::new(registry, ""),
            bodies: Arc::new(BodyMeters::new(registry)),
        }
    }

    /// Those for `pipeline`.
    fn succeed(&self, pipeline: &Pipeline, registry: &Arc<Registry>) -> Self {
        let offers = pipeline.catalog().actions.iter().map(|(name, action)| {
            let means =
                Means { cache: action.cache.is_some(), fallback: action.fallback.is_some() };
            let meters = match self.offers.get(name).map(|known| &known.meters) {
                Some(known) if known.means() == means => Arc::clone(known),
                Some(known) => Arc::new(known.succeed(means)),
                None => Arc::new(CallMeters::new(registry, name.as_str(), means)),
            };
            (name.clone(), Offer { action: Arc::clone(action), meters })
        });
        let tokens = pipeline.schemes().issuers().map(|issuer| {
            let known = self.tokens.get(issuer.path()).cloned();
            let make = || RouteMeters::new(registry, issuer.path());
            (issuer.path().to_owned(), known.unwrap_or_else(make))
        });
        Self {
            offers: offers.collect(),
            unknown: Arc::clone(&self.unknown),
            route: Arc::clone(&self.route),
            tokens: tokens.collect(),
            elsewhere: Arc::clone(&self.elsewhere),
            bodies: Arc::clone(&self.bodies),
        }
    }
}

impl Served {
    /// That configuration, with the series of each of its actions.
    pub fn new(
        pipeline: Arc<Pipeline>,
        settings: &Settings,
        registry: &Arc<Registry>,
    ) -> Arc<Self> {
        let meters = Meters::new(registry, settings).succeed(&pipeline, registry);
        Self::counting(meters, pipeline, settings)
    }

    /// The configuration after this one.
    pub fn succeed(
        &self,
        pipeline: Arc<Pipeline>,
        settings: &Settings,
        registry: &Arc<Registry>,
    ) -> Arc<Self> {
        let meters = self.meters.succeed(&pipeline, registry);
        Self::counting(meters, pipeline, settings)
    }

    fn counting(meters: Meters, pipeline: Arc<Pipeline>, settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            pipeline,
            settings: settings.server.clone(),
            revision: settings.revision.clone(),
            written: Arc::clone(&settings.written),
            meters,
        })
    }

    /// The action of that name, with what belongs to it.
    pub fn offer(&self, action: &str) -> Option<&Offer> {
        self.meters.offers.get(action)
    }

    /// Where calls to what is no action are counted.
    pub fn unknown(&self) -> &CallMeters {
        &self.meters.unknown
    }

    /// Where requests to actions are counted.
    pub fn route(&self) -> &RouteMeters {
        &self.meters.route
    }

    /// Where requests to that path are counted, at which tokens are fetched or nothing is.
    pub fn other_route(&self, path: &str) -> &RouteMeters {
        self.meters.tokens.get(path).unwrap_or(&self.meters.elsewhere)
    }

    /// Where bodies are measured.
    pub fn bodies(&self) -> &BodyMeters {
        &self.meters.bodies
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
