//! Inputs on the command line: `key=value`, `key:=JSON`, or a file that holds a JSON object.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, anyhow};
use serde_json::{Map, Value};

use crate::catalog::{
    action::{Action, Envelope},
    scalar::Kind,
};

/// The inputs in `key=value` pairs, in their order. A value is a text, unless `action` says that the
/// input is a number or a boolean, or `:=` that it is JSON.
pub(super) fn pairs(
    pairs: &[String],
    action: Option<&Action>,
) -> anyhow::Result<Map<String, Value>> {
    let mut inputs = Map::new();
    for pair in pairs {
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .with_context(|| format!("`{pair}` is no input: write key=value, or key:=JSON"))?;
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => {
                let value = serde_json::from_str(value)
                    .with_context(|| format!("what follows `{name}:=` is no JSON"))?;
                (name, value)
            }
            None => (name, typed(name, value, action)),
        };
        if inputs.insert(name.to_owned(), value).is_some() {
            return Err(anyhow!("{name} is given twice"));
        }
    }
    Ok(inputs)
}

fn typed(name: &str, text: &str, action: Option<&Action>) -> Value {
    let field =
        action.and_then(|action| action.input.fields().iter().find(|field| *field.name == *name));
    let as_json = match field.map(|field| field.kind) {
        Some(Kind::Number | Kind::Boolean | Kind::Integer) => serde_json::from_str(text).ok(),
        Some(Kind::String) | None => None,
    };
    as_json.filter(|value: &Value| !value.is_string()).unwrap_or_else(|| text.into())
}

/// The inputs in the JSON object in `file` (`-`: standard input), with or without the envelope of
/// `action`.
pub(super) fn file(file: &Path, action: &Action) -> anyhow::Result<Map<String, Value>> {
    let name = file.display();
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("could not read standard input")?;
        text
    } else {
        fs::read_to_string(file).with_context(|| format!("could not read {name}"))?
    };
    let object: Map<String, Value> =
        serde_json::from_str(&text).with_context(|| format!("{name} holds no JSON object"))?;
    let own = action.input.fields().iter().any(|field| &*field.name == "data");
    match (action.envelope, object.get("data")) {
        (Envelope::Data, Some(Value::Object(inside))) if object.len() == 1 && !own => {
            Ok(inside.clone())
        }
        _ => Ok(object),
    }
}

/// The body of a request with these inputs.
pub(super) fn body(envelope: Envelope, inputs: Map<String, Value>) -> Value {
    match envelope {
        Envelope::Data => Value::Object(Map::from_iter([("data".to_owned(), inputs.into())])),
        Envelope::Flat => inputs.into(),
    }
}
