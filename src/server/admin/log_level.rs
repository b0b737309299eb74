//! `POST /log-level`: more log lines for a while, or fewer. It falls back by itself to what is
//! configured. `off` cannot be forced: it would silence the audit of whoever did it.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    server::admin::{
        Desk,
        audit::{Asked, Change, No},
        wish,
    },
    settings::LogLevel,
    telemetry::log::{Forced, Level},
    time,
};

const USAGE: &str = "Write {\"level\": \"debug\"}, \"error\", \"warn\", \"info\", \"trace\" or \"auto\"; beside all \
                     but the last \"for\", such as \"10m\"; and a \"reason\" if you like";
const NOT_OURS: &str = "The log of this process is not kept by Holdline";

/// What can be forced.
const LEVELS: [LogLevel; 5] =
    [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];

/// What may be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    level: String,
    r#for: Option<String>,
    reason: Option<String>,
}

/// What is asked: a level for a time, or that of the configuration.
struct Order {
    force: Option<(LogLevel, Duration)>,
    reason: Option<Arc<str>>,
}

/// Forces the level, or gives it back, and shows how it stands then.
pub(super) async fn force(State(desk): State<Arc<Desk>>, asked: Asked) -> Response {
    let order = asked.body.and_then(|body| read(&body).map_err(No::usage));
    let found = order.and_then(|order| match &desk.telemetry {
        Some(telemetry) => Ok((order, telemetry.level())),
        None => Err(No::new(StatusCode::CONFLICT, NOT_OURS)),
    });
    let (Order { force, reason }, level) = match found {
        Ok(found) => found,
        Err(no) => return desk.audit.refuse(Change::LogLevel, asked.peer, &no),
    };
    let until = force.map(|(_, lasts)| time::now() + lasts);
    match (force, until) {
        (Some((forced, _)), Some(until)) => {
            level.force(Forced { level: forced, until, reason: reason.clone() });
        }
        _ => level.release(),
    }
    desk.audit.made(Change::LogLevel);
    tracing::info!(
        target: "holdline::audit",
        log_level = force.map_or("auto", |(forced, _)| forced.as_str()),
        until = until.map(|until| desk.shown_at(until)),
        reason = reason.as_deref(),
        peer = asked.peer.shown(),
        "log level set"
    );
    Json(told(&desk, level)).into_response()
}

/// How the level stands. The one place that writes it down.
pub(super) fn told(desk: &Desk, level: &Level) -> Value {
    let forced = level.forced().map(|forced| {
        json!({
            "until": desk.shown_at(forced.until),
            "seconds_left": forced.until.saturating_duration_since(time::now()).as_secs_f64(),
            "reason": forced.reason.as_deref(),
        })
    });
    json!({
        "level": level.get().as_str(),
        "configured": level.configured().as_str(),
        "forced": forced,
    })
}

fn read(body: &[u8]) -> Result<Order, &'static str> {
    let wish: Wish = wish::object(body).ok_or(USAGE)?;
    let level = LEVELS.into_iter().find(|level| level.as_str() == wish.level);
    if level.is_none() && wish.level != "auto" {
        return Err(USAGE);
    }
    let reason = wish::reason(wish.reason).ok_or(wish::WHY)?;
    let force = match (level, wish.r#for.as_deref()) {
        (Some(level), text) => Some((level, wish::lasts(text).ok_or(wish::HOW_LONG)?)),
        (None, None) => None,
        (None, Some(_)) => return Err("`auto` ends what is forced at once: remove `for`"),
    };
    Ok(Order { force, reason })
}
