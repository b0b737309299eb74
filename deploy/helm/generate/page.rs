//! Writes the tables of values into the chart's page.

use std::fmt::Write as _;

use super::{key::Key, values::flow};

const BEGIN: &str = "<!-- values: written by make chart -->\n";
const END: &str = "<!-- end -->";

/// The page, with the tables anew between their two marks.
pub(super) fn with_table(page: &str, keys: &[Key]) -> String {
    let (before, rest) = page.split_once(BEGIN).expect("the page has the mark where tables begin");
    let (_, after) = rest.split_once(END).expect("the page has the mark where tables end");
    format!("{before}{BEGIN}{}\n{END}{after}", tables(keys))
}

fn tables(keys: &[Key]) -> String {
    let mut text = String::new();
    for key in keys {
        if let Some(title) = &key.title {
            head(&mut text, title);
        }
        rows(&mut text, key);
    }
    text
}

fn head(text: &mut String, title: &str) {
    let _ = write!(text, "\n### {title}\n\n| Value | Default | What it is |\n|---|---|---|\n");
}

fn rows(text: &mut String, key: &Key) {
    for key in key.all() {
        let default = match &key.default {
            Some(default) if key.below.is_empty() || default.is_array() => {
                format!("`{}`", flow(default))
            }
            _ => String::new(),
        };
        let about = key.about.replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {default} | {about} |", key.path);
    }
}
