//! The dialects of token authorities: how each is asked about a token, and what its replies mean.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    catalog::{
        caller::{Credentials, Dialect, Introspection},
        name::Name,
    },
    mechanism::breaker::{FailureKind, Verdict},
    pipeline::authenticate::{
        MAX_JWT,
        claims::{Unreadable, caller, claim, is_to_come, seconds},
        contact::Reply,
        verdicts::Good,
    },
};

/// What an authority says.
#[derive(Debug)]
pub(super) enum Said {
    /// The token is good.
    Good(Good),
    /// It is not.
    Refused {
        /// The word for why.
        result: &'static str,
        /// Whether it stays so for a while.
        remember: bool,
    },
}

impl Said {
    fn refused(result: &'static str) -> Self {
        Self::Refused { result, remember: true }
    }
}

/// How many characters a token has at most. Those of Genesys Cloud have a few dozen; an identity
/// provider may issue JWTs and want to be asked about them all the same.
pub(super) fn longest_token(dialect: &Dialect) -> usize {
    match dialect {
        Dialect::Tutorial | Dialect::TokensMe => 4096,
        Dialect::Rfc7662(_) => MAX_JWT,
    }
}

/// The method of a question.
pub(super) fn method(dialect: &Dialect) -> Method {
    match dialect {
        Dialect::Tutorial | Dialect::Rfc7662(_) => Method::POST,
        Dialect::TokensMe => Method::GET,
    }
}

/// What it is called in a trace.
pub(super) fn subject(dialect: &Dialect) -> &'static str {
    match dialect {
        Dialect::Tutorial | Dialect::Rfc7662(_) => "introspection",
        Dialect::TokensMe => "tokens/me",
    }
}

/// The question about a token of visible ASCII.
pub(super) fn question(policy: &Introspection, token: &str) -> Request {
    let mut request = Request::new(method(&policy.dialect), policy.url.clone());
    let (credential, body) = match &policy.dialect {
        Dialect::Tutorial => {
            let body = serde_json::json!({ "token": token }).to_string();
            (format!("Bearer {token}"), Some(("application/json", body)))
        }
        Dialect::TokensMe => (format!("Bearer {token}"), None),
        Dialect::Rfc7662(ours) => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("token", token).append_pair("token_type_hint", "access_token");
            (basic(ours), Some(("application/x-www-form-urlencoded", form.finish())))
        }
    };
    let mut credential = HeaderValue::try_from(credential).expect("visible ASCII can be sent");
    credential.set_sensitive(true);
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, credential);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some((content_type, body)) = body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        *request.body_mut() = Some(body.into());
    }
    request
}

/// Our own credentials, each part encoded as in a form first (RFC 6749, 2.3.1).
fn basic(ours: &Credentials) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(&ours.id), encoded(ours.secret.expose_secret()));
    format!("Basic {}", STANDARD.encode(pair))
}

/// What a reply tells about the authority's health. What it says about the token is none of the
/// breaker's business: a refusal is a good answer.
pub(super) fn health(dialect: &Dialect, reply: &Reply) -> Verdict {
    match (reply.status().as_u16(), dialect) {
        (500.., _) => Verdict::Failure(FailureKind::Other),
        (200, _) => Verdict::Success,
        // It will not talk to us: of no use until somebody mends that.
        _ if refuses_us(dialect, reply) => Verdict::Failure(FailureKind::Other),
        (401 | 403, _) => Verdict::Success,
        _ => Verdict::None,
    }
}

/// Whether a reply says that our own credentials are not those of a client that may ask.
pub(super) fn refuses_us(dialect: &Dialect, reply: &Reply) -> bool {
    let asks_as_a_client = matches!(dialect, Dialect::Rfc7662(_));
    asks_as_a_client
        && match reply.status().as_u16() {
            401 | 403 => true,
            // Or it is the token that it cannot read, and anybody can send one of those.
            400 => serde_json::from_slice::<Value>(reply.body())
                .is_ok_and(|answer| answer["error"] == "invalid_client"),
            _ => false,
        }
}

/// Whether its limit counts each token by itself: others are not held by it.
pub(super) fn limits_each_token(dialect: &Dialect) -> bool {
    matches!(dialect, Dialect::TokensMe)
}

/// What a reply at `now` since 1970 says; `None` where it is no verdict at all.
pub(super) fn read(
    policy: &Introspection,
    entry: &Name,
    reply: &Reply,
    now: Duration,
) -> Option<Said> {
    let dialect = &policy.dialect;
    match (reply.status().as_u16(), dialect) {
        (200, _) => {}
        (401 | 403, Dialect::Tutorial | Dialect::TokensMe) => {
            return Some(Said::refused("invalid"));
        }
        _ => return None,
    }
    let answer = serde_json::from_slice::<Value>(reply.body());
    match (dialect, &answer) {
        // A 200 without a literal `"active": true` is a refusal, but a page that is not even JSON
        // comes from something in between, so nothing is remembered of it.
        (Dialect::Tutorial, Err(_)) => {
            return Some(Said::Refused { result: "invalid", remember: false });
        }
        (Dialect::Tutorial, Ok(answer)) if answer["active"] != true => {
            return Some(Said::refused("invalid"));
        }
        // RFC 7662 leaves no choice: what is neither of the two is no answer.
        (Dialect::Rfc7662(_), Ok(answer)) if answer["active"] == false => {
            return Some(Said::refused("invalid"));
        }
        (Dialect::Rfc7662(_), Ok(answer)) if answer["active"] != true => return None,
        // Whatever else answers 200 in its place names no organisation.
        (Dialect::TokensMe, Ok(answer)) if !answer["organization"]["id"].is_string() => {
            return None;
        }
        (_, Err(_)) => return None,
        (_, Ok(_)) => {}
    }
    judged(policy, entry, &answer.ok()?, now).ok()
}

/// What the claims of an active token come to. A claim that is there but cannot be read is no
/// verdict at all.
fn judged(
    policy: &Introspection,
    entry: &Name,
    answer: &Value,
    now: Duration,
) -> Result<Said, Unreadable> {
    let expires = match &policy.expires_claim {
        Some(at) => claim(at, answer, seconds)?,
        None => None,
    };
    if expires.is_some_and(|expires| now >= expires) {
        return Ok(Said::refused("expired"));
    }
    if let (Dialect::Rfc7662(_), Some(begins)) = (&policy.dialect, answer.get("nbf"))
        && is_to_come(Some(seconds(begins).ok_or(Unreadable)?), now)
    {
        return Ok(Said::Refused { result: "early", remember: false });
    }
    Ok(match caller(&policy.admission, entry, answer)? {
        Some(caller) => Said::Good(Good { caller, expires }),
        None => Said::refused("forbidden"),
    })
}
