//! A file and the schema, walked side by side.

use std::{collections::BTreeSet, fs};

use serde_json::{Map, Value as Json};

use crate::config::{self, node::below, problem::Findings};

/// One value of the file and all that the schema says of it.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// As problems name it.
    pub(super) path: String,
    /// As JSON Pointer.
    pub(super) pointer: String,
    pub(super) schema: Said<'a>,
    pub(super) instance: &'a Json,
}

/// The parts of the schema that hold for one value, each with its own pointer.
#[derive(Debug, Clone)]
pub(super) struct Said<'a>(Vec<(String, &'a Json)>);

impl<'a> Said<'a> {
    /// `pointer` and what it refers to, for `instance`.
    fn of(root: &'a Json, pointer: String, schema: &'a Json, instance: &Json) -> Self {
        let mut parts = vec![(pointer.clone(), schema)];
        if let Some(target) = schema["$ref"].as_str() {
            let target = target.trim_start_matches('#').to_owned();
            let referred = root.pointer(&target).unwrap_or_else(|| panic!("{target}"));
            parts.extend(Self::of(root, target, referred, instance).0);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            let words = part["if"]["properties"]["type"]["enum"].as_array();
            if words.is_some_and(|words| words.contains(&instance["type"])) {
                parts.extend(Self::of(root, format!("{pointer}/then"), &part["then"], instance).0);
            }
        }
        Self(parts)
    }

    /// The keys that may stand there; none where they are the author's own.
    pub(super) fn keys(&self) -> Option<BTreeSet<String>> {
        let closed = |schema: &&Json| schema["additionalProperties"] == Json::Bool(false);
        let closed = self.0.iter().map(|(_, schema)| *schema).find(closed)?;
        Some(closed["properties"].as_object()?.keys().cloned().collect())
    }

    pub(super) fn pointers(&self) -> Vec<String> {
        self.0.iter().map(|(pointer, _)| pointer.clone()).collect()
    }

    /// All that is said, in one mapping.
    pub(super) fn written(&self) -> Map<String, Json> {
        self.0.iter().filter_map(|(_, schema)| schema.as_object().cloned()).flatten().collect()
    }

    /// The keys below it that have a default, and what that is.
    pub(super) fn defaults(&self) -> Vec<(String, Json)> {
        let below = |(_, schema): &(String, &'a Json)| schema["properties"].as_object();
        let all = self.0.iter().filter_map(below).flatten();
        all.filter_map(|(key, schema)| Some((key.clone(), schema.get("default")?.clone())))
            .collect()
    }

    /// What is said of the value of `key`, or of each item.
    fn inside(&self, root: &'a Json, key: Option<&str>, instance: &Json) -> Option<Self> {
        let found = self.0.iter().rev().find_map(|(pointer, schema)| {
            let Some(key) = key else {
                let items = schema.get("items")?;
                return Some((format!("{pointer}/items"), items));
            };
            let named = schema["properties"].get(key);
            // The word that chooses is said again, more narrowly, where it has chosen.
            let open = schema.get("additionalProperties").filter(|open| open.is_object());
            named
                .map(|schema| (format!("{pointer}/properties/{key}"), schema))
                .or_else(|| open.map(|schema| (format!("{pointer}/additionalProperties"), schema)))
        });
        found.map(|(pointer, schema)| Self::of(root, pointer, schema, instance))
    }
}

/// Every value of `instance` of which `schema` says something.
pub(super) fn places<'a>(schema: &'a Json, instance: &'a Json) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    let said = Said::of(schema, String::new(), schema, instance);
    let place = Place { path: String::new(), pointer: String::new(), schema: said, instance };
    walk(schema, place, &mut places);
    places
}

fn walk<'a>(root: &'a Json, place: Place<'a>, places: &mut Vec<Place<'a>>) {
    let inside: Vec<(Option<String>, &Json)> = match place.instance {
        Json::Object(object) => {
            object.iter().map(|(key, value)| (Some(key.clone()), value)).collect()
        }
        Json::Array(items) => items.iter().map(|value| (None, value)).collect(),
        _ => Vec::new(),
    };
    for (index, (key, instance)) in inside.into_iter().enumerate() {
        let Some(schema) = place.schema.inside(root, key.as_deref(), instance) else { continue };
        let (path, last) = match &key {
            Some(key) => (below(&place.path, key), key.clone()),
            None => (format!("{}[{index}]", place.path), index.to_string()),
        };
        let pointer = format!("{}/{last}", place.pointer);
        walk(root, Place { path, pointer, schema, instance }, places);
    }
    places.push(place);
}

/// The pointers of all mappings with keys of ours.
pub(super) fn mappings(schema: &Json, pointer: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Some(object) = schema.as_object() else { return found };
    if object.get("additionalProperties") == Some(&Json::Bool(false)) {
        found.push(pointer.to_owned());
    }
    for part in ["properties", "$defs"] {
        for (key, inside) in object.get(part).and_then(Json::as_object).into_iter().flatten() {
            found.extend(mappings(inside, &format!("{pointer}/{part}/{key}")));
        }
    }
    found
}

/// The variables of the maximal file, and the folder that one of them names.
pub(super) fn env() -> (impl Fn(&str) -> Option<String>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for (name, pem) in [
        ("cert", made.cert.pem()),
        ("ca", made.cert.pem()),
        ("key", made.signing_key.serialize_pem()),
    ] {
        fs::write(folder.path().join(name).with_extension("pem"), pem).unwrap();
    }
    let env = move |name: &str| match name {
        "DIR" => Some(path.clone()),
        "SECRET" => Some("s3cr3t-that-is-long-enough-for-anybody".to_owned()),
        "KEY" => Some("an0ther-that-is-long-enough-for-anybody".to_owned()),
        _ => None,
    };
    (env, folder)
}

/// Reads `yaml` and keeps what was asked for.
pub(super) fn read(yaml: &str) -> (Findings, tempfile::TempDir) {
    let findings = Findings::of("f");
    let (env, folder) = env();
    config::read(yaml, &env, &findings);
    (findings, folder)
}
