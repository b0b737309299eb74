//! The trace context that comes with a call and goes on with each attempt, read as strictly as the
//! W3C specification (level 2) asks: `traceparent` in full, `tracestate` whole or not at all.
//!
//! OpenTelemetry's own propagator takes lines that the specification refuses and loses a
//! `tracestate` spread over several lines, so it is not used.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::chance::{digits, text};

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Somebody records this trace.
const SAMPLED: u8 = 0x01;
/// The trace id was drawn at random.
const RANDOM: u8 = 0x02;

/// Bytes of a `traceparent` of version 00.
const PARENT_LENGTH: usize = 55;
/// Members of a `tracestate`, over all its lines.
const MOST_MEMBERS: usize = 32;
/// Bytes of a key, or of a value, in a `tracestate`.
const LONGEST: usize = 256;
/// Bytes of the part of a key before the `@`.
const LONGEST_TENANT: usize = 241;
/// Bytes of the part of a key after the `@`.
const LONGEST_SYSTEM: usize = 14;

/// Which trace something belongs to, and which span of it is the parent of what comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// Never zero.
    trace_id: u128,
    /// Never zero.
    span_id: u64,
    /// Of [`SAMPLED`] and [`RANDOM`] only.
    flags: u8,
    /// The members of `tracestate` in order, joined by commas. Never empty.
    state: Option<String>,
}

impl TraceContext {
    /// Reads the context out of a request's headers. `None` where there is none or it is not well
    /// formed in every byte; then its `tracestate` means nothing either. A malformed `tracestate`
    /// alone is left out.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(&TRACEPARENT).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        let (trace_id, span_id, flags) = parent(line.as_bytes())?;
        let lines = headers.get_all(&TRACESTATE).iter().map(|line| line.to_str().ok());
        Some(Self { trace_id, span_id, flags, state: members(lines) })
    }

    /// A context for a trace that nobody records, under an id drawn at random. Neither id may be
    /// zero.
    pub fn unsampled(trace_id: u128, span_id: u64) -> Self {
        Self { trace_id, span_id, flags: RANDOM, state: None }
    }

    /// The context of something below this one: of the same trace and state, recorded where this is.
    /// `span_id` may not be zero.
    #[must_use]
    pub fn child(&self, span_id: u64) -> Self {
        Self { span_id, ..self.clone() }
    }

    /// The same, recorded or not.
    #[must_use]
    pub fn sampled(self, sampled: bool) -> Self {
        let others = self.flags & !SAMPLED;
        Self { flags: if sampled { others | SAMPLED } else { others }, ..self }
    }

    /// The same without its `tracestate`, which is text of whoever wrote it.
    #[must_use]
    pub fn without_state(&self) -> Self {
        Self { state: None, ..self.clone() }
    }

    /// The same for OpenTelemetry, as a context from outside. A `tracestate` that its own check
    /// refuses is left out: a key whose part after the `@` has all 14 bytes it may have.
    pub fn to_otel(&self) -> SpanContext {
        let state = self.state.as_deref().and_then(|state| state.parse::<TraceState>().ok());
        SpanContext::new(
            TraceId::from_bytes(self.trace_id.to_be_bytes()),
            SpanId::from_bytes(self.span_id.to_be_bytes()),
            TraceFlags::new(self.flags),
            true,
            state.unwrap_or_default(),
        )
    }

    /// Puts the context into the headers of a request, in place of any that is there.
    pub fn write(&self, headers: &mut HeaderMap) {
        let ours = "hexadecimal digits, and members checked to be visible ASCII";
        headers.insert(&TRACEPARENT, HeaderValue::try_from(self.traceparent()).expect(ours));
        match &self.state {
            Some(state) => {
                headers.insert(&TRACESTATE, HeaderValue::try_from(state).expect(ours));
            }
            None => {
                headers.remove(&TRACESTATE);
            }
        }
    }

    /// The value of `traceparent`.
    pub fn traceparent(&self) -> String {
        let (trace, span) = (digits::<32>(self.trace_id), digits::<16>(self.span_id.into()));
        let flags = digits::<2>(self.flags.into());
        ["00", text(&trace), text(&span), text(&flags)].join("-")
    }

    /// The trace's id, shown as 32 hexadecimal digits (`{:032x}`).
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The parent span's id, shown as 16 hexadecimal digits (`{:016x}`).
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Whether somebody records this trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The members of `tracestate`, joined by commas.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Trace id, span id and the flags we know.
fn parent(line: &[u8]) -> Option<(u128, u64, u8)> {
    let line = without_blanks(line);
    let (known, later) = line.split_at_checked(PARENT_LENGTH)?;
    if known[2] != b'-' || known[35] != b'-' || known[52] != b'-' {
        return None;
    }
    match (hexadecimal(&known[..2])?, later) {
        (0xff, _) => return None,
        // Version 00 ends here; a later one may go on behind a dash.
        (_, []) | (1.., [b'-', ..]) => {}
        _ => return None,
    }
    let trace_id = hexadecimal(&known[3..35]).filter(|id| *id != 0)?;
    let span_id = hexadecimal(&known[36..52]).filter(|id| *id != 0)?;
    let flags = hexadecimal(&known[53..55])?;
    let fits = "the number of digits bounds it";
    Some((
        trace_id,
        u64::try_from(span_id).expect(fits),
        u8::try_from(flags).expect(fits) & (SAMPLED | RANDOM),
    ))
}

/// A number of at most 32 digits. Capitals are refused, as the specification asks.
fn hexadecimal(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// The blanks that HTTP allows around a value are not part of it.
fn without_blanks(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

/// All members of all lines in order, joined by commas; `None` where there are none, too many, or
/// one is malformed. Of members with the same key the first stays: it is the newest, and the
/// specification allows one.
fn members<'a>(lines: impl Iterator<Item = Option<&'a str>>) -> Option<String> {
    let mut kept: Vec<(&str, &str)> = Vec::new();
    let mut met = 0;
    for line in lines {
        for member in line?.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            met += 1;
            let (key, value) = member.split_once('=')?;
            if met > MOST_MEMBERS || !is_key(key.as_bytes()) || !is_value(value.as_bytes()) {
                return None;
            }
            if kept.iter().all(|(known, _)| *known != key) {
                kept.push((key, member));
            }
        }
    }
    let kept: Vec<&str> = kept.into_iter().map(|(_, member)| member).collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// `key`, or `tenant@system`.
fn is_key(key: &[u8]) -> bool {
    let begins = |part: &[u8]| matches!(part, [b'a'..=b'z' | b'0'..=b'9', ..]);
    let inside = |part: &[u8]| {
        part.iter().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'))
    };
    match key.iter().position(|c| *c == b'@') {
        None => begins(key) && inside(key) && key.len() <= LONGEST,
        Some(at) => {
            let (tenant, system) = (&key[..at], &key[at + 1..]);
            begins(tenant)
                && inside(tenant)
                && tenant.len() <= LONGEST_TENANT
                && matches!(system, [b'a'..=b'z', ..])
                && inside(system)
                && system.len() <= LONGEST_SYSTEM
        }
    }
}

/// Visible ASCII and blanks, not ending in a blank, without `,` and `=`.
fn is_value(value: &[u8]) -> bool {
    value.len() <= LONGEST
        && value.last().is_some_and(|c| *c != b' ')
        && value.iter().all(|c| matches!(c, b' '..=b'~') && !matches!(c, b',' | b'='))
}

#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
