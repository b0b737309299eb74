//! Each action as Genesys Cloud imports it: a Web Services data action in a `*.custom.json`.

pub(super) mod structure;

use serde_json::{Map, Value, json};

use crate::{
    catalog::{
        Catalog,
        action::{Action, Envelope, Failures},
    },
    export::{Document, Site, callers, described, pretty},
};

/// What a data action sends and how it reads what comes back, apart from where.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Headers, in Velocity.
    pub(super) headers: Vec<(String, String)>,
    /// The body, in Velocity.
    pub(super) request: &'static str,
    /// Names and JSONPaths over the answer.
    pub(super) translations: &'static [(&'static str, &'static str)],
    /// What comes of the answer, in Velocity.
    pub(super) success: &'static str,
}

/// A file for each action, `NAME.custom.json`.
///
/// # Errors
/// A sentence for each output that Genesys Cloud cannot have.
pub fn files(catalog: &Catalog, site: Site<'_>) -> Result<Vec<Document>, Vec<String>> {
    structure::check(catalog)?;
    let files = catalog
        .actions
        .values()
        .map(|action| Document {
            name: format!("{}.custom.json", action.name),
            text: pretty(&custom_action(catalog, action, site)),
        })
        .collect();
    Ok(files)
}

fn custom_action(catalog: &Catalog, action: &Action, site: Site<'_>) -> Value {
    let exchange = exchange(catalog, action);
    let headers: Map<_, _> =
        exchange.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    let translations: Map<_, _> = exchange
        .translations
        .iter()
        .map(|(name, path)| ((*name).to_owned(), (*path).into()))
        .collect();
    json!({
        "name": action.name.as_str(),
        "integrationType": "custom-rest-actions",
        "actionType": "custom",
        "config": {
            "request": {
                "requestUrlTemplate": format!("{}{}", site.origin, site.path(action.name.as_str())),
                "requestType": "POST",
                "headers": headers,
                "requestTemplate": exchange.request,
            },
            "response": {
                "translationMap": translations,
                "translationMapDefaults": {},
                "successTemplate": exchange.success,
            },
        },
        "contract": {
            "input": {"inputSchema": input(action)},
            "output": {"successSchema": output(action)},
        },
        "secure": false,
    })
}

/// How a data action speaks to that action of ours. `rawRequest` is the flat object of all inputs
/// that were given; around it goes the envelope, and off again on the way back.
pub(super) fn exchange(catalog: &Catalog, action: &Action) -> Exchange {
    let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    if let Some((name, value)) = callers::for_genesys(catalog, action).and_then(callers::header) {
        headers.push((name.to_owned(), value));
    }
    match action.envelope {
        Envelope::Flat => Exchange {
            headers,
            request: "${input.rawRequest}",
            translations: &[],
            success: "${rawResult}",
        },
        Envelope::Data => Exchange {
            headers,
            request: "{\"data\": ${input.rawRequest}}",
            translations: &[("data", "$.data")],
            success: "${data}",
        },
    }
}

/// What goes in, in JSON Schema's draft 4. Types alone: what breaks a further keyword is told by us,
/// in words that a flow can read, and not by Genesys Cloud, which takes the Failure path.
pub(super) fn input(action: &Action) -> Value {
    let fields = action.input.fields();
    let properties = fields.iter().map(|field| {
        let description = told(&field.description, &field.name, &field.keywords);
        (field.name.to_string(), json!({"type": field.kind.name(), "description": description}))
    });
    let mut schema = contract(action, properties.collect());
    let required: Vec<_> =
        fields.iter().filter(|field| field.required).map(|field| &*field.name).collect();
    // Draft 4 has no empty list here.
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// What comes out.
pub(super) fn output(action: &Action) -> Value {
    let outputs = action.output.outputs().iter().map(|output| {
        let description = told(&output.description, &output.name, &output.keywords);
        let schema = structure::schema(&structure::of(output), &description);
        (output.name.to_string(), schema)
    });
    let mut properties: Map<_, _> = outputs.collect();
    if action.failures == Failures::Outcome {
        for (name, kind, description) in OF_OUTCOME {
            properties.insert(name.to_owned(), json!({"type": kind, "description": description}));
        }
    }
    contract(action, properties)
}

const OF_OUTCOME: [(&str, &str, &str); 4] = [
    ("outcome", "string", "How the call ended: ok, stale, fallback, or the word of a failure"),
    ("status_code", "integer", "The HTTP status that says the same"),
    ("stale", "boolean", "Whether this is an answer past its time"),
    ("age_seconds", "integer", "How long ago the upstream gave this answer, in seconds"),
];

fn contract(action: &Action, properties: Map<String, Value>) -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": described(&action.description, action.name.as_str()),
        "type": "object",
        "properties": properties,
        "additionalProperties": true,
    })
}

/// A description with what else the contract asks for.
fn told(description: &str, name: &str, keywords: &Map<String, Value>) -> String {
    let mut text = described(description, name);
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut wishes = Vec::new();
    for (keyword, words) in [
        ("minimum", "at least"),
        ("exclusiveMinimum", "greater than"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "less than"),
        ("multipleOf", "a multiple of"),
        ("const", "always"),
        ("format", "of the format"),
        ("pattern", "matching"),
    ] {
        wishes.extend(keywords.get(keyword).map(|value| format!("{words} {}", plain(value))));
    }
    for (keyword, words) in [("minLength", "at least"), ("maxLength", "at most")] {
        wishes.extend(keywords.get(keyword).map(|value| format!("{words} {value} characters")));
    }
    if let Some(values) = keywords.get("enum").and_then(Value::as_array) {
        let values: Vec<_> = values.iter().map(plain).collect();
        wishes.push(format!("one of {}", values.join(", ")));
    }
    if !wishes.is_empty() {
        text = format!("{text} ({})", wishes.join(", "));
    }
    text
}
