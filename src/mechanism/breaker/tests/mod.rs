//! What the breaker does, one sentence at a time, in time that the tests move: here how it opens.

mod recovery;

mod force;
mod listener;
mod model;
mod properties;
mod slow;

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// No jitter; of the ramp's shares both are refused.
const EVEN: Chance = Chance::Loaded(0.5);
/// Passes in both halves of the ramp.
const LUCKY: Chance = Chance::Loaded(0.1);

const CONNECT: Verdict = Verdict::Failure(FailureKind::Connect);
const OTHER: Verdict = Verdict::Failure(FailureKind::Other);

fn policy() -> BreakerPolicy {
    BreakerPolicy {
        enabled: true,
        failure_ratio: 0.5,
        min_attempts: 20,
        window: 10 * SECOND,
        run: 7,
        connect_run: 5,
        open_first: 2 * SECOND,
        open_max: 60 * SECOND,
        close_after: 3,
        ramp: 10 * SECOND,
        slow: None,
        lease: 3 * SECOND,
    }
}

/// A breaker with a clock and an ear.
struct Bench {
    breaker: Arc<Breaker>,
    now: Instant,
    heard: Arc<Mutex<Vec<Change>>>,
}

impl Bench {
    fn new(policy: BreakerPolicy, chance: Chance) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let on_change = Box::new(move |change| ear.lock().unwrap().push(change));
        Self { breaker: Breaker::new(policy, chance, on_change), now: now(), heard }
    }

    fn advance(&mut self, time: Duration) {
        self.now += time;
    }

    fn admit(&self) -> Result<Pass, Refused> {
        self.breaker.admit(self.now)
    }

    fn attempt(&self, verdict: Verdict) {
        self.admit().expect("it is admitted").settle(self.now, verdict);
    }

    fn attempts(&self, count: u32, verdict: Verdict) {
        (0..count).for_each(|_| self.attempt(verdict));
    }

    fn refusal(&self) -> Duration {
        self.admit().expect_err("it is refused").retry_after
    }

    fn state(&self) -> State {
        self.breaker.state(self.now)
    }

    fn counts(&self) -> (u64, u64) {
        let snapshot = self.breaker.snapshot(self.now);
        (snapshot.failures, snapshot.attempts)
    }

    /// Opens it by a run and waits until it is half-open.
    fn half_open(policy: BreakerPolicy, chance: Chance) -> Self {
        let mut bench = Self::new(policy, chance);
        bench.attempts(policy.run, OTHER);
        bench.advance(bench.refusal());
        assert_eq!(bench.state(), State::HalfOpen);
        bench
    }

    /// The changes that were told, but for those that were only observed.
    fn heard(&self) -> Vec<(State, State)> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|it| !it.observed).map(|it| (it.from, it.to)).collect()
    }

    /// The changes of which it was told that they were only observed.
    fn observed(&self) -> Vec<(State, State)> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|it| it.observed).map(|it| (it.from, it.to)).collect()
    }

    /// Forces it for so long.
    fn force(&self, force: Force, lasts: Duration) {
        self.breaker.force(self.now, Forced { force, until: self.now + lasts, reason: None });
    }
}

#[test]
fn it_opens_at_the_ratio_once_there_are_enough_attempts() {
    let bench = Bench::new(BreakerPolicy { run: 100, ..policy() }, EVEN);
    bench.attempts(9, Verdict::Success);
    bench.attempts(10, OTHER);
    assert_eq!(bench.state(), State::Closed, "nineteen say nothing");
    bench.attempt(OTHER);
    assert_eq!(bench.state(), State::Open);
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.failures, snapshot.attempts, snapshot.failure_ratio), (11, 20, 0.55));
    assert_eq!(snapshot.open_until, Some(bench.now + 2 * SECOND));
}

#[test]
fn it_stays_closed_below_the_ratio() {
    let bench = Bench::new(policy(), EVEN);
    for _ in 0..50 {
        bench.attempts(2, Verdict::Success);
        bench.attempt(OTHER);
    }
    assert_eq!(bench.state(), State::Closed);
    assert_eq!(bench.counts(), (50, 150));
}

#[test]
fn without_a_single_failure_it_stays_closed_whatever_the_ratio() {
    let bench = Bench::new(BreakerPolicy { failure_ratio: 0.0, ..policy() }, EVEN);
    bench.attempts(100, Verdict::Success);
    assert_eq!(bench.state(), State::Closed);
    bench.attempt(OTHER);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn failures_of_a_past_window_do_not_count() {
    let mut bench = Bench::new(BreakerPolicy { run: 100, ..policy() }, EVEN);
    bench.attempts(19, OTHER);
    bench.advance(10 * SECOND);
    bench.attempts(19, OTHER);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn it_opens_after_a_run_of_failures_and_a_success_breaks_the_run() {
    let bench = Bench::new(policy(), EVEN);
    bench.attempts(6, OTHER);
    bench.attempt(Verdict::Success);
    bench.attempts(6, OTHER);
    assert_eq!(bench.state(), State::Closed);
    bench.attempt(OTHER);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn fewer_failures_to_connect_are_enough_and_another_failure_breaks_their_run() {
    let bench = Bench::new(policy(), EVEN);
    bench.attempts(4, CONNECT);
    bench.attempt(OTHER);
    bench.attempt(Verdict::Success);
    bench.attempts(4, CONNECT);
    assert_eq!(bench.state(), State::Closed);
    bench.attempt(CONNECT);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn no_verdict_counts_nothing_and_breaks_no_run() {
    let bench = Bench::new(policy(), EVEN);
    bench.attempts(4, CONNECT);
    bench.attempts(100, Verdict::None);
    drop(bench.admit().unwrap());
    assert_eq!(bench.counts(), (4, 4));
    bench.attempt(CONNECT);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn open_it_refuses_and_says_for_how_long() {
    let mut bench = Bench::new(policy(), EVEN);
    bench.attempts(5, CONNECT);
    assert_eq!(bench.refusal(), 2 * SECOND);
    bench.advance(1500 * MS);
    assert_eq!(bench.refusal(), 500 * MS);
    bench.advance(500 * MS);
    assert!(bench.admit().unwrap().is_probe());
}

#[test]
fn the_open_time_doubles_up_to_its_maximum() {
    let mut bench = Bench::half_open(policy(), EVEN);
    for seconds in [4, 8, 16, 32, 60, 60] {
        bench.attempt(OTHER);
        assert_eq!(bench.refusal(), seconds * SECOND);
        bench.advance(seconds * SECOND);
    }
}

#[test]
fn the_open_time_is_spread_by_half_either_way() {
    for (roll, time) in [(0.0, 1000 * MS), (0.25, 1500 * MS), (0.75, 2500 * MS)] {
        let bench = Bench::new(policy(), Chance::Loaded(roll));
        bench.attempts(7, OTHER);
        assert_eq!(bench.refusal(), time);
    }
}

#[test]
fn switched_off_it_lets_all_pass_and_counts_nothing() {
    let bench = Bench::new(BreakerPolicy { enabled: false, ..policy() }, EVEN);
    bench.attempts(1000, CONNECT);
    assert_eq!((bench.state(), bench.counts()), (State::Disabled, (0, 0)));
    assert!(bench.heard().is_empty());
}

#[test]
fn states_have_the_names_that_metrics_show() {
    let names = State::ALL.map(State::as_str);
    let own = ["closed", "open", "half_open"];
    assert_eq!(names[..3], own);
    assert_eq!(names[3..], ["forced_open", "forced_closed", "observing", "disabled"]);
}
