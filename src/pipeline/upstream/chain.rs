//! The chain between a fetch and the wire, outermost first. The order is policy, and what is nested
//! here is called in this order: reqwest-middleware runs the loop and one [`Try`] of it, the layers in
//! there are plain calls.
//!
//! | layer | why it sits there |
//! |---|---|
//! | the credential, in `credential/sending.rs` | above all: the wait for a token holds no permit and no probe, is no verdict, makes no leg late and is not repeated; what follows a 401 pays for all of this again |
//! | [`Retry`] | one loop per flight; a backoff holds neither a permit nor a probe |
//! | [`Hedge`] | where it is on: under the retry, so that both legs are one try; above all else, so that each is an attempt of its own |
//! | [`Guarded`] | under the retry, so that it counts attempts and opens in time; above the permit, so that nothing queues in front of a dead upstream |
//! | [`Paced`] | under the breaker, whose refusals cost no quota, and whose probe keeps to what the upstream asked for; paid per attempt, by refreshes not before it is sent |
//! | [`InTurn`] | paid per attempt; a time-out in the queue is no verdict about the upstream |
//! | [`Attempt`] | the innermost: its time-out must cover nothing but the exchange, and all of it |

use std::sync::Arc;

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};

use crate::{
    catalog::upstream::Upstream,
    chance::Chance,
    client::{Client, Transport},
    mechanism::{breaker::Breaker, budget::Budget, latency::Latency, permit::Permits},
    pipeline::upstream::{
        attempt::{Attempt, Scripted},
        breaker::Guarded,
        errand::Errand,
        error::AttemptError,
        hedge::Hedge,
        pace::{Pace, Paced},
        retry::Retry,
        turn::InTurn,
    },
    telemetry::{
        attempts::{AttemptMeters, HedgeMeters},
        exchange::Peer,
    },
    time::Wall,
};

/// The state that one upstream's chain works with.
#[derive(Debug, Clone)]
pub(super) struct Links {
    pub(super) breaker: Arc<Breaker>,
    pub(super) budget: Arc<Budget>,
    pub(super) permits: Permits,
    pub(super) pace: Arc<Pace>,
    pub(super) latency: Arc<Latency>,
    pub(super) meters: Arc<AttemptMeters>,
    /// Present where hedging is on.
    pub(super) hedges: Option<Hedges>,
    pub(super) chance: Chance,
    pub(super) wall: Wall,
}

/// What hedging counts with.
#[derive(Debug, Clone)]
pub(super) struct Hedges {
    /// Hedges as a share of first attempts.
    pub(super) budget: Arc<Budget>,
    pub(super) meters: Arc<HedgeMeters>,
}

/// One try of the loop: the layers below it.
#[derive(Debug)]
struct Try {
    /// Where hedging is on.
    hedge: Option<Hedge>,
    guarded: Guarded,
}

#[async_trait]
impl Middleware for Try {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        wire: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let errand = Errand::of(extensions);
        let outcome = match &self.hedge {
            // On the heap: it has room for two legs, which most tries need not carry about.
            Some(hedge) => Box::pin(hedge.send(&self.guarded, request, &errand, wire)).await,
            None => self.guarded.send(request, &errand, wire).await,
        };
        outcome.map_err(AttemptError::into_chain)
    }
}

/// Builds the chain towards `upstream`.
pub(super) fn chain(upstream: &Upstream, links: &Links, client: &Client) -> ClientWithMiddleware {
    let meters = || Arc::clone(&links.meters);
    let retry = Retry {
        policy: upstream.retry.clone(),
        attempt: upstream.timeouts.attempt,
        breaker: Arc::clone(&links.breaker),
        budget: Arc::clone(&links.budget),
        pace: Arc::clone(&links.pace),
        latency: Arc::clone(&links.latency),
        chance: links.chance,
        wall: links.wall,
        meters: meters(),
    };
    let attempt = Attempt {
        timeout: upstream.timeouts.attempt,
        max_reply: upstream.max_reply,
        propagate_trace: upstream.propagate_trace,
        peer: Peer::at(&upstream.base_url),
        latency: Arc::clone(&links.latency),
        meters: meters(),
        pace: Arc::clone(&links.pace),
    };
    let in_turn = InTurn { permits: links.permits.clone(), meters: meters(), next: attempt };
    let paced = Paced { pace: Arc::clone(&links.pace), wall: links.wall, next: in_turn };
    let guarded = Guarded { breaker: Arc::clone(&links.breaker), meters: meters(), next: paced };
    let chain = ClientBuilder::new(client.network().clone())
        .with(retry)
        .with(Try { hedge: hedge(upstream, links), guarded });
    match client.transport() {
        Transport::Network => chain.build(),
        Transport::Scripted(script) => chain.with(Scripted(Arc::clone(script))).build(),
    }
}

/// The hedging of `upstream`, where it is on.
fn hedge(upstream: &Upstream, links: &Links) -> Option<Hedge> {
    let (policy, hedges) = (upstream.hedge?, links.hedges.as_ref()?);
    Some(Hedge {
        policy,
        own: Arc::clone(&hedges.budget),
        attempts: upstream.retry.attempts,
        attempt: upstream.timeouts.attempt,
        breaker: Arc::clone(&links.breaker),
        budget: Arc::clone(&links.budget),
        pace: Arc::clone(&links.pace),
        permits: links.permits.clone(),
        latency: Arc::clone(&links.latency),
        meters: Arc::clone(&hedges.meters),
    })
}
