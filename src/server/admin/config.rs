//! `GET /config`: what is written in the configuration that is in force, value by value. Secrets and
//! headers are not shown, nor is what a variable holds.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Map, Value, json};

use crate::server::admin::Desk;

/// Shows it, in the order of the file.
pub(super) async fn show(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let served = desk.in_force.now();
    let written: Map<String, Value> =
        served.written.iter().map(|(path, text)| (path.clone(), json!(text))).collect();
    Json(json!({ "configuration": served.revision, "written": written }))
}
