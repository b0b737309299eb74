//! What the way to an upstream takes over from the one before it when the configuration is replaced:
//! each piece of state by itself, as long as its own settings are the same.
//!
//! What was learned about a system is of no use for another: with another address only what is ours
//! stays, the retry budget and the permits. An operator's force is on the name, and stays whatever
//! changes.

use std::sync::Arc;

use crate::{
    catalog::upstream::Upstream,
    client::{Client, ClientError, OnConnect},
    mechanism::{breaker::Breaker, budget::Budget, permit::Permits},
    pipeline::upstream::{
        Lane, Surroundings, breaker,
        chain::{Hedges, Links},
        credential::Login,
        hedge,
        pace::Pace,
    },
    telemetry::attempts::{self, AttemptMeters, HedgeMeters},
    time,
};

/// The state for `upstream`, after the lane `before` of the same name.
pub(super) fn links(
    upstream: &Upstream,
    before: Option<&Lane>,
    around: &Surroundings<'_>,
) -> Links {
    let same_system = before.filter(|lane| lane.upstream.base_url == upstream.base_url);
    let meters = same_system.map(|lane| Arc::clone(&lane.links.meters));
    let meters = meters.unwrap_or_else(|| attempt_meters(upstream, around));
    let paced = same_system.map(|lane| (&*lane.upstream, &*lane.links.pace));
    let budget = before.filter(|lane| lane.upstream.retry.budget == upstream.retry.budget);
    let permits = before.filter(|lane| lane.upstream.concurrency == upstream.concurrency);
    Links {
        breaker: guard(upstream, before, around),
        budget: budget.map_or_else(
            || Arc::new(Budget::new(upstream.retry.budget)),
            |lane| Arc::clone(&lane.links.budget),
        ),
        permits: permits
            .map_or_else(|| Permits::new(upstream.concurrency), |lane| lane.links.permits.clone()),
        pace: Pace::new(upstream, paced, Arc::clone(&meters)),
        latency: same_system.map(|lane| Arc::clone(&lane.links.latency)).unwrap_or_default(),
        meters,
        hedges: hedges(upstream, before, around),
        chance: around.chance,
        wall: around.wall,
    }
}

/// The client for `upstream`: the one before keeps its connections, where nothing about them changed.
pub(super) fn client(
    upstream: &Upstream,
    before: Option<&Lane>,
    around: &Surroundings<'_>,
) -> Result<Client, ClientError> {
    match before.filter(|lane| connects_alike(&lane.upstream, upstream)) {
        Some(lane) => Ok(lane.network.clone()),
        None => {
            let (way, connect) = (&upstream.way, upstream.timeouts.connect);
            let connects = attempts::connect_meters(around.registry, upstream.name.as_str());
            let tell = OnConnect::new(move |made| {
                connects.count(if made { "success" } else { "failure" });
            });
            Client::telling(way, connect, upstream.pool, &around.transport, tell)
        }
    }
}

/// How `upstream` is shown who asks: a token that was issued to the same credential stays good.
pub(super) fn login(
    upstream: &Upstream,
    before: Option<&Lane>,
    around: &Surroundings<'_>,
) -> Result<Login, ClientError> {
    match before.filter(|lane| lane.upstream.credential == upstream.credential) {
        Some(lane) => lane.login.succeed(&lane.upstream, upstream, around),
        None => Login::new(upstream, around),
    }
}

/// Whether a connection that was made for the one is good for the other.
fn connects_alike(one: &Upstream, other: &Upstream) -> bool {
    (one.timeouts.connect, one.pool, &one.way) == (other.timeouts.connect, other.pool, &other.way)
}

fn guard(upstream: &Upstream, before: Option<&Lane>, around: &Surroundings<'_>) -> Arc<Breaker> {
    let Some(lane) = before else { return breaker(upstream, around) };
    let known = &lane.links.breaker;
    if lane.upstream.base_url == upstream.base_url
        && lane.upstream.breaker.judges_like(&upstream.breaker)
    {
        return Arc::clone(known);
    }
    let breaker = breaker(upstream, around);
    force_alike(&breaker, known);
    breaker
}

/// Puts that force on `breaker` that is on the one `before` it, or none.
pub(super) fn force_alike(breaker: &Breaker, before: &Breaker) {
    let now = time::now();
    let forced = before.snapshot(now).forced;
    if forced == breaker.snapshot(now).forced {
        return;
    }
    match forced {
        Some(forced) => breaker.force(now, forced),
        None => breaker.release(now),
    }
}

fn attempt_meters(upstream: &Upstream, around: &Surroundings<'_>) -> Arc<AttemptMeters> {
    let url = &upstream.base_url;
    Arc::new(AttemptMeters::new(
        around.registry,
        upstream.name.as_str(),
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default(),
    ))
}

fn hedges(upstream: &Upstream, before: Option<&Lane>, around: &Surroundings<'_>) -> Option<Hedges> {
    let policy = upstream.hedge?;
    let before = before.filter(|lane| lane.upstream.hedge == Some(policy));
    before.and_then(|lane| lane.links.hedges.clone()).or_else(|| {
        let meters = HedgeMeters::new(around.registry, upstream.name.as_str());
        Some(Hedges { budget: Arc::new(hedge::own_budget(policy)), meters: Arc::new(meters) })
    })
}
