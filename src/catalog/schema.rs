//! Schemas: the JSON Schema keywords of one value, compiled once, and what breaks them as sentences
//! that quote the schema but never the value.

use serde_json::{Map, Value};

use crate::catalog::{form::Form, scalar::Kind};

/// The keywords of one value.
#[derive(Debug)]
pub(super) struct Schema {
    json: Value,
    validator: jsonschema::Validator,
}

/// Keywords that say something to people and nothing to the validator.
const ANNOTATIONS: [&str; 5] = ["title", "examples", "deprecated", "readOnly", "$comment"];
/// Keywords for values of any type.
const ANY: [&str; 9] = ["enum", "const", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"];
const OF_STRINGS: [&str; 4] = ["minLength", "maxLength", "pattern", "format"];
const OF_NUMBERS: [&str; 5] =
    ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const OF_ARRAYS: [&str; 4] = ["items", "minItems", "maxItems", "uniqueItems"];
const OF_OBJECTS: [&str; 5] =
    ["properties", "required", "additionalProperties", "minProperties", "maxProperties"];

impl Schema {
    /// Compiles `keywords` for a value of `form`. `None`: there is nothing beyond the form to check.
    ///
    /// # Errors
    /// Sentences about the keywords. Unknown ones are refused, for a misspelt keyword checks
    /// nothing; so are references, which could leave the schema or never end.
    pub(super) fn compile(
        form: Form,
        keywords: &Map<String, Value>,
    ) -> Result<Option<Self>, Vec<String>> {
        let mut wrong = Vec::new();
        let deep = matches!(form, Form::Array | Form::Object);
        // Each for itself: of a whole schema only the first fault would be told.
        for (keyword, value) in keywords {
            let alone = Map::from_iter([(keyword.clone(), value.clone())]);
            let before = wrong.len();
            refuse_unknown(Some(form), deep, &alone, &mut wrong);
            if wrong.len() == before {
                wrong.extend(build(&Value::Object(alone)).err());
            }
        }
        for keyword in ["enum", "const"] {
            refuse_unfit(form, keyword, keywords.get(keyword), &mut wrong);
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        if keywords.keys().all(|keyword| ANNOTATIONS.contains(&keyword.as_str())) {
            return Ok(None);
        }
        let impossible = impossible(form, keywords);
        if !impossible.is_empty() {
            return Err(impossible);
        }
        let mut json = keywords.clone();
        json.insert("type".to_owned(), form.name().into());
        let json = Value::Object(json);
        let validator = build(&json).map_err(|error| vec![error])?;
        Ok(Some(Self { json, validator }))
    }

    /// Whether `value` satisfies all keywords.
    pub(super) fn holds(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// What `value` breaks, each as the end of a sentence.
    pub(super) fn breaches(&self, value: &Value) -> Vec<String> {
        if self.holds(value) {
            return Vec::new();
        }
        self.validator
            .iter_errors(value)
            .map(|error| self.sentence(error.kind().keyword(), error.schema_path().as_str()))
            .collect()
    }

    fn sentence(&self, keyword: &str, pointer: &str) -> String {
        let Some(limit) = self.json.pointer(pointer) else {
            return format!("must satisfy the schema keyword {keyword}");
        };
        match (keyword, limit) {
            ("minimum", limit) => format!("must be at least {limit}"),
            ("maximum", limit) => format!("must be at most {limit}"),
            ("exclusiveMinimum", limit) => format!("must be greater than {limit}"),
            ("exclusiveMaximum", limit) => format!("must be less than {limit}"),
            ("multipleOf", limit) => format!("must be a multiple of {limit}"),
            ("minLength", limit) => format!("must have at least {}", characters(limit)),
            ("maxLength", limit) => format!("must have at most {}", characters(limit)),
            ("pattern", Value::String(pattern)) => format!("must match the pattern {pattern}"),
            ("format", Value::String(format)) => format!("must have the format {format}"),
            ("minItems", limit) => format!("must have at least {limit} items"),
            ("maxItems", limit) => format!("must have at most {limit} items"),
            ("const", limit) => format!("must be {limit}"),
            ("enum", Value::Array(options)) => format!("must be one of {}", list(options)),
            (keyword, _) => format!("must satisfy the schema keyword {keyword}"),
        }
    }
}

fn build(json: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        // Linear in the value's length. The default engine backtracks, and callers choose the values.
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(json)
        .map_err(|error| compile_sentence(&error))
}

fn characters(limit: &Value) -> String {
    let plural = if limit.as_f64() == Some(1.0) { "" } else { "s" };
    format!("{limit} character{plural}")
}

fn list(options: &[Value]) -> String {
    options.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

/// What a keyword is for; `None`: for any value.
fn meant_for(keyword: &str) -> Option<&'static str> {
    let groups: [(&[&str], &str); 4] = [
        (&OF_STRINGS, "strings"),
        (&OF_NUMBERS, "numbers"),
        (&OF_ARRAYS, "arrays"),
        (&OF_OBJECTS, "objects"),
    ];
    groups.into_iter().find(|(group, _)| group.contains(&keyword)).map(|(_, whom)| whom)
}

/// Whether a value of that form is one of those.
fn is_one_of(form: Form, whom: &str) -> bool {
    whom == match form {
        Form::Scalar(Kind::String) => "strings",
        Form::Scalar(Kind::Integer | Kind::Number) => "numbers",
        Form::Scalar(Kind::Boolean) => "booleans",
        Form::Array => "arrays",
        Form::Object => "objects",
    }
}

/// `form` is `None` inside `anyOf` and its like, where a part may be about any type; `deep`, inside
/// arrays and objects.
fn refuse_unknown(
    form: Option<Form>,
    deep: bool,
    keywords: &Map<String, Value>,
    wrong: &mut Vec<String>,
) {
    for (keyword, value) in keywords {
        let known = keyword.as_str();
        let of_all = ANY.contains(&known)
            || ANNOTATIONS.contains(&known)
            || (matches!(known, "type" | "description") && form.is_none());
        match (meant_for(known), form) {
            (Some("arrays" | "objects"), _) if !deep => {
                wrong.push(format!("{keyword} is no JSON Schema keyword for a single value"));
            }
            (Some(whom), Some(form)) if !is_one_of(form, whom) => {
                wrong.push(format!("{keyword} is for {whom}, not for type {}", form.name()));
            }
            (Some(_), _) => {}
            (None, _) if of_all => {}
            (None, _) if deep => wrong.push(format!("{keyword} is no JSON Schema keyword here")),
            (None, _) => {
                wrong.push(format!("{keyword} is no JSON Schema keyword for a single value"));
            }
        }
        for part in parts(known, value) {
            refuse_unknown(None, deep, part, wrong);
        }
    }
}

/// The schemas inside the value of a keyword.
fn parts<'v>(keyword: &str, value: &'v Value) -> Vec<&'v Map<String, Value>> {
    match (keyword, value) {
        ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
            parts.iter().filter_map(Value::as_object).collect()
        }
        (
            "not" | "if" | "then" | "else" | "items" | "additionalProperties",
            Value::Object(part),
        ) => {
            vec![part]
        }
        ("properties", Value::Object(named)) => {
            named.values().filter_map(Value::as_object).collect()
        }
        _ => Vec::new(),
    }
}

