//! What operators write: an object, for how long, and why. What is forced ends by itself, so that
//! nobody has to remember it.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer};

use crate::catalog::name::Name;

/// How long where nothing is said: enough for a look, too short to be forgotten for a night.
pub(super) const USUAL: Duration = Duration::from_secs(10 * 60);

/// How long something may be forced.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));

/// Characters of a reason.
const MAX_REASON: usize = 200;

/// What such a wish must be like, for those who wrote another.
pub(super) const HOW_LONG: &str = "`for` is a duration from 1s to 24h, such as 10m";
/// The same of its reason.
pub(super) const WHY: &str = "`reason` is one line of at most 200 printable characters";

/// Reads a JSON object. A list would be taken for the fields in their order.
pub(super) fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    // The parser's own sentence may quote the body, and with it a customer.
    body.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(body).ok())?
}

/// The same, where no body at all stands for an empty object.
pub(super) fn object_or_nothing<'a, T: Deserialize<'a> + Default>(body: &'a [u8]) -> Option<T> {
    if body.trim_ascii().is_empty() { Some(T::default()) } else { object(body) }
}

/// A field that is written, `null` too: it names nobody, and taken for absent it would widen what is
/// asked for.
pub(super) fn written<'a, D, T>(field: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'a>,
    T: Deserialize<'a>,
{
    T::deserialize(field).map(Some)
}

/// What is said of a name that nothing of that `kind` has, with those that there are.
pub(super) fn unknown<'a>(kind: &str, known: impl Iterator<Item = &'a Name>) -> String {
    let known: Vec<&str> = known.map(Name::as_str).collect();
    format!("There is no {kind} of that name; there are: {}", known.join(", "))
}

/// For how long, by `for`.
pub(super) fn lasts(text: Option<&str>) -> Option<Duration> {
    let Some(text) = text else { return Some(USUAL) };
    let (least, most) = BOUNDS;
    humantime::parse_duration(text).ok().filter(|lasts| (least..=most).contains(lasts))
}

/// Why, in the operator's own words, which stand in the log and are shown.
pub(super) fn reason(text: Option<String>) -> Option<Option<Arc<str>>> {
    let Some(text) = text else { return Some(None) };
    let fits = text.chars().count() <= MAX_REASON && text.chars().all(is_printable);
    fits.then(|| Some(text.into()))
}

/// Whether a character shows itself, and nothing but itself: no control, no end of a line, none of
/// those that turn the direction of what follows.
fn is_printable(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_is_a_second_to_a_day() {
        assert_eq!(lasts(None), Some(USUAL));
        for (text, seconds) in [("1s", 1), ("90s", 90), ("1h 30m", 5400), ("24h", 86_400)] {
            assert_eq!(lasts(Some(text)), Some(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "s", "10", "m10", "-1m", "0s", "999ms", "25h", "99999999999999999999s"] {
            assert_eq!(lasts(Some(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn a_reason_is_one_line_that_shows_what_it_says() {
        assert_eq!(reason(None), Some(None));
        assert!(reason(Some("vendor's maintenance, Größe".to_owned())).is_some());
        for wrong in ["a\nb", "a\u{202e}b", "\u{0}", "a\u{2028}b", &"a".repeat(201)] {
            assert_eq!(reason(Some(wrong.to_owned())), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_list_is_no_object() {
        assert_eq!(object::<Vec<u8>>(b"[1]"), None);
        assert!(object::<serde_json::Value>(b" {} ").is_some());
        assert!(object::<serde_json::Value>(b"{").is_none());
    }
}
