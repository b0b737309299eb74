//! The trail of a call: what each stage decided, when, and how long it took. One record, many
//! readers: metrics, spans, the log line and debug headers all come from it.
//!
//! A call that the head sampler picked also has live spans; for the others [`Trail::span`] gives the
//! empty span, which costs nothing. A flight is detached from the call that started it and has a
//! trail of its own; the call takes over its steps when it lands.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use metrics::Histogram;
use opentelemetry::trace::TraceContextExt;
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    chance::{self, Chance},
    telemetry::{
        kept::Keeper,
        metrics::{Registry, STAGE_DURATION},
        propagation::TraceContext,
        stage::{Decided, Stage},
    },
    time::{self, Instant},
};

/// Which calls leave live spans, and where stage times are counted. One per service.
#[derive(Clone)]
pub struct Tracer {
    /// `None`: no spans, because nobody would be sent them.
    ratio: Option<f64>,
    trust_callers: bool,
    route: Arc<str>,
    chance: Chance,
    stages: Arc<[Histogram; 8]>,
    keeper: Option<Keeper>,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("ratio", &self.ratio).finish_non_exhaustive()
    }
}

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
}

/// What each stage of one call, or of one flight, decided.
pub struct Trail {
    tracer: Tracer,
    began: Instant,
    /// Of the request; nothing for a flight.
    method: &'static str,
    context: TraceContext,
    root: Span,
    steps: Mutex<Vec<Step>>,
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").field("steps", &self.steps()).finish_non_exhaustive()
    }
}

impl Tracer {
    /// A tracer that samples `ratio` of the calls to `route`; `None` where traces go nowhere.
    pub fn new(
        registry: &Registry,
        ratio: Option<f64>,
        trust_callers: bool,
        route: &str,
        chance: Chance,
    ) -> Self {
        let stages = Stage::ALL.map(|stage| registry.histogram(&STAGE_DURATION, &[stage.as_str()]));
        Self {
            ratio,
            trust_callers,
            route: route.into(),
            chance,
            stages: Arc::new(stages),
            keeper: None,
        }
    }

    /// The same, with somebody who keeps what nobody picked.
    #[must_use]
    pub fn keeping(self, keeper: Option<Keeper>) -> Self {
        Self { keeper, ..self }
    }

    /// Begins the trail of a call. `caller` is the trace context that came with it.
    pub fn begin(
        &self,
        began: Instant,
        caller: Option<&TraceContext>,
        (method, action): (&'static str, &str),
    ) -> Trail {
        let parent = caller.filter(|_| self.trust_callers);
        let sampled = self.ratio.is_some_and(|ratio| {
            parent.map_or_else(|| self.chance.roll() < ratio, TraceContext::is_sampled)
        });
        let root = if sampled { call_span(&self.route, method, action) } else { Span::none() };
        if let Some(caller) = caller.filter(|_| sampled) {
            if self.trust_callers {
                let remote =
                    opentelemetry::Context::new().with_remote_span_context(caller.to_otel());
                let _ = root.set_parent(remote);
            } else {
                // The ids alone: what a stranger writes into the state is text we do not keep.
                root.add_link(caller.without_state().to_otel());
            }
        }
        let context = context_of(&root).unwrap_or_else(|| unsampled(parent));
        Trail { method, ..self.trail(began, context, root) }
    }

    fn trail(&self, began: Instant, context: TraceContext, root: Span) -> Trail {
        Trail {
            tracer: self.clone(),
            began,
            method: "",
            context,
            root,
            steps: Mutex::new(Vec::with_capacity(8)),
        }
    }
}

impl Trail {
    /// When it began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The method of its request, in a word of a closed list.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The template of its path.
    pub(super) fn route(&self) -> &str {
        &self.tracer.route
    }

    /// Who keeps it although it was not picked.
    pub(super) fn keeper(&self) -> Option<&Keeper> {
        self.tracer.keeper.as_ref().filter(|_| self.root.is_disabled())
    }

    /// The context that what we send on belongs to.
    pub fn context(&self) -> &TraceContext {
        &self.context
    }

    /// The context that a request sent within `span` belongs to.
    pub fn context_within(&self, span: &Span) -> TraceContext {
        context_of(span).unwrap_or_else(|| unsampled(Some(&self.context)))
    }

    /// The span of the whole call or flight; empty where it is not sampled.
    pub fn root(&self) -> &Span {
        &self.root
    }

    /// A span for `stage`; empty where the call is not sampled.
    pub fn span(&self, stage: Stage) -> Span {
        if self.root.is_disabled() {
            return Span::none();
        }
        tracing::info_span!(
            target: "holdline::trail",
            parent: &self.root,
            "stage",
            otel.name = stage.as_str(),
            otel.status_code = Empty,
            holdline.decision = Empty,
        )
    }

