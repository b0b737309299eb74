//! The breaker's place in the chain: it sees each attempt, not the result of a retry loop, and what
//! an attempt tells about the upstream's health is decided here.

use std::sync::Arc;

use reqwest::Request;
use reqwest_middleware::Next;

use crate::{
    client::WireError,
    mechanism::breaker::{Breaker, FailureKind, Verdict},
    pipeline::upstream::{
        errand::{Errand, Leg, Outcome},
        error::AttemptError,
        pace::Paced,
    },
    telemetry::attempts::AttemptMeters,
    time,
};

/// Lets attempts through as long as the breaker does.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) breaker: Arc<Breaker>,
    pub(super) meters: Arc<AttemptMeters>,
    pub(super) next: Paced,
}

impl Guarded {
    /// Sends it, if the breaker lets it pass.
    pub(super) async fn send(&self, request: Request, errand: &Errand, wire: Next<'_>) -> Outcome {
        let now = time::now();
        let admitted = self.breaker.admit(now);
        let state = self.breaker.state(now).as_str();
        errand.trail.meet(|met| met.breaker = Some(state));
        let pass = admitted.map_err(|refused| {
            self.meters.short_circuited.increment(1);
            AttemptError::BreakerOpen { retry_after: refused.retry_after }
        })?;
        if pass.would_be_refused() {
            self.meters.would_refuse.increment(1);
        }
        // A probe keeps all others out meanwhile: it must not stand in line for as long as a refresh
        // may, which is longer than its lease.
        let urgent = pass.is_probe().then(|| errand.urgent());
        let mut leg = Leg::new(request, urgent.as_ref().unwrap_or(errand), wire);
        // Dropped half-way, the pass is given back without a verdict.
        let result = self.next.send(&mut leg).await;
        let verdict = verdict(&result, pass.is_probe());
        // The wait for a turn is ours: only the exchange itself can make the upstream slow.
        pass.took(leg.took).settle(time::now(), verdict);
        result
    }
}

/// What an attempt tells about the upstream's health. Most 4xx tell nothing: it works, and did not
/// like the question. A 429 drives the wait, not the breaker, but to a probe it says that it is too
/// early. What we cut short or kept back ourselves tells nothing either.
fn verdict(result: &Outcome, probe: bool) -> Verdict {
    match result {
        Ok(response) => match response.status().as_u16() {
            429 if probe => Verdict::Failure(FailureKind::Other),
            408 | 500.. => Verdict::Failure(FailureKind::Other),
            400..=499 => Verdict::None,
            _ => Verdict::Success,
        },
        Err(error) => match error {
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
