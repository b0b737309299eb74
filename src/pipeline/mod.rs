//! The life of a call, on one screen: [`Pipeline::run`]. Each stage is a file or a folder, in the
//! order in which a call meets them; what they hand on proves that none was skipped.

pub mod call;

pub mod authenticate;
pub mod validate;

pub mod rate_limit;

pub mod cache;

pub mod upstream;

pub mod map_output;

pub mod failure;
pub mod operate;
mod succession;

use std::{collections::BTreeMap, future::Future, sync::Arc};

use bytes::Bytes;

use crate::{
    background::Background,
    catalog::{
        Catalog,
        action::{Action, OnHangUp},
        name::Name,
    },
    chance::Chance,
    client::{ClientError, Transport},
    mechanism::permit::Urgency,
    telemetry::{
        meters::{self, Words},
        metrics::Registry,
        outcome::Source,
        stage::{Stage, instant_stage, stage},
    },
    time::Wall,
};

use authenticate::Schemes;
use cache::{AnswerCache, Asked, Room};
use call::{Answer, Call, Terms};
use failure::{Failure, Unfetched};
use rate_limit::{RateLimits, in_flight::OrgsInFlight};
use upstream::{Upstreams, error::UpstreamError};
use validate::ValidInput;

/// What the pipeline needs from the outside.
#[derive(Debug)]
pub struct Parts {
    /// Where it counts.
    pub registry: Arc<Registry>,
    /// Where its tasks run.
    pub background: Background,
    /// How its exchanges are carried out.
    pub transport: Transport,
    /// Where wall time comes from.
    pub wall: Wall,
    /// Where randomness comes from.
    pub chance: Chance,
    /// How much the cache may hold.
    pub room: Room,
    /// Calls that one organisation may have under way; 0: as many as there are.
    pub max_in_flight_per_org: usize,
}

/// All stages, ready for calls.
#[derive(Debug)]
pub struct Pipeline {
    catalog: Catalog,
    schemes: Schemes,
    orgs: Arc<OrgsInFlight>,
    limits: RateLimits,
    cache: Arc<AnswerCache<Unfetched>>,
    fetcher: Arc<Fetcher>,
    background: Background,
}

/// What a miss costs: the stages behind the cache.
#[derive(Debug)]
struct Fetcher {
    upstreams: Upstreams,
    mapping_failures: BTreeMap<Name, Words>,
}

impl Pipeline {
    /// Answers a call.
    ///
    /// # Errors
    /// [`Failure`], where no stage could and nothing stands in.
    pub async fn run(&self, call: &Call) -> Result<Answer, Failure> {
        let (action, trail) = (&call.action, &call.trail);

        let who = stage(trail, Stage::Authenticate, self.schemes.identify(call)).await?;
        // Held until the call is answered, or dropped with its caller.
        let place = self.orgs.enter(&who.caller);
        let _place = place.map_err(|full| instant_stage(trail, Stage::RateLimit, || full))?;
        let input = instant_stage(trail, Stage::Validate, || validate::check(call))?;
        instant_stage(trail, Stage::RateLimit, || self.limits.admit(action, &who.caller, &input))?;

        let fetched = match &action.cache {
            Some(policy) => {
                let key = self.cache.key(action, policy, &who.caller, &input);
                let fetch = self.fetch(action, &input);
                let deadline = call.deadline;
                let asked = Asked { action, policy, key, input: &input, deadline, trail };
                stage(trail, Stage::Cache, self.cache.get_or_fetch(&asked, fetch))
                    .await
                    .map_err(Failure::from)
                    .and_then(Answer::try_from)
            }
            None => self.fetch_uncached(call, &input).await,
        };
        fetched.or_else(|failure| fall_back(action, failure))
    }

    /// The fetch for `input`, to be run by a flight. Nothing is copied before it takes off.
    fn fetch<'a>(
        &'a self,
        action: &'a Arc<Action>,
        input: &'a ValidInput,
    ) -> impl FnOnce(Terms) -> BoxedFetch + Send + 'a {
        move |terms| {
            let (fetcher, action) = (Arc::clone(&self.fetcher), Arc::clone(action));
            let input = input.clone();
            Box::pin(async move { fetcher.fetch(&action, &input, &terms).await })
        }
    }

    /// The fetch of an action without a cache: its caller's own, unless it changes something.
    async fn fetch_uncached(&self, call: &Call, input: &ValidInput) -> Result<Answer, Failure> {
        let terms = Terms {
            deadline: call.deadline,
            urgency: Urgency::Interactive,
            trail: Arc::clone(&call.trail),
        };
        let fetch = self.fetch(&call.action, input)(terms);
        let body = match call.action.on_hang_up() {
            OnHangUp::Cancel => fetch.await?,
            OnHangUp::Finish => {
                let (tell, told) = tokio::sync::oneshot::channel();
                self.background.finish(async move {
                    let _ = tell.send(fetch.await);
                });
                told.await.map_err(|_| Failure::Bug)??
            }
        };
        Ok(Answer::of(body, Source::Upstream))
    }
}

