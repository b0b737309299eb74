//! How a trail becomes a trace: whether it leaves one, and where each of its spans stands in it.

use std::{mem, time::Duration};

use crate::{
    chance,
    telemetry::{
        exchange::Exchanged,
        report::Ended,
        spans::{Asked, Clock, Place},
        stage::Stage,
        trail::{Met, Noted, Of, Record, Trail},
    },
    time,
};

impl Trail {
    /// Sends the whole trace of a call that has ended, if it is one of those that leave theirs.
    pub(in super::super) fn ended(&self, call: &Ended<'_>, took: Duration) {
        let (Some(sender), Of::Call(method)) = (&self.tracer.sender, self.of) else { return };
        if !self.context.is_sampled() && !sender.keeps(call.outcome, took) {
            return;
        }
        let (clock, began) = (sender.clock(), self.began);
        let (route, scheme) = (&*self.tracer.route, self.tracer.scheme);
        sender.call(self.root(), clock, Asked { method, route, scheme, began }, call);
        self.send(clock);
    }

    /// The same of a refresh, which otherwise goes with the trace of the call that set it off.
    pub fn refreshed(&self) {
        let Some(sender) = &self.tracer.sender else { return };
        let failed =
            self.lock().steps.iter().any(|noted| noted.failed && noted.step.stage == Stage::Flight);
        if sender.keeps_what(failed, time::now().saturating_duration_since(self.began)) {
            self.send(sender.clock());
        }
    }

    /// Sends what it holds, and from now on at once what comes.
    pub(super) fn send(&self, clock: Clock) {
        let mut record = self.lock();
        if record.sent.is_some() {
            return;
        }
        record.sent = Some(clock);
        for place in 0..record.steps.len() {
            let noted = record.steps[place];
            self.send_step(&mut record, clock, noted);
        }
        for exchanged in mem::take(&mut record.exchanges) {
            self.send_exchange(&mut record, clock, &exchanged);
        }
        let behind = mem::take(&mut record.behind);
        drop(record);
        behind.iter().for_each(|behind| behind.send(clock));
    }

    pub(super) fn send_step(&self, record: &mut Record, clock: Clock, noted: Noted) {
        let Noted { step, failed, here } = noted;
        let (Some(sender), true) = (&self.tracer.sender, here) else { return };
        let place = match (step.stage, self.of) {
            // Its span is that of the exchange.
            (Stage::Attempt, _) => return,
            (Stage::Flight, Of::Flight) => self.root(),
            (stage, _) => self.below(record.id(stage), self.context.span_id()),
        };
        let leader = record.leader.as_ref().filter(|_| step.stage == Stage::Flight);
        let place = Place { link: leader.or(place.link), ..place };
        let facts = record.facts.iter().filter(|(of, _)| *of == step.stage).map(|(_, fact)| fact);
        sender.stage(place, clock, (&step, failed), (facts, record.fetched(step.stage)));
    }

    pub(super) fn send_exchange(&self, record: &mut Record, clock: Clock, exchanged: &Exchanged) {
        let Some(sender) = &self.tracer.sender else { return };
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
        let is_attempt = |noted: &&Noted| noted.here && noted.step.stage == Stage::Attempt;
        (stage == Stage::Upstream).then(|| (self.met, self.steps.iter().filter(is_attempt).count()))
    }
}
