//! The rules of the breaker: a plain machine without lock, listener, pass or operator.

use std::{mem, time::Duration};

use super::{
    FailureKind, Verdict,
    state::{Refused, State},
};
use crate::{
    catalog::policy::BreakerPolicy, chance::Chance, mechanism::window::Window, time::Instant,
};

const SUCCESSES: usize = 0;
const FAILURES: usize = 1;
/// Counted besides: a slow attempt is a success or a failure too.
const SLOW: usize = 2;

/// How far the open time is spread either way, so that replicas do not probe together.
const JITTER: f64 = 0.5;

/// The share of attempts that passes in the first half of the ramp, and in the second.
const RAMP: [f64; 2] = [0.25, 0.5];

/// When to ask again where the answer may change at any moment: one second is the grain of the
/// `Retry-After` header.
pub(super) const SHORTLY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// `since` when; absent: it has never been open.
    Closed {
        since: Option<Instant>,
    },
    Open {
        until: Instant,
    },
    /// The probes so far, and until when the place of the one that is out is `leased`.
    HalfOpen {
        probes: Probes,
        leased: Option<Instant>,
    },
}

/// Successes among the probes since it became half-open.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Probes {
    /// In time.
    good: u32,
    /// Slow.
    slow: u32,
}

impl Phase {
    pub(super) fn state(self) -> State {
        match self {
            Self::Closed { .. } => State::Closed,
            Self::Open { .. } => State::Open,
            Self::HalfOpen { .. } => State::HalfOpen,
        }
    }

    pub(super) fn open_until(self) -> Option<Instant> {
        match self {
            Self::Open { until } => Some(until),
            Self::Closed { .. } | Self::HalfOpen { .. } => None,
        }
    }
}

/// By what a verdict finds the admission it belongs to.
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) probe: bool,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    pub(super) verdict: Verdict,
    /// How long the exchange with the upstream took.
    pub(super) took: Duration,
}

impl Settled {
    /// Nothing that tells anything.
    pub(super) const NOTHING: Self = Self { verdict: Verdict::None, took: Duration::ZERO };
}

/// What the window holds.
pub(super) struct Counts {
    pub(super) failures: u64,
    pub(super) slow: u64,
    pub(super) attempts: u64,
}

impl Counts {
    pub(super) fn failure_ratio(&self) -> f64 {
        self.ratio(self.failures)
    }

    pub(super) fn slow_ratio(&self) -> f64 {
        self.ratio(self.slow)
    }

    fn ratio(&self, of: u64) -> f64 {
        match self.attempts {
            0 => 0.0,
            attempts => of as f64 / attempts as f64,
        }
    }
}

#[derive(Debug)]
pub(super) struct Machine {
    policy: BreakerPolicy,
    chance: Chance,
    phase: Phase,
    /// The number of the tickets whose verdict counts. Each probe gets a new one, and no breaker
    /// closes without a probe or a force, which takes a new one too; so verdicts on what was
    /// admitted before are told apart and ignored.
    ticket: u64,
    /// How often it opened without being well in between.
    openings: u32,
    window: Window<3>,
    /// Failures in a row, and failures to connect in a row.
    run: u32,
    connect_run: u32,
    /// From, to and when: what nobody has taken yet.
    changes: Vec<(State, State, Instant)>,
}

impl Machine {
    pub(super) fn new(policy: BreakerPolicy, chance: Chance) -> Self {
        Self {
            policy,
            chance,
            phase: Phase::Closed { since: None },
            ticket: 0,
            openings: 0,
            window: Window::new(policy.window),
            run: 0,
            connect_run: 0,
            changes: Vec::new(),
        }
    }

    pub(super) fn lease(&mut self, lease: Duration) {
        self.policy.lease = lease;
    }

    /// What has changed since this was last asked: from, to, and when.
    pub(super) fn take_changes(&mut self) -> Vec<(State, State, Instant)> {
        mem::take(&mut self.changes)
    }

