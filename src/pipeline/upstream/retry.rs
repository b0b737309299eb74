//! Retry: what is repeated, when, and out of which budget.
//!
//! reqwest-retry's stock middleware repeats POST, ignores `Retry-After` and knows neither budget nor
//! deadline. Its vocabulary ([`RetryableStrategy`], [`Retryable`]) is kept for the one question that
//! it asks well, whether an outcome is transient; the loop around it is what this service is for.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{Extensions, HeaderMap, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{Error as ChainError, Middleware, Next};
use reqwest_retry::{Retryable, RetryableStrategy};

use crate::{
    catalog::policy::{self, RetryOn, RetryPolicy},
    chance::Chance,
    client::{RetryAfter, WireError},
    mechanism::{breaker::Breaker, budget::Budget, latency::Latency, permit::Urgency},
    pipeline::upstream::{errand::Errand, error::AttemptError, pace::Pace},
    telemetry::{attempts::AttemptMeters, stage::Stage, trail::Fact},
    time::{self, Wall},
};

/// The part of the recent answers that are fast. All actions of an upstream are measured together: in
/// less time than its slow ones need, a fast one may well be answered. What is too short even for the
/// fastest tenth is too short for any.
const FAST: f64 = 0.1;

/// The least time in which an attempt of at most `attempt` is worth beginning: in less, not even the
/// fastest tenth of the recent answers would have come.
pub(super) fn least(attempt: Duration, latency: &Latency) -> Duration {
    let fast = latency.quantile(time::now(), FAST).unwrap_or_default();
    policy::least(attempt).max(fast).min(attempt)
}

/// A refresh is repeated only while more than this part of the budget is left: the rest is for those
/// on whom somebody waits.
const CALLERS_SHARE: f64 = 0.5;

/// The retry loop of one upstream.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) policy: RetryPolicy,
    /// How long one attempt may take.
    pub(super) attempt: Duration,
    pub(super) breaker: Arc<Breaker>,
    pub(super) budget: Arc<Budget>,
    pub(super) pace: Arc<Pace>,
    pub(super) latency: Arc<Latency>,
    pub(super) chance: Chance,
    pub(super) wall: Wall,
    pub(super) meters: Arc<AttemptMeters>,
}

/// Whether to repeat.
enum Repeat {
    /// After this long, counted under this word.
    After(Duration, &'static str),
    /// No: it is no transient failure.
    No,
    /// It would be, but for this.
    Suppressed(&'static str),
}

#[async_trait]
impl Middleware for Retry {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let errand = Errand::of(extensions);
        let is_first = errand.attempts() == 0;
        let mut before = None;
        loop {
            let again = request.try_clone().expect("a body of bytes can be cloned");
            let result = next.clone().run(again, extensions).await;
            // What never left this process earns no repeats: an open breaker would fill the budget
            // for the very moment at which it closes. Nor does what nobody waits for.
            let earns = errand.urgency == Urgency::Interactive && errand.attempts() > 0;
            if is_first && before.is_none() && earns {
                self.budget.deposit(time::now());
            }
            match self.repeat(&errand, &result) {
                Repeat::After(wait, reason) => {
                    self.meters.retries.count(reason);
                    before = Some(result);
                    tokio::time::sleep(wait).await;
                }
                Repeat::No => return told(result, before),
                Repeat::Suppressed(why) => {
                    self.meters.suppressed.count(why);
                    errand.trail.tell(Stage::Upstream, Fact::Suppressed(why));
                    return told(result, before);
                }
            }
        }
    }
}

/// What is told of a fetch: its last attempt, but for a repeat that was refused here, or cut short by
/// the call's own time, and would hide what the upstream did.
pub(super) fn told(
    last: Result<Response, ChainError>,
    before: Option<Result<Response, ChainError>>,
) -> Result<Response, ChainError> {
    let says_nothing = last.as_ref().is_err_and(|error| {
        matches!(
            AttemptError::of(error),
            AttemptError::CutShort
                | AttemptError::BreakerOpen { .. }
                | AttemptError::Held { .. }
                | AttemptError::Saturated
        )
    });
    match before {
        Some(before) if says_nothing => before,
        _ => last,
    }
}

impl Retry {
    fn repeat(&self, errand: &Errand, result: &Result<Response, ChainError>) -> Repeat {
        if let Err(error) = result
            && matches!(AttemptError::of(error), AttemptError::BreakerOpen { .. })
        {
            return if errand.attempts() > 0 {
                Repeat::Suppressed("breaker_open")
            } else {
                Repeat::No
            };
        }
        let Some(Retryable::Transient) = self.policy.handle(result) else { return Repeat::No };
        let never_sent = result.as_ref().is_err_and(|error| AttemptError::of(error).never_sent());
        let keyed = self.policy.idempotency_key.is_some();
        if !errand.repeatable && !never_sent && !keyed {
            return Repeat::Suppressed("not_idempotent");
        }
        let attempts = errand.attempts();
        if attempts >= self.policy.attempts {
            return Repeat::Suppressed("limit_reached");
        }
        let asked =
            result.as_ref().ok().and_then(|response| retry_after(response.headers(), self.wall));
        // The ceiling doubles; the wait is a random part of it, so that callers do not come back
        // together. An upstream that says when is taken at its word, with the same scatter on top.
        let scatter = self.policy.ceiling(attempts).mul_f64(self.chance.roll());
        let wait = asked.unwrap_or_default() + scatter;
        if errand.left() < wait + least(self.attempt, &self.latency) {
            return Repeat::Suppressed("deadline");
        }
        // What would be refused then is not worth a wait now.
        if self.breaker.state(time::now() + wait).refuses_all() {
            return Repeat::Suppressed("breaker_open");
        }
        if self.pace.holds(errand, time::now() + wait) {
            return Repeat::Suppressed("held");
        }
        if !self.may_withdraw(errand.urgency) || !self.budget.withdraw(time::now()) {
            return Repeat::Suppressed("budget_exhausted");
        }
        Repeat::After(wait, reason(result, asked))
    }

