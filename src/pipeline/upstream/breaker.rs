//! The breaker's place in the chain: it sees each attempt, not the result of a retry loop, and what
//! an attempt tells about the upstream's health is decided here.

use std::sync::Arc;

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error as ChainError, Middleware, Next};

use crate::{
    client::WireError,
    mechanism::breaker::{Breaker, FailureKind, Verdict},
    pipeline::upstream::{
        errand::{Errand, ExchangeTime},
        error::AttemptError,
    },
    telemetry::attempts::AttemptMeters,
    time,
};

/// Lets attempts through as long as the breaker does.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) breaker: Arc<Breaker>,
    pub(super) meters: Arc<AttemptMeters>,
}

#[async_trait]
impl Middleware for Guarded {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let errand = Errand::of(extensions);
        let admitted = self.breaker.admit(time::now());
        let state = self.breaker.state(time::now()).as_str();
        errand.trail.meet(|met| met.breaker = Some(state));
        let pass = admitted.map_err(|refused| {
            self.meters.short_circuited.increment(1);
            AttemptError::BreakerOpen { retry_after: refused.retry_after }.into_chain()
        })?;
        if pass.would_be_refused() {
            self.meters.would_refuse.increment(1);
        }
        // A probe keeps all others out meanwhile: it must not stand in line for as long as a refresh
        // may, which is longer than its lease.
        if pass.is_probe() {
            extensions.insert(errand.urgent());
        }
        // Dropped half-way, the pass is given back without a verdict.
        let result = next.run(request, extensions).await;
        extensions.insert(errand);
        let verdict = verdict(&result, pass.is_probe());
        // The wait for a turn is ours: only the exchange itself can make the upstream slow.
        pass.took(ExchangeTime::take(extensions)).settle(time::now(), verdict);
        result
    }
}

/// What an attempt tells about the upstream's health. Most 4xx tell nothing: it works, and did not
/// like the question. A 429 drives the wait, not the breaker, but to a probe it says that it is too
/// early. What we cut short or kept back ourselves tells nothing either.
fn verdict(result: &Result<Response, ChainError>, probe: bool) -> Verdict {
    match result {
        Ok(response) => match response.status().as_u16() {
            429 if probe => Verdict::Failure(FailureKind::Other),
            408 | 500.. => Verdict::Failure(FailureKind::Other),
            400..=499 => Verdict::None,
            _ => Verdict::Success,
        },
        Err(error) => match AttemptError::of(error) {
            AttemptError::Wire(WireError::Connect | WireError::Dns | WireError::Tls) => {
                Verdict::Failure(FailureKind::Connect)
            }
            AttemptError::Wire(WireError::Timeout | WireError::Reset | WireError::Protocol) => {
                Verdict::Failure(FailureKind::Other)
            }
            AttemptError::Wire(WireError::BodyTooLarge)
            | AttemptError::CutShort
            | AttemptError::BreakerOpen { .. }
            | AttemptError::Held { .. }
            | AttemptError::Saturated => Verdict::None,
        },
    }
}
