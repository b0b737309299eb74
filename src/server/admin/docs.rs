//! `GET /openapi.json` and `GET /docs`: the actions in force, for machines and for people.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Json,
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::{
    export::{Site, openapi, page},
    server::admin::Desk,
};

/// The document.
pub(super) async fn openapi(State(desk): State<Arc<Desk>>) -> Json<Value> {
    Json(document(&desk))
}

/// The same as a page.
pub(super) async fn page(State(desk): State<Arc<Desk>>) -> Response {
    quiet(page::of(&document(&desk)))
}

/// A page with our own style, which may load nothing and be framed by nobody.
pub(super) fn quiet(page: String) -> Response {
    let style = BASE64_STANDARD.encode(digest(&SHA256, page::STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Html(page)).into_response()
}

fn document(desk: &Desk) -> Value {
    let served = desk.in_force.now();
    let settings = &served.settings;
    let origin = settings.origin();
    let site = Site {
        origin: &origin,
        base_path: &settings.base_path,
        asks_for_certificates: settings.asks_for_certificates(),
    };
    openapi::document(served.pipeline.catalog(), site)
}
