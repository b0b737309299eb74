//! The token endpoint (RFC 6749, client credentials), which User Defined (OAuth) of Genesys Cloud
//! calls: from a form to a token, and the one table of what is told instead.
//!
//! What may be sent is what Genesys sends, and what the RFC says. A client shows its secret by HTTP
//! Basic, or in the form, never both.

use std::time::Duration;

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
        header::{ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    chance,
    pipeline::authenticate::{Denied, Issuer, Word, basic::Shown},
    server::{
        problem::json_response,
        respond::{BASIC, Refusal, whole_seconds},
    },
};

/// Bytes of a request for a token: names and secrets are short.
pub(super) const MAX_BODY: usize = 16 << 10;

const PRAGMA: HeaderName = HeaderName::from_static("pragma");

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoToken {
    /// It is not even looked at.
    Refused(Refusal),
    /// It is not of the form.
    Invalid(&'static str),
    /// Another grant than client credentials.
    GrantType,
    /// There are no scopes here.
    Scope,
    /// The client is not known by what it shows, if anything.
    Client,
    /// Too many wrong secrets.
    Throttled(Duration),
}

/// Answers a request for a token: the head and the body of one, or why it was not read. `unread`:
/// there is a body that may be left where it is.
pub(super) fn answer(
    issuer: &Issuer,
    read: Result<(&HeaderMap, &[u8]), Refusal>,
    unread: bool,
) -> Response<Body> {
    let request_id = chance::hex128();
    let issued =
        read.map_err(NoToken::Refused).and_then(|(headers, body)| issue(issuer, headers, body));
    let (status, body) = match &issued {
        Ok(body) => (StatusCode::OK, body.clone()),
        Err(no) => (no.status(), json!({ "error": no.error(), "error_description": no.detail() })),
    };
    let result = issued.as_ref().map_or_else(|no| no.result(), |_| "issued");
    issuer.count(result);
    // Neither whose token it is nor anything that was sent.
    tracing::info!(
        target: "holdline::token",
        request_id = &*request_id,
        caller = issuer.name().as_str(),
        result,
        status = status.as_u16(),
        "token request ended"
    );
    let body = body.to_string().into_bytes().into();
    let mut response = json_response(status, "application/json", body, &request_id);
    let headers = response.headers_mut();
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    if let Err(no) = issued {
        no.add_headers(headers, unread);
    }
    response
}

fn issue(issuer: &Issuer, headers: &HeaderMap, body: &[u8]) -> Result<Value, NoToken> {
    if !is_form(headers) {
        return Err(NoToken::Refused(Refusal::ContentType));
    }
    let form = Form::read(body)?;
    match form.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(NoToken::GrantType),
        None => return Err(NoToken::Invalid("grant_type is missing")),
    }
    if form.scope.is_some() {
        return Err(NoToken::Scope);
    }
    let grant = issuer.grant(&shown(headers, form)?).map_err(|denied| match denied {
        Denied::Wrong => NoToken::Client,
        Denied::Throttled { retry_after } => NoToken::Throttled(retry_after),
    })?;
    Ok(json!({
        "access_token": grant.token.expose_secret(),
        "token_type": "Bearer",
        "expires_in": grant.lasts.as_secs(),
    }))
}

/// Whether a body is a form as far as its headers tell. No content type at all is let pass, as for
/// calls.
fn is_form(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return true };
    let text = content_type.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The parameters that mean something here; the others are ignored.
#[derive(Default)]
struct Form {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
}

impl Form {
    fn read(body: &[u8]) -> Result<Self, NoToken> {
        let mut form = Self::default();
        // A template may leave a line end behind it.
        for (name, value) in form_urlencoded::parse(body.trim_ascii()) {
            let place = match &*name {
                "grant_type" => &mut form.grant_type,
                "client_id" => &mut form.client_id,
                "client_secret" => &mut form.client_secret,
                "scope" => &mut form.scope,
                _ => continue,
            };
            // One without a value counts as left out.
            if !value.is_empty() && place.replace(value.into_owned()).is_some() {
                return Err(NoToken::Invalid("A parameter is there twice"));
            }
        }
        Ok(form)
    }
}

