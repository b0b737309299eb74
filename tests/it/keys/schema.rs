//! Which keys there are: the leaves of the schema, each by its path.
//!
//! A name of the author's own is `*`. Where the `type` says which keys stand beside it, it stands in
//! brackets: `callers.*(jwt).issuer`; of types that have the same keys, the first. A mapping of the author's own to plain values, such as headers,
//! is a leaf itself.

use serde_json::{Value, json};

/// Every key of that schema.
pub(super) fn keys(schema: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    Reader { schema, keys: &mut keys }.read(schema, "");
    keys
}

struct Reader<'a> {
    schema: &'a Value,
    keys: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    fn read(&mut self, part: &'a Value, path: &str) {
        let part = self.meant(part);
        if let Some(chosen) = by_type(part) {
            for (word, then) in chosen {
                self.read(then, &format!("{path}({word})"));
            }
        } else if let Some(properties) = part["properties"].as_object() {
            for (key, part) in properties {
                let dot = if path.is_empty() { "" } else { "." };
                self.read(part, &format!("{path}{dot}{key}"));
            }
        } else if self.is_open(part) {
            self.read(&part["additionalProperties"], &format!("{path}.*"));
        } else {
            self.keys.push(path.to_owned());
        }
    }

    /// What stands behind a reference.
    fn meant(&self, part: &'a Value) -> &'a Value {
        let Some(name) = part["$ref"].as_str() else { return part };
        let place = name.strip_prefix('#').and_then(|place| self.schema.pointer(place));
        place.unwrap_or_else(|| panic!("{name} is not in the schema"))
    }

    /// Whether it maps names of the author's own to something that has keys itself.
    fn is_open(&self, part: &'a Value) -> bool {
        let each = self.meant(&part["additionalProperties"]);
        each["properties"].is_object() || each["additionalProperties"].is_object()
    }
}

/// What may hold, each with the first type for which it does, where there is a choice among types.
fn by_type(part: &Value) -> Option<Vec<(&str, &Value)>> {
    let mut all: Vec<(&str, &Value)> = Vec::new();
    for choice in part["allOf"].as_array()? {
        let kind = choice.pointer("/if/properties/type")?;
        let word = kind["const"].as_str().or_else(|| kind["enum"][0].as_str())?;
        if all.iter().all(|(_, then)| **then != choice["then"]) {
            all.push((word, &choice["then"]));
        }
    }
    Some(all)
}

#[test]
fn every_way_to_write_a_key_is_seen() {
    let schema = json!({
        "properties": {
            "plain": {"type": "string"},
            "inside": {"properties": {"deeper": {}}},
            "named": {"additionalProperties": {"$ref": "#/$defs/one"}},
            "texts": {"additionalProperties": {"type": "string"}},
        },
        "$defs": {
            "one": {"properties": {"type": {}}, "allOf": [
                {"if": {"properties": {"type": {"const": "a"}}}, "then": {"$ref": "#/$defs/a"}},
                {"if": {"properties": {"type": {"const": "b"}}}, "then": {"properties": {"x": {}}}},
                {"if": {"properties": {"type": {"const": "c"}}}, "then": {"$ref": "#/$defs/a"}},
            ]},
            "a": {"properties": {"type": {}, "y": {"properties": {"z": {}}}}},
        },
    });
    let mut keys = keys(&schema);
    keys.sort();
    let expected =
        ["inside.deeper", "named.*(a).type", "named.*(a).y.z", "named.*(b).x", "plain", "texts"];
    assert_eq!(keys, expected);
}
