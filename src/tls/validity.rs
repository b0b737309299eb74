//! From when to when a certificate holds. rustls judges it, but does not say it.

use std::time::Duration;

/// The first and the last moment of a certificate, both as time since 1970; what is earlier counts
/// as 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first.
    pub begins: Duration,
    /// Its last.
    pub ends: Duration,
}

impl Validity {
    /// What a certificate in DER says. `None` where it says nothing that can be read.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (whole, _) = element(certificate, SEQUENCE)?;
        let (mut rest, _) = element(whole, SEQUENCE)?;
        // RFC 5280, 4.1: the version may be missing; serial, algorithm and issuer stand before.
        if let Some((_, behind)) = element(rest, VERSION) {
            rest = behind;
        }
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            (_, rest) = element(rest, tag)?;
        }
        let (validity, _) = element(rest, SEQUENCE)?;
        let (begins, rest) = moment(validity)?;
        let (ends, _) = moment(rest)?;
        Some(Self { begins, ends })
    }

    /// When both hold.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self { begins: self.begins.max(other.begins), ends: self.ends.min(other.ends) }
    }
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The content of the element at the head of `der`, which must have that tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(short), rest),
        // A length of its own length; no certificate needs more than three bytes for it.
        long @ 0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn moment(der: &[u8]) -> Option<(Duration, &[u8])> {
    let (text, century, rest) = match element(der, UTC_TIME) {
        Some((text, rest)) => (text, None, rest),
        None => {
            let (text, rest) = element(der, GENERALIZED_TIME)?;
            let (century, text) = text.split_at_checked(2)?;
            (text, Some(number(century)?), rest)
        }
    };
    let [date @ .., b'Z'] = text else { return None };
    if date.len() != 12 {
        return None;
    }
    let mut pairs = date.chunks(2).map(number);
    let mut next = || pairs.next().flatten();
    let (year, month, day) = (next()?, next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    // RFC 5280, 4.1.2.5.1: 50 to 99 are of the century before.
    let century = century.unwrap_or(if year >= 50 { 19 } else { 20 });
    let days = days_since_1970(century * 100 + year, month, day)?;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some((Duration::from_secs(u64::try_from(seconds).unwrap_or(0)), rest))
}

fn number(digits: &[u8]) -> Option<i64> {
    let all = digits.iter().all(u8::is_ascii_digit);
    all.then(|| digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// Days of the Gregorian calendar, counted in years that begin in March, so that the odd day is the
/// last of one.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(days - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(tag: u8, text: &str) -> Option<u64> {
        let der = [&[tag, text.len() as u8], text.as_bytes()].concat();
        moment(&der).map(|(at, rest)| {
            assert!(rest.is_empty());
            at.as_secs()
        })
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for (text, seconds) in [
            ("700101000000Z", 0),
            ("000229120000Z", 951_825_600),
            ("491231235959Z", 2_524_607_999),
            ("500101000000Z", 0),
        ] {
            assert_eq!(time(UTC_TIME, text), Some(seconds), "{text}");
        }
        for (text, seconds) in [
            ("19700102000001Z", 86_401),
            ("20261122163543Z", 1_795_365_343),
            ("99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(time(GENERALIZED_TIME, text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "Z", "7001010000Z", "700101000000", "700101000000+", "70x101000000Z"] {
            assert_eq!(time(UTC_TIME, text), None, "{text}");
        }
        for text in ["701301000000Z", "700100000000Z", "700132000000Z"] {
            assert_eq!(time(UTC_TIME, text), None, "{text}");
        }
        assert_eq!(time(GENERALIZED_TIME, "1"), None);
        assert_eq!(time(INTEGER, "700101000000Z"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
            let _ = Validity::of(&bytes);
            let framed = [&[SEQUENCE, bytes.len() as u8 + 2, SEQUENCE, bytes.len() as u8], &*bytes];
            let _ = Validity::of(&framed.concat());
        }
    }
}
