//! Readers of single values: durations, sizes, rates, numbers, addresses, names, secrets.

use std::{net::SocketAddr, time::Duration};

use http::HeaderName;
use serde_json_path::JsonPath;
use url::Url;

use crate::config::{nearest::write_one_of, section::Value, spelling::Spelling};

/// Longer than anything waits for; an instant plus this never overflows.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// A tebibyte: larger than any machine this runs on, small enough to add up.
const LARGEST: u64 = 1 << 40;

/// Shows a written text in a sentence, short and on one line.
pub(super) fn shown(text: &str) -> String {
    format!("`{}`", short(text))
}

/// The beginning of a written text, on one line and printable.
pub(super) fn short(text: &str) -> String {
    let mut short: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        short.push_str("...");
    }
    short
}

/// Any text.
pub(super) fn text(value: &Value<'_>) -> Option<String> {
    value.is_read_as(|| Spelling::Text);
    value.plain("must be a text", "write one line of text").map(str::to_owned)
}

/// A text that is not empty.
pub(super) fn word(value: &Value<'_>) -> Option<String> {
    let text = text(value)?;
    if text.trim().is_empty() {
        value.refuse("is empty", "write a value or remove the key");
        return None;
    }
    Some(text)
}

/// `true` or `false`.
pub(super) fn flag(value: &Value<'_>) -> Option<bool> {
    value.is_read_as(|| Spelling::Flag);
    const WHAT: &str = "must be true or false";
    const INSTEAD: &str = "write true or false, without quotes";
    let text = value.plain(WHAT, INSTEAD)?;
    let scalar = value.scalar(WHAT, INSTEAD)?;
    match (text, scalar.quoted && !scalar.expanded) {
        ("true" | "True" | "TRUE", false) => Some(true),
        ("false" | "False" | "FALSE", false) => Some(false),
        _ => {
            value.refuse(WHAT, INSTEAD);
            None
        }
    }
}

/// One of a closed list.
pub(super) fn choice<T: Copy>(value: &Value<'_>, known: &[(&str, T)]) -> Option<T> {
    value.is_read_as(|| Spelling::choice(known.iter().map(|(word, _)| *word)));
    let words = || known.iter().map(|(word, _)| *word);
    let text = value.plain("must be one word", &write_one_of("", words()))?;
    let found = known.iter().find(|(word, _)| *word == text).map(|(_, chosen)| *chosen);
    if found.is_none() {
        let what = format!("{} is none of its words", value.shown(text));
        value.refuse(what, value.one_of(text, words()));
    }
    found
}

/// A time of up to 30 days, zero included: a number and one of `ms`, `s`, `m`, `h`.
pub(super) fn duration(value: &Value<'_>) -> Option<Duration> {
    value.is_read_as(|| Spelling::Duration);
    const WHAT: &str = "must be a duration";
    const INSTEAD: &str = "write a number and its unit, such as 250ms, 2s, 5m or 1h";
    let text = value.plain(WHAT, INSTEAD)?;
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if unit.is_empty() && !text.is_empty() && text.len() < 12 {
        let instead = format!("write `{text}s` or `{text}ms`");
        value.refuse("has no unit", if value.is_from_outside() { INSTEAD } else { &instead });
        return None;
    }
    if unit.len() == text.len() || !matches!(unit, "ms" | "s" | "m" | "h") {
        let (number, unit) = (&text[..text.len() - unit.len()], unit.trim().to_ascii_lowercase());
        let meant = match unit.as_str() {
            "msec" | "millis" | "milliseconds" => Some("ms"),
            "s" | "sec" | "secs" | "second" | "seconds" => Some("s"),
            "m" | "min" | "mins" | "minute" | "minutes" => Some("m"),
            "h" | "hr" | "hour" | "hours" => Some("h"),
            _ => None,
        };
        let instead =
            meant.filter(|_| !number.is_empty() && number.len() < 12 && !value.is_from_outside());
        let instead = instead.map(|unit| format!("write `{number}{unit}`"));
        value.refuse(WHAT, instead.unwrap_or_else(|| INSTEAD.to_owned()));
        return None;
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Some(duration),
        Ok(_) | Err(_) => {
            value.refuse("is longer than 30 days", "write at most 720h");
            None
        }
    }
}

