//! The machine with an operator's hand on it: while a force is in effect it decides, and the rules
//! are prepared for the time after.

use std::{collections::VecDeque, time::Duration};

use super::{
    machine::{Machine, SHORTLY, Settled, Ticket},
    state::{Change, Force, Forced, Refused, Snapshot, State},
};
use crate::{catalog::policy::BreakerPolicy, chance::Chance, time::Instant};

/// Leave to make an attempt.
pub(super) struct Leave {
    /// By what its verdict is found; absent: it counts for nothing.
    pub(super) ticket: Option<Ticket>,
    /// By its rules the breaker would have refused it.
    pub(super) would_be_refused: bool,
}

impl Leave {
    /// Leave for an attempt that counts for nothing.
    const FREE: Self = Self { ticket: None, would_be_refused: false };
}

#[derive(Debug)]
pub(super) struct Steered {
    enabled: bool,
    /// The longest time for which anybody is sent away.
    longest_wait: Duration,
    machine: Machine,
    /// The last force. Once it is over, it is lifted by the next who asks.
    forced: Option<Forced>,
    /// Since when the state that was told last holds; absent: from the start.
    since: Option<Instant>,
    untold: VecDeque<Change>,
}

impl Steered {
    pub(super) fn new(policy: BreakerPolicy, chance: Chance) -> Self {
        Self {
            enabled: policy.enabled,
            longest_wait: policy.open_max.max(SHORTLY),
            machine: Machine::new(policy, chance),
            forced: None,
            since: None,
            untold: VecDeque::new(),
        }
    }

    pub(super) fn lease(&mut self, lease: Duration) {
        self.machine.lease(lease);
    }

    /// Whether there are changes that nobody was told of.
    pub(super) fn changed(&self) -> bool {
        !self.untold.is_empty()
    }

    /// The oldest of them, which counts as told now.
    pub(super) fn next_change(&mut self) -> Option<Change> {
        self.untold.pop_front()
    }

    pub(super) fn admit(&mut self, now: Instant) -> Result<Leave, Refused> {
        self.expire(now);
        let by_rules = |ticket| Leave { ticket: Some(ticket), would_be_refused: false };
        let answer = match &self.forced {
            None if !self.enabled => Ok(Leave::FREE),
            None => self.machine.admit(now).map(by_rules),
            Some(Forced { force: Force::Closed, .. }) => Ok(Leave::FREE),
            Some(Forced { force: Force::Open, until, .. }) => {
                // An operator may think better of it, so nobody is sent away for hours.
                let left = until.saturating_duration_since(now);
                Err(Refused { retry_after: left.min(self.longest_wait) })
            }
            // What the rules would have refused counts for nothing: they see the same attempts as
            // if they were obeyed, one probe at a time, and come to the same state.
            Some(Forced { force: Force::Observe, .. }) => {
                let against = Leave { ticket: None, would_be_refused: true };
                Ok(self.machine.admit(now).map_or(against, by_rules))
            }
        };
        self.gather();
        answer
    }

    pub(super) fn settle(&mut self, ticket: u64, now: Instant, settled: Settled) {
        self.expire(now);
        // An attempt from before the force gives its place back, and says nothing.
        let heard = matches!(self.forced, None | Some(Forced { force: Force::Observe, .. }));
        self.machine.settle(ticket, now, if heard { settled } else { Settled::NOTHING });
        self.gather();
    }

    /// Puts a force into effect, in place of any other.
    pub(super) fn force(&mut self, now: Instant, forced: Forced) {
        if now >= forced.until {
            return self.release(now);
        }
        self.catch_up(now);
        let from = self.state_at(now);
        match forced.force {
            Force::Open => self.machine.prepare_probes(now),
            Force::Closed => self.machine.begin_anew(),
            Force::Observe => {}
        }
        self.forced = Some(forced);
        self.show(from, now);
    }

    /// Lifts the force, if there is one.
    pub(super) fn release(&mut self, now: Instant) {
        self.catch_up(now);
        self.lift(now);
    }

    pub(super) fn state_at(&self, now: Instant) -> State {
        match self.forced_at(now) {
            Some(forced) => forced.force.state(),
            None if self.enabled => self.machine.phase_at(now).state(),
            None => State::Disabled,
        }
    }

    pub(super) fn snapshot(&mut self, now: Instant) -> Snapshot {
        self.expire(now);
        let state = self.state_at(now);
        let phase = self.machine.phase_at(now);
        let counts = self.machine.counts(now);
        Snapshot {
            state,
            since: self.since_at(now),
            would_be: (state == State::Observing).then_some(phase.state()),
            forced: self.forced.clone(),
            failures: counts.failures,
            slow: counts.slow,
            attempts: counts.attempts,
            failure_ratio: counts.failure_ratio(),
            slow_ratio: counts.slow_ratio(),
            open_until: phase.open_until(),
            ramp_left: self.machine.ramp_left(now),
        }
    }

    /// The force in effect at `now`.
    fn forced_at(&self, now: Instant) -> Option<&Forced> {
        self.forced.as_ref().filter(|forced| now < forced.until)
    }

    /// Since when it has been in the state of `now`: nobody may have been told of it yet.
    fn since_at(&self, now: Instant) -> Option<Instant> {
        let obeyed = self.enabled && self.forced.is_none();
        let due = self.machine.due(now).filter(|_| obeyed);
        self.since.max(due)
    }

    /// Lifts a force that is over. What came due beneath it came due while it was in effect.
    fn expire(&mut self, now: Instant) {
        let over = self.forced.as_ref().map(|forced| forced.until).filter(|until| now >= *until);
        if let Some(until) = over {
            self.machine.catch_up(until);
            self.gather();
            self.lift(until);
        }
    }

    /// Brings everything to what holds at `now`.
    fn catch_up(&mut self, now: Instant) {
        self.expire(now);
        self.machine.catch_up(now);
        self.gather();
    }

    fn lift(&mut self, at: Instant) {
        let Some(forced) = self.forced.take() else { return };
        if !self.enabled {
            self.machine.begin_anew();
        }
        self.show(forced.force.state(), at);
    }

    /// Tells that it is in the state of `at`, where that is not the one it comes `from`.
    fn show(&mut self, from: State, at: Instant) {
        let to = self.state_at(at);
        if from != to {
            self.since = Some(at);
            self.untold.push_back(Change { from, to, observed: false });
        }
    }

    /// Takes over what has changed in the machine.
    fn gather(&mut self) {
        let observed = self.forced.is_some();
        for (from, to, at) in self.machine.take_changes() {
            if !observed {
                self.since = Some(at);
            }
            self.untold.push_back(Change { from, to, observed });
        }
    }
}
