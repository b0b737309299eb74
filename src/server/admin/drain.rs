//! `POST /drain`, `POST /undrain`: takes this instance out of rotation by hand, and back into it.
//!
//! It stays up and answers what still comes, and asks those connections to close. What is drained
//! comes back by itself, so that nobody has to remember it.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    server::admin::{
        Desk,
        audit::{Asked, Change, No},
        wish,
    },
    time,
};

const HOW_TO_DRAIN: &str =
    "Write {\"for\": \"10m\", \"reason\": \"why\"}, both of which may be left out";
const HOW_TO_UNDRAIN: &str = "Write {\"reason\": \"why\"}, which may be left out";
const STOPPING: &str = "This instance is stopping, which cannot be undone";

/// What may be asked of a drain.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(rename = "for")]
    lasts: Option<String>,
    reason: Option<String>,
}

/// What may be asked of its end.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct EndWish {
    reason: Option<String>,
}

/// Says that this instance drains, for a while.
pub(super) async fn begin(State(desk): State<Arc<Desk>>, asked: Asked) -> Response {
    let drained = asked.body.and_then(|body| {
        let (lasts, reason) = read(&body).map_err(No::usage)?;
        let until = time::now() + lasts;
        desk.hold(until, reason.clone()).map_err(|_| No::new(StatusCode::CONFLICT, STOPPING))?;
        Ok((until, reason))
    });
    let (until, reason) = match drained {
        Ok(drained) => drained,
        Err(no) => return desk.audit.refuse(Change::Drain, asked.peer, &no),
    };
    desk.audit.made(Change::Drain);
    tracing::info!(
        target: "holdline::audit",
        until = desk.shown_at(until),
        reason = reason.as_deref(),
        peer = asked.peer.shown(),
        "drained by hand"
    );
    told(&desk)
}

/// Says that this instance is ready again.
pub(super) async fn end(State(desk): State<Arc<Desk>>, asked: Asked) -> Response {
    let ended = asked.body.and_then(|body| {
        let reason = read_end(&body).map_err(No::usage)?;
        let was_drained = desk.lifecycle.let_go();
        Ok((was_drained.map_err(|_| No::new(StatusCode::CONFLICT, STOPPING))?, reason))
    });
    let (was_drained, reason) = match ended {
        Ok(ended) => ended,
        Err(no) => return desk.audit.refuse(Change::Undrain, asked.peer, &no),
    };
    desk.audit.made(Change::Undrain);
    tracing::info!(
        target: "holdline::audit",
        was_drained,
        reason = reason.as_deref(),
        peer = asked.peer.shown(),
        "undrained by hand"
    );
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
    let Wish { lasts, reason } = wish::object_or_nothing(body).ok_or(HOW_TO_DRAIN)?;
    let lasts = wish::lasts(lasts.as_deref()).ok_or(wish::HOW_LONG)?;
    Ok((lasts, wish::reason(reason).ok_or(wish::WHY)?))
}

/// Why it ends.
fn read_end(body: &[u8]) -> Result<Option<Arc<str>>, &'static str> {
    let EndWish { reason } = wish::object_or_nothing(body).ok_or(HOW_TO_UNDRAIN)?;
    wish::reason(reason).ok_or(wish::WHY)
}