/// A time that is not zero.
pub(super) fn span(value: &Value<'_>) -> Option<Duration> {
    value.is_read_as(|| Spelling::Span);
    let duration = duration(value)?;
    if duration.is_zero() {
        value.refuse("must be longer than zero", "write a longer duration");
        return None;
    }
    Some(duration)
}

/// Bytes, at least one: a number and one of `B`, `KiB`, `MiB`, `GiB`.
pub(super) fn size(value: &Value<'_>) -> Option<u64> {
    value.is_read_as(|| Spelling::Size);
    const WHAT: &str = "must be a size";
    const INSTEAD: &str = "write a number and its unit, such as 64KiB or 2MiB";
    let text = value.plain(WHAT, INSTEAD)?;
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &text[..text.len() - unit.len()];
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            let meant = match unit.trim().to_ascii_lowercase().as_str() {
                "k" | "kb" | "kib" => Some("KiB"),
                "m" | "mb" | "mib" => Some("MiB"),
                "g" | "gb" | "gib" => Some("GiB"),
                "" | "b" | "byte" | "bytes" => Some("B"),
                _ => None,
            };
            let instead = meant
                .filter(|_| !number.is_empty() && number.len() < 20 && !value.is_from_outside());
            let instead = instead.map(|unit| format!("write `{number}{unit}`"));
            value.refuse(WHAT, instead.unwrap_or_else(|| INSTEAD.to_owned()));
            return None;
        }
    };
    if number.is_empty() {
        value.refuse(WHAT, INSTEAD);
        return None;
    }
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    match bytes {
        Some(0) => {
            value.refuse("must be more than zero", "write a larger size");
            None
        }
        Some(bytes) if bytes <= LARGEST => Some(bytes),
        Some(_) | None => {
            value.refuse("is more than 1024GiB", "write a smaller size");
            None
        }
    }
}

/// Bytes that fit in memory.
pub(super) fn bytes(value: &Value<'_>) -> Option<usize> {
    size(value).and_then(|size| usize::try_from(size).ok())
}

/// The time between two calls of `50/s` or `2500/m`.
pub(super) fn rate(value: &Value<'_>) -> Option<Duration> {
    value.is_read_as(|| Spelling::Rate);
    const WHAT: &str = "must be a rate";
    const INSTEAD: &str = "write calls per second or minute, such as 50/s or 2500/m";
    const HIGHEST: u32 = 1_000_000;
    let text = value.plain(WHAT, INSTEAD)?;
    let parts = text.split_once('/').and_then(|(number, unit)| {
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            _ => return None,
        };
        let digits = !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit());
        digits.then(|| (number.parse::<u32>().unwrap_or(u32::MAX), seconds))
    });
    let Some((number, seconds)) = parts else {
        let (number, unit) = text.split_once('/').unwrap_or((text, ""));
        let digits = (1..9).contains(&number.len()) && number.bytes().all(|c| c.is_ascii_digit());
        let digits = digits && !value.is_from_outside();
        let instead = match unit.to_ascii_lowercase().as_str() {
            "s" | "sec" | "second" if digits => format!("write `{number}/s`"),
            "m" | "min" | "minute" if digits => format!("write `{number}/m`"),
            "" if digits => format!("write `{number}/s` or `{number}/m`"),
            _ => INSTEAD.to_owned(),
        };
        value.refuse(WHAT, instead);
        return None;
    };
    if number == 0 || number > HIGHEST {
        value.refuse("must be a rate from 1 to 1000000", INSTEAD);
        return None;
    }
    Some(Duration::from_secs(seconds) / number)
}

/// A whole number from `least` to `most`.
pub(super) fn count<N: TryFrom<u64>>(value: &Value<'_>, least: u64, most: u64) -> Option<N> {
    value.is_read_as(|| Spelling::Count(least, most));
    let what = format!("must be a whole number from {least} to {most}");
    let text = value.plain(&what, "write digits only")?;
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let number = digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX));
    let within = number.filter(|number| (least..=most).contains(number));
    let fitting = within.and_then(|number| N::try_from(number).ok());
    if fitting.is_none() {
        let instead = match number {
            Some(number) if number < least => format!("write at least {least}"),
            Some(_) => format!("write at most {most}"),
            None => "write digits only".to_owned(),
        };
        value.refuse(what, instead);
    }
    fitting
}

