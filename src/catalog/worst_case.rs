//! What a call costs when its upstream is broken: attempts, and time until it is answered. Plain
//! numbers in, plain numbers out; `explain` prints them and `check` warns by them.
//!
//! It is the arithmetic of the retry loop, for an upstream that fails in the same way all the time,
//! with a retry budget that is not used up and a breaker that has not opened yet: both can only end
//! a call earlier.

use std::time::Duration;

use crate::catalog::{
    action::Action,
    policy::{BreakerPolicy, CachePolicy, RetryOn, RetryPolicy, TTL_JITTER, Timeouts, least},
    upstream::Upstream,
};

/// How an upstream is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It refuses connections, at once.
    Refuses,
    /// It does not even refuse them: connecting takes as long as it may.
    Silent,
    /// It answers 503, at once.
    Unavailable,
    /// It takes the request and never answers.
    Hangs,
}

/// What bounds a fetch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fetch<'a> {
    /// The time of the whole call.
    pub patience: Duration,
    /// The time of one attempt.
    pub timeouts: Timeouts,
    /// What is repeated.
    pub retry: &'a RetryPolicy,
    /// How long one attempt waits for a place in the quota at most.
    pub pace: Duration,
    /// How long it waits for its turn at most, behind that.
    pub turn: Duration,
    /// Whether asking twice changes nothing.
    pub safe: bool,
    /// Whether an attempt that is late gets another beside it. Both count.
    pub hedged: bool,
}

/// What a fetch comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Attempts at the upstream.
    pub attempts: u32,
    /// The time until its end is known.
    pub takes: Duration,
}

impl Trouble {
    /// All, the cheapest first.
    pub const ALL: [Self; 4] = [Self::Refuses, Self::Unavailable, Self::Silent, Self::Hangs];

    /// The cause by which it is repeated.
    fn cause(self) -> RetryOn {
        match self {
            Self::Refuses | Self::Silent => RetryOn::Connect,
            Self::Unavailable => RetryOn::Status(503),
            Self::Hangs => RetryOn::Timeout,
        }
    }

    /// Whether it is only known after a while: what fails at once is never late.
    fn is_late(self) -> bool {
        matches!(self, Self::Silent | Self::Hangs)
    }

    /// Whether the upstream provably has not seen the request.
    fn never_sent(self) -> bool {
        matches!(self, Self::Refuses | Self::Silent)
    }
}

impl<'a> Fetch<'a> {
    /// A fetch of `action` from `upstream` by a caller who waits as long as the action says.
    pub fn of(action: &Action, upstream: &'a Upstream) -> Self {
        Self::at(upstream, action.patience(None), action.safe)
    }

    /// A fetch from `upstream` by a caller who waits that long.
    pub fn at(upstream: &'a Upstream, patience: Duration, safe: bool) -> Self {
        let turn = upstream.concurrency.wait;
        Self {
            patience,
            timeouts: upstream.timeouts,
            retry: &upstream.retry,
            pace: upstream.quota.map_or(Duration::ZERO, |_| turn),
            turn,
            safe,
            hedged: safe && upstream.hedge.is_some() && upstream.retry.attempts > 1,
        }
    }

    /// What it comes to where every turn is at once, each pause is that share of its ceiling,
    /// `0.0..=1.0`, and no hedge is sent.
    pub fn course(&self, trouble: Trouble, share: f64) -> Course {
        self.walk(trouble, || share)
    }

    /// The most attempts that it may come to and the longest time that it may take, whatever the
    /// pauses and the turns. Each can be reached, though not always both by one call. With hedges
    /// they are bounds: two attempts side by side are reckoned as one behind the other.
    pub fn worst(&self, trouble: Trouble) -> Course {
        let alone = self.course(trouble, 0.0).attempts;
        let attempts = if self.hedged && trouble.is_late() {
            (2 * alone).min(self.retry.attempts)
        } else {
            alone
        };
        let mut takes = Duration::ZERO;
        for before in 0..attempts {
            let repeats = before > 0 && self.repeats(trouble);
            let pause = if repeats { self.retry.ceiling(before) } else { Duration::ZERO };
            let begins = (takes + pause).min(self.patience.saturating_sub(self.least()));
            let ends = begins + self.waits(self.patience - begins) + self.attempt(trouble);
            takes = takes.max(ends.min(self.patience));
        }
        Course { attempts, takes }
    }

