//! The data actions as Genesys Cloud imports them, key by key.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use holdline::export::genesys;
use serde_json::{Value, json};

use super::{ALL, loaded, site};

/// The members of an object, in order.
fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn actions(name: &str) -> Vec<(String, Value)> {
    let loaded = loaded(name);
    let documents = genesys::files(&loaded.catalog, site(&loaded)).unwrap();
    documents
        .into_iter()
        .map(|document| (document.name, serde_json::from_str(&document.text).unwrap()))
        .collect()
}

fn action(file: &str) -> Value {
    actions("rich").into_iter().find(|(name, _)| name == file).unwrap().1
}

#[test]
fn each_action_has_a_file_of_exactly_these_keys() {
    for (file, action) in ALL.into_iter().flat_map(actions) {
        assert_eq!(file, format!("{}.custom.json", action["name"].as_str().unwrap()));
        let whole = ["name", "integrationType", "actionType", "config", "contract", "secure"];
        assert_eq!(keys(&action), whole);
        assert_eq!(action["integrationType"], "custom-rest-actions");
        assert_eq!(action["actionType"], "custom");
        assert_eq!(action["secure"], false);
        assert_eq!(keys(&action["config"]), ["request", "response"]);
        let request = &action["config"]["request"];
        let wanted = ["requestUrlTemplate", "requestType", "headers", "requestTemplate"];
        assert_eq!(keys(request), wanted);
        assert_eq!(request["requestType"], "POST");
        assert_eq!(request["headers"]["Content-Type"], "application/json");
        let response = &action["config"]["response"];
        let wanted = ["translationMap", "translationMapDefaults", "successTemplate"];
        assert_eq!(keys(response), wanted);
        assert_eq!(response["translationMapDefaults"], json!({}));
        assert_eq!(keys(&action["contract"]), ["input", "output"]);
        assert_eq!(keys(&action["contract"]["input"]), ["inputSchema"]);
        assert_eq!(keys(&action["contract"]["output"]), ["successSchema"]);
    }
}

#[test]
fn contracts_are_flat_scalars_of_draft_4_with_a_description_each() {
    for (file, action) in ALL.into_iter().flat_map(actions) {
        let contract = &action["contract"];
        for schema in [&contract["input"]["inputSchema"], &contract["output"]["successSchema"]] {
            assert_eq!(schema["$schema"], "http://json-schema.org/draft-04/schema#", "{file}");
            assert_eq!(schema["type"], "object");
            assert_eq!(schema["additionalProperties"], true);
            assert!(!schema["title"].as_str().unwrap().is_empty());
            assert_ne!(schema["required"], json!([]), "draft 4 has no empty list here");
            for (name, property) in schema["properties"].as_object().unwrap() {
                if ["address", "nicknames"].contains(&&**name) {
                    continue;
                }
                assert_eq!(keys(property), ["type", "description"], "{file} {name}");
                assert!(!property["description"].as_str().unwrap().is_empty());
                let kind = property["type"].as_str().unwrap();
                assert!(["string", "integer", "number", "boolean"].contains(&kind), "{kind}");
                assert!(!["orgId", "integrationId", "rawRequest"].contains(&&**name), "{name}");
            }
        }
    }
}

#[test]
fn a_flat_action_passes_the_flat_object_both_ways() {
    let card = action("told-card.custom.json");
    assert_eq!(card["config"]["request"]["requestTemplate"], "${input.rawRequest}");
    assert_eq!(card["config"]["response"]["translationMap"], json!({}));
    assert_eq!(card["config"]["response"]["successTemplate"], "${rawResult}");
    assert_eq!(
        card["config"]["request"]["requestUrlTemplate"],
        "https://holdline.test/data-action/told-card"
    );
}

#[test]
fn a_data_action_in_the_envelope_gets_it_put_on_and_taken_off() {
    let lookup = action("customer-lookup.custom.json");
    let template = "{\"data\": ${input.rawRequest}}";
    assert_eq!(lookup["config"]["request"]["requestTemplate"], template);
    assert_eq!(lookup["config"]["response"]["translationMap"], json!({"data": "$.data"}));
    assert_eq!(lookup["config"]["response"]["successTemplate"], "${data}");
    let outputs = &lookup["contract"]["output"]["successSchema"]["properties"];
    assert_eq!(keys(outputs), ["full_name", "email", "is_premium_member"]);
}

#[test]
fn the_header_that_proves_the_caller_is_made_of_its_credential() {
    for (file, wanted) in [
        ("told-card", json!({"X-Api-Key": "${credentials.apiKey}"})),
        ("open-ticket", json!({"X-Genesys-Auth-Token": "${authResponse.access_token}"})),
        ("by_name", json!({})),
        ("queue", json!({"Authorization": "Bearer ${authResponse.access_token}"})),
        // Sent by itself.
        ("opening-hours", json!({})),
    ] {
        let mut headers =
            action(&format!("{file}.custom.json"))["config"]["request"]["headers"].clone();
        headers.as_object_mut().unwrap().remove("Content-Type");
        assert_eq!(headers, wanted, "{file}");
    }
}

#[test]
fn an_action_that_tells_outcomes_has_them_in_its_contract() {
    let card = action("told-card.custom.json");
    let outputs = &card["contract"]["output"]["successSchema"]["properties"];
    let wanted = ["full_name", "city", "outcome", "status_code", "stale", "age_seconds"];
    assert_eq!(keys(outputs), wanted);
}

#[test]
fn arrays_and_objects_say_what_is_in_them() {
    let ping = action("ping.custom.json");
    let outputs = &ping["contract"]["output"]["successSchema"]["properties"];
    let nicknames = json!({
        "type": "array",
        "description": "Nicknames",
        "items": {"type": "string", "description": "Element"},
    });
    assert_eq!(outputs["nicknames"], nicknames);
    let city = json!({"type": "string", "description": "The name of the city"});
    assert_eq!(outputs["address"]["properties"]["city"], city);
    assert_eq!(outputs["address"]["properties"]["geo"]["properties"]["lat"]["type"], "string");
}

#[test]
fn what_genesys_cannot_have_is_refused_with_what_to_write() {
    let wrong = |output: &str| {
        let yaml = format!(
            "upstreams: {{crm: {{base_url: https://crm.example.com}}}}
actions:
  a:
    caller: none
    request: {{upstream: crm, path: /a}}
    output: {{x: {output}}}
"
        );
        let loaded = holdline::config::parse("a.yaml", &yaml, &|_| None).unwrap();
        genesys::files(&loaded.catalog, site(&loaded)).unwrap_err().join("\n")
    };
    let place = "actions.a.output.x";
    for (output, wanted) in [
        (
            "{type: array, from: $.x}",
            format!(
                "{place}: Genesys Cloud must know what is in an array; write items, such as \
                 items: {{type: string}}"
            ),
        ),
        (
            "{type: object, from: $.x}",
            format!(
                "{place}: Genesys Cloud must know what is in an object; write properties, such as \
                 properties: {{city: {{type: string}}}}"
            ),
        ),
        (
            "{type: array, from: $.x, items: {type: array, items: {type: string}}}",
            format!(
                "{place}.items: is an array in an array, which Genesys Cloud cannot have; map its \
                 elements to outputs of their own"
            ),
        ),
        (
            "{type: array, from: $.x, items: {minLength: 1}}",
            format!(
                "{place}.items: Genesys Cloud must know its type; write one, such as type: string"
            ),
        ),
    ] {
        assert_eq!(wrong(output), wanted);
    }
}
