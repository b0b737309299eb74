//! A call without a socket: for `holdline call`, which shows what each stage did.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Method, Uri},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use std::sync::Arc;

use crate::{server::public::DataPlane, telemetry::trail::Trail};

/// What came of a call, and its trail.
#[derive(Debug)]
pub struct Rehearsed {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What its stages decided.
    pub trail: Arc<Trail>,
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
        let action = served.pipeline.catalog().action(action).cloned();
        let trail = self.begin(action.as_deref(), &request);
        let response = self.respond(&served, action, request, &trail).await;
        let (head, body) = response.into_parts();
        // Our own bodies are there already and cannot fail.
        let body = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
        Rehearsed { status: head.status.as_u16(), headers: head.headers, body, trail }
    }
}
