//! `actions.*.input` and `actions.*.output`: what must come in, and what goes out.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::{
    catalog::{
        contract::{Contract, Field},
        form::Form,
        mapping::{Mapping, Output, Source},
        name::Name,
        scalar::Kind,
    },
    config::{
        json::json,
        nearest::{listed, nearest},
        node::Content,
        section::{Section, Value},
        values::{choice, flag, json_path, shown, text},
    },
};

pub(super) const KINDS: [(&str, Kind); 4] = [
    ("string", Kind::String),
    ("integer", Kind::Integer),
    ("number", Kind::Number),
    ("boolean", Kind::Boolean),
];
const WRITE_KIND: &str = "write string, integer, number or boolean";
pub(super) const FORMS: [(&str, Form); 6] = [
    ("string", Form::Scalar(Kind::String)),
    ("integer", Form::Scalar(Kind::Integer)),
    ("number", Form::Scalar(Kind::Number)),
    ("boolean", Form::Scalar(Kind::Boolean)),
    ("array", Form::Array),
    ("object", Form::Object),
];
const WRITE_FORM: &str = "write string, integer, number, boolean, array or object";

/// JSON Schema keywords that say something about one scalar. A closed list: JSON Schema itself
/// ignores what it does not know, and a misspelt `minimum` would check nothing.
pub(super) const KEYWORDS: [&str; 22] = [
    "$comment",
    "allOf",
    "anyOf",
    "const",
    "deprecated",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "readOnly",
    "then",
    "title",
];
/// Those for arrays and objects, which outputs may be.
pub(super) const OF_STRUCTURES: [&str; 9] = [
    "additionalProperties",
    "items",
    "maxItems",
    "maxProperties",
    "minItems",
    "minProperties",
    "properties",
    "required",
    "uniqueItems",
];
/// Kept apart from the lists above because its value is checked as a regular expression.
pub(super) const PATTERN: &str = "pattern";

/// What Genesys sends under these names is its own.
pub(super) const RESERVED: [&str; 3] = ["orgId", "integrationId", "rawRequest"];
/// What an answer says beside its outputs where failures are told by outcome.
const OF_OUTCOME: [&str; 4] = ["outcome", "status_code", "stale", "age_seconds"];

/// The names below `input`, right or wrong: speaking of a wrong one is no second fault. `None` where it
/// is no mapping.
pub(super) fn names<'n>(section: &Section<'n>) -> Option<Vec<&'n str>> {
    section.finish_open().filter(|()| !is_json_schema(section))?;
    Some(section.entries().map(|(name, _)| name).collect())
}

/// Whether it is written as Genesys and OpenAPI have it.
fn is_json_schema(section: &Section<'_>) -> bool {
    let is = |wanted: &str, fits: fn(&Content) -> bool| {
        section.entries().any(|(name, value)| name == wanted && fits(value.content()))
    };
    is("type", |content| matches!(content, Content::Scalar(_)))
        && is("properties", |content| matches!(content, Content::Map(_)))
}

fn refuse_json_schema(section: &Section<'_>) -> Option<()> {
    if is_json_schema(section) {
        let instead =
            "write each by its name, such as customer_id: {type: integer, required: true}";
        section.refuse("is written as a JSON Schema", instead);
        return None;
    }
    Some(())
}

/// `input`.
pub(super) fn contract(section: &Section<'_>) -> Option<Contract> {
    refuse_json_schema(section)?;
    let entries: Vec<_> = section.entries().collect();
    let read: Vec<_> = entries.iter().map(|(name, value)| field(name, value)).collect();
    section.finish_open()?;
    let all = read.iter().all(Option::is_some);
    match Contract::new(read.into_iter().flatten().collect()) {
        Ok(contract) => all.then_some(contract),
        Err(problems) => {
            for problem in problems {
                refuse_named(
                    &entries,
                    &problem.field,
                    &problem.what,
                    "write keywords that fit its type",
                );
            }
            None
        }
    }
}

