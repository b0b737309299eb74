//! CX as Code as Terraform reads it.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use std::{fs, process::Command};

use hcl::{Block, Body, Expression, eval::Context};
use holdline::export::{Document, terraform};
use serde_json::{Value, json};

use super::{ALL, loaded, site};
use crate::support::program::{is_in_path, skipped};

fn files(name: &str, is_placed: bool) -> Vec<Document> {
    let loaded = loaded(name);
    terraform::files(&loaded.catalog, site(&loaded), is_placed).unwrap()
}

fn body(documents: &[Document], file: &str) -> Body {
    let document = documents.iter().find(|document| document.name == file).unwrap();
    hcl::parse(&document.text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The blocks of a kind below `body`.
fn blocks<'a>(body: &'a Body, kind: &'a str) -> impl Iterator<Item = &'a Block> {
    body.blocks().filter(move |block| block.identifier() == kind)
}

/// The one block with these labels.
fn labelled<'a>(body: &'a Body, labels: &[&str]) -> &'a Block {
    let same = |block: &&Block| {
        block.labels().iter().map(|label| label.as_str()).eq(labels.iter().copied())
    };
    body.blocks().find(same).unwrap_or_else(|| panic!("{labels:?}"))
}

fn inner<'a>(block: &'a Block, kind: &'a str) -> &'a Block {
    blocks(&block.body, kind).next().unwrap()
}

fn expression<'a>(block: &'a Block, name: &str) -> &'a Expression {
    let mut attributes = block.body.attributes();
    attributes.find(|attribute| attribute.key() == name).unwrap_or_else(|| panic!("{name}")).expr()
}

/// The value of an attribute, with the variables of the site filled in.
fn value(block: &Block, name: &str) -> Value {
    use hcl::eval::Evaluate;
    let mut context = Context::new();
    context.declare_var("var", hcl::value!({ "holdline_url" = "https://elsewhere.test" }));
    let value = expression(block, name).evaluate(&context).unwrap();
    serde_json::to_value(value).unwrap()
}

/// What stands in `jsonencode`.
fn encoded(block: &Block, name: &str) -> Value {
    use hcl::eval::Evaluate;
    let Expression::FuncCall(call) = expression(block, name) else { panic!("{name}") };
    assert_eq!(call.name.name.as_str(), "jsonencode");
    serde_json::to_value(call.args[0].evaluate(&Context::new()).unwrap()).unwrap()
}

/// A reference as it is written.
fn written(block: &Block, name: &str) -> String {
    expression(block, name).to_string()
}

#[test]
fn every_file_is_hcl_and_names_its_provider() {
    for name in ALL {
        let documents = files(name, true);
        let body = body(&documents, "holdline.tf");
        let required = inner(blocks(&body, "terraform").next().unwrap(), "required_providers");
        let provider = value(required, "genesyscloud");
        assert_eq!(provider["source"], "mypurecloud/genesyscloud");
        assert_eq!(labelled(&body, &["genesyscloud"]).identifier(), "provider");
    }
}

#[test]
fn an_integration_is_on_and_its_credential_is_under_the_one_key() {
    let documents = files("rich", true);
    let body = body(&documents, "holdline.tf");
    for scheme in ["flows", "genesys", "desk", "oauth"] {
        let integration = labelled(&body, &["genesyscloud_integration", scheme]);
        assert_eq!(value(integration, "integration_type"), "custom-rest-actions");
        assert_eq!(value(integration, "intended_state"), "ENABLED");
        let credentials = written(inner(integration, "config"), "credentials");
        let id = format!("genesyscloud_integration_credential.{scheme}.id");
        assert!(credentials.contains("basicAuth") && credentials.contains(&id), "{credentials}");
    }
    let open = inner(labelled(&body, &["genesyscloud_integration", "none"]), "config");
    assert!(open.body.attributes().all(|attribute| attribute.key() != "credentials"));
}

#[test]
fn only_a_credential_that_fetches_tokens_has_an_action_for_it() {
    let documents = files("rich", true);
    let body = body(&documents, "holdline.tf");
    let custom = "genesyscloud_integration_custom_auth_action";
    let labels: Vec<_> = blocks(&body, "resource")
        .filter(|block| block.labels()[0].as_str() == custom)
        .map(|block| block.labels()[1].as_str())
        .collect();
    assert_eq!(labels, ["genesys", "oauth"]);
    let action = labelled(&body, &[custom, "genesys"]);
    let request = inner(action, "config_request");
    assert_eq!(value(request, "request_url_template"), "${credentials.loginUrl}");
    assert_eq!(
        value(request, "headers")["Authorization"],
        "Basic $encoding.base64(\"${credentials.clientId}:${credentials.clientSecret}\")"
    );
    let kind = |scheme| {
        let credential = labelled(&body, &["genesyscloud_integration_credential", scheme]);
        value(credential, "credential_type_name")
    };
    assert_eq!(kind("flows"), "userDefined");
    assert_eq!(kind("genesys"), "userDefinedOAuth");
    assert_eq!(kind("oauth"), "userDefinedOAuth");
    assert_eq!(kind("desk"), "basicAuth");
    // Tokens that are given out here are fetched here.
    let credential = labelled(&body, &["genesyscloud_integration_credential", "oauth"]);
    let fields = written(credential, "fields");
    assert!(fields.contains("${var.holdline_url}/oauth/token"), "{fields}");
}

