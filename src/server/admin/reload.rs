//! `POST /reload`: the configuration is read anew and put in force, whole or not at all.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    chance,
    server::{
        admin::{
            Desk,
            audit::{Asked, Change, No},
            wish,
        },
        problem::problem_with,
    },
    telemetry::outcome::Outcome,
};

const USAGE: &str = "Write {\"reason\": \"why\"}, which may be left out";
const REFUSED: &str = "The configuration was refused, the one before stays in force";

/// Who reads the configuration anew when an operator says so.
#[async_trait]
pub trait Reload: fmt::Debug + Send + Sync {
    /// Reads it and puts it in force. The changes, one line each; none where nothing changed.
    ///
    /// # Errors
    /// Every problem, one line each; nothing was changed then.
    async fn reload(&self) -> Result<Vec<String>, Vec<String>>;
}

/// What may be asked.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Wish {
    reason: Option<String>,
}

/// Reads the configuration and says what came of it.
pub(super) async fn now(State(desk): State<Arc<Desk>>, asked: Asked) -> Response {
    let reason = match asked.body.and_then(|body| read(&body).map_err(No::usage)) {
        Ok(reason) => reason,
        Err(no) => return desk.audit.refuse(Change::Reload, asked.peer, &no),
    };
    let changed = match desk.reload.reload().await {
        Ok(changed) => changed,
        Err(problems) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            desk.audit.refused(Change::Reload, asked.peer, &No::new(status, REFUSED));
            let members = json!({ "problems": problems });
            let (code, id) = (Outcome::BadRequest, chance::hex128());
            return problem_with(status, code, REFUSED, &id, members);
        }
    };
    desk.audit.made(Change::Reload);
    tracing::info!(
        target: "holdline::audit",
        changes = changed.len(),
        reason = reason.as_deref(),
        peer = asked.peer.shown(),
        "reloaded by hand"
    );
    let revision = &desk.in_force.now().revision;
    Json(json!({ "changed": changed, "revision": revision })).into_response()
}

/// Why.
fn read(body: &[u8]) -> Result<Option<Arc<str>>, &'static str> {
    let Wish { reason } = wish::object_or_nothing(body).ok_or(USAGE)?;
    wish::reason(reason).ok_or(wish::WHY)
}