/// Refuses the entry of that name.
fn refuse_named(entries: &[(&str, Value<'_>)], name: &str, what: &str, instead: &str) {
    if let Some((_, value)) = entries.iter().find(|(known, _)| *known == name) {
        // The sentence quotes the keywords, and what a variable holds is not shown.
        let hidden = value.holds_outside();
        let what = if hidden { "has what does not fit, a variable in it" } else { what };
        value.refuse_key(what, instead);
    }
}

fn field(name: &str, value: &Value<'_>) -> Option<Field> {
    input_name(name, value);
    let section = value.section();
    let kind = section.required("type", WRITE_KIND, |value| choice(value, &KINDS));
    let required = section.read("required", false, flag);
    let description = section.read("description", String::new(), text);
    let keywords = keywords(&section, &["type", "required", "description"], &[]);
    section.finish_open()?;
    // What is wrong has been told. The keywords are still held against the type.
    Some(Field {
        name: Arc::from(name),
        kind: kind?,
        required: required.unwrap_or_default(),
        description: description.unwrap_or_default(),
        keywords,
    })
}

fn input_name(name: &str, value: &Value<'_>) {
    if RESERVED.contains(&name) {
        value.refuse_key("is a name that Genesys keeps for itself", "write another name");
    } else {
        contract_name(name, value);
    }
}

/// Genesys' contracts and our own names have one form.
fn contract_name(name: &str, value: &Value<'_>) {
    if let Err(why) = Name::new(name) {
        value.refuse_key(why.to_string(), "write another name");
    }
}

/// All that is left in a section: JSON Schema keywords, `more` among them. `own` are the keys that
/// have been read.
fn keywords(
    section: &Section<'_>,
    own: &[&'static str],
    more: &[&'static str],
) -> Map<String, Json> {
    let mut keywords = Map::new();
    section.knows(KEYWORDS.into_iter().chain([PATTERN]).chain(more.iter().copied()));
    for (key, value) in section.rest() {
        let read = if key == PATTERN {
            pattern(&value)
        } else if KEYWORDS.contains(&key) || more.contains(&key) {
            json(&value)
        } else {
            let known = own.iter().chain(more).copied().chain([PATTERN]).chain(KEYWORDS);
            let instead = match nearest(key, known) {
                Some(near) => format!("write `{near}`"),
                None => {
                    format!(
                        "write one of {}, or a JSON Schema keyword such as `minimum`",
                        listed(own)
                    )
                }
            };
            value.refuse_key("is not a key here", instead);
            None
        };
        if let Some(read) = read {
            keywords.insert(key.to_owned(), read);
        }
    }
    keywords
}

/// A regular expression stays a text even where YAML would read a number.
fn pattern(value: &Value<'_>) -> Option<Json> {
    text(value).map(Json::String)
}

/// What `output` says.
#[derive(Debug)]
pub(super) struct Outputs<'n> {
    /// All that are right.
    pub(super) mapping: Mapping,
    /// The names of the others, whose faults have been told.
    pub(super) wrong: Vec<&'n str>,
}

/// `output`.
pub(super) fn outputs<'n>(section: &Section<'n>) -> Option<Outputs<'n>> {
    refuse_json_schema(section)?;
    let entries: Vec<_> = section.entries().collect();
    if entries.is_empty() {
        section.refuse(
            "has no output",
            "write at least one, such as name: {type: string, from: $.name}",
        );
        return None;
    }
    let read: Vec<_> = entries.iter().map(|(name, value)| output(name, value)).collect();
    section.finish_open()?;
    let mut right: Vec<Output> = read.into_iter().flatten().collect();
    if let Err(problems) = Mapping::new(right.clone()) {
        for (name, what) in &problems {
            refuse_named(&entries, name, what, "write what fits its type and keywords");
        }
        right.retain(|output| problems.iter().all(|(name, _)| *name != output.name));
    }
    let is_right = |name: &str| right.iter().any(|output| *output.name == *name);
    let wrong = entries.iter().map(|(name, _)| *name).filter(|name| !is_right(name)).collect();
    let mapping = Mapping::new(right).ok()?;
    Some(Outputs { mapping, wrong })
}

fn output(name: &str, value: &Value<'_>) -> Option<Output> {
    contract_name(name, value);
    let section = value.section();
    let form = section.required("type", WRITE_FORM, |value| choice(value, &FORMS));
    let source = source(&section, form);
    if let (Some(Form::Array), Some(_), Some(from)) = (form, &source, section.value("from")) {
        warn_of_many(&from);
    }
    let description = section.read("description", String::new(), text);
    let own = ["type", "from", "default", "value", "description"];
    let more = match form {
        Some(Form::Scalar(_)) => &[][..],
        Some(Form::Array | Form::Object) | None => &OF_STRUCTURES,
    };
    let keywords = keywords(&section, &own, more);
    section.finish_open()?;
    Some(Output {
        name: Arc::from(name),
        form: form?,
        source: source?,
        description: description.unwrap_or_default(),
        keywords,
    })
}

fn source(section: &Section<'_>, form: Option<Form>) -> Option<Source> {
    let constant = |value: &Value<'_>| constant(value, form);
    let from = section.optional("from", json_path);
    let default = section.optional("default", constant);
    let fixed = section.optional("value", constant);
    match (from?, default?, fixed?) {
        (Some(from), default, None) => Some(Source::Reply { from, default }),
        (None, None, Some(value)) => Some(Source::Fixed(value)),
        (None, None, None) => {
            section.missing("from", "write a JSONPath such as $.name, or a fixed value");
            None
        }
        (Some(_), _, Some(_)) => {
            section.refuse("has both from and value", "keep one of them");
            None
        }
        (None, Some(_), Some(_)) => {
            section.refuse("has both default and value", "keep value");
            None
        }
        (None, Some(_), None) => {
            section
                .missing("from", "write a JSONPath such as $.name, or value in place of default");
            None
        }
    }
}

/// Warns of a path that finds many values where a list is wanted: only the first of them is given.
fn warn_of_many(from: &Value<'_>) {
    let Content::Scalar(path) = from.content() else { return };
    if let Some(before) = before_many(&path.text) {
        let instead = match before {
            "$" => "write the path of the list itself, such as $.lines".to_owned(),
            _ if from.is_from_outside() => "write the path of the list itself".to_owned(),
            list => format!("write {list}"),
        };
        from.warn("finds many values and gives the first", instead);
    }
}

/// What stands before the first part of a JSONPath that may find several: `*`, `..`, a filter, a slice
/// or a choice. `None`: it finds one at most.
fn before_many(path: &str) -> Option<&str> {
    let (mut quote, mut part, mut before) = (None, 0, '$');
    let mut letters = path.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some(_), '\\') => drop(letters.next()),
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '.') if before == '.' => return Some(&path[..part]),
            (None, '.' | '[') => part = at,
            (None, '*' | '?' | ':' | ',') => return Some(&path[..part]),
            (None, _) => {}
        }
        before = letter;
    }
    None
}

