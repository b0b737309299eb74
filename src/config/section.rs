//! Typed reading of the tree: a value that knows its path, and a mapping that remembers which keys
//! were asked for, so that the others are found.
//!
//! A reader answers `None` once it has said what is wrong; whoever builds something out of several
//! values reads all of them first and gives up after the last, so that every fault is told.

use std::cell::RefCell;

use crate::config::{
    nearest::{is_slip_of, write_one_of},
    node::{Content, Key, Node, Place, Scalar, below, first_of_each},
    problem::Findings,
    spelling::Spelling,
};

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Value<'n> {
    node: &'n Node,
    /// Where its key stands, for what is wrong with it as a whole.
    key: Place,
    path: String,
    findings: &'n Findings,
}

impl<'n> Value<'n> {
    /// The whole file.
    pub(super) fn root(node: &'n Node, findings: &'n Findings) -> Self {
        Self { node, key: node.place, path: String::new(), findings }
    }

    /// Where what is found goes.
    pub(super) fn findings(&self) -> &'n Findings {
        self.findings
    }

    pub(super) fn content(&self) -> &'n Content {
        &self.node.content
    }

    pub(super) fn refuse(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.findings.refuse(self.node.place, &self.path, self.with_source(what.into()), instead);
    }

    /// What is wrong with what a variable or a file holds is mended there.
    fn with_source(&self, what: String) -> String {
        match &self.node.content {
            Content::Scalar(scalar) if !scalar.sources.is_empty() => {
                format!("{what} (from {})", scalar.sources.join(" and "))
            }
            Content::Scalar(_) | Content::List(_) | Content::Map(_) | Content::Broken => what,
        }
    }

    /// Says how its reader wants it spelt.
    pub(super) fn is_read_as(&self, spelling: impl FnOnce() -> Spelling) {
        self.findings.asked.spelling(&self.path, spelling);
    }

    pub(super) fn refuse_key(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.findings.refuse(self.key, &self.path, what, instead);
    }

    pub(super) fn warn(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.findings.warn(self.node.place, &self.path, self.with_source(what.into()), instead);
    }

    /// Warns of it as a whole, at its key.
    pub(super) fn warn_key(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.findings.warn(self.key, &self.path, what, instead);
    }

    /// The scalar in it; `what` it must be and what to write `instead` where there is none.
    pub(super) fn scalar(&self, what: &str, instead: &str) -> Option<&'n Scalar> {
        match &self.node.content {
            Content::Scalar(scalar) if !scalar.is_null() => Some(scalar),
            Content::Map(entries) if is_in_braces(entries) => {
                self.refuse(
                    what,
                    "quote it, or leave out the braces: an unquoted { begins a mapping",
                );
                None
            }
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => {
                self.refuse(what, instead);
                None
            }
            Content::Broken => None,
        }
    }

    /// The same, for all that may be shown: a secret is refused.
    pub(super) fn plain(&self, what: &str, instead: &str) -> Option<&'n str> {
        let scalar = self.scalar(what, instead)?;
        if scalar.secret.get() {
            self.refuse("is a secret where everybody can see it", "write the value, or ${NAME}");
            return None;
        }
        Some(&scalar.text)
    }

    /// Its items; a single scalar is not a list.
    pub(super) fn items(&self, instead: &str) -> Option<Vec<Self>> {
        match &self.node.content {
            Content::List(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .filter(|(_, node)| !has_vanished(node))
                    .map(|(index, node)| Value {
                        node,
                        key: node.place,
                        path: format!("{}[{index}]", self.path),
                        findings: self.findings,
                    })
                    .collect(),
            ),
            Content::Scalar(_) | Content::Map(_) => {
                self.refuse("must be a list", instead);
                None
            }
            Content::Broken => None,
        }
    }

    /// Every scalar in it that is something, however deep.
    pub(super) fn each_scalar(&self, seen: &mut impl FnMut(&Self)) {
        match &self.node.content {
            Content::Broken => {}
            Content::Scalar(scalar) if scalar.is_null() || scalar.secret.get() => {}
            Content::Scalar(_) => seen(self),
            Content::List(_) => {
                self.items("").iter().flatten().for_each(|item| item.each_scalar(seen));
            }
            Content::Map(_) => {
                self.section().entries().for_each(|(_, value)| value.each_scalar(seen));
            }
        }
    }

    /// The texts in a list, for who looks into it a second time.
    pub(super) fn texts(&self) -> Option<Vec<&'n str>> {
        let Content::List(items) = &self.node.content else { return None };
        let text = |node: &'n Node| match &node.content {
            Content::Scalar(scalar) => Some(&*scalar.text),
            Content::List(_) | Content::Map(_) | Content::Broken => None,
        };
        Some(items.iter().filter_map(text).collect())
    }

    /// Its items, each read by `reader`; `None` where one of them is wrong.
    pub(super) fn list<T>(
        &self,
        instead: &str,
        reader: impl Fn(&Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let read: Vec<Option<T>> = self.items(instead)?.iter().map(reader).collect();
        read.into_iter().collect()
    }

    /// The mapping in it; nothing at all reads as an empty one.
    pub(super) fn section(&self) -> Section<'n> {
        let (entries, broken): (&[(Key, Node)], bool) = match &self.node.content {
            Content::Map(entries) => (entries, false),
            Content::Scalar(scalar) if scalar.is_null() => (&[], false),
            Content::Scalar(_) => {
                self.refuse("must be a mapping", "write its keys below it, indented");
                (&[], true)
            }
            Content::List(_) => {
                self.refuse(
                    "must be a mapping, not a list",
                    "write its keys below it, without `-`",
                );
                (&[], true)
            }
            Content::Broken => (&[], true),
        };
        Section {
            entries,
            broken,
            place: self.key,
            path: self.path.clone(),
            findings: self.findings,
            asked: RefCell::default(),
            refused: RefCell::default(),
        }
    }
}