/// A number from `least` to `most`.
pub(super) fn ratio(value: &Value<'_>, least: f64, most: f64) -> Option<f64> {
    value.is_read_as(|| Spelling::Ratio(least, most));
    let what = format!("must be a number from {least} to {most}");
    const INSTEAD: &str = "write it with a point, such as 0.5";
    let text = value.plain(&what, INSTEAD)?;
    let plain = text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    let number = text.parse::<f64>().ok().filter(|number| plain && (least..=most).contains(number));
    if number.is_none() {
        value.refuse(what, INSTEAD);
    }
    number
}

/// Where to listen.
pub(super) fn address(value: &Value<'_>) -> Option<SocketAddr> {
    value.is_read_as(|| Spelling::Address);
    const WHAT: &str = "must be an IP address and a port";
    const INSTEAD: &str = "write it like 0.0.0.0:8080 or [::1]:8080";
    let text = value.plain(WHAT, INSTEAD)?;
    let address = text.parse().ok();
    if address.is_none() {
        value.refuse(WHAT, INSTEAD);
    }
    address
}

/// An address of http or https with a host and without credentials, which are never shown.
pub(super) fn url(value: &Value<'_>) -> Option<Url> {
    value.is_read_as(|| Spelling::Url);
    const WHAT: &str = "must be an address that begins with http:// or https://";
    const INSTEAD: &str = "write it like https://crm.example.com";
    let text = value.plain(WHAT, INSTEAD)?;
    let strange = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    let begins = text.starts_with("http://") || text.starts_with("https://");
    let url = Url::parse(text).ok().filter(|_| begins && !text.contains(strange));
    let Some(url) = url.filter(Url::has_host) else {
        value.refuse(WHAT, INSTEAD);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        value.refuse(
            "has a user or password in it",
            "write the address alone, and credentials as a header",
        );
        return None;
    }
    if url.fragment().is_some() {
        value.refuse("has a # part, which is never sent", "remove the # and what follows");
        return None;
    }
    Some(url)
}

/// An address to which a path is added: no query.
pub(super) fn base_url(value: &Value<'_>) -> Option<Url> {
    let url = url(value)?;
    if url.query().is_some() {
        value.refuse("has a query, and a path is added to it", "remove the ? and what follows");
        return None;
    }
    Some(url)
}

/// A path that means the same however it is read: segments of letters, digits and a few signs.
pub(super) fn plain_path(value: &Value<'_>, instead: &str) -> Option<String> {
    let text = value.plain("must be a path", instead)?;
    let fits = |segment: &str| {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.~".contains(&c);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
    };
    if !text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(fits)) {
        let what = "must be / and segments of letters, digits, -, _, . or ~ without a / at the end";
        value.refuse(what, instead);
        return None;
    }
    Some(text.to_owned())
}

/// A JSONPath of RFC 9535.
pub(super) fn json_path(value: &Value<'_>) -> Option<JsonPath> {
    value.is_read_as(|| Spelling::JsonPath);
    const WHAT: &str = "must be a JSONPath";
    const INSTEAD: &str = "write it like $.customer.name";
    // The parser recurses: what no person writes could exhaust the stack.
    const LONGEST: usize = 512;
    const BRACKETS: usize = 32;
    let text = value.plain(WHAT, INSTEAD)?;
    if text.len() > LONGEST || text.matches(['(', '[']).count() > BRACKETS {
        value.refuse("is too long or too nested a JSONPath", "write a shorter one");
        return None;
    }
    match JsonPath::parse(text) {
        Ok(path) => Some(path),
        Err(error) => {
            let what = format!("is no JSONPath from its character {} on", error.position() + 1);
            let rooted = format!("$.{text}");
            let meant = error.position() == 0 && JsonPath::parse(&rooted).is_ok();
            let meant = meant && !value.is_from_outside();
            let instead = if meant { format!("write `{rooted}`") } else { INSTEAD.to_owned() };
            value.refuse(what, instead);
            None
        }
    }
}

