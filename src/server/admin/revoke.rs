//! `POST /tokens/revoke`: proofs that were found good are not taken on trust any more: one token's, a
//! client's, a scheme's, or all. What is asked for is never echoed or logged, but for the scheme.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    catalog::{Catalog, caller::Scheme},
    pipeline::authenticate::{Revoke, Revoked},
    server::admin::{
        Desk,
        audit::{Asked, Change, No},
        wish,
    },
};

/// What may be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default, deserialize_with = "wish::written")]
    token: Option<String>,
    #[serde(default, deserialize_with = "wish::written")]
    caller: Option<String>,
    #[serde(default, deserialize_with = "wish::written")]
    client: Option<String>,
    #[serde(default)]
    all: bool,
}

const USAGE: &str = "Write one of {\"token\": \"...\"}, {\"client\": \"ID\"}, {\"caller\": \"NAME\"}, \
                     {\"caller\": \"NAME\", \"client\": \"ID\"}, {\"all\": true}";

/// Does what is asked for and says how much there was.
pub(super) async fn revoke(State(desk): State<Arc<Desk>>, asked: Asked) -> Response {
    let pipeline = desk.pipeline();
    let body = match asked.body {
        Ok(body) => body,
        Err(no) => return desk.audit.refuse(Change::Revoke, asked.peer, &no),
    };
    let wish = wish::object(&body).ok_or_else(|| USAGE.to_owned());
    let revoke = wish.and_then(|wish: Wish| {
        let scheme = wish.caller.as_deref().map(|name| scheme(pipeline.catalog(), name));
        Ok((wish, scheme.transpose()?))
    });
    let (wish, scheme) = match revoke {
        Ok(read) => read,
        Err(why) => return desk.audit.refuse(Change::Revoke, asked.peer, &No::usage(why)),
    };
    let Some(revoke) = meant(&wish, scheme) else {
        return desk.audit.refuse(Change::Revoke, asked.peer, &No::usage(USAGE));
    };
    let Revoked { forgotten, clients } = pipeline.revoke(revoke);
    desk.audit.made(Change::Revoke);
    tracing::info!(
        target: "holdline::audit",
        scope = revoke.scope(),
        caller = scheme.map(|scheme| scheme.name.as_str()),
        forgotten,
        clients,
        peer = asked.peer.shown(),
        "tokens revoked"
    );
    let told = json!({ "scope": revoke.scope(), "forgotten": forgotten, "clients": clients });
    Json(told).into_response()
}

/// The scheme of that name; the sentence for another.
fn scheme<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Scheme, String> {
    let found = catalog.callers.get(name).map(|scheme| &**scheme);
    found.ok_or_else(|| wish::unknown("caller", catalog.callers.keys()))
}

/// What is revoked; `None` where nothing is named, too much, or nobody.
fn meant<'a>(wish: &'a Wish, scheme: Option<&'a Scheme>) -> Option<Revoke<'a>> {
    let caller = scheme.map(|scheme| &scheme.name);
    let named = [&wish.token, &wish.client].into_iter().flatten();
    if named.into_iter().any(|text| text.is_empty()) {
        return None;
    }
    match (wish.token.as_deref(), wish.client.as_deref(), caller, wish.all) {
        (Some(token), None, None, false) => Some(Revoke::Token(token)),
        (None, None, None, true) => Some(Revoke::Of { caller: None, client: None }),
        (None, client, caller, false) if client.is_some() || caller.is_some() => {
            Some(Revoke::Of { caller, client })
        }
        _ => None,
    }
}
