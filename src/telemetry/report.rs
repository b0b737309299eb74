//! What one ended call leaves: its counters, its trace, and one log line with what
//! each stage decided and how long it took. Never a value, a token, a path or a name of a person.

use std::time::Duration;

use crate::{
    telemetry::{
        meters::CallMeters,
        outcome::{Outcome, Source},
        stage::Stage,
        trail::Trail,
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

/// Counts the call, sends its trace where it leaves one, writes its line.
pub fn ended(trail: &Trail, meters: &CallMeters, call: &Ended<'_>) {
    let took = time::now().saturating_duration_since(trail.began());
    let waited = trail.waited().min(took);
    meters.ended(call.outcome, call.source, took, waited);
    trail.ended(call, took);
    write_line(trail, call, took, waited);
}

fn write_line(trail: &Trail, call: &Ended<'_>, took: Duration, waited: Duration) {
    let context = trail.context();
    let decided = |stage| trail.decision(stage);
    let ms = |stage| trail.took(stage).map(millis);
    tracing::info!(
        target: "holdline::call",
        request_id = call.request_id,
        trace_id = %format_args!("{:032x}", context.trace_id()),
        span_id = %format_args!("{:016x}", context.span_id()),
        action = call.action,
        outcome = call.outcome.as_str(),
        class = call.outcome.class().as_str(),
        source = call.source.as_str(),
        status = call.status,
        duration_ms = millis(took),
        waited_ms = millis(waited),
        age_s = call.age.as_secs(),
        attempts = trail.attempts(),
        bytes_in = call.bytes_in,
        bytes_out = call.bytes_out,
        authenticate = decided(Stage::Authenticate),
        authenticate_ms = ms(Stage::Authenticate),
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
        upstream_ms = ms(Stage::Upstream),
        map_output = decided(Stage::MapOutput),
        map_output_ms = ms(Stage::MapOutput),
        detail = call.detail,
        "call ended",
    );
}

/// Milliseconds with three places: microseconds are what a hit is counted in.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
