//! What holds for every history of admissions, verdicts, drops, forces and their ends; and the
//! breaker beside its model.

use proptest::prelude::*;
use tokio::runtime::{self, Runtime};

use super::{
    model::{Admitted, Answer, Model, Stage},
    *,
};
use crate::catalog::policy::SlowPolicy;

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Admit,
    Settle(prop::sample::Index, Verdict, Duration),
    /// Given back without a word.
    Drop(prop::sample::Index),
    /// An attempt that is over at once.
    Attempt(Verdict, Duration),
    /// A force for so many milliseconds.
    Force(Force, u64),
    Release,
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Success),
        2 => Just(Verdict::Failure(FailureKind::Connect)),
        3 => Just(Verdict::Failure(FailureKind::Other)),
        1 => Just(Verdict::None),
    ]
}

/// Up to what is slow, and above it.
fn took() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![MS, SECOND, SECOND + MS])
}

fn force() -> impl Strategy<Value = Force> {
    prop::sample::select(vec![Force::Open, Force::Closed, Force::Observe])
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (0u64..3_000).prop_map(Step::Wait),
        6 => Just(Step::Admit),
        6 => (index(), verdict(), took()).prop_map(|(at, v, took)| Step::Settle(at, v, took)),
        1 => index().prop_map(Step::Drop),
        8 => (verdict(), took()).prop_map(|(v, took)| Step::Attempt(v, took)),
        1 => (force(), 1u64..8_000).prop_map(|(force, lasts)| Step::Force(force, lasts)),
        1 => Just(Step::Release),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..40)
}

/// Small numbers, so that short histories reach every rule. Ratios and rolls are halves of halves:
/// both sides compute them without rounding.
fn policies() -> impl Strategy<Value = BreakerPolicy> {
    let ratio = || prop::sample::select(vec![0.25, 0.5, 1.0]);
    let slow = prop::option::of(ratio());
    let rules = (ratio(), 1u32..8, 1u32..6, 1u32..4, slow);
    let times = (1u64..4, 0u64..3, 1u32..4, 1u64..4);
    (rules, times).prop_map(|((failure_ratio, min_attempts, run, connect_run, slow), times)| {
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
            slow: slow.map(|ratio| SlowPolicy { after: SECOND, ratio }),
            ..policy()
        }
    })
}

fn rolls() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.0, 0.25, 0.5, 0.75])
}

/// Breaker and model, side by side, and a clock that stands still for the passes that are dropped.
struct Pair {
    clock: Runtime,
    breaker: Arc<Breaker>,
    start: Instant,
    model: Model,
    heard: Arc<Mutex<Vec<Change>>>,
    /// Each pass that is out; the second is absent where its verdict does not count.
    out: Vec<(Pass, Option<Admitted>)>,
    admissions: usize,
}

