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
    telemetry::{metrics as table, redact, registry::Scrape, vitals},
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
    let mut scrape = desk.registry.scrape();
    show_identity(&desk, &mut scrape);
    show_data_plane(&desk, &mut scrape);
    desk.pipeline().observe(&mut scrape);
    vitals::show_runtime(&mut scrape, &desk.runtime);
    vitals::show_process_use(&mut scrape);
    scrape.show(&table::PANICS, &[], redact::panics() as f64);
    if let Some(telemetry) = &desk.telemetry {
        let (spans, lines) = telemetry.dropped();
        scrape.show(&table::TELEMETRY_DROPPED, &["spans"], spans as f64);
        scrape.show(&table::TELEMETRY_DROPPED, &["logs"], lines as f64);
        for (level, lines) in telemetry.lines() {
            scrape.show(&table::LOG_MESSAGES, &[level], lines as f64);
        }
    }
    ([(CONTENT_TYPE, TEXT_FORMAT)], scrape.render()).into_response()
}

/// What runs here.
fn show_identity(desk: &Desk, scrape: &mut Scrape<'_>) {
    let revision = option_env!("HOLDLINE_REVISION").unwrap_or("unknown");
    scrape.show(&table::BUILD, &[env!("CARGO_PKG_VERSION"), revision], 1.0);
    scrape.show(&table::CONFIG, &[&desk.in_force.now().revision], 1.0);
}

/// How the data plane stands.
fn show_data_plane(desk: &Desk, scrape: &mut Scrape<'_>) {
    let phase = desk.lifecycle.phase();
    let yes = |it_is: bool| f64::from(u8::from(it_is));
    scrape.show(&table::READY, &["lifecycle"], yes(phase == Phase::Ready));
    scrape.show(&table::DRAINING, &[], yes(phase >= Phase::Draining));
    scrape.show(&table::ACTIVE_REQUESTS, &["POST"], desk.data_plane.in_flight() as f64);
    scrape.show(&table::CONNECTIONS, &[], desk.connections.load(Ordering::Relaxed) as f64);
    if let Some(tls) = &desk.tls {
        let ends = tls.certificate_ends().as_secs_f64();
        scrape.show(&table::CERTIFICATE_EXPIRY, &["server.tls"], ends);
    }
}
