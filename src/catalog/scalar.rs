//! Scalars: the values an action takes and gives. Integers are exact within 64 bits or refused.

use std::borrow::Cow;

use serde_json::{Number, Value, value::RawValue};

/// The type of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// A whole number from -2^63 to 2^64 - 1.
    Integer,
    /// A number, as a 64-bit float holds it exactly enough to give back its text.
    Number,
    /// `true` or `false`.
    Boolean,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Text.
    String(String),
    /// Always from -2^63 to 2^64 - 1.
    Integer(i128),
    /// Always finite.
    Number(f64),
    /// Either.
    Boolean(bool),
}

/// What a null is told. Nobody can know whether it means "none" or "forgotten".
pub(super) const NOT_NULL: &str = "must not be null; leave it out";

const AN_INTEGER: &str = "must be an integer within 64 bits";
const A_NUMBER: &str = "must be a number";
const A_FLOAT: &str = "must be a number that a 64-bit float holds unchanged";
const A_STRING: &str = "must be a string";
const UNICODE: &str = "must be a string of valid Unicode";
const A_BOOLEAN: &str = "must be true or false";

impl Kind {
    /// Its name in JSON Schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    /// What a value of this kind must be, as the end of a sentence.
    pub(super) fn demand(self) -> &'static str {
        match self {
            Self::String => A_STRING,
            Self::Integer => AN_INTEGER,
            Self::Number => A_NUMBER,
            Self::Boolean => A_BOOLEAN,
        }
    }

    /// Whether `value` is of this kind as it stands, without any coercion.
    pub(super) fn fits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

impl Scalar {
    /// Reads the JSON text of one input as `kind`, coercing by the rules of the data plane.
    ///
    /// # Errors
    /// What the value must be, as the end of a sentence that begins with the input's name. Never
    /// any part of the value.
    pub fn read(raw: &RawValue, kind: Kind) -> Result<Self, &'static str> {
        let text = raw.get();
        if text == "null" {
            return Err(NOT_NULL);
        }
        match kind {
            Kind::String => read_string(text).map(Self::String),
            Kind::Integer => read_integer(text).map(Self::Integer).ok_or(AN_INTEGER),
            Kind::Number => read_number(text).map(Self::Number),
            Kind::Boolean => match text {
                "true" => Ok(Self::Boolean(true)),
                "false" => Ok(Self::Boolean(false)),
                _ => Err(A_BOOLEAN),
            },
        }
    }

    /// The text that stands for it in a path, a header or a cache key: equal for equal values,
    /// different for different ones of the same kind.
    pub fn text(&self) -> String {
        self.as_text().into_owned()
    }

    /// The same as [`Self::text`], without a copy where it is text already.
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::String(text) => Cow::Borrowed(text),
            Self::Integer(_) | Self::Number(_) => Cow::Owned(self.with_text(str::to_owned)),
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
        }
    }

    /// What `read` makes of that text, which an integer has on the stack only.
    pub fn with_text<T>(&self, read: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::String(text) => read(text),
            Self::Integer(integer) => match u64::try_from(*integer) {
                Ok(integer) => read(itoa::Buffer::new().format(integer)),
                Err(_) => read(itoa::Buffer::new().format(*integer)),
            },
            Self::Number(number) => read(&number_text(*number)),
            Self::Boolean(true) => read("true"),
            Self::Boolean(false) => read("false"),
        }
    }

    /// Appends it as JSON.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::String(text) => write_json_string(text, out),
            Self::Integer(_) | Self::Number(_) | Self::Boolean(_) => {
                self.with_text(|text| out.extend_from_slice(text.as_bytes()));
            }
        }
    }

    /// The same value for the JSON Schema validator: integers exact.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::String(text) => Value::String(text.clone()),
            Self::Integer(integer) => {
                Number::from_i128(*integer).map_or(Value::Null, Value::Number)
            }
            Self::Number(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
            Self::Boolean(boolean) => Value::Bool(*boolean),
        }
    }
}

/// Appends `text` as a JSON string, UTF-8 unescaped.
pub(super) fn write_json_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing a string into memory cannot fail");
}

/// A string, to the letter: no trimming, no Unicode normalisation.
fn read_string(text: &str) -> Result<String, &'static str> {
    if !text.starts_with('"') {
        return Err(A_STRING);
    }
    // What is JSON and starts with a quote can fail for one reason only: a lone surrogate.
    serde_json::from_str(text).map_err(|_| UNICODE)
}

/// The integer that a JSON text stands for, decided on its digits: a float type in between would
/// turn 9007199254740993 into another customer.
pub(super) fn read_integer(text: &str) -> Option<i128> {
    match text.as_bytes().first()? {
        b'"' => read_digits(&serde_json::from_str::<Cow<'_, str>>(text).ok()?),
        b'-' | b'0'..=b'9' => within_64_bits(match text.parse::<i128>() {
            Ok(integer) => integer,
            Err(_) => Decimal::of(text).integer()?,
        }),
        _ => None,
    }
}

/// An integer out of a string: digits as a person would write them, so that one integer has one
/// string.
fn read_digits(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits.bytes().all(|c| c.is_ascii_digit())
        && (!digits.starts_with('0') || text == "0")
        && (1..=20).contains(&digits.len());
    if canonical { within_64_bits(text.parse().ok()?) } else { None }
}

fn within_64_bits(integer: i128) -> Option<i128> {
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&integer).then_some(integer)
}

