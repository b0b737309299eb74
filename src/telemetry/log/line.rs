//! How an event becomes a line. A service writes one for each call, so what is usual goes a short way:
//! text without anything to escape, numbers with at most three places.

use std::{
    cell::Cell,
    fmt::{self, Write as _},
    io::Write as _,
};

use tracing::{
    Event,
    field::{Field, Visit},
};

use crate::{
    settings::LogFormat,
    telemetry::log::{
        active,
        known::{Known, Second, put_name, put_target},
    },
    time::Wall,
};

/// Bytes of one value; the rest is cut. Collectors split lines over 16 KiB.
pub(super) const LONGEST: usize = 4_096;
/// Bytes that a thread keeps for its lines; most are shorter.
const USUAL: usize = 2_048;

/// Room for a line, and what a thread knows before its event.
#[derive(Default)]
struct Room {
    out: Vec<u8>,
    /// For what shows itself by formatting.
    spare: String,
    second: Second,
    known: Vec<Known>,
}

thread_local! {
    /// Each thread makes its lines in the same room. It is taken out meanwhile: what shows itself in a
    /// line may log.
    static ROOM: Cell<Room> = Cell::default();
}

impl Room {
    /// Takes the thread's room, with the time in it.
    fn begun(form: LogFormat, wall: Wall) -> Self {
        let mut room = ROOM.take();
        room.out.clear();
        room.out.reserve(USUAL);
        if form == LogFormat::Json {
            room.out.extend_from_slice(br#"{"timestamp":""#);
        }
        room.second.stamp(&mut room.out, wall.since_epoch());
        room
    }

    fn put_back(mut self) {
        self.out.shrink_to(USUAL);
        self.spare.shrink_to(USUAL);
        ROOM.set(self);
    }
}

/// Has a line written behind its time, as far as its end, and has it taken.
pub(super) fn written(
    form: LogFormat,
    wall: Wall,
    write: impl FnOnce(&mut Vec<u8>),
    take: impl FnOnce(&[u8]),
) {
    let mut room = Room::begun(form, wall);
    write(&mut room.out);
    end(&mut room.out, form);
    take(&room.out);
    room.put_back();
}

/// Makes the line of `event`, with its end, in UTF-8, and has it taken.
pub(super) fn made(event: &Event<'_>, form: LogFormat, wall: Wall, take: impl FnOnce(&[u8])) {
    let Room { out, spare, second, mut known } = Room::begun(form, wall);
    let known_here = Known::of(event.metadata(), form, &mut known);
    let Tail { out, spare, .. } = line(event, known_here, out, spare);
    take(&out);
    Room { out, spare, second, known }.put_back();
}

fn end(out: &mut Vec<u8>, form: LogFormat) {
    out.extend_from_slice(match form {
        LogFormat::Json => b"}\n",
        LogFormat::Text => b"\n",
    });
}

fn line<'a>(event: &Event<'_>, known: &'a Known, out: Vec<u8>, spare: String) -> Tail<'a> {
    let mut tail = Tail { known, out, spare, told: false, traced: false };
    tail.out.extend_from_slice(&known.level);
    if known.is_usual {
        tail.out.extend_from_slice(&known.target);
    } else {
        let mut head = Head::default();
        event.record(&mut head);
        match &head.target {
            Some(target) => put_target(&mut tail.out, known.form, target),
            None => tail.out.extend_from_slice(&known.target),
        }
        if let Some(message) = &head.message {
            tail.message(message);
        }
    }
    event.record(&mut tail);
    tail.trace_ids();
    end(&mut tail.out, known.form);
    tail
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
            self.message = Some(shown(&mut String::new(), value).to_owned());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = Some(value.to_owned()),
            "log.target" => self.target = Some(value.to_owned()),
            _ => {}
        }
    }

    // Neither is a number: these are not even looked at.
    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_i64(&mut self, _: &Field, _: i64) {}

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_bool(&mut self, _: &Field, _: bool) {}
}

/// The fields, one after the other as they come.
struct Tail<'a> {
    known: &'a Known,
    out: Vec<u8>,
    /// For what shows itself by formatting.
    spare: String,
    /// Whether the message stands in the line.
    told: bool,
    /// Whether the event named its trace itself.
    traced: bool,
}

impl Tail<'_> {
    fn message(&mut self, message: &str) {
        if self.told {
            return;
        }
        self.told = true;
        match self.known.form {
            LogFormat::Json => {
                self.out.extend_from_slice(br#","message":"#);
                quoted(&mut self.out, message);
            }
            LogFormat::Text => {
                self.out.push(b' ');
                escaped(&mut self.out, message, char::is_control);
            }
        }
    }

    /// Writes the name, if this field has a place of its own in the line.
    fn begins(&mut self, field: &Field) -> bool {
        let name = self.known.name(field);
        self.out.extend_from_slice(name);
        self.traced |= self.known.is_trace_id(field);
        !name.is_empty()
    }

    fn text(&mut self, field: &Field, text: &str) {
        if self.known.is_message(field) {
            self.message(text);
        } else if self.begins(field) {
            quoted(&mut self.out, text);
        }
    }

    /// The ids of what the task works for, unless the event names its own.
    fn trace_ids(&mut self) {
        if self.traced {
            return;
        }
        if let Some((trace, span)) = active::ids() {
            let form = self.known.form;
            put_name(&mut self.out, form, "trace_id");
            // Writing to memory cannot fail, here and below.
            let _ = write!(self.out, "\"{trace:032x}\"");
            put_name(&mut self.out, form, "span_id");
            let _ = write!(self.out, "\"{span:016x}\"");
        }
    }
}

