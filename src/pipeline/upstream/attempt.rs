//! One attempt: one exchange on the wire within the attempt's time, head and whole body, and what it
//! leaves in metrics and the trail.
//!
//! The body is read in here, so that the time-out covers it, a retry sees a whole reply, and the
//! body of an error is read to its end: an unread one would cost the connection.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{Extensions, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};

use crate::{
    client::{self, Script, WireError},
    mechanism::latency::Latency,
    pipeline::upstream::{
        errand::{Leg, Outcome},
        error::AttemptError,
        pace::Pace,
    },
    telemetry::{
        attempts::{AttemptMeters, Ended},
        exchange::{self, Peer, Target},
        stage::Stage,
        trail::Trail,
    },
    time::{self, Deadline},
};

/// Carries out one attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    /// How long one may take.
    pub(super) timeout: Duration,
    /// Bytes of a reply that are read.
    pub(super) max_reply: usize,
    /// Whether the upstream is sent our trace context.
    pub(super) propagate_trace: bool,
    /// Whom it asks, as traces name it.
    pub(super) peer: Peer,
    /// How long answers took lately.
    pub(super) latency: Arc<Latency>,
    pub(super) meters: Arc<AttemptMeters>,
    /// Asked once more before it is sent.
    pub(super) pace: Arc<Pace>,
}

impl Attempt {
    /// Sends it and reads the reply.
    pub(super) async fn send(&self, leg: &mut Leg<'_>) -> Outcome {
        let errand = leg.errand;
        self.pace.set_out(errand.urgency, leg.paid.take())?;
        let mut request = leg.request.take().expect("an attempt sends once");
        let target = Target::Template(Arc::clone(&errand.url_template));
        let trail: &Trail = &errand.trail;
        let mut under_way = UnderWay {
            exchange: exchange::UnderWay::begin(
                trail,
                Stage::Upstream,
                request.method(),
                (&self.peer, target),
                errand.next_attempt(),
            ),
            trail,
            method: request.method().clone(),
            meters: &self.meters,
        };
        let began = under_way.exchange.began();
        if self.propagate_trace {
            under_way.exchange.context().write(request.headers_mut());
        }
        let own_end = Deadline::after(began, self.timeout);
        let ends = own_end.earlier(errand.deadline);
        let exchange = async {
            let mut nobodys = Extensions::new();
            let sent = leg.wire.clone().run(request, &mut nobodys).await;
            let response = sent.map_err(|error| AttemptError::of(&error))?;
            Ok(client::read(response, self.max_reply).await?)
        };
        let result = tokio::time::timeout_at(ends.instant(), exchange).await.unwrap_or(Err(
            if ends == own_end {
                AttemptError::Wire(WireError::Timeout)
            } else {
                AttemptError::CutShort
            },
        ));
        let now = time::now();
        leg.took = now.saturating_duration_since(began);
        if let Ok(reply) = &result
            && answers(reply.status())
        {
            self.latency.note(now, leg.took);
        }
        under_way.exchange.end(ended(&result));
        result
    }
}

/// Whether a status answers the question, if only by a refusal. An upstream that fails or defers
/// does so faster than it answers: how long that takes says nothing about how long to wait.
pub(super) fn answers(status: StatusCode) -> bool {
    !matches!(status.as_u16(), 408 | 429 | 500..)
}

/// An attempt that is under way: an exchange that is counted, and a step, however it ends.
struct UnderWay<'a> {
    exchange: exchange::UnderWay<'a>,
    trail: &'a Trail,
    method: http::Method,
    meters: &'a AttemptMeters,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let began = self.exchange.began();
        let took = time::now().saturating_duration_since(began);
        self.meters.attempted(&self.method, self.exchange.ended(), took);
        self.trail.step(Stage::Attempt, began, self.exchange.word());
    }
}

fn ended(result: &Outcome) -> Ended {
    match result {
        Ok(reply) => Ended::Status(reply.status().as_u16()),
        Err(AttemptError::Wire(error)) => Ended::Error(error.label()),
        // Nobody waited for it any longer.
        Err(
            AttemptError::CutShort
            | AttemptError::BreakerOpen { .. }
            | AttemptError::Held { .. }
            | AttemptError::Saturated,
        ) => Ended::Error("canceled"),
    }
}

/// Ends the chain without a socket.
pub(super) struct Scripted(pub(super) Arc<dyn Script>);

#[async_trait]
impl Middleware for Scripted {
    async fn handle(
        &self,
        request: Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        match self.0.exchange(request).await {
            Ok(reply) => Ok(reply.into()),
            Err(error) => Err(AttemptError::Wire(error).into_chain()),
        }
    }
}
