//! The end of a call or of another request: what is answered, and what it leaves in metrics, the trail
//! and the log. However it comes to its end, it leaves that once.

use std::{borrow::Cow, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderValue, Response, header::CONNECTION},
};

use crate::{
    catalog::action::Action,
    pipeline::{call::Answer, failure::Failure},
    server::{
        debug_headers,
        respond::{self, Refusal},
    },
    telemetry::{
        meters::CallMeters,
        report::{self, Ended},
        routes::{BodyMeters, RouteMeters},
        trail::Trail,
    },
    time::{self, Instant},
};

/// How many bytes the body has that is sent. Our own are there already.
pub(super) fn length(response: &Response<Body>) -> usize {
    response.body().size_hint().exact().unwrap_or_default() as usize
}

/// A request on its way to its end. However it goes out of scope, it is counted once.
pub(super) struct Timed<'a> {
    route: &'a RouteMeters,
    method: &'static str,
    began: Instant,
    /// What it is answered with; 0: not yet.
    pub(super) status: u16,
    /// How long it took, where somebody has looked at the clock.
    took: Option<Duration>,
}

impl<'a> Timed<'a> {
    /// One that has no answer yet.
    pub(super) fn of(route: &'a RouteMeters, method: &'static str, began: Instant) -> Self {
        Self { route, method, began, status: 0, took: None }
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let took = self.took.unwrap_or_else(|| time::now().saturating_duration_since(self.began));
        self.route.ended(self.method, self.status, took);
    }
}

/// A call on its way to its end. However it goes out of scope, its end is counted and logged once.
pub(super) struct Ending<'a> {
    pub(super) trail: &'a Trail,
    pub(super) timed: Timed<'a>,
    pub(super) detail: Option<Cow<'static, str>>,
    /// Whether the request has a body that may be left where it is.
    pub(super) unread: bool,
    pub(super) meters: &'a CallMeters,
    pub(super) bodies: &'a BodyMeters,
    pub(super) ended: Ended<'a>,
}

impl Ending<'_> {
    pub(super) fn refuse(mut self, refusal: Refusal) -> Response<Body> {
        let mut response = respond::refusal(refusal, self.ended.request_id);
        if self.unread && matches!(refusal, Refusal::UnknownAction | Refusal::Method) {
            // hyper closes a connection on which a body was left; the client must know.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.ended.outcome = refusal.outcome();
        self.detail = Some(refusal.detail());
        self.sent(response)
    }

    pub(super) fn finish(
        mut self,
        action: &Action,
        result: &Result<Answer, Failure>,
    ) -> Response<Body> {
        let mut response = match result {
            Ok(answer) => {
                self.ended.outcome = answer.outcome();
                self.ended.source = answer.source;
                self.ended.age = answer.age;
                respond::answer(action, answer, self.ended.request_id)
            }
            Err(failure) => {
                self.ended.outcome = failure.outcome();
                self.ended.source = failure.source();
                self.detail = Some(failure.detail());
                respond::failure(action, failure, self.ended.request_id)
            }
        };
        if action.debug_headers {
            debug_headers::add(&mut response, self.trail, result);
        }
        self.sent(response)
    }

    fn sent(&mut self, response: Response<Body>) -> Response<Body> {
        self.timed.status = response.status().as_u16();
        self.ended.status = self.timed.status;
        self.ended.bytes_out = length(&response);
        self.bodies.sent(self.ended.bytes_out);
        response
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let ended = Ended { detail: self.detail.as_deref(), ..self.ended };
        self.timed.took = Some(report::ended(self.trail, self.meters, &ended));
    }
}
