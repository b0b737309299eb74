//! `check` for editors and CI, and the schema that editors use.

use std::fs;

use serde_json::{Value, json};

use crate::support::program::{Ended, Program};

const GOOD: &str = "\
callers: {genesys: {type: introspection, region: eu-west-1}}
upstreams: {crm: {base_url: https://crm.example.com}}
actions:
  lookup:
    caller: genesys
    request: {upstream: crm, path: /users}
    output: {name: {type: string, from: $.name}}
";

/// Checks `yaml` in a folder of its own, by the relative path that is given.
async fn checked(yaml: &str, more: &[&str], env: &[(&str, &str)]) -> (Ended, Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holdline.yaml").display().to_string();
    fs::write(&file, yaml).unwrap();
    let args = [&["check", "--format", "json", "-c", &file], more].concat();
    let ended = Program::run(&args, env).await;
    let told = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended, told, file)
}

#[tokio::test]
async fn a_good_file_is_one_object_without_problems() {
    let (ended, told, file) = checked(GOOD, &[], &[]).await;
    assert_eq!(told, json!({"file": file, "ok": true, "problems": [], "actions": 1}));
    assert_eq!((ended.code, &*ended.err), (Some(0), ""));
    let ended = Program::run(&["check", "--format", "json"], &[]).await;
    let told: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(told, json!({"file": "built-in", "ok": true, "problems": [], "actions": 1}));
}

#[tokio::test]
async fn problems_and_warnings_have_their_parts_in_the_order_of_the_file() {
    let yaml = GOOD
        .replace("https://crm", "http://crm")
        .replace("caller: genesys", "description: \"Größe 😀\"\n    Caller: genesys");
    let (ended, told, file) = checked(&yaml, &[], &[]).await;
    assert_eq!((ended.code, &*ended.err), (Some(1), ""), "{ended:?}");
    let told_of =
        |severity: &str, line: u64, column: u64, path: &str, what: &str, instead: &str| {
            json!({
                "severity": severity, "file": file, "line": line, "column": column,
                "path": path, "what": what, "instead": instead,
            })
        };
    let expected = json!({"file": file, "ok": false, "actions": 0, "problems": [
        told_of(
            "warning", 2, 29, "upstreams.crm.base_url",
            "is plain http to a public host: everybody on the way can read it", "write https://",
        ),
        told_of("error", 6, 5, "actions.lookup.Caller", "is not a key here", "write `caller`"),
    ]});
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_strict_check_is_not_ok_with_warnings() {
    let yaml = GOOD.replace("https://crm", "http://crm");
    for (more, code) in [(&[][..], 0), (&["--strict"], 1)] {
        let (ended, told, _) = checked(&yaml, more, &[]).await;
        assert_eq!((ended.code, &told["ok"]), (Some(code), &json!(code == 0)));
        assert_eq!((&told["actions"], told["problems"].as_array().unwrap().len()), (&json!(1), 1));
    }
}

#[tokio::test]
async fn a_fault_of_a_variable_names_it_and_no_secret_is_told() {
    let ended = Program::run(&["check"], &[("GENESYS_REGION", "mars-1")]).await;
    let named =
        "is no region of Genesys Cloud (from the environment variable GENESYS_REGION); write";
    assert!(ended.err.contains(named), "{ended:?}");

    let yaml = GOOD.replace("https://crm.example.com", "\"${BASE}\"");
    let (ended, told, _) = checked(&yaml, &[], &[("BASE", "https://me:s3cr3t@crm.example")]).await;
    assert_eq!(ended.code, Some(1));
    assert!(!ended.out.contains("s3cr3t"), "{told}");
    assert!(
        told["problems"][0]["what"]
            .as_str()
            .unwrap()
            .ends_with("(from the environment variable BASE)")
    );
}

#[tokio::test]
async fn the_path_of_the_file_is_told_as_it_is_given() {
    let ended = Program::run(&["check", "-c", "./nowhere/holdline.yaml"], &[]).await;
    assert!(ended.err.starts_with("./nowhere/holdline.yaml: cannot be read ("), "{ended:?}");
    assert!(!ended.err.contains('\r'));
}

#[tokio::test]
async fn the_schema_is_written_without_any_configuration() {
    let env = [("HOLDLINE_CONFIG", "/nowhere.yaml")];
    let ended = Program::run(&["export", "schema"], &env).await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    let schema: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema, holdline::config::schema::schema());

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let ended = Program::run(&["export", "schema", "-o", &path], &[]).await;
    assert_eq!(ended.out, format!("{path}/holdline.schema.json\n"), "{ended:?}");
}
