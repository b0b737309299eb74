//! Contracts as JSON Schema 2020-12, which is OpenAPI 3.1's: what is taken, to the letter, and what is
//! given.

use serde_json::{Map, Value, json};

use super::ranges;
use crate::{
    catalog::{action::Action, contract::Field, mapping::Output, scalar::Kind, template::Places},
    export::described,
};

/// The least and the greatest integer there is here.
const INTEGERS: (i128, i128) = (i64::MIN as i128, u64::MAX as i128);
/// Keywords of numbers for which a text of digits has no keyword.
const BEYOND_TEXT: [&str; 8] =
    ["multipleOf", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"];
/// Keywords that say something to people only.
const ANNOTATIONS: [&str; 5] = ["title", "examples", "deprecated", "readOnly", "$comment"];

/// The object of an action's inputs.
pub(super) fn inputs(action: &Action) -> Value {
    let fields = action.input.fields();
    let properties: Map<_, _> = fields
        .iter()
        .map(|field| {
            let places = action.request.places(&field.name);
            (field.name.to_string(), input(field, places))
        })
        .collect();
    let required: Vec<_> =
        fields.iter().filter(|field| field.required).map(|field| &*field.name).collect();
    let mut object = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn input(field: &Field, places: Places) -> Value {
    let mut schema = json!({"description": described(&field.description, &field.name)});
    let Some(members) = schema.as_object_mut() else { return schema };
    let (annotations, keywords): (Vec<_>, Vec<_>) =
        field.keywords.clone().into_iter().partition(|(key, _)| ANNOTATIONS.contains(&&**key));
    members.extend(annotations);
    let mut keywords: Map<_, _> = keywords.into_iter().collect();
    keywords.insert("type".to_owned(), field.kind.name().into());
    match field.kind {
        Kind::Boolean => members.extend(keywords),
        Kind::Number => {
            // What no such float holds unchanged is refused.
            members.extend(keywords);
            members.insert("format".to_owned(), "double".into());
        }
        Kind::String => {
            narrow(&mut keywords, places);
            members.extend(keywords);
        }
        Kind::Integer => {
            let text = digits(&keywords);
            bound(&mut keywords);
            match text {
                Some(text) => {
                    members.insert("anyOf".to_owned(), json!([keywords, text]));
                }
                None => members.extend(keywords),
            }
        }
    }
    schema
}

/// An output as it stands in an answer.
pub(super) fn output(output: &Output) -> Value {
    let mut schema = json!({"description": described(&output.description, &output.name)});
    let Some(members) = schema.as_object_mut() else { return schema };
    members.insert("type".to_owned(), output.form.name().into());
    members.extend(output.keywords.clone());
    if output.form == Kind::Integer.into() {
        bound(members);
    }
    schema
}

/// The text of digits that stands for an integer under those keywords. `None` where JSON Schema has
/// no words for it: the integer itself is taken all the same.
fn digits(keywords: &Map<String, Value>) -> Option<Value> {
    if keywords.keys().any(|key| BEYOND_TEXT.contains(&&**key)) {
        return None;
    }
    let (low, high) = range(keywords);
    let fits = |value: &&Value| whole(value, f64::floor).is_some_and(|n| (low..=high).contains(&n));
    if let Some(values) = keywords.get("enum").and_then(Value::as_array) {
        let texts: Vec<_> = values.iter().filter(fits).map(Value::to_string).collect();
        return (!texts.is_empty()).then(|| json!({"type": "string", "enum": texts}));
    }
    if let Some(value) = keywords.get("const") {
        return fits(&value).then(|| json!({"type": "string", "const": value.to_string()}));
    }
    let pattern = ranges::pattern(low, high)?;
    Some(json!({"type": "string", "pattern": pattern}))
}

/// The integers that those keywords allow.
fn range(keywords: &Map<String, Value>) -> (i128, i128) {
    let bound = |key: &str, round: fn(f64) -> f64| whole(keywords.get(key)?, round);
    let low = [
        bound("minimum", f64::ceil),
        // The first integer above it.
        bound("exclusiveMinimum", f64::floor).map(|least| least.saturating_add(1)),
    ];
    let high = [
        bound("maximum", f64::floor),
        bound("exclusiveMaximum", f64::ceil).map(|most| most.saturating_sub(1)),
    ];
    let low = low.into_iter().flatten().fold(INTEGERS.0, i128::max);
    let high = high.into_iter().flatten().fold(INTEGERS.1, i128::min);
    (low, high)
}

/// A number as an integer, rounded where it is none.
fn whole(value: &Value, round: fn(f64) -> f64) -> Option<i128> {
    let exact = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    // A float beyond all integers becomes the last of them.
    exact.or_else(|| value.as_f64().map(|float| round(float) as i128))
}

/// Says where integers end, unless the contract does.
fn bound(keywords: &mut Map<String, Value>) {
    if keywords.contains_key("enum") || keywords.contains_key("const") {
        return;
    }
    for (inclusive, exclusive, end) in [
        ("minimum", "exclusiveMinimum", json!(i64::MIN)),
        ("maximum", "exclusiveMaximum", json!(u64::MAX)),
    ] {
        if !keywords.contains_key(inclusive) && !keywords.contains_key(exclusive) {
            keywords.insert(inclusive.to_owned(), end);
        }
    }
}

/// Narrows a text to what fits where it stands in the request to the upstream.
fn narrow(keywords: &mut Map<String, Value>, places: Places) {
    let mut more = Vec::new();
    if places.header {
        at_most(keywords, Places::MAX_HEADER);
        more.push(json!({"pattern": "^([!-~]([ -~]*[!-~])?)?$"}));
    }
    if places.address {
        at_most(keywords, Places::MAX_ADDRESS);
        more.push(json!({"pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"}));
    }
    if places.path {
        more.push(json!({"not": {"enum": [".", ".."]}}));
    }
    if places.whole_segment && keywords.get("minLength").and_then(Value::as_u64) < Some(1) {
        keywords.insert("minLength".to_owned(), 1.into());
    }
    for part in more {
        for (key, value) in part.as_object().cloned().into_iter().flatten() {
            if !keywords.contains_key(&key) {
                keywords.insert(key, value);
                continue;
            }
            let all = keywords.entry("allOf").or_insert_with(|| json!([]));
            all.as_array_mut().into_iter().for_each(|all| all.push(json!({&*key: &value})));
        }
    }
}

fn at_most(keywords: &mut Map<String, Value>, characters: usize) {
    let characters = characters as u64;
    if keywords.get("maxLength").and_then(Value::as_u64).is_none_or(|most| most > characters) {
        keywords.insert("maxLength".to_owned(), characters.into());
    }
}
