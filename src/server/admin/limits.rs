//! `GET /limits`: how each rate limit stands, and how much of the caps on calls under way is used.
//! Numbers only: who it is that is limited is nobody's name here.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::{catalog::limit::LimitKey, pipeline::rate_limit::LimitState, server::admin::Desk};

/// Shows it.
pub(super) async fn show(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let limits: Vec<Value> = desk.pipeline().limits().map(|state| limit(&state)).collect();
    let caps = desk.data_plane.caps();
    let per_org = desk.pipeline().orgs_in_flight().map(|used| {
        json!({
            "organisations": used.orgs,
            "calls_of_the_largest": used.largest,
            "max_calls_of_one": used.most,
        })
    });
    Json(json!({
        "limits": limits,
        "in_flight": {
            "calls": caps.count(),
            "max_calls": caps.max_count(),
            "bytes": caps.bytes(),
            "max_bytes": caps.max_bytes(),
            "per_org": per_org,
        },
    }))
}

fn limit(state: &LimitState<'_>) -> Value {
    let limit = state.limit;
    json!({
        "name": limit.name.as_str(),
        "key": limit.key.iter().map(LimitKey::to_string).collect::<Vec<_>>(),
        // A period is whole nanoseconds; the rate was written with few digits.
        "rate_per_second": (1e6 / limit.period.as_secs_f64()).round() / 1e6,
        "burst": limit.burst,
        "enforce": limit.enforce,
        "tracked_keys": state.tracked,
        "allowed": state.allowed,
        "limited": state.limited,
        "shadow_limited": state.shadowed,
    })
}
