//! What one ended call leaves: its counters, its trace, and one log line with what
//! each stage decided and how long it took. Never a value, a token, a path or a name of a person.

use std::time::Duration;

use crate::{
    telemetry::{
        log::{CallLines, Fields, field},
        meters::CallMeters,
        outcome::{Class, Outcome, Source},
        propagation::TraceContext,
        stage::Stage,
        steps::{ByStage, Steps},
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

/// Counts the call, remembers it, writes its line, and sends its trace where it leaves one. Gives how long
/// it took.
pub fn ended(trail: &Trail, meters: &CallMeters, call: &Ended<'_>) -> Duration {
    let took = time::now().saturating_duration_since(trail.began());
    // Looked at once, for all who tell of it: the counters, the ring and the line.
    trail.look(|noted, met| {
        let steps = Steps::of(noted);
        let stages = steps.by_stage();
        let waited = stages.waited().min(took);
        meters.ended(call.outcome, call.source, took, waited);
        if let Some(recent) = trail.recent() {
            recent.note(trail, (noted, met), call, (took, waited));
        }
        if let Some(lines) = trail.lines() {
            let of = (&stages, steps.attempts(), met);
            write_line(lines, trail.context(), of, call, (took, waited));
        }
    });
    trail.ended(call, took);
    took
}

/// One event of one shape for every call, so that one query finds them all. A failure, ours or an
/// upstream's, is a warning: who reads warnings alone then sees each of them, and still none of those
/// that callers brought upon themselves, or that an earlier answer healed. No call is an error: that
/// level is for what somebody has to mend, and one call is seldom that.
fn write_line(
    lines: &CallLines,
    context: &TraceContext,
    (stages, attempts, met): (&ByStage, usize, Met),
    call: &Ended<'_>,
    (took, waited): (Duration, Duration),
) {
    let class = call.outcome.class();
    lines.write(class == Class::Failure, |line| {
        line.text(field!("request_id"), call.request_id);
        line.id::<32>(field!("trace_id"), context.trace_id());
        line.id::<16>(field!("span_id"), context.span_id().into());
        line.text(field!("action"), call.action);
        line.word(field!("outcome"), call.outcome.as_str());
        line.word(field!("class"), class.as_str());
        line.word(field!("source"), call.source.as_str());
        line.number(field!("status"), call.status.into());
        line.millis(field!("duration_ms"), micros(took));
        line.millis(field!("waited_ms"), micros(waited));
        line.number(field!("age_s"), call.age.as_secs());
        line.number(field!("attempts"), attempts as u64);
        line.number(field!("bytes_in"), call.bytes_in as u64);
        line.number(field!("bytes_out"), call.bytes_out as u64);
        write_stages(line, stages, met, call.upstream);
        if let Some(detail) = call.detail {
            line.text(field!("detail"), detail);
        }
    });
}

/// What each stage decided and how long it took; nothing of those that the call did not meet.
fn write_stages(line: &mut Fields<'_>, stages: &ByStage, met: Met, upstream: Option<&str>) {
    macro_rules! stage {
        ($stage:ident, $name:literal) => {
            if let Some((decision, took)) = stages.of(Stage::$stage) {
                line.word(field!($name), decision);
                line.millis(field!($name "_ms"), micros(took));
            }
        };
    }
    stage!(Authenticate, "authenticate");
    stage!(Validate, "validate");
    stage!(RateLimit, "rate_limit");
    stage!(Cache, "cache");
    stage!(Flight, "flight");
    if let Some(upstream) = upstream {
        line.text(field!("upstream_name"), upstream);
    }
    line.word_if(field!("upstream"), stages.decision(Stage::Upstream));
    line.word_if(field!("attempt"), stages.decision(Stage::Attempt));
    line.word_if(field!("breaker"), met.breaker);
    line.word_if(field!("not_repeated"), met.not_repeated);
    if let Some(took) = stages.took(Stage::Upstream) {
        line.millis(field!("upstream_ms"), micros(took));
    }
    stage!(MapOutput, "map_output");
}

/// The nearest microsecond.
fn micros(duration: Duration) -> u64 {
    duration.as_secs() * 1_000_000 + u64::from((duration.subsec_nanos() + 500) / 1_000)
}

/// Milliseconds with three places: microseconds are what a hit is counted in.
pub fn millis(duration: Duration) -> f64 {
    micros(duration) as f64 / 1e3
}

#[cfg(test)]
mod tests;
