//! `GET /explain/{id}`: what happened to one of the last calls, step by step, and what decided it.
//! `GET /explain`: the last calls that did not succeed, for whoever has no id. Nothing of what was
//! asked or answered, and nothing of who asked.

mod look_at;
mod sentence;
mod wanted;

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    server::admin::{Desk, refused},
    telemetry::{
        recent::{Id, Recalled},
        report::millis,
        stage::Stage,
        steps::Steps,
        trail::Step,
    },
    time::{self, Instant},
};

use wanted::Wanted;

/// Explains one call, by its request id or by its trace.
pub(super) async fn one(
    State(desk): State<Arc<Desk>>,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(id) = id.ok().and_then(|Path(id)| Id::read(&id)) else {
        let how = "An id is 32 hexadecimal digits: that of a request, from `X-Request-Id`, or that of a \
                   trace";
        return refused(StatusCode::BAD_REQUEST, &format!("{how}. {}", how_long(&desk)));
    };
    match desk.recent.find(&id) {
        Some(call) => Json(whole(&desk, &call)).into_response(),
        None => {
            let none = "No call of this id has ended here lately";
            refused(StatusCode::NOT_FOUND, &format!("{none}. {}", how_long(&desk)))
        }
    }
}

/// Lists the last calls that did not succeed, or those that are asked for.
pub(super) async fn list(State(desk): State<Arc<Desk>>, RawQuery(query): RawQuery) -> Response {
    let pipeline = desk.pipeline();
    let wanted = match Wanted::read(query.as_deref().unwrap_or_default(), pipeline.catalog()) {
        Ok(wanted) => wanted,
        Err(why) => return refused(StatusCode::BAD_REQUEST, &why),
    };
    let calls = desk.recent.newest(wanted.most, |call| wanted.takes(call));
    let calls: Vec<Value> = calls.iter().map(|call| line(&desk, call)).collect();
    let since = desk.recent.since().map(|since| shown(&desk, since));
    Json(json!({ "calls": calls, "remembers": desk.recent.room(), "since": since })).into_response()
}

/// How long calls are remembered.
fn how_long(desk: &Desk) -> String {
    let room = desk.recent.room();
    let since = match desk.recent.since() {
        Some(since) => format!("now those since {}", shown(desk, since)),
        None => "of which there was none yet".to_owned(),
    };
    format!("The last {room} calls of this instance are remembered, {since}")
}

/// A call in short: what stands in a list.
fn line(desk: &Desk, call: &Recalled) -> Value {
    json!({
        "request_id": call.request_id(),
        "began": shown(desk, call.began),
        "seconds_ago": seconds_ago(call.began),
        "action": call.action(),
        "upstream": call.upstream(),
        "outcome": call.outcome.as_str(),
        "class": call.outcome.class().as_str(),
        "status": call.status,
        "duration_ms": millis(call.took),
        "what": sentence::what(call),
    })
}

/// All that is known of a call.
fn whole(desk: &Desk, call: &Recalled) -> Value {
    let steps = call.steps();
    let of = Steps::of(&steps);
    let shown: Vec<Value> = of.as_begun().iter().map(|step| told(step, call.began)).collect();
    let mut whole = line(desk, call);
    let more = json!({
        "trace_id": format!("{:032x}", call.trace_id),
        "source": call.source.as_str(),
        "waited_ms": millis(call.waited),
        "age_s": call.age.as_secs(),
        "attempts": of.attempts() + call.left_out,
        "breaker": call.met.breaker,
        "not_repeated": call.met.not_repeated,
        "detail": call.detail.as_deref(),
        "steps": shown,
        "steps_left_out": call.left_out,
        "look_at": look_at::next(call),
    });
    if let (Some(whole), Value::Object(more)) = (whole.as_object_mut(), more) {
        whole.extend(more);
    }
    whole
}

/// A step, with its times from the beginning of its call.
fn told(step: &Step, call_began: Instant) -> Value {
    let began = step.began.saturating_duration_since(call_began);
    let mut told = json!({
        "stage": step.stage.as_str(),
        "within": step.stage.depth(),
        "began_ms": millis(began),
        "took_ms": millis(step.took),
        "decision": step.decision,
    });
    if step.stage == Stage::Attempt {
        // A status, or its class where it is a rare one; else why there is none.
        let has_status = step.decision.starts_with(|first: char| first.is_ascii_digit());
        told[if has_status { "status" } else { "error" }] = step.decision.into();
    }
    told
}

/// What the clock on the wall showed at an instant of the past, to the millisecond.
fn shown(desk: &Desk, instant: Instant) -> String {
    let shown = desk.wall.system_time().checked_sub(ago(instant));
    humantime::format_rfc3339_millis(shown.unwrap_or(std::time::UNIX_EPOCH)).to_string()
}

fn seconds_ago(instant: Instant) -> f64 {
    millis(ago(instant)) / 1e3
}

fn ago(instant: Instant) -> Duration {
    time::now().saturating_duration_since(instant)
}
