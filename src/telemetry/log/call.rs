//! The line that each call leaves. It has one shape, so it is written as it is told: to hand some thirty
//! fields to tracing, and to be handed them back one by one, costs two thirds of the line on top. Else
//! it is an event like any other of ours: it looks the same, and the same level lets it through.

use std::fmt;

use tracing::Level as Severity;

use crate::{
    chance,
    settings::{LogFormat, LogLevel},
    telemetry::log::{
        Level, Sink,
        line::{self, digits, in_thousandths, is_plain, quoted},
        sink::Entrance,
    },
    time::Wall,
};

/// Who writes the lines of calls. Clones write to the same sink.
#[derive(Clone)]
pub struct CallLines {
    form: LogFormat,
    wall: Wall,
    level: Level,
    out: Entrance,
}

impl fmt::Debug for CallLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallLines").field("level", &self.level).finish_non_exhaustive()
    }
}

impl CallLines {
    /// Lines for `sink`, as far as `level` lets them through.
    pub fn new(form: LogFormat, wall: Wall, sink: &Sink, level: &Level) -> Self {
        Self { form, wall, level: level.clone(), out: sink.entrance() }
    }

    /// Writes the line of a call that has ended: at the level of a warning or, where it is none, of what
    /// is told by the way.
    pub(in super::super) fn write(&self, is_warning: bool, fields: impl FnOnce(&mut Fields<'_>)) {
        let (level, severity) = match is_warning {
            true => (LogLevel::Warn, Severity::WARN),
            false => (LogLevel::Info, Severity::INFO),
        };
        if !self.level.lets(level) {
            return;
        }
        let write = |out: &mut Vec<u8>| {
            let mut fields_here = Fields { out, form: self.form };
            fields_here.put(if is_warning { WARNING } else { BY_THE_WAY });
            fields(&mut fields_here);
        };
        line::written(self.form, self.wall, write, |line| self.out.put(line, severity));
    }
}

/// A piece of a line that is known beforehand, in both forms.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Known {
    pub(in super::super) json: &'static str,
    pub(in super::super) text: &'static str,
}

/// What stands between the time and the fields.
macro_rules! head {
    ($level:literal, $padded:literal) => {
        Known {
            json: concat!(
                r#"","level":""#,
                $level,
                r#"","target":"holdline::call","message":"call ended""#
            ),
            text: concat!(" ", $padded, " holdline::call: call ended"),
        }
    };
}

const WARNING: Known = head!("WARN", " WARN");
const BY_THE_WAY: Known = head!("INFO", " INFO");

/// What stands before the value of a field of that name.
macro_rules! field {
    ($($name:literal)+) => {
        $crate::telemetry::log::Known {
            json: concat!(",\"", $($name,)+ "\":"),
            text: concat!(" ", $($name,)+ "="),
        }
    };
}
pub(in super::super) use field;

/// The fields of a line, one behind the other as they are told.
pub(in super::super) struct Fields<'a> {
    out: &'a mut Vec<u8>,
    form: LogFormat,
}

// Inlined where the whole program is optimised together: then a name is no call to copy so many bytes, but two or three moves.
impl Fields<'_> {
    #[inline]
    fn put(&mut self, known: Known) {
        match self.form {
            LogFormat::Json => self.out.extend_from_slice(known.json.as_bytes()),
            LogFormat::Text => self.out.extend_from_slice(known.text.as_bytes()),
        }
    }

    /// Text.
    #[inline]
    pub(in super::super) fn text(&mut self, name: Known, text: &str) {
        self.put(name);
        quoted(self.out, text);
    }

    /// A word of ours, which has nothing to escape.
    #[inline]
    pub(in super::super) fn word(&mut self, name: Known, word: &'static str) {
        debug_assert!(is_plain(word.as_bytes()), "{word:?} is no word");
        self.plain(name, word.as_bytes());
    }

    /// An id, as so many hexadecimal digits.
    #[inline]
    pub(in super::super) fn id<const DIGITS: usize>(&mut self, name: Known, id: u128) {
        self.plain(name, &chance::digits::<DIGITS>(id));
    }

    #[inline]
    fn plain(&mut self, name: Known, text: &[u8]) {
        self.put(name);
        self.out.push(b'"');
        self.out.extend_from_slice(text);
        self.out.push(b'"');
    }

    /// Such a word, if there is one.
    #[inline]
    pub(in super::super) fn word_if(&mut self, name: Known, word: Option<&'static str>) {
        if let Some(word) = word {
            self.word(name, word);
        }
    }

    /// A whole number.
    #[inline]
    pub(in super::super) fn number(&mut self, name: Known, number: u64) {
        self.put(name);
        digits(self.out, number);
    }

    /// So many microseconds, in milliseconds.
    #[inline]
    pub(in super::super) fn millis(&mut self, name: Known, micros: u64) {
        self.put(name);
        in_thousandths(self.out, micros);
    }
}
