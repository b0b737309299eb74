//! Probes and metrics. No probe tests an upstream: an instance whose upstream is down must stay in
//! rotation, to answer from its cache and to refuse at once.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};

use crate::{
    server::{admin::Desk, lifecycle::Phase},
    telemetry::{metrics as table, redact},
};

/// The version of the text format that is spoken; another makes Prometheus 3 refuse the scrape.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process runs and this runtime turns.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// It may be sent calls.
pub(super) async fn ready(State(desk): State<Arc<Desk>>) -> Response {
    match desk.lifecycle.phase() {
        Phase::Ready => "ready\n".into_response(),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response(),
    }
}

/// Its configuration is valid and its listeners are bound.
pub(super) async fn started(State(desk): State<Arc<Desk>>) -> Response {
    match desk.lifecycle.phase() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        _ => "started\n".into_response(),
    }
}

/// All metrics. What is a state and not an event is read now.
pub(super) async fn metrics(State(desk): State<Arc<Desk>>) -> Response {
    let registry = &desk.registry;
    let gauge = |metric, labels: &[&str], value: f64| registry.gauge(metric, labels).set(value);
    let phase = desk.lifecycle.phase();
    gauge(&table::READY, &["lifecycle"], f64::from(u8::from(phase == Phase::Ready)));
    gauge(&table::DRAINING, &[], f64::from(u8::from(phase >= Phase::Draining)));
    gauge(&table::ACTIVE_REQUESTS, &["POST"], desk.data_plane.in_flight() as f64);
    gauge(&table::CONNECTIONS, &[], desk.connections.load(Ordering::Relaxed) as f64);
    registry.counter(&table::PANICS, &[]).absolute(redact::panics());
    if let Some(telemetry) = &desk.telemetry {
        let (spans, lines) = telemetry.dropped();
        registry.counter(&table::TELEMETRY_DROPPED, &["spans"]).absolute(spans);
        registry.counter(&table::TELEMETRY_DROPPED, &["logs"]).absolute(lines);
    }
    desk.pipeline().observe(registry);
    ([(CONTENT_TYPE, TEXT_FORMAT)], registry.render()).into_response()
}
