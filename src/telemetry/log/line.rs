//! How an event becomes a line. A service writes one for each call, so what is usual goes a short way:
//! text without anything to escape, numbers with at most three places.

use std::fmt::{self, Write as _};

use opentelemetry::{Context, trace::TraceContextExt};
use tracing::{
    Event,
    field::{Field, Visit},
};

use crate::{settings::LogFormat, time::Wall};

/// Bytes of one value; the rest is cut. Collectors split lines over 16 KiB.
pub(super) const LONGEST: usize = 4_096;
/// Bytes of most lines.
const USUAL: usize = 1_024;

/// The line of `event`, with its end.
pub(super) fn of(event: &Event<'_>, form: LogFormat, wall: Wall) -> String {
    let mut head = Head { foreign: event.metadata().target() == "log", ..Head::default() };
    event.record(&mut head);
    let target = head.target.as_deref().unwrap_or_else(|| event.metadata().target());
    let mut out = String::with_capacity(USUAL);
    let time = humantime::format_rfc3339_millis(wall.system_time());
    let level = event.metadata().level();
    match form {
        LogFormat::Json => {
            // Writing to a string cannot fail, here and below.
            let _ = write!(out, r#"{{"timestamp":"{time}","level":"{level}","target":"#);
            quoted(&mut out, target);
            if let Some(message) = &head.message {
                out.push_str(r#","message":"#);
                quoted(&mut out, message);
            }
        }
        LogFormat::Text => {
            let _ = write!(out, "{time} {level:>5} ");
            escaped(&mut out, target, char::is_control);
            out.push(':');
            if let Some(message) = &head.message {
                out.push(' ');
                escaped(&mut out, message, char::is_control);
            }
        }
    }
    let mut tail = Tail { form, out, shown: head.spare, traced: false };
    event.record(&mut tail);
    tail.trace_ids();
    tail.out.push_str(match form {
        LogFormat::Json => "}\n",
        LogFormat::Text => "\n",
    });
    tail.out
}

/// What stands before the fields, wherever in the event it is. Records of the `log` crate carry
/// their target as a field.
#[derive(Default)]
struct Head {
    /// Whether it is such a record.
    foreign: bool,
    message: Option<String>,
    target: Option<String>,
    /// For what shows itself by formatting.
    spare: String,
}

impl Visit for Head {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.message.is_none() && field.name() == "message" {
            self.message = Some(shown(&mut self.spare, value).to_owned());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.message.is_none() && field.name() == "message" {
            self.message = Some(value.to_owned());
        } else if self.foreign && field.name() == "log.target" {
            self.target = Some(value.to_owned());
        }
    }

    // Neither is a number: these are not even looked at.
    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_i64(&mut self, _: &Field, _: i64) {}

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_bool(&mut self, _: &Field, _: bool) {}
}

/// The fields, one after the other as they come.
struct Tail {
    form: LogFormat,
    out: String,
    shown: String,
    /// Whether the event named its trace itself.
    traced: bool,
}

impl Tail {
    /// Writes what stands before the value of that name.
    fn name(&mut self, name: &str) {
        self.traced |= name == "trace_id";
        match self.form {
            LogFormat::Json => {
                self.out.push(',');
                quoted(&mut self.out, name);
                self.out.push(':');
            }
            LogFormat::Text => {
                self.out.push(' ');
                escaped(&mut self.out, name, char::is_control);
                self.out.push('=');
            }
        }
    }

    fn value(&mut self, field: &Field, value: impl FnOnce(&mut String)) {
        let name = field.name();
        let name = match name.strip_prefix("r#").unwrap_or(name) {
            "message" => return,
            // Where the `log` crate's record came from; its target is in the head.
            name if name.starts_with("log.") => return,
            // A key twice in one object would hide the other.
            "timestamp" => "timestamp_",
            "level" => "level_",
            "target" => "target_",
            name => name,
        };
        self.name(name);
        value(&mut self.out);
    }

    /// The active span's ids, unless the event names its own.
    fn trace_ids(&mut self) {
        if self.traced {
            return;
        }
        Context::map_current(|context| {
            let span = context.span();
            let span = span.span_context();
            if span.is_valid() {
                self.name("trace_id");
                let _ = write!(self.out, "\"{}\"", span.trace_id());
                self.name("span_id");
                let _ = write!(self.out, "\"{}\"", span.span_id());
            }
        });
    }
}

impl Visit for Tail {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut spare = std::mem::take(&mut self.shown);
        self.value(field, |out| quoted(out, shown(&mut spare, value)));
        self.shown = spare;
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.value(field, |out| quoted(out, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, |out| out.push_str(if value { "true" } else { "false" }));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, |out| {
            if value < 0 {
                out.push('-');
            }
            digits(out, value.unsigned_abs(), 1);
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, |out| digits(out, value, 1));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, |out| number(out, value));
    }
}

/// What `value` shows of itself, as far as it does without failing.
fn shown<'a>(spare: &'a mut String, value: &dyn fmt::Debug) -> &'a str {
    spare.clear();
    let _ = write!(spare, "{value:?}");
    spare
}

/// A number as `{:?}` writes it, but what JSON does not know.
pub(super) fn number(out: &mut String, value: f64) {
    /// Up to here thousandths are exact.
    const EXACT: f64 = 1e12;
    let thousandths = (value * 1e3).round();
    if value.is_sign_positive() && thousandths < EXACT && thousandths / 1e3 == value {
        let thousandths = thousandths as u64;
        digits(out, thousandths / 1_000, 1);
        out.push('.');
        let (mut places, mut rest) = (3, thousandths % 1_000);
        while places > 1 && rest % 10 == 0 {
            (places, rest) = (places - 1, rest / 10);
        }
        digits(out, rest, places);
    } else if value.is_finite() {
        let _ = write!(out, "{value:?}");
    } else {
        out.push_str("null");
    }
}

/// A number with at least so many digits.
fn digits(out: &mut String, mut number: u64, at_least: usize) {
    let mut text = [b'0'; 20];
    let mut from = text.len();
    while number > 0 {
        from -= 1;
        text[from] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let digits = &text[from.min(text.len() - at_least)..];
    out.extend(digits.iter().copied().map(char::from));
}

/// `text` as a JSON string, which text lines use as well.
pub(super) fn quoted(out: &mut String, text: &str) {
    out.push('"');
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && !matches!(byte, b'"' | b'\\');
    if text.len() <= LONGEST && text.bytes().all(plain) {
        out.push_str(text);
    } else {
        escaped(out, text, |c| matches!(c, '"' | '\\') || c.is_control());
    }
    out.push('"');
}

/// `text` up to its longest, with escapes for what is `special` and for line separators. Unlike
/// `serde_json` this also escapes DEL and the C1 controls, among them a one-byte start of a
/// terminal sequence.
fn escaped(out: &mut String, text: &str, special: impl Fn(char) -> bool) {
    let special = |c| special(c) || matches!(c, '\u{2028}' | '\u{2029}');
    let end = text.floor_char_boundary(LONGEST);
    let mut rest = &text[..end];
    while let Some(at) = rest.find(special) {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let mut tail = from.chars();
        match tail.next() {
            Some(c @ ('"' | '\\')) => out.extend(['\\', c]),
            Some('\n') => out.push_str("\\n"),
            Some('\t') => out.push_str("\\t"),
            // All of them are below U+10000: four digits are enough.
            Some(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            None => {}
        }
        rest = tail.as_str();
    }
    out.push_str(rest);
    if end < text.len() {
        out.push_str("...");
    }
}
