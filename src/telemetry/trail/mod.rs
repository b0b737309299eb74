//! The trail of a call: what each stage decided, when, and how long it took. One record, many
//! readers: metrics, spans, the log line and debug headers all come from it.
//!
//! Spans are made of a trail when its call has ended, if the head sampler picked the call or its end
//! makes it one that is kept. What comes after that end goes out at once. A flight is detached from the
//! call that started it and has a trail of its own, which follows that of the call; the call takes over
//! its steps when it lands. So does a refresh, as a trace of its own.

mod noted;
mod sending;

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use metrics::Histogram;

use crate::{
    chance::{self, Chance},
    telemetry::{
        exchange::Exchanged,
        log::{self, CallLines},
        metrics::{Registry, STAGE_DURATION},
        propagation::TraceContext,
        recent::Recent,
        spans::{Clock, Sender},
        stage::{Decided, Stage},
        steps::Steps,
    },
    time::{self, Instant},
};

pub use noted::{Fact, Met, Step};

/// Which calls leave spans, and where stage times are counted. One per service.
#[derive(Clone)]
pub struct Tracer(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    /// `None`: no spans, because nobody would be sent them.
    ratio: Option<f64>,
    trust_callers: bool,
    route: Arc<str>,
    scheme: &'static str,
    chance: Chance,
    stages: [Histogram; 8],
    sender: Option<Sender>,
    recent: Option<Arc<Recent>>,
    lines: Option<CallLines>,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("ratio", &self.0.ratio).finish_non_exhaustive()
    }
}

/// What each stage of one call, or of one flight, decided.
pub struct Trail {
    tracer: Tracer,
    began: Instant,
    /// Of what it is the trail.
    of: Of,
    /// The id of the span that it lies in; 0: of none.
    within: u64,
    /// What it is linked to.
    link: Option<TraceContext>,
    context: TraceContext,
    record: Mutex<Record>,
}

/// Of what a trail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// A call, by this method.
    Call(&'static str),
    /// What a call has set off. Its span is that of its stage `flight`.
    Flight,
}

