//! The bearer token of the operator's listener.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwapOption;
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

/// The token that is asked for, where one is. Clones show the same one.
#[derive(Clone)]
pub struct Token(Arc<ArcSwapOption<SecretString>>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.0.load().is_some()).finish()
    }
}

impl Token {
    /// That one; `None`: none is asked for.
    pub fn new(token: Option<SecretString>) -> Self {
        Self(Arc::new(ArcSwapOption::from_pointee(token)))
    }

    /// Asks for another from now on.
    pub fn put(&self, token: Option<SecretString>) {
        self.0.store(token.map(Arc::new));
    }
}

/// Lets a request pass that carries the token.
pub(super) async fn demand(
    State(desk): State<Arc<Desk>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(token) = desk.token.0.load_full() else { return next.run(request).await };
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
