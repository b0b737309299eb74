//! Hedging: a second attempt beside one that is later than almost all others. What answers first
//! counts, the other is given up.
//!
//! It is for questions only, and for callers who wait. It takes nothing from others: the second leg
//! stands in no line, is paid out of a budget of its own and out of that of all repeats, and each leg
//! is an attempt like any other for breaker, quota, permits, metrics and spans.

use std::{pin::pin, sync::Arc, time::Duration};

use reqwest::Request;
use reqwest_middleware::Next;

use crate::{
    catalog::policy::{BudgetPolicy, HedgePolicy},
    mechanism::{
        breaker::{Breaker, State},
        budget::Budget,
        latency::{LATELY, Latency},
        permit::{Permits, Urgency},
    },
    pipeline::upstream::{
        attempt,
        breaker::Guarded,
        errand::{Errand, Outcome},
        error::AttemptError,
        pace::Pace,
        retry,
    },
    telemetry::attempts::HedgeMeters,
    time::{self, Instant},
};

/// Nothing is late before this, however fast the upstream is.
const SOONEST: Duration = Duration::from_millis(50);

/// Sends a second attempt beside a late one.
#[derive(Debug)]
pub(super) struct Hedge {
    pub(super) policy: HedgePolicy,
    /// Hedges as a share of first attempts.
    pub(super) own: Arc<Budget>,
    /// Attempts in all for one fetch, those of hedges among them.
    pub(super) attempts: u32,
    /// How long one attempt may take.
    pub(super) attempt: Duration,
    pub(super) breaker: Arc<Breaker>,
    pub(super) budget: Arc<Budget>,
    pub(super) pace: Arc<Pace>,
    pub(super) permits: Permits,
    pub(super) latency: Arc<Latency>,
    pub(super) meters: Arc<HedgeMeters>,
}

/// The budget of the hedges alone: nothing but a share of the first attempts.
pub(super) fn own_budget(policy: HedgePolicy) -> Budget {
    Budget::new(BudgetPolicy { ratio: policy.budget, per_second: 0.0, window: LATELY })
}

impl Hedge {
    /// Sends it down to `next`, and once more where that is late.
    pub(super) async fn send(
        &self,
        next: &Guarded,
        request: Request,
        errand: &Errand,
        wire: Next<'_>,
    ) -> Outcome {
        let is_first = errand.attempts() == 0;
        let result = match self.late_after(errand) {
            Some(late_after) => self.hedged(next, request, errand, wire, late_after).await,
            None => next.send(request, errand, wire).await,
        };
        if is_first && errand.attempts() > 0 {
            self.own.deposit(time::now());
        }
        result
    }

    /// After how long without a word an attempt is late; `None`: it is left alone.
    fn late_after(&self, errand: &Errand) -> Option<Duration> {
        if !errand.repeatable || errand.urgency != Urgency::Interactive {
            return None;
        }
        let late_after = self.latency.quantile(time::now(), self.policy.quantile)?.max(SOONEST);
        (late_after < self.attempt).then_some(late_after)
    }

    async fn hedged(
        &self,
        next: &Guarded,
        request: Request,
        errand: &Errand,
        wire: Next<'_>,
        late_after: Duration,
    ) -> Outcome {
        let again = request.try_clone().expect("a body of bytes can be cloned");
        let began = time::now();
        let mut first = pin!(next.send(request, errand, wire.clone()));
        if let Ok(result) = tokio::time::timeout(late_after, &mut first).await {
            return result;
        }
        if let Err(why) = self.may_send(errand) {
            self.meters.suppressed.count(why);
            return first.await;
        }
        let at_once = errand.at_once();
        let second = pin!(next.send(again, &at_once, wire));
        self.race(began, first, second).await
    }

    /// The first good result of two legs; if there is none, what the first leg came to.
    async fn race(
        &self,
        began: Instant,
        mut first: impl Future<Output = Outcome> + Unpin,
        mut second: impl Future<Output = Outcome> + Unpin,
    ) -> Outcome {
        let mut sent = Sent { meters: &self.meters, result: Some("canceled") };
        // Where both are there at once, the first is taken.
        tokio::select! { biased;
            result = &mut first => {
                if is_good(&result) {
                    sent.result = Some("lost");
                    return result;
                }
                let other = second.await;
                sent.came_to(&other);
                if is_good(&other) { other } else { result }
            }
            result = &mut second => {
                sent.came_to(&result);
                if !is_good(&result) {
                    return first.await;
                }
                // The first is given up. It would have taken longer than this: to forget it would
                // make the upstream look faster than it is.
                let now = time::now();
                self.latency.note(now, now.saturating_duration_since(began));
                result
            }
        }
    }

    /// Whether a second leg may be sent, and pays for it. What could not be sent at once is not
    /// paid for.
    fn may_send(&self, errand: &Errand) -> Result<(), &'static str> {
        let now = time::now();
        let breaker = self.breaker.snapshot(now);
        if errand.attempts() >= self.attempts {
            Err("limit_reached")
        } else if errand.left() < retry::least(self.attempt, &self.latency) {
            Err("deadline")
        } else if breaker.state.refuses_all()
            || breaker.state == State::HalfOpen
            || !breaker.ramp_left.is_zero()
        {
            // It may be the probe that is late: one at a time. And while only a part of the attempts
            // passes, most legs would be refused when they are paid for already.
            Err("breaker_open")
        } else if !self.pace.is_free(now) {
            Err("held")
        } else if self.permits.in_use() >= self.permits.limit() {
            Err("saturated")
        } else if !self.own.withdraw(now) {
            Err("hedge_budget")
        } else if !self.budget.withdraw(now) {
            Err("retry_budget")
        } else {
            Ok(())
        }
    }
}

/// What is good enough to give the other leg up.
fn is_good(result: &Outcome) -> bool {
    result.as_ref().is_ok_and(|response| attempt::answers(response.status()))
}

/// Why a leg was not sent after all.
fn refused_here(result: &Outcome) -> Option<&'static str> {
    match result.as_ref().err()? {
        AttemptError::BreakerOpen { .. } => Some("breaker_open"),
        AttemptError::Held { .. } => Some("held"),
        AttemptError::Saturated => Some("saturated"),
        AttemptError::Wire(_) | AttemptError::CutShort => None,
    }
}

/// A second leg under way. Dropped with its call, it is counted as canceled.
struct Sent<'a> {
    meters: &'a HedgeMeters,
    /// How to count it; `None`: it was not sent.
    result: Option<&'static str>,
}

impl Sent<'_> {
    fn came_to(&mut self, result: &Outcome) {
        let refused = refused_here(result);
        if let Some(why) = refused {
            self.meters.suppressed.count(why);
        }
        let word = if is_good(result) { "won" } else { "lost" };
        self.result = refused.is_none().then_some(word);
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if let Some(result) = self.result {
            self.meters.hedges.count(result);
        }
    }
}
