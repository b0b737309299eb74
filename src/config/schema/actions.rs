//! The schema of `actions`.

use serde_json::{Value as Json, json};

use super::keys::{Keys, NAME, by_types, filled, headers, list, named, open, or_empty};
use crate::config::{
    actions::{ENVELOPES, FAILURES},
    cached::SHARED,
    contracts::{FORMS, KEYWORDS, KINDS, OF_STRUCTURES, PATTERN, RESERVED},
    request::METHODS,
    spelling::{EXPANSION, Spelling},
};

/// `actions`: at least one.
pub(super) fn all() -> Json {
    let mut all = named("action", "What may be called, each by its name.");
    all["minProperties"] = json!(1);
    all
}

/// `action`, `input` and `output`.
pub(super) fn definitions() -> impl Iterator<Item = (String, Json)> {
    let about = "One output.";
    let is_scalar = |word: &&str| KINDS.iter().any(|(scalar, _)| scalar == word);
    let words = FORMS.iter().map(|(word, _)| *word);
    let (scalars, structures): (Vec<&str>, Vec<&str>) = words.partition(is_scalar);
    let (scalar, structure) = (output(&scalars, &[]), output(&structures, &OF_STRUCTURES));
    let types = [("scalar", scalars, &scalar), ("structure", structures, &structure)];
    let others = [("action", action()), ("input", input())];
    let others = others.map(|(name, written)| (name.to_owned(), written));
    by_types("output", about, &types).into_iter().chain(others)
}

fn words<T>(known: &[(&'static str, T)]) -> Spelling {
    Spelling::choice(known.iter().map(|(word, _)| *word))
}

fn action() -> Json {
    let caller = json!({"anyOf": [{"type": "string"}, filled(&json!({"type": "string"}))]});
    let inputs = open(
        json!({"$ref": "#/$defs/input"}),
        json!({"pattern": NAME, "not": {"enum": RESERVED}}),
        "What a call must bring: flat values.",
    );
    let mut outputs = named("output", "What an answer says, in this order.");
    outputs["minProperties"] = json!(1);
    Keys::new()
        .usually("description", Spelling::Text, "", "What it does, in one sentence.")
        .need(
            "caller",
            &caller,
            "The name of a caller, a list of which any will do, or none for anybody.",
        )
        .usually("limits", &list(Spelling::Text), json!([]), "The names of the limits that hold.")
        .usually("timeout", Spelling::Span, "5s", "How long a whole call may take.")
        .may(
            "genesys_timeout",
            Spelling::Span,
            "The action's own time-out in Genesys, from 1s to 60s: it is only compared.",
        )
        .may(
            "safe",
            Spelling::Flag,
            "Whether it may be repeated and cached; by default, whether the method is GET.",
        )
        .usually(
            "envelope",
            words(&ENVELOPES),
            "data",
            "Whether calls and answers stand in `data` or alone.",
        )
        .usually(
            "failures",
            words(&FAILURES),
            "status",
            "Whether failures are told by status or in a 200.",
        )
        .usually(
            "debug_headers",
            Spelling::Flag,
            false,
            "Whether answers say what happened in headers.",
        )
        .inside("input", or_empty(inputs))
        .inside("request", request())
        .require("request")
        .inside("output", outputs)
        .require("output")
        .inside("cache", cache())
        .inside(
            "fallback",
            or_empty(
                json!({"description": "The answer in place of a failure; must fit the outputs."}),
            ),
        )
        .end("One operation.")
}

fn request() -> Json {
    let upstream = json!({"type": "string"});
    Keys::new()
        .need("upstream", &upstream, "The name of the upstream that is asked.")
        .usually("method", Spelling::choice(METHODS), "GET", "The method.")
        .need(
            "path",
            &json!({"type": "string"}),
            "The path and query by RFC 6570, such as /users/{id}{?lang}.",
        )
        .inside("headers", headers("Headers, which may use {name}."))
        .may("body", &json!({}), "The JSON that is sent; \"{name}\" alone keeps the input's type.")
        .end("How the upstream is asked.")
}

fn cache() -> Json {
    let input = json!({"type": "string"});
    Keys::new()
        .need("ttl", Spelling::Span, "How long an answer is fresh.")
        .may("key", &list(&input), "The inputs that tell two answers apart; by default, every one.")
        .may("customer", &input, "The input that says whose data it is, for purges.")
        .usually("shared_by", words(&SHARED), "org", "Who may be given the same answer.")
        .usually(
            "stale_while_revalidate",
            Spelling::Duration,
            "0s",
            "How long after ttl an answer is given at once and refreshed behind.",
        )
        .usually(
            "stale_if_error",
            Spelling::Duration,
            "0s",
            "How long after ttl an answer stands in for a failure.",
        )
        .usually(
            "stale_after",
            Spelling::Duration,
            "300ms",
            "How long a fetch may take while an old answer is at hand.",
        )
        .usually("not_found", Spelling::Duration, "0s", "How long a 404 is remembered.")
        .usually(
            "max_waiters",
            Spelling::Count(1, 1_000_000),
            5000,
            "Calls that may wait for one fetch.",
        )
        .end("How answers are kept; without it, not at all.")
}

/// The keywords of JSON Schema that say something about one value, and `more` of them.
fn with_keywords(mut keys: Keys, more: &[&'static str]) -> Keys {
    for keyword in KEYWORDS.iter().chain(more) {
        keys = keys.inside(keyword, keyword_schema(keyword));
    }
    keys.may(PATTERN, Spelling::Text, "The regular expression that it must match.")
}

/// What may be written behind `keyword`. Written out, since an editor may be offline.
fn keyword_schema(keyword: &str) -> Json {
    let number = json!({"type": ["number", "string"], "pattern": EXPANSION});
    let length = json!({"type": ["integer", "string"], "minimum": 0, "pattern": EXPANSION});
    let parts = json!({"type": "array", "minItems": 1, "items": {"type": ["object", "boolean"]}});
    match keyword {
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => number,
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
            length
        }
        "items" | "additionalProperties" => json!({"type": ["object", "boolean"]}),
        "properties" => json!({"type": "object"}),
        "required" => json!({"type": "array", "items": {"type": "string"}}),
        "uniqueItems" => json!({"type": "boolean"}),
        "enum" => json!({"type": "array", "minItems": 1}),
        "examples" => json!({"type": "array"}),
        "allOf" | "anyOf" | "oneOf" => parts,
        "not" | "if" | "then" | "else" => json!({"type": ["object", "boolean"]}),
        "deprecated" | "readOnly" => json!({"type": "boolean"}),
        "const" => json!({}),
        _ => json!({"type": "string"}),
    }
}

fn described(keys: Keys) -> Keys {
    let about = "What it is, in one sentence; Genesys shows it to who builds a flow.";
    keys.usually("description", Spelling::Text, "", about)
}

fn input() -> Json {
    let keys = described(Keys::new().need("type", words(&KINDS), "Its type."));
    let keys = keys.usually("required", Spelling::Flag, false, "Whether a call must bring it.");
    with_keywords(keys, &[]).end("One input.")
}

/// An output of one of `types`, which knows `more` keywords.
fn output(types: &[&str], more: &[&'static str]) -> Json {
    let constant = json!({"type": ["string", "number", "boolean", "array", "object"]});
    let keys = Keys::new().need("type", &json!({"enum": types}), "Its type.");
    let keys = described(keys)
        .may("from", Spelling::JsonPath, "Where the reply has it; the first match counts.")
        .may("default", &constant, "What stands for it where the reply has none.")
        .may("value", &constant, "What it always is.");
    with_keywords(keys, more).end("One output.")
}