    /// Whether some attempt has all its time, so that a silent upstream is known for one.
    pub fn has_whole_attempt(&self) -> bool {
        self.timeouts.attempt < self.patience
    }

    /// Whether even the first attempt that stood in line as long as it may has all its time.
    pub fn fits_in_line(&self) -> bool {
        self.waits(self.patience) + self.timeouts.attempt <= self.patience
    }

    /// How long an attempt stands in line at most, in a call that has `left`: each wait is no more
    /// than a tenth of what is left by then.
    fn waits(&self, left: Duration) -> Duration {
        let pace = self.pace.min(left / 10);
        pace + self.turn.min((left - pace) / 10)
    }

    /// The most attempts whatever happens, also where one trouble follows another.
    pub fn most_attempts(&self) -> u32 {
        let keyed = self.retry.idempotency_key.is_some();
        match self.retry.on.contains(&RetryOn::Connect) || self.safe || keyed {
            _ if self.patience < self.least() => 0,
            true => self.retry.attempts,
            false => 1,
        }
    }

    /// Whether two attempts that take all their time fit into the call.
    pub fn fits_two(&self) -> bool {
        self.timeouts.attempt * 2 <= self.patience
    }

    /// Whether an attempt that fails so may be repeated at all.
    pub fn repeats(&self, trouble: Trouble) -> bool {
        let may = self.safe || trouble.never_sent() || self.retry.idempotency_key.is_some();
        may && self.retry.attempts > 1 && self.retry.on.contains(&trouble.cause())
    }

    /// The loop, with what `share` says of each ceiling for a pause.
    fn walk(&self, trouble: Trouble, mut share: impl FnMut() -> f64) -> Course {
        let mut course = Course { attempts: 0, takes: Duration::ZERO };
        if self.patience < self.least() {
            return course;
        }
        let most = if self.repeats(trouble) { self.retry.attempts } else { 1 };
        loop {
            course.attempts += 1;
            let ends = course.takes + self.attempt(trouble);
            course.takes = ends.min(self.patience);
            if ends > self.patience || course.attempts >= most {
                return course;
            }
            let pause = self.retry.ceiling(course.attempts).mul_f64(share());
            if self.patience - course.takes < pause + self.least() {
                return course;
            }
            course.takes += pause;
        }
    }

    /// How long one attempt takes.
    fn attempt(&self, trouble: Trouble) -> Duration {
        let Timeouts { connect, attempt } = self.timeouts;
        match trouble {
            Trouble::Refuses | Trouble::Unavailable => Duration::ZERO,
            Trouble::Silent => connect.min(attempt),
            Trouble::Hangs => attempt,
        }
    }

    fn least(&self) -> Duration {
        least(self.timeouts.attempt)
    }
}

/// How many failures in a row open a breaker for certain; `None` where it is switched off.
pub fn failures_that_open(policy: &BreakerPolicy, trouble: Trouble) -> Option<u32> {
    let run = if trouble.never_sent() { policy.run.min(policy.connect_run) } else { policy.run };
    policy.enabled.then_some(run)
}

/// How long after the trouble began that many first attempts have failed, when `calls_per_second`
/// calls come evenly and at most `at_once` attempts are under way. `None` where they may be cut
/// short, which says nothing about the upstream.
pub fn noticed_after(
    fetch: &Fetch<'_>,
    trouble: Trouble,
    failures: u32,
    calls_per_second: f64,
    at_once: u32,
) -> Option<Duration> {
    if trouble == Trouble::Hangs && !(fetch.has_whole_attempt() && fetch.fits_in_line()) {
        return None;
    }
    let turns = failures.div_ceil(at_once.max(1));
    let coming = Duration::from_secs_f64(f64::from(failures.saturating_sub(1)) / calls_per_second);
    Some(coming + fetch.attempt(trouble).min(fetch.patience) * turns)
}

/// How many calls are under way at once when so many a second each take that long (Little's law).
pub fn held(calls_per_second: f64, takes: Duration) -> f64 {
    calls_per_second * takes.as_secs_f64()
}

