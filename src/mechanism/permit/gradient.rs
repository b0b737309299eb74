//! The rule of the adaptive limit: as many attempts as an upstream takes without slowing down.
//!
//! Answers are gathered in rounds. A round's latency is its mean, for a median jumps between the two
//! speeds of an upstream that has two. It is compared with the baseline, what the upstream takes when
//! nothing queues. While the limit is not reached nothing queues because of it: the baseline follows
//! the rounds, and nothing is slow. Under a full limit a round that is slower than the baseline lowers
//! the limit, and any other raises it by about its root. At first, until something is slow, it
//! doubles: a service that starts under load must not turn callers away while it feels its way.
//!
//! Under a full limit the baseline must be measured anew at times, since an upstream may change for
//! good. But whoever measures there measures the very queue that the limit has made, takes it for the
//! upstream's own time, and allows half as much again on top of it: a plain Gradient2 drifts up to its
//! ceiling like that. So it is measured at half of the limit, as BBR does; and where that was faster
//! there was a queue, of which some may be left, so it is halved again until it makes no difference.

use std::{mem, time::Duration};

use crate::{mechanism::permit::Load, time::Instant};

/// A round is closed by the first attempt that is over after this long, if it has enough of them.
const ROUND: Duration = Duration::from_millis(100);

/// Enough are as many as the limit, so that each place was answered for once; and these at least, so
/// that the mean of an upstream of uneven speed is about the same each time.
const ENOUGH: usize = 40;

/// A round this old is closed with fewer,
const LONGEST_ROUND: Duration = Duration::from_secs(1);

/// but not with fewer than these.
const FEWEST: usize = 10;

/// How long a baseline holds under a full limit.
const BASELINE: Duration = Duration::from_secs(30);

/// The part of the way to the latency of a round that the baseline goes.
const FOLLOW: f64 = 0.3;

/// A baseline is taken for at least this: what is shorter is our own noise.
const FINEST: Duration = Duration::from_millis(5);

/// How much slower than the baseline a round may be before the limit falls.
const TOLERANCE: f64 = 1.5;

/// The part of the way to its new value that the limit goes in one round.
const STEP: f64 = 0.5;

/// Up to this share refusals are taken for errors at random, of which no limit is the cause.
const BACKGROUND: f64 = 0.3;

/// The most that refusals beyond it take off the limit in one round.
const CUT: f64 = 0.1;

/// A round of a trial below this part of the one before was faster.
const FASTER: f64 = 0.85;

/// A round below this part of the baseline shows that the upstream is another now.
const MUCH_FASTER: f64 = 0.5;

/// A trial is given up after this long and four times the latency before it: longer would make
/// everybody pay for a few attempts that hang.
const LONGEST_TRIAL: Duration = Duration::from_secs(2);

/// The limit of one upstream, and what it is made of. Instants are handed in.
#[derive(Debug)]
pub(super) struct Gradient {
    min: f64,
    max: f64,
    limit: f64,
    baseline: Option<Baseline>,
    trial: Option<Trial>,
    /// Whether it has not met the limit of the upstream yet.
    climbing: bool,
    round: Round,
    in_use: usize,
}

/// What the upstream takes when nothing queues.
#[derive(Debug)]
struct Baseline {
    latency: Duration,
    measured: Instant,
    /// The highest limit since.
    crest: f64,
}

/// The baseline is being measured at a lower limit.
#[derive(Debug)]
struct Trial {
    limit: usize,
    began: Instant,
    /// Since when no more are in use than it allows.
    drained: Option<Instant>,
    /// The latency at the limit before.
    before: Duration,
}

impl Trial {
    /// Attempts from before were slowed down by what queued then. And the first to come back are the
    /// fast ones of an upstream of uneven speed: none is taken before twice its latency has passed.
    fn ignores(&self, granted: Instant, now: Instant) -> bool {
        self.drained.is_none_or(|from| granted < from || age(from, now) < self.before * 2)
    }
}

impl Gradient {
    /// A limit that begins at `start` and stays within `min..=max`; only while the baseline is
    /// measured it may be lower.
    pub(super) fn new(start: u32, min: u32, max: u32) -> Self {
        Self {
            min: min.into(),
            max: max.into(),
            limit: start.into(),
            baseline: None,
            trial: None,
            climbing: true,
            round: Round::new(0),
            in_use: 0,
        }
    }

    /// How many may be in use now.
    pub(super) fn limit(&self) -> usize {
        self.trial.as_ref().map_or(self.full(), |trial| trial.limit)
    }

    fn full(&self) -> usize {
        self.limit as usize
    }

    /// Notes that so many are in use at `now`: whenever the number changes, or somebody asks.
    pub(super) fn used(&mut self, now: Instant, in_use: usize) {
        self.in_use = in_use;
        self.round.most = self.round.most.max(in_use);
        let Some(trial) = &mut self.trial else { return };
        if age(trial.began, now) >= LONGEST_TRIAL.saturating_add(trial.before * 4) {
            self.give_up(now);
        } else if trial.drained.is_none() && in_use <= trial.limit {
            trial.drained = Some(now);
        }
    }

