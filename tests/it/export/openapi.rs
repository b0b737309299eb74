//! The OpenAPI document is a valid one, and its schemas take what the service takes and nothing else.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use std::{collections::BTreeSet, fs, process::Command};

use holdline::{
    catalog::{action::Envelope, contract::Field, scalar::Kind},
    export::openapi,
};
use serde_json::{Value, json, value::RawValue};

use super::{ALL, loaded, site};
use crate::support::program::from_pypi;

fn document(name: &str) -> Value {
    let loaded = loaded(name);
    openapi::document(&loaded.catalog, site(&loaded))
}

fn operation<'a>(document: &'a Value, action: &str) -> &'a Value {
    &document["paths"][format!("/data-action/{action}")]["post"]
}

fn statuses(document: &Value, action: &str) -> Vec<String> {
    operation(document, action)["responses"].as_object().unwrap().keys().cloned().collect()
}

/// The words of `code`, or of `outcome`.
fn words(document: &Value, action: &str, status: &str) -> BTreeSet<String> {
    let schema = &operation(document, action)["responses"][status]["content"];
    let code = &schema["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"];
    let answer = &schema["application/json"]["schema"]["properties"];
    let list = [code, &answer["outcome"], &answer["data"]["properties"]["outcome"]];
    let list = list.into_iter().find_map(|schema| schema["enum"].as_array()).unwrap();
    list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn it_is_valid() {
    let Some(validator) = from_pypi("openapi-spec-validator") else { return };
    for name in ALL {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("openapi.json");
        fs::write(&file, document(name).to_string()).unwrap();
        let ran = Command::new(&validator).args(["--schema", "3.1"]).arg(&file).output().unwrap();
        assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stdout));
    }
}

#[test]
fn an_action_that_tells_outcomes_keeps_only_the_statuses_of_what_was_never_looked_at() {
    let rich = document("rich");
    let wanted = ["200", "400", "401", "403", "405", "408", "413", "415", "431", "503"];
    assert_eq!(statuses(&rich, "told-card"), wanted);
    let open = ["200", "400", "405", "408", "413", "415", "431", "503"];
    assert_eq!(statuses(&rich, "told-number"), open);
    assert!(statuses(&rich, "customer-lookup").contains(&"4XX".to_owned()));
}

#[test]
fn words_are_those_that_can_come() {
    let rich = document("rich");
    let has = |action, status, word: &str| words(&rich, action, status).contains(word);
    // Only where somebody outside vouches for the caller.
    assert!(has("open-ticket", "503", "auth_unavailable"));
    assert!(!has("customer-lookup", "503", "auth_unavailable"));
    // Only where a limit is enforced.
    assert!(has("customer-lookup", "429", "rate_limited"));
    assert!(!has("open-ticket", "429", "rate_limited"));
    assert!(!has("told-card", "200", "rate_limited"), "its limit only counts");
    // Only where answers are kept past their time, or a fallback is declared.
    assert!(has("told-number", "200", "stale") && !has("told-card", "200", "stale"));
    assert!(has("told-card", "200", "fallback") && !has("told-number", "200", "fallback"));
    assert!(!has("told-card", "200", "unauthenticated"), "which keeps its status");
}

#[test]
fn callers_are_told_and_any_of_them_will_do() {
    let rich = document("rich");
    let both = json!([{"genesys": []}, {"flows": []}]);
    assert_eq!(operation(&rich, "open-ticket")["security"], both);
    assert_eq!(operation(&rich, "by_name")["security"], json!([]));
    let schemes = &rich["components"]["securitySchemes"];
    assert_eq!(schemes["flows"]["name"], "X-Api-Key");
    assert_eq!(schemes["genesys"]["name"], "X-Genesys-Auth-Token");
    assert_eq!(schemes["desk"]["scheme"], "basic");
    let url = &schemes["oauth"]["flows"]["clientCredentials"]["tokenUrl"];
    assert_eq!(url, "https://holdline.test/oauth/token");
}

/// JSON texts of which some are taken by some input.
const VALUES: [&str; 59] = [
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "\"\"",
    "\" \"",
    "\".\"",
    "\"..\"",
    "\"a\"",
    "\"a b\"",
    "\" a\"",
    "\"a\\u0000\"",
    "\"a\\u0085\"",
    "\"\u{e9}\"",
    "\"voice\"",
    "\"Voice\"",
    "\"AB-1234\"",
    "\"AB-12345\"",
    "\"AB-1234\\n\"",
    "0",
    "1",
    "-1",
    "2",
    "3",
    "4",
    "5",
    "10",
    "-5",
    "-10",
    "-119",
    "-120",
    "4998",
    "4999",
    "1000",
    "1005",
    "1.0",
    "1e0",
    "1.5",
    "-0",
    "-0.0",
    "100",
    "100.5",
    "\"0\"",
    "\"1\"",
    "\"01\"",
    "\"-0\"",
    "\"+1\"",
    "\"1.0\"",
    "\"-119\"",
    "\"-120\"",
    "\"4998\"",
    "\"4999\"",
    "18446744073709551615",
    "18446744073709551616",
    "\"18446744073709551615\"",
    "\"18446744073709551616\"",
    "-9223372036854775808",
    "\"-9223372036854775809\"",
];

/// Whether the schema has no words for what is done with this text: `multipleOf` of digits in a
/// string, and numbers that a 64-bit float does not hold, which only `format` tells.
fn is_beyond_words(field: &Field, text: &str) -> bool {
    &*field.name == "amount" && text.starts_with('"')
        || field.kind == Kind::Number && text.trim_start_matches('-').len() > 17
}

#[test]
fn a_schema_takes_a_value_where_the_service_takes_it() {
    let loaded = loaded("rich");
    let rich = document("rich");
    for action in loaded.catalog.actions.values() {
        let body = &operation(&rich, action.name.as_str())["requestBody"];
        let schema = &body["content"]["application/json"]["schema"];
        let schema = match action.envelope {
            Envelope::Flat => schema,
            Envelope::Data => &schema["properties"]["data"],
        };
        for field in action.input.fields() {
            let validator = jsonschema::options()
                .with_draft(jsonschema::Draft::Draft202012)
                .build(&schema["properties"][&*field.name])
                .unwrap();
            for text in VALUES {
                let raw = RawValue::from_string(text.to_owned()).unwrap();
                // The others are as good as they can be.
                let filled = action.input.fields().iter().filter(|other| other.name != field.name);
                let others = filled.filter(|other| other.required).map(|other| {
                    let good = if other.name.contains("id") { "7" } else { "\"good\"" };
                    (other.name.to_string(), RawValue::from_string(good.to_owned()).unwrap())
                });
                let others: Vec<_> = others.collect();
                let mut given: Vec<_> =
                    others.iter().map(|(name, raw)| (name.clone(), &**raw)).collect();
                given.push((field.name.to_string(), &raw));
                let inputs = action.input.accept(&given);
                let taken = inputs.is_ok_and(|inputs| action.request.refuse(&inputs).is_empty());
                let told = validator.is_valid(&serde_json::from_str(text).unwrap());
                assert!(
                    told == taken || is_beyond_words(field, text),
                    "{}.{} {text}: taken {taken}, told {told}",
                    action.name,
                    field.name
                );
            }
        }
    }
}
