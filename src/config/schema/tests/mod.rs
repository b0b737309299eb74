//! The schema and the readers are one: the same keys, the same forms, the same defaults.

mod instance;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use self::instance::{Place, places, read};
use super::schema;
use crate::{
    config::{
        Loaded,
        contracts::{KEYWORDS, OF_STRUCTURES, PATTERN},
        parse,
        spelling::Spelling,
        tests::json_of,
    },
    fingerprint::Fields,
};

/// Every key that there is.
const MAXIMAL: &str = include_str!("maximal.yaml");

fn maximal() -> Json {
    json_of(MAXIMAL)
}

fn valid(instance: &Json) -> Vec<String> {
    let validator = jsonschema::options().offline().build(&schema()).unwrap();
    let told = validator.iter_errors(instance);
    told.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn it_is_a_schema_of_2020_12_in_which_everything_is_described() {
    assert!(jsonschema::meta::is_valid(&schema()));
    let mut bare = Vec::new();
    let mut told = |path: &str, properties: &Map<String, Json>| {
        for (key, written) in properties {
            let sentence = written["description"].as_str().unwrap_or_default();
            let referred =
                written.get("$ref").is_some() || path.contains("input") || path.contains("output");
            let one = sentence.ends_with('.') && !sentence.trim_end_matches('.').contains(". ");
            if !one && !referred {
                bare.push(format!("{path}.{key}: {sentence:?}"));
            }
        }
    };
    let whole = schema();
    told("", whole["properties"].as_object().unwrap());
    for (name, definition) in whole["$defs"].as_object().unwrap() {
        if let Some(properties) = definition["properties"].as_object() {
            told(name, properties);
        }
    }
    assert_eq!(bare, [""; 0]);
}

/// Both directions: whatever a reader asks for is in the schema, whatever is in the schema is asked for.
#[test]
fn the_keys_of_the_schema_are_those_that_the_readers_ask_for() {
    let (findings, _folder) = read(MAXIMAL);
    let asked = findings.asked.keys.borrow();
    let schema = schema();
    let mut wrong = Vec::new();
    for Place { path, schema, .. } in places(&schema, &maximal()) {
        let Some(known) = schema.keys() else { continue };
        let none = BTreeSet::new();
        let asked = asked.get(&path).unwrap_or(&none);
        let shown = |keys: Vec<&String>| format!("{keys:?}");
        let missing: Vec<_> = asked.difference(&known).collect();
        let extra: Vec<_> = known.difference(asked).collect();
        if !missing.is_empty() {
            wrong.push(format!("{path:?}: read, but not in the schema: {}", shown(missing)));
        }
        if !extra.is_empty() {
            wrong.push(format!("{path:?}: in the schema, but never read: {}", shown(extra)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What the test above cannot see would not be compared at all.
#[test]
fn the_maximal_file_has_every_mapping_and_every_key_of_the_schema() {
    let schema = schema();
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    let mut written: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for Place { schema, instance, .. } in places(&schema, &maximal()) {
        seen.extend(schema.pointers());
        let (Some(known), Some(object)) = (schema.keys(), instance.as_object()) else { continue };
        let of_place = written.entry(schema.pointers().join(" ")).or_default();
        of_place.0.extend(known);
        of_place.1.extend(object.keys().cloned());
    }
    for (pointers, (known, written)) in &written {
        // Not every keyword goes with every type.
        let keyword = |key: &&String| {
            let key = &key.as_str();
            !KEYWORDS.contains(key) && !OF_STRUCTURES.contains(key) && *key != PATTERN
        };
        let missing: Vec<_> = known.difference(written).filter(keyword).collect();
        if !missing.is_empty() {
            wrong.push(format!("{pointers}: not in the file: {missing:?}"));
        }
    }
    for pointer in instance::mappings(&schema, "") {
        if !seen.contains(&pointer) {
            wrong.push(format!("{pointer}: no such mapping in the file"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_forms_of_the_schema_are_those_that_the_readers_read() {
    let (findings, _folder) = read(MAXIMAL);
    let spellings = findings.asked.spellings.borrow();
    let schema = schema();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for Place { path, schema, .. } in places(&schema, &maximal()) {
        let Some(spelling) = spellings.get(&path) else { continue };
        compared += 1;
        let found = schema.written();
        // A type that chooses the other keys is written as the words that it may be there.
        let chosen = found.get("const").or_else(|| found.get("enum"));
        let const_word = chosen.is_some() && matches!(spelling, Spelling::Choice(_));
        let expected = spelling.schema();
        let fits =
            expected.as_object().unwrap().iter().all(|(key, value)| found.get(key) == Some(value));
        // One alone may stand in place of a list.
        let alone = found.get("anyOf").is_some_and(|any| any[0] == expected);
        if !fits && !const_word && !alone {
            wrong.push(format!("{path}: read as {expected}, in the schema {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(compared > 80, "{compared}");
}

/// What came out, without what every change changes.
fn outcome(yaml: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let Loaded { mut catalog, mut settings, .. } =
        parse("f", yaml, env).map_err(|report| report.to_string())?;
    // What is written differs, and with it whatever tells of that alone.
    (settings.revision, settings.written) = (String::new(), [].into());
    for action in catalog.actions.values_mut() {
        std::sync::Arc::get_mut(action).unwrap().revision = Fields::new().fingerprint();
    }
    Ok(format!("{catalog:?} {settings:?}"))
}

#[test]
fn a_default_of_the_schema_is_what_holds_where_nothing_is_written() {
    let (schema, maximal) = (schema(), maximal());
    let (env, _folder) = instance::env();
    if let Err(report) = outcome(MAXIMAL, &env) {
        panic!("the maximal file is refused\n{report}");
    }
    // In some places a default is refused, since it excludes what stands beside it.
    let (mut wrong, mut refused, mut compared) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for Place { pointer, schema, .. } in places(&schema, &maximal) {
        for (key, default) in schema.defaults() {
            let mut without = maximal.clone();
            let object = without.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
            object.remove(&key);
            let mut with = without.clone();
            with.pointer_mut(&pointer).unwrap()[&key] = default;
            let id = format!("{} {key}", schema.pointers().join(" "));
            match (outcome(&without.to_string(), &env), outcome(&with.to_string(), &env)) {
                (Ok(without), Ok(with)) => {
                    compared.insert(id);
                    if without != with {
                        let same =
                            without.bytes().zip(with.bytes()).take_while(|(a, b)| a == b).count();
                        let near = |text: &str| {
                            text.get(same.saturating_sub(60)..same + 30)
                                .unwrap_or_default()
                                .to_owned()
                        };
                        let (without, with) = (near(&without), near(&with));
                        wrong.push(format!(
                            "{pointer}/{key}: not the reader's:\n  {with}\n  {without}"
                        ));
                    }
                }
                (Err(report), _) | (_, Err(report)) => {
                    refused.insert(id, format!("{pointer}/{key} is refused everywhere: {report}"));
                }
            }
        }
    }
    refused.retain(|id, _| !compared.contains(id));
    wrong.extend(refused.into_values());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(compared.len() > 80, "{}", compared.len());
}

#[test]
fn what_is_accepted_elsewhere_in_the_tests_is_valid() {
    let builtin = include_str!("../../builtin.yaml");
    for yaml in [MAXIMAL, builtin, crate::config::tests::GOOD] {
        assert_eq!(valid(&json_of(yaml)), [""; 0]);
    }
    let minimal = json!({"actions": {"a": {
        "caller": "none",
        "request": {"upstream": "u", "path": "/"},
        "output": {"o": {"type": "string", "value": ""}},
    }}, "upstreams": {"u": {"base_url": "${BASE}", "headers": null}}, "server": null});
    assert_eq!(valid(&minimal), [""; 0]);
}

#[test]
fn what_is_wrong_in_form_is_not_valid() {
    let with = |pointer: &str, key: &str, value: Json| {
        let mut file = maximal();
        file.pointer_mut(pointer).unwrap()[key] = value;
        valid(&file)
    };
    for (pointer, key, value) in [
        ("", "servr", json!({})),
        ("", "version", json!(2)),
        ("", "actions", json!({})),
        ("/server", "max_body", json!("256kb")),
        ("/server", "max_headers", json!(0)),
        ("/server", "idle_timeout", json!(75)),
        ("/callers/tutorial", "type", json!("apikey")),
        ("/callers/portal", "url", json!("https://x.example")),
        ("/callers", "1st", json!({"type": "api_key", "keys": {"a": "${B}"}})),
        ("/limits/per_caller", "rate", json!("5 per second")),
        ("/upstreams/crm", "base_url", json!("crm.example.com")),
        ("/upstreams/crm/breaker", "slow", json!({})),
        ("/actions/customer-lookup/input", "orgId", json!({"type": "string"})),
        ("/actions/customer-lookup/input/lang", "minimun", json!(1)),
        ("/actions/customer-lookup/request", "method", json!("get")),
        ("/actions/customer-lookup/cache", "ttl", json!(60)),
    ] {
        assert_ne!(with(pointer, key, value.clone()), [""; 0], "{pointer}/{key}: {value}");
    }
    // What is not expanded yet may become anything.
    for (pointer, key) in [
        ("/server", "max_body"),
        ("/server", "max_headers"),
        ("/server", "trust_trace_context"),
        ("/telemetry/log", "level"),
        ("/upstreams/crm", "base_url"),
        ("/actions/customer-lookup/cache", "ttl"),
    ] {
        assert_eq!(with(pointer, key, json!("${VALUE}")), [""; 0], "{pointer}/{key}");
    }
}
