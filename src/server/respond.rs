//! From an answer or a failure to an HTTP response: the one table of statuses.
//!
//! Failures are problem documents (RFC 9457) that always carry `detail`, `status`, a stable `code`
//! and `request_id`. Where an action tells failures by outcome, all but a few are a 200 with every
//! output key, because a voice flow cannot read a failure.

use std::{borrow::Cow, fmt::Write, time::Duration};

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, Response, StatusCode,
        header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};

use crate::{
    catalog::{
        action::{Action, Failures},
        mapping::Enveloped,
    },
    pipeline::{
        authenticate::{Unproven, Word},
        call::Answer,
        failure::{Failure, Unfetched},
        upstream::error::UpstreamError,
    },
    server::problem::{json_response, problem},
    telemetry::outcome::Outcome,
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How HTTP Basic is asked for.
pub(super) const BASIC: &str = r#"Basic realm="holdline", charset="UTF-8""#;

/// Why a request never became a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// As much is under way as may be.
    Shed,
    /// This process is leaving.
    Draining,
    /// There is no such action.
    UnknownAction,
    /// Not POST.
    Method,
    /// The body is longer than allowed.
    TooLarge {
        /// Bytes that are allowed.
        max: usize,
    },
    /// The body did not come in time.
    TooSlow,
    /// The body broke off.
    Broken,
    /// A content type is given, and it is not JSON.
    ContentType,
    /// The body is encoded.
    ContentEncoding,
}

impl Refusal {
    /// Its stable code.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Shed => Outcome::Overloaded,
            Self::Draining => Outcome::Draining,
            Self::UnknownAction => Outcome::UnknownAction,
            Self::TooLarge { .. } => Outcome::PayloadTooLarge,
            Self::Method
            | Self::TooSlow
            | Self::Broken
            | Self::ContentType
            | Self::ContentEncoding => Outcome::BadRequest,
        }
    }

    /// Its status.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Shed | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::UnknownAction => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::ContentType | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// Whether what is left of such a request on the connection is not worth reading.
    pub(super) fn ends_connection(self) -> bool {
        !matches!(
            self,
            Self::UnknownAction | Self::ContentType | Self::ContentEncoding | Self::Method
        )
    }

    /// What the client is told.
    pub(super) fn detail(self) -> Cow<'static, str> {
        match self {
            Self::Shed => "As many calls as this instance takes are under way".into(),
            Self::Draining => "This instance is shutting down".into(),
            Self::UnknownAction => "There is no action of that name".into(),
            Self::Method => "Only POST is allowed here".into(),
            Self::TooLarge { max } => format!("Request body is larger than {max} bytes").into(),
            Self::TooSlow => "Request body did not arrive in time".into(),
            Self::Broken => "Request body broke off".into(),
            Self::ContentType => "Content-Type must be application/json".into(),
            Self::ContentEncoding => {
                "Content-Encoding is not supported; send the JSON as it is".into()
            }
        }
    }
}