    /// The phase that an attempt at `now` meets.
    pub(super) fn phase_at(&self, now: Instant) -> Phase {
        match self.due(now) {
            Some(_) => Phase::HalfOpen { probes: Probes::default(), leased: None },
            None => self.phase,
        }
    }

    /// When its open time was over, if that is so and nobody has asked since.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.phase.open_until().filter(|until| now >= *until)
    }

    /// Becomes half-open if its open time is over.
    pub(super) fn catch_up(&mut self, now: Instant) {
        if let Some(until) = self.due(now) {
            self.enter(Phase::HalfOpen { probes: Probes::default(), leased: None }, until);
        }
    }

    /// Closed, as at the start. Whoever is out is not heard any more. It is not told.
    pub(super) fn begin_anew(&mut self) {
        self.phase = Phase::Closed { since: None };
        self.ticket += 1;
        self.openings = 0;
        self.forget();
    }

    /// Half-open, with no good probe yet. A probe that is out keeps its place, so that there are
    /// never two. It is not told.
    pub(super) fn prepare_probes(&mut self, now: Instant) {
        if self.was_well(now) {
            self.openings = 0;
        }
        let leased = match self.phase {
            Phase::HalfOpen { leased, .. } => leased,
            Phase::Closed { .. } | Phase::Open { .. } => {
                self.ticket += 1;
                None
            }
        };
        self.phase = Phase::HalfOpen { probes: Probes::default(), leased };
    }

    pub(super) fn admit(&mut self, now: Instant) -> Result<Ticket, Refused> {
        self.catch_up(now);
        match self.phase {
            Phase::Closed { since } => match self.ramp(since, now) {
                Some((share, left)) if self.chance.roll() >= share => {
                    Err(Refused { retry_after: left.min(SHORTLY) })
                }
                _ => Ok(Ticket { number: self.ticket, probe: false }),
            },
            Phase::Open { until } => Err(Refused { retry_after: until.duration_since(now) }),
            Phase::HalfOpen { leased: Some(end), .. } if now < end => {
                Err(Refused { retry_after: end.duration_since(now).min(SHORTLY) })
            }
            Phase::HalfOpen { probes, .. } => {
                self.ticket += 1;
                self.phase = Phase::HalfOpen { probes, leased: Some(now + self.policy.lease) };
                Ok(Ticket { number: self.ticket, probe: true })
            }
        }
    }

    /// How much longer only a part of the attempts passes.
    pub(super) fn ramp_left(&self, now: Instant) -> Duration {
        match self.phase {
            Phase::Closed { since } => {
                self.ramp(since, now).map_or(Duration::ZERO, |(_, left)| left)
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => Duration::ZERO,
        }
    }

    /// The share of attempts that passes so soon after closing, and for how long yet.
    fn ramp(&self, closed: Option<Instant>, now: Instant) -> Option<(f64, Duration)> {
        let passed = now.saturating_duration_since(closed?);
        let left = self.policy.ramp.saturating_sub(passed);
        let [first, second] = RAMP;
        let share = if passed < self.policy.ramp / 2 { first } else { second };
        (!left.is_zero()).then_some((share, left))
    }

    pub(super) fn settle(&mut self, ticket: u64, now: Instant, settled: Settled) {
        if ticket != self.ticket {
            return;
        }
        let Settled { verdict, took } = settled;
        let slow = self.policy.slow.is_some_and(|slow| took > slow.after);
        match self.phase {
            Phase::Closed { .. } => self.count(now, verdict, slow),
            Phase::HalfOpen { probes, leased: Some(end) } if now < end => {
                self.judge(probes, now, verdict, slow);
            }
            // Past its lease; the place is free already.
            Phase::HalfOpen { .. } => {}
            // No ticket is given out while it is open.
            Phase::Open { .. } => {}
        }
    }

    /// A verdict while closed.
    fn count(&mut self, now: Instant, verdict: Verdict, slow: bool) {
        match verdict {
            Verdict::None => return,
            Verdict::Success => {
                self.window.add(now, SUCCESSES);
                (self.run, self.connect_run) = (0, 0);
            }
            Verdict::Failure(kind) => {
                self.window.add(now, FAILURES);
                self.run = self.run.saturating_add(1);
                self.connect_run = match kind {
                    FailureKind::Connect => self.connect_run.saturating_add(1),
                    // It did connect.
                    FailureKind::Other => 0,
                };
            }
        }
        if slow {
            self.window.add(now, SLOW);
        }
        if self.fails_too_often(now) {
            self.open(now);
        }
    }

    fn fails_too_often(&mut self, now: Instant) -> bool {
        let counts = self.counts(now);
        let enough = counts.attempts >= u64::from(self.policy.min_attempts);
        let by_ratio =
            enough && counts.failures > 0 && counts.failure_ratio() >= self.policy.failure_ratio;
        let by_slowness = enough
            && counts.slow > 0
            && self.policy.slow.is_some_and(|slow| counts.slow_ratio() >= slow.ratio);
        let by_run = self.run >= self.policy.run.max(1);
        let by_connect_run = self.connect_run >= self.policy.connect_run.max(1);
        by_ratio || by_slowness || by_run || by_connect_run
    }

    /// The verdict on a probe, after those before it. A good one that is slow neither closes nor
    /// opens by itself: slow ones are weighed by the ratio of the rule, as resilience4j does, or an
    /// upstream of which a part is slow by nature would hardly ever be let back.
    fn judge(&mut self, mut probes: Probes, now: Instant, verdict: Verdict, slow: bool) {
        match verdict {
            Verdict::None => {}
            Verdict::Failure(_) => return self.open(now),
            Verdict::Success if slow => probes.slow += 1,
            Verdict::Success => probes.good += 1,
        }
        if probes.good >= self.policy.close_after {
            self.forget();
            self.enter(Phase::Closed { since: Some(now) }, now);
        } else if self.are_slow(probes) {
            self.open(now);
        } else {
            self.phase = Phase::HalfOpen { probes, leased: None };
        }
    }

    fn are_slow(&self, Probes { good, slow }: Probes) -> bool {
        let share = f64::from(slow) / f64::from((good + slow).max(1));
        slow >= self.policy.close_after
            && self.policy.slow.is_some_and(|policy| share >= policy.ratio)
    }

    fn open(&mut self, now: Instant) {
        if self.was_well(now) {
            self.openings = 0;
        }
        let doubled = self.policy.open_first.saturating_mul(2_u32.saturating_pow(self.openings));
        let rest = doubled.min(self.policy.open_max).mul_f64(self.chance.around_one(JITTER));
        self.openings = self.openings.saturating_add(1);
        self.enter(Phase::Open { until: now + rest }, now);
    }

    /// Whether it stayed closed long enough to forget the openings before.
    fn was_well(&self, now: Instant) -> bool {
        let Phase::Closed { since } = self.phase else {
            return false;
        };
        let enough = if self.policy.ramp.is_zero() { self.policy.window } else { self.policy.ramp };
        since.is_none_or(|closed| now.saturating_duration_since(closed) >= enough)
    }

    fn enter(&mut self, phase: Phase, at: Instant) {
        self.changes.push((self.phase.state(), phase.state(), at));
        self.phase = phase;
    }

    /// Forgets what it has counted.
    fn forget(&mut self) {
        self.window.clear();
        (self.run, self.connect_run) = (0, 0);
    }

    pub(super) fn counts(&mut self, now: Instant) -> Counts {
        let sums = self.window.sums(now);
        Counts {
            failures: sums[FAILURES],
            slow: sums[SLOW],
            attempts: sums[FAILURES] + sums[SUCCESSES],
        }
    }
}
