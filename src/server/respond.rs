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
    catalog::action::{Action, Envelope, Failures},
    pipeline::{
        authenticate::{Unproven, Word},
        call::Answer,
        failure::{Failure, Unfetched},
        upstream::error::UpstreamError,
    },
    server::problem::{json_response, problem},
    telemetry::{
        outcome::{Outcome, Source},
        stage::Stage,
        trail::Trail,
    },
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

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
    let flat = match action.failures {
        Failures::Status => answer.body.clone(),
        Failures::Outcome => {
            with_outcome(&answer.body, answer.outcome(), 200, answer.is_stale(), answer.age)
        }
    };
    json_response(StatusCode::OK, "application/json", enveloped(action, flat), request_id)
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
            let flat = with_outcome(&defaults, outcome, status.as_u16(), false, Duration::ZERO);
            let flat = enveloped(action, flat);
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
) -> bytes::Bytes {
    let mut text = String::with_capacity(96);
    let members = flat.strip_suffix(b"}").unwrap_or(flat);
    let comma = if members == b"{" { "" } else { "," };
    let (word, age) = (outcome.as_str(), age.as_secs());
    let _ = write!(
        text,
        r#"{comma}"outcome":"{word}","status_code":{status},"stale":{stale},"age_seconds":{age}}}"#
    );
    [members, text.as_bytes()].concat().into()
}

fn enveloped(action: &Action, flat: bytes::Bytes) -> bytes::Bytes {
    match action.envelope {
        Envelope::Flat => flat,
        Envelope::Data => [b"{\"data\":", &flat[..], b"}"].concat().into(),
    }
}

/// Seconds, rounded up, at least one: a client that is told 0 comes back at once.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

/// Adds what the cache did and where the time went, for people who look into an action.
pub(super) fn add_debug_headers(
    response: &mut Response<Body>,
    trail: &Trail,
    result: &Result<Answer, Failure>,
) {
    let status = cache_status(trail, result);
    let timing: Vec<String> = trail
        .steps()
        .iter()
        .map(|step| {
            let (name, took) = (step.stage.as_str(), step.took.as_secs_f64() * 1e3);
            format!("{name};dur={took:.3};desc={}", step.decision)
        })
        .collect();
    let headers = response.headers_mut();
    for (header, value) in [(CACHE_STATUS, status), (SERVER_TIMING, timing.join(", "))] {
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (header, value)));
    }
}

/// What the cache did, in the words of RFC 9211: `hit` where nothing was sent, else why it was.
fn cache_status(trail: &Trail, result: &Result<Answer, Failure>) -> String {
    let flight = trail.decision(Stage::Flight);
    let nothing_sent = matches!(flight, None | Some("remembered" | "full"));
    let did = match trail.decision(Stage::Cache) {
        None => "fwd=bypass".to_owned(),
        Some("hit" | "negative_hit") => match result {
            Ok(answer) => format!("hit; ttl={}", answer.ttl.as_secs()),
            Err(_) => "hit".to_owned(),
        },
        Some("stale" | "failed") if nothing_sent => "hit".to_owned(),
        Some("stale" | "refreshed") => "fwd=stale".to_owned(),
        Some(_) => "fwd=miss".to_owned(),
    };
    let collapsed = if flight == Some("joined") { "; collapsed" } else { "" };
    let detail = match result {
        // Answered at once while a refresh runs, or because the fetch failed or took too long.
        Ok(answer) if answer.is_stale() && flight.is_none() => "stale-while-revalidate",
        Ok(answer) if answer.is_stale() => "stale-if-error",
        Ok(answer) if answer.source == Source::Fallback => Source::Fallback.as_str(),
        Ok(_) => return format!("holdline; {did}{collapsed}"),
        Err(failure) => failure.outcome().as_str(),
    };
    format!("holdline; {did}{collapsed}; detail={detail}")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        chance::Chance,
        telemetry::{metrics::Registry, trail::Tracer},
        time,
    };

    fn answer(source: Source) -> Result<Answer, Failure> {
        let (age, ttl) = (Duration::ZERO, Duration::from_secs(7));
        Ok(Answer { body: Bytes::from_static(b"{}"), source, age, ttl })
    }

    fn failed(error: UpstreamError) -> Result<Answer, Failure> {
        Err(Failure::Unfetched(Unfetched::Upstream(error)))
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_cache_did_is_told_for_every_end_of_a_call() {
        let broken = || failed(UpstreamError::Unreachable);
        for (flight, cache, result, expected) in [
            (None, None, answer(Source::Upstream), "fwd=bypass"),
            (None, Some("hit"), answer(Source::CacheFresh), "hit; ttl=7"),
            (
                None,
                Some("negative_hit"),
                Err(Failure::NotFound(Source::CacheFresh)),
                "hit; detail=not_found",
            ),
            (Some("landed"), Some("miss"), answer(Source::Upstream), "fwd=miss"),
            (Some("joined"), Some("coalesced"), answer(Source::Coalesced), "fwd=miss; collapsed"),
            (Some("landed"), Some("refreshed"), answer(Source::Upstream), "fwd=stale"),
            (Some("joined"), Some("refreshed"), answer(Source::Coalesced), "fwd=stale; collapsed"),
            (None, Some("stale"), answer(Source::CacheStale), "hit; detail=stale-while-revalidate"),
            (
                Some("unreachable"),
                Some("stale"),
                answer(Source::CacheStale),
                "fwd=stale; detail=stale-if-error",
            ),
            (
                Some("left"),
                Some("stale"),
                answer(Source::CacheStale),
                "fwd=stale; detail=stale-if-error",
            ),
            (
                Some("remembered"),
                Some("stale"),
                answer(Source::CacheStale),
                "hit; detail=stale-if-error",
            ),
            (Some("full"), Some("stale"), answer(Source::CacheStale), "hit; detail=stale-if-error"),
            (
                Some("unreachable"),
                Some("failed"),
                answer(Source::Fallback),
                "fwd=miss; detail=fallback",
            ),
            (Some("remembered"), Some("failed"), answer(Source::Fallback), "hit; detail=fallback"),
            (None, None, answer(Source::Fallback), "fwd=bypass; detail=fallback"),
            (
                Some("unreachable"),
                Some("failed"),
                broken(),
                "fwd=miss; detail=upstream_unreachable",
            ),
            (Some("remembered"), Some("failed"), broken(), "hit; detail=upstream_unreachable"),
            (None, None, broken(), "fwd=bypass; detail=upstream_unreachable"),
        ] {
            let tracer = Tracer::new(&Registry::new(), None, false, "/{action}", Chance::Random);
            let trail = tracer.begin(time::now(), None, "POST");
            for (stage, decision) in [(Stage::Flight, flight), (Stage::Cache, cache)] {
                decision.into_iter().for_each(|word| trail.step(stage, time::now(), word));
            }
            assert_eq!(cache_status(&trail, &result), format!("holdline; {expected}"));
        }
    }
}