/// A default or fixed value. What a variable holds is a text where a text is wanted, digits or not.
fn constant(value: &Value<'_>, form: Option<Form>) -> Option<Json> {
    match value.content() {
        Content::Scalar(scalar) if scalar.expanded && form == Some(Kind::String.into()) => {
            text(value).map(Json::String)
        }
        _ => json(value),
    }
}

/// Refuses what cannot be told by outcome: an output without a value when there is no reply, or
/// under a name that the outcome itself uses.
pub(super) fn refuse_unfit_for_outcome(section: &Section<'_>, mapping: &Mapping) {
    for (name, value) in section.entries() {
        if OF_OUTCOME.contains(&name) {
            let what = format!("{} is what `failures: outcome` adds to the answer", shown(name));
            value.refuse_key(what, "write another name");
        }
        let output = mapping.outputs().iter().find(|output| *output.name == *name);
        let bare = output
            .is_some_and(|output| matches!(output.source, Source::Reply { default: None, .. }));
        if bare {
            let what = "has no default, and `failures: outcome` answers with every output";
            value.refuse_key(what, "add a default");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::before_many;

    #[test]
    fn a_path_to_many_ends_before_the_part_that_finds_them() {
        for (path, before) in [
            ("$.lines", None),
            ("$.lines[0].sku", None),
            ("$['a*b'].c", None),
            ("$[\"a\\\"?,\"].c", None),
            ("$.lines[*].sku", Some("$.lines")),
            ("$.lines.*", Some("$.lines")),
            ("$.a[?@.b == 'x']", Some("$.a")),
            ("$.a[1:3]", Some("$.a")),
            ("$.a[0,1]", Some("$.a")),
            ("$.a..sku", Some("$.a")),
            ("$..sku", Some("$")),
        ] {
            assert_eq!(before_many(path), before, "{path}");
        }
    }
}
