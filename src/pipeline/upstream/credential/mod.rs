//! How attempts at one upstream prove who we are: with what the configuration says, or with a token
//! that is issued to us. It goes into one header of the request and nowhere else.

mod issuer;
mod sending;
mod tokens;

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use crate::{
    catalog::{credential::Credential, upstream::Upstream},
    client::ClientError,
    pipeline::upstream::Surroundings,
};

use tokens::Tokens;

/// How one upstream is shown who asks.
#[derive(Debug, Clone)]
pub(super) enum Login {
    /// Not at all.
    None,
    /// By the same header each time.
    Fixed(Header),
    /// By a token that is issued to us.
    Issued(Arc<Tokens>),
}

/// A header that holds a credential. It is never shown.
#[derive(Clone)]
pub(super) struct Header {
    name: HeaderName,
    value: HeaderValue,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Header").field(&self.name).finish()
    }
}

impl Header {
    /// `text` must be visible ASCII, which whoever makes one has seen to.
    fn new(name: HeaderName, text: &str) -> Self {
        let mut value = HeaderValue::try_from(text).expect("it was checked to be visible ASCII");
        value.set_sensitive(true);
        Self { name, value }
    }

    fn bearer(token: &str) -> Self {
        Self::new(AUTHORIZATION, &format!("Bearer {token}"))
    }

    fn basic(user: &str, password: &str) -> Self {
        let text = STANDARD.encode(format!("{user}:{password}"));
        Self::new(AUTHORIZATION, &format!("Basic {text}"))
    }

    /// Puts it in, in place of any other of that name.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(&self.name, self.value.clone());
    }
}

impl Login {
    /// This one of `before`, for `upstream`, which has the same credential. A token that was issued
    /// stays good, however its issuer is reached from now on.
    pub(super) fn succeed(
        &self,
        before: &Upstream,
        upstream: &Upstream,
        around: &Surroundings<'_>,
    ) -> Result<Self, ClientError> {
        match (self, &upstream.credential) {
            (Self::Issued(tokens), Credential::OAuth2(ours))
                if !issuer::is_reached_alike(before, upstream, ours) =>
            {
                Ok(Self::Issued(tokens.succeed(upstream, ours, around)?))
            }
            _ => Ok(self.clone()),
        }
    }

    /// Prepares it; no token is asked for before the first is needed.
    pub(super) fn new(upstream: &Upstream, around: &Surroundings<'_>) -> Result<Self, ClientError> {
        Ok(match &upstream.credential {
            Credential::None => Self::None,
            Credential::Bearer { token } => Self::Fixed(Header::bearer(token.expose())),
            Credential::Basic { user, password } => {
                Self::Fixed(Header::basic(user.expose(), password.expose()))
            }
            Credential::Header { name, value } => {
                Self::Fixed(Header::new(name.clone(), value.expose()))
            }
            Credential::OAuth2(ours) => Self::Issued(Tokens::new(upstream, ours, around)?),
        })
    }
}
