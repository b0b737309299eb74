//! What a value must be: each keyword with a value that is taken without it and refused with it.

use std::collections::BTreeSet;

use holdline::telemetry::outcome::Outcome;
use serde_json::{Value, json};

use super::{tested_by, yaml};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// A keyword, what stands there without it and with it, and the value.
type Case = (&'static str, &'static str, &'static str, Value);

fn of_one_value() -> Vec<Case> {
    const INTEGER: &str = "type: integer";
    const STRING: &str = "type: string";
    const IF: &str = "type: integer, if: {minimum: 1}";
    const IF_NOT: &str = "type: integer, if: {minimum: 10}";
    vec![
        ("type", STRING, "type: boolean", json!("ab")),
        ("allOf", INTEGER, "type: integer, allOf: [{minimum: 1}, {minimum: 6}]", json!(5)),
        ("anyOf", INTEGER, "type: integer, anyOf: [{maximum: 1}, {minimum: 6}]", json!(5)),
        ("oneOf", INTEGER, "type: integer, oneOf: [{minimum: 1}, {minimum: 2}]", json!(5)),
        ("not", INTEGER, "type: integer, not: {minimum: 1}", json!(5)),
        ("const", INTEGER, "type: integer, const: 6", json!(5)),
        ("enum", INTEGER, "type: integer, enum: [6, 7]", json!(5)),
        (
            "if",
            "type: integer, then: {minimum: 6}",
            "type: integer, if: {minimum: 1}, then: {minimum: 6}",
            json!(5),
        ),
        ("then", IF, "type: integer, if: {minimum: 1}, then: {minimum: 6}", json!(5)),
        ("else", IF_NOT, "type: integer, if: {minimum: 10}, else: {minimum: 6}", json!(5)),
        ("minimum", INTEGER, "type: integer, minimum: 6", json!(5)),
        ("maximum", INTEGER, "type: integer, maximum: 4", json!(5)),
        ("exclusiveMinimum", INTEGER, "type: integer, exclusiveMinimum: 5", json!(5)),
        ("exclusiveMaximum", INTEGER, "type: integer, exclusiveMaximum: 5", json!(5)),
        ("multipleOf", INTEGER, "type: integer, multipleOf: 2", json!(5)),
        ("minLength", STRING, "type: string, minLength: 3", json!("ab")),
        ("maxLength", STRING, "type: string, maxLength: 1", json!("ab")),
        ("pattern", STRING, "type: string, pattern: '^x'", json!("ab")),
        ("format", STRING, "type: string, format: email", json!("ab")),
    ]
}

fn of_many_values() -> Vec<Case> {
    const ARRAY: &str = "type: array";
    const OBJECT: &str = "type: object";
    const IF: &str = "type: array, if: {minItems: 1}";
    const IF_NOT: &str = "type: array, if: {minItems: 5}";
    vec![
        ("type", ARRAY, OBJECT, json!([5, 5])),
        ("allOf", ARRAY, "type: array, allOf: [{minItems: 1}, {minItems: 3}]", json!([5, 5])),
        ("anyOf", ARRAY, "type: array, anyOf: [{maxItems: 1}, {minItems: 3}]", json!([5, 5])),
        ("oneOf", ARRAY, "type: array, oneOf: [{minItems: 1}, {minItems: 2}]", json!([5, 5])),
        ("not", ARRAY, "type: array, not: {minItems: 1}", json!([5, 5])),
        ("const", ARRAY, "type: array, const: [5]", json!([5, 5])),
        ("enum", ARRAY, "type: array, enum: [[5], [6]]", json!([5, 5])),
        (
            "if",
            "type: array, then: {minItems: 3}",
            "type: array, if: {minItems: 1}, then: {minItems: 3}",
            json!([5, 5]),
        ),
        ("then", IF, "type: array, if: {minItems: 1}, then: {minItems: 3}", json!([5, 5])),
        ("else", IF_NOT, "type: array, if: {minItems: 5}, else: {minItems: 3}", json!([5, 5])),
        ("items", ARRAY, "type: array, items: {type: string}", json!([5, 5])),
        ("minItems", ARRAY, "type: array, minItems: 3", json!([5, 5])),
        ("maxItems", ARRAY, "type: array, maxItems: 1", json!([5, 5])),
        ("uniqueItems", ARRAY, "type: array, uniqueItems: true", json!([5, 5])),
        ("properties", OBJECT, "type: object, properties: {a: {type: string}}", json!({"a": 5})),
        ("required", OBJECT, "type: object, required: [b]", json!({"a": 5})),
        (
            "additionalProperties",
            OBJECT,
            "type: object, additionalProperties: false",
            json!({"a": 5}),
        ),
        ("minProperties", OBJECT, "type: object, minProperties: 2", json!({"a": 5})),
        ("maxProperties", OBJECT, "type: object, maxProperties: 0", json!({"a": 5})),
    ]
}

/// The keywords of the cases are those whose rows name that test.
fn are_all(cases: &[Case], test: &str, more: &[&'static str]) {
    let keys: BTreeSet<_> =
        cases.iter().map(|(key, ..)| *key).chain(more.iter().copied()).collect();
    assert_eq!(keys, tested_by(test));
}

fn rig(yaml: &str) -> Rig {
    Rig::of(yaml, Setup::PLAIN.room, Setup::PLAIN.chance)
}

/// How a call ends in which the input `x` is that.
async fn taken(keys: &str, value: Option<&Value>) -> Outcome {
    let mut inputs = json!({"id": 1});
    if let Some(value) = value {
        inputs["x"] = value.clone();
    }
    rig(&yaml(Ok(keys))).lookup().input(&inputs).heard().await.outcome()
}

#[tokio::test(start_paused = true)]
pub(crate) async fn what_comes_in_must_be_what_is_written() {
    let cases = of_one_value();
    are_all(&cases, "what_comes_in_must_be_what_is_written", &["required"]);
    for (_, without, with, value) in &cases {
        assert_eq!(taken(without, Some(value)).await, Outcome::Ok, "{without}");
        assert_eq!(taken(with, Some(value)).await, Outcome::BadRequest, "{with}");
    }
    assert_eq!(taken("type: integer", None).await, Outcome::Ok);
    assert_eq!(taken("type: integer, required: true", None).await, Outcome::BadRequest);
}

/// How a call ends whose reply has that value for its output.
async fn given(keys: &str, value: &Value) -> Outcome {
    let rig = rig(&yaml(Err(&format!("{keys}, from: $.x"))));
    rig.upstream().always(Line::json(&json!({ "x": value })));
    rig.lookup().heard().await.outcome()
}

async fn goes_out(cases: &[Case]) {
    for (_, without, with, value) in cases {
        assert_eq!(given(without, value).await, Outcome::Ok, "{without}");
        assert_eq!(given(with, value).await, Outcome::MappingError, "{with}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn what_goes_out_must_be_what_is_written() {
    let cases = of_one_value();
    are_all(&cases, "what_goes_out_must_be_what_is_written", &[]);
    goes_out(&cases).await;
}

#[tokio::test(start_paused = true)]
pub(crate) async fn what_holds_others_must_be_what_is_written() {
    let cases = of_many_values();
    are_all(&cases, "what_holds_others_must_be_what_is_written", &[]);
    goes_out(&cases).await;
}
