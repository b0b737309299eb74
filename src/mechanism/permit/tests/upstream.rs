//! An upstream and the limit in front of it, simulated event by event in virtual time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use super::super::gradient::Gradient;
use super::*;

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// An attempt that hangs is given up after this long.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// How an upstream behaves at the moment.
#[derive(Clone, Copy)]
pub(super) struct Nature {
    /// How many it serves at once; the others queue, first come, first served.
    pub(super) places: usize,
    /// How long it serves one.
    pub(super) service: Duration,
    /// How long it serves one of its fast calls, and what share these are.
    pub(super) fast: (Duration, f64),
    /// How much that varies: the sigma of a lognormal distribution.
    pub(super) spread: f64,
    /// Beyond so many it refuses at once.
    pub(super) refuses_above: usize,
    /// The share of refusals at random.
    pub(super) errors: f64,
    /// The share that hangs until it is given up.
    pub(super) hangs: f64,
}

/// 50 at a time in 50 ms: 1,000 calls/s.
pub(super) const FIFTY: Nature = Nature {
    places: 50,
    service: Duration::from_millis(50),
    fast: (Duration::ZERO, 0.0),
    spread: 0.0,
    refuses_above: usize::MAX,
    errors: 0.0,
    hangs: 0.0,
};

/// One upstream under load, with the limit in front of it.
pub(super) struct Sim {
    pub(super) nature: Nature,
    gradient: Gradient,
    now: Instant,
    dice: fastrand::Rng,
    /// When the next call comes.
    next: Instant,
    /// When those in line came.
    line: VecDeque<Instant>,
    /// When each place is free again.
    places: BinaryHeap<Reverse<Instant>>,
    /// When attempts are over, when they were granted and what they tell.
    under_way: BinaryHeap<Reverse<(Instant, Instant, bool)>>,
    seen: Seen,
}

/// What came of the calls since it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) answered: usize,
    pub(super) slowest: Duration,
    pub(super) refused: usize,
    pub(super) shed: usize,
    pub(super) lowest: usize,
    pub(super) highest: usize,
    /// How often anything happened, and how often the limit was within 45..=130 then.
    pub(super) events: usize,
    pub(super) settled: usize,
}

impl Sim {
    pub(super) fn new(nature: Nature) -> Self {
        Self::starting(nature, 20)
    }

    pub(super) fn seeded(nature: Nature, seed: u64) -> Self {
        Self { dice: fastrand::Rng::with_seed(seed), ..Self::new(nature) }
    }

    pub(super) fn starting(nature: Nature, start: u32) -> Self {
        let began = now();
        Self {
            nature,
            gradient: Gradient::new(start, 4, 200),
            now: began,
            dice: fastrand::Rng::with_seed(7),
            next: began,
            line: VecDeque::new(),
            places: (0..nature.places).map(|_| Reverse(began)).collect(),
            under_way: BinaryHeap::new(),
            seen: Seen::default(),
        }
    }

    /// Offers `rate` calls a second, at random instants, for that long; what came of them.
    pub(super) fn run(&mut self, rate: f64, length: Duration) -> Seen {
        self.seen = Seen { lowest: usize::MAX, ..Seen::default() };
        let end = self.now + length;
        self.next = self.now;
        loop {
            let over = self.under_way.peek().map(|Reverse((over, ..))| *over);
            self.now = over.map_or(self.next, |over| over.min(self.next));
            if self.now >= end {
                self.now = end;
                return std::mem::take(&mut self.seen);
            }
            if over == Some(self.now) {
                self.ends();
            } else {
                self.line.push_back(self.now);
                let pause = -self.dice.f64().max(1e-12).ln() / rate;
                self.next += Duration::from_secs_f64(pause).max(Duration::from_nanos(1));
                self.gradient.used(self.now, self.under_way.len());
            }
            self.serve();
            let limit = self.gradient.limit();
            self.seen.highest = self.seen.highest.max(limit);
            self.seen.lowest = self.seen.lowest.min(limit);
            self.seen.events += 1;
            self.seen.settled += usize::from((45..=130).contains(&limit));
        }
    }

    fn ends(&mut self) {
        let Reverse((over, granted, answered)) = self.under_way.pop().unwrap();
        self.gradient.used(over, self.under_way.len());
        if answered {
            self.seen.answered += 1;
            self.seen.slowest = self.seen.slowest.max(over - granted);
            self.gradient.told(granted, over, Load::Answered);
        } else {
            self.seen.refused += 1;
            self.gradient.told(granted, over, Load::Overloaded);
        }
    }

    /// Callers wait for 100 ms at most.
    fn serve(&mut self) {
        while self.line.front().is_some_and(|came| self.now - *came > WAIT) {
            self.line.pop_front();
            self.seen.shed += 1;
        }
        while self.under_way.len() < self.gradient.limit() && self.line.pop_front().is_some() {
            self.send();
            self.gradient.used(self.now, self.under_way.len());
        }
    }

    fn send(&mut self) {
        let Nature { service, fast, spread, refuses_above, errors, hangs, .. } = self.nature;
        let served = self.under_way.iter().filter(|Reverse((.., answered))| *answered).count();
        if served >= refuses_above || self.dice.f64() < errors {
            return self.under_way.push(Reverse((self.now + MS, self.now, false)));
        }
        if self.dice.f64() < hangs {
            return self.under_way.push(Reverse((self.now + GIVEN_UP, self.now, false)));
        }
        let (fast, share) = fast;
        let service = if self.dice.f64() < share { fast } else { service };
        let (a, b) = (self.dice.f64().max(1e-12), self.dice.f64());
        let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        let service = service.mul_f64((spread * normal).exp());
        let Reverse(free) = self.places.pop().unwrap();
        let over = free.max(self.now) + service;
        self.places.push(Reverse(over));
        self.under_way.push(Reverse((over, self.now, true)));
    }

    pub(super) fn limit(&self) -> usize {
        self.gradient.limit()
    }
}
