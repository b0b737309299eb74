//! Whether every query is PromQL: Prometheus's own parser reads them all as recording rules.

use std::{fmt::Write as _, process::Command};

use serde_json::Value;

use super::{Boards, generated, list, text};
use crate::support::program::there_is;

/// What variables are while nobody chooses.
const FILLED_IN: [(&str, &str); 5] = [
    ("$__rate_interval", "5m"),
    ("$__range", "1h"),
    ("$namespace", ".*"),
    ("$slots", "50"),
    ("$", "all_of_"),
];

fn expressions(board: &Value) -> impl Iterator<Item = &str> {
    let targets = list(board, "panels").iter().flat_map(|panel| list(panel, "targets"));
    let marks = list(&board["annotations"], "list");
    targets.chain(marks).map(|one| text(one, "expr"))
}

/// What promtool says where it does not like them.
fn complaint(boards: &Boards) -> Option<String> {
    let mut rules = String::from("groups:\n- name: queries\n  rules:\n");
    for (at, expression) in boards.values().flat_map(expressions).enumerate() {
        let filled = FILLED_IN
            .iter()
            .fold(expression.to_owned(), |text, (variable, value)| text.replace(variable, value));
        let quoted = Value::from(filled);
        let _ = writeln!(rules, "  - record: query_{at}\n    expr: {quoted}");
    }
    let file = tempfile::NamedTempFile::new().expect("a file can be written");
    std::fs::write(file.path(), rules).expect("it can be written");
    let ran = Command::new("promtool").args(["check", "rules"]).arg(file.path()).output();
    let ran = ran.expect("promtool is there");
    (!ran.status.success()).then(|| String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[test]
fn prometheus_takes_every_query() {
    if there_is("promtool") {
        assert_eq!(complaint(&generated()), None);
    }
}

#[test]
fn prometheus_is_really_asked() {
    if there_is("promtool") {
        let mut boards = generated();
        let board = boards.get_mut("path.json").expect("it is generated");
        board["panels"][1]["targets"][0]["expr"] = "sum(rate(".into();
        assert!(complaint(&boards).expect("it is no PromQL").contains("parse error"));
    }
}
