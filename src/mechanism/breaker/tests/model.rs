//! The breaker beside a small model that keeps every event in a list and knows nothing of tickets.

use proptest::prelude::*;

use super::*;

/// The breaker as one would explain it.
struct Model {
    policy: BreakerPolicy,
    roll: f64,
    now: Duration,
    stage: Stage,
    /// Changes so far. A pass is heard if it was admitted after as many.
    changes: usize,
    /// When a verdict was first counted: where the tenths of the window begin.
    began: Option<Duration>,
    /// Each verdict since it closed last: in which tenth, and what.
    verdicts: Vec<(u128, Verdict)>,
    /// Open times in a row.
    rests: i32,
    closed_at: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Closed,
    Open { until: Duration },
    HalfOpen { good: u32, probe: Option<Admitted> },
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Admitted {
    id: usize,
    at: Duration,
    after_changes: usize,
}

impl Model {
    fn tenth(&self) -> u128 {
        let since = self.began.map_or(Duration::ZERO, |began| self.now - began);
        since.as_nanos() * 10 / self.policy.window.as_nanos()
    }

    fn change(&mut self, stage: Stage) {
        self.stage = stage;
        self.changes += 1;
    }

    fn admit(&mut self, id: usize) -> bool {
        if matches!(self.stage, Stage::Open { until } if self.now >= until) {
            self.change(Stage::HalfOpen { good: 0, probe: None });
        }
        let me = Admitted { id, at: self.now, after_changes: self.changes };
        match self.stage {
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
        }
    }

    fn settle(&mut self, me: Admitted, verdict: Verdict) {
        match self.stage {
            Stage::Closed if me.after_changes == self.changes && verdict != Verdict::None => {
                self.began.get_or_insert(self.now);
                self.verdicts.push((self.tenth(), verdict));
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
                    Verdict::Success if good + 1 < self.policy.close_after => {
                        self.stage = Stage::HalfOpen { good: good + 1, probe: None };
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

    fn counts(&self) -> (u64, u64) {
        let lately = self.verdicts.iter().filter(|(tenth, _)| tenth + 10 > self.tenth());
        let failed = lately.clone().filter(|(_, verdict)| *verdict != Verdict::Success);
        (failed.count() as u64, lately.count() as u64)
    }

    fn sick(&self) -> bool {
        let (failures, attempts) = self.counts();
        let run = |of: fn(&Verdict) -> bool| {
            self.verdicts.iter().rev().take_while(|(_, verdict)| of(verdict)).count() as u32
        };
        let many = attempts >= u64::from(self.policy.min_attempts) && failures > 0;
        many && failures as f64 >= self.policy.failure_ratio * attempts as f64
            || run(|one| *one != Verdict::Success) >= self.policy.run
            || run(|one| *one == Verdict::Failure(FailureKind::Connect)) >= self.policy.connect_run
    }

    fn rest(&mut self) {
        let calm = if self.policy.ramp.is_zero() { self.policy.window } else { self.policy.ramp };
        if self.stage == Stage::Closed && self.closed_at.is_none_or(|at| self.now >= at + calm) {
            self.rests = 0;
        }
        let doubled = self.policy.open_first.as_secs_f64() * 2_f64.powi(self.rests);
        let time = doubled.min(self.policy.open_max.as_secs_f64()) * (0.5 + self.roll);
        self.rests += 1;
        let time = Duration::from_millis((time * 1000.0).round() as u64);
        self.change(Stage::Open { until: self.now + time });
    }

    fn state(&self) -> State {
        match self.stage {
            Stage::Closed => State::Closed,
            Stage::Open { until } if self.now < until => State::Open,
            Stage::Open { .. } | Stage::HalfOpen { .. } => State::HalfOpen,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(u64),
    Admit,
    Settle(prop::sample::Index, Verdict),
    /// An attempt that is over at once.
    Attempt(Verdict),
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Success),
        2 => Just(Verdict::Failure(FailureKind::Connect)),
        3 => Just(Verdict::Failure(FailureKind::Other)),
        1 => Just(Verdict::None),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0u64..3_000).prop_map(Step::Wait),
        3 => Just(Step::Admit),
        3 => (any::<prop::sample::Index>(), verdict()).prop_map(|(at, v)| Step::Settle(at, v)),
        4 => verdict().prop_map(Step::Attempt),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..250)
}

/// Small numbers, so that short histories reach every rule. Ratios and rolls are halves of halves:
/// both sides compute them without rounding.
fn policies() -> impl Strategy<Value = BreakerPolicy> {
    let rules = (prop::sample::select(vec![0.25, 0.5, 1.0]), 1u32..8, 1u32..6, 1u32..4);
    let times = (1u64..4, 0u64..3, 1u32..4, 1u64..4);
    (rules, times).prop_map(|((failure_ratio, min_attempts, run, connect_run), times)| {
        let (open, ramp, close_after, lease) = times;
        BreakerPolicy {
            failure_ratio,
            min_attempts,
            run,
            connect_run,
            open_first: Duration::from_secs(open),
            open_max: Duration::from_secs(open * 3),
            close_after,
            ramp: Duration::from_secs(ramp * 4),
            lease: Duration::from_secs(lease),
            ..policy()
        }
    })
}

fn rolls() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.0, 0.25, 0.5, 0.75])
}

/// Breaker and model, side by side.
struct Pair {
    breaker: Arc<Breaker>,
    start: Instant,
    model: Model,
    out: Vec<(Pass, Admitted)>,
    admissions: usize,
}

impl Pair {
    fn new(policy: BreakerPolicy, roll: f64) -> Self {
        let model = Model {
            policy,
            roll,
            now: Duration::ZERO,
            stage: Stage::Closed,
            changes: 0,
            began: None,
            verdicts: Vec::new(),
            rests: 0,
            closed_at: None,
        };
        let breaker = Breaker::new(policy, Chance::Loaded(roll), Box::new(|_, _| {}));
        Self { breaker, start: now(), model, out: Vec::new(), admissions: 0 }
    }

