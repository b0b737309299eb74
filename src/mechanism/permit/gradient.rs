//! The rule of the adaptive limit: as many attempts as an upstream takes without slowing down.
//!
//! Answers are gathered in rounds. A round's latency is its median; the lowest of the last half
//! minute, the baseline, is what the upstream takes when nothing queues. As long as a round is about
//! as fast as that, the limit grows by about its root; the slower it is, the more the limit falls.
//! Where attempts were refused as too many, it falls too. At first, until it meets one of these, it
//! doubles: a service that starts under load must not turn callers away while it feels its way.
//!
//! The baseline leaves when it is old, since an upstream may become slower for good. But whoever
//! measures the next one under a full limit measures the very queue that the limit has made, takes
//! it for the upstream's own time, and allows half as much again on top of it: a plain Gradient2
//! drifts up to its ceiling like that. So under a full limit the baseline is measured anew at half of
//! it, as BBR does; and where that was faster there was a queue, of which some may be left, so it is
//! halved again until it makes no difference.

use std::{mem, time::Duration};

use crate::{mechanism::permit::Load, time::Instant};

/// A round is closed by the first attempt that is over after this long, if it has enough of them.
const ROUND: Duration = Duration::from_millis(100);

/// Enough are as many as the limit, so that each place was answered for once; and these at least.
const FEWEST: usize = 10;

/// A round this old is closed with what it has.
const LONGEST_ROUND: Duration = Duration::from_secs(1);

/// How long a baseline holds.
const BASELINE: Duration = Duration::from_secs(30);

/// A baseline is taken for at least this: what is shorter is our own noise.
const FINEST: Duration = Duration::from_millis(5);

/// How much slower than the baseline a round may be before the limit falls.
const TOLERANCE: f64 = 1.5;

/// The part of the way to its new value that the limit goes in one round.
const STEP: f64 = 0.5;

/// The most that refusals take off the limit in one round. They take half of their share, so that
/// errors that come at random, of which no limit is the cause, do not wear it down.
const CUT: f64 = 0.1;

/// From this share of refusals on the first climb is over.
const SOME: f64 = 0.1;

/// From this share of refusals on nothing grows.
const TOO_MANY: f64 = 0.5;

/// A round below this part of the one before was faster.
const FASTER: f64 = 0.9;

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
    /// Whether it has not met the limit of the upstream as it is now.
    climbing: bool,
    round: Round,
    /// The limit was another before: attempts from then say nothing any more.
    since: Option<Instant>,
    in_use: usize,
}

/// What the upstream takes when nothing queues.
#[derive(Debug)]
struct Baseline {
    latency: Duration,
    measured: Instant,
    /// The most in use at which it was about as fast.
    in_use: usize,
    /// The highest limit since.
    crest: f64,
    /// Whether it was measured because the one before was doubted; that is done once.
    doubted: bool,
}

