//! The chain between a fetch and the wire, outermost first. The order is policy:
//!
//! | layer | why it sits there |
//! |---|---|
//! | [`Retry`] | one loop per flight; a backoff holds neither a permit nor a probe |
//! | [`Guarded`] | under the retry, so that it counts attempts and opens in time; above the permit, so that nothing queues in front of a dead upstream |
//! | [`InTurn`] | paid per attempt; a time-out in the queue is no verdict about the upstream |
//! | [`Attempt`] | the innermost: its time-out must cover nothing but the exchange, and all of it |

use std::sync::Arc;

use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use crate::{
    catalog::upstream::Upstream,
    chance::Chance,
    client::{Client, Transport},
    mechanism::{breaker::Breaker, budget::Budget, permit::Permits},
    pipeline::upstream::{
        attempt::{Attempt, Scripted},
        breaker::Guarded,
        retry::Retry,
        turn::InTurn,
    },
    telemetry::attempts::AttemptMeters,
    time::Wall,
};

/// The state that one upstream's chain works with.
#[derive(Debug, Clone)]
pub(super) struct Links {
    pub(super) breaker: Arc<Breaker>,
    pub(super) budget: Arc<Budget>,
    pub(super) permits: Permits,
    pub(super) meters: Arc<AttemptMeters>,
    pub(super) chance: Chance,
    pub(super) wall: Wall,
}

/// Builds the chain towards `upstream`.
pub(super) fn chain(upstream: &Upstream, links: &Links, client: &Client) -> ClientWithMiddleware {
    let meters = || Arc::clone(&links.meters);
    let chain = ClientBuilder::new(client.network().clone())
        .with(Retry {
            policy: upstream.retry.clone(),
            attempt: upstream.timeouts.attempt,
            breaker: Arc::clone(&links.breaker),
            budget: Arc::clone(&links.budget),
            chance: links.chance,
            wall: links.wall,
            meters: meters(),
        })
        .with(Guarded { breaker: Arc::clone(&links.breaker), meters: meters() })
        .with(InTurn { permits: links.permits.clone(), meters: meters() })
        .with(Attempt {
            timeout: upstream.timeouts.attempt,
            max_reply: upstream.max_reply,
            propagate_trace: upstream.propagate_trace,
            meters: meters(),
        });
    match client.transport() {
        Transport::Network => chain.build(),
        Transport::Scripted(script) => chain.with(Scripted(Arc::clone(script))).build(),
    }
}
