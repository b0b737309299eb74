//! Traces that are kept although nobody picked them: a call that failed, was answered by less than it
//! asked for, or was slow leaves its whole trace. It is made from the trail when the call has ended,
//! with the times at which everything began.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::{
    chance,
    settings::Keep,
    telemetry::{
        outcome::Class,
        report::Ended,
        stage::Stage,
        traces::Entrance,
        trail::{Step, Trail},
    },
    time::{self, Instant, Wall},
};

/// Who keeps them. Clones keep for the same collector.
#[derive(Clone)]
pub struct Keeper {
    keep: Keep,
    entrance: Entrance,
    wall: Wall,
    scope: InstrumentationScope,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl Keeper {
    pub(super) fn new(keep: Keep, entrance: Entrance, wall: Wall) -> Self {
        let scope = InstrumentationScope::builder("holdline").build();
        Self { keep, entrance, wall, scope }
    }

    /// Sends the trace of a call that has ended, if it is of the kind that is kept.
    pub(super) fn look_at(&self, trail: &Trail, call: &Ended<'_>, took: Duration) {
        let failed = matches!(call.outcome.class(), Class::Failure | Class::Degraded);
        let slow = self.keep.slower_than.is_some_and(|limit| took > limit);
        if (failed && self.keep.failures) || slow {
            Kept { keeper: self, trail, now: (time::now(), self.wall.system_time()) }.send(call);
        }
    }
}

/// One trace that is being made.
struct Kept<'a> {
    keeper: &'a Keeper,
    trail: &'a Trail,
    /// The same instant on both clocks.
    now: (Instant, SystemTime),
}

impl Kept<'_> {
    fn send(&self, call: &Ended<'_>) {
        let root = SpanId::from_bytes(self.trail.context().span_id().to_be_bytes());
        let failure = call.outcome.class() == Class::Failure;
        let mut attributes = vec![
            KeyValue::new("http.request.method", self.trail.method()),
            KeyValue::new("http.route", self.trail.route().to_owned()),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("holdline.action", call.action.to_owned()),
            KeyValue::new("holdline.outcome", call.outcome.as_str()),
            KeyValue::new("holdline.class", call.outcome.class().as_str()),
            KeyValue::new("holdline.source", call.source.as_str()),
            KeyValue::new("holdline.request_id", call.request_id.to_owned()),
        ];
        if call.status > 0 {
            attributes.push(KeyValue::new("http.response.status_code", i64::from(call.status)));
        }
        if failure {
            attributes.push(KeyValue::new("error.type", call.outcome.as_str()));
        }
        let name = format!("{} {}", self.trail.method(), self.trail.route());
        let times = (self.at(self.trail.began()), self.now.1);
        self.span(root, SpanId::INVALID, SpanKind::Server, (name, failure), times, attributes);

        let steps = self.trail.steps();
        let parents = Parents::among(&steps, root);
        for (step, id) in steps.iter().zip(&parents.ids) {
            let began = self.at(step.began);
            let attempt = step.stage == Stage::Attempt;
            let kind = if attempt { SpanKind::Client } else { SpanKind::Internal };
            let name = step.stage.as_str().to_owned();
            let attributes = vec![KeyValue::new("holdline.decision", step.decision)];
            let wrong = attempt && !step.decision.starts_with(['2', '3']);
            let times = (began, began + step.took);
            self.span(*id, parents.of(step), kind, (name, wrong), times, attributes);
        }
    }

    fn at(&self, instant: Instant) -> SystemTime {
        self.now.1 - self.now.0.saturating_duration_since(instant)
    }

    fn span(
        &self,
        id: SpanId,
        parent_span_id: SpanId,
        span_kind: SpanKind,
        (name, wrong): (String, bool),
        (start_time, end_time): (SystemTime, SystemTime),
        attributes: Vec<KeyValue>,
    ) {
        let trace = TraceId::from_bytes(self.trail.context().trace_id().to_be_bytes());
        let flags = TraceFlags::SAMPLED;
        let span_context = SpanContext::new(trace, id, flags, false, Default::default());
        self.keeper.entrance.take(SpanData {
            span_context,
            parent_span_id,
            parent_span_is_remote: false,
            span_kind,
            name: name.into(),
            start_time,
            end_time,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if wrong { Status::error("") } else { Status::Unset },
            instrumentation_scope: self.keeper.scope.clone(),
        });
    }
}

/// Which step lies in which.
struct Parents {
    root: SpanId,
    flight: Option<SpanId>,
    upstream: Option<SpanId>,
    ids: Vec<SpanId>,
}

impl Parents {
    fn among(steps: &[Step], root: SpanId) -> Self {
        let ids: Vec<_> =
            steps.iter().map(|_| SpanId::from_bytes(chance::id64().to_be_bytes())).collect();
        let last = |stage: Stage| {
            let found = steps.iter().zip(&ids).rev().find(|(step, _)| step.stage == stage);
            found.map(|(_, id)| *id)
        };
        let (flight, upstream) = (last(Stage::Flight), last(Stage::Upstream));
        Self { root, flight, upstream, ids }
    }

    /// In which span that step lies.
    fn of(&self, step: &Step) -> SpanId {
        let fetch = self.flight.unwrap_or(self.root);
        match step.stage {
            Stage::Attempt => self.upstream.unwrap_or(fetch),
            Stage::Upstream | Stage::MapOutput => fetch,
            Stage::Authenticate
            | Stage::Validate
            | Stage::RateLimit
            | Stage::Cache
            | Stage::Flight => self.root,
        }
    }
}
