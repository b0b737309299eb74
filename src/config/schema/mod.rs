//! The JSON Schema of a configuration file, for completion and first checks in an editor. Hand-written
//! beside the readers; tests hold the two together, key by key, form by form, default by default.

mod actions;
mod callers;
mod keys;
mod process;
mod upstreams;

use serde_json::{Value as Json, json};

use self::keys::{Keys, named, or_empty};
use crate::config::spelling::Spelling;

/// JSON Schema 2020-12 of a whole file.
pub fn schema() -> Json {
    let definitions: serde_json::Map<String, Json> = callers::definitions()
        .chain(upstreams::definitions())
        .chain(actions::definitions())
        .collect();
    let file = Keys::new()
        .usually("version", &json!({"enum": [1]}), 1, "The version of this form, which is 1.")
        .inside("server", process::server())
        .inside("probes", process::probes())
        .inside("admin", process::admin())
        .inside("telemetry", process::telemetry())
        .inside("cache", process::cache())
        .inside(
            "callers",
            or_empty(named("caller", "The ways to prove who is calling, each by its name.")),
        )
        .inside("limits", or_empty(named("limit", "How many calls may pass, each by its name.")))
        .inside("upstreams", or_empty(named("upstream", "The systems behind, each by its name.")))
        .inside("actions", actions::all())
        .require("actions")
        .end("The configuration of Holdline.");
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "holdline.yaml",
    });
    let whole = schema.as_object_mut().expect("it is an object");
    whole.extend(file.as_object().cloned().unwrap_or_default());
    whole.insert("$defs".to_owned(), Json::Object(definitions));
    schema
}

/// One limit.
fn limit() -> Json {
    let key = json!({
        "type": "string",
        "anyOf": [
            {"enum": ["all", "org", "caller", "action"]},
            {"pattern": crate::config::spelling::or_expansion("^input\\.[A-Za-z][A-Za-z0-9_-]{0,63}$")},
        ],
    });
    let keys = json!({"anyOf": [key, {"type": "array", "items": key, "minItems": 1, "uniqueItems": true}]});
    Keys::new()
        .need("key", &keys, "What the calls that are counted together have in common.")
        .need("rate", Spelling::Rate, "Calls per second or minute, such as 50/s or 2500/m.")
        .need("burst", Spelling::Count(1, 10_000_000), "Calls that may pass at once.")
        .usually(
            "enforce",
            Spelling::Flag,
            true,
            "Whether more calls are refused; false only counts them.",
        )
        .end("One limit; all actions that name it share its buckets.")
}

#[cfg(test)]
mod tests;
