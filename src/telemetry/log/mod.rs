//! Log lines: what is written about an event, which events are written, and the thread that writes
//! them.
//!
//! A line is one JSON object, or one line of text for a person; no value can break out of its line
//! or reach a terminal as a control sequence. Whoever logs never waits: a line for which there is
//! no room is dropped and counted.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry::{Context, trace::TraceContextExt};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets, filter_fn},
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
    reload,
};

use crate::{
    settings::{LogFormat, LogLevel},
    time::Wall,
};

mod sink;

pub use sink::Sink;

/// Bytes of one value; the rest is cut. Collectors split lines over 16 KiB.
const LONGEST: usize = 4_096;

/// Which lines are written. Clones change the same level.
#[derive(Clone)]
pub struct Level {
    shown: Arc<Mutex<LogLevel>>,
    apply: Arc<dyn Fn(Targets) + Send + Sync>,
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Level").field(&self.get()).finish()
    }
}

impl Level {
    /// The lowest level written.
    pub fn get(&self) -> LogLevel {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it at once, for all threads.
    pub fn set(&self, level: LogLevel) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        (self.apply)(targets(level));
        *shown = level;
    }
}

/// The layer that turns events into lines for `sink`, and the level to change it by. Spans are left
/// to the layer of traces.
pub fn layer<S>(
    form: LogFormat,
    level: LogLevel,
    sink: &Sink,
    wall: Wall,
) -> (impl Layer<S> + Send + Sync + use<S>, Level)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // The filter alone is behind the reload: span contexts cannot be set through a reloaded layer.
    let (filter, handle) = reload::Layer::new(targets(level));
    let events = filter_fn(|event| event.is_event()).with_max_level_hint(LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines { form, wall })
        .with_writer(sink.entrance())
        .log_internal_errors(false)
        .with_filter(events.and(filter));
    let apply = move |targets| {
        // It fails when the subscriber is gone, and then there is nothing left to filter.
        let _ = handle.reload(targets);
    };
    (lines, Level { shown: Arc::new(Mutex::new(level)), apply: Arc::new(apply) })
}

/// Our own events from `level` on; what operators change at any level but off. Other crates never get below a warning: what they say in detail
/// may hold URLs and headers, and the exporter would log its own export.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let audit = if level == LevelFilter::OFF { level } else { level.max(LevelFilter::INFO) };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("holdline", level)
        .with_target("holdline::audit", audit)
}

/// How an event becomes a line.
#[derive(Debug)]
struct Lines {
    form: LogFormat,
    wall: Wall,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let time = humantime::format_rfc3339_millis(self.wall.system_time());
        let level = event.metadata().level();
        let mut head = Head::default();
        event.record(&mut head);
        let target = match &head.target {
            Some(target) if event.metadata().target() == "log" => target,
            _ => event.metadata().target(),
        };
        match self.form {
            LogFormat::Json => {
                write!(out, r#"{{"timestamp":"{time}","level":"{level}","target":"#)?;
                quoted(&mut out, target)?;
                if let Some(message) = &head.message {
                    out.write_str(r#","message":"#)?;
                    quoted(&mut out, message)?;
                }
            }
            LogFormat::Text => {
                write!(out, "{time} {level:>5} ")?;
                escaped(&mut out, target, char::is_control)?;
                out.write_char(':')?;
                if let Some(message) = &head.message {
                    out.write_char(' ')?;
                    escaped(&mut out, message, char::is_control)?;
                }
            }
        }
        let mut tail = Tail { form: self.form, out, traced: false, result: Ok(()) };
        event.record(&mut tail);
        tail.trace_ids();
        tail.result?;
        tail.out.write_str(match self.form {
            LogFormat::Json => "}\n",
            LogFormat::Text => "\n",
        })
    }
}

/// What stands before the fields, wherever in the event it is. Records of the `log` crate carry
/// their target as a field.
#[derive(Default)]
struct Head {
    message: Option<String>,
    target: Option<String>,
}

impl Visit for Head {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = Some(text(value));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = Some(value.to_owned()),
            "log.target" => self.target = Some(value.to_owned()),
            _ => {}
        }
    }
}

/// The fields, one after the other as they come.
struct Tail<'a> {
    form: LogFormat,
    out: Writer<'a>,
    /// Whether the event named its trace itself.
    traced: bool,
    result: fmt::Result,
}

impl Tail<'_> {
    fn field(&mut self, name: &str, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        self.traced |= name == "trace_id";
        self.result = self.result.and_then(|()| {
            match self.form {
                LogFormat::Json => {
                    self.out.write_char(',')?;
                    quoted(&mut self.out, name)?;
                    self.out.write_char(':')?;
                }
                LogFormat::Text => {
                    self.out.write_char(' ')?;
                    escaped(&mut self.out, name, char::is_control)?;
                    self.out.write_char('=')?;
                }
            }
            value(&mut self.out)
        });
    }

    fn value(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let name = field.name();
        match name.strip_prefix("r#").unwrap_or(name) {
            "message" => {}
            // Where the `log` crate's record came from; its target is in the head.
            name if name.starts_with("log.") => {}
            // A key twice in one object would hide the other.
            "timestamp" => self.field("timestamp_", value),
            "level" => self.field("level_", value),
            "target" => self.field("target_", value),
            name => self.field(name, value),
        }
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
                self.field("trace_id", |out| write!(out, "\"{}\"", span.trace_id()));
                self.field("span_id", |out| write!(out, "\"{}\"", span.span_id()));
            }
        });
    }
}

impl Visit for Tail<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.value(field, |out| quoted(out, &text(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.value(field, |out| quoted(out, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, |out| write!(out, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, |out| write!(out, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, |out| write!(out, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity.
        self.value(field, |out| {
            if value.is_finite() { write!(out, "{value:?}") } else { out.write_str("null") }
        });
    }
}

/// What `value` shows of itself, as far as it does without failing.
fn text(value: &dyn fmt::Debug) -> String {
    let mut text = String::new();
    let _ = write!(text, "{value:?}");
    text
}

/// `text` as a JSON string, which text lines use as well.
fn quoted(out: &mut Writer<'_>, text: &str) -> fmt::Result {
    out.write_char('"')?;
    escaped(out, text, |c| matches!(c, '"' | '\\') || c.is_control())?;
    out.write_char('"')
}

/// `text` up to its longest, with escapes for what is `special` and for line separators. Unlike
/// `serde_json` this also escapes DEL and the C1 controls, among them a one-byte start of a
/// terminal sequence.
fn escaped(out: &mut Writer<'_>, text: &str, special: impl Fn(char) -> bool) -> fmt::Result {
    let special = |c| special(c) || matches!(c, '\u{2028}' | '\u{2029}');
    let end = text.floor_char_boundary(LONGEST);
    let mut rest = &text[..end];
    while let Some(at) = rest.find(special) {
        let (plain, from) = rest.split_at(at);
        out.write_str(plain)?;
        let mut tail = from.chars();
        match tail.next() {
            Some(c @ ('"' | '\\')) => write!(out, "\\{c}")?,
            Some('\n') => out.write_str("\\n")?,
            Some('\t') => out.write_str("\\t")?,
            // All of them are below U+10000: four digits are enough.
            Some(c) => write!(out, "\\u{:04x}", u32::from(c))?,
            None => {}
        }
        rest = tail.as_str();
    }
    out.write_str(rest)?;
    if end < text.len() { out.write_str("...") } else { Ok(()) }
}

#[cfg(test)]
mod tests;
