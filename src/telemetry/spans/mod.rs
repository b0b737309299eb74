//! Spans: what a trail says, as a collector is told it. All spans are made here, when what they tell
//! of has ended: of the calls that the sampler picked, and of those that are kept although nobody
//! picked them. So the two cannot differ.

mod attributes;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::{
    settings::Keep,
    telemetry::{
        exchange::{Exchanged, Target},
        outcome::{Class, Outcome, Source},
        propagation::TraceContext,
        report::Ended,
        traces::Entrance,
        trail::{Fact, Met, Step},
    },
    time::{self, Instant, Wall},
};

pub use attributes::{Attribute, is_name};

/// Who makes spans and sends them. Clones send to the same collector.
#[derive(Clone)]
pub struct Sender {
    keep: Keep,
    entrance: Entrance,
    wall: Wall,
    scope: InstrumentationScope,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("keep", &self.keep).finish_non_exhaustive()
    }
}

/// One instant on both clocks. One for all spans of a trace, so that none begins before what it
/// lies in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    instant: Instant,
    shown: SystemTime,
}

impl Clock {
    fn at(self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.shown + later,
            None => self.shown - self.instant.saturating_duration_since(instant),
        }
    }
}

/// Where a span stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The context of the trail that it is of.
    pub(super) trail: &'a TraceContext,
    /// Its id.
    pub(super) id: u64,
    /// The id of the span that it lies in; 0: of none.
    pub(super) within: u64,
    /// Whether that one is somebody else's.
    pub(super) remote: bool,
    /// What it is linked to.
    pub(super) link: Option<&'a TraceContext>,
}

/// What a span says.
struct Said {
    kind: SpanKind,
    name: String,
    wrong: bool,
    times: (SystemTime, SystemTime),
    attributes: Vec<KeyValue>,
}

/// How a call was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'static str,
    pub(super) route: &'a str,
    pub(super) scheme: &'static str,
    pub(super) began: Instant,
}

impl Sender {
    pub(super) fn new(keep: Keep, entrance: Entrance, wall: Wall) -> Self {
        let scope = InstrumentationScope::builder("holdline").build();
        Self { keep, entrance, wall, scope }
    }

    /// Whether the trace of a call that ended so is kept, though nobody picked it.
    pub(super) fn keeps(&self, outcome: Outcome, took: Duration) -> bool {
        self.keeps_what(matches!(outcome.class(), Class::Failure | Class::Degraded), took)
    }

    /// The same of what is no call.
    pub(super) fn keeps_what(&self, failed: bool, took: Duration) -> bool {
        (failed && self.keep.failures) || took > self.keep.slower_than
    }

    /// Both clocks, now.
    pub(super) fn clock(&self) -> Clock {
        Clock { instant: time::now(), shown: self.wall.system_time() }
    }

    /// Sends the span of a call that has ended.
    pub(super) fn call(&self, place: Place<'_>, clock: Clock, asked: Asked<'_>, call: &Ended<'_>) {
        let class = call.outcome.class();
        // What the caller did wrong is no error of the service, and what a 4xx tells is theirs to
        // mend, whoever began it. Nor is what repeats or the cache healed.
        let wrong = class == Class::Failure && !(400..500).contains(&call.status);
        let mut attributes = vec![
            Attribute::Method.is(asked.method),
            Attribute::Route.is(asked.route.to_owned()),
            Attribute::Scheme.is(asked.scheme),
            Attribute::Version.is(call.http_version),
            Attribute::Action.is(call.action.to_owned()),
            Attribute::RequestId.is(call.request_id.to_owned()),
            Attribute::Outcome.is(call.outcome.as_str()),
            Attribute::Class.is(class.as_str()),
            Attribute::Source.is(call.source.as_str()),
        ];
        if let Some(deadline) = call.deadline {
            attributes.push(Attribute::Deadline.is(whole(deadline.as_millis())));
        }
        if call.status > 0 {
            attributes.push(Attribute::Status.is(i64::from(call.status)));
        }
        if matches!(call.source, Source::CacheFresh | Source::CacheStale) {
            attributes.push(Attribute::Age.is(whole(call.age.as_secs().into())));
        }
        if wrong {
            attributes.push(Attribute::ErrorType.is(call.outcome.as_str()));
        }
        let times = (clock.at(asked.began), clock.shown);
        let name = attributes::http_name(asked.method, asked.route);
        self.send(place, Said { kind: SpanKind::Server, name, wrong, times, attributes });
    }

