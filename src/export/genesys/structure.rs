//! Arrays and objects in contracts of Genesys Cloud: it must know what is in them, and takes no array
//! in an array.

use serde_json::{Map, Value, json};

use crate::{
    catalog::{Catalog, mapping::Output},
    export::described,
};

/// The JSON Schema of an output.
pub(super) fn of(output: &Output) -> Value {
    let mut schema = output.keywords.clone();
    schema.insert("type".to_owned(), output.form.name().into());
    schema.into()
}

/// The same in what Genesys Cloud knows of draft 4: types, members and elements.
pub(super) fn schema(schema: &Value, description: &str) -> Value {
    let mut told = json!({"type": schema["type"], "description": description});
    if let Some(properties) = schema["properties"].as_object() {
        let members = properties.iter().map(|(name, inner)| {
            let description = inner["description"].as_str().unwrap_or_default();
            (name.clone(), self::schema(inner, &described(description, name)))
        });
        told["properties"] = members.collect::<Map<_, _>>().into();
        told["additionalProperties"] = true.into();
    }
    if schema["items"].is_object() {
        let description = schema["items"]["description"].as_str().unwrap_or_default();
        told["items"] = self::schema(&schema["items"], &described(description, "element"));
    }
    told
}

/// Whether Genesys Cloud can have all outputs.
///
/// # Errors
/// A sentence for each that it cannot.
pub(in crate::export) fn check(catalog: &Catalog) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    for action in catalog.actions.values() {
        for output in action.output.outputs() {
            let place = format!("actions.{}.output.{}", action.name, output.name);
            refuse(&of(output), &place, false, &mut wrong);
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn refuse(schema: &Value, place: &str, in_array: bool, wrong: &mut Vec<String>) {
    match schema["type"].as_str() {
        Some("string" | "integer" | "number" | "boolean") => {}
        Some("array") if in_array => wrong.push(format!(
            "{place}: is an array in an array, which Genesys Cloud cannot have; map its elements to \
             outputs of their own"
        )),
        Some("array") if schema["items"].is_object() => {
            refuse(&schema["items"], &format!("{place}.items"), true, wrong);
        }
        Some("array") => wrong.push(format!(
            "{place}: Genesys Cloud must know what is in an array; write items, such as \
             items: {{type: string}}"
        )),
        Some("object") => match schema["properties"].as_object().filter(|all| !all.is_empty()) {
            Some(properties) => {
                for (name, inner) in properties {
                    refuse(inner, &format!("{place}.properties.{name}"), in_array, wrong);
                }
            }
            None => wrong.push(format!(
                "{place}: Genesys Cloud must know what is in an object; write properties, such as \
                 properties: {{city: {{type: string}}}}"
            )),
        },
        _ => wrong.push(format!(
            "{place}: Genesys Cloud must know its type; write one, such as type: string"
        )),
    }
}
