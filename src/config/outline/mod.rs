//! What is written, value by value: for those who ask what is in force, and what a reload changed.
//!
//! It is taken from the tree when everything has been read, because whoever reads a value says
//! whether that is a secret. Of a value it keeps what may be shown and a keyed fingerprint, by which
//! it is compared. A value that has variables in it is shown as it is written: what they hold is
//! nobody's business.

use std::{collections::BTreeMap, fmt, path::Path};

use crate::{
    config::{
        keyed,
        node::{Content, Node, Scalar, below},
        sources::Sources,
        values::short,
    },
    fingerprint::{Fields, Fingerprint},
};

/// All that is written in one configuration, in the order of the file.
#[derive(Debug)]
pub struct Outline(Part);

/// What stands at one path.
#[derive(Debug)]
struct Part {
    /// Such as `actions.orders.timeout`, shortened where a name is long; empty for the whole.
    path: String,
    inside: Inside,
}

#[derive(Debug)]
enum Inside {
    Value(Value),
    List(Vec<Part>),
    Map {
        /// By their names, which tell them apart whatever the path shows of them.
        parts: Vec<(String, Part)>,
        /// Whether another order is another meaning.
        ordered: bool,
    },
}

#[derive(Debug)]
struct Value {
    shown: Shown,
    print: Fingerprint,
    /// That of the file whose path it is, such as a certificate's.
    file: Option<Fingerprint>,
}

/// What may be seen of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shown {
    Text(String),
    Secret,
    /// A header, which may be a credential under any name.
    Hidden,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(text) => text,
            Self::Secret => "secret",
            Self::Hidden => "not shown",
        })
    }
}

/// One difference between two configurations. Its `Display` is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    path: String,
    what: Difference,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Difference {
    /// With its value where it is a single one.
    Added(Option<Shown>),
    Removed(Option<Shown>),
    Value(Shown, Shown),
    /// The same path to a file with something else in it.
    File,
    Order,
    /// A single value became several, or the other way round.
    Form,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        match &self.what {
            Difference::Added(None) => f.write_str("added"),
            Difference::Added(Some(shown)) => write!(f, "added ({shown})"),
            Difference::Removed(None) => f.write_str("removed"),
            Difference::Removed(Some(Shown::Text(text))) => write!(f, "removed (was {text})"),
            Difference::Removed(Some(shown)) => write!(f, "removed ({shown})"),
            // Both are shortened: what was cut off may be all that differs.
            Difference::Value(Shown::Text(from), Shown::Text(to)) if from == to => {
                f.write_str("changed")
            }
            Difference::Value(from @ Shown::Text(_), to @ Shown::Text(_)) => {
                write!(f, "{from} -> {to}")
            }
            Difference::Value(Shown::Text(_), hidden) | Difference::Value(hidden, _) => {
                write!(f, "changed ({hidden})")
            }
            Difference::File => f.write_str("the file has changed"),
            Difference::Order => f.write_str("in another order"),
            Difference::Form => f.write_str("changed"),
        }
    }
}

impl Outline {
    /// What is written in `root`, which has been read whole, with all its `sources`.
    pub(super) fn of(root: &Node, sources: &Sources) -> Self {
        Self(part(root, String::new(), &[], sources))
    }

    /// What is different in `next`, in its order; what is gone comes first among its neighbours.
    pub fn changes_to(&self, next: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        compare(&self.0, &next.0, &mut changes);
        changes
    }

    /// Each value with its path, as far as it may be shown.
    pub fn lines(&self) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        list(&self.0, &mut lines);
        lines
    }
}

/// What stands at `path`, to which the keys `way` lead.
fn part(node: &Node, path: String, way: &[&str], sources: &Sources) -> Part {
    let inside = match &node.content {
        Content::Scalar(scalar) => Inside::Value(value(scalar, way, sources)),
        Content::List(items) => {
            let at = |(index, item)| part(item, format!("{path}[{index}]"), way, sources);
            Inside::List(items.iter().enumerate().map(at).collect())
        }
        Content::Map(entries) => {
            let parts = entries.iter().map(|(key, node)| {
                let way = [way, &[&*key.text]].concat();
                (key.text.clone(), part(node, below(&path, &key.text), &way, sources))
            });
            // The members of an answer come in the order of its outputs.
            let ordered = matches!(way, ["actions", _, "output"]);
            Inside::Map { parts: parts.collect(), ordered }
        }
        // What is broken is never in force.
        Content::Broken => Inside::List(Vec::new()),
    };
    Part { path, inside }
}

