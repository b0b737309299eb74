//! Files as people write them when they are wrong, and all that is said of each: reviewed snapshots
//! beside the files. `INSTA_UPDATE=always` writes them anew; each sentence is then read by somebody.

use std::{fs, path::Path};

use serde_json::Value as Json;

use crate::config::{json::json, parse, problem::Findings, schema::schema, section::Value, tree};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/tests/wrong");

/// Those in which the schema sees nothing wrong: what is wrong in them is no matter of form.
const WELL_FORMED: [&str; 15] = [
    "changes_that_are_cached",
    "headers_that_are_read_already",
    "inputs_that_the_path_needs",
    "keys_written_twice",
    "lists_without_a_shape",
    "names_of_nothing",
    "outcomes_without_defaults",
    "parts_that_nobody_uses",
    "plain_http_in_public",
    "secret_files_at_fault",
    "secrets_in_the_clear",
    "templates_of_other_tools",
    "times_upside_down",
    "values_that_break_their_contract",
    "variables_that_are_not_set",
];

/// Those that are no single YAML tree, of which a schema says nothing.
const NO_TREE: [&str; 5] = [
    "a_quote_left_open",
    "a_second_document",
    "braces_without_quotes",
    "tab_indentation",
    "yaml_tags",
];

/// Name and text of each, secrets' folder put in.
fn files(secrets: &str) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap().replace("SECRETS", secrets))
        })
        .collect();
    files.sort();
    files
}

fn secrets() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("empty", &b"\n"[..]),
        ("lines", b"first\nsecond\n"),
        ("binary", b"\xff\xfe"),
        ("spaces", b"two words\n"),
        ("good", b"s3cr3t\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn env(name: &str) -> Option<String> {
    match name {
        "REGION" => Some("mars".to_owned()),
        "SECRET" => Some("s3cr3t".to_owned()),
        "SCHEME" => Some("gopher".to_owned()),
        "HOST" => Some("crm.example.com".to_owned()),
        "ADMIN" => Some(String::new()),
        _ => None,
    }
}

#[test]
fn each_gives_exactly_the_expected_problems() {
    let folder = secrets();
    let secrets = folder.path().display().to_string();
    let files = files(&secrets);
    assert!(files.len() >= 30, "{}", files.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(FOLDER));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, text) in &files {
            let file = format!("{name}.yaml");
            let told = match parse(&file, text, &env) {
                Err(report) => report.to_string(),
                Ok(loaded) => {
                    assert!(!loaded.warnings.is_empty(), "{file} is good");
                    loaded.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect()
                }
            };
            assert!(!told.contains("s3cr3t") && !told.contains("hunter2"), "{told}");
            insta::assert_snapshot!(name.as_str(), told.replace(&secrets, "/SECRETS"));
        }
    });
}

#[test]
fn what_is_wrong_in_form_the_schema_refuses_too() {
    let validator = jsonschema::options().offline().build(&schema()).unwrap();
    let (mut no_tree, mut well_formed) = (Vec::new(), Vec::new());
    for (name, text) in files("/run/secrets") {
        let findings = Findings::of("f");
        let Some(root) = tree::read(&text, &findings) else {
            no_tree.push(name);
            continue;
        };
        // What JSON would read otherwise, an editor reads as YAML does.
        if json(&Value::root(&root, &findings)).is_none_or(|json: Json| validator.is_valid(&json)) {
            well_formed.push(name);
        }
    }
    assert_eq!(no_tree, NO_TREE);
    assert_eq!(well_formed, WELL_FORMED);
}
