//! Writes the defaults down as YAML for people: what each key is stands above it.

use std::fmt::Write as _;

use serde_json::Value;

use super::key::Key;

/// Columns of text.
const WIDTH: usize = 100;

const HEAD: &str = "\
# The values of the chart and their defaults. Written by `make chart` from values.schema.json; do not edit.
# Write down only what you change, in a file of your own: helm install --values mine.yaml
";

/// The whole file.
pub(super) fn text(keys: &[Key]) -> String {
    let mut text = HEAD.to_owned();
    for key in keys {
        if let Some(title) = &key.title {
            let _ = write!(text, "\n# ----- {title} -----\n");
        }
        text.push('\n');
        write_key(&mut text, key, "");
    }
    text
}

fn write_key(text: &mut String, key: &Key, indent: &str) {
    comment(text, &key.about, indent);
    let default = key.default.as_ref().expect("what is not of a list has a default");
    if default.is_object() && !key.below.is_empty() && !key.one_of_many {
        let _ = writeln!(text, "{indent}{}:", key.name);
        for below in &key.below {
            write_key(text, below, &format!("{indent}  "));
        }
    } else {
        write_value(text, &key.name, default, indent);
    }
}

/// On one line where it fits and has no maps within it, otherwise a line for each key.
fn write_value(text: &mut String, name: &str, value: &Value, indent: &str) {
    let line = format!("{indent}{name}: {}", flow(value));
    match value {
        Value::Object(map) if line.len() > WIDTH || map.values().any(Value::is_object) => {
            let _ = writeln!(text, "{indent}{name}:");
            for (name, value) in map {
                write_value(text, name, value, &format!("{indent}  "));
            }
        }
        _ => text.extend([line.as_str(), "\n"]),
    }
}

/// A value on one line.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let each: Vec<_> =
                map.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{{}}}", each.join(", "))
        }
        Value::Array(list) => {
            format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) if plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether YAML takes the text as a text without quotes, anywhere.
fn plain(text: &str) -> bool {
    let amount = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if amount != text {
        return ["s", "m", "h", "Mi", "Gi", "%"].contains(&amount);
    }
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let word = words.contains(&text.to_lowercase().as_str());
    first && !word && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
}

fn comment(text: &mut String, about: &str, indent: &str) {
    let mut line = format!("{indent}#");
    let mut quoted = false;
    // What is in backticks stays on one line.
    for word in about.split(|c| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    }) {
        if line.len() + 1 + word.len() > WIDTH {
            text.extend([line.as_str(), "\n"]);
            line = format!("{indent}#");
        }
        line.extend([" ", word]);
    }
    text.extend([line.as_str(), "\n"]);
}
