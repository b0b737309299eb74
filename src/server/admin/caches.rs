//! `GET /caches`: how full each cache is and what it is good for. No key, no customer, no caller.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Map, Value, json};

use crate::server::admin::Desk;

/// Shows it.
pub(super) async fn show(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let answers = desk.pipeline().answers();
    let actions: Map<String, Value> = answers
        .actions
        .into_iter()
        .map(|of| {
            let lookups: Map<_, _> = of
                .lookups
                .into_iter()
                .map(|(result, count)| (result.to_owned(), Value::from(count)))
                .collect();
            let told = json!({
                "entries": of.entries,
                "bytes": of.bytes,
                "lookups": lookups,
                "flights": of.flights,
                "waiters": of.waiters,
                "memos": of.memos,
            });
            (of.name.to_string(), told)
        })
        .collect();
    let verdicts: Map<String, Value> = desk
        .pipeline()
        .verdicts()
        .map(|of| {
            let told = json!({
                "good": {"entries": of.good, "capacity": of.good_capacity},
                "refused": {"entries": of.refused, "capacity": of.refused_capacity},
            });
            (of.caller.to_string(), told)
        })
        .collect();
    Json(json!({
        "answers": {
            "entries": answers.entries,
            "bytes": answers.bytes,
            "capacity_bytes": answers.capacity,
            "actions": actions,
        },
        "verdicts": verdicts,
    }))
}