/// Whether it is what YAML makes of `{name}`.
fn is_in_braces(entries: &[(Key, Node)]) -> bool {
    matches!(entries, [(_, Node { content: Content::Scalar(scalar), .. })] if scalar.is_null())
}

fn has_vanished(node: &Node) -> bool {
    matches!(&node.content, Content::Scalar(scalar) if scalar.vanished)
}

fn is_absent(node: &Node) -> bool {
    matches!(&node.content, Content::Scalar(scalar) if scalar.vanished || scalar.is_null())
}

/// A mapping and its place.
#[derive(Debug)]
pub(super) struct Section<'n> {
    entries: &'n [(Key, Node)],
    /// It is no mapping, which has been said: nothing in it is missed.
    broken: bool,
    place: Place,
    path: String,
    findings: &'n Findings,
    asked: RefCell<Vec<&'static str>>,
    /// Known, but not here or not yet: they have been refused.
    refused: RefCell<Vec<&'n str>>,
}

impl<'n> Section<'n> {
    fn at(&self, (key, node): &'n (Key, Node)) -> Value<'n> {
        let path = below(&self.path, &key.text);
        Value { node, key: key.place, path, findings: self.findings }
    }

    /// The value of `key`. `None` where it is not written, is null or expands to nothing.
    pub(super) fn value(&self, key: &'static str) -> Option<Value<'n>> {
        self.findings.asked.key(&self.path, key);
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        let entry = self.entries.iter().find(|(known, _)| known.text == key)?;
        (!is_absent(&entry.1)).then(|| self.at(entry))
    }

    /// Says that its author may write these too, which are found among [`Self::rest`].
    pub(super) fn knows<'k>(&self, keys: impl IntoIterator<Item = &'k str>) {
        keys.into_iter().for_each(|key| self.findings.asked.key(&self.path, key));
    }

    /// What `reader` makes of `key`, or `default` where it is not written.
    pub(super) fn read<T>(
        &self,
        key: &'static str,
        default: T,
        reader: impl FnOnce(&Value<'n>) -> Option<T>,
    ) -> Option<T> {
        self.value(key).map_or(Some(default), |value| reader(&value))
    }

    /// What `reader` makes of `key`, if it is written.
    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        reader: impl FnOnce(&Value<'n>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.value(key).map_or(Some(None), |value| reader(&value).map(Some))
    }

    /// What `reader` makes of `key`, which must be written.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        instead: &str,
        reader: impl FnOnce(&Value<'n>) -> Option<T>,
    ) -> Option<T> {
        self.written(key, instead).and_then(|value| reader(&value))
    }

    /// The value of `key`, which must be written.
    pub(super) fn written(&self, key: &'static str, instead: &str) -> Option<Value<'n>> {
        let value = self.value(key);
        if value.is_none() {
            self.missing(key, instead);
        }
        value
    }

    /// The mapping below `key`; an empty one where it is not written.
    pub(super) fn section(&self, key: &'static str) -> Section<'n> {
        self.value(key).map_or_else(
            || Section {
                entries: &[],
                broken: self.broken,
                place: self.place,
                path: below(&self.path, key),
                findings: self.findings,
                asked: RefCell::default(),
                refused: RefCell::default(),
            },
            |value| value.section(),
        )
    }

    /// Every key with its value: for mappings whose keys are names of the author's own. What expands
    /// to nothing is left out.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'n str, Value<'n>)> + use<'_, 'n> {
        first_of_each(self.entries)
            .filter(|(_, node)| !has_vanished(node))
            .map(|entry| (&*entry.0.text, self.at(entry)))
    }

    /// The entries that nobody has asked for yet.
    pub(super) fn rest(&self) -> impl Iterator<Item = (&'n str, Value<'n>)> + use<'_, 'n> {
        self.entries().filter(|(key, _)| {
            !self.asked.borrow().contains(key) && !self.refused.borrow().contains(key)
        })
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Refuses `keys`, which a later version will know.
    pub(super) fn unsupported(&self, keys: &[&'static str]) {
        self.refuse_each(keys, NOT_SUPPORTED, "remove it");
    }

    /// Refuses `keys`, which stand in the mapping `inside` of this one.
    pub(super) fn strays(&self, keys: &[&'static str], inside: &str) {
        self.refuse_each(
            keys,
            "stands one level too high",
            &format!("write it below `{inside}`, indented"),
        );
    }

    fn refuse_each(&self, keys: &[&'static str], what: &str, instead: &str) {
        for (key, value) in self.entries().filter(|(key, _)| keys.contains(key)) {
            value.refuse_key(what, instead);
            self.refused.borrow_mut().push(key);
        }
    }

    /// Refuses the mapping for a key that it lacks. One that is there but for a slip is told as that.
    pub(super) fn missing(&self, key: &str, instead: &str) {
        let slipped = self.entries.iter().any(|(written, _)| is_slip_of(&written.text, key));
        if !self.broken && !slipped {
            self.findings.refuse(self.place, &below(&self.path, key), "is missing", instead);
        }
    }

    /// Refuses the mapping as a whole.
    pub(super) fn refuse(&self, what: impl Into<String>, instead: impl Into<String>) {
        if !self.broken {
            self.findings.refuse(self.place, &self.path, what, instead);
        }
    }

    /// Whether nothing has been refused yet, here or elsewhere.
    pub(super) fn is_good_so_far(&self) -> bool {
        self.findings.is_empty()
    }

    /// Warns of the mapping as a whole.
    pub(super) fn warn(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.findings.warn(self.place, &self.path, what, instead);
    }

    /// Whether it is no mapping, which has been said.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The end of a mapping whose keys are the author's own. `None` where it was no mapping.
    pub(super) fn finish_open(&self) -> Option<()> {
        (!self.broken).then_some(())
    }

    /// Refuses every key that nobody asked for. The others are taken all the same, so that what is
    /// wrong elsewhere with the thing they make is told too. `None` where it was no mapping.
    pub(super) fn finish(&self) -> Option<()> {
        for (key, value) in self.rest() {
            let asked = self.asked.borrow();
            value.refuse_key("is not a key here", write_one_of(key, asked.iter().copied()));
        }
        self.finish_open()
    }
}

/// Said of what `holdline.yaml` knows and this version does not.
pub(super) const NOT_SUPPORTED: &str = "is not supported in this version";
