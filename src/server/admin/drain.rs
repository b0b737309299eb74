//! `POST /drain`, `POST /undrain`: takes this instance out of rotation by hand, and back into it.
//!
//! It stays up and answers what still comes, and asks those connections to close. What is drained
//! comes back by itself, so that nobody has to remember it.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    server::admin::{Desk, refused, span},
    time,
};

/// How long where nothing is said: enough for a look, too short to be forgotten for a night.
const USUAL: Duration = Duration::from_secs(10 * 60);
/// How long at most.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Characters of a reason.
const LONGEST_REASON: usize = 200;

const USAGE: &str = "Write {\"for\": \"10m\", \"reason\": \"why\"}, both of which may be left out: a \
                     whole number of s, m or h, from 1s to 24h, and one line of at most 200 \
                     characters";
const STOPPING: &str = "This instance is stopping, which cannot be undone";

/// What may be asked for.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(rename = "for")]
    span: Option<String>,
    reason: Option<String>,
}

/// Says that this instance drains, for a while.
pub(super) async fn begin(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    let refuse = |status, detail| {
        desk.drain_actions.count("refused");
        refused(status, detail)
    };
    let Some((span, reason)) = read(&body) else { return refuse(StatusCode::BAD_REQUEST, USAGE) };
    if desk.lifecycle.hold(time::now() + span).is_err() {
        return refuse(StatusCode::CONFLICT, STOPPING);
    }
    desk.drain_actions.count("done");
    let seconds = span.as_secs();
    tracing::info!(target: "holdline::audit", seconds, reason, "drained by hand");
    told(&desk)
}

/// Says that this instance is ready again.
pub(super) async fn end(State(desk): State<Arc<Desk>>) -> Response {
    let Ok(was_drained) = desk.lifecycle.let_go() else {
        desk.undrain_actions.count("refused");
        return refused(StatusCode::CONFLICT, STOPPING);
    };
    desk.undrain_actions.count("done");
    tracing::info!(target: "holdline::audit", was_drained, "undrained by hand");
    told(&desk)
}

fn told(desk: &Desk) -> Response {
    let left = desk.lifecycle.held_until().map(|until| until.duration_since(time::now()));
    let drained = left.is_some();
    let seconds_left = left.unwrap_or_default().as_secs_f64();
    Json(json!({ "drained": drained, "drain_seconds_left": seconds_left })).into_response()
}

/// For how long, and why. No body at all is the usual time.
fn read(body: &[u8]) -> Option<(Duration, Option<String>)> {
    let Wish { span, reason } = match body.trim_ascii() {
        [] => Wish::default(),
        body => serde_json::from_slice(body).ok()?,
    };
    let span = match span {
        None => USUAL,
        Some(text) => span::read(&text)?,
    };
    let in_bounds = (Duration::from_secs(1)..=LONGEST).contains(&span);
    // It goes into a line of the log.
    let fits = reason.iter().all(|reason| {
        reason.chars().count() <= LONGEST_REASON && !reason.chars().any(char::is_control)
    });
    (in_bounds && fits).then_some((span, reason))
}
