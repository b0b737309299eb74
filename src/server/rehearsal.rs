//! A call without a socket: for `holdline call`, which shows what each stage did, and for
//! `holdline dry-run`, which shows what would be answered to a reply.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Method, Uri},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use std::sync::Arc;

use crate::{
    catalog::action::Action,
    pipeline,
    server::{
        public::DataPlane,
        respond::{self, Why},
    },
    telemetry::{outcome::Outcome, trail::Trail},
};

/// What came of a call, and its trail.
#[derive(Debug)]
pub struct Rehearsed {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Why it failed, where the body tells the outcome alone.
    pub why: Option<String>,
    /// What its stages decided.
    pub trail: Arc<Trail>,
}

/// What would be answered.
#[derive(Debug)]
pub struct Foreseen {
    /// The status.
    pub status: u16,
    /// How the call would end.
    pub outcome: Outcome,
    /// The body.
    pub body: Bytes,
}

/// What would be answered if the upstream said `reply` and no earlier answer could stand in.
pub fn foresee(action: &Action, reply: &[u8]) -> Foreseen {
    let request_id = "(another for each call)";
    let (outcome, response) = match pipeline::end_of(action, reply) {
        Ok(answer) => (answer.outcome(), respond::answer(action, &answer, request_id)),
        Err(failure) => (failure.outcome(), respond::failure(action, &failure, request_id)),
    };
    let (head, body) = response.into_parts();
    // Our own bodies are there already and cannot fail.
    let body = body.collect().now_or_never().and_then(Result::ok);
    let body = body.map(|whole| whole.to_bytes()).unwrap_or_default();
    Foreseen { status: head.status.as_u16(), outcome, body }
}

impl DataPlane {
    /// Carries out one call of the action of that name, as the listener would, with these headers and
    /// this body.
    pub async fn rehearse(&self, action: &str, headers: HeaderMap, body: Bytes) -> Rehearsed {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static("/");
        *request.headers_mut() = headers;
        let served = self.in_force();
        let trail = self.begin(&request);
        let offer = served.offer(action);
        let response = self.respond(&served, served.route(), offer, request, &trail).await;
        let (mut head, body) = response.into_parts();
        let why = head.extensions.remove::<Why>().map(|Why(detail)| detail.into_owned());
        // Our own bodies are there already and cannot fail.
        let body = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
        Rehearsed { status: head.status.as_u16(), headers: head.headers, body, why, trail }
    }
}
