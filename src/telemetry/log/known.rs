//! What of a line is known before its event: a callsite has its level, its target and the names of its
//! fields once and for all, and a second its date. Each thread keeps them as they are written.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use tracing::{
    Metadata,
    callsite::Identifier,
    field::{Field, FieldSet},
};

use crate::{
    settings::LogFormat,
    telemetry::log::line::{escaped, quoted},
};

/// What is known of one callsite.
pub(super) struct Known {
    callsite: Identifier,
    pub(super) form: LogFormat,
    /// The level, with all that stands between the time and the target.
    pub(super) level: Vec<u8>,
    /// The target, with what stands around it.
    pub(super) target: Vec<u8>,
    /// Whether the line follows from the event as it comes: the message is the first field if there is
    /// one, and the target is that of the callsite.
    pub(super) is_usual: bool,
    /// What stands before the value of each field; nothing: it has no place of its own.
    names: Box<[Box<[u8]>]>,
    message: Option<usize>,
    trace_id: Option<usize>,
}

impl Known {
    /// What is known of the callsite of an event. They are as many as there are places in the code that
    /// log, of which few do so often: the first to be met are found first.
    pub(super) fn of<'a>(
        event: &Metadata<'_>,
        form: LogFormat,
        known: &'a mut Vec<Self>,
    ) -> &'a Self {
        let callsite = event.callsite();
        let at = known.iter().position(|one| one.callsite == callsite && one.form == form);
        let at = at.unwrap_or_else(|| {
            known.push(Self::learn(event, form));
            known.len() - 1
        });
        &known[at]
    }

    fn learn(event: &Metadata<'_>, form: LogFormat) -> Self {
        let (mut level, mut target) = (Vec::new(), Vec::new());
        // Writing to memory cannot fail.
        let _ = match form {
            LogFormat::Json => write!(level, r#"","level":"{}","target":"#, event.level()),
            LogFormat::Text => write!(level, " {:>5} ", event.level()),
        };
        put_target(&mut target, form, event.target());
        let at = |fields: &FieldSet, name| fields.iter().position(|field| field.name() == name);
        let message = at(event.fields(), "message");
        let names = event.fields().iter().map(|field| {
            let mut text = Vec::new();
            if let Some(name) = name_of(field.name()) {
                put_name(&mut text, form, name);
            }
            text.into()
        });
        Self {
            callsite: event.callsite(),
            form,
            level,
            target,
            // What is logged with a format string has its message in the first place, which is the right
            // one. Records of the `log` crate carry their target as a field.
            is_usual: matches!(message, None | Some(0)) && event.target() != "log",
            names: names.collect(),
            message,
            trace_id: at(event.fields(), "trace_id"),
        }
    }

    /// What stands before the value of that field; nothing where it has no place of its own.
    pub(super) fn name(&self, field: &Field) -> &[u8] {
        &self.names[field.index()]
    }

    pub(super) fn is_message(&self, field: &Field) -> bool {
        self.message == Some(field.index())
    }

    pub(super) fn is_trace_id(&self, field: &Field) -> bool {
        self.trace_id == Some(field.index())
    }
}

/// The name that a field has in a line, if it has a place of its own there.
fn name_of(name: &str) -> Option<&str> {
    match name {
        "message" => None,
        // Where the `log` crate's record came from; its target is in the head.
        _ if name.starts_with("log.") => None,
        // A key twice in one object would hide the other.
        "timestamp" => Some("timestamp_"),
        "level" => Some("level_"),
        "target" => Some("target_"),
        _ => Some(name.strip_prefix("r#").unwrap_or(name)),
    }
}

/// Writes what stands before the value of that name.
pub(super) fn put_name(out: &mut Vec<u8>, form: LogFormat, name: &str) {
    match form {
        LogFormat::Json => {
            out.push(b',');
            quoted(out, name);
            out.push(b':');
        }
        LogFormat::Text => {
            out.push(b' ');
            escaped(out, name, char::is_control);
            out.push(b'=');
        }
    }
}

/// Writes where an event comes from.
pub(super) fn put_target(out: &mut Vec<u8>, form: LogFormat, target: &str) {
    match form {
        LogFormat::Json => quoted(out, target),
        LogFormat::Text => {
            escaped(out, target, char::is_control);
            out.push(b':');
        }
    }
}

/// The second that was written last.
#[derive(Default)]
pub(super) struct Second {
    since_epoch: u64,
    /// As far as its point: `2026-11-22T10:00:00.`.
    text: String,
}

impl Second {
    /// Writes the time as RFC 3339 has it, with milliseconds.
    pub(super) fn stamp(&mut self, out: &mut Vec<u8>, since_epoch: Duration) {
        if self.text.is_empty() || self.since_epoch != since_epoch.as_secs() {
            let time = humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since_epoch);
            self.text.clear();
            // It can be told as long as years have four digits.
            let _ = write!(self.text, "{time}");
            self.text.truncate(20);
            self.since_epoch = since_epoch.as_secs();
        }
        let millis = since_epoch.subsec_millis();
        let digit = |place: u32| b'0' + (millis / place % 10) as u8;
        out.extend_from_slice(self.text.as_bytes());
        out.extend_from_slice(&[digit(100), digit(10), digit(1), b'Z']);
    }
}