    /// Sends the span of a stage, with the facts of it, and with what the fetch met and how many
    /// attempts it made where it is that of the fetch.
    pub(super) fn stage<'a>(
        &self,
        place: Place<'_>,
        clock: Clock,
        (step, wrong): (&Step, bool),
        (facts, fetched): (impl Iterator<Item = &'a Fact>, Option<(Met, usize)>),
    ) {
        let mut attributes = vec![Attribute::Decision.is(step.decision)];
        attributes.extend(facts.map(told));
        if let Some((met, attempts)) = fetched {
            attributes.extend(met.breaker.map(|state| Attribute::Breaker.is(state)));
            attributes.extend(met.not_repeated.map(|why| Attribute::Suppressed.is(why)));
            attributes.push(Attribute::Attempts.is(whole(attempts as u128)));
        }
        let began = clock.at(step.began);
        let (times, name) = ((began, began + step.took), step.stage.as_str().to_owned());
        self.send(place, Said { kind: SpanKind::Internal, name, wrong, times, attributes });
    }

    /// Sends the span of an exchange.
    pub(super) fn exchange(&self, place: Place<'_>, clock: Clock, exchanged: &Exchanged) {
        let Exchanged { of, took, status, word, error } = exchanged;
        let mut attributes = vec![
            Attribute::Method.is(of.method),
            Attribute::Address.is(of.peer.address.clone()),
            Attribute::Port.is(i64::from(of.peer.port)),
            Attribute::Decision.is(*word),
        ];
        if let Target::Template(template) = &of.target {
            attributes.push(Attribute::Template.is(template.clone()));
        }
        if let Some(status) = status {
            attributes.push(Attribute::Status.is(i64::from(*status)));
        }
        if let Some(error) = error {
            attributes.push(Attribute::ErrorType.is(*error));
        }
        if of.resent > 0 {
            attributes.push(Attribute::Resent.is(i64::from(of.resent)));
        }
        let began = clock.at(of.began);
        let name = attributes::http_name(of.method, of.target.as_str());
        let (wrong, times) = (error.is_some(), (began, began + *took));
        self.send(place, Said { kind: SpanKind::Client, name, wrong, times, attributes });
    }

    fn send(&self, place: Place<'_>, said: Said) {
        let Place { trail, id, within, remote, link } = place;
        let (kept, remembered) = (SpanId::from_bytes(id.to_be_bytes()), trail.to_otel());
        let trace = TraceId::from_bytes(trail.trace_id().to_be_bytes());
        let flags = remembered.trace_flags() | TraceFlags::SAMPLED;
        let state = remembered.trace_state().clone();
        let mut links = SpanLinks::default();
        links.links.extend(link.map(|link| Link::with_context(link.to_otel())));
        self.entrance.take(SpanData {
            span_context: SpanContext::new(trace, kept, flags, false, state),
            parent_span_id: SpanId::from_bytes(within.to_be_bytes()),
            parent_span_is_remote: remote,
            span_kind: said.kind,
            name: said.name.into(),
            start_time: said.times.0,
            end_time: said.times.1,
            attributes: said.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: if said.wrong { Status::error("") } else { Status::Unset },
            instrumentation_scope: self.scope.clone(),
        });
    }
}

/// A fact as an attribute.
fn told(fact: &Fact) -> KeyValue {
    match fact {
        Fact::Action(name) => Attribute::Action.is(name.clone()),
        Fact::Limit(name) => Attribute::Limit.is(name.clone()),
        Fact::Upstream(name) => Attribute::Upstream.is(name.clone()),
    }
}

/// OpenTelemetry knows no unsigned numbers.
fn whole(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