/// A float, where its shortest text is the number that came in. A fixed number of digits would not
/// do: 9007199254740992 and 9007199254740993 have sixteen each and share one float.
fn read_number(text: &str) -> Result<f64, &'static str> {
    if !text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        return Err(A_NUMBER);
    }
    let number: f64 = text.parse().map_err(|_| A_NUMBER)?;
    let unchanged = number.is_finite() && Decimal::of(text) == Decimal::of(&format!("{number:e}"));
    // Adding zero turns -0.0 into 0.0.
    if unchanged { Ok(number + 0.0) } else { Err(A_FLOAT) }
}

/// The shortest text that gives back the float, without an exponent where people write none.
fn number_text(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if (1e-6..1e21).contains(&size) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

/// A decimal number: its digits times a power of ten. Equal numbers are equal decimals, because the
/// digits neither begin nor end with a zero; zero has no digits at all.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// Reads a JSON number. Takes time and space by the length of the text only: an exponent is
    /// never carried out.
    fn of(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> =
            whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0').collect();
        let length = digits.len();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        let exponent =
            read_exponent(exponent) + (length - digits.len()) as i64 - fraction.len() as i64;
        Self { negative, digits, exponent }
    }

    /// The number, where it is a whole one of at most twenty digits.
    fn integer(&self) -> Option<i128> {
        let power = u32::try_from(self.exponent).ok().filter(|power| *power <= 20)?;
        if self.digits.len() > 20 {
            return None;
        }
        let digits =
            self.digits.iter().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        let size = digits.checked_mul(10_i128.pow(power))?;
        Some(if self.negative { -size } else { size })
    }
}