impl Pair {
    fn new(policy: BreakerPolicy, roll: f64) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let told = Box::new(move |change| ear.lock().unwrap().push(change));
        let breaker = Breaker::new(policy, Chance::Loaded(roll), told);
        let model = Model::new(policy, roll);
        let clock = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let clock = clock.unwrap();
        let start = clock.block_on(async { now() });
        Self { clock, breaker, start, model, heard, out: Vec::new(), admissions: 0 }
    }

    fn after(policy: BreakerPolicy, roll: f64, steps: Vec<Step>) -> Self {
        let mut pair = Self::new(policy, roll);
        steps.into_iter().for_each(|step| pair.step(&step));
        pair
    }

    fn now(&self) -> Instant {
        self.start + self.model.now
    }

    fn wait(&mut self, time: Duration) {
        self.model.now += time;
        self.clock.block_on(tokio::time::advance(time));
    }

    fn admit(&mut self) -> bool {
        self.admissions += 1;
        let forced = self.model.forced;
        let answer = self.breaker.admit(self.now());
        match (answer, self.model.admit(self.admissions)) {
            (Ok(pass), Answer::Heard(me)) => {
                assert!(!pass.would_be_refused());
                assert_eq!(pass.is_probe(), self.model.would_be() == State::HalfOpen);
                self.out.push((pass, Some(me)));
                true
            }
            (Ok(pass), Answer::Unheard { would_be_refused }) => {
                assert_eq!((pass.would_be_refused(), pass.is_probe()), (would_be_refused, false));
                self.out.push((pass, None));
                true
            }
            (Err(refused), Answer::Refused) => {
                let wait = refused.retry_after;
                assert!(!wait.is_zero());
                match (self.model.state(), self.model.stage, forced) {
                    (State::ForcedOpen, _, Some((_, until))) => {
                        assert!(wait <= until - self.model.now);
                    }
                    (_, Stage::Open { until }, _) => assert_eq!(wait, until - self.model.now),
                    _ => {}
                }
                false
            }
            (answer, expected) => panic!("{answer:?} instead of {expected:?}"),
        }
    }

    fn settle(&mut self, at: usize, verdict: Verdict, took: Duration) {
        let (pass, me) = self.out.swap_remove(at);
        pass.took(took).settle(self.now(), verdict);
        if let Some(me) = me {
            self.model.settle(me, verdict, took);
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Wait(milliseconds) => self.wait(Duration::from_millis(*milliseconds)),
            Step::Admit => {
                self.admit();
            }
            Step::Settle(which, verdict, took) if !self.out.is_empty() => {
                self.settle(which.index(self.out.len()), *verdict, *took);
            }
            Step::Drop(which) if !self.out.is_empty() => {
                let (pass, me) = self.out.swap_remove(which.index(self.out.len()));
                self.clock.block_on(async { drop(pass) });
                if let Some(me) = me {
                    self.model.settle(me, Verdict::None, Duration::ZERO);
                }
            }
            Step::Settle(..) | Step::Drop(_) => {}
            Step::Attempt(verdict, took) => {
                if self.admit() {
                    self.settle(self.out.len() - 1, *verdict, *took);
                }
            }
            Step::Force(force, lasts) => {
                let lasts = Duration::from_millis(*lasts);
                let forced = Forced { force: *force, until: self.now() + lasts, reason: None };
                self.breaker.force(self.now(), forced);
                self.model.force(*force, lasts);
            }
            Step::Release => {
                self.breaker.release(self.now());
                self.model.release();
            }
        }
        self.compare();
    }

    fn compare(&self) {
        let snapshot = self.breaker.snapshot(self.now());
        assert_eq!(snapshot.state, self.model.state());
        let observing = snapshot.state == State::Observing;
        assert_eq!(snapshot.would_be, observing.then(|| self.model.would_be()));
        let counts = (snapshot.failures, snapshot.slow, snapshot.attempts);
        assert_eq!(counts, self.model.counts());
        assert!(snapshot.since.is_none_or(|since| since <= self.now()));
        assert!(self.probes_out() <= 1);
    }

    /// Probes whose verdict is still awaited. One that was out when the breaker was forced closed is
    /// a probe no longer: everything passes beside it.
    fn probes_out(&self) -> usize {
        let lease = self.model.policy.lease;
        let awaited = |pass: &Pass, me: &Admitted| {
            pass.is_probe()
                && self.model.now < me.at + lease
                && self.model.closings_by_force == me.after_closings
        };
        self.out.iter().filter(|(pass, me)| me.as_ref().is_some_and(|me| awaited(pass, me))).count()
    }

    /// Attempts, all of them good and fast, until it is closed by its own rules. Whoever is out
    /// stays out for ever. `None`: it was not, by `deadline`.
    fn recovers(&mut self, deadline: Instant) -> Option<()> {
        while self.breaker.state(self.now()) != State::Closed {
            match self.breaker.admit(self.now()) {
                // Under a force nothing comes of it but the time that passes.
                Ok(pass) => {
                    pass.settle(self.now(), Verdict::Success);
                    if self.model.forced.is_some() {
                        self.wait(SECOND);
                    }
                }
                Err(refused) => self.wait(refused.retry_after),
            }
            if self.now() > deadline {
                return None;
            }
        }
        Some(())
    }
}

