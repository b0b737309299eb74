//! A linter for dashboards: the rules of Grafana's own, and ours. It reads the JSON as Grafana would,
//! and knows of the generator only the lists of what exists.

mod panels;
mod planted;
mod promql;
mod queries;
mod syntax;
mod whole;

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::files;

/// What was found, each with its place.
#[derive(Debug, Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, place: impl fmt::Display, what: String) {
        self.0.push(format!("{place}: {what}"));
    }
}

/// Dashboards, by the names of their files.
type Boards = BTreeMap<String, Value>;

/// Those that are generated.
fn generated() -> Boards {
    let files = files::all().into_iter().filter(|(name, _)| name.ends_with(".json"));
    files.map(|(name, text)| (name, serde_json::from_str(&text).expect("it is JSON"))).collect()
}

/// Everything that is wrong with them.
fn lint(boards: &Boards) -> Vec<String> {
    let mut found = Findings::default();
    for (file, board) in boards {
        let mut own = Findings::default();
        whole::check(file, board, boards, &mut own);
        panels::check(board, &mut own);
        found.0.extend(own.0.into_iter().map(|finding| format!("{file}: {finding}")));
    }
    found.0
}

/// The text at a key; nothing where there is none.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The list at a key.
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Every text in a value, however deep.
fn texts<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => into.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(map) => map.values().for_each(|item| texts(item, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The variables that a text uses, those of Grafana itself left out.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split('$').skip(1).map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    });
    names.filter(|name| !name.is_empty() && !name.starts_with("__"))
}

#[test]
fn nothing_is_found_in_what_is_generated() {
    let boards = generated();
    assert_eq!(boards.len(), 4);
    let found = lint(&boards);
    assert!(found.is_empty(), "{} findings\n{}", found.len(), found.join("\n"));
}
