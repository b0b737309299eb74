//! What an answer tells people who look into an action, where `debug_headers` is on: `Cache-Status`
//! (RFC 9211), what the cache did, and `Server-Timing` (W3C), what each stage decided and how long it
//! took. The cache's key, which would name a customer, is never told.

use std::fmt::Write;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response},
};

use crate::{
    pipeline::{call::Answer, failure::Failure},
    telemetry::{
        outcome::Source,
        stage::Stage,
        steps::Steps,
        trail::{Met, Trail},
    },
};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds both to the `response` that tells that result.
pub(super) fn add(response: &mut Response<Body>, trail: &Trail, result: &Result<Answer, Failure>) {
    let steps = trail.steps();
    let sent = response.status().as_u16();
    let status = cache_status(Steps::of(&steps), trail.met(), result, sent);
    let timing: Vec<String> = steps
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

/// What the cache did, in the words of RFC 9211: `hit` where nothing was sent, else why it was; neither
/// for a call that was refused before it came so far.
fn cache_status(steps: Steps<'_>, met: Met, result: &Result<Answer, Failure>, sent: u16) -> String {
    let flight = steps.decision(Stage::Flight);
    let nothing_sent = matches!(flight, None | Some("remembered" | "full"));
    let did = match steps.decision(Stage::Cache) {
        None if steps.decision(Stage::Upstream).is_none() => "",
        None => "fwd=bypass",
        Some("hit" | "negative_hit") => "hit",
        Some("stale" | "failed") if nothing_sent => "hit",
        Some("stale" | "refreshed") => "fwd=stale",
        Some(_) => "fwd=miss",
    };
    let mut told = format!("holdline{}{did}", if did.is_empty() { "" } else { "; " });
    let is_hit = did == "hit";
    if let Some(status) = forwarded(steps, result).filter(|_| !is_hit) {
        // Left out, it is that of this response.
        if (status, sent) != (200, 200) {
            let _ = write!(told, "; fwd-status={status}");
        }
    }
    match result {
        Ok(answer) if answer.is_stale() => {
            let overdue = i64::try_from(answer.overdue.as_secs()).unwrap_or(i64::MAX);
            let _ = write!(told, "; ttl={}", -overdue);
        }
        Ok(answer) if answer.source == Source::CacheFresh => {
            let _ = write!(told, "; ttl={}", answer.ttl.as_secs());
        }
        Ok(_) | Err(_) => {}
    }
    if met.stored && !is_hit {
        told.push_str("; stored");
    }
    if flight == Some("joined") {
        told.push_str("; collapsed");
    }
    let detail = match result {
        // Answered at once while a refresh runs, or because the fetch failed or took too long.
        Ok(answer) if answer.is_stale() && flight.is_none() => "stale-while-revalidate",
        Ok(answer) if answer.is_stale() => "stale-if-error",
        Ok(answer) if answer.source == Source::Fallback => Source::Fallback.as_str(),
        Ok(_) => return told,
        Err(failure) => failure.outcome().as_str(),
    };
    told + "; detail=" + detail
}

/// The status with which the upstream answered what was sent, where it is known to the digit: of what
/// another call sent for this one as well, only where it failed.
fn forwarded(steps: Steps<'_>, result: &Result<Answer, Failure>) -> Option<u16> {
    if let Err(failure) = result
        && let Some(status) = failure.upstream_status()
    {
        return Some(status);
    }
    // Its attempt may not have been the last one.
    if steps.decision(Stage::Flight) == Some("left") {
        return None;
    }
    steps.last_attempt()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        catalog::mapping::Enveloped,
        chance::Chance,
        pipeline::{failure::Unfetched, upstream::error::UpstreamError},
        telemetry::{metrics::Registry, trail::Tracer},
        time,
    };

    /// What the stages of a call decided, in order.
    type Decided = &'static [(Stage, &'static str)];

    fn answer(source: Source) -> Result<Answer, Failure> {
        let (ttl, overdue) = match source {
            Source::CacheStale => (Duration::ZERO, Duration::from_millis(95_999)),
            _ => (Duration::from_millis(7_999), Duration::ZERO),
        };
        Ok(Answer { ttl, overdue, ..Answer::of(Enveloped::around(b"{}"), source) })
    }

    fn failed(error: UpstreamError) -> Result<Answer, Failure> {
        Err(Failure::Unfetched(Unfetched::Upstream(error)))
    }

    /// What is told of a call whose stages decided so, and of which the cache keeps the answer or not.
    fn told(decided: Decided, stored: bool, result: &Result<Answer, Failure>, sent: u16) -> String {
        let tracer = Tracer::new(&Registry::new(), None, false, "/{action}", Chance::Random);
        let trail = tracer.begin(time::now(), None, "POST");
        decided.iter().for_each(|(stage, word)| trail.step(*stage, time::now(), word));
        let met = Met { stored, ..Met::default() };
        let told = cache_status(Steps::of(&trail.steps()), met, result, sent);
        told.strip_prefix("holdline; ").expect("it names itself").to_owned()
    }

    use Stage::{Attempt, Cache, Flight, RateLimit, Upstream};

    #[tokio::test(start_paused = true)]
    async fn an_answer_tells_where_it_comes_from_and_how_long_it_is_good() {
        for (decided, stored, source, expected) in [
            (
                &[(Attempt, "200"), (Upstream, "answered")] as Decided,
                false,
                Source::Upstream,
                "fwd=bypass",
            ),
            (&[(Attempt, "2xx"), (Upstream, "answered")], false, Source::Upstream, "fwd=bypass"),
            (&[(Cache, "hit")], false, Source::CacheFresh, "hit; ttl=7"),
            (
                &[(Attempt, "503"), (Attempt, "200"), (Flight, "landed"), (Cache, "miss")],
                true,
                Source::Upstream,
                "fwd=miss; stored",
            ),
            (&[(Flight, "landed"), (Cache, "miss")], false, Source::Upstream, "fwd=miss"),
            (
                &[(Flight, "joined"), (Cache, "coalesced")],
                false,
                Source::Coalesced,
                "fwd=miss; collapsed",
            ),
            (
                &[(Flight, "landed"), (Cache, "refreshed")],
                true,
                Source::Upstream,
                "fwd=stale; stored",
            ),
            (
                &[(Flight, "joined"), (Cache, "refreshed")],
                false,
                Source::Coalesced,
                "fwd=stale; collapsed",
            ),
        ] {
            assert_eq!(told(decided, stored, &answer(source), 200), expected, "{decided:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_in_tells_how_old_it_is_and_for_what_it_stands() {
        for (decided, stored, source, expected) in [
            (
                &[(Cache, "stale")] as Decided,
                false,
                Source::CacheStale,
                "hit; ttl=-95; detail=stale-while-revalidate",
            ),
            (
                &[(Attempt, "503"), (Flight, "error"), (Cache, "stale")],
                false,
                Source::CacheStale,
                "fwd=stale; fwd-status=503; ttl=-95; detail=stale-if-error",
            ),
            (
                &[(Attempt, "503"), (Attempt, "timeout"), (Flight, "timeout"), (Cache, "stale")],
                false,
                Source::CacheStale,
                "fwd=stale; ttl=-95; detail=stale-if-error",
            ),
            (
                &[(Attempt, "503"), (Flight, "left"), (Cache, "stale")],
                false,
                Source::CacheStale,
                "fwd=stale; ttl=-95; detail=stale-if-error",
            ),
            (
                &[(Flight, "remembered"), (Cache, "stale")],
                false,
                Source::CacheStale,
                "hit; ttl=-95; detail=stale-if-error",
            ),
            (
                &[(Flight, "full"), (Cache, "stale")],
                false,
                Source::CacheStale,
                "hit; ttl=-95; detail=stale-if-error",
            ),
            (
                &[(Attempt, "500"), (Flight, "error"), (Cache, "failed")],
                false,
                Source::Fallback,
                "fwd=miss; fwd-status=500; detail=fallback",
            ),
            (
                &[(Flight, "remembered"), (Cache, "failed")],
                false,
                Source::Fallback,
                "hit; detail=fallback",
            ),
            (&[(Upstream, "breaker_open")], false, Source::Fallback, "fwd=bypass; detail=fallback"),
        ] {
            assert_eq!(told(decided, stored, &answer(source), 200), expected, "{decided:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_tells_its_word_and_what_the_upstream_said() {
        let refused = |status| failed(UpstreamError::Status { status, retry_after: None });
        let broken = || failed(UpstreamError::Unreachable);
        for (decided, stored, result, sent, expected) in [
            (
                &[(Cache, "negative_hit")] as Decided,
                false,
                Err(Failure::NotFound(Source::CacheFresh)),
                404,
                "hit; detail=not_found",
            ),
            (
                &[(Attempt, "404"), (Flight, "not_found"), (Cache, "failed")],
                true,
                Err(Failure::NotFound(Source::Upstream)),
                404,
                "fwd=miss; fwd-status=404; stored; detail=not_found",
            ),
            (
                &[(Attempt, "4xx"), (Flight, "rejected"), (Cache, "failed")],
                false,
                refused(418),
                200,
                "fwd=miss; fwd-status=418; detail=upstream_rejected",
            ),
            (
                &[(Attempt, "200"), (Flight, "too_large"), (Cache, "failed")],
                false,
                failed(UpstreamError::TooLarge),
                502,
                "fwd=miss; fwd-status=200; detail=mapping_error",
            ),
            (
                &[(Attempt, "connect"), (Flight, "unreachable"), (Cache, "failed")],
                false,
                broken(),
                502,
                "fwd=miss; detail=upstream_unreachable",
            ),
            (
                &[(Flight, "remembered"), (Cache, "failed")],
                false,
                broken(),
                502,
                "hit; detail=upstream_unreachable",
            ),
            (
                &[(Attempt, "connect"), (Upstream, "unreachable")],
                false,
                broken(),
                502,
                "fwd=bypass; detail=upstream_unreachable",
            ),
            (&[(RateLimit, "org_full")], false, Err(Failure::OrgFull), 503, "detail=overloaded"),
        ] {
            assert_eq!(told(decided, stored, &result, sent), expected, "{decided:?}");
        }
    }
}
