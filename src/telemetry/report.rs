//! What one ended call leaves: its counters, its trace, and one log line with what
//! each stage decided and how long it took. Never a value, a token, a path or a name of a person.

use std::time::Duration;

use crate::{
    chance::{digits, text},
    telemetry::{
        meters::CallMeters,
        outcome::{Class, Outcome, Source},
        stage::Stage,
        steps::Steps,
        trail::{Met, Trail},
    },
    time,
};

/// How a call ended, in numbers and closed words.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The upstream that the action asks, by name.
    pub upstream: Option<&'a str>,
    /// What the caller was told, where it was no answer. Never a value of theirs.
    pub detail: Option<&'a str>,
    /// Its request id.
    pub request_id: &'a str,
    /// The action's name, or the word for an unknown one.
    pub action: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// Who answered.
    pub source: Source,
    /// The HTTP status sent; 0: nobody was there to take one.
    pub status: u16,
    /// How old the answer was.
    pub age: Duration,
    /// How long it may take; nothing where it was refused before that was read.
    pub deadline: Option<Duration>,
    /// The version of HTTP that it came by, as `1.1`.
    pub http_version: &'static str,
    /// Bytes of the request body.
    pub bytes_in: usize,
    /// Bytes of the answer's body.
    pub bytes_out: usize,
}

/// Counts the call, remembers it, writes its line, and sends its trace where it leaves one.
pub fn ended(trail: &Trail, meters: &CallMeters, call: &Ended<'_>) {
    let took = time::now().saturating_duration_since(trail.began());
    // Looked at once, for all who tell of it: the counters, the ring and the line.
    trail.look(|noted, met| {
        let steps = Steps::of(noted);
        let waited = steps.waited().min(took);
        meters.ended(call.outcome, call.source, took, waited);
        if let Some(recent) = trail.recent() {
            recent.note(trail, (noted, met), call, (took, waited));
        }
        write_line(trail, (steps, met), call, (took, waited));
    });
    trail.ended(call, took);
}

/// One event of one shape for every call, so that one query finds them all. A failure, ours or an
/// upstream's, is a warning: who reads warnings alone then sees each of them, and still none of those
/// that callers brought upon themselves, or that an earlier answer healed. No call is an error: that
/// level is for what somebody has to mend, and one call is seldom that.
fn write_line(
    trail: &Trail,
    (steps, met): (Steps<'_>, Met),
    call: &Ended<'_>,
    (took, waited): (Duration, Duration),
) {
    let context = trail.context();
    let trace_id: [u8; 32] = digits(context.trace_id());
    let span_id: [u8; 16] = digits(context.span_id().into());
    let stages = steps.by_stage();
    let of = |stage: Stage| stages[stage as usize];
    let decided = |stage| of(stage).map(|(decision, _)| decision);
    let ms = |stage| of(stage).map(|(_, took)| millis(took));
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "holdline::call",
                message = "call ended",
                request_id = call.request_id,
                trace_id = text(&trace_id),
                span_id = text(&span_id),
                action = call.action,
                outcome = call.outcome.as_str(),
                class = call.outcome.class().as_str(),
                source = call.source.as_str(),
                status = call.status,
                duration_ms = millis(took),
                waited_ms = millis(waited),
                age_s = call.age.as_secs(),
                attempts = steps.attempts(),
                bytes_in = call.bytes_in,
                bytes_out = call.bytes_out,
                authenticate = decided(Stage::Authenticate),
                authenticate_ms = ms(Stage::Authenticate),
                validate = decided(Stage::Validate),
                validate_ms = ms(Stage::Validate),
                rate_limit = decided(Stage::RateLimit),
                rate_limit_ms = ms(Stage::RateLimit),
                cache = decided(Stage::Cache),
                cache_ms = ms(Stage::Cache),
                flight = decided(Stage::Flight),
                flight_ms = ms(Stage::Flight),
                upstream_name = call.upstream,
                upstream = decided(Stage::Upstream),
                attempt = decided(Stage::Attempt),
                breaker = met.breaker,
                not_repeated = met.not_repeated,
                upstream_ms = ms(Stage::Upstream),
                map_output = decided(Stage::MapOutput),
                map_output_ms = ms(Stage::MapOutput),
                detail = call.detail,
            )
        };
    }
    match call.outcome.class() {
        Class::Failure => line!(warn),
        Class::Success | Class::Degraded | Class::Rejected => line!(info),
    }
}

/// Milliseconds with three places: microseconds are what a hit is counted in.
pub fn millis(duration: Duration) -> f64 {
    ((duration.as_nanos() + 500) / 1_000) as f64 / 1e3
}
