//! The keys of the chart's values, as the schema tells them.

use serde_json::{Map, Value};

/// A key of the values.
#[derive(Debug)]
pub(crate) struct Key {
    /// All of its name, as in `image.tag`; `ingress.hosts[].host` is of each element of a list.
    pub(crate) path: String,
    /// The last part of it.
    pub(crate) name: String,
    /// The heading of the group that it begins.
    pub(crate) title: Option<String>,
    /// What it is, and what may be written.
    pub(crate) about: String,
    /// What holds when nothing is written; keys of a list's elements have none.
    pub(crate) default: Option<Value>,
    /// The keys below it.
    pub(crate) below: Vec<Key>,
    /// It stands with others of its form, on one line: its keys say the same everywhere.
    pub(crate) one_of_many: bool,
}

impl Key {
    /// It, and all below it.
    pub(crate) fn all(&self) -> Vec<&Key> {
        let mut all = vec![self];
        all.extend(self.below.iter().flat_map(Key::all));
        all
    }
}

/// All keys of a schema, in its order.
pub(crate) fn read(schema: &str) -> Vec<Key> {
    let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
    properties(&schema["properties"], "", None, &schema)
}

fn properties(of: &Value, path: &str, defaults: Option<&Value>, schema: &Value) -> Vec<Key> {
    let none = Map::new();
    let each = of.as_object().unwrap_or(&none).iter();
    each.map(|(name, written)| key(name, written, path, defaults, schema)).collect()
}

fn key(name: &str, written: &Value, above: &str, defaults: Option<&Value>, schema: &Value) -> Key {
    let form = form(written, schema);
    let path = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
    let default = written.get("default").or_else(|| defaults?.get(name)).cloned();
    let mut below = properties(&form["properties"], &path, default.as_ref(), schema);
    let of_each = &form["items"]["properties"];
    below.extend(properties(of_each, &format!("{path}[]"), None, schema));
    Key {
        title: written["title"].as_str().map(str::to_owned),
        about: about(written, form),
        default: if form["properties"].is_object() { Some(whole(&below)) } else { default },
        one_of_many: written.get("$ref").is_some() && form["properties"].is_object(),
        name: name.to_owned(),
        path,
        below,
    }
}

/// What a key refers to, or itself.
fn form<'a>(written: &'a Value, schema: &'a Value) -> &'a Value {
    match written["$ref"].as_str() {
        Some(there) => {
            schema.pointer(there.trim_start_matches('#')).expect("a definition of that name")
        }
        None => written,
    }
}

/// What is said of a key, and its words where it has only some and they were not said.
fn about(written: &Value, form: &Value) -> String {
    let said = written["description"].as_str().unwrap_or_default();
    let words = form["enum"].as_array().map(Vec::as_slice).unwrap_or_default();
    let words: Vec<_> =
        words.iter().filter_map(Value::as_str).filter(|word| !word.is_empty()).collect();
    if words.iter().all(|word| said.contains(&format!("`{word}`"))) {
        return said.to_owned();
    }
    format!("{said} `{}`.", words.join("`, `"))
}

/// The default of a map, of those of its keys.
fn whole(below: &[Key]) -> Value {
    let each = below.iter().filter_map(|key| Some((key.name.clone(), key.default.clone()?)));
    Value::Object(each.collect())
}