    /// Notes what an attempt told that was under way from `granted` to `now`.
    pub(super) fn told(&mut self, granted: Instant, now: Instant, load: Load) {
        if self.trial.as_ref().is_some_and(|trial| trial.ignores(granted, now)) {
            return;
        }
        match load {
            Load::Answered => self.round.add(age(granted, now)),
            Load::Overloaded => self.round.overloaded += 1,
        }
        let opened = age(*self.round.opened.get_or_insert(now), now);
        let told = self.round.told();
        let enough = told >= self.limit().max(ENOUGH) && opened >= ROUND;
        if enough || told >= FEWEST && opened >= LONGEST_ROUND {
            let round = mem::replace(&mut self.round, Round::new(self.in_use));
            let trial = self.trial.take();
            if round.refused() > BACKGROUND {
                // The few answers among them measure nothing; a trial is begun anew after them.
                self.cut(&round, enough);
            } else if let Some(trial) = trial {
                self.tried(now, &trial, round.latency());
            } else {
                self.weigh(now, &round, round.latency());
            }
        }
    }

    /// Where the limit is not used, refusals tell something only if they are among many.
    fn cut(&mut self, round: &Round, many: bool) {
        self.climbing = false;
        if many || self.is_used(round) {
            let beyond = (round.refused() - BACKGROUND).min(CUT);
            self.limit = (self.limit * (1.0 - beyond)).max(self.min);
        }
    }

    /// Whether enough of the limit was used to learn about it.
    fn is_used(&self, round: &Round) -> bool {
        round.most >= self.full().div_ceil(2)
    }

    /// What a round at the whole limit comes to.
    fn weigh(&mut self, now: Instant, round: &Round, latency: Duration) {
        let (full, used) = (round.most >= self.full(), self.is_used(round));
        if full && latency > FINEST && self.is_doubtful(now, latency) {
            self.climbing = false;
            return self.begin_trial(now, self.full(), latency);
        }
        let known = self.baseline.get_or_insert(Baseline { latency, measured: now, crest: 0.0 });
        if !full {
            // Far slower with nobody in line is the upstream's own doing.
            let slower = slowdown(known.latency, latency) > TOLERANCE;
            let follow = if slower { 1.0 } else { FOLLOW };
            let latency = known.latency.mul_f64(1.0 - follow) + latency.mul_f64(follow);
            *known = Baseline { latency, measured: now, crest: self.limit };
        }
        let gradient = (TOLERANCE / slowdown(known.latency, latency)).clamp(0.5, 1.0);
        self.climbing &= gradient >= 1.0;
        if !used {
            return;
        }
        let step = if self.climbing {
            self.limit
        } else {
            STEP * (self.limit * gradient + self.limit.sqrt() - self.limit)
        };
        self.limit = (self.limit + step).clamp(self.min, self.max);
        known.crest = known.crest.max(self.limit);
    }

    /// Whether the baseline is to be measured anew under a full limit: when it is old or far too high;
    /// when the first climb ends, for it was never measured at less; and when the limit was lowered
    /// in vain, for then the upstream has become slower by itself.
    fn is_doubtful(&self, now: Instant, latency: Duration) -> bool {
        self.baseline.as_ref().is_some_and(|known| {
            let slowdown = slowdown(known.latency, latency);
            let lowered = self.limit < known.crest && self.limit <= self.min.max(known.crest / 2.0);
            age(known.measured, now) >= BASELINE
                || slowdown < MUCH_FASTER
                || (lowered || self.climbing) && slowdown > TOLERANCE
        })
    }

    fn begin_trial(&mut self, now: Instant, limit: usize, before: Duration) {
        let limit = (limit / 2).max(1);
        self.trial = Some(Trial { limit, began: now, drained: None, before });
        self.used(now, self.in_use);
    }

    /// What a round at the limit of `trial` comes to.
    fn tried(&mut self, now: Instant, trial: &Trial, latency: Duration) {
        if trial.limit > 1 && latency < trial.before.mul_f64(FASTER) {
            return self.begin_trial(now, trial.limit, latency);
        }
        self.end_trial(now, latency);
    }

    /// Goes back to the whole limit, and keeps the old baseline for another while.
    fn give_up(&mut self, now: Instant) {
        let Some(trial) = self.trial.take() else { return };
        self.round = Round::new(self.in_use);
        self.end_trial(now, self.baseline.as_ref().map_or(trial.before, |known| known.latency));
    }

    fn end_trial(&mut self, now: Instant, latency: Duration) {
        self.baseline = Some(Baseline { latency, measured: now, crest: self.limit });
    }
}

fn age(from: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(from)
}

fn slowdown(baseline: Duration, latency: Duration) -> f64 {
    latency.as_secs_f64() / baseline.max(FINEST).as_secs_f64()
}

/// What was told since the round before.
#[derive(Debug)]
struct Round {
    /// When the first told something.
    opened: Option<Instant>,
    answered: u32,
    /// How long the answers took, all together.
    took: Duration,
    overloaded: usize,
    /// The most that were in use at once.
    most: usize,
}

impl Round {
    fn new(in_use: usize) -> Self {
        Self { opened: None, answered: 0, took: Duration::ZERO, overloaded: 0, most: in_use }
    }

    fn add(&mut self, latency: Duration) {
        self.answered = self.answered.saturating_add(1);
        self.took = self.took.saturating_add(latency);
    }

    fn told(&self) -> usize {
        self.answered as usize + self.overloaded
    }

    /// The mean of its answers.
    fn latency(&self) -> Duration {
        self.took.checked_div(self.answered).unwrap_or_default()
    }

    /// The share that was refused as too many.
    fn refused(&self) -> f64 {
        self.overloaded as f64 / self.told().max(1) as f64
    }
}
