//! All actions as OpenAPI 3.1.

mod failures;
mod ranges;
mod schema;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use self::failures::Row;
use crate::{
    catalog::{
        Catalog,
        action::{Action, Envelope, Failures},
        policy::CachePolicy,
    },
    export::{Document, Site, callers, described, pretty},
};

/// The name of the certificate among the schemes. No scheme of a configuration has this name.
const CERTIFICATE: &str = "client.certificate";

/// The document as a file, `openapi.json`.
pub fn file(catalog: &Catalog, site: Site<'_>) -> Document {
    Document { name: "openapi.json".to_owned(), text: pretty(&document(catalog, site)) }
}

/// The document.
pub fn document(catalog: &Catalog, site: Site<'_>) -> Value {
    let paths: Map<_, _> = catalog
        .actions
        .values()
        .map(|action| {
            (site.path(action.name.as_str()), json!({"post": operation(catalog, action, site)}))
        })
        .collect();
    let mut named: Vec<_> = catalog.actions.values().flat_map(|action| &action.callers).collect();
    named.sort();
    named.dedup();
    let mut schemes: Map<_, _> = named
        .into_iter()
        .filter_map(|name| catalog.callers.get(name))
        .map(|scheme| (scheme.name.to_string(), callers::security(scheme, site)))
        .collect();
    if site.asks_for_certificates {
        let what = "A certificate that an authority of this service's choice has signed";
        schemes.insert(CERTIFICATE.to_owned(), json!({"type": "mutualTLS", "description": what}));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Actions of Holdline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What data actions of Genesys Cloud call, and whoever else may.",
        },
        "servers": [{"url": site.origin}],
        "paths": paths,
        "components": {
            "securitySchemes": schemes,
            "schemas": {"Problem": problem()},
            "headers": headers(),
            "parameters": {"Deadline": deadline()},
        },
    })
}

/// What must be shown for an action: any one of these, each together with a certificate where one is
/// asked for.
fn security(catalog: &Catalog, action: &Action, site: Site<'_>) -> Vec<Value> {
    let mut security: Vec<_> = callers::of_action(catalog, action)
        .map(|scheme| json!({scheme.name.as_str(): []}))
        .collect();
    if site.asks_for_certificates {
        if security.is_empty() {
            security.push(json!({}));
        }
        security.iter_mut().for_each(|proofs| proofs[CERTIFICATE] = json!([]));
    }
    security
}

fn operation(catalog: &Catalog, action: &Action, site: Site<'_>) -> Value {
    let security = security(catalog, action, site);
    let mut responses = json!({"200": answer(catalog, action)});
    let mut by_status: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for row in failures::by_status(catalog, action) {
        by_status.entry(row.status).or_default().push(row);
    }
    // No row: it is said before anything is known of the action, and without a document.
    by_status.entry("431").or_default();
    for (status, rows) in by_status {
        responses[status] = match rows.is_empty() {
            true => json!({"description": "The head of the request is too large. No body."}),
            false => failure(action, status, &rows),
        };
    }
    json!({
        "operationId": action.name.as_str(),
        "summary": described(&action.description, action.name.as_str()),
        "description": format!(
            "Answered within {} ms.",
            action.patience(None).as_millis()
        ),
        "security": security,
        "parameters": [{"$ref": "#/components/parameters/Deadline"}],
        "requestBody": {
            "required": true,
            "content": {"application/json": {"schema": enveloped(action, schema::inputs(action))}},
        },
        "responses": responses,
    })
}

/// A body around an object, as the action has it.
fn enveloped(action: &Action, object: Value) -> Value {
    match action.envelope {
        Envelope::Flat => object,
        Envelope::Data => {
            json!({"type": "object", "properties": {"data": object}, "required": ["data"]})
        }
    }
}

/// The 200.
fn answer(catalog: &Catalog, action: &Action) -> Value {
    let outputs = action.output.outputs();
    let mut properties: Map<_, _> =
        outputs.iter().map(|output| (output.name.to_string(), schema::output(output))).collect();
    let mut headers = vec!["X-Request-Id"];
    let description = match action.failures {
        Failures::Status => "The answer.",
        Failures::Outcome => {
            properties.extend(outcome(catalog, action));
            headers.extend(["Retry-After", "RateLimit", "RateLimit-Policy"]);
            "The answer, or a failure: `outcome` says which."
        }
    };
    let required: Vec<_> = properties.keys().cloned().collect();
    let object = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    let mut body = enveloped(action, object);
    body["additionalProperties"] = false.into();
    json!({
        "description": description,
        "headers": references(action, &headers),
        "content": {"application/json": {"schema": body}},
    })
}

