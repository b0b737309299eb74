//! The permit's place in the chain: an attempt is held back until it is its turn, and what it tells
//! about the upstream's load is decided here.

use std::sync::Arc;

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error as ChainError, Middleware, Next};

use crate::{
    client::WireError,
    mechanism::permit::{Load, Permits},
    pipeline::upstream::{errand::Errand, error::AttemptError},
    telemetry::attempts::AttemptMeters,
    time,
};

/// Holds an attempt back until it is its turn.
#[derive(Debug)]
pub(super) struct InTurn {
    pub(super) permits: Permits,
    pub(super) meters: Arc<AttemptMeters>,
}

#[async_trait]
impl Middleware for InTurn {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let errand = Errand::of(extensions);
        let permit = self.permits.acquire(errand.urgency, errand.patience()).await;
        let permit = permit.map_err(|saturated| {
            self.meters.queued(saturated.waited);
            AttemptError::Saturated.into_chain()
        })?;
        self.meters.queued(permit.waited());
        // Dropped half-way, the permit goes back without a word.
        let result = next.run(request, extensions).await;
        if let Some(load) = load(&result) {
            permit.settle(time::now(), load);
        }
        result
    }
}

/// What an attempt tells about the upstream's load. Only an answer on which the upstream has worked
/// is one to measure with: errors and refusals come faster than those, and taken for the time that it
/// needs they would make every answer look slow.
fn load(result: &Result<Response, ChainError>) -> Option<Load> {
    match result {
        Ok(response) => match response.status().as_u16() {
            429 | 503 => Some(Load::Overloaded),
            200..=299 | 404 | 410 => Some(Load::Answered),
            _ => None,
        },
        Err(error) => match AttemptError::of(error) {
            AttemptError::Wire(WireError::Timeout) => Some(Load::Overloaded),
            AttemptError::Wire(
                WireError::Connect
                | WireError::Dns
                | WireError::Tls
                | WireError::Reset
                | WireError::Protocol
                | WireError::BodyTooLarge,
            )
            | AttemptError::CutShort
            | AttemptError::BreakerOpen { .. }
            | AttemptError::Held { .. }
            | AttemptError::Saturated => None,
        },
    }
}
