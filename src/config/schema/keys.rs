//! How the schema writes mappings: with keys of ours, or with names of the author's own.

use serde_json::{Map, Value as Json, json};

use crate::config::spelling::Spelling;

/// The form of names: of actions, callers, limits, upstreams, inputs and outputs.
pub(super) const NAME: &str = "^[A-Za-z][A-Za-z0-9_-]{0,63}$";

/// A form, or a schema of its own.
pub(super) trait Written {
    /// As JSON Schema.
    fn written(self) -> Json;
}

impl Written for Spelling {
    fn written(self) -> Json {
        self.schema()
    }
}

impl Written for &Json {
    fn written(self) -> Json {
        self.clone()
    }
}

/// A mapping with keys of ours; every other key is refused.
#[derive(Debug, Default)]
pub(super) struct Keys {
    properties: Map<String, Json>,
    required: Vec<&'static str>,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { properties: Map::new(), required: Vec::new() }
    }

    /// A key that may be left out.
    pub(super) fn may(self, key: &'static str, form: impl Written, description: &str) -> Self {
        let mut written = form.written();
        written["description"] = description.into();
        self.inside(key, written)
    }

    /// A key that may be left out, and what then holds.
    pub(super) fn usually(
        self,
        key: &'static str,
        form: impl Written,
        default: impl Into<Json>,
        description: &str,
    ) -> Self {
        let mut written = form.written();
        written["default"] = default.into();
        self.may(key, &written, description)
    }

    /// A key that must be there.
    pub(super) fn need(self, key: &'static str, form: impl Written, description: &str) -> Self {
        self.may(key, form, description).require(key)
    }

    /// A mapping below `key`, or anything that describes itself.
    pub(super) fn inside(mut self, key: &'static str, written: Json) -> Self {
        self.properties.insert(key.to_owned(), written);
        self
    }

    /// Says that `key` must be there.
    pub(super) fn require(mut self, key: &'static str) -> Self {
        self.required.push(key);
        self
    }

    /// The mapping. One in which nothing must be there may as well be empty.
    pub(super) fn end(self, description: &str) -> Json {
        let kind =
            if self.required.is_empty() { json!(["object", "null"]) } else { json!("object") };
        let mut written = json!({
            "description": description,
            "type": kind,
            "properties": self.properties,
            "additionalProperties": false,
        });
        if !self.required.is_empty() {
            written["required"] = json!(self.required);
        }
        written
    }
}

/// A mapping of names to what `$defs` has under `definition`.
pub(super) fn named(definition: &str, description: &str) -> Json {
    open(json!({"$ref": format!("#/$defs/{definition}")}), json!({"pattern": NAME}), description)
}

/// A mapping of the author's own keys.
pub(super) fn open(values: Json, keys: Json, description: &str) -> Json {
    json!({
        "description": description,
        "type": "object",
        "propertyNames": keys,
        "additionalProperties": values,
    })
}

/// The same, or nothing at all.
pub(super) fn or_empty(mut written: Json) -> Json {
    written["type"] = json!(["object", "null"]);
    written
}

/// Headers by their names.
pub(super) fn headers(description: &str) -> Json {
    let name = json!({"pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"});
    or_empty(open(Spelling::Text.schema(), name, description))
}

/// A list of `items`.
pub(super) fn list(items: impl Written) -> Json {
    json!({"type": "array", "items": items.written()})
}

/// The same, of at least one.
pub(super) fn filled(items: impl Written) -> Json {
    json!({"type": "array", "items": items.written(), "minItems": 1})
}

/// Something whose `type` says which other keys it has: a definition for each type, and the one that
/// chooses among them.
pub(super) fn by_type(
    name: &str,
    description: &str,
    types: &[(&'static str, Json)],
) -> Vec<(String, Json)> {
    let types: Vec<_> = types.iter().map(|(word, written)| (*word, vec![*word], written)).collect();
    by_types(name, description, &types)
}

/// The same, where several types may have the same keys: each has a name, its types, and the mapping.
pub(super) fn by_types(
    name: &str,
    description: &str,
    types: &[(&'static str, Vec<&'static str>, &Json)],
) -> Vec<(String, Json)> {
    let words: Vec<&str> = types.iter().flat_map(|(_, words, _)| words).copied().collect();
    let chosen = |(part, words, _): &(&str, Vec<&str>, &Json)| {
        json!({
            "if": {"properties": {"type": {"enum": words}}, "required": ["type"]},
            "then": {"$ref": format!("#/$defs/{name}_{part}")},
        })
    };
    let chooser = json!({
        "description": description,
        "type": "object",
        "properties": {"type": {"enum": words, "description": "Which keys stand beside it."}},
        "required": ["type"],
        "allOf": types.iter().map(chosen).collect::<Vec<_>>(),
    });
    let each =
        types.iter().map(|(part, _, written)| (format!("{name}_{part}"), (*written).clone()));
    each.chain([(name.to_owned(), chooser)]).collect()
}