/// The greatest age at which an answer is given out of the cache.
pub fn oldest(policy: &CachePolicy) -> Duration {
    let fresh = policy.ttl.mul_f64(1.0 + TTL_JITTER);
    fresh + policy.stale_while_revalidate.max(policy.stale_if_error)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::catalog::policy::BudgetPolicy;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn retry(attempts: u32, first: u64, max: u64) -> RetryPolicy {
        RetryPolicy {
            attempts,
            on: vec![RetryOn::Connect, RetryOn::Timeout, RetryOn::Status(503)],
            first: MS(first),
            max: MS(max),
            budget: BudgetPolicy { ratio: 0.2, per_second: 1.0, window: MS(10_000) },
            idempotency_key: None,
        }
    }

    fn fetch(patience: u64, attempt: u64, retry: &RetryPolicy) -> Fetch<'_> {
        let timeouts = Timeouts { connect: MS(attempt / 2), attempt: MS(attempt) };
        let (pace, turn) = (Duration::ZERO, Duration::ZERO);
        Fetch { patience: MS(patience), timeouts, retry, pace, turn, safe: true, hedged: false }
    }

    #[test]
    fn the_defaults_fit_three_attempts_of_which_the_last_is_cut_short() {
        let retry = retry(3, 50, 1000);
        let fetch = fetch(4750, 2000, &retry);
        for share in [0.0, 1.0] {
            let course = fetch.course(Trouble::Hangs, share);
            assert_eq!(course, Course { attempts: 3, takes: MS(4750) });
        }
        let refused = fetch.course(Trouble::Refuses, 1.0);
        assert_eq!(refused, Course { attempts: 3, takes: MS(150) });
        assert_eq!(fetch.worst(Trouble::Silent).takes, MS(3150));
        let crowded = Fetch { turn: MS(100), ..fetch };
        assert_eq!(crowded.worst(Trouble::Unavailable).takes, MS(450));
        let paced = Fetch { pace: MS(100), ..crowded };
        assert_eq!(paced.worst(Trouble::Unavailable).takes, MS(750), "two waits for each");
    }

    #[test]
    fn a_hedge_is_one_of_the_attempts_and_none_is_sent_beside_what_fails_at_once() {
        let retry = retry(6, 50, 1000);
        let hedged = Fetch { hedged: true, ..fetch(4750, 1500, &retry) };
        let alone = Fetch { hedged: false, ..hedged };
        assert_eq!(alone.worst(Trouble::Hangs).attempts, 4);
        assert_eq!(hedged.worst(Trouble::Hangs), Course { attempts: 6, takes: MS(4750) });
        assert_eq!(hedged.worst(Trouble::Refuses), alone.worst(Trouble::Refuses));

        let mut once = retry.clone();
        once.on = vec![RetryOn::Status(503)];
        let hedged = Fetch { retry: &once, ..hedged };
        assert_eq!(hedged.worst(Trouble::Hangs), Course { attempts: 2, takes: MS(3000) });
        once.attempts = 2;
        let hedged = Fetch { retry: &once, hedged: true, ..alone };
        assert_eq!(hedged.worst(Trouble::Hangs).attempts, hedged.most_attempts());
    }

    #[test]
    fn silence_is_noticed_only_by_attempts_that_have_all_their_time() {
        let retry = retry(3, 50, 1000);
        let notices = |fetch: Fetch<'_>, trouble| noticed_after(&fetch, trouble, 7, 10.0, 4);
        let as_long = fetch(4750, 4750, &retry);
        assert_eq!(notices(as_long, Trouble::Hangs), None);
        assert!(notices(as_long, Trouble::Unavailable).is_some());
        let just = fetch(4750, 4600, &retry);
        assert!(notices(just, Trouble::Hangs).is_some());
        assert_eq!(notices(Fetch { turn: MS(200), ..just }, Trouble::Hangs), None);
        let wide = Fetch { turn: MS(60_000), ..fetch(4750, 4275, &retry) };
        assert!(wide.fits_in_line(), "nobody waits for more than a tenth");
    }

    #[test]
    fn what_is_not_repeated_is_tried_once() {
        let mut retry = retry(3, 50, 1000);
        let attempts = |fetch: Fetch<'_>| Trouble::ALL.map(|it| fetch.worst(it).attempts);
        assert_eq!(attempts(Fetch { safe: false, ..fetch(4750, 2000, &retry) }), [3, 1, 3, 1]);
        retry.idempotency_key = Some(http::HeaderName::from_static("idempotency-key"));
        assert_eq!(attempts(Fetch { safe: false, ..fetch(4750, 2000, &retry) }), [3, 3, 3, 3]);
        retry.on = vec![RetryOn::Reset];
        assert_eq!(attempts(fetch(4750, 2000, &retry)), [1, 1, 1, 1]);
    }

    #[test]
    fn without_time_for_one_attempt_there_is_none() {
        let retry = retry(3, 50, 1000);
        let none = Course { attempts: 0, takes: Duration::ZERO };
        assert_eq!(fetch(149, 2000, &retry).worst(Trouble::Hangs), none);
        assert_eq!(fetch(20, 20, &retry).worst(Trouble::Hangs).attempts, 1);
    }

    #[test]
    fn the_breaker_notices_when_enough_calls_have_failed() {
        let retry = retry(1, 50, 1000);
        let fetch = fetch(4750, 2000, &retry);
        let after = |trouble, at_once| noticed_after(&fetch, trouble, 7, 10.0, at_once);
        assert_eq!(after(Trouble::Hangs, 20), Some(MS(2600)));
        assert_eq!(after(Trouble::Hangs, 4), Some(MS(4600)), "two rounds of two seconds");
        assert_eq!(after(Trouble::Refuses, 4), Some(MS(600)));
        assert_eq!(held(10.0, MS(4750)), 47.5);
    }

    prop_compose! {
        fn bounds()(
            patience in 0..20_000_u64,
            attempt in 1..8_000_u64,
            attempts in 1..11_u32,
            first in 1..2_000_u64,
            more in 0..4_000_u64,
        ) -> (u64, u64, RetryPolicy) {
            (patience, attempt, retry(attempts, first, first + more))
        }
    }

    fn trouble() -> impl Strategy<Value = Trouble> {
        prop::sample::select(Trouble::ALL.to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn no_pauses_make_a_call_worse_than_the_worst(
            (patience, attempt, retry) in bounds(),
            trouble in trouble(),
            shares in vec(0.0..=1.0_f64, 10),
        ) {
            let fetch = fetch(patience, attempt, &retry);
            let worst = fetch.worst(trouble);
            let mut shares = shares.into_iter();
            let course = fetch.walk(trouble, || shares.next().unwrap());
            prop_assert!(course.attempts <= worst.attempts, "{course:?} {worst:?}");
            prop_assert!(course.takes <= worst.takes, "{course:?} {worst:?}");
            prop_assert!(worst.takes <= fetch.patience);
            prop_assert!(worst.attempts <= fetch.most_attempts());
        }

        #[test]
        fn the_worst_is_reached_by_some_pauses(
            (patience, attempt, retry) in bounds(),
            trouble in trouble(),
        ) {
            let fetch = fetch(patience, attempt, &retry);
            let worst = fetch.worst(trouble);
            prop_assert_eq!(fetch.course(trouble, 0.0).attempts, worst.attempts);
            // The longest pauses that still leave room for every attempt.
            let (mut fits, mut beyond) = (0.0, 1.0);
            if fetch.course(trouble, 1.0).attempts == worst.attempts {
                fits = 1.0;
            }
            for _ in 0..50 {
                let between = f64::midpoint(fits, beyond);
                let all = fetch.course(trouble, between).attempts == worst.attempts;
                *(if all { &mut fits } else { &mut beyond }) = between;
            }
            let longest = fetch.course(trouble, fits).takes;
            prop_assert!(worst.takes - longest < Duration::from_micros(1), "{longest:?} {worst:?}");
        }

        #[test]
        fn waiting_for_turns_adds_no_more_than_it_may(
            (patience, attempt, retry) in bounds(),
            trouble in trouble(),
            (pace, turn) in (0..500_u64, 0..500_u64),
        ) {
            let free = fetch(patience, attempt, &retry);
            let crowded = Fetch { pace: MS(pace), turn: MS(turn), ..free };
            let (free, crowded) = (free.worst(trouble), crowded.worst(trouble));
            prop_assert!(crowded.takes >= free.takes);
            prop_assert!(crowded.takes <= free.takes + MS(pace + turn) * free.attempts);
        }

        #[test]
        fn hedges_add_no_attempts_beyond_those_of_one_call(
            (patience, attempt, retry) in bounds(),
            trouble in trouble(),
        ) {
            let alone = fetch(patience, attempt, &retry);
            let hedged = Fetch { hedged: retry.attempts > 1, ..alone };
            let (alone, worst) = (alone.worst(trouble), hedged.worst(trouble));
            prop_assert!(worst.attempts >= alone.attempts && worst.takes >= alone.takes);
            prop_assert!(worst.attempts <= hedged.most_attempts());
            prop_assert!(worst.takes <= hedged.patience);
        }
    }
}
