//! The breaker as a small model that keeps every event in a list and knows nothing of tickets.

use super::*;

/// The breaker as one would explain it.
pub(super) struct Model {
    pub(super) policy: BreakerPolicy,
    roll: f64,
    pub(super) now: Duration,
    pub(super) stage: Stage,
    pub(super) forced: Option<(Force, Duration)>,
    /// Changes so far. A pass is heard if it was admitted after as many.
    changes: usize,
    /// How often it was forced closed.
    pub(super) closings_by_force: usize,
    /// When a verdict was first counted: where the tenths of the window begin.
    began: Option<Duration>,
    /// Each verdict since it closed last: in which tenth, what, and whether slow.
    verdicts: Vec<(u128, Verdict, bool)>,
    /// Open times in a row.
    rests: i32,
    closed_at: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stage {
    Closed,
    Open {
        until: Duration,
    },
    /// The good probes that were in time, and those that were slow.
    HalfOpen {
        good: [u32; 2],
        probe: Option<Admitted>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Admitted {
    id: usize,
    pub(super) at: Duration,
    after_changes: usize,
    pub(super) after_closings: usize,
}

/// What an attempt meets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Answer {
    Refused,
    /// It passes, and its verdict counts.
    Heard(Admitted),
    /// It passes, and its verdict does not.
    Unheard {
        would_be_refused: bool,
    },
}

impl Model {
    pub(super) fn new(policy: BreakerPolicy, roll: f64) -> Self {
        Self {
            policy,
            roll,
            now: Duration::ZERO,
            stage: Stage::Closed,
            forced: None,
            changes: 0,
            closings_by_force: 0,
            began: None,
            verdicts: Vec::new(),
            rests: 0,
            closed_at: None,
        }
    }

    fn tenth(&self) -> u128 {
        let since = self.began.map_or(Duration::ZERO, |began| self.now - began);
        since.as_nanos() * 10 / self.policy.window.as_nanos()
    }

    fn change(&mut self, stage: Stage) {
        self.stage = stage;
        self.changes += 1;
    }

    fn force_now(&self) -> Option<Force> {
        self.forced.filter(|(_, until)| self.now < *until).map(|(force, _)| force)
    }

    pub(super) fn force(&mut self, force: Force, lasts: Duration) {
        self.turn_half_open();
        match force {
            Force::Open => {
                self.forget_rests();
                match self.stage {
                    Stage::HalfOpen { probe, .. } => {
                        self.stage = Stage::HalfOpen { good: [0; 2], probe };
                    }
                    _ => self.change(Stage::HalfOpen { good: [0; 2], probe: None }),
                }
            }
            Force::Closed => {
                self.closings_by_force += 1;
                self.closed_at = None;
                self.rests = 0;
                self.verdicts.clear();
                self.change(Stage::Closed);
            }
            Force::Observe => {}
        }
        self.forced = Some((force, self.now + lasts));
    }

    pub(super) fn release(&mut self) {
        self.forced = None;
    }

    pub(super) fn admit(&mut self, id: usize) -> Answer {
        match self.force_now() {
            Some(Force::Open) => return Answer::Refused,
            Some(Force::Closed) => return Answer::Unheard { would_be_refused: false },
            Some(Force::Observe) | None => {}
        }
        match self.by_rules(id) {
            Some(me) => Answer::Heard(me),
            None if self.force_now().is_some() => Answer::Unheard { would_be_refused: true },
            None => Answer::Refused,
        }
    }

    fn turn_half_open(&mut self) {
        if matches!(self.stage, Stage::Open { until } if self.now >= until) {
            self.change(Stage::HalfOpen { good: [0; 2], probe: None });
        }
    }

    fn by_rules(&mut self, id: usize) -> Option<Admitted> {
        self.turn_half_open();
        let me = Admitted {
            id,
            at: self.now,
            after_changes: self.changes,
            after_closings: self.closings_by_force,
        };
        let passes = match self.stage {
            Stage::Open { .. } => false,
            Stage::HalfOpen { good, probe } => {
                let free = probe.is_none_or(|probe| self.now >= probe.at + self.policy.lease);
                if free {
                    self.stage = Stage::HalfOpen { good, probe: Some(me) };
                }
                free
            }
            Stage::Closed => match self.closed_at.map(|at| self.now - at) {
                Some(time) if time < self.policy.ramp / 2 => self.roll < 0.25,
                Some(time) if time < self.policy.ramp => self.roll < 0.5,
                _ => true,
            },
        };
        passes.then_some(me)
    }

    pub(super) fn settle(&mut self, me: Admitted, verdict: Verdict, took: Duration) {
        let silenced = matches!(self.force_now(), Some(Force::Open | Force::Closed));
        let verdict = if silenced { Verdict::None } else { verdict };
        let slow = self.policy.slow.is_some_and(|slow| took > slow.after);
        match self.stage {
            Stage::Closed if me.after_changes == self.changes && verdict != Verdict::None => {
                self.began.get_or_insert(self.now);
                self.verdicts.push((self.tenth(), verdict, slow));
                if self.sick() {
                    self.rest();
                }
            }
            Stage::HalfOpen { good, probe: Some(probe) }
                if probe.id == me.id && self.now < me.at + self.policy.lease =>
            {
                match verdict {
                    Verdict::Failure(_) => self.rest(),
                    Verdict::None => self.stage = Stage::HalfOpen { good, probe: None },
                    Verdict::Success if slow => {
                        let [quick, slow] = [good[0], good[1] + 1];
                        let ratio = self.policy.slow.map_or(1.0, |rule| rule.ratio);
                        let share = f64::from(slow) / f64::from(quick + slow);
                        if slow >= self.policy.close_after && share >= ratio {
                            self.rest();
                        } else {
                            self.stage = Stage::HalfOpen { good: [quick, slow], probe: None };
                        }
                    }
                    Verdict::Success if good[0] + 1 < self.policy.close_after => {
                        self.stage = Stage::HalfOpen { good: [good[0] + 1, good[1]], probe: None };
                    }
                    Verdict::Success => {
                        self.closed_at = Some(self.now);
                        self.verdicts.clear();
                        self.change(Stage::Closed);
                    }
                }
            }
            _ => {}
        }
    }

    /// Failures, slow ones, and all.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let lately = self.verdicts.iter().filter(|(tenth, ..)| tenth + 10 > self.tenth());
        let failed = lately.clone().filter(|(_, verdict, _)| *verdict != Verdict::Success);
        let slow = lately.clone().filter(|(.., slow)| *slow);
        (failed.count() as u64, slow.count() as u64, lately.count() as u64)
    }

    fn sick(&self) -> bool {
        let (failures, slow, attempts) = self.counts();
        let run = |of: fn(&Verdict) -> bool| {
            self.verdicts.iter().rev().take_while(|(_, verdict, _)| of(verdict)).count() as u32
        };
        let enough = attempts >= u64::from(self.policy.min_attempts);
        let too_many =
            |part: u64, ratio: f64| enough && part > 0 && part as f64 >= ratio * attempts as f64;
        too_many(failures, self.policy.failure_ratio)
            || self.policy.slow.is_some_and(|rule| too_many(slow, rule.ratio))
            || run(|one| *one != Verdict::Success) >= self.policy.run
            || run(|one| *one == Verdict::Failure(FailureKind::Connect)) >= self.policy.connect_run
    }

    /// Whoever stayed well for long enough begins with short rests again.
    fn forget_rests(&mut self) {
        let calm = if self.policy.ramp.is_zero() { self.policy.window } else { self.policy.ramp };
        if self.stage == Stage::Closed && self.closed_at.is_none_or(|at| self.now >= at + calm) {
            self.rests = 0;
        }
    }

    fn rest(&mut self) {
        self.forget_rests();
        let doubled = self.policy.open_first.as_secs_f64() * 2_f64.powi(self.rests);
        let time = doubled.min(self.policy.open_max.as_secs_f64()) * (0.5 + self.roll);
        self.rests += 1;
        let time = Duration::from_millis((time * 1000.0).round() as u64);
        self.change(Stage::Open { until: self.now + time });
    }

    /// The state by the rules alone.
    pub(super) fn would_be(&self) -> State {
        match self.stage {
            Stage::Closed => State::Closed,
            Stage::Open { until } if self.now < until => State::Open,
            Stage::Open { .. } | Stage::HalfOpen { .. } => State::HalfOpen,
        }
    }

    pub(super) fn state(&self) -> State {
        self.force_now().map_or_else(|| self.would_be(), Force::state)
    }
}
