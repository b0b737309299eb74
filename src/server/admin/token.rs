//! The bearer token of the operator's listener.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header::AUTHORIZATION, header::WWW_AUTHENTICATE},
    middleware::Next,
    response::Response,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    fingerprint::same_secret,
    server::admin::{
        Desk,
        audit::{Door, No, Peer},
    },
};

/// Lets a request pass that carries the token.
pub(super) async fn demand(
    State((desk, token)): State<(Arc<Desk>, Arc<SecretString>)>,
    request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    if same_secret(given.trim().as_bytes(), token.expose_secret().as_bytes()) {
        return next.run(request).await;
    }
    let no = No::new(StatusCode::UNAUTHORIZED, "A bearer token is required here");
    let mut response = desk.audit.turn_away(Door::Token, Peer::of(&request), &no);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}
