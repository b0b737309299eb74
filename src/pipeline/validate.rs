//! Validate: from the bytes of a body to inputs that satisfy the action's contract.
//!
//! Coercion comes first, then the contract, and what comes out makes the cache key, so `42`, `"42"`
//! and `42.0` are one customer. Every problem is named at once; no value is ever echoed.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    catalog::{
        action::{Action, Envelope},
        contract::{Inputs, Problem},
    },
    pipeline::call::Call,
    telemetry::stage::Decided,
};

/// Inputs that satisfy their action's contract and fit its request. Only [`check`] makes them.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidInput(Inputs);

impl ValidInput {
    /// The values.
    pub fn inputs(&self) -> &Inputs {
        &self.0
    }
}

/// Why a body was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// There is no `data`, or an empty one where an input is required.
    MissingData,
    /// It is not JSON of the expected form.
    Form(Cow<'static, str>),
    /// It breaks the contract.
    Contract(Vec<Problem>),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingData => f.write_str("Missing 'data' in request body"),
            Self::Form(what) => write!(f, "Invalid input format: {what}"),
            Self::Contract(problems) => {
                f.write_str("Invalid input format: ")?;
                for (at, problem) in problems.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "; " };
                    write!(f, "{comma}{} {}", problem.field, problem.what)?;
                }
                Ok(())
            }
        }
    }
}

impl Decided for ValidInput {
    fn decision(&self) -> &'static str {
        "valid"
    }
}

impl Decided for Invalid {
    fn decision(&self) -> &'static str {
        "invalid"
    }
}

/// Checks the body of `call` against its action's contract.
///
/// # Errors
/// [`Invalid`], with every problem of the first kind found.
pub fn check(call: &Call) -> Result<ValidInput, Invalid> {
    if call.deadline_unreadable {
        return Err(Invalid::Form(
            "header X-Deadline-Ms must be a whole number of milliseconds".into(),
        ));
    }
    let text = std::str::from_utf8(&call.body).map_err(|_| form("body is not UTF-8"))?;
    if text.is_empty() {
        return Err(form("body is empty"));
    }
    accept(&call.action, text)
}

fn accept(action: &Action, text: &str) -> Result<ValidInput, Invalid> {
    let given = match action.envelope {
        Envelope::Flat => object(text).map_err(|error| not_an_object("body", &error))?,
        Envelope::Data => unwrap_data(text)?,
    };
    if given.is_empty() && action.envelope == Envelope::Data && !action.input.all_optional() {
        return Err(Invalid::MissingData);
    }
    let inputs = action.input.accept(&given).map_err(Invalid::Contract)?;
    let unfit = action.request.refuse(&inputs);
    if unfit.is_empty() { Ok(ValidInput(inputs)) } else { Err(Invalid::Contract(unfit)) }
}

/// The members of `data` in `{"data": {...}}`.
fn unwrap_data(text: &str) -> Result<Vec<(Text<'_>, &RawValue)>, Invalid> {
    let envelope = object(text).map_err(|error| not_an_object("body", &error))?;
    let mut found = envelope.iter().filter(|(name, _)| name.0 == "data");
    let Some((_, data)) = found.next() else { return Err(Invalid::MissingData) };
    if found.next().is_some() {
        return Err(form("'data' is given twice"));
    }
    match data.get() {
        "null" | "false" | "0" | "\"\"" | "[]" => Err(Invalid::MissingData),
        inner => object(inner).map_err(|error| not_an_object("'data'", &error)),
    }
}

/// The members of a JSON object, in order, duplicates included.
fn object(text: &str) -> Result<Vec<(Text<'_>, &RawValue)>, serde_json::Error> {
    serde_json::from_str::<Members<'_>>(text).map(|members| members.0)
}

fn not_an_object(what: &str, error: &serde_json::Error) -> Invalid {
    if error.is_data() {
        Invalid::Form(format!("{what} must be a JSON object").into())
    } else {
        // The parser's own sentence may quote the text; the place does not.
        let (line, column) = (error.line(), error.column());
        Invalid::Form(format!("{what} is not JSON (line {line}, column {column})").into())
    }
}

fn form(what: &'static str) -> Invalid {
    Invalid::Form(Cow::Borrowed(what))
}

/// A JSON object whose values stay text: a derived struct would take an array for an object, and a
/// map the last of duplicate keys.
struct Members<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(Text<'de>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(4));
                while let Some(member) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Members)
    }
}

/// The text of a JSON string; a copy only where it has escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
