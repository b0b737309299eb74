//! Map output: from a reply to the answer's flat object, checked against the output contract. What
//! does not fit is a failure of the upstream's contract; it is counted, and never kept or shown.

use crate::{
    catalog::{
        action::Action,
        mapping::{Enveloped, MappingError},
    },
    pipeline::upstream::Reply,
    telemetry::{meters::Words, stage::Decided},
};

/// An answer in its envelope, as it is kept.
#[derive(Debug, Clone)]
pub struct Mapped(pub Enveloped);

impl Decided for Mapped {
    fn decision(&self) -> &'static str {
        "mapped"
    }
}

impl Decided for MappingError {
    fn decision(&self) -> &'static str {
        self.reason()
    }

    fn is_failure(&self) -> bool {
        true
    }
}

/// Maps `reply`.
///
/// # Errors
/// [`MappingError`], counted by its reason.
pub fn apply(action: &Action, reply: &Reply, failures: &Words) -> Result<Mapped, MappingError> {
    action.output.apply(&reply.body).map(Mapped).inspect_err(|error| failures.count(error.reason()))
}
