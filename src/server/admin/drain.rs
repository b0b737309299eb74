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
    server::admin::{Desk, refused, wish},
    time,
};

const USAGE: &str = "Write {\"for\": \"10m\", \"reason\": \"why\"}, both of which may be left out";
const STOPPING: &str = "This instance is stopping, which cannot be undone";

/// What may be asked for.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(rename = "for")]
    lasts: Option<String>,
    reason: Option<String>,
}

/// Says that this instance drains, for a while.
pub(super) async fn begin(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    let refuse = |status, detail| {
        desk.drain_actions.count("refused");
        refused(status, detail)
    };
    let (lasts, reason) = match read(&body) {
        Ok(wish) => wish,
        Err(detail) => return refuse(StatusCode::BAD_REQUEST, detail),
    };
    if desk.lifecycle.hold(time::now() + lasts).is_err() {
        return refuse(StatusCode::CONFLICT, STOPPING);
    }
    desk.drain_actions.count("done");
    let seconds = lasts.as_secs();
    tracing::info!(target: "holdline::audit", seconds, reason = reason.as_deref(), "drained by hand");
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
fn read(body: &[u8]) -> Result<(Duration, Option<Arc<str>>), &'static str> {
    let Wish { lasts, reason } = match body.trim_ascii() {
        [] => Wish::default(),
        body => wish::object(body).ok_or(USAGE)?,
    };
    let lasts = wish::lasts(lasts.as_deref()).ok_or(wish::HOW_LONG)?;
    Ok((lasts, wish::reason(reason).ok_or(wish::WHY)?))
}
