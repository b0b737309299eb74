//! The retry budget: repeats are a small share of first tries, so that a retry never becomes the
//! storm that keeps an upstream down.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{catalog::policy::BudgetPolicy, mechanism::window::Window, time::Instant};

const FIRST_TRIES: usize = 0;
const REPEATS: usize = 1;

/// Makes up for what binary fractions lose, so that a tenth of thirty first tries is three repeats.
const ROUNDING: f64 = 1e-9;

/// How many repeats all calls to one upstream may still have.
///
/// Over any stretch of time repeats are at most `ratio` times first tries, plus `per_second` times
/// that time, plus what `per_second` gives in one window and a tenth.
#[derive(Debug)]
pub struct Budget {
    policy: BudgetPolicy,
    window: Mutex<Window<2>>,
}

impl Budget {
    /// A budget out of which nothing has been spent.
    pub fn new(policy: BudgetPolicy) -> Self {
        Self { policy, window: Mutex::new(Window::new(policy.window)) }
    }

    /// Pays in for a first try.
    pub fn deposit(&self, now: Instant) {
        self.window().add(now, FIRST_TRIES);
    }

    /// Pays for a repeat. `false`: there is nothing left, and nothing was taken.
    pub fn withdraw(&self, now: Instant) -> bool {
        let mut window = self.window();
        let [first_tries, repeats] = window.sums(now);
        let allowed = repeats < self.allowed(first_tries);
        if allowed {
            window.add(now, REPEATS);
        }
        allowed
    }

    /// The share of the budget that is left, `0.0..=1.0`; zero where not one repeat is allowed.
    pub fn share_left(&self, now: Instant) -> f64 {
        let [first_tries, repeats] = self.window().sums(now);
        match self.allowed(first_tries) {
            0 => 0.0,
            allowed => allowed.saturating_sub(repeats) as f64 / allowed as f64,
        }
    }

    /// Repeats allowed in one window beside that many first tries.
    fn allowed(&self, first_tries: u64) -> u64 {
        let by_ratio = self.policy.ratio * first_tries as f64;
        let always = self.policy.per_second * self.policy.window.as_secs_f64();
        (by_ratio + always + ROUNDING) as u64
    }

    fn window(&self) -> MutexGuard<'_, Window<2>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::time::now;

    fn budget(ratio: f64, per_second: f64) -> Budget {
        Budget::new(BudgetPolicy { ratio, per_second, window: Duration::from_secs(10) })
    }

    fn withdrawn(budget: &Budget, now: Instant) -> usize {
        (0..10_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn repeats_are_a_share_of_first_tries() {
        let at = now();
        for (ratio, first_tries, repeats) in
            [(0.2, 100, 20), (0.2, 4, 0), (0.2, 5, 1), (0.1, 30, 3), (0.29, 100, 29), (0.0, 50, 0)]
        {
            let budget = budget(ratio, 0.0);
            (0..first_tries).for_each(|_| budget.deposit(at));
            assert_eq!(withdrawn(&budget, at), repeats, "{ratio} of {first_tries}");
        }
    }

    #[test]
    fn a_few_a_second_are_allowed_without_any_first_try() {
        let at = now();
        let budget = budget(0.2, 1.0);
        assert_eq!(withdrawn(&budget, at), 10);
        assert_eq!(withdrawn(&budget, at + Duration::from_secs(9)), 0);
        assert_eq!(withdrawn(&budget, at + Duration::from_secs(10)), 10);
    }

    #[test]
    fn first_tries_of_a_past_window_pay_for_nothing() {
        let at = now();
        let budget = budget(0.2, 0.0);
        (0..100).for_each(|_| budget.deposit(at));
        assert_eq!(withdrawn(&budget, at + Duration::from_secs(10)), 0);
    }

    #[test]
    fn a_refused_repeat_takes_nothing() {
        let at = now();
        let budget = budget(0.5, 0.0);
        (0..2).for_each(|_| budget.deposit(at));
        assert!(budget.withdraw(at));
        (0..100).for_each(|_| assert!(!budget.withdraw(at)));
        (0..2).for_each(|_| budget.deposit(at));
        assert!(budget.withdraw(at));
    }

    #[test]
    fn the_share_left_goes_from_one_to_zero() {
        let at = now();
        let budget = budget(0.2, 0.0);
        assert_eq!(budget.share_left(at), 0.0);
        (0..20).for_each(|_| budget.deposit(at));
        assert_eq!(budget.share_left(at), 1.0);
        assert!(budget.withdraw(at));
        assert_eq!(budget.share_left(at), 0.75);
        assert_eq!(withdrawn(&budget, at), 3);
        assert_eq!(budget.share_left(at), 0.0);
    }

    proptest! {
        #[test]
        fn no_history_gets_more_repeats_than_the_policy_says(
            ratio in 0.0f64..1.0,
            per_second in 0.0f64..3.0,
            span in 1u64..30,
            steps in prop::collection::vec((0u64..2_000, 0u32..6, 0u32..6), 1..300),
        ) {
            let window = Duration::from_secs(span);
            let budget = Budget::new(BudgetPolicy { ratio, per_second, window });
            let start = now();
            let (mut at, mut first_tries, mut repeats) = (start, 0u32, 0u32);
            for (pause, calls, wanted) in steps {
                at += Duration::from_millis(pause);
                for _ in 0..calls {
                    budget.deposit(at);
                    first_tries += 1;
                }
                for _ in 0..wanted {
                    repeats += u32::from(budget.withdraw(at));
                }
                let time = at.duration_since(start).as_secs_f64();
                let burst = per_second * window.as_secs_f64() * 1.1;
                let most = ratio * f64::from(first_tries) + per_second * time + burst + 1e-6;
                prop_assert!(f64::from(repeats) <= most, "{repeats} repeats, at most {most}");
                prop_assert!((0.0..=1.0).contains(&budget.share_left(at)));
            }
        }
    }
}
