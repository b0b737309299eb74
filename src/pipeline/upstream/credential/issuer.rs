//! The issuer of our tokens: one question by the client-credentials grant (RFC 6749, 4.4), and what
//! its answer is worth.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use reqwest::Request;
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::{
    catalog::{
        credential::ClientCredentials,
        upstream::{Pool, Upstream, Way},
    },
    client::{Client, ClientError, Transport, WireError},
    pipeline::upstream::{credential::Header, retry},
    telemetry::{
        attempts::Ended,
        exchange::{Peer, Target, UnderWay},
        stage::Stage,
        trail::Trail,
    },
    time::Wall,
};

/// How long an answer may take. Longer than most exchanges with an upstream: passwords are made slow
/// to check on purpose.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;
/// Bytes of a token. Those that carry groups and claims have some thousands; servers refuse heads
/// that are much larger.
const MAX_TOKEN: usize = 16 << 10;
/// How long a token is taken to last whose issuer does not say (RFC 6749, 5.1, leaves it open):
/// short enough for those that last shortest, and a login every few minutes costs nobody anything.
const UNSAID: Duration = Duration::from_secs(300);
/// However long an issuer says that a token lasts, a new one is asked for after this at the latest.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Words that an issuer says why by (RFC 6749, 5.2). Its other texts are not repeated anywhere: they
/// may hold what we sent.
const ERRORS: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// A token, just issued.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) header: Header,
    /// How long it lasts from the question on.
    pub(super) lasts: Duration,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct No {
    /// Whether the issuer refused us, rather than failed.
    pub(super) refused: bool,
    /// What is told in the log: a word of the issuer's that is known, or ours.
    pub(super) reason: &'static str,
    /// The status of its answer.
    pub(super) status: Option<u16>,
    /// How long it asks to wait.
    pub(super) retry_after: Option<Duration>,
}

impl No {
    fn answer(reason: &'static str) -> Self {
        Self { refused: false, reason, status: None, retry_after: None }
    }
}

impl From<WireError> for No {
    fn from(error: WireError) -> Self {
        Self::answer(error.label())
    }
}

/// Whoever issues tokens to us for one upstream.
pub(super) struct Issuer {
    url: Url,
    peer: Peer,
    login: Header,
    form: Bytes,
    client: Client,
    wall: Wall,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

/// The way to the issuer: through the same proxy as to the upstream. Where both are one host, whom to
/// trust is the same too; our certificate is for the upstream alone.
fn way(upstream: &Upstream, ours: &ClientCredentials) -> Way {
    let same_host = upstream.base_url.host() == ours.token_url.host();
    let roots = upstream.way.roots.clone().filter(|_| same_host);
    Way { roots, identity: None, proxy: upstream.way.proxy.clone() }
}

/// Whether the issuer of `ours` is reached from the one upstream as from the other.
pub(super) fn is_reached_alike(one: &Upstream, other: &Upstream, ours: &ClientCredentials) -> bool {
    one.timeouts.connect == other.timeouts.connect && way(one, ours) == way(other, ours)
}

impl Issuer {
    pub(super) fn new(
        upstream: &Upstream,
        ours: &ClientCredentials,
        transport: &Transport,
        wall: Wall,
    ) -> Result<Self, ClientError> {
        // It is asked so seldom that any connection kept would be dead by then.
        let pool = Pool { idle: 0, idle_timeout: Duration::from_secs(1) };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &ours.scope {
            form.append_pair("scope", scope);
        }
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let (id, secret): (String, String) =
            (encoded(ours.client_id.expose()), encoded(ours.client_secret.expose()));
        Ok(Self {
            peer: Peer::at(&ours.token_url),
            url: ours.token_url.clone(),
            // Both are encoded like a form before they become a user and a password (2.3.1).
            login: Header::basic(&id, &secret),
            form: form.finish().into(),
            client: Client::along(
                &way(upstream, ours),
                upstream.timeouts.connect,
                pool,
                transport,
            )?,
            wall,
        })
    }

