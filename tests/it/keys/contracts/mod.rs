//! The keys of inputs and outputs: what a value must be, and what is said of it.
//!
//! Outputs of one value and those that hold others have keys of their own: they stand under `string`
//! and `array`, the first of each.

pub(crate) mod outputs;
pub(crate) mod values;

use std::collections::BTreeSet;

use super::{actions::document, keys};
use crate::support::rig::Setup;

keys! {
    "actions.*.input.*.description" | "actions.*.input.*.$comment" | "actions.*.input.*.deprecated"
    | "actions.*.input.*.examples" | "actions.*.input.*.readOnly" | "actions.*.input.*.title"
    | "actions.*.output.*(string).description" | "actions.*.output.*(string).$comment"
    | "actions.*.output.*(string).deprecated" | "actions.*.output.*(string).examples"
    | "actions.*.output.*(string).readOnly" | "actions.*.output.*(string).title"
    | "actions.*.output.*(array).description" | "actions.*.output.*(array).$comment"
    | "actions.*.output.*(array).deprecated" | "actions.*.output.*(array).examples"
    | "actions.*.output.*(array).readOnly" | "actions.*.output.*(array).title"
        => keys::contracts::what_is_said_of_a_value_stands_in_the_documents,

    "actions.*.input.*.type" | "actions.*.input.*.required" | "actions.*.input.*.allOf"
    | "actions.*.input.*.anyOf" | "actions.*.input.*.const" | "actions.*.input.*.else"
    | "actions.*.input.*.enum" | "actions.*.input.*.exclusiveMaximum"
    | "actions.*.input.*.exclusiveMinimum" | "actions.*.input.*.format" | "actions.*.input.*.if"
    | "actions.*.input.*.maxLength" | "actions.*.input.*.maximum" | "actions.*.input.*.minLength"
    | "actions.*.input.*.minimum" | "actions.*.input.*.multipleOf" | "actions.*.input.*.not"
    | "actions.*.input.*.oneOf" | "actions.*.input.*.pattern" | "actions.*.input.*.then"
        => keys::contracts::values::what_comes_in_must_be_what_is_written,

    "actions.*.output.*(string).type" | "actions.*.output.*(string).allOf"
    | "actions.*.output.*(string).anyOf" | "actions.*.output.*(string).const"
    | "actions.*.output.*(string).else" | "actions.*.output.*(string).enum"
    | "actions.*.output.*(string).exclusiveMaximum" | "actions.*.output.*(string).exclusiveMinimum"
    | "actions.*.output.*(string).format" | "actions.*.output.*(string).if"
    | "actions.*.output.*(string).maxLength" | "actions.*.output.*(string).maximum"
    | "actions.*.output.*(string).minLength" | "actions.*.output.*(string).minimum"
    | "actions.*.output.*(string).multipleOf" | "actions.*.output.*(string).not"
    | "actions.*.output.*(string).oneOf" | "actions.*.output.*(string).pattern"
    | "actions.*.output.*(string).then"
        => keys::contracts::values::what_goes_out_must_be_what_is_written,

    "actions.*.output.*(array).type" | "actions.*.output.*(array).allOf"
    | "actions.*.output.*(array).anyOf" | "actions.*.output.*(array).const"
    | "actions.*.output.*(array).else" | "actions.*.output.*(array).enum"
    | "actions.*.output.*(array).if" | "actions.*.output.*(array).not"
    | "actions.*.output.*(array).oneOf" | "actions.*.output.*(array).then"
    | "actions.*.output.*(array).items" | "actions.*.output.*(array).minItems"
    | "actions.*.output.*(array).maxItems" | "actions.*.output.*(array).uniqueItems"
    | "actions.*.output.*(array).properties" | "actions.*.output.*(array).required"
    | "actions.*.output.*(array).additionalProperties" | "actions.*.output.*(array).minProperties"
    | "actions.*.output.*(array).maxProperties"
        => keys::contracts::values::what_holds_others_must_be_what_is_written,
    "actions.*.output.*(array).exclusiveMaximum" | "actions.*.output.*(array).exclusiveMinimum"
    | "actions.*.output.*(array).format" | "actions.*.output.*(array).maxLength"
    | "actions.*.output.*(array).maximum" | "actions.*.output.*(array).minLength"
    | "actions.*.output.*(array).minimum" | "actions.*.output.*(array).multipleOf"
    | "actions.*.output.*(array).pattern"
        => keys::contracts::outputs::what_is_for_one_value_is_refused_of_what_holds_others,

    "actions.*.output.*(string).from" | "actions.*.output.*(string).default"
    | "actions.*.output.*(string).value" | "actions.*.output.*(array).from"
    | "actions.*.output.*(array).default" | "actions.*.output.*(array).value"
        => keys::contracts::outputs::where_an_output_comes_from_is_written,
}

/// The keys whose row names that test, each by its last part.
fn tested_by(test: &str) -> BTreeSet<&'static str> {
    let rows = KEYS.iter().filter(|(_, steps)| steps.last() == Some(&test));
    rows.flat_map(|(keys, _)| *keys).filter_map(|key| key.rsplit('.').next()).collect()
}

/// The configuration whose `lookup` has this input `x` beside its own, or this output alone.
fn yaml(x: Result<&str, &str>) -> String {
    let (input, output) = ("lang: {type: string}}", "{name: {type: string, from: $.name}}");
    let yaml = Setup::PLAIN.yaml();
    match x {
        Ok(keys) => yaml.replacen(input, &format!("lang: {{type: string}}, x: {{{keys}}}}}"), 1),
        Err(keys) => yaml.replacen(output, &format!("{{x: {{{keys}}}}}"), 1),
    }
}

#[test]
pub(crate) fn what_is_said_of_a_value_stands_in_the_documents() {
    let said = [
        ("description", "description: What it is", "\"description\":\"What it is\""),
        ("$comment", "$comment: Of ours", "\"$comment\":\"Of ours\""),
        ("deprecated", "deprecated: true", "\"deprecated\":true"),
        ("examples", "examples: [[7]]", "\"examples\":[[7]]"),
        ("readOnly", "readOnly: true", "\"readOnly\":true"),
        ("title", "title: The X", "\"title\":\"The X\""),
    ];
    let keys: BTreeSet<_> = said.iter().map(|(key, ..)| *key).collect();
    assert_eq!(keys, tested_by("what_is_said_of_a_value_stands_in_the_documents"));
    for (_, written, told) in said {
        for (usual, is_input) in [
            ("type: string", true),
            ("type: string, from: $.x", false),
            ("type: array, from: $.x", false),
        ] {
            for (keys, expected) in
                [(usual.to_owned(), false), (format!("{usual}, {written}"), true)]
            {
                let x = if is_input { Ok(&*keys) } else { Err(&*keys) };
                assert_eq!(document(&yaml(x)).contains(told), expected, "{keys}");
            }
        }
    }
}
