//! What is noted in a trail: its steps, and what there is to be told beyond them.

use std::{sync::Arc, time::Duration};

use crate::{telemetry::stage::Stage, time::Instant};

/// One step of a trail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The stage.
    pub stage: Stage,
    /// When it began.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// What it decided.
    pub decision: &'static str,
    /// Whether it is a failure of ours or the upstream's.
    pub(super) failed: bool,
    /// Whether it has a span here: what is taken over from a flight has it there.
    pub(super) here: bool,
}

impl Step {
    /// A step that is nobody's failure.
    pub(in super::super) fn new(
        stage: Stage,
        began: Instant,
        took: Duration,
        decision: &'static str,
    ) -> Self {
        Self { stage, began, took, decision, failed: false, here: true }
    }
}

/// What a fetch met on its way that is no stage of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Met {
    /// The state of the upstream's breaker when it was last asked.
    pub breaker: Option<&'static str>,
    /// Why an attempt that failed was not repeated, in the words of `retries_suppressed_total`.
    pub not_repeated: Option<&'static str>,
    /// Whether the cache keeps what came of it.
    pub stored: bool,
}

/// What is to be told of a stage beyond its decision. Names are those of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The action that is refreshed.
    Action(Arc<str>),
    /// The limit that refused, or would have.
    Limit(Arc<str>),
    /// The upstream.
    Upstream(Arc<str>),
}