/// A value that the form rules out can never be chosen: a slip, such as `"1"` for an integer.
fn refuse_unfit(form: Form, keyword: &str, value: Option<&Value>, wrong: &mut Vec<String>) {
    let values = match (keyword, value) {
        ("enum", Some(Value::Array(values))) => values.as_slice(),
        ("const", Some(value)) => std::slice::from_ref(value),
        _ => &[],
    };
    if values.iter().any(|value| !form.fits(value)) {
        wrong.push(format!("{keyword} has a value that is not of type {}", form.name()));
    }
}

/// What no value could ever satisfy, of keywords that are each right for themselves.
fn impossible(form: Form, keywords: &Map<String, Value>) -> Vec<String> {
    let mut wrong = Vec::new();
    let at = |keyword: &str| keywords.get(keyword).and_then(Value::as_f64);
    for (least, most) in
        [("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties")]
    {
        if let (Some(low), Some(high)) = (at(least), at(most))
            && low > high
        {
            wrong.push(format!("{least} is above {most}: no value fits"));
        }
    }
    let whole = form == Kind::Integer.into();
    for (least, low_out) in [("minimum", false), ("exclusiveMinimum", true)] {
        for (most, high_out) in [("maximum", false), ("exclusiveMaximum", true)] {
            let (Some(low), Some(high)) = (at(least), at(most)) else { continue };
            let empty = if whole {
                let first = if low_out { low.floor() + 1.0 } else { low.ceil() };
                let last = if high_out { high.ceil() - 1.0 } else { high.floor() };
                first > last
            } else {
                low > high || (low == high && (low_out || high_out))
            };
            if empty {
                wrong.push(format!("{least} and {most} leave no value between them"));
            }
        }
    }
    for keyword in ["enum", "const"] {
        let values = match (keyword, keywords.get(keyword)) {
            (_, None) => continue,
            ("enum", Some(Value::Array(values))) => values.as_slice(),
            (_, Some(value)) => std::slice::from_ref(value),
        };
        if values.is_empty() {
            wrong.push(format!("{keyword} is empty: no value fits"));
        }
        let mut others = keywords.clone();
        others.remove(keyword);
        let validator = build(&Value::Object(others));
        if validator.is_ok_and(|others| values.iter().any(|value| !others.is_valid(value))) {
            wrong.push(format!("{keyword} has a value that the other keywords refuse"));
        }
    }
    wrong
}

