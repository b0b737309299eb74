//! Numbers and lists as a person says them.

use std::time::Duration;

use url::{Position, Url};

/// A stretch of time: `250 ms`, `4.75 s`, `6 min 6 s`, `1 h`.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if time < Duration::from_secs(1) {
        return format!("{} ms", number(seconds * 1e3));
    }
    if time <= Duration::from_secs(90) {
        return format!("{} s", number(seconds));
    }
    let whole = seconds.round() as u64;
    let parts = [(whole / 3600, "h"), (whole / 60 % 60, "min"), (whole % 60, "s")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

/// The host of an address, with its port where that is not the usual one of its scheme.
pub(in crate::cli) fn host(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

/// A number with at most two places.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number with at most one place.
pub(super) fn tenths(value: f64) -> String {
    number((value * 10.0).round() / 10.0)
}

/// A share: `50 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// So many a second, or a minute where that is less than one: `50 calls/s`, `5 calls a minute`.
pub(super) fn rate(period: Duration, of: &str) -> String {
    let a_second = 1.0 / period.as_secs_f64();
    if a_second >= 1.0 {
        format!("{} {of}/s", number(a_second))
    } else {
        format!("{} {of} a minute", number(a_second * 60.0))
    }
}

/// `1 attempt`, `3 attempts`.
pub(super) fn count(number: u32, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

/// `a, b and c`, with another word for `and`.
pub(super) fn list<T: AsRef<str>>(words: &[T], and: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match &*words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_short() {
        for (ms, text) in [
            (0, "0 ms"),
            (250, "250 ms"),
            (1000, "1 s"),
            (4750, "4.75 s"),
            (60_000, "60 s"),
            (90_000, "90 s"),
            (300_000, "5 min"),
            (366_000, "6 min 6 s"),
            (3_600_000, "1 h"),
            (90_061_000, "25 h 1 min 1 s"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
        assert_eq!(span(Duration::from_micros(1500)), "1.5 ms");
        assert_eq!((number(41.0), number(0.333)), ("41".to_owned(), "0.33".to_owned()));
        assert_eq!(percent(0.02), "2 %");
    }

    #[test]
    fn rates_and_lists_are_words() {
        assert_eq!(rate(Duration::from_millis(20), "calls"), "50 calls/s");
        assert_eq!(rate(Duration::from_secs(12), "calls"), "5 calls a minute");
        assert_eq!(
            (count(1, "attempt"), count(3, "attempt")),
            ("1 attempt".into(), "3 attempts".into())
        );
        assert_eq!(list(&["a"], "or"), "a");
        assert_eq!(list(&["a", "b", "c"], "or"), "a, b or c");
    }
}
