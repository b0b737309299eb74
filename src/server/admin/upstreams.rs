//! `GET /upstreams`: how each upstream stands. `POST /breakers/{upstream}`: its breaker is forced for
//! a while, or given back to its own rules. The breakers of token authorities cannot be forced here:
//! there is nothing to answer with while nobody can be asked who calls.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    pipeline::{operate::Force, upstream::Condition},
    server::admin::{
        Desk,
        audit::{Asked, Change, No},
        wish,
    },
    time::{self, Instant},
};

const USAGE: &str = "Write {\"state\": \"open\"}, \"closed\", \"observe\" or \"auto\"; beside the first \
                     three \"for\", such as \"10m\"; and a \"reason\" if you like";

/// What may be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    state: String,
    r#for: Option<String>,
    reason: Option<String>,
}

/// What is asked of a breaker: a force for a time, or none.
struct Order {
    force: Option<(Force, Duration)>,
    reason: Option<Arc<str>>,
}

/// Shows every upstream.
pub(super) async fn show(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let pipeline = desk.pipeline();
    let upstreams: Vec<Value> = pipeline.upstreams().map(|it| told(&desk, &it)).collect();
    Json(json!({ "upstreams": upstreams }))
}

/// Forces a breaker, or gives it back, and shows how its upstream stands then.
pub(super) async fn force(
    State(desk): State<Arc<Desk>>,
    upstream: Result<Path<String>, PathRejection>,
    asked: Asked,
) -> Response {
    let order = match asked.body.and_then(|body| read(&body).map_err(No::usage)) {
        Ok(order) => order,
        Err(no) => return desk.audit.refuse(Change::Breaker, asked.peer, &no),
    };
    let upstream = upstream.map(|Path(name)| name).unwrap_or_default();
    let reason = order.reason.clone();
    let pipeline = desk.pipeline();
    let condition = match order.force {
        Some((force, lasts)) => pipeline.force_breaker(&upstream, force, lasts, reason),
        None => pipeline.release_breaker(&upstream),
    };
    let Some(condition) = condition else {
        let no = No::new(
            StatusCode::NOT_FOUND,
            wish::unknown("upstream", pipeline.catalog().upstreams.keys()),
        );
        return desk.audit.refuse(Change::Breaker, asked.peer, &no);
    };
    desk.audit.made(Change::Breaker);
    let until = order.force.map(|(_, lasts)| desk.shown_at(time::now() + lasts));
    tracing::info!(
        target: "holdline::audit",
        upstream = condition.name.as_str(),
        state = order.force.map_or("auto", |(force, _)| force.as_str()),
        until,
        reason = order.reason.as_deref(),
        peer = asked.peer.shown(),
        "breaker set"
    );
    Json(told(&desk, &condition)).into_response()
}

fn read(body: &[u8]) -> Result<Order, &'static str> {
    let wish: Wish = wish::object(body).ok_or(USAGE)?;
    let force = match &*wish.state {
        "open" => Some(Force::Open),
        "closed" => Some(Force::Closed),
        "observe" => Some(Force::Observe),
        "auto" => None,
        _ => return Err(USAGE),
    };
    let reason = wish::reason(wish.reason).ok_or(wish::WHY)?;
    let force = match (force, wish.r#for.as_deref()) {
        (Some(force), text) => Some((force, wish::lasts(text).ok_or(wish::HOW_LONG)?)),
        (None, None) => None,
        (None, Some(_)) => return Err("`auto` ends a force at once: remove `for`"),
    };
    Ok(Order { force, reason })
}

/// How an upstream stands. The one place that writes it down.
fn told(desk: &Desk, upstream: &Condition<'_>) -> Value {
    json!({
        "name": upstream.name.as_str(),
        "breaker": breaker(desk, upstream),
        "attempts_in_flight": upstream.in_flight,
        "attempts_limit": upstream.limit,
        "attempts_waiting": upstream.waiting,
        "refreshes_waiting": upstream.refreshes_waiting,
        "retry_budget_left": upstream.budget_left,
        "held_seconds_left": upstream.not_before_left.as_secs_f64(),
        "quota_left": upstream.quota_left,
        "token_seconds_left": upstream.token_left.map(|left| left.as_secs_f64()),
        "p50_seconds": upstream.median.map(|time| time.as_secs_f64()),
        "p95_seconds": upstream.p95.map(|time| time.as_secs_f64()),
    })
}

fn breaker(desk: &Desk, upstream: &Condition<'_>) -> Value {
    let (breaker, now) = (&upstream.breaker, time::now());
    let left = |until: Instant| until.saturating_duration_since(now).as_secs_f64();
    let since = breaker.since.unwrap_or(desk.started);
    let forced = breaker.forced.as_ref().map(|forced| {
        json!({
            "state": forced.force.as_str(),
            "until": desk.shown_at(forced.until),
            "seconds_left": left(forced.until),
            "reason": forced.reason.as_deref(),
        })
    });
    json!({
        "state": breaker.state.as_str(),
        "for_seconds": now.saturating_duration_since(since).as_secs_f64(),
        // What it would be if it did not only observe.
        "would_be": breaker.would_be.map(|state| state.as_str()),
        "open_seconds_left": breaker.open_until.map_or(0.0, left),
        "ramp_seconds_left": breaker.ramp_left.as_secs_f64(),
        "failures": breaker.failures,
        "slow": breaker.slow,
        "attempts": breaker.attempts,
        "failure_ratio": breaker.failure_ratio,
        "slow_ratio": breaker.slow_ratio,
        "forced": forced,
    })
}
