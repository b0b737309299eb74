//! `GET /info`: what runs here, since when, and how it stands, in short. No value of any customer, no
//! secret.

use std::sync::{Arc, atomic::Ordering};

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::{
    server::admin::{Desk, log_level},
    time::{self, Instant},
};

/// Shows it.
pub(super) async fn show(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let served = desk.in_force.now();
    let (pipeline, catalog) = (&served.pipeline, served.pipeline.catalog());
    let names = |keys: Vec<&crate::catalog::name::Name>| -> Vec<String> {
        keys.into_iter().map(ToString::to_string).collect()
    };
    let upstreams: Vec<Value> = pipeline
        .upstreams()
        .map(|upstream| {
            json!({ "name": upstream.name.as_str(), "breaker": upstream.breaker.state.as_str() })
        })
        .collect();
    let drained = desk.held();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "configuration": served.revision,
        "uptime_seconds": time::now().saturating_duration_since(desk.started).as_secs(),
        "phase": format!("{:?}", desk.lifecycle.phase()).to_lowercase(),
        "drain_seconds_left": seconds_until(drained.as_ref().map(|(until, _)| *until)),
        "drained_until": drained.as_ref().map(|(until, _)| desk.shown_at(*until)),
        "drain_reason": drained.as_ref().and_then(|(_, reason)| reason.as_deref()),
        "calls_in_flight": desk.data_plane.in_flight(),
        "connections": desk.connections.load(Ordering::Relaxed),
        "fetches_in_flight": pipeline.flights(),
        "actions": names(catalog.actions.keys().collect()),
        "callers": names(catalog.callers.keys().collect()),
        "limits": names(catalog.limits.keys().collect()),
        "upstreams": upstreams,
        "log": desk.telemetry.as_ref().map(|telemetry| log_level::told(&desk, telemetry.level())),
    }))
}

/// Seconds until then; zero where there is nothing to wait for.
fn seconds_until(until: Option<Instant>) -> f64 {
    until.map_or(0.0, |until| until.saturating_duration_since(time::now()).as_secs_f64())
}
