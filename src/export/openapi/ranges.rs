//! Integers as text: the regular expression of the decimal numbers from one to another, to the digit.

use std::fmt::Write;

/// The pattern of the canonical decimal texts of all integers from `low` to `high`, in the regular
/// expressions of ECMA 262. `None` where there are none.
pub(super) fn pattern(low: i128, high: i128) -> Option<String> {
    let mut ways = Vec::new();
    if low < 0 {
        let (least, most) = (high.min(-1).unsigned_abs(), low.unsigned_abs());
        ways.extend(magnitudes(least, most).into_iter().map(|way| format!("-{way}")));
    }
    if high >= 0 {
        ways.extend(magnitudes(low.max(0).unsigned_abs(), high.unsigned_abs()));
    }
    (low <= high && !ways.is_empty()).then(|| format!("^({})$", ways.join("|")))
}

/// One expression for each number of digits; those of which every number is in are one together.
fn magnitudes(low: u128, high: u128) -> Vec<String> {
    let mut ways = Vec::new();
    let mut whole: Option<(usize, usize)> = None;
    for length in digits(low)..=digits(high) {
        // Of one digit there is 0 too, which no longer number begins with.
        let least = if length == 1 && low == 0 { 0 } else { 10_u128.pow(length as u32 - 1) };
        let most = 10_u128.pow(length as u32) - 1;
        if least > 0 && low <= least && high >= most {
            whole = Some((whole.map_or(length, |(from, _)| from), length));
            continue;
        }
        let (from, to) = (low.max(least), high.min(most));
        ways.push(between(from.to_string().as_bytes(), to.to_string().as_bytes()));
    }
    ways.extend(whole.map(|(from, to)| format!("[1-9]{}", any_digits(from - 1, to - 1))));
    ways
}

fn digits(number: u128) -> usize {
    number.to_string().len()
}

/// All texts from `low` to `high`, which have the same number of digits.
fn between(low: &[u8], high: &[u8]) -> String {
    let (Some((&first, low_rest)), Some((&last, high_rest))) =
        (low.split_first(), high.split_first())
    else {
        return String::new();
    };
    let rest = low_rest.len();
    if first == last {
        return format!("{}{}", char::from(first), between(low_rest, high_rest));
    }
    let (zeros, nines) = (vec![b'0'; rest], vec![b'9'; rest]);
    let from_zero = low_rest == zeros;
    let to_nine = high_rest == nines;
    let mut ways = Vec::new();
    if !from_zero {
        ways.push(format!("{}{}", char::from(first), between(low_rest, &nines)));
    }
    let from = if from_zero { first } else { first + 1 };
    let to = if to_nine { last } else { last - 1 };
    if from <= to {
        ways.push(format!("{}{}", one_of(from, to), any_digits(rest, rest)));
    }
    if !to_nine {
        ways.push(format!("{}{}", char::from(last), between(&zeros, high_rest)));
    }
    if ways.len() == 1 { ways.concat() } else { format!("({})", ways.join("|")) }
}

fn one_of(from: u8, to: u8) -> String {
    let (from, to) = (char::from(from), char::from(to));
    if from == to { from.to_string() } else { format!("[{from}-{to}]") }
}

/// As many digits, whichever they are.
fn any_digits(least: usize, most: usize) -> String {
    let mut text = String::new();
    match (least, most) {
        (_, 0) => {}
        (1, 1) => text.push_str("[0-9]"),
        (least, most) if least == most => {
            let _ = write!(text, "[0-9]{{{least}}}");
        }
        (least, most) => {
            let _ = write!(text, "[0-9]{{{least},{most}}}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether the pattern takes that text, by the engine that checks patterns of contracts.
    fn takes(pattern: &str, text: &str) -> bool {
        let schema = serde_json::json!({"pattern": pattern});
        let validator = jsonschema::options()
            .with_pattern_options(jsonschema::PatternOptions::regex())
            .build(&schema)
            .unwrap();
        validator.is_valid(&serde_json::json!(text))
    }

    #[test]
    fn small_ranges_are_taken_to_the_number() {
        for (low, high) in
            [(0, 0), (1, 1), (-1, 1), (5, 123), (-120, 7), (-30, -4), (99, 1001), (10, 99)]
        {
            let pattern = pattern(low, high).unwrap();
            for number in -1_200..=1_200 {
                let inside = (low..=high).contains(&number);
                assert_eq!(takes(&pattern, &number.to_string()), inside, "{pattern} {number}");
            }
            for odd in ["", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1.0", "1e0", "x1"] {
                assert!(!takes(&pattern, odd), "{pattern} {odd}");
            }
        }
        assert_eq!(pattern(2, 1), None);
    }

    #[test]
    fn the_ends_of_64_bits_are_exact() {
        let (low, high) = (i128::from(i64::MIN), i128::from(u64::MAX));
        let pattern = pattern(low, high).unwrap();
        for inside in [low, low + 1, -1, 0, 1, high - 1, high] {
            assert!(takes(&pattern, &inside.to_string()), "{inside}");
        }
        for outside in [low - 1, high + 1, high * 10, low * 10] {
            assert!(!takes(&pattern, &outside.to_string()), "{outside}");
        }
    }

    proptest! {
        #[test]
        fn any_range_is_taken_to_the_number(
            a in any::<i64>(), b in any::<i64>(), c in any::<i64>(), near in -2_i128..=2
        ) {
            let (low, high) = (i128::from(a.min(b)), i128::from(a.max(b)));
            let pattern = pattern(low, high).unwrap();
            for number in [i128::from(c), low + near, high + near] {
                let inside = (low..=high).contains(&number);
                prop_assert_eq!(takes(&pattern, &number.to_string()), inside);
            }
        }
    }
}
