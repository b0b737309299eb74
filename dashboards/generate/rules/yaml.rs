//! Writes rules down as YAML for people: expressions in blocks, the reason for each above it.

use std::fmt::Write as _;

use super::{Alert, Group, Record, Rule};

/// Columns of text.
const WIDTH: usize = 110;

const HEAD: &str = "\
Rules of Holdline for Prometheus 2.42 or later. Written by `make dashboards` from dashboards/generate/rules/; do not edit.

Objectives and thresholds: objectives.rs there. Each expression is by namespace and job.
How to load them, where runbooks are, and which alerts silence which: dashboards/rules/README.md.";

/// The whole file. `runbooks` is the folder or address of the runbooks.
pub(super) fn write(groups: &[Group], runbooks: &str) -> String {
    let mut text = comment(HEAD, "");
    text.push_str("groups:\n");
    for group in groups {
        text.push_str(&comment(group.about, "\n  "));
        let _ = writeln!(text, "  - name: {}", group.name);
        if let Some(interval) = group.interval {
            let _ = writeln!(text, "    interval: {interval}");
        }
        text.push_str("    rules:\n");
        for (at, rule) in group.rules.iter().enumerate() {
            if at > 0 {
                text.push('\n');
            }
            match rule {
                Rule::Record(it) => record(&mut text, it),
                Rule::Alert(it) => alert(&mut text, it, runbooks),
            }
        }
    }
    text
}

fn record(text: &mut String, Record { name, why, expr }: &Record) {
    text.push_str(&comment(why, "      "));
    let _ = writeln!(text, "      - record: {name}");
    text.push_str(&block("expr", expr));
}

fn alert(text: &mut String, alert: &Alert, runbooks: &str) {
    text.push_str(&comment(alert.why, "      "));
    let _ = writeln!(text, "      - alert: {}", alert.name);
    text.push_str(&block("expr", &alert.expr));
    for (key, time) in [("for", alert.lasts), ("keep_firing_for", alert.stays)] {
        if let Some(time) = time {
            let _ = writeln!(text, "        {key}: {time}");
        }
    }
    let _ = writeln!(text, "        labels:\n          severity: {}", alert.severity.as_str());
    for (name, value) in &alert.labels {
        let _ = writeln!(text, "          {name}: {value}");
    }
    text.push_str("        annotations:\n");
    let _ = writeln!(text, "          summary: {}", quoted(&alert.summary));
    text.push_str("          description: >-\n");
    for line in wrapped(&alert.description, WIDTH - 12) {
        let _ = writeln!(text, "            {line}");
    }
    let runbook = format!("{runbooks}/{}.md", alert.name);
    let _ = writeln!(text, "          runbook_url: {}", quoted(&runbook));
    let _ = writeln!(text, "          dashboard_url: {}", quoted(&alert.board.link()));
}

/// A value of several lines as it is; of one line on its own.
fn block(key: &str, value: &str) -> String {
    let mut text = format!("        {key}: |-\n");
    for line in value.lines() {
        let _ = writeln!(text, "          {line}");
    }
    text
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// As comment lines. What `indent` has before its last line break stands above them.
fn comment(value: &str, indent: &str) -> String {
    let (before, indent) = indent.rsplit_once('\n').map_or(("", indent), |(_, it)| ("\n", it));
    let lines = value.lines().flat_map(|line| match line {
        "" => vec![String::new()],
        line => wrapped(line, WIDTH + 20 - indent.len()),
    });
    let lines: Vec<String> =
        lines.map(|line| format!("{indent}# {line}").trim_end().to_owned() + "\n").collect();
    if lines.is_empty() { String::new() } else { before.to_owned() + &lines.concat() }
}

/// Broken at spaces into lines of so many columns, where that can be; never within `{{ }}`.
fn wrapped(value: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in value.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width || is_open(line) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn is_open(line: &str) -> bool {
    line.matches("{{").count() > line.matches("}}").count()
}
