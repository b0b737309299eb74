//! What the rendered pods run is run: the program takes the rendered configuration as it stands.

use std::fs;

use serde_json::{Value, json};

use super::driver::{Chart, Rendered, list};
use crate::support::program::Program;

/// A configuration whose comments, order, spaces and line ends a careless template would lose.
const TEXT: &str = "# kept to the letter\nversion: 1\n\nactions:   # {{ not a template }}\n  b: &b\n    \
caller: none\n    input: {id: {type: integer, required: true}}\n    request: {upstream: crm, path: '/b/{id}'}\n    \
output: {name: {type: string, from: $.name}}\n  a: *b\nupstreams: {crm: {base_url: \"${CRM:-https://crm.example.com}\"}}\n";

/// A configuration like it, without what only text can have.
fn map() -> Value {
    json!({"version": 1, "upstreams": {"crm": {"base_url": "${CRM:-https://crm.example.com}"}},
        "actions": {"b": {"caller": "none", "input": {"id": {"type": "integer", "required": true}},
            "request": {"upstream": "crm", "path": "/b/{id}"},
            "output": {"name": {"type": "string", "from": "$.name"}}}}})
}

fn text(rendered: &Rendered) -> &str {
    rendered.the("ConfigMap")["data"]["holdline.yaml"].as_str().unwrap()
}

#[test]
fn a_configuration_of_text_is_kept_to_the_letter() {
    let Some(chart) = Chart::ours() else { return };
    let ends = [TEXT.to_owned(), TEXT.trim_end().to_owned(), format!("{TEXT}\n\n")];
    let odd = TEXT.replace("\n  a:", "\n  # \u{fc}\t\n  a:");
    for config in ends.into_iter().chain([odd]) {
        assert_eq!(text(&chart.with(json!({"config": config}))), config);
    }
}

#[tokio::test]
async fn the_program_takes_the_rendered_configuration() {
    let Some(chart) = Chart::ours() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holdline.yaml");
    let path = file.to_str().unwrap();
    for config in [json!(TEXT), map()] {
        let rendered = chart.with(json!({"config": config}));
        fs::write(&file, text(&rendered)).unwrap();
        let ended = Program::run(&["check", "-c", path], &[]).await;
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.err, text(&rendered));
    }
}

#[tokio::test]
async fn every_shape_s_configuration_is_taken_by_the_program() {
    let Some(chart) = Chart::ours() else { return };
    let mut checked = 0;
    for shape in chart.shapes() {
        let rendered = chart.try_with(&shape, json!({})).unwrap();
        if rendered.config.is_none() {
            continue;
        }
        let maps = rendered.all("ConfigMap");
        let text = maps.iter().find_map(|it| it["data"]["holdline.yaml"].as_str()).unwrap();
        let copied = crate::examples::Copied::of(text);
        let file = copied.file();
        let env = variables(&rendered);
        let env: Vec<_> = env.iter().map(|(name, value)| (&**name, &**value)).collect();
        let ended = Program::run(&["check", "-c", file.to_str().unwrap()], &env).await;
        assert_eq!(ended.code, Some(0), "{shape}: {}\n{text}", ended.err);
        checked += 1;
    }
    assert!(checked > 2, "{checked}");
}

/// The variables of the rendered program; those from elsewhere have a stand-in, each its own.
fn variables(rendered: &Rendered) -> Vec<(String, String)> {
    let each = list(&rendered.program()["env"]).iter().map(|it| {
        let name = it["name"].as_str().unwrap();
        let stand_in = format!("{name}-of-more-than-32-characters-and-like-no-other");
        (name.to_owned(), it["value"].as_str().map_or(stand_in, str::to_owned))
    });
    each.collect()
}

#[tokio::test]
async fn without_any_values_it_serves_the_tutorials_action() {
    let Some(chart) = Chart::ours() else { return };
    let rendered = chart.with(json!({}));
    assert_eq!(rendered.all("ConfigMap").len(), 0);
    let args: Vec<_> =
        list(&rendered.program()["args"]).iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(args[0], "serve");
    assert!(rendered.program()["command"].is_null());
    // What it would serve is explained, with the same arguments.
    let mut explained = vec!["explain", "customer-lookup"];
    explained.extend(&args[1..]);
    let ended = Program::run(&explained, &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}

#[tokio::test]
async fn the_arguments_of_tests_are_those_of_the_program() {
    let Some(chart) = Chart::ours() else { return };
    let action = json!({"name": "customer-lookup", "inputs": ["customer_id=1"], "tokenSecret": {"name": "token"}});
    let rendered = chart.with(json!({"config": map(), "tests": {"action": action}}));
    assert_eq!(rendered.all("Pod").len(), 3);
    for pod in rendered.all("Pod") {
        let args = list(&pod["spec"]["containers"][0]["args"]);
        let mut args: Vec<_> = args.iter().map(|it| it.as_str().unwrap()).collect();
        assert!(["probe", "check", "call"].contains(&args[0]), "{args:?}");
        // Told what it is asked, it takes every argument first.
        args.push("--help");
        assert_eq!(Program::run(&args, &[]).await.code, Some(0), "{args:?}");
    }
}
