//! `POST /cache/purge`: cached answers are removed, or marked stale, by customer, by action, or all.
//! The request says in so many words what it wants; an empty one removes nothing.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
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
    server::admin::{
        Desk,
        audit::{Asked, Change, No},
        wish,
    },
};

/// What may be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish<'a> {
    #[serde(borrow, default, deserialize_with = "wish::written")]
    customer: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "wish::written")]
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
pub(super) async fn purge(State(desk): State<Arc<Desk>>, asked: Asked) -> Response {
    let pipeline = desk.pipeline();
    let catalog = pipeline.catalog();
    let read = asked.body.and_then(|body| read(catalog, &body).map_err(No::usage));
    let Order { purges, action, manner } = match read {
        Ok(order) => order,
        Err(no) => return desk.audit.refuse(Change::Purge, asked.peer, &no),
    };
    let scope = purges.first().map_or("all", Purge::scope);
    let each = purges.iter().map(|purge| pipeline.purge(purge, manner, &desk.purges));
    let count: u64 = each.sum();
    desk.audit.made(Change::Purge);
    tracing::info!(
        target: "holdline::audit",
        scope,
        action = action.as_ref().map(Name::as_str),
        manner = manner.as_str(),
        count,
        peer = asked.peer.shown(),
        "cache purged"
    );
    let told = match manner {
        Manner::Hard => json!({ "scope": scope, "removed": count }),
        Manner::Soft => json!({ "scope": scope, "soft": true, "marked": count }),
    };
    Json(told).into_response()
}

/// What is to be removed, and how.
struct Order {
    purges: Vec<Purge>,
    /// The action that was named, where one was.
    action: Option<Name>,
    manner: Manner,
}

fn read(catalog: &Catalog, body: &[u8]) -> Result<Order, String> {
    let wish: Wish<'_> = wish::object(body).ok_or_else(|| USAGE.to_owned())?;
    let action = match wish.action {
        None => None,
        Some(text) => Some(
            catalog.action(&text).ok_or_else(|| wish::unknown("action", catalog.actions.keys()))?,
        ),
    };
    let purges = match (wish.customer, action, wish.all) {
        (Some(customer), ..) if customer.get() == "null" => return Err(USAGE.to_owned()),
        (Some(customer), action, false) => customers(catalog, customer, action)?,
        (None, Some(action), false) => vec![Purge::Action(action.name.clone())],
        (None, None, true) => vec![Purge::All],
        _ => return Err(USAGE.to_owned()),
    };
    let manner = if wish.soft { Manner::Soft } else { Manner::Hard };
    Ok(Order { purges, action: action.map(|action| action.name.clone()), manner })
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
    let keeping: Vec<_> = keeping.collect();
    if keeping.is_empty() {
        return Err(keeps_none(only.map(|only| &only.name)));
    }
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

fn keeps_none(action: Option<&Name>) -> String {
    match action {
        Some(name) => format!(
            "{name} keeps no answers by customer: write {{\"action\": \"{name}\"}} to purge all of \
             its answers, or configure actions.{name}.cache.customer"
        ),
        None => "No action keeps answers by customer; `cache.customer` of an action says by which \
                 of its inputs"
            .to_owned(),
    }
}