/// The longest way back: a force, an open time, a probe that keeps silent, a ramp.
fn longest(policy: &BreakerPolicy) -> Duration {
    let force = Duration::from_secs(8);
    force + policy.open_max.mul_f64(1.5) + policy.lease + policy.ramp * 2 + SECOND * 16
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_the_model_and_never_has_two_probes_out(
        policy in policies(),
        roll in rolls(),
        steps in steps(),
    ) {
        let pair = Pair::after(policy, roll, steps);
        let heard = pair.heard.lock().unwrap();
        let shown: Vec<_> = heard.iter().filter(|change| !change.observed).collect();
        prop_assert!(shown.iter().all(|change| change.from != change.to));
        // Each from where the last led to.
        prop_assert!(shown.windows(2).all(|two| two[0].to == two[1].from));
    }

    #[test]
    fn no_history_keeps_a_healthy_upstream_out(
        policy in policies(),
        roll in rolls(),
        steps in steps(),
    ) {
        let mut pair = Pair::after(policy, roll, steps);
        let deadline = pair.now() + longest(&policy);
        prop_assert!(pair.recovers(deadline).is_some());
        // Failures before may still open it once; then everything passes.
        for _ in 0..policy.min_attempts + policy.close_after {
            let pass = loop {
                match pair.breaker.admit(pair.now()) {
                    Ok(pass) => break pass,
                    Err(refused) => pair.wait(refused.retry_after),
                }
                prop_assert!(pair.now() <= deadline);
            };
            pass.settle(pair.now(), Verdict::Success);
        }
        prop_assert_eq!(pair.breaker.state(pair.now()), State::Closed);
        pair.wait(policy.ramp);
        prop_assert!(pair.breaker.admit(pair.now()).is_ok());
    }

    #[test]
    fn a_force_that_is_over_leaves_a_breaker_that_can_close(
        policy in policies(),
        roll in rolls(),
        steps in steps(),
        (force, lasts, beneath, released) in
            (force(), 1u64..8_000, prop::collection::vec(verdict(), 0..20), any::<bool>()),
    ) {
        let mut pair = Pair::after(policy, roll, steps);
        pair.step(&Step::Force(force, lasts));
        for verdict in beneath {
            pair.step(&Step::Attempt(verdict, MS));
        }
        pair.step(&if released { Step::Release } else { Step::Wait(lasts) });
        let left = pair.breaker.state(pair.now());
        match force {
            Force::Open => prop_assert_eq!(left, State::HalfOpen),
            Force::Closed => prop_assert_eq!(left, State::Closed),
            Force::Observe => prop_assert!(left != State::Observing),
        }
        let deadline = pair.now() + longest(&policy);
        prop_assert!(pair.recovers(deadline).is_some());
        prop_assert!(pair.breaker.snapshot(pair.now()).forced.is_none());
    }

    #[test]
    fn attempts_without_a_verdict_leave_no_trace(
        policy in policies(),
        steps in prop::collection::vec((0u64..2_000, verdict(), 0usize..4), 1..50),
        forced in prop::option::of((force(), 0usize..50, 1u64..8_000)),
    ) {
        // Closed, half-open and under a force alike: of two breakers, one is also asked for nothing.
        let breakers = [(), ()].map(|()| {
            Breaker::new(policy, Chance::Loaded(0.0), Box::new(|_| {}))
        });
        let mut at = now();
        for (step, (pause, verdict, idle)) in steps.into_iter().enumerate() {
            at += Duration::from_millis(pause);
            if let Some((force, _, lasts)) = forced.filter(|(_, begins, _)| *begins == step) {
                let until = at + Duration::from_millis(lasts);
                breakers.iter().for_each(|it| it.force(at, Forced { force, until, reason: None }));
            }
            for _ in 0..idle {
                if let Ok(pass) = breakers[1].admit(at) {
                    pass.took(SECOND * 2).settle(at, Verdict::None);
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