    fn may_withdraw(&self, urgency: Urgency) -> bool {
        match urgency {
            Urgency::Interactive => true,
            Urgency::Refresh => self.budget.share_left(time::now()) > CALLERS_SHARE,
        }
    }
}

/// Which outcomes are worth another attempt: those that the policy names, and a 429 that says when
/// to come back.
impl RetryableStrategy for RetryPolicy {
    fn handle(&self, result: &Result<Response, ChainError>) -> Option<Retryable> {
        let cause = match result {
            Ok(response) if response.status().is_success() => return None,
            Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => {
                let says_when = RetryAfter::of(response.headers()).is_some();
                return Some(if says_when { Retryable::Transient } else { Retryable::Fatal });
            }
            Ok(response) => RetryOn::Status(response.status().as_u16()),
            Err(error) => match AttemptError::of(error) {
                AttemptError::Wire(WireError::Timeout) => RetryOn::Timeout,
                AttemptError::Wire(WireError::Reset) => RetryOn::Reset,
                AttemptError::Wire(WireError::Connect | WireError::Dns) => RetryOn::Connect,
                // A certificate does not become valid by asking again.
                AttemptError::Wire(
                    WireError::Tls | WireError::Protocol | WireError::BodyTooLarge,
                )
                | AttemptError::CutShort
                | AttemptError::BreakerOpen { .. }
                | AttemptError::Held { .. }
                | AttemptError::Saturated => return Some(Retryable::Fatal),
            },
        };
        let named = self.on.contains(&cause);
        Some(if named { Retryable::Transient } else { Retryable::Fatal })
    }
}

fn reason(result: &Result<Response, ChainError>, asked: Option<Duration>) -> &'static str {
    match result {
        Ok(_) if asked.is_some() => "retry_after",
        Ok(response) if response.status().is_server_error() => "status_5xx",
        Ok(_) => "status_4xx",
        Err(error) => match AttemptError::of(error) {
            AttemptError::Wire(WireError::Timeout) => "timeout",
            AttemptError::Wire(WireError::Reset) => "reset",
            _ => "connect",
        },
    }
}

/// How long a system asks to wait.
pub(super) fn retry_after(headers: &HeaderMap, wall: Wall) -> Option<Duration> {
    Some(RetryAfter::of(headers)?.wait(wall))
}