#[derive(Default)]
struct Record {
    steps: Vec<Step>,
    /// None on a hit: then this takes no memory.
    facts: Vec<(Stage, Fact)>,
    met: Met,
    /// The call whose flight this one waits for: what its stage `flight` is linked to.
    leader: Option<TraceContext>,
    exchanges: Vec<Exchanged>,
    /// What it has set off: sent where it is sent.
    behind: Vec<Arc<Trail>>,
    /// The id of the span of each stage; 0: not drawn yet.
    ids: [u64; 8],
    /// Present: it is sent, and what comes goes out at once.
    sent: Option<Clock>,
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
        Self(Arc::new(Parts {
            ratio,
            trust_callers,
            route: route.into(),
            scheme: "http",
            chance,
            stages,
            sender: None,
            recent: None,
            lines: None,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The same, with somebody who sends spans.
    #[must_use]
    pub fn sending(self, sender: Option<Sender>) -> Self {
        self.with(|parts| parts.sender = sender)
    }

    /// The same, with who remembers the last calls.
    #[must_use]
    pub fn remembering(self, recent: Arc<Recent>) -> Self {
        self.with(|parts| parts.recent = Some(recent))
    }

    /// The same, with who writes the lines of calls.
    #[must_use]
    pub fn logging(self, lines: Option<CallLines>) -> Self {
        self.with(|parts| parts.lines = lines)
    }

    /// The same for calls that come over TLS.
    #[must_use]
    pub fn over_tls(self, tls: bool) -> Self {
        self.with(|parts| parts.scheme = if tls { "https" } else { "http" })
    }

    /// Begins the trail of a call by that method, a word of a closed list. `caller` is the trace
    /// context that came with it.
    pub fn begin(
        &self,
        began: Instant,
        caller: Option<&TraceContext>,
        method: &'static str,
    ) -> Trail {
        let Parts { ratio, trust_callers, ref chance, .. } = *self.0;
        let parent = caller.filter(|_| trust_callers);
        let picked = ratio.is_some_and(|ratio| {
            parent.map_or_else(|| chance.roll() < ratio, TraceContext::is_sampled)
        });
        let context = match parent {
            // Where nobody takes our spans, what we send on is the caller's own context as it came:
            // a span of ours would be missing in their trace, with all below it.
            Some(parent) if ratio.is_none() => parent.clone(),
            Some(parent) => parent.child(chance::id64()).sampled(picked),
            None => TraceContext::unsampled(chance::id128(), chance::id64()).sampled(picked),
        };
        // The ids alone: what a stranger writes into the state is text we do not keep.
        let stranger = caller.filter(|_| !trust_callers);
        Trail {
            within: parent.map_or(0, TraceContext::span_id),
            link: stranger.map(TraceContext::without_state),
            ..self.trail(began, Of::Call(method), context)
        }
    }

    fn trail(&self, began: Instant, of: Of, context: TraceContext) -> Trail {
        let record = Record { steps: Vec::with_capacity(8), ..Record::default() };
        Trail {
            tracer: self.clone(),
            began,
            of,
            within: 0,
            link: None,
            context,
            record: Mutex::new(record),
        }
    }
}

impl Trail {
    /// When it began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The method of its request, in a word of a closed list; nothing for a flight.
    pub fn method(&self) -> &'static str {
        match self.of {
            Of::Call(method) => method,
            Of::Flight => "",
        }
    }

    /// Who remembers it.
    pub(super) fn recent(&self) -> Option<&Recent> {
        self.tracer.0.recent.as_deref()
    }

    /// Who writes its line.
    pub(super) fn lines(&self) -> Option<&CallLines> {
        self.tracer.0.lines.as_ref()
    }

    /// The context that what we send on belongs to.
    pub fn context(&self) -> &TraceContext {
        &self.context
    }

    /// `work`, whose log lines name this trail's trace.
    pub fn within<W: Future>(&self, work: W) -> impl Future<Output = W::Output> + use<W> {
        log::within(&self.context, work)
    }

    /// Notes what `stage`, begun at `began`, decided.
    pub fn note(&self, stage: Stage, began: Instant, result: &impl Decided) {
        self.note_of(stage, Some(began), result);
    }

    /// The same of a stage that began when the one before it ended.
    pub fn note_next(&self, stage: Stage, result: &impl Decided) {
        self.note_of(stage, None, result);
    }

    fn note_of(&self, stage: Stage, began: Option<Instant>, result: &impl Decided) {
        for fact in result.facts() {
            self.tell(stage, fact);
        }
        self.push(stage, began, (result.decision(), result.is_failure()), true);
    }

    /// Notes a step that is nobody's failure.
    pub fn step(&self, stage: Stage, began: Instant, decision: &'static str) {
        self.push(stage, Some(began), (decision, false), true);
    }

    /// Notes that the call does not wait any longer for the flight that it leads. The flight's own
    /// span says how that ends.
    pub fn leave(&self, began: Instant) {
        self.push(Stage::Flight, Some(began), ("left", false), false);
    }

    /// Notes what there is to be told of a stage that has not ended. Of two of a kind the last stays.
    pub fn tell(&self, stage: Stage, fact: Fact) {
        let kind = mem::discriminant(&fact);
        let mut record = self.lock();
        record.facts.retain(|(of, known)| (*of, mem::discriminant(known)) != (stage, kind));
        record.facts.push((stage, fact));
    }

    /// Notes that this call waits for the flight that the call with that context leads.
    pub fn follow(&self, leader: &TraceContext) {
        self.lock().leader = Some(leader.clone());
    }

    /// Notes an exchange that has ended.
    pub(super) fn exchanged(&self, exchanged: Exchanged) {
        let mut record = self.lock();
        match record.sent {
            Some(clock) => self.send_exchange(&mut record, clock, &exchanged),
            // Kept for nobody else: there is no other reader.
            None if self.tracer.0.sender.is_some() => record.exchanges.push(exchanged),
            None => {}
        }
    }

    fn push(
        &self,
        stage: Stage,
        began: Option<Instant>,
        (decision, failed): (&'static str, bool),
        here: bool,
    ) {
        let now = time::now();
        let mut record = self.lock();
        let began = began.or_else(|| record.steps.last().map(|last| last.began + last.took));
        let began = began.unwrap_or(self.began);
        let took = now.saturating_duration_since(began);
        self.tracer.0.stages[stage as usize].record(took.as_secs_f64());
        let step = Step { failed, here, ..Step::new(stage, began, took, decision) };
        record.steps.push(step);
        if let Some(clock) = record.sent {
            self.send_step(&mut record, clock, step);
        }
    }

    /// The trail of a flight that this call starts: part of the same trace.
    pub fn flight(&self) -> Arc<Self> {
        let context = self.context_below(chance::id64());
        let within = self.context.span_id();
        self.set_off(Self { within, ..self.tracer.trail(time::now(), Of::Flight, context) })
    }

    /// The trail of a refresh that this call sets off but does not wait for: a trace of its own,
    /// with a link to the call.
    pub fn refresh(&self, action: Arc<str>) -> Arc<Self> {
        let context = TraceContext::unsampled(chance::id128(), chance::id64());
        let context = context.sampled(self.context.is_sampled() && !self.passes_on());
        let link = Some(self.context.clone());
        let refresh = Self { link, ..self.tracer.trail(time::now(), Of::Flight, context) };
        refresh.tell(Stage::Flight, Fact::Action(action));
        self.set_off(refresh)
    }

    fn set_off(&self, behind: Self) -> Arc<Self> {
        let behind = Arc::new(behind);
        if self.tracer.0.sender.is_some() {
            let sent = {
                let mut record = self.lock();
                record.behind.push(Arc::clone(&behind));
                record.sent
            };
            if let Some(clock) = sent {
                behind.send(clock);
            }
        }
        behind
    }

    /// Takes over the steps of a flight that this call waited for as its leader.
    pub fn absorb(&self, flight: &Self) {
        let (steps, met) = {
            let flight = flight.lock();
            (flight.steps.clone(), flight.met)
        };
        let steps = steps.into_iter().map(|step| Step { here: false, ..step });
        let mut record = self.lock();
        record.steps.extend(steps);
        record.met = met;
    }

    /// Notes what a fetch met.
    pub fn meet(&self, note: impl FnOnce(&mut Met)) {
        note(&mut self.lock().met);
    }

    /// Has a look at the steps and at what its fetch met, so far. Nothing is noted meanwhile.
    pub(super) fn look<R>(&self, look: impl FnOnce(&[Step], Met) -> R) -> R {
        let record = self.lock();
        look(&record.steps, record.met)
    }

    /// What its fetch met, so far.
    pub fn met(&self) -> Met {
        self.lock().met
    }

    /// The steps so far, in the order in which they ended.
    pub fn steps(&self) -> Vec<Step> {
        self.lock().steps.clone()
    }

    /// The decision of the last step of that stage.
    pub fn decision(&self, stage: Stage) -> Option<&'static str> {
        self.look(|steps, _| Steps::of(steps).decision(stage))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