#[test]
fn a_data_action_is_that_of_the_importable_file() {
    for name in ALL {
        let documents = files(name, true);
        let body = body(&documents, "holdline.tf");
        let loaded = loaded(name);
        for file in holdline::export::genesys::files(&loaded.catalog, site(&loaded)).unwrap() {
            let custom: Value = serde_json::from_str(&file.text).unwrap();
            let name = custom["name"].as_str().unwrap();
            let action = labelled(&body, &["genesyscloud_integration_action", name]);
            assert_eq!(value(action, "name"), name);
            assert_eq!(value(action, "secure"), false);
            // The schemas themselves, without what the importable file puts around them.
            let contract = &custom["contract"];
            assert_eq!(encoded(action, "contract_input"), contract["input"]["inputSchema"]);
            assert_eq!(encoded(action, "contract_output"), contract["output"]["successSchema"]);
            let (request, response) = (&custom["config"]["request"], &custom["config"]["response"]);
            let ours = inner(action, "config_request");
            assert_eq!(value(ours, "request_type"), request["requestType"]);
            assert_eq!(value(ours, "request_template"), request["requestTemplate"]);
            assert_eq!(value(ours, "headers"), request["headers"]);
            let url = value(ours, "request_url_template");
            assert_eq!(url, format!("https://elsewhere.test/data-action/{name}"));
            let ours = inner(action, "config_response");
            assert_eq!(value(ours, "translation_map"), response["translationMap"]);
            assert_eq!(value(ours, "translation_map_defaults"), json!({}));
            assert_eq!(value(ours, "success_template"), response["successTemplate"]);
        }
    }
}

#[test]
pub(crate) fn the_time_there_is_what_is_written_else_the_second_above_ours() {
    let documents = files("rich", true);
    let body = body(&documents, "holdline.tf");
    for (action, seconds) in [
        // 6.5 s are written.
        ("told-card", 7),
        ("customer-lookup", 6),
        ("told-number", 1),
        // No action of Genesys Cloud may take longer.
        ("open-ticket", 60),
    ] {
        let action = labelled(&body, &["genesyscloud_integration_action", action]);
        assert_eq!(value(action, "config_timeout_seconds"), seconds);
    }
}

#[test]
fn variables_hold_what_differs_and_all_that_is_secret() {
    let documents = files("rich", false);
    let variables = body(&documents, "variables.tf");
    let names: Vec<_> = variables.blocks().map(|block| block.labels()[0].as_str()).collect();
    let wanted = [
        "holdline_url",
        "desk_user_name",
        "desk_password",
        "flows_api_key",
        "genesys_client_id",
        "genesys_client_secret",
        "genesys_token_url",
        "oauth_client_id",
        "oauth_client_secret",
    ];
    assert_eq!(names, wanted);
    for name in ["flows_api_key", "genesys_client_secret", "desk_password", "oauth_client_secret"] {
        let variable = labelled(&variables, &[name]);
        assert_eq!(value(variable, "sensitive"), true);
        assert!(variable.body.attributes().all(|attribute| attribute.key() != "default"));
    }
    let login = value(labelled(&variables, &["genesys_token_url"]), "default");
    assert_eq!(login, "https://login.mypurecloud.ie/oauth/token");
    let address = labelled(&variables, &["holdline_url"]);
    assert!(address.body.attributes().all(|attribute| attribute.key() != "default"));
    let placed = body(&files("rich", true), "variables.tf");
    let address = value(labelled(&placed, &["holdline_url"]), "default");
    assert_eq!(address, "https://holdline.test");
}

#[test]
fn terraform_finds_nothing_to_format() {
    // It is no package of Debian's, so that it may be missing even where all the rest is there.
    if !is_in_path("terraform") {
        return skipped("terraform is not on this machine");
    }
    for name in ALL {
        let folder = tempfile::tempdir().unwrap();
        for Document { name, text } in files(name, name == "rich") {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let ran = Command::new("terraform")
            .args(["fmt", "-check", "-diff", "-no-color"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stdout));
    }
}