/// An exponent; one that no number can use becomes one that is out of every range.
fn read_exponent(text: &str) -> i64 {
    const BEYOND: i64 = i64::MAX / 4;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let size = digits.parse().map_or(BEYOND, |size: i64| size.min(BEYOND));
    if negative { -size } else { size }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, kind: Kind) -> Result<Scalar, &'static str> {
        Scalar::read(&RawValue::from_string(text.to_owned()).expect(text), kind)
    }

    #[test]
    fn integers_are_read_by_the_digit() {
        for (text, wanted) in [
            ("42", 42),
            ("42.0", 42),
            ("4.2e1", 42),
            ("4200E-2", 42),
            ("\"42\"", 42),
            ("\"\\u0034\\u0032\"", 42),
            ("0", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("0e999999999999999999999", 0),
            ("\"0\"", 0),
            ("\"-7\"", -7),
            ("-7.000", -7),
            ("1e3", 1000),
            ("1E+3", 1000),
            ("1e000000000000000000000000003", 1000),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("9.007199254740993e15", 9_007_199_254_740_993),
            ("9223372036854775808", 9_223_372_036_854_775_808),
            ("18446744073709551615", 18_446_744_073_709_551_615),
            ("18446744073709551615.0", 18_446_744_073_709_551_615),
            ("1.8446744073709551615e19", 18_446_744_073_709_551_615),
            ("\"18446744073709551615\"", 18_446_744_073_709_551_615),
            ("-9223372036854775808", -9_223_372_036_854_775_808),
            ("\"-9223372036854775808\"", -9_223_372_036_854_775_808),
        ] {
            assert_eq!(read(text, Kind::Integer), Ok(Scalar::Integer(wanted)), "{text}");
        }
    }

    #[test]
    fn what_is_no_integer_within_64_bits_is_refused() {
        let long = "9".repeat(100_000);
        for text in [
            "18446744073709551616",
            "-9223372036854775809",
            "\"18446744073709551616\"",
            "\"-9223372036854775809\"",
            "1e20",
            "1e400",
            "-1e400",
            "1e-400",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "4.2",
            "42.00000000000000000000000000001",
            "0.1",
            "5e-1",
            "\"abc\"",
            "\"\"",
            "\"-\"",
            "\"-0\"",
            "\"+1\"",
            "\" 1\"",
            "\"1 \"",
            "\"01\"",
            "\"-01\"",
            "\"00\"",
            "\"1.0\"",
            "\"1e3\"",
            "\"0x1\"",
            "\"1_0\"",
            "\"\u{664}\u{662}\"",
            "\"\\ud800\"",
            "\"--1\"",
            "\"99999999999999999999999999999999999999999999999999\"",
            "true",
            "false",
            "[]",
            "[1]",
            "{}",
            &long,
        ] {
            assert_eq!(read(text, Kind::Integer), Err(AN_INTEGER), "{text}");
        }
    }

    #[test]
    fn null_is_no_value_of_any_kind() {
        for kind in [Kind::String, Kind::Integer, Kind::Number, Kind::Boolean] {
            assert_eq!(read("null", kind), Err(NOT_NULL));
        }
    }

    #[test]
    fn numbers_are_taken_where_the_float_gives_them_back() {
        for (text, wanted) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("-0e5", "0"),
            ("1", "1"),
            ("1.0", "1"),
            ("1e0", "1"),
            ("-2.50", "-2.5"),
            ("0.1", "0.1"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("9007199254740992", "9007199254740992"),
            ("1e300", "1e300"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e308"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e21"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
        ] {
            let number =
                read(text, Kind::Number).unwrap_or_else(|problem| panic!("{text} {problem}"));
            assert_eq!(number.text(), wanted, "{text}");
        }
        for text in [
            "9007199254740993",
            "0.1000000000000000055511151231257827",
            "0.10000000000000001",
            "1e400",
            "-1e400",
            "1e-400",
            "4e-324",
            "1e99999999999999999999",
            "18446744073709551615",
        ] {
            assert_eq!(read(text, Kind::Number), Err(A_FLOAT), "{text}");
        }
        for text in ["\"1\"", "true", "[1]", "{}", "\"NaN\""] {
            assert_eq!(read(text, Kind::Number), Err(A_NUMBER), "{text}");
        }
    }

    #[test]
    fn booleans_are_the_two_words_only() {
        assert_eq!(read("true", Kind::Boolean), Ok(Scalar::Boolean(true)));
        assert_eq!(read("false", Kind::Boolean), Ok(Scalar::Boolean(false)));
        for text in ["1", "0", "\"true\"", "\"false\"", "\"\"", "[]", "{}"] {
            assert_eq!(read(text, Kind::Boolean), Err(A_BOOLEAN), "{text}");
        }
    }

    #[test]
    fn strings_are_kept_to_the_letter() {
        for (text, wanted) in [
            ("\"\"", ""),
            ("\" a \"", " a "),
            ("\"\\u00e9\"", "\u{e9}"),
            ("\"e\u{301}\"", "e\u{301}"),
            ("\"\\ud83d\\ude00\"", "\u{1f600}"),
            ("\"\\u0000\"", "\0"),
        ] {
            assert_eq!(read(text, Kind::String), Ok(Scalar::String(wanted.to_owned())), "{text}");
        }
        for text in ["1", "true", "[]", "{}"] {
            assert_eq!(read(text, Kind::String), Err(A_STRING), "{text}");
        }
        for text in ["\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\\ud83dx\""] {
            assert_eq!(read(text, Kind::String), Err(UNICODE), "{text}");
        }
    }

    #[test]
    fn the_two_zeros_have_one_text() {
        assert_eq!(Scalar::Number(-0.0).text(), Scalar::Number(0.0).text());
    }

    fn json_number() -> impl Strategy<Value = String> {
        "-?(0|[1-9][0-9]{0,19})(\\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?"
    }

    proptest! {
        #[test]
        fn text_gives_the_number_back(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            let text = Scalar::Number(number).text();
            prop_assert_eq!(read(&text, Kind::Number), Ok(Scalar::Number(number)));
        }

        #[test]
        fn text_gives_the_integer_back(integer in i128::from(i64::MIN)..=i128::from(u64::MAX)) {
            let text = Scalar::Integer(integer).text();
            prop_assert_eq!(read(&text, Kind::Integer), Ok(Scalar::Integer(integer)));
            prop_assert_eq!(read(&format!("\"{text}\""), Kind::Integer), Ok(Scalar::Integer(integer)));
            prop_assert_eq!(read(&format!("{text}.00"), Kind::Integer), Ok(Scalar::Integer(integer)));
            prop_assert_eq!(read(&format!("{text}0e-1"), Kind::Integer), Ok(Scalar::Integer(integer)));
        }

        #[test]
        fn numbers_share_a_text_exactly_when_they_are_the_same_decimal(a in json_number(), b in json_number()) {
            for kind in [Kind::Number, Kind::Integer] {
                if let (Ok(x), Ok(y)) = (read(&a, kind), read(&b, kind)) {
                    prop_assert_eq!(x.text() == y.text(), Decimal::of(&a) == Decimal::of(&b));
                    prop_assert_eq!(x.text() == y.text(), x == y);
                }
            }
        }

        #[test]
        fn neighbouring_decimals_never_become_one_number(digits in 1_u64..u64::MAX, exponent in -30_i32..30) {
            let (a, b) = (format!("{digits}e{exponent}"), format!("{}e{exponent}", digits - 1));
            for kind in [Kind::Number, Kind::Integer] {
                if let (Ok(x), Ok(y)) = (read(&a, kind), read(&b, kind)) {
                    prop_assert_ne!(x.text(), y.text());
                }
            }
        }

        #[test]
        fn strings_come_back_as_they_are(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(read(&json, Kind::String).unwrap().text(), text);
        }

        #[test]
        fn a_written_scalar_is_read_back(text in any::<String>(), number in proptest::num::f64::NORMAL) {
            for (scalar, kind) in
                [(Scalar::String(text), Kind::String), (Scalar::Number(number), Kind::Number)]
            {
                let mut json = Vec::new();
                scalar.write_json(&mut json);
                prop_assert_eq!(read(&String::from_utf8(json).unwrap(), kind), Ok(scalar));
            }
        }
    }
}
