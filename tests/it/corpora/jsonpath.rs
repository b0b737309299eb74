//! The JSONPath compliance test suite, through a configuration: a selector is the `from` of an
//! output, and what it finds first is the answer.

use holdline::{catalog::mapping::MappingError, config};
use serde_json::{Value, json};

use super::document;

/// An action whose only output is what `selector` finds, of the type `form`, or else null.
fn configuration(selector: &str, form: &str) -> String {
    format!(
        "version: 1
upstreams: {{up: {{base_url: https://up.example}}}}
actions:
  a:
    caller: none
    request: {{upstream: up, path: /}}
    output: {{v: {{type: {form}, from: {}}}}}
",
        // YAML has no control characters, and serde_json writes this one as it is.
        json!(selector).to_string().replace('\u{7f}', "\\u007f")
    )
}

fn form(value: &Value) -> &'static str {
    match value {
        Value::Null => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What the answer must be, of the lists of results that the suite allows; `None`: nothing is found.
fn firsts(test: &Value) -> Vec<Option<Value>> {
    let lists = match (&test["result"], &test["results"]) {
        (Value::Array(one), _) => vec![one.clone()],
        (_, Value::Array(all)) => all.iter().filter_map(Value::as_array).cloned().collect(),
        _ => panic!("a test without a result: {test}"),
    };
    // A null in a reply is no match.
    let first = |list: Vec<Value>| list.into_iter().next().filter(|value| !value.is_null());
    lists.into_iter().map(first).collect()
}

#[test]
fn every_selector_finds_what_the_suite_says_or_is_refused() {
    let suite = document("jsonpath/cts.json");
    let tests = suite["tests"].as_array().expect("tests");
    let (mut refused, mut answered, mut no_object) = (0, 0, 0);
    for test in tests {
        let (name, selector) = (&test["name"], test["selector"].as_str().expect("a selector"));
        if test["invalid_selector"] == true {
            let report = config::parse("f", &configuration(selector, "string"), &|_| None);
            let report = report.expect_err(selector);
            let about_it = |path: &str| path == "actions.a.output.v.from";
            assert!(report.problems().iter().any(|told| about_it(&told.path)), "{name}: {report}");
            refused += 1;
            continue;
        }
        let reply = test["document"].to_string();
        let firsts = firsts(test);
        let wanted = firsts[0].as_ref();
        let form = wanted.map_or("string", form);
        let loaded = config::parse("f", &configuration(selector, form), &|_| None);
        let loaded = loaded.unwrap_or_else(|report| panic!("{name}: {report}"));
        match loaded.catalog.actions["a"].output.apply(reply.as_bytes()) {
            // Exception: a reply is an object, or an array where the path begins in one.
            Err(MappingError::NotAnObject) => {
                assert!(!test["document"].is_object(), "{name}");
                let begins = selector.trim_start_matches('$').trim_start();
                let by_name = begins.starts_with(['.'])
                    || begins.starts_with("['")
                    || begins.starts_with("[\"");
                let nowhere = begins.is_empty() || !test["document"].is_array();
                assert!(by_name || nowhere, "{name}: {selector}");
                no_object += 1;
            }
            Err(MappingError::Missing(_)) => {
                assert!(firsts.contains(&None), "{name}: nothing was found");
                answered += 1;
            }
            Err(MappingError::WrongType(_)) if firsts.len() > 1 => answered += 1,
            Err(error) => panic!("{name}: {error}"),
            Ok(answer) => {
                let answer: Value =
                    serde_json::from_slice(answer.flat()).expect("an answer is JSON");
                assert!(firsts.contains(&Some(answer["v"].clone())), "{name}: {answer}");
                answered += 1;
            }
        }
    }
    assert_eq!((tests.len(), refused), (703, 247));
    assert_eq!((answered, no_object), (443, 13), "answered, exceptions");
}
