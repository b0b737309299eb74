//! `POST /cache/purge`: cached answers are removed, or marked stale, by customer, by action, or all.
//! The request says in so many words what it wants; an empty one removes nothing.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    catalog::{
        Catalog,
        action::Action,
        name::Name,
        scalar::{Kind, Scalar},
    },
    pipeline::{cache::Manner, operate::Purge},
    server::admin::{Desk, refused, wish},
};

/// What may be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish<'a> {
    #[serde(borrow)]
    customer: Option<&'a RawValue>,
    action: Option<String>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    soft: bool,
}

const USAGE: &str = "Write one of {\"customer\": \"42\"}, {\"customer\": \"42\", \"action\": \"NAME\"}, \
                     {\"action\": \"NAME\"}, {\"all\": true}; add \"soft\": true to mark stale \
                     what is kept instead of removing it";

/// Does what is asked for and says of how many entries.
pub(super) async fn purge(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    let (purges, manner) = match read(desk.pipeline.catalog(), &body) {
        Ok(read) => read,
        Err(detail) => {
            desk.purge_actions.count("refused");
            return refused(StatusCode::BAD_REQUEST, &detail);
        }
    };
    let scope = purges.first().map_or("all", Purge::scope);
    let each = purges.iter().map(|purge| desk.pipeline.purge(purge, manner, &desk.purges));
    let count: u64 = each.sum();
    desk.purge_actions.count("done");
    let manner_word = manner.as_str();
    tracing::info!(target: "holdline::audit", scope, manner = manner_word, count, "cache purged");
    let told = match manner {
        Manner::Hard => json!({ "scope": scope, "removed": count }),
        Manner::Soft => json!({ "scope": scope, "soft": true, "marked": count }),
    };
    Json(told).into_response()
}

fn read(catalog: &Catalog, body: &[u8]) -> Result<(Vec<Purge>, Manner), String> {
    let wish: Wish<'_> = wish::object(body).ok_or_else(|| USAGE.to_owned())?;
    let action = match wish.action {
        None => None,
        Some(text) => Some(catalog.action(&text).ok_or_else(|| no_such_action(catalog))?),
    };
    let purges = match (wish.customer, action, wish.all) {
        (Some(customer), action, false) => customers(catalog, customer, action)?,
        (None, Some(action), false) => vec![Purge::Action(action.name.clone())],
        (None, None, true) => vec![Purge::All],
        _ => return Err(USAGE.to_owned()),
    };
    Ok((purges, if wish.soft { Manner::Soft } else { Manner::Hard }))
}

/// A purge for each action that keeps answers by customer, with the customer read as that action
/// reads it: `"42"`, `42` and `42.0` are one customer here too.
fn customers(
    catalog: &Catalog,
    customer: &RawValue,
    only: Option<&Arc<Action>>,
) -> Result<Vec<Purge>, String> {
    let actions = catalog.actions.values();
    let keeping = actions
        .filter(|action| only.is_none_or(|only| only.name == action.name))
        .filter_map(|action| Some((action, action.customer()?)));
    let mut purges = Vec::new();
    for (action, field) in keeping {
        if let Some(customer) = text(customer, field.kind) {
            purges.push(Purge::Customer { customer, action: action.name.clone() });
        }
    }
    if purges.is_empty() {
        return Err("No action keeps answers about a customer of that form".to_owned());
    }
    Ok(purges)
}

/// The customer as an input of that kind has it. A number may stand for its text: whoever purges
/// should not have to know which action reads it how.
fn text(customer: &RawValue, kind: Kind) -> Option<String> {
    match Scalar::read(customer, kind) {
        Ok(value) => Some(value.as_text().into_owned()),
        Err(_) if kind == Kind::String => {
            let number = Scalar::read(customer, Kind::Integer).ok()?;
            Some(number.as_text().into_owned())
        }
        Err(_) => None,
    }
}

fn no_such_action(catalog: &Catalog) -> String {
    let names: Vec<&str> = catalog.actions.keys().map(Name::as_str).collect();
    format!("There is no action of that name; there are: {}", names.join(", "))
}
