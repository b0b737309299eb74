//! The permit's place in the chain: an attempt is held back until it is its turn, and what it tells
//! about the upstream's load is decided here.

use std::sync::Arc;

use crate::{
    client::WireError,
    mechanism::permit::{Load, Permits},
    pipeline::upstream::{
        attempt::Attempt,
        errand::{Leg, Outcome},
        error::AttemptError,
    },
    telemetry::attempts::AttemptMeters,
    time,
};

/// Holds an attempt back until it is its turn.
#[derive(Debug)]
pub(super) struct InTurn {
    pub(super) permits: Permits,
    pub(super) meters: Arc<AttemptMeters>,
    pub(super) next: Attempt,
}

impl InTurn {
    /// Waits for its turn and sends it.
    pub(super) async fn send(&self, leg: &mut Leg<'_>) -> Outcome {
        let errand = leg.errand;
        let permit = self.permits.acquire(errand.urgency, errand.patience()).await;
        let permit = permit.map_err(|saturated| {
            self.meters.queued(saturated.waited);
            AttemptError::Saturated
        })?;
        self.meters.queued(permit.waited());
        // Dropped half-way, the permit goes back without a word.
        let result = self.next.send(leg).await;
        if let Some(load) = load(&result) {
            permit.settle(time::now(), load);
        }
        result
    }
}

/// What an attempt tells about the upstream's load. Only an answer on which the upstream has worked
/// is one to measure with: errors and refusals come faster than those, and taken for the time that it
/// needs they would make every answer look slow.
fn load(result: &Outcome) -> Option<Load> {
    match result {
        Ok(response) => match response.status().as_u16() {
            429 | 503 => Some(Load::Overloaded),
            200..=299 | 404 | 410 => Some(Load::Answered),
            _ => None,
        },
        Err(error) => match error {
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