impl Visit for Tail<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut spare = std::mem::take(&mut self.spare);
        self.text(field, shown(&mut spare, value));
        self.spare = spare;
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.begins(field) {
            self.out.extend_from_slice(if value { b"true" } else { b"false" });
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self.begins(field) {
            if value < 0 {
                self.out.push(b'-');
            }
            digits(&mut self.out, value.unsigned_abs());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if self.begins(field) {
            digits(&mut self.out, value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if self.begins(field) {
            number(&mut self.out, value);
        }
    }
}

/// What `value` shows of itself, as far as it does without failing.
fn shown<'a>(spare: &'a mut String, value: &dyn fmt::Debug) -> &'a str {
    spare.clear();
    let _ = write!(spare, "{value:?}");
    spare
}

/// A number as `{:?}` writes it, but what JSON does not know.
pub(super) fn number(out: &mut Vec<u8>, value: f64) {
    /// Up to here thousandths are exact.
    const EXACT: f64 = 1e9;
    // The nearest whole number, which takes no look at where it lies.
    let thousandths = (value * 1e3 + 0.5) as u64;
    if value.is_sign_positive() && value < EXACT && thousandths as f64 / 1e3 == value {
        in_thousandths(out, thousandths);
    } else if value.is_finite() {
        let _ = write!(out, "{value:?}");
    } else {
        out.extend_from_slice(b"null");
    }
}

/// So many thousandths, with one to three places.
#[inline]
pub(super) fn in_thousandths(out: &mut Vec<u8>, thousandths: u64) {
    digits(out, thousandths / 1_000);
    let rest = thousandths % 1_000;
    let digit = |place: u64| b'0' + (rest / place % 10) as u8;
    out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
    // All are written and some taken back, which is quicker than to write as many as it takes.
    let idle = usize::from(rest.is_multiple_of(10)) + usize::from(rest.is_multiple_of(100));
    out.truncate(out.len() - idle);
}

/// A whole number.
#[inline]
pub(super) fn digits(out: &mut Vec<u8>, number: u64) {
    if number < 10 {
        out.push(b'0' + number as u8);
    } else {
        more_digits(out, number);
    }
}

fn more_digits(out: &mut Vec<u8>, mut number: u64) {
    let mut text = [b'0'; 20];
    let mut from = text.len();
    while number > 0 {
        from -= 1;
        text[from] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text[from..]);
}

/// `text` as a JSON string, which text lines use as well.
pub(super) fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text.len() <= LONGEST && is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escaped(out, text, |c| matches!(c, '"' | '\\') || c.is_control());
    }
    out.push(b'"');
}

/// Whether all of it goes the short way. All bytes are looked at, whatever the first is: so it takes no
/// branch for each, and sixteen at once where there are as many.
pub(super) fn is_plain(text: &[u8]) -> bool {
    let (pieces, rest) = text.as_chunks::<16>();
    let special = |byte: u8| !(b' '..=b'~').contains(&byte) | (byte == b'"') | (byte == b'\\');
    let any = |any, piece: &[u8; 16]| any | piece.iter().fold(false, |any, c| any | special(*c));
    !pieces.iter().fold(false, any)
        && !rest.iter().fold(false, |any, byte| any | SPECIAL[usize::from(*byte)])
}

/// The bytes that are not for the short way: all but ASCII's printable ones without two.
const SPECIAL: [bool; 256] = {
    let mut special = [true; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        special[byte as usize] = matches!(byte, b'"' | b'\\');
        byte += 1;
    }
    special
};

/// `text` up to its longest, with escapes for what is `special` and for line separators. Unlike
/// `serde_json` this also escapes DEL and the C1 controls, among them a one-byte start of a
/// terminal sequence.
pub(super) fn escaped(out: &mut Vec<u8>, text: &str, special: impl Fn(char) -> bool) {
    let special = |c| special(c) || matches!(c, '\u{2028}' | '\u{2029}');
    let end = text.floor_char_boundary(LONGEST);
    let mut rest = &text[..end];
    while let Some(at) = rest.find(special) {
        let (plain, from) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut tail = from.chars();
        match tail.next() {
            Some('"') => out.extend_from_slice(br#"\""#),
            Some('\\') => out.extend_from_slice(br"\\"),
            Some('\n') => out.extend_from_slice(br"\n"),
            Some('\t') => out.extend_from_slice(br"\t"),
            // All of them are below U+10000: four digits are enough.
            Some(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            None => {}
        }
        rest = tail.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    if end < text.len() {
        out.extend_from_slice(b"...");
    }
}
