//! YAML read as JSON: bodies, defaults, JSON Schema keywords. What YAML and JSON would read
//! differently, such as `007`, is refused rather than guessed.

use serde_json::{Map, Number, Value as Json};

use crate::config::{
    node::{Content, Scalar},
    section::Value,
};

/// The JSON that is written there.
pub(super) fn json(value: &Value<'_>) -> Option<Json> {
    match value.content() {
        Content::Broken => None,
        Content::List(_) => value.list("write a list", json).map(Json::Array),
        Content::Map(_) => object(value).map(Json::Object),
        Content::Scalar(scalar) if scalar.is_null() => Some(Json::Null),
        Content::Scalar(scalar) => {
            let text = value.plain("must be JSON", "write a value")?;
            read(scalar, text, value)
        }
    }
}

/// The JSON object that is written there.
pub(super) fn object(value: &Value<'_>) -> Option<Map<String, Json>> {
    let section = value.section();
    let read: Vec<_> = section.entries().map(|(key, value)| (key, json(&value))).collect();
    section.finish_open()?;
    read.into_iter().map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

fn read(scalar: &Scalar, text: &str, value: &Value<'_>) -> Option<Json> {
    if scalar.quoted {
        return Some(Json::String(text.to_owned()));
    }
    match text {
        "true" | "True" | "TRUE" => return Some(Json::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Json::Bool(false)),
        _ => {}
    }
    if !is_yaml_number(text) {
        return Some(Json::String(text.to_owned()));
    }
    let number = if is_json_number(text) { exact(text) } else { None };
    if number.is_none() {
        value.refuse(
            "looks like a number, but is none of JSON within 64 bits",
            "write it in quotes if it is a text, or as JSON writes numbers",
        );
    }
    number.map(Json::Number)
}

/// Integers exactly or not at all; serde_json would turn large ones into floats.
fn exact(text: &str) -> Option<Number> {
    if text.contains(['.', 'e', 'E']) {
        return text.parse().ok().and_then(Number::from_f64);
    }
    let signed = text.parse::<i64>().map(Number::from);
    signed.or_else(|_| text.parse::<u64>().map(Number::from)).ok()
}

fn is_json_number(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok_and(|raw| raw.get() == text)
}

/// Whether YAML 1.2 reads an unquoted `text` as a number.
fn is_yaml_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let radix = |prefix: &str, radix: u32| {
        let rest = digits.strip_prefix(prefix);
        rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)))
    };
    let named = matches!(&*digits.to_ascii_lowercase(), ".inf" | ".nan");
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    named || radix("0x", 16) || radix("0o", 8) || (begins && digits.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{problem::Findings, tree};

    fn of(yaml: &str) -> Option<Json> {
        let findings = Findings::of("f");
        let root = tree::read(yaml, &findings).unwrap();
        json(&Value::root(&root, &findings))
    }

    #[test]
    fn plain_scalars_are_typed_and_quoted_ones_are_texts() {
        for (yaml, expected) in [
            ("5", "5"),
            ("-5", "-5"),
            ("18446744073709551615", "18446744073709551615"),
            ("0.5", "0.5"),
            ("1e2", "100.0"),
            ("true", "true"),
            ("null", "null"),
            ("\"5\"", "\"5\""),
            ("'true'", "\"true\""),
            ("000-000-0000", "\"000-000-0000\""),
            ("1.2.3", "\"1.2.3\""),
            ("no", "\"no\""),
            ("2026-11-22", "\"2026-11-22\""),
            ("{b: [1, x], a: {}}", "{\"b\":[1,\"x\"],\"a\":{}}"),
        ] {
            assert_eq!(of(yaml).unwrap().to_string(), expected, "{yaml}");
        }
    }

    #[test]
    fn numbers_that_json_reads_otherwise_are_refused() {
        for yaml in
            ["007", "+5", "0x1F", "0o17", ".5", "1.", ".inf", "18446744073709551616", "1e999"]
        {
            assert_eq!(of(yaml), None, "{yaml}");
        }
    }
}
