//! One attempt: one exchange on the wire within the attempt's time, head and whole body, and what it
//! leaves in spans, metrics and the trail.
//!
//! The body is read in here, so that the time-out covers it, a retry sees a whole reply, and the
//! body of an error is read to its end: an unread one would cost the connection.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{Extensions, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};
use tracing::{Instrument, Span, field::Empty};

use crate::{
    client::{self, Script, WireError},
    mechanism::latency::Latency,
    pipeline::upstream::{
        errand::{Errand, ExchangeTime},
        error::AttemptError,
        pace,
    },
    telemetry::{
        attempts::{self, AttemptMeters, Ended},
        stage::Stage,
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
    /// How long answers took lately.
    pub(super) latency: Arc<Latency>,
    pub(super) meters: Arc<AttemptMeters>,
}

#[async_trait]
impl Middleware for Attempt {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let errand = Errand::of(extensions);
        pace::set_out(extensions)?;
        let span = span(&errand, &request, errand.next_attempt());
        let under_way = UnderWay {
            span: span.clone(),
            began: time::now(),
            method: request.method().clone(),
            meters: &self.meters,
            ended: Ended::Error("canceled"),
            errand: &errand,
        };
        if self.propagate_trace {
            errand.trail.context_within(&span).write(request.headers_mut());
        }
        let own_end = Deadline::after(under_way.began, self.timeout);
        let ends = own_end.earlier(errand.deadline);
        let exchange = async {
            let response = next.run(request, extensions).await.map_err(|e| AttemptError::of(&e))?;
            Ok(client::read(response, self.max_reply).await?)
        };
        let result = tokio::time::timeout_at(ends.instant(), exchange.instrument(span))
            .await
            .unwrap_or(Err(if ends == own_end {
                AttemptError::Wire(WireError::Timeout)
            } else {
                AttemptError::CutShort
            }));
        let took = time::now().saturating_duration_since(under_way.began);
        extensions.insert(ExchangeTime(took));
        if let Ok(reply) = &result
            && answers(reply.status())
        {
            self.latency.note(time::now(), took);
        }
        under_way.end(ended(&result));
        match result {
            Ok(reply) => Ok(reply.into()),
            Err(error) => Err(error.into_chain()),
        }
    }
}

/// Whether a status answers the question, if only by a refusal. An upstream that fails or defers
/// does so faster than it answers: how long that takes says nothing about how long to wait.
pub(super) fn answers(status: StatusCode) -> bool {
    !matches!(status.as_u16(), 408 | 429 | 500..)
}

/// An attempt that is under way. Dropped with its caller, it is noted as canceled: the slow ones,
/// of which callers tire, must not be missing where one looks for them.
struct UnderWay<'a> {
    errand: &'a Errand,
    span: Span,
    began: time::Instant,
    method: http::Method,
    meters: &'a AttemptMeters,
    ended: Ended,
}

impl UnderWay<'_> {
    fn end(mut self, ended: Ended) {
        self.ended = ended;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let took = time::now().saturating_duration_since(self.began);
        self.meters.attempted(&self.method, self.ended, took);
        note(self.errand, &self.span, self.began, self.ended);
    }
}

fn ended(result: &Result<http::Response<bytes::Bytes>, AttemptError>) -> Ended {
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

fn span(errand: &Errand, request: &Request, resent: u32) -> Span {
    // Its parent is the span that this runs in: the upstream stage's.
    if errand.trail.root().is_disabled() {
        return Span::none();
    }
    let url = request.url();
    let span = tracing::info_span!(
        target: "holdline::trail",
        "attempt",
        otel.name = %format_args!("{} {}", request.method(), errand.url_template),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = attempts::method_label(request.method()),
        http.request.resend_count = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
        server.address = url.host_str(),
        server.port = i64::from(url.port_or_known_default().unwrap_or_default()),
        url.template = &*errand.url_template,
        holdline.decision = Empty,
    );
    if resent > 0 {
        span.record("http.request.resend_count", i64::from(resent));
    }
    span
}

fn note(errand: &Errand, span: &Span, began: time::Instant, ended: Ended) {
    let word = match ended {
        Ended::Status(status) => {
            // An unsigned number would become a string.
            span.record("http.response.status_code", i64::from(status));
            attempts::status_label(status)
        }
        Ended::Error(error) => error,
    };
    if !matches!(ended, Ended::Status(..400)) {
        span.record("error.type", word);
        span.record("otel.status_code", "ERROR");
    }
    errand.trail.step(Stage::Attempt, began, word);
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
