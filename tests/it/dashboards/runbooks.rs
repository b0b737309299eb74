//! The runbooks: of one form, and naming only what there is.

#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use holdline::config::schema::schema;
use serde_json::Value;

use super::names::unknown_metrics;
use crate::support::program::there_is;

const HEADINGS: [&str; 6] = [
    "## What callers notice",
    "## What it means",
    "## What to look at",
    "## What to press",
    "## How to tell that it is over",
    "## Then",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Each page's name and text.
fn pages() -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join("deploy/runbooks")).unwrap();
    let mut pages: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
        .collect();
    pages.sort();
    pages
}

/// The texts of blocks in that language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    let behind = text.split(&*begin).skip(1);
    behind.map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// What stands between backticks on one line, outside of blocks.
fn quoted(text: &str) -> Vec<&str> {
    let mut outside = true;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            outside = !outside;
        } else if outside {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

#[test]
fn pages_are_of_one_form() {
    for (name, text) in pages() {
        if name == "README" {
            continue;
        }
        assert!(text.starts_with(&format!("# {name}\n\n**")), "{name}");
        let headings: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, HEADINGS, "{name}");
        let empty = text.split("\n## ").skip(1).find(|part| part.lines().count() < 3);
        assert_eq!(empty, None, "{name}");
        assert!(!blocks(&text, "promql").is_empty(), "{name} has nothing to paste into Prometheus");
        for line in text.lines().filter(|line| line.contains(".md)")) {
            for link in line.split("](").skip(1) {
                let (page, _) = link.split_once(')').unwrap();
                let is_there = root().join("deploy/runbooks").join(page).is_file();
                assert!(is_there, "{name} leads to {page}, which is not there");
            }
        }
    }
}

#[test]
fn the_list_of_pages_is_whole() {
    let all = pages();
    let (_, list) = all.iter().find(|(name, _)| name == "README").unwrap();
    for (name, _) in all.iter().filter(|(name, _)| name != "README") {
        assert!(list.contains(&format!("| [{name}]({name}.md) | ")), "{name}");
    }
}

#[test]
fn what_is_pasted_into_prometheus_is_promql_over_metrics_that_there_are() {
    let rules = fs::read_to_string(root().join("dashboards/rules/holdline.yaml")).unwrap();
    let recorded: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    let mut asked = String::from("groups:\n  - name: asked\n    rules:\n");
    let mut count = 0;
    for (name, text) in pages() {
        let unknown = unknown_metrics(&text, &recorded);
        let unknown: Vec<_> = unknown.into_iter().filter(|it| !it.ends_with('_')).collect();
        assert!(unknown.is_empty(), "{name} names {unknown:?}");
        for query in blocks(&text, "promql") {
            count += 1;
            let query = Value::from(query);
            asked += &format!("      - {{record: 'asked:{name}:{count}', expr: {query}}}\n");
        }
    }
    if !there_is("promtool") {
        return;
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, asked.as_bytes()).unwrap();
    let ended =
        Command::new("promtool").args(["check", "rules"]).arg(file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{asked}");
}

/// Paths of the listeners of operators and probes, with their placeholders.
fn routes() -> Vec<String> {
    let source = fs::read_to_string(root().join("src/server/admin/mod.rs")).unwrap();
    let paths = source.split(".route(\"").skip(1);
    let paths = paths.map(|rest| rest.split('"').next().unwrap());
    paths.map(str::to_owned).collect()
}

fn is_route(path: &str, route: &str) -> bool {
    let (given, wanted): (Vec<_>, Vec<_>) = (path.split('/').collect(), route.split('/').collect());
    let fits = |(given, wanted): (&&str, &&str)| given == wanted || wanted.starts_with('{');
    given.len() == wanted.len() && given.iter().zip(&wanted).all(fits)
}

#[test]
fn what_is_pasted_into_a_shell_is_taken_by_a_listener_of_ours() {
    let routes = routes();
    assert!(routes.len() > 12, "{routes:?}");
    for (name, text) in pages() {
        for line in blocks(&text, "sh").into_iter().flat_map(str::lines) {
            let Some((_, rest)) = line.split_once("http://127.0.0.1:") else { continue };
            let rest = &rest[4..];
            let end = rest.find([' ', '\'', '?']).unwrap_or(rest.len());
            let path = &rest[..end];
            assert!(routes.iter().any(|route| is_route(path, route)), "{name}: {path}");
            if let Some((_, body)) = line.split_once(" -d '") {
                let body = body.trim_end_matches('\'');
                let body: Value = serde_json::from_str(body).expect(body);
                assert!(body.is_object(), "{name}: {line}");
            }
        }
    }
}

#[test]
fn what_is_pasted_for_kubectl_fits_the_chart_and_an_image_without_a_shell() {
    let mut count = 0;
    for (name, text) in pages() {
        for line in blocks(&text, "sh").into_iter().flat_map(str::lines) {
            let Some((_, asked)) = line.split_once("kubectl ") else { continue };
            count += 1;
            let fits = match asked.split(' ').next() {
                Some("exec") => asked.contains(" POD -c holdline -- /holdline "),
                Some("logs") => asked.contains(" POD -c holdline"),
                Some("rollout") => asked.contains(" deployment/holdline"),
                Some("get") if asked.starts_with("get pods") => {
                    asked.contains(" -l app.kubernetes.io/name=holdline")
                }
                Some("get" | "describe" | "delete" | "port-forward") => true,
                _ => false,
            };
            assert!(fits, "{name}: {line}");
        }
    }
    assert!(count > 20, "{count}");
}

/// Whether a path of keys is in the schema. Names stand for what their authors call things.
fn has_key(whole: &Value, at: &Value, keys: &[&str]) -> bool {
    if let Some(place) = at.get("$ref").and_then(Value::as_str) {
        let there = whole.pointer(place.trim_start_matches('#'));
        return there.is_some_and(|there| has_key(whole, there, keys));
    }
    let Some((key, rest)) = keys.split_first() else { return true };
    let named = at.pointer(&format!("/properties/{key}"));
    let any = at.get("additionalProperties").filter(|any| any.is_object());
    let of_a_type = at.get("then");
    let forms =
        ["anyOf", "oneOf", "allOf"].iter().filter_map(|it| at.get(it)?.as_array()).flatten();
    named.into_iter().chain(any).any(|next| has_key(whole, next, rest))
        || forms.chain(of_a_type).any(|form| has_key(whole, form, keys))
}

#[test]
fn keys_of_the_configuration_that_pages_name_exist() {
    let (whole, mut count) = (schema(), 0);
    let sections = [
        "server",
        "probes",
        "admin",
        "telemetry",
        "cache",
        "callers",
        "limits",
        "upstreams",
        "actions",
    ];
    for (name, text) in pages() {
        for key in quoted(&text) {
            let keys: Vec<&str> = key.split('.').collect();
            let is_key = keys.len() > 1
                && sections.contains(&keys[0])
                && key.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            if is_key {
                count += 1;
                assert!(has_key(&whole, &whole, &keys), "{name}: there is no key {key}");
            }
        }
    }
    assert!(count > 60, "{count} keys");
    for wrong in ["upstreams.crm.retry.atempts", "server.max", "callers.a.cache.x", "nothing.b"] {
        let keys: Vec<&str> = wrong.split('.').collect();
        assert!(!has_key(&whole, &whole, &keys), "{wrong}");
    }
}