/// The baseline is being measured at a lower limit.
#[derive(Debug)]
struct Trial {
    limit: usize,
    began: Instant,
    /// Whether no more are in use than it allows.
    drained: bool,
    /// The latency at the limit before.
    before: Duration,
    doubted: bool,
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
            since: None,
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
        } else if !trial.drained {
            trial.drained = in_use <= trial.limit;
            self.since = Some(now);
        }
    }

    /// Notes what an attempt told that was under way from `granted` to `now`.
    pub(super) fn told(&mut self, granted: Instant, now: Instant, load: Load) {
        let draining = self.trial.as_ref().is_some_and(|trial| !trial.drained);
        if draining || self.since.is_some_and(|since| granted < since) {
            return;
        }
        match load {
            Load::Answered => self.round.answered.add(age(granted, now)),
            Load::Overloaded => self.round.overloaded += 1,
        }
        let opened = age(*self.round.opened.get_or_insert(now), now);
        let enough = self.round.told() >= self.limit().max(FEWEST);
        if opened >= LONGEST_ROUND || enough && opened >= ROUND {
            let mut round = mem::replace(&mut self.round, Round::new(self.in_use));
            let latency = round.answered.median();
            match (self.trial.take(), latency) {
                (Some(trial), Some(latency)) => self.tried(now, &trial, latency),
                (None, Some(latency)) => self.weigh(now, &round, latency),
                // Refusals alone measure nothing; a trial is begun anew when answers come again.
                (_, None) => {}
            }
            self.cut(&round);
        }
    }

    /// What a round at the whole limit comes to.
    fn weigh(&mut self, now: Instant, round: &Round, latency: Duration) {
        let doubted = self.is_doubtful(latency);
        if doubted || self.is_outdated(now, latency) || self.is_by_itself(round, latency) {
            if round.most >= self.full() && latency > FINEST {
                return self.begin_trial(now, self.full(), latency, doubted);
            }
            // Nobody had to wait for a permit, so nothing queues because of the limit; or what
            // queues is gone before it can be measured.
            self.measured(now, latency, round.most, doubted);
        } else if let Some(known) = &mut self.baseline
            && latency.max(FINEST) <= known.latency.max(FINEST).div_f64(FASTER)
        {
            known.in_use = known.in_use.max(round.most);
            if latency <= known.latency {
                let in_use = known.in_use;
                self.measured(now, latency, in_use, false);
            }
        }
        self.adjust(round, latency);
    }

    /// Whether the limit was lowered in vain: then the upstream has become slower by itself.
    fn is_doubtful(&self, latency: Duration) -> bool {
        self.baseline.as_ref().is_some_and(|known| {
            let lowered = self.limit <= self.min.max(known.crest / 2.0);
            !known.doubted && lowered && slowdown(known.latency, latency) > TOLERANCE
        })
    }

    /// Whether it is slower than the baseline with no more in use than then, and nobody in line: that
    /// is the upstream's own doing.
    fn is_by_itself(&self, round: &Round, latency: Duration) -> bool {
        self.baseline.as_ref().is_some_and(|known| {
            let no_more = round.most <= known.in_use && round.most < self.full();
            no_more && slowdown(known.latency, latency) > TOLERANCE
        })
    }

    /// Whether there is no baseline, or one that holds no longer. An upstream that has become
    /// faster may have some of its old queue left.
    fn is_outdated(&self, now: Instant, latency: Duration) -> bool {
        self.baseline.as_ref().is_none_or(|known| {
            age(known.measured, now) >= BASELINE || latency < known.latency.mul_f64(FASTER)
        })
    }

    fn measured(&mut self, now: Instant, latency: Duration, in_use: usize, doubted: bool) {
        let before = self.baseline.as_ref();
        // The upstream is another now: what it takes is asked anew.
        self.climbing |= before.is_some_and(|old| slowdown(old.latency, latency) > TOLERANCE);
        let crest = self.limit;
        self.baseline = Some(Baseline { latency, measured: now, in_use, crest, doubted });
    }

    /// Gradient2. While less than half of the limit is used it tells nothing about the limit.
    fn adjust(&mut self, round: &Round, latency: Duration) {
        let Some(baseline) = &mut self.baseline else { return };
        let gradient = (TOLERANCE / slowdown(baseline.latency, latency)).clamp(0.5, 1.0);
        self.climbing &= gradient >= 1.0 && round.refused() < SOME;
        if round.most < (self.limit as usize).div_ceil(2) || round.refused() >= TOO_MANY {
            return;
        }
        let step = if self.climbing {
            self.limit
        } else {
            STEP * (self.limit * gradient + self.limit.sqrt() - self.limit)
        };
        self.limit = (self.limit + step).clamp(self.min, self.max);
        baseline.crest = baseline.crest.max(self.limit);
    }

    fn begin_trial(&mut self, now: Instant, limit: usize, before: Duration, doubted: bool) {
        let limit = (limit / 2).max(1);
        self.trial = Some(Trial { limit, began: now, drained: false, before, doubted });
        self.used(now, self.in_use);
    }

    /// What a round at the limit of `trial` comes to.
    fn tried(&mut self, now: Instant, trial: &Trial, latency: Duration) {
        if trial.limit > 1 && latency < trial.before.mul_f64(FASTER) {
            return self.begin_trial(now, trial.limit, latency, trial.doubted);
        }
        self.measured(now, latency.min(trial.before), trial.limit, trial.doubted);
        self.since = Some(now);
    }

    /// Goes back to the whole limit, and keeps the old baseline for another while.
    fn give_up(&mut self, now: Instant) {
        self.trial = None;
        self.since = Some(now);
        self.round = Round::new(self.in_use);
        if let Some(Baseline { latency, in_use, .. }) = self.baseline {
            self.measured(now, latency, in_use, true);
        }
    }

    /// Refusals tell something where the limit is used, and elsewhere if they are among many.
    fn cut(&mut self, round: &Round) {
        if round.most as f64 >= self.limit / 2.0 || round.told() >= self.full().max(FEWEST) {
            let cut = (round.refused() / 2.0).min(CUT);
            self.limit = (self.limit * (1.0 - cut)).max(self.min);
        }
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
    answered: Samples,
    overloaded: usize,
    /// The most that were in use at once.
    most: usize,
}

impl Round {
    fn new(in_use: usize) -> Self {
        Self { opened: None, answered: Samples::new(), overloaded: 0, most: in_use }
    }

    fn told(&self) -> usize {
        self.answered.count + self.overloaded
    }

    /// The share that was refused as too many.
    fn refused(&self) -> f64 {
        self.overloaded as f64 / self.told().max(1) as f64
    }
}

/// Latencies, evenly thinned out where they are many, so that they take the same room whatever the
/// traffic.
#[derive(Debug)]
struct Samples {
    kept: Vec<Duration>,
    count: usize,
    /// Each so many-th is kept.
    stride: usize,
}

impl Samples {
    const ROOM: usize = 128;

    fn new() -> Self {
        Self { kept: Vec::new(), count: 0, stride: 1 }
    }

    fn add(&mut self, latency: Duration) {
        if self.count.is_multiple_of(self.stride) {
            if self.kept.len() == Self::ROOM {
                let mut keep = false;
                self.kept.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.stride *= 2;
            }
            self.kept.push(latency);
        }
        self.count += 1;
    }

    fn median(&mut self) -> Option<Duration> {
        let middle = self.kept.len() / 2;
        (!self.kept.is_empty()).then(|| *self.kept.select_nth_unstable(middle).1)
    }
}