/// What the client shows, in each way to read it.
fn shown(headers: &HeaderMap, form: Form) -> Result<Vec<Shown>, NoToken> {
    let mut headers = headers.get_all(AUTHORIZATION).iter();
    match (headers.next(), headers.next()) {
        (Some(_), Some(_)) => Err(NoToken::Invalid("Authorization is there twice")),
        (Some(_), None) if form.client_secret.is_some() => {
            Err(NoToken::Invalid("The client shows its secret twice: by Basic and in the form"))
        }
        (Some(value), None) => {
            let encoded = value.to_str().ok().and_then(|value| Word::Basic.before(value));
            let plain = encoded.and_then(Shown::read).ok_or(NoToken::Client)?;
            // By the RFC both parts are form-encoded before they are joined. Genesys' template joins
            // them as they are; so do many.
            let decoded = Shown { client: decoded(&plain.client), secret: decoded(&plain.secret) };
            let named = form.client_id.as_ref();
            if named.is_some_and(|id| *id != plain.client && *id != decoded.client) {
                return Err(NoToken::Invalid("client_id is not the client of Authorization"));
            }
            Ok(vec![plain, decoded])
        }
        (None, _) => match (form.client_id, form.client_secret) {
            (Some(client), Some(secret)) => Ok(vec![Shown { client, secret }]),
            _ => Err(NoToken::Client),
        },
    }
}

/// A text that was form-encoded as a value.
fn decoded(text: &str) -> String {
    // What separates the parameters of a form is text here.
    let value = text.replace('&', "%26").replace('=', "%3D");
    let (value, _) = form_urlencoded::parse(value.as_bytes()).next().unwrap_or_default();
    value.into_owned()
}

impl NoToken {
    fn status(self) -> StatusCode {
        match self {
            Self::Refused(refusal) => refusal.status(),
            Self::Invalid(_) | Self::GrantType | Self::Scope => StatusCode::BAD_REQUEST,
            Self::Client => StatusCode::UNAUTHORIZED,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The word of RFC 6749, 5.2. It has none for those who should come later; 4.1.2.1 has.
    fn error(self) -> &'static str {
        match self {
            Self::Refused(Refusal::Shed | Refusal::Draining) | Self::Throttled(_) => {
                "temporarily_unavailable"
            }
            Self::Refused(_) | Self::Invalid(_) => "invalid_request",
            Self::GrantType => "unsupported_grant_type",
            Self::Scope => "invalid_scope",
            Self::Client => "invalid_client",
        }
    }

    /// The word in `token_requests_total`.
    fn result(self) -> &'static str {
        match self {
            Self::Refused(Refusal::Shed | Refusal::Draining) => "unavailable",
            Self::Refused(_) | Self::Invalid(_) | Self::GrantType | Self::Scope => {
                "invalid_request"
            }
            Self::Client => "invalid_client",
            Self::Throttled(_) => "throttled",
        }
    }

    fn detail(self) -> String {
        let text = match self {
            Self::Refused(Refusal::ContentType) => {
                "Content-Type must be application/x-www-form-urlencoded"
            }
            Self::Refused(Refusal::ContentEncoding) => "Content-Encoding is not supported",
            Self::Refused(refusal) => return refusal.detail().into_owned(),
            Self::Invalid(text) => text,
            Self::GrantType => "grant_type must be client_credentials",
            Self::Scope => "There are no scopes here; leave scope out",
            Self::Client => "The client shows no secret, or none that is known",
            Self::Throttled(_) => "Too many wrong secrets were shown for this client",
        };
        text.to_owned()
    }

    fn add_headers(self, headers: &mut HeaderMap, unread: bool) {
        match self {
            Self::Refused(refusal) => {
                if refusal == Refusal::Method {
                    headers.insert(ALLOW, HeaderValue::from_static("POST"));
                }
                if matches!(refusal, Refusal::Shed | Refusal::Draining) {
                    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
                }
                if refusal.ends_connection() || (unread && refusal == Refusal::Method) {
                    headers.insert(CONNECTION, HeaderValue::from_static("close"));
                }
            }
            Self::Client => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(BASIC));
            }
            Self::Throttled(wait) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
            }
            Self::Invalid(_) | Self::GrantType | Self::Scope => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_form_encoded_is_decoded_and_what_separates_a_form_is_text() {
        for (text, expected) in [
            ("ivr", "ivr"),
            ("a%2Bb", "a+b"),
            ("a+b", "a b"),
            ("a=b&c", "a=b&c"),
            ("a%3Ab%25", "a:b%"),
            ("%zz", "%zz"),
            ("", ""),
        ] {
            assert_eq!(decoded(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_parameter_may_be_there_once_and_without_a_value_not_at_all() {
        let form = Form::read(b"grant_type=client_credentials&client_id=&x=1&x=2\r\n");
        let form = form.unwrap_or_default();
        assert_eq!(form.grant_type.as_deref(), Some("client_credentials"));
        assert!(form.client_id.is_none());
        assert!(Form::read(b"client_id=a&client_id=a").is_err());
        assert!(Form::read(b"client_id=a&client_id=").is_ok());
    }
}
