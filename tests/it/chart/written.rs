//! What is written by rule in the chart is as it is written; the schema is closed, and every key of it is
//! used and told.

#[path = "../../../deploy/helm/generate/files.rs"]
pub(super) mod files;

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

pub(super) use files::DASHBOARDS;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn chart() -> std::path::PathBuf {
    project().join("deploy/helm/holdline")
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path.as_ref()).unwrap()
}

/// The files of the chart in that folder that are not as the generator writes them.
pub(super) fn not_as_written(folder: &Path) -> Vec<String> {
    let all = files::all(project()).into_iter();
    let differ = all
        .filter(|(name, text)| fs::read_to_string(folder.join(name)).unwrap_or_default() != *text);
    differ.map(|(name, _)| name).collect()
}

#[test]
fn what_is_committed_is_what_the_generator_writes() {
    let differ = not_as_written(&chart());
    assert!(differ.is_empty(), "{differ:?} are not what is generated: make chart");
}

#[test]
fn nothing_else_lies_among_the_copied_files() {
    let written: BTreeSet<_> = files::all(project()).into_iter().map(|(name, _)| name).collect();
    for folder in ["files/dashboards", "files/rules"] {
        for entry in fs::read_dir(chart().join(folder)).unwrap() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
            assert!(written.contains(&name), "{name} is written by nobody");
        }
    }
    let mut boards: Vec<_> = fs::read_dir(project().join("dashboards"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .filter(|name| name.ends_with(".json"))
        .collect();
    boards.sort();
    assert_eq!(boards, DASHBOARDS);
}

/// Maps of the schema whose keys are named and that take others too.
pub(super) fn open(folder: &Path) -> Vec<String> {
    fn search(at: &str, schema: &Value, found: &mut Vec<String>) {
        if schema["properties"].is_object()
            && schema["type"] == "object"
            && schema["additionalProperties"] != false
        {
            found.push(at.to_owned());
        }
        let Some(map) = schema.as_object() else { return };
        for (key, below) in map {
            search(&format!("{at}/{key}"), below, found);
        }
    }
    let schema: Value = serde_json::from_str(&text(folder.join("values.schema.json"))).unwrap();
    let mut found = Vec::new();
    search("", &schema, &mut found);
    found
}

#[test]
fn the_schema_is_closed() {
    assert_eq!(open(&chart()), Vec::<String>::new());
}

pub(super) fn keys() -> Vec<files::key::Key> {
    files::key::read(&text(chart().join("values.schema.json")))
}

#[test]
fn every_key_says_what_it_is_and_what_holds_without_it() {
    for key in keys().iter().flat_map(files::key::Key::all) {
        assert!(key.about.ends_with('.'), "{}: {:?}", key.path, key.about);
        assert!(key.default.is_some() || key.path.contains("[]"), "{} has no default", key.path);
    }
}

#[test]
fn every_key_stands_on_the_charts_page() {
    let page = text(chart().join("README.md"));
    for key in keys().iter().flat_map(files::key::Key::all) {
        assert!(page.contains(&format!("| `{}` |", key.path)), "{}", key.path);
    }
}

/// All templates in one text, but for those.
fn templates(without: &[&str]) -> String {
    let mut all = String::new();
    for folder in ["templates", "templates/tests", "templates/values"] {
        for entry in fs::read_dir(chart().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let other = without.iter().any(|it| path.ends_with(it));
            all.push_str(&if path.is_file() && !other { text(path) } else { String::new() });
        }
    }
    all
}

#[test]
fn every_key_is_used_in_a_template() {
    // What only the notes and refusals read does nothing.
    let templates = templates(&["NOTES.txt", "_reach.tpl", "_validate.tpl"]);
    let stands = |word: &str| {
        templates.match_indices(word).any(|(at, _)| {
            let after = templates[at + word.len()..].chars().next();
            !after.is_some_and(|c| c.is_ascii_alphanumeric())
        })
    };
    // By the last two parts of its path: many a key is called `enabled`. A variable is called as the
    // key that it holds.
    let used = |path: &str| match path.rsplit('.').collect::<Vec<_>>()[..] {
        [key, of, ..] if of.ends_with("[]") => stands(&format!(".{key}")),
        [key, of, ..] => [".", "$"].iter().any(|from| stands(&format!("{from}{of}.{key}"))),
        _ => ["Values", "$v"].iter().any(|from| stands(&format!("{from}.{path}"))),
    };
    // Handed to Kubernetes whole: their keys are its own.
    let whole = [
        "probes.startup",
        "probes.liveness",
        "probes.readiness",
        "strategy.rollingUpdate",
        "externalSecret.storeRef",
        "extraEnv[]",
    ];
    let (all, mut unused) = (keys(), Vec::new());
    for key in all.iter().flat_map(files::key::Key::all) {
        let within = whole.iter().any(|it| key.path.starts_with(&format!("{it}.")));
        if key.path != "global" && !within && !used(&key.path) {
            unused.push(&*key.path);
        }
    }
    assert!(unused.is_empty(), "no template uses {}", unused.join(", "));
}

#[test]
fn no_template_uses_a_key_that_the_schema_has_not() {
    let known: BTreeSet<_> =
        keys().iter().flat_map(files::key::Key::all).map(|key| key.path.clone()).collect();
    let open: Vec<_> = keys()
        .iter()
        .flat_map(files::key::Key::all)
        .filter(|key| key.below.is_empty() && key.default.as_ref().is_none_or(Value::is_object))
        .map(|key| format!("{}.", key.path))
        .collect();
    let templates = templates(&[]);
    for (at, _) in templates.match_indices(".Values.") {
        let rest = &templates[at + ".Values.".len()..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap();
        let path = rest[..end].trim_end_matches('.');
        assert!(
            known.contains(path) || open.iter().any(|it| path.starts_with(it)),
            ".Values.{path} is no value"
        );
    }
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = text(chart().join("Chart.yaml"));
    assert!(chart.contains(&format!("\nversion: {version}\n")), "{chart}");
    assert!(chart.contains(&format!("\nappVersion: \"{version}\"\n")), "{chart}");
}