    /// Notes what `stage`, begun at `began`, decided.
    pub fn note(&self, stage: Stage, began: Instant, result: &impl Decided, span: &Span) {
        span.record("holdline.decision", result.decision());
        if result.is_failure() {
            span.record("otel.status_code", "ERROR");
        }
        self.step(stage, began, result.decision());
    }

    /// Notes a step whose span somebody else keeps.
    pub fn step(&self, stage: Stage, began: Instant, decision: &'static str) {
        let took = time::now().saturating_duration_since(began);
        self.tracer.stages[stage as usize].record(took.as_secs_f64());
        self.lock().push(Step { stage, began, took, decision });
    }

    /// The trail of a flight that this call starts: part of the same trace.
    pub fn flight(&self) -> Self {
        let root = self.span(Stage::Flight);
        let context = context_of(&root).unwrap_or_else(|| unsampled(Some(&self.context)));
        self.tracer.trail(time::now(), context, root)
    }

    /// A span for waiting for a flight that another call leads, linked to it.
    pub fn following(&self, leader: Option<&TraceContext>) -> Span {
        let span = self.span(Stage::Flight);
        if let Some(leader) = leader.filter(|_| !span.is_disabled()) {
            span.add_link(leader.to_otel());
        }
        span
    }

    /// The trail of a refresh that this call sets off but does not wait for: a trace of its own,
    /// with a link to the call.
    pub fn refresh(&self, action: &str) -> Self {
        let root = if self.root.is_disabled() { Span::none() } else { refresh_span(action) };
        if !root.is_disabled() {
            root.add_link(self.context.to_otel());
        }
        let context = context_of(&root).unwrap_or_else(|| unsampled(None));
        self.tracer.trail(time::now(), context, root)
    }

    /// Takes over the steps of a flight that this call waited for as its leader.
    pub fn absorb(&self, flight: &Self) {
        let steps = flight.steps();
        self.lock().extend(steps);
    }

    /// The steps so far, in the order in which they ended.
    pub fn steps(&self) -> Vec<Step> {
        self.lock().clone()
    }

    /// The decision of the last step of that stage.
    pub fn decision(&self, stage: Stage) -> Option<&'static str> {
        self.lock().iter().rev().find(|step| step.stage == stage).map(|step| step.decision)
    }

    /// How long that stage took in all; `None` where the call did not meet it.
    pub fn took(&self, stage: Stage) -> Option<Duration> {
        let steps = self.lock();
        let mut times = steps.iter().filter(|step| step.stage == stage).map(|step| step.took);
        let first = times.next()?;
        Some(times.fold(first, |sum, took| sum + took))
    }

    /// How many attempts were made for it.
    pub fn attempts(&self) -> usize {
        self.lock().iter().filter(|step| step.stage == Stage::Attempt).count()
    }

    /// How long the call waited for somebody else: the token authority, a flight, an upstream.
    pub fn waited(&self) -> Duration {
        let authority = match self.decision(Stage::Authenticate) {
            Some("remote" | "coalesced" | "stale" | "rejected" | "unavailable") => {
                self.took(Stage::Authenticate)
            }
            _ => None,
        };
        let fetch = self.took(Stage::Flight).or_else(|| self.took(Stage::Upstream));
        authority.unwrap_or_default() + fetch.unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn call_span(route: &str, method: &'static str, action: &str) -> Span {
    tracing::info_span!(
        target: "holdline::trail",
        parent: None,
        "call",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        url.scheme = "http",
        http.response.status_code = Empty,
        error.type = Empty,
        holdline.action = action,
        holdline.outcome = Empty,
        holdline.class = Empty,
        holdline.source = Empty,
        holdline.request_id = Empty,
    )
}

fn refresh_span(action: &str) -> Span {
    tracing::info_span!(
        target: "holdline::trail",
        parent: None,
        "refresh",
        otel.name = Stage::Flight.as_str(),
        otel.status_code = Empty,
        holdline.action = action,
        holdline.decision = Empty,
    )
}

/// The context of a live span.
fn context_of(span: &Span) -> Option<TraceContext> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let live = context.span().span_context().clone();
    live.is_valid().then(|| TraceContext::from_otel(&live))
}

/// A context without a live span: the parent's trace, or a new one, not sampled.
fn unsampled(parent: Option<&TraceContext>) -> TraceContext {
    match parent {
        Some(parent) => parent.child(chance::id64()),
        None => TraceContext::unsampled(chance::id128(), chance::id64()),
    }
}