type BoxedFetch =
    std::pin::Pin<Box<dyn Future<Output = Result<Bytes, Unfetched>> + Send + 'static>>;

impl Fetcher {
    async fn fetch(
        &self,
        action: &Action,
        input: &ValidInput,
        terms: &Terms,
    ) -> Result<Bytes, Unfetched> {
        let trail = &terms.trail;
        let failures = &self.mapping_failures[action.name.as_str()];
        let reply = self.upstreams.fetch(action, input, terms);
        let reply = stage(trail, Stage::Upstream, reply).await.inspect_err(|error| {
            // Replies that did not even come to the mapping.
            match error {
                UpstreamError::TooLarge => failures.count("too_large"),
                UpstreamError::Malformed => failures.count("not_json"),
                _ => {}
            }
        })?;
        let map = || map_output::apply(action, &reply, failures);
        Ok(instant_stage(trail, Stage::MapOutput, map)?.0)
    }
}

/// How a call of `action` ends whose upstream says `reply`, where no earlier answer is there to stand in.
///
/// # Errors
/// [`Failure`], where the reply cannot be mapped and nothing is declared that answers instead.
pub fn end_of(action: &Action, reply: &[u8]) -> Result<Answer, Failure> {
    let mapped = action.output.apply(reply).map(|body| Answer::of(body, Source::Upstream));
    let ended = mapped.map_err(|error| Failure::Unfetched(Unfetched::Mapping(error)));
    ended.or_else(|failure| fall_back(action, failure))
}

/// The last resort: what the action declares to be better than a failure.
fn fall_back(action: &Action, failure: Failure) -> Result<Answer, Failure> {
    match &action.fallback {
        Some(body) if failure.may_fall_back() => Ok(Answer::of(body.clone(), Source::Fallback)),
        _ => Err(failure),
    }
}

impl TryFrom<cache::Kept> for Answer {
    type Error = Failure;

    fn try_from(kept: cache::Kept) -> Result<Self, Failure> {
        let cache::Kept { answer, source, age, ttl, overdue, .. } = kept;
        let body = answer.ok_or(Failure::NotFound(source))?;
        Ok(Self { body, source, age, ttl, overdue })
    }
}

impl Pipeline {
    /// Prepares every stage for `catalog`; asks and connects to nobody yet.
    ///
    /// # Errors
    /// [`ClientError`] where no HTTP client can be built.
    pub fn new(catalog: Catalog, parts: &Parts) -> Result<Arc<Self>, ClientError> {
        Self::after(None, catalog, parts)
    }

    /// The same, with what may be taken over from the pipeline `before`.
    fn after(
        before: Option<&Self>,
        catalog: Catalog,
        parts: &Parts,
    ) -> Result<Arc<Self>, ClientError> {
        let Parts { registry, background, transport, wall, chance, room, max_in_flight_per_org } =
            parts;
        let schemes = Schemes::new(
            &catalog.callers,
            before.map(|before| &before.schemes),
            &authenticate::Surroundings {
                registry,
                background: background.clone(),
                transport: transport.clone(),
                wall: *wall,
                chance: *chance,
            },
        )?;
        let upstreams = Upstreams::new(
            &catalog.upstreams,
            before.map(|before| &before.fetcher.upstreams),
            &upstream::Surroundings {
                registry,
                background: background.clone(),
                transport: transport.clone(),
                wall: *wall,
                chance: *chance,
            },
        )?;
        let cache = match before {
            Some(before) => before.cache.succeed(&catalog, registry),
            None => {
                let background = background.clone();
                AnswerCache::new(&catalog, *room, registry, background, *chance)
            }
        };
        let orgs = before.map(|before| &before.orgs);
        let orgs = orgs.filter(|orgs| orgs.most() == *max_in_flight_per_org).cloned();
        let mapping_failures = catalog
            .actions
            .values()
            .map(|action| {
                (action.name.clone(), meters::mapping_meters(registry, action.name.as_str()))
            })
            .collect();
        Ok(Arc::new(Self {
            limits: RateLimits::new(&catalog.limits, before.map(|before| &before.limits), registry),
            schemes,
            orgs: orgs.unwrap_or_else(|| Arc::new(OrgsInFlight::new(*max_in_flight_per_org))),
            cache,
            fetcher: Arc::new(Fetcher { upstreams, mapping_failures }),
            background: background.clone(),
            catalog,
        }))
    }

    /// What this pipeline can do.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// How the callers of its actions are proved.
    pub fn schemes(&self) -> &Schemes {
        &self.schemes
    }
}