/// The response to a request that never became a call.
pub(super) fn refusal(refusal: Refusal, request_id: &str) -> Response<Body> {
    let status = refusal.status();
    let mut response = problem(status, refusal.outcome(), &refusal.detail(), request_id);
    let headers = response.headers_mut();
    match refusal {
        Refusal::Shed | Refusal::Draining => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Refusal::Method => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        Refusal::UnknownAction
        | Refusal::ContentType
        | Refusal::ContentEncoding
        | Refusal::TooLarge { .. }
        | Refusal::TooSlow
        | Refusal::Broken => {}
    }
    if refusal.ends_connection() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Why a call failed, beside an answer that tells a failure by its outcome alone. It is never sent.
#[derive(Debug, Clone)]
pub(super) struct Why(pub(super) Cow<'static, str>);

/// The response to an answered call.
pub(super) fn answer(action: &Action, answer: &Answer, request_id: &str) -> Response<Body> {
    let body = match action.failures {
        Failures::Status => &answer.body,
        Failures::Outcome => {
            let (flat, outcome) = (answer.body.flat(), answer.outcome());
            &with_outcome(flat, outcome, 200, answer.is_stale(), answer.age)
        }
    };
    let body = body.sent(action.envelope);
    json_response(StatusCode::OK, "application/json", body, request_id)
}

/// The response to a failed call.
pub(super) fn failure(action: &Action, failure: &Failure, request_id: &str) -> Response<Body> {
    let (status, outcome) = (status(failure), failure.outcome());
    let told = match action.failures {
        Failures::Outcome if !keeps_status(failure) => action.output.defaults(),
        Failures::Outcome | Failures::Status => None,
    };
    let mut response = match told {
        Some(defaults) => {
            let flat =
                with_outcome(defaults.flat(), outcome, status.as_u16(), false, Duration::ZERO);
            let flat = flat.sent(action.envelope);
            let mut told = json_response(StatusCode::OK, "application/json", flat, request_id);
            told.extensions_mut().insert(Why(failure.detail()));
            told
        }
        None => problem(status, outcome, &failure.detail(), request_id),
    };
    let headers = response.headers_mut();
    if let Some(wait) = failure.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    if let Failure::Unproven(unproven) = failure
        && let Some(challenge) = challenge(unproven)
    {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Failure::Limited(limited) = failure {
        let (name, burst) = (&limited.limit, limited.burst);
        let window = whole_seconds(limited.window);
        let policy = format!("\"{name}\";q={burst};w={window}");
        let state = format!("\"{name}\";r=0;t={}", whole_seconds(limited.retry_after));
        for (header, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)] {
            headers.extend(HeaderValue::try_from(value).ok().map(|value| (header, value)));
        }
    }
    response
}

/// How another proof is asked for, where there is a word for it.
fn challenge(unproven: &Unproven) -> Option<&'static str> {
    match unproven {
        Unproven::Missing { word: Some(Word::Basic), .. } => Some(BASIC),
        Unproven::Missing { word: Some(Word::Bearer), .. } => Some("Bearer"),
        // RFC 6750: another may be fetched, and the call repeated with it.
        Unproven::Void { .. } => Some("Bearer error=\"invalid_token\""),
        Unproven::Missing { word: None, .. }
        | Unproven::Refused { .. }
        | Unproven::Unavailable { .. }
        | Unproven::OutOfTime => None,
    }
}

/// The table of failures.
fn status(failure: &Failure) -> StatusCode {
    match failure {
        Failure::Unproven(Unproven::Missing { .. } | Unproven::Void { .. }) => {
            StatusCode::UNAUTHORIZED
        }
        Failure::Unproven(Unproven::Refused { .. }) => StatusCode::FORBIDDEN,
        Failure::Unproven(Unproven::Unavailable { .. } | Unproven::OutOfTime) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Failure::Invalid(_) => StatusCode::BAD_REQUEST,
        Failure::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
        Failure::NotFound(_) => StatusCode::NOT_FOUND,
        Failure::Unfetched(Unfetched::Upstream(error)) => upstream_status(error),
        Failure::Unfetched(Unfetched::Mapping(_)) => StatusCode::BAD_GATEWAY,
        Failure::OutOfTime => StatusCode::GATEWAY_TIMEOUT,
        Failure::OrgFull | Failure::Crowded => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn upstream_status(error: &UpstreamError) -> StatusCode {
    match error {
        // Ours to mend. Passing a 401 on would make Genesys fetch a credential and call again.
        UpstreamError::Status { status: 401 | 403 | 407, .. } => StatusCode::BAD_GATEWAY,
        UpstreamError::Status { status: status @ 400..=599, .. } => {
            StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY)
        }
        UpstreamError::Status { .. }
        | UpstreamError::Unreachable
        | UpstreamError::NotIssued { .. }
        | UpstreamError::TooLarge
        | UpstreamError::Malformed => StatusCode::BAD_GATEWAY,
        UpstreamError::TimedOut | UpstreamError::CutShort => StatusCode::GATEWAY_TIMEOUT,
        UpstreamError::BreakerOpen { .. }
        | UpstreamError::Held { .. }
        | UpstreamError::Saturated => StatusCode::SERVICE_UNAVAILABLE,
        UpstreamError::Unrenderable => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Failures that keep their status even where outcomes are told in a 200: Genesys must fetch a new
/// credential, or the call was shed at the door, before anything of it was read.
fn keeps_status(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::OrgFull
            | Failure::Unproven(
                Unproven::Missing { .. } | Unproven::Refused { .. } | Unproven::Void { .. }
            )
    )
}

/// The flat object with what a flow must be able to tell apart.
fn with_outcome(
    flat: &[u8],
    outcome: Outcome,
    status: u16,
    stale: bool,
    age: Duration,
) -> Enveloped {
    let mut text = String::with_capacity(96);
    let members = flat.strip_suffix(b"}").unwrap_or(flat);
    let comma = if members == b"{" { "" } else { "," };
    let (word, age) = (outcome.as_str(), age.as_secs());
    let _ = write!(
        text,
        r#"{comma}"outcome":"{word}","status_code":{status},"stale":{stale},"age_seconds":{age}}}"#
    );
    Enveloped::around(&[members, text.as_bytes()].concat())
}

/// Seconds, rounded up, at least one: a client that is told 0 comes back at once.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}
