//! `upstreams.*.auth`: by which attempts at an upstream prove who we are.

use http::{HeaderName, HeaderValue};
use secrecy::ExposeSecret as _;

use crate::{
    catalog::credential::{ClientCredentials, Credential, Secret},
    config::{
        hosts::warn_of_plain_http,
        secrets::{self, CLIENT, FROM_OUTSIDE, Form, HEADER_VALUE, PASSWORD, TOKEN},
        section::{Section, Value},
        spelling::Spelling,
        values::{choice, header, url},
    },
};

#[derive(Clone, Copy)]
enum Type {
    None,
    Bearer,
    Basic,
    Header,
    OAuth2,
}

const TYPES: [(&str, Type); 5] = [
    ("none", Type::None),
    ("bearer", Type::Bearer),
    ("basic", Type::Basic),
    ("header", Type::Header),
    ("oauth2", Type::OAuth2),
];

/// How an upstream is shown who asks.
pub(super) fn auth(value: &Value<'_>) -> Option<Credential> {
    let section = value.section();
    let written = section.written("type", "write none, bearer, basic, header or oauth2")?;
    let credential = match choice(&written, &TYPES)? {
        Type::None => Some(Credential::None),
        Type::Bearer => {
            let token = section.required("token", FROM_OUTSIDE, |value| secret(value, TOKEN));
            token.map(|token| Credential::Bearer { token })
        }
        Type::Basic => basic(&section),
        Type::Header => by_header(&section),
        Type::OAuth2 => oauth2(&section),
    };
    section.finish()?;
    credential
}

fn basic(section: &Section<'_>) -> Option<Credential> {
    let user = section.required("user", "write the user's name", |value| {
        let user = name(value, PASSWORD)?;
        if user.expose().contains(':') {
            value.refuse("has a colon, at which the password would begin", "write another user");
            return None;
        }
        Some(user)
    });
    let password = section.required("password", FROM_OUTSIDE, |value| secret(value, PASSWORD));
    Some(Credential::Basic { user: user?, password: password? })
}

fn by_header(section: &Section<'_>) -> Option<Credential> {
    let name = section.required("name", "write the name of a header, such as X-Api-Key", header);
    let value = section.required("value", FROM_OUTSIDE, |value| secret(value, HEADER_VALUE));
    let (name, _) = name?;
    Some(Credential::Header { name, value: value? })
}

fn oauth2(section: &Section<'_>) -> Option<Credential> {
    const WRITE_URL: &str = "write it like https://login.example.com/oauth/token";
    let token_url = section.required("token_url", WRITE_URL, |value| {
        let url = url(value)?;
        warn_of_plain_http(value, &url);
        Some(url)
    });
    let client_id =
        section.required("client_id", "write the id of our client", |value| name(value, CLIENT));
    let client_secret =
        section.required("client_secret", FROM_OUTSIDE, |value| secret(value, CLIENT));
    let scope = section.optional("scope", scope);
    Some(Credential::OAuth2(Box::new(ClientCredentials {
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scope: scope?,
    })))
}

/// Words with one space between them (RFC 6749, 3.3).
fn scope(value: &Value<'_>) -> Option<String> {
    const INSTEAD: &str = "write words with a space between them, such as `read write`";
    value.is_read_as(|| Spelling::Text);
    let text = value.plain("must be a scope", INSTEAD)?;
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b'"' | b'\\'))
    };
    if !text.split(' ').all(word) {
        value.refuse("must be visible ASCII words with one space between them", INSTEAD);
        return None;
    }
    Some(text.to_owned())
}

/// A secret of that form.
fn secret(value: &Value<'_>, form: Form) -> Option<Secret> {
    let secret = secrets::secret(value, form)?;
    Some(Secret::new(secret.expose_secret().to_owned()))
}

/// Who we are: no secret, but it may stand beside one in a secret file.
fn name(value: &Value<'_>, form: Form) -> Option<Secret> {
    value.is_read_as(|| Spelling::Text);
    let scalar = value.scalar("must be a name", "write one line of text")?;
    let name = secrets::fitting(value, scalar, form, "write another value")?;
    Some(Secret::new(name.to_owned()))
}

/// Refuses other keys that set the header in which the credential is sent: one of the two would be
/// lost without a word.
pub(super) fn refuse_beside(
    section: &Section<'_>,
    name: &HeaderName,
    headers: &[(HeaderName, HeaderValue)],
    idempotency_key: Option<&HeaderName>,
) {
    const WHAT: &str = "is the header in which `auth` sends its credential";
    if headers.iter().any(|(other, _)| other == name) {
        let headers = section.section("headers");
        let same = |text: &str| text.eq_ignore_ascii_case(name.as_str());
        for (_, value) in headers.entries().filter(|(text, _)| same(text)) {
            value.refuse_key(WHAT, "keep one of the two");
        }
    }
    if idempotency_key == Some(name) {
        let value = section.section("retry").value("idempotency_key");
        value.iter().for_each(|value| value.refuse(WHAT, "write another header"));
    }
}