/// What stands beside the outputs where failures are told by outcome.
fn outcome(catalog: &Catalog, action: &Action) -> Map<String, Value> {
    let mut words = vec!["ok"];
    let goes_stale = |cache: &CachePolicy| {
        !(cache.stale_while_revalidate.is_zero() && cache.stale_if_error.is_zero())
    };
    words.extend(action.cache.as_ref().is_some_and(goes_stale).then_some("stale"));
    words.extend(action.fallback.is_some().then_some("fallback"));
    words.extend(failures::by_outcome(catalog, action));
    let members = json!({
        "outcome": {
            "type": "string",
            "enum": words,
            "description": "How the call ended; the outputs stand at their defaults where it failed",
        },
        "status_code": {
            "type": "integer",
            "minimum": 200,
            "maximum": 599,
            "description": "The HTTP status that says the same",
        },
        "stale": {
            "type": "boolean",
            "description": "Whether the outputs are those of an answer past its time",
        },
        "age_seconds": {
            "type": "integer",
            "minimum": 0,
            "description": "How long ago the upstream gave the outputs, in seconds",
        },
    });
    members.as_object().cloned().unwrap_or_default()
}

/// A failure that is told by its status.
fn failure(action: &Action, status: &str, rows: &[Row]) -> Value {
    let mut words: Vec<_> = rows.iter().map(|row| row.word).collect();
    words.dedup();
    let when: Vec<_> = rows.iter().map(|row| format!("`{}`: {}", row.word, row.when)).collect();
    let mut headers = vec!["X-Request-Id"];
    match status {
        "405" => headers.push("Allow"),
        "429" => headers.extend(["Retry-After", "RateLimit", "RateLimit-Policy"]),
        "503" | "4XX" | "5XX" => headers.push("Retry-After"),
        _ => {}
    }
    json!({
        "description": when.join("\n"),
        "headers": references(action, &headers),
        "content": {"application/problem+json": {"schema": {
            "allOf": [
                {"$ref": "#/components/schemas/Problem"},
                {"properties": {"code": {"enum": words}}},
            ],
        }}},
    })
}

fn references(action: &Action, names: &[&str]) -> Value {
    let debug: &[&str] =
        if action.debug_headers { &["Cache-Status", "Server-Timing"] } else { &[] };
    let reference =
        |name: &&str| (name.to_string(), json!({"$ref": format!("#/components/headers/{name}")}));
    names.iter().chain(debug).map(reference).collect::<Map<_, _>>().into()
}

fn headers() -> Value {
    let text = |description| json!({"description": description, "schema": {"type": "string"}});
    json!({
        "X-Request-Id": {
            "description": "The number of this call here, which stands in the log too",
            "required": true,
            "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        },
        "Retry-After": {
            "description": "After how many seconds it may be worth calling again",
            "schema": {"type": "integer", "minimum": 1},
        },
        "RateLimit": text("What is left of the limit that is used up, as `\"NAME\";r=LEFT;t=SECONDS`"),
        "RateLimit-Policy": text("The limit that is used up, as `\"NAME\";q=CALLS;w=SECONDS`"),
        "Cache-Status": text("What the cache did, by RFC 9211"),
        "Server-Timing": text("What each stage decided, and how long it took"),
        "Allow": text("The method that is allowed"),
    })
}

fn deadline() -> Value {
    json!({
        "name": "X-Deadline-Ms",
        "in": "header",
        "required": false,
        "description": "How long the caller waits, in milliseconds. It can only shorten the action's own time.",
        "schema": {"type": "integer", "minimum": 0},
    })
}

fn problem() -> Value {
    let text = |description| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "description": "A failure, by RFC 9457",
        "properties": {
            "type": text("Always about:blank"),
            "title": text("The name of the status"),
            "status": {
                "type": "integer",
                "minimum": 400,
                "maximum": 599,
                "description": "The status again",
            },
            "detail": text("What is wrong, as a sentence"),
            "code": text("What is wrong, as one word that does not change"),
            "request_id": text("The value of X-Request-Id"),
        },
        "required": ["type", "title", "status", "detail", "code", "request_id"],
    })
}