fn value(scalar: &Scalar, way: &[&str], sources: &Sources) -> Value {
    let mut fields = Fields::new();
    let shown = if scalar.secret.get() {
        Shown::Secret
    } else if matches!(way, [.., "headers", _]) {
        Shown::Hidden
    } else {
        let text = short(scalar.written.as_deref().unwrap_or(&scalar.text));
        Shown::Text(if scalar.quoted { format!("\"{text}\"") } else { text })
    };
    // A secret is the same however it is written: it is taken as a text everywhere.
    let kind: &[u8] = match shown {
        Shown::Secret => b"text",
        _ if scalar.vanished || scalar.is_null() => b"nothing",
        _ if scalar.quoted => b"text",
        Shown::Text(_) | Shown::Hidden => b"plain",
    };
    let text = if kind == b"nothing" { "" } else { &scalar.text };
    fields.push(kind).push(text.as_bytes());
    let file = sources.content(Path::new(&scalar.text));
    Value { shown, print: keyed::fingerprint(fields.bytes()), file }
}

fn compare(before: &Part, after: &Part, changes: &mut Vec<Change>) {
    match (&before.inside, &after.inside) {
        (Inside::Value(old), Inside::Value(new)) => {
            if old.print != new.print {
                let what = Difference::Value(old.shown.clone(), new.shown.clone());
                changes.push(after.with(what));
            } else if old.file != new.file {
                changes.push(after.with(Difference::File));
            }
        }
        (Inside::List(old), Inside::List(new)) => {
            let both = old.len().min(new.len());
            changes.extend(old[both..].iter().map(Part::removed));
            old.iter().zip(new).for_each(|(old, new)| compare(old, new, changes));
            changes.extend(new[both..].iter().map(Part::added));
        }
        (Inside::Map { parts: old, .. }, Inside::Map { parts: new, ordered }) => {
            let (was, is) = (by_name(old), by_name(new));
            let gone = old.iter().filter(|(name, _)| !is.contains_key(&**name));
            changes.extend(gone.map(|(_, part)| part.removed()));
            if *ordered && !new.iter().filter_map(|(name, _)| was.get(&**name)).is_sorted() {
                changes.push(after.with(Difference::Order));
            }
            for (name, part) in new {
                match was.get(&**name) {
                    Some(at) => compare(&old[*at].1, part, changes),
                    None => changes.push(part.added()),
                }
            }
        }
        _ => changes.push(after.with(Difference::Form)),
    }
}

/// Where each of them stands.
fn by_name(parts: &[(String, Part)]) -> BTreeMap<&str, usize> {
    parts.iter().enumerate().map(|(at, (name, _))| (&**name, at)).collect()
}

impl Part {
    fn with(&self, what: Difference) -> Change {
        Change { path: self.path.clone(), what }
    }

    fn added(&self) -> Change {
        self.with(Difference::Added(self.value()))
    }

    fn removed(&self) -> Change {
        self.with(Difference::Removed(self.value()))
    }

    fn value(&self) -> Option<Shown> {
        match &self.inside {
            Inside::Value(value) => Some(value.shown.clone()),
            Inside::List(_) | Inside::Map { .. } => None,
        }
    }
}

fn list(part: &Part, lines: &mut Vec<(String, String)>) {
    let mut tell = |text: String| lines.push((part.path.clone(), text));
    match &part.inside {
        Inside::Value(Value { shown: shown @ Shown::Text(_), .. }) => tell(shown.to_string()),
        Inside::Value(Value { shown, .. }) => tell(format!("({shown})")),
        Inside::List(parts) if parts.is_empty() => tell("[]".to_owned()),
        Inside::Map { parts, .. } if parts.is_empty() => tell("{}".to_owned()),
        Inside::List(parts) => parts.iter().for_each(|part| list(part, lines)),
        Inside::Map { parts, .. } => parts.iter().for_each(|(_, part)| list(part, lines)),
    }
}

#[cfg(test)]
mod tests;