    fn now(&self) -> Instant {
        self.start + self.model.now
    }

    fn admit(&mut self) -> bool {
        self.admissions += 1;
        let answer = self.breaker.admit(self.now());
        assert_eq!(answer.is_ok(), self.model.admit(self.admissions));
        let me =
            Admitted { id: self.admissions, at: self.model.now, after_changes: self.model.changes };
        match answer {
            Ok(pass) => {
                assert_eq!(pass.is_probe(), self.model.state() == State::HalfOpen);
                self.out.push((pass, me));
                true
            }
            Err(refused) => {
                if let Stage::Open { until } = self.model.stage {
                    assert_eq!(refused.retry_after, until - self.model.now);
                }
                assert!(!refused.retry_after.is_zero());
                false
            }
        }
    }

    fn settle(&mut self, at: usize, verdict: Verdict) {
        let (pass, me) = self.out.swap_remove(at);
        pass.settle(self.now(), verdict);
        self.model.settle(me, verdict);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(milliseconds) => self.model.now += Duration::from_millis(milliseconds),
            Step::Admit => {
                self.admit();
            }
            Step::Settle(which, verdict) if !self.out.is_empty() => {
                self.settle(which.index(self.out.len()), verdict);
            }
            Step::Settle(..) => {}
            Step::Attempt(verdict) => {
                if self.admit() {
                    self.settle(self.out.len() - 1, verdict);
                }
            }
        }
        let snapshot = self.breaker.snapshot(self.now());
        assert_eq!(snapshot.state, self.model.state());
        assert_eq!((snapshot.failures, snapshot.attempts), self.model.counts());
        assert!(self.probes_out() <= 1);
    }

    /// Probes whose verdict is still awaited.
    fn probes_out(&self) -> usize {
        let lease = self.model.policy.lease;
        let leased = |me: &Admitted| self.model.now < me.at + lease;
        self.out.iter().filter(|(pass, me)| pass.is_probe() && leased(me)).count()
    }
}

proptest! {
    #[test]
    fn it_agrees_with_the_model(policy in policies(), roll in rolls(), steps in steps()) {
        let mut pair = Pair::new(policy, roll);
        for step in steps {
            pair.step(step);
        }
    }

    #[test]
    fn no_history_keeps_a_healthy_upstream_out(
        policy in policies(),
        roll in rolls(),
        steps in steps(),
    ) {
        let mut pair = Pair::new(policy, roll);
        for step in steps {
            pair.step(step);
        }
        // Whoever is out stays out for ever, and the upstream is well from here on. Failures before
        // may still open it once.
        let longest = policy.open_max.mul_f64(1.5) + policy.lease + policy.ramp * 2;
        let deadline = pair.now() + longest;
        for _ in 0..policy.min_attempts + policy.close_after {
            let pass = loop {
                match pair.breaker.admit(pair.now()) {
                    Ok(pass) => break pass,
                    Err(refused) => pair.model.now += refused.retry_after,
                }
                prop_assert!(pair.now() <= deadline);
            };
            pass.settle(pair.now(), Verdict::Success);
        }
        prop_assert_eq!(pair.breaker.state(pair.now()), State::Closed);
        pair.model.now += policy.ramp;
        prop_assert!(pair.breaker.admit(pair.now()).is_ok());
    }

    #[test]
    fn attempts_without_a_verdict_leave_no_trace(
        policy in policies(),
        steps in prop::collection::vec((0u64..2_000, verdict(), 0usize..4), 1..150),
    ) {
        // Closed and half-open alike: of two breakers, one is also asked for nothing.
        let breakers = [(), ()].map(|()| {
            Breaker::new(policy, Chance::Loaded(0.0), Box::new(|_, _| {}))
        });
        let mut at = now();
        for (pause, verdict, idle) in steps {
            at += Duration::from_millis(pause);
            for _ in 0..idle {
                if let Ok(pass) = breakers[1].admit(at) {
                    pass.settle(at, Verdict::None);
                }
                drop(breakers[1].admit(at));
            }
            let [plain, asked] = [0, 1].map(|which| {
                breakers[which].admit(at).map(|pass| pass.settle(at, verdict))
            });
            prop_assert_eq!(plain, asked);
            prop_assert_eq!(breakers[0].snapshot(at), breakers[1].snapshot(at));
        }
    }
}
