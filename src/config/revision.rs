//! Fingerprints of what is written: the same for the same meaning, whatever the comments, the
//! indentation and the order of keys that have none.

use std::fmt::Write as _;

use crate::{
    config::{
        node::{Content, Key, Node},
        section::Value,
    },
    fingerprint::{Fields, Fingerprint},
};

/// Raised when the encoding below changes, so that old fingerprints never meet new ones.
const VERSION: &[u8] = b"holdline.1";

/// What of an action shapes its answers, as it is written.
#[derive(Debug)]
pub(super) struct Shape<'a, 'n> {
    pub(super) name: &'a str,
    pub(super) envelope: Option<&'a Value<'n>>,
    pub(super) input: Option<&'a Value<'n>>,
    pub(super) request: Option<&'a Value<'n>>,
    pub(super) output: Option<&'a Value<'n>>,
    pub(super) cache: Option<&'a Value<'n>>,
    pub(super) upstream: Option<&'a Value<'n>>,
}

impl Shape<'_, '_> {
    /// Its fingerprint. Secrets are left out: a new password asks the same question.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut fields = Fields::new();
        fields.push(VERSION).push(self.name.as_bytes());
        whole(&mut fields, self.envelope);
        // Inputs have no order; outputs do, it is that of the answer. Descriptions shape nothing.
        for (part, sorted) in [(self.input, true), (self.output, false)] {
            let mut named = entries(part);
            if sorted {
                named.sort_unstable_by_key(|(key, _)| &key.text);
            }
            fields.push(&named.len().to_be_bytes());
            for (key, node) in named {
                fields.push(key.text.as_bytes());
                some(&mut fields, inside(node), |key| key != "description");
            }
        }
        whole(&mut fields, self.request);
        some(&mut fields, entries(self.cache), |key| key == "shared_by");
        let mut key: Vec<Vec<u8>> = list(self.cache, "key").into_iter().map(bytes).collect();
        key.sort_unstable();
        fields.push(&key.len().to_be_bytes());
        for name in key {
            fields.push(&name);
        }
        // Who asks is part of the question: another user, client or scope may see something else.
        let asked = |key: &str| matches!(key, "base_url" | "headers" | "auth");
        some(&mut fields, entries(self.upstream), asked);
        fields.fingerprint()
    }
}

/// The fingerprint of a whole file, in hexadecimal, out of its tree and its actions' fingerprints,
/// which know of the order of outputs. Secrets are left out.
pub(super) fn of_file(root: &Node, actions: impl Iterator<Item = Fingerprint>) -> String {
    let mut fields = Fields::new();
    fields.push(VERSION);
    encode(&mut fields, root);
    for action in actions {
        fields.push(action.bytes());
    }
    let mut hex = String::with_capacity(64);
    for byte in fields.fingerprint().bytes() {
        write!(hex, "{byte:02x}").expect("a String takes what is written");
    }
    hex
}

fn inside(node: &Node) -> Vec<&(Key, Node)> {
    match &node.content {
        Content::Map(entries) => entries.iter().collect(),
        Content::Scalar(_) | Content::List(_) | Content::Broken => Vec::new(),
    }
}

fn entries<'n>(value: Option<&Value<'n>>) -> Vec<&'n (Key, Node)> {
    value.map_or_else(Vec::new, |value| match value.content() {
        Content::Map(entries) => entries.iter().collect(),
        Content::Scalar(_) | Content::List(_) | Content::Broken => Vec::new(),
    })
}

fn list<'n>(value: Option<&Value<'n>>, key: &str) -> Vec<&'n Node> {
    let found = entries(value).into_iter().find(|(known, _)| known.text == key);
    match found.map(|(_, node)| &node.content) {
        Some(Content::List(items)) => items.iter().collect(),
        Some(Content::Scalar(_) | Content::Map(_) | Content::Broken) | None => Vec::new(),
    }
}

fn bytes(node: &Node) -> Vec<u8> {
    let mut fields = Fields::new();
    encode(&mut fields, node);
    fields.bytes().to_vec()
}

fn whole(fields: &mut Fields, value: Option<&Value<'_>>) {
    match value.map(Value::content) {
        Some(content) => encode_content(fields.push(&[1]), content),
        None => drop(fields.push(&[0])),
    }
}

/// Those of `entries` that `kept` names, sorted.
fn some(fields: &mut Fields, mut entries: Vec<&(Key, Node)>, kept: impl Fn(&str) -> bool) {
    entries.retain(|(key, _)| kept(&key.text));
    entries.sort_unstable_by_key(|(key, _)| &key.text);
    fields.push(&entries.len().to_be_bytes());
    for (key, node) in entries {
        fields.push(key.text.as_bytes());
        encode(fields, node);
    }
}

fn encode(fields: &mut Fields, node: &Node) {
    encode_content(fields, &node.content);
}

/// Injective: each kind has its mark, each list its length.
fn encode_content(fields: &mut Fields, content: &Content) {
    match content {
        Content::Broken => drop(fields.push(b"broken")),
        Content::Scalar(scalar) if scalar.secret.get() => drop(fields.push(b"secret")),
        Content::Scalar(scalar) if scalar.vanished || scalar.is_null() => {
            fields.push(b"nothing");
        }
        Content::Scalar(scalar) => {
            let mark: &[u8] = if scalar.quoted { b"text" } else { b"plain" };
            fields.push(mark).push(scalar.text.as_bytes());
        }
        Content::List(items) => {
            fields.push(b"list").push(&items.len().to_be_bytes());
            for item in items {
                encode(fields, item);
            }
        }
        Content::Map(entries) => {
            fields.push(b"map");
            some(fields, entries.iter().collect(), |_| true);
        }
    }
}
