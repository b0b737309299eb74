//! When an upstream may be asked: not before the instant that it named itself, and not more often
//! than its vendor allows. Every attempt of every call keeps to both, repeats and hedges too.
//!
//! A call waits for a moment if that is enough, and pays before it stands in line for its turn: it
//! need not stand there for a place that it cannot have. Refreshes never wait here, leave the last
//! fifth of the burst to calls, and pay when they set out: they stand in line for so long that
//! places paid for before would leave together, beside those of which there are enough again by then.
//! Everything else fails at once: whoever has an old answer or a fallback gives
//! it now, and nobody is held for a wait that is longer than the call.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use reqwest::Response;

use crate::{
    catalog::upstream::Upstream,
    mechanism::{
        not_before::{Because, NotBefore},
        permit::Urgency,
        quota::{Paid, Quota},
    },
    pipeline::upstream::{
        errand::{Errand, Leg, Outcome},
        error::AttemptError,
        retry,
        turn::InTurn,
    },
    telemetry::attempts::AttemptMeters,
    time::{self, Instant, Wall},
};

/// When one upstream may be asked.
#[derive(Debug)]
pub(super) struct Pace {
    not_before: Arc<NotBefore>,
    quota: Option<Arc<Quota>>,
    /// How long an attempt waits at most.
    wait: Duration,
    meters: Arc<AttemptMeters>,
}

impl Pace {
    /// The pace of `upstream`. What was asked of us `before`, by the same upstream, still holds; what
    /// is left of a quota too, where that is still the same.
    pub(super) fn new(
        upstream: &Upstream,
        before: Option<(&Upstream, &Self)>,
        meters: Arc<AttemptMeters>,
    ) -> Arc<Self> {
        let kept = before.filter(|(known, _)| known.quota == upstream.quota);
        let quota = kept.and_then(|(_, pace)| pace.quota.clone());
        let not_before = before.map(|(_, pace)| Arc::clone(&pace.not_before));
        Arc::new(Self {
            not_before: not_before.unwrap_or_default(),
            quota: quota.or_else(|| Some(Quota::new(upstream.quota?, time::now()))),
            wait: upstream.concurrency.wait,
            meters,
        })
    }

    /// For how long yet it does not want to be asked.
    pub(super) fn not_before_left(&self, now: Instant) -> Duration {
        self.not_before.left(now)
    }

    /// The part of the burst that its quota has left; `None` where it has no quota.
    pub(super) fn quota_left(&self, now: Instant) -> Option<f64> {
        let quota = self.quota.as_ref()?;
        Some(f64::from(quota.left(now)) / f64::from(quota.burst()))
    }

    /// Whether an attempt may be sent at once.
    pub(super) fn is_free(&self, now: Instant) -> bool {
        let has_place = self.quota.as_ref().is_none_or(|quota| quota.left(now) > 0);
        has_place && self.not_before.left(now).is_zero()
    }

    /// Whether an attempt at `then` would be refused for what the upstream has asked for by now.
    pub(super) fn holds(&self, errand: &Errand, then: Instant) -> bool {
        self.not_before.left(then) > self.patience(errand)
    }

    fn patience(&self, errand: &Errand) -> Duration {
        match errand.urgency {
            Urgency::Interactive => errand.patience().min(self.wait),
            Urgency::Refresh => Duration::ZERO,
        }
    }

    /// Waits until an attempt may be made, and pays for it, but for a refresh.
    async fn leave(&self, errand: &Errand) -> Result<Option<Paid>, AttemptError> {
        let gives_up = time::now() + self.patience(errand);
        self.not_before_is_over(gives_up).await?;
        let Some(quota) = &self.quota else { return Ok(None) };
        if errand.urgency == Urgency::Refresh {
            return Ok(None);
        }
        let paid = self.pay(quota, gives_up.saturating_duration_since(time::now()), 0)?;
        if !paid.wait().is_zero() {
            tokio::time::sleep(paid.wait()).await;
        }
        Ok(Some(paid))
    }

    /// The last look before an attempt is sent: the upstream may have asked to wait while it stood in
    /// line for its turn. A refresh pays here. From here on its place in the quota is spent.
    pub(super) fn set_out(&self, urgency: Urgency, paid: Option<Paid>) -> Result<(), AttemptError> {
        let left = self.not_before.left(time::now());
        if !left.is_zero() {
            return Err(self.held("not_before", left));
        }
        if let (Some(quota), Urgency::Refresh) = (&self.quota, urgency) {
            self.pay(quota, Duration::ZERO, quota.burst().div_ceil(5))?.spend();
        } else if let Some(paid) = paid {
            paid.spend();
        }
        Ok(())
    }

    fn pay(
        &self,
        quota: &Arc<Quota>,
        wait_at_most: Duration,
        keep_back: u32,
    ) -> Result<Paid, AttemptError> {
        let paid = quota.take(time::now(), wait_at_most, keep_back);
        paid.map_err(|used_up| self.held("quota", used_up.retry_after))
    }

    /// Waits for the end of the mark, which may be moved meanwhile.
    async fn not_before_is_over(&self, gives_up: Instant) -> Result<(), AttemptError> {
        loop {
            let now = time::now();
            let left = self.not_before.left(now);
            if left.is_zero() {
                return Ok(());
            }
            if now + left > gives_up {
                return Err(self.held("not_before", left));
            }
            tokio::time::sleep(left).await;
        }
    }

    fn held(&self, reason: &str, retry_after: Duration) -> AttemptError {
        self.meters.held.count(reason);
        AttemptError::Held { retry_after }
    }
}

/// Holds attempts back until the upstream may be asked.
#[derive(Debug)]
pub(super) struct Paced {
    pub(super) pace: Arc<Pace>,
    pub(super) wall: Wall,
    pub(super) next: InTurn,
}

impl Paced {
    /// Waits until it may be sent, pays for it and passes it on.
    pub(super) async fn send(&self, leg: &mut Leg<'_>) -> Outcome {
        leg.paid = self.pace.leave(leg.errand).await?;
        let result = self.next.send(leg).await;
        // What was refused further in was not sent.
        drop(leg.paid.take());
        if let Ok(response) = &result {
            self.learn(response);
        }
        result
    }

    /// What a response says about when the upstream may be asked again.
    fn learn(&self, response: &Response) {
        let because = match response.status() {
            StatusCode::TOO_MANY_REQUESTS => Because::TooMany,
            StatusCode::SERVICE_UNAVAILABLE => Because::OutOfService,
            status if status.is_server_error() => return,
            _ => return self.pace.not_before.answered(),
        };
        if let Some(wait) = retry::retry_after(response.headers(), self.wall) {
            self.pace.not_before.set(time::now(), wait, because);
        }
    }
}