    /// Asks for a token, for whoever has that trail.
    pub(super) async fn ask(&self, trail: &Trail) -> Result<Issued, No> {
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        self.login.write(headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(self.form.clone().into());
        let asked = (&self.peer, Target::Word("token"));
        let mut under_way = UnderWay::begin(trail, Stage::Upstream, request.method(), asked, 0);
        let exchange = self.client.exchange(request, MAX_ANSWER);
        let reply =
            tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or(Err(WireError::Timeout));
        let (ended, issued) = match reply {
            Ok(reply) => (Ended::Status(reply.status().as_u16()), self.issued(&reply)),
            Err(error) => (Ended::Error(error.label()), Err(error.into())),
        };
        under_way.end(ended);
        under_way.because(issued.as_ref().err().map(|no| no.reason));
        issued
    }

    fn issued(&self, reply: &http::Response<Bytes>) -> Result<Issued, No> {
        read(reply).map_err(|no| No {
            status: Some(reply.status().as_u16()),
            retry_after: retry::retry_after(reply.headers(), self.wall),
            ..no
        })
    }
}

/// What an answer is worth.
fn read(reply: &http::Response<Bytes>) -> Result<Issued, No> {
    let answer = serde_json::from_slice::<Value>(reply.body()).ok();
    let member = |name: &str| answer.as_ref().and_then(|answer| answer.get(name));
    let said = member("error").and_then(Value::as_str);
    if let Some(error) = ERRORS.into_iter().find(|error| said == Some(error)) {
        return Err(No { refused: true, ..No::answer(error) });
    }
    match reply.status().as_u16() {
        200..=299 => {}
        408 | 429 | 500.. => return Err(No::answer("error")),
        400..=499 => return Err(No { refused: true, ..No::answer("refused") }),
        _ => return Err(No::answer("no_answer")),
    }
    if answer.is_none() {
        return Err(No::answer("not_json"));
    }
    let token = member("access_token").and_then(Value::as_str).filter(|token| is_token(token));
    let Some(token) = token else { return Err(No::answer("no_token")) };
    // One that must be used in another way than we know must not be used (7.1).
    let is_bearer =
        |kind: &Value| kind.as_str().is_some_and(|it| it.eq_ignore_ascii_case("bearer"));
    if !member("token_type").is_none_or(is_bearer) {
        return Err(No::answer("wrong_token_type"));
    }
    let lasts = match member("expires_in") {
        None | Some(Value::Null) => UNSAID,
        Some(written) => seconds(written).ok_or(No::answer("bad_expires_in"))?,
    };
    Ok(Issued { header: Header::bearer(token), lasts })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TOKEN && text.bytes().all(|c| c.is_ascii_graphic())
}

/// A time in seconds, which some issuers write as a text. One of less than a second is none: whoever
/// says so gives a token that cannot be used.
fn seconds(written: &Value) -> Option<Duration> {
    let seconds = match written {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) if text.bytes().all(|c| c.is_ascii_digit()) => text.parse().ok()?,
        _ => return None,
    };
    (seconds >= 1.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(status: u16, body: impl Into<Bytes>) -> http::Response<Bytes> {
        let mut reply = http::Response::new(body.into());
        *reply.status_mut() = http::StatusCode::from_u16(status).unwrap();
        reply
    }

    fn of(body: &Value) -> Result<Issued, No> {
        read(&reply(200, body.to_string()))
    }

    #[test]
    fn a_token_lasts_as_long_as_its_issuer_says_and_a_day_at_most() {
        for (written, lasts) in [
            (json!(3600), 3600),
            (json!("3600"), 3600),
            (json!(1), 1),
            (json!(90.9), 90),
            (json!(null), 300),
            (json!(86_401), 86_400),
            (json!(u64::MAX), 86_400),
            (json!(1e300), 86_400),
            (json!("99999999999999999999999999"), 86_400),
        ] {
            let issued =
                of(&json!({"access_token": "t", "token_type": "bearer", "expires_in": written}));
            assert_eq!(issued.unwrap().lasts.as_secs(), lasts, "{written}");
        }
        assert_eq!(of(&json!({"access_token": "t"})).unwrap().lasts, UNSAID);
    }

    #[test]
    fn a_time_that_is_none_makes_no_token() {
        for written in [
            json!(0),
            json!(0.9),
            json!(-1),
            json!("-1"),
            json!(""),
            json!("1h"),
            json!("0"),
            json!([]),
            json!(true),
        ] {
            let issued = of(&json!({"access_token": "t", "expires_in": written}));
            assert_eq!(issued.unwrap_err().reason, "bad_expires_in", "{written}");
        }
    }

    #[test]
    fn only_a_bearer_of_visible_ascii_is_a_token() {
        for kind in ["Bearer", "bearer", "BEARER"] {
            assert!(of(&json!({"access_token": "t", "token_type": kind})).is_ok(), "{kind}");
        }
        for kind in [json!("mac"), json!("DPoP"), json!(""), json!(null), json!(1)] {
            let no = of(&json!({"access_token": "t", "token_type": kind})).unwrap_err();
            assert_eq!(no.reason, "wrong_token_type", "{kind}");
        }
        let long = "x".repeat(MAX_TOKEN + 1);
        for token in
            [json!(""), json!("a b"), json!("a\r\nX: y"), json!("\u{e9}"), json!(1), json!(long)]
        {
            assert_eq!(of(&json!({"access_token": token})).unwrap_err().reason, "no_token");
        }
    }

    #[test]
    fn a_refusal_is_told_from_a_failure() {
        for (status, body, refused, reason) in [
            (401, r#"{"error": "invalid_client"}"#, true, "invalid_client"),
            (
                400,
                r#"{"error": "invalid_scope", "error_description": "S3CRET"}"#,
                true,
                "invalid_scope",
            ),
            (200, r#"{"error": "invalid_client"}"#, true, "invalid_client"),
            (400, r#"{"error": "S3CRET"}"#, true, "refused"),
            (403, "<html>", true, "refused"),
            (404, "", true, "refused"),
            (408, "", false, "error"),
            (429, "{}", false, "error"),
            (500, "{}", false, "error"),
            (503, "<html>", false, "error"),
            (302, "", false, "no_answer"),
            (200, "<html>", false, "not_json"),
            (200, "", false, "not_json"),
            (200, "{}", false, "no_token"),
            (200, "[]", false, "no_token"),
            (200, "\"t\"", false, "no_token"),
        ] {
            let no = read(&reply(status, body)).unwrap_err();
            assert_eq!((no.refused, no.reason), (refused, reason), "{status} {body}");
        }
    }
}