fn compile_sentence(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().as_str().trim_start_matches('/').replace('/', ".");
    format!("{place} is no valid JSON Schema: {}", error.masked())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(kind: Kind, keywords: &Value) -> Result<Option<Schema>, Vec<String>> {
        Schema::compile(kind.into(), keywords.as_object().unwrap())
    }

    #[track_caller]
    fn check(kind: Kind, keywords: &Value, value: &Value, wanted: &str) {
        let schema = compile(kind, keywords).unwrap().unwrap();
        assert_eq!(schema.breaches(value), [wanted], "{keywords}");
        assert!(!schema.holds(value), "{keywords}");
    }

    #[test]
    fn keywords_of_numbers_have_their_sentences() {
        for (keywords, value, wanted) in [
            (json!({"minimum": 1}), 0, "must be at least 1"),
            (json!({"maximum": 9}), 10, "must be at most 9"),
            (json!({"exclusiveMinimum": 0.5}), 0, "must be greater than 0.5"),
            (json!({"exclusiveMaximum": 2}), 2, "must be less than 2"),
            (json!({"multipleOf": 5}), 7, "must be a multiple of 5"),
        ] {
            check(Kind::Number, &keywords, &json!(value), wanted);
        }
    }

    #[test]
    fn keywords_of_strings_have_their_sentences() {
        for (keywords, value, wanted) in [
            (json!({"minLength": 1}), "", "must have at least 1 character"),
            (json!({"maxLength": 3}), "abcd", "must have at most 3 characters"),
            (json!({"pattern": "^[a-z]+$"}), "A", "must match the pattern ^[a-z]+$"),
            (json!({"format": "email"}), "x", "must have the format email"),
            (json!({"format": "uuid"}), "x", "must have the format uuid"),
        ] {
            check(Kind::String, &keywords, &json!(value), wanted);
        }
    }

    #[test]
    fn keywords_of_any_type_have_their_sentences() {
        check(Kind::String, &json!({"const": "a"}), &json!("b"), "must be \"a\"");
        for (keywords, wanted) in [
            (json!({"enum": [1, 2]}), "must be one of 1, 2"),
            (json!({"not": {"const": 6}}), "must satisfy the schema keyword not"),
            (
                json!({"anyOf": [{"maximum": 1}, {"minimum": 9}]}),
                "must satisfy the schema keyword anyOf",
            ),
            (json!({"allOf": [{"maximum": 1}]}), "must be at most 1"),
            (json!({"if": {"minimum": 5}, "then": {"multipleOf": 5}}), "must be a multiple of 5"),
        ] {
            check(Kind::Integer, &keywords, &json!(6), wanted);
        }
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let schema = compile(Kind::String, &json!({"maxLength": 2})).unwrap().unwrap();
        assert!(schema.holds(&json!("\u{1f600}\u{e9}")));
    }

    #[test]
    fn large_integers_are_compared_exactly() {
        let schema = compile(Kind::Integer, &json!({"maximum": 9_007_199_254_740_992_u64}))
            .unwrap()
            .unwrap();
        assert!(schema.holds(&json!(9_007_199_254_740_992_u64)));
        assert!(!schema.holds(&json!(9_007_199_254_740_993_u64)));
        let schema = compile(Kind::Integer, &json!({"const": u64::MAX})).unwrap().unwrap();
        assert!(!schema.holds(&json!(u64::MAX - 1)));
        let schema = compile(Kind::Integer, &json!({"enum": [i64::MIN]})).unwrap().unwrap();
        assert!(schema.holds(&json!(i64::MIN)));
        assert!(!schema.holds(&json!(i64::MIN + 1)));
    }

    #[test]
    fn a_pattern_cannot_be_made_slow() {
        let schema = compile(Kind::String, &json!({"pattern": "^(a+)+$"})).unwrap().unwrap();
        assert!(!schema.holds(&json!(format!("{}b", "a".repeat(50_000)))));
        assert!(compile(Kind::String, &json!({"pattern": "^(?=a)b"})).is_err());
    }

    #[test]
    fn keywords_that_check_nothing_are_refused() {
        for (kind, keywords, wanted) in [
            (
                Kind::Integer,
                json!({"minimun": 1}),
                "minimun is no JSON Schema keyword for a single value",
            ),
            (
                Kind::Integer,
                json!({"minLength": 1}),
                "minLength is for strings, not for type integer",
            ),
            (Kind::String, json!({"minimum": 1}), "minimum is for numbers, not for type string"),
            (
                Kind::String,
                json!({"$ref": "#"}),
                "$ref is no JSON Schema keyword for a single value",
            ),
            (
                Kind::String,
                json!({"not": {"anyOf": [{"$ref": "https://x.example/"}]}}),
                "$ref is no JSON Schema keyword for a single value",
            ),
            (
                Kind::String,
                json!({"type": "integer"}),
                "type is no JSON Schema keyword for a single value",
            ),
            (
                Kind::Integer,
                json!({"enum": [1, "2"]}),
                "enum has a value that is not of type integer",
            ),
            (Kind::String, json!({"const": null}), "const has a value that is not of type string"),
        ] {
            assert_eq!(compile(kind, &keywords).unwrap_err(), [wanted], "{keywords}");
        }
    }

    #[test]
    fn keywords_that_are_no_schema_are_refused() {
        for keywords in [
            json!({"minimum": "1"}),
            json!({"multipleOf": 0}),
            json!({"multipleOf": -1}),
            json!({"enum": 1}),
            json!({"anyOf": []}),
            json!({"not": 1}),
        ] {
            let wrong = compile(Kind::Integer, &keywords).unwrap_err();
            assert!(wrong[0].contains("is no valid JSON Schema: "), "{keywords} {wrong:?}");
        }
        for keywords in [
            json!({"pattern": "("}),
            json!({"format": "telephone"}),
            json!({"minLength": -1}),
            json!({"minLength": "1"}),
            json!({"pattern": 1}),
        ] {
            assert!(compile(Kind::String, &keywords).is_err(), "{keywords}");
        }
    }

    #[test]
    fn annotations_need_no_validator() {
        assert!(compile(Kind::String, &json!({})).unwrap().is_none());
        assert!(
            compile(Kind::String, &json!({"title": "T", "examples": ["x"]})).unwrap().is_none()
        );
    }
}
