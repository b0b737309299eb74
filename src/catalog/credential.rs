//! Credentials: by which attempts at an upstream prove who we are.

use std::fmt;

use http::{HeaderName, header::AUTHORIZATION};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::fingerprint::same_secret;

/// How an upstream is shown who asks. Two are equal where they would be taken for the same, secrets
/// included: what was issued to one is good for the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Not at all, or by a header that stands among the upstream's own.
    None,
    /// By a token in `Authorization`.
    Bearer {
        /// The token, without the word before it.
        token: Secret,
    },
    /// By a user and a password in `Authorization` (RFC 7617).
    Basic {
        /// The user, who may stand in a secret file too.
        user: Secret,
        /// The password.
        password: Secret,
    },
    /// By a header of the upstream's own choice.
    Header {
        /// Its name.
        name: HeaderName,
        /// Its whole value.
        value: Secret,
    },
    /// By a token in `Authorization` that is issued to us (OAuth 2, client credentials).
    OAuth2(Box<ClientCredentials>),
}

/// What a token is asked for with (RFC 6749, 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// Where tokens are issued.
    pub token_url: Url,
    /// The name under which we are known there; it may stand in a secret file too.
    pub client_id: Secret,
    /// What proves it.
    pub client_secret: Secret,
    /// What the token shall be good for; `None`: what the issuer thinks right.
    pub scope: Option<String>,
}

impl Credential {
    /// The header that it is sent in.
    pub fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::None => None,
            Self::Bearer { .. } | Self::Basic { .. } | Self::OAuth2(_) => Some(&AUTHORIZATION),
            Self::Header { name, .. } => Some(name),
        }
    }
}

/// A secret that can be compared with another. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Makes a secret of a text.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text: for the wire, and nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        same_secret(self.expose().as_bytes(), other.expose().as_bytes())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn oauth2(client_secret: &str, scope: Option<&str>) -> Credential {
        Credential::OAuth2(Box::new(ClientCredentials {
            token_url: Url::parse("https://login.example.com/token").unwrap(),
            client_id: secret("holdline"),
            client_secret: secret(client_secret),
            scope: scope.map(str::to_owned),
        }))
    }

    #[test]
    fn credentials_are_equal_where_every_part_of_them_is() {
        let basic =
            |user, password| Credential::Basic { user: secret(user), password: secret(password) };
        let header = |name: &'static str, value| Credential::Header {
            name: HeaderName::from_static(name),
            value: secret(value),
        };
        let all = [
            Credential::None,
            Credential::Bearer { token: secret("a") },
            Credential::Bearer { token: secret("b") },
            basic("a", "b"),
            basic("a", "c"),
            basic("b", "b"),
            header("x-a", "a"),
            header("x-a", "b"),
            header("x-b", "a"),
            oauth2("a", None),
            oauth2("b", None),
            oauth2("a", Some("read")),
        ];
        for (here, one) in all.iter().enumerate() {
            for (there, other) in all.iter().enumerate() {
                assert_eq!(*one == other.clone(), here == there, "{here} {there}");
            }
        }
    }

    #[test]
    fn debug_shows_no_part_that_may_be_secret() {
        let text = format!("{:?}", oauth2("S3CRET", Some("read")));
        assert!(!text.contains("S3CRET") && !text.contains("holdline"), "{text}");
        assert!(text.contains("login.example.com") && text.contains("read"), "{text}");
    }
}