/// The name of a header that may be chosen: not one by which HTTP itself works.
pub(super) fn header_name(text: &str) -> Result<HeaderName, &'static str> {
    const OURS: [&str; 11] = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| "is no name of a header")?;
    if OURS.contains(&name.as_str()) {
        return Err("is a header that HTTP itself sets");
    }
    Ok(name)
}

/// A header named by a value.
pub(super) fn header(value: &Value<'_>) -> Option<(HeaderName, String)> {
    value.is_read_as(|| Spelling::Header);
    const INSTEAD: &str = "write it like X-Genesys-Auth-Token";
    let text = value.plain("must be the name of a header", INSTEAD)?;
    match header_name(text) {
        Ok(name) => Some((name, text.to_owned())),
        Err(what) => {
            value.refuse(what, INSTEAD);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{problem::Findings, tree};

    /// What `reader` makes of `yaml`.
    fn read<T>(yaml: &str, reader: impl Fn(&Value<'_>) -> Option<T>) -> Option<T> {
        let findings = Findings::of("f");
        let root = tree::read(yaml, &findings).unwrap();
        let read = reader(&Value::root(&root, &findings));
        assert_eq!(read.is_none(), findings.conclude(Some(())).is_err(), "{yaml}");
        read
    }

    #[test]
    fn durations_take_four_units_and_nothing_else() {
        for (text, millis) in
            [("250ms", 250), ("2s", 2000), ("5m", 300_000), ("1h", 3_600_000), ("0s", 0)]
        {
            assert_eq!(read(text, duration), Some(Duration::from_millis(millis)), "{text}");
        }
        let bad = [
            "",
            "5",
            "s",
            "1.5s",
            "1d",
            "2 s",
            "-1s",
            "1h30m",
            "5S",
            "721h",
            "99999999999999999999h",
            "{}",
            "[]",
        ];
        for text in bad {
            assert_eq!(
                read(&format!("a: {text}"), |value| value.section().required("a", "", duration)),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_are_binary_and_bounded() {
        for (text, bytes) in [("1B", 1), ("64KiB", 65536), ("2MiB", 2 << 20), ("1024GiB", 1 << 40)]
        {
            assert_eq!(read(text, size), Some(bytes), "{text}");
        }
        for text in
            ["64", "64KB", "64k", "0KiB", "KiB", "1.5MiB", "1025GiB", "99999999999999999999B"]
        {
            assert_eq!(read(text, size), None, "{text}");
        }
    }

    #[test]
    fn a_rate_is_the_time_between_two_calls() {
        for (text, micros) in
            [("50/s", 20_000), ("2500/m", 24_000), ("1/m", 60_000_000), ("1000000/s", 1)]
        {
            assert_eq!(read(text, rate), Some(Duration::from_micros(micros)), "{text}");
        }
        for text in ["50", "50/h", "0/s", "/s", "-1/s", "1.5/s", "1000001/s", "50/", "+5/s"] {
            assert_eq!(read(text, rate), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_plain_and_within_their_bounds() {
        assert_eq!(read("7", |value| count::<u32>(value, 1, 10)), Some(7));
        assert_eq!(read("0.25", |value| ratio(value, 0.0, 1.0)), Some(0.25));
        for text in ["0", "11", "-1", "1e1", "7.0", "99999999999999999999999", "seven"] {
            assert_eq!(read(text, |value| count::<u32>(value, 1, 10)), None, "{text}");
        }
        for text in ["1.1", "-0.1", "nan", "inf", "1e-1", "."] {
            assert_eq!(read(text, |value| ratio(value, 0.0, 1.0)), None, "{text}");
        }
    }

    #[test]
    fn a_path_that_no_person_writes_is_refused_before_it_is_parsed() {
        for path in ["$[?(".to_owned() + &"(".repeat(400), "$".to_owned() + &"[?!(".repeat(40)] {
            assert!(read(&format!("'{path}'"), json_path).is_none());
        }
        let deepest = "$[?".to_owned() + &"(".repeat(31) + "@.a" + &")".repeat(31) + "]";
        read(&format!("'{deepest}'"), json_path);
        assert!(read("$.a[?@.b == 'c'].d", json_path).is_some());
    }

    #[test]
    fn what_is_shown_is_short_and_on_one_line() {
        assert_eq!(shown("a\nb"), "`a\\nb`");
        assert!(shown(&"x".repeat(5000)).len() < 100);
    }
}
