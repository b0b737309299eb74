//! A tree of YAML in which every key and value knows its line and column.

use std::{cell::Cell, collections::BTreeSet};

use saphyr_parser::Marker;

/// A line and a column, both from 1; both 0 for a file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    /// The file as a whole.
    pub(super) const FILE: Self = Self { line: 0, column: 0 };
}

impl From<Marker> for Place {
    fn from(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// A value. What an alias repeats keeps the place where it is written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
    /// Something is wrong with it that has been said already.
    Broken,
}

#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// The text as it was before expansion, where there was anything to expand.
    pub(super) written: Option<String>,
    /// Quoted or a block: always a text, whatever it looks like.
    pub(super) quoted: bool,
    /// Something in it was expanded.
    pub(super) expanded: bool,
    /// Nothing was in it but expansions, and nothing came out.
    pub(super) vanished: bool,
    /// It may never be shown. Also set by whoever reads it as a secret.
    pub(super) secret: Cell<bool>,
    /// The variables and files whose content is in it, as they are named to people.
    pub(super) sources: Vec<String>,
}

impl Scalar {
    /// As it is written.
    pub(super) fn written(text: impl Into<String>, quoted: bool) -> Self {
        Self {
            text: text.into(),
            written: None,
            quoted,
            expanded: false,
            vanished: false,
            secret: Cell::new(false),
            sources: Vec::new(),
        }
    }

    /// An unquoted nothing: `key:`, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        let word = matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL");
        word && !self.quoted && !self.expanded
    }
}

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) place: Place,
}

/// The path of `key` below `path`, short and printable whatever the key is.
pub(super) fn below(path: &str, key: &str) -> String {
    const LONGEST: usize = 64;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_$".contains(c);
    let mut shown: String = key.chars().take(LONGEST).collect();
    if shown.len() < key.len() {
        shown.push_str("...");
    }
    if key.is_empty() || key.len() > LONGEST || !key.chars().all(plain) {
        shown = format!("{shown:?}");
    }
    if path.is_empty() { shown } else { format!("{path}.{shown}") }
}

/// The first of each key; the others have been refused.
pub(super) fn first_of_each(entries: &[(Key, Node)]) -> impl Iterator<Item = &(Key, Node)> {
    let mut seen = BTreeSet::new();
    entries.iter().filter(move |(key, _)| seen.insert(&key.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_short_and_printable() {
        assert_eq!(below("a", "b-c"), "a.b-c");
        assert_eq!(below("", "x y"), "\"x y\"");
        assert_eq!(below("a", "\n"), "a.\"\\n\"");
        assert!(below("a", &"x".repeat(10_000)).len() < 100);
    }
}
