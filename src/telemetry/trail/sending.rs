//! How a trail becomes a trace: whether it leaves one, and where each of its spans stands in it.

use std::{mem, time::Duration};

use crate::{
    chance,
    telemetry::{
        exchange::Exchanged,
        propagation::TraceContext,
        report::Ended,
        spans::{Asked, Clock, Place},
        stage::Stage,
        trail::{Met, Of, Record, Step, Trail},
    },
    time,
};

impl Trail {
    /// Sends the whole trace of a call that has ended, if it is one of those that leave theirs.
    pub(in super::super) fn ended(&self, call: &Ended<'_>, took: Duration) {
        let (Some(sender), Of::Call(method)) = (&self.tracer.0.sender, self.of) else { return };
        if !self.context.is_sampled() && !sender.keeps(call.outcome, took) {
            return;
        }
        let (clock, began) = (sender.clock(), self.began);
        let (route, scheme) = (&*self.tracer.0.route, self.tracer.0.scheme);
        sender.call(self.root(), clock, Asked { method, route, scheme, began }, call);
        self.send(clock);
    }

    /// The same of a refresh, which otherwise goes with the trace of the call that set it off.
    pub fn refreshed(&self) {
        let Some(sender) = &self.tracer.0.sender else { return };
        let failed =
            self.lock().steps.iter().any(|step| step.failed && step.stage == Stage::Flight);
        if sender.keeps_what(failed, time::now().saturating_duration_since(self.began)) {
            self.send(sender.clock());
        }
    }

    /// The context of the span with that id, which lies somewhere below this one.
    pub(in super::super) fn context_below(&self, span_id: u64) -> TraceContext {
        if self.passes_on() { self.context.clone() } else { self.context.child(span_id) }
    }

    /// Whether its context is that of its caller, to whose trace it adds nothing.
    pub(super) fn passes_on(&self) -> bool {
        self.context.span_id() == self.within
    }

    /// Sends what it holds, and from now on at once what comes.
    pub(super) fn send(&self, clock: Clock) {
        let mut record = self.lock();
        if record.sent.is_some() {
            return;
        }
        record.sent = Some(clock);
        for place in 0..record.steps.len() {
            let step = record.steps[place];
            self.send_step(&mut record, clock, step);
        }
        for exchanged in mem::take(&mut record.exchanges) {
            self.send_exchange(&mut record, clock, &exchanged);
        }
        let behind = mem::take(&mut record.behind);
        drop(record);
        behind.iter().for_each(|behind| behind.send(clock));
    }

    pub(super) fn send_step(&self, record: &mut Record, clock: Clock, step: Step) {
        let (Some(sender), true) = (&self.tracer.0.sender, step.here) else { return };
        let place = match (step.stage, self.of) {
            // Its span is that of the exchange.
            (Stage::Attempt, _) => return,
            (Stage::Flight, Of::Flight) => self.root(),
            (stage, _) => self.below(record.id(stage), self.context.span_id()),
        };
        let leader = record.leader.as_ref().filter(|_| step.stage == Stage::Flight);
        let place = Place { link: leader.or(place.link), ..place };
        let facts = record.facts.iter().filter(|(of, _)| *of == step.stage).map(|(_, fact)| fact);
        sender.stage(place, clock, (&step, step.failed), (facts, record.fetched(step.stage)));
    }

    pub(super) fn send_exchange(&self, record: &mut Record, clock: Clock, exchanged: &Exchanged) {
        let Some(sender) = &self.tracer.0.sender else { return };
        let within = record.id(exchanged.of.within);
        sender.exchange(self.below(exchanged.of.span_id, within), clock, exchanged);
    }

    /// The place of the span of the whole.
    fn root(&self) -> Place<'_> {
        Place {
            id: self.context.span_id(),
            within: self.within,
            remote: self.within != 0 && self.of != Of::Flight,
            link: self.link.as_ref(),
            trail: &self.context,
        }
    }

    fn below(&self, id: u64, within: u64) -> Place<'_> {
        Place { id, within, remote: false, link: None, trail: &self.context }
    }
}

impl Record {
    /// The id of the span of that stage.
    fn id(&mut self, stage: Stage) -> u64 {
        let id = &mut self.ids[stage as usize];
        if *id == 0 {
            *id = chance::id64();
        }
        *id
    }

    /// What the fetch met, and how many attempts it made, for the stage that makes them.
    fn fetched(&self, stage: Stage) -> Option<(Met, usize)> {
        let is_attempt = |step: &&Step| step.here && step.stage == Stage::Attempt;
        (stage == Stage::Upstream).then(|| (self.met, self.steps.iter().filter(is_attempt).count()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        chance::Chance,
        settings::{Keep, TraceProtocol, TraceSettings},
        telemetry::{
            attempts::Ended,
            exchange::{Peer, Target, UnderWay},
            metrics::Registry,
            spans::Sender,
            stage::Stage,
            traces::Traces,
            trail::Tracer,
        },
        time::{self, Wall},
    };

    #[tokio::test]
    async fn an_exchange_is_noted_however_it_ends_and_as_canceled_where_it_is_cut() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let keep = Keep { failures: true, slower_than: Duration::MAX };
        let endpoint = "http://127.0.0.1:9".parse().unwrap();
        let protocol = TraceProtocol::HttpProtobuf;
        let settings = TraceSettings { endpoint, protocol, sample_ratio: 0.0, keep };
        let traces = Traces::start(&settings, &tokio::runtime::Handle::current()).unwrap();
        let sender = Sender::new(keep, traces.entrance(), Wall::System);
        let tracer = Tracer::new(&Registry::new(), Some(0.0), false, "/{action}", Chance::Random)
            .sending(Some(sender));
        let trail = tracer.begin(time::now(), None, "POST");
        let peer = Peer::at(&"https://login.test".parse().unwrap());
        let asked = || {
            let asked = (&peer, Target::Word("token"));
            UnderWay::begin(&trail, Stage::Upstream, &http::Method::POST, asked, 0)
        };
        drop(asked());
        asked().end(Ended::Status(200));
        let mut refused = asked();
        refused.end(Ended::Status(200));
        refused.because(Some("not_json"));
        drop(refused);
        let record = trail.lock();
        let ends: Vec<_> = record.exchanges.iter().map(|one| (one.word, one.error)).collect();
        assert_eq!(ends, [("canceled", None), ("200", None), ("200", Some("not_json"))]);
    }
}
