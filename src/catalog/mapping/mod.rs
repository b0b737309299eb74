//! Mappings: from an upstream's reply to the flat object that answers a call, checked against the
//! output contract.

mod enveloped;
mod plain;
mod reply;

use std::{collections::HashSet, sync::Arc};

use serde_json::{Map, Value};
use serde_json_path::JsonPath;

pub use self::enveloped::Enveloped;
use self::{
    plain::{PlainPath, Wanted},
    reply::Document,
};
use crate::catalog::{
    form::Form,
    scalar::{Kind, read_integer, write_json_string},
    schema::Schema,
};

/// One output.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub form: Form,
    /// Where it comes from.
    pub source: Source,
    /// One sentence for people.
    pub description: String,
    /// Further JSON Schema keywords.
    pub keywords: Map<String, Value>,
}

/// Where an output comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The first match over the reply; `default` where there is none or it is null.
    Reply {
        /// RFC 9535.
        from: JsonPath,
        /// What stands in for it.
        default: Option<Value>,
    },
    /// Always this.
    Fixed(Value),
}

/// What goes out.
#[derive(Debug)]
pub struct Mapping {
    outputs: Vec<Output>,
    /// One for each output, in the same order.
    plans: Vec<Plan>,
    /// What of a reply they are made of.
    wanted: Wanted,
    /// Whether the root of a reply may be an array: where an output is taken out of one.
    takes_arrays: bool,
}

/// What is known of an output before any reply.
#[derive(Debug)]
struct Plan {
    /// Its serialised name with the colon after it and what stands before it in the object.
    key: Vec<u8>,
    /// Its default or fixed value, serialised.
    stand_in: Option<Vec<u8>>,
    /// `None` where its type says all.
    schema: Option<Schema>,
    /// Where it is taken from, if that is a plain path.
    path: Option<PlainPath>,
}

/// Why a reply could not be mapped. Never a part of the reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// It is not JSON.
    #[error("External API reply is not JSON")]
    NotJson,
    /// An object in it has a key twice: which of the two is meant is a guess.
    #[error("External API reply has a key twice")]
    DuplicateKey,
    /// It has more values than any record.
    #[error("External API reply has too many values")]
    TooManyValues,
    /// Its root is no object.
    #[error("External API reply is not a JSON object")]
    NotAnObject,
    /// An output has no match and no default.
    #[error("External API reply has no value for output {0}")]
    Missing(Arc<str>),
    /// A match is of another type than the output's.
    #[error("External API reply has a value of the wrong type for output {0}")]
    WrongType(Arc<str>),
    /// A value breaks a keyword of the output contract.
    #[error("External API reply breaks the contract of output {0}")]
    Contract(Arc<str>),
}

impl MappingError {
    /// The label of `mapping_failures_total`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotJson | Self::DuplicateKey => "not_json",
            Self::TooManyValues => "too_large",
            Self::Missing(_) => "missing_field",
            Self::NotAnObject | Self::WrongType(_) | Self::Contract(_) => "wrong_type",
        }
    }
}

impl Output {
    /// Whether its path takes the reply for an array: `$[0].name`, `$[?@.main].phone`, `$[*]`, or
    /// `$` itself for an output that is one.
    fn looks_into_an_array(&self) -> bool {
        let Source::Reply { from, .. } = &self.source else { return false };
        let path = from.to_string();
        match path.strip_prefix('$').unwrap_or_default() {
            "" => self.form == Form::Array,
            inside => {
                inside.starts_with('[') && !inside.starts_with("['") && !inside.starts_with("[\"")
            }
        }
    }
}

impl Mapping {
    /// Compiles the outputs, and checks that every default and fixed value satisfies its own
    /// contract.
    ///
    /// # Errors
    /// Name and sentence for each output at fault.
    pub fn new(outputs: Vec<Output>) -> Result<Self, Vec<(Arc<str>, String)>> {
        let mut plans = Vec::with_capacity(outputs.len());
        let mut wrong = Vec::new();
        let mut names = HashSet::new();
        for (index, output) in outputs.iter().enumerate() {
            if !names.insert(&output.name) {
                wrong.push((Arc::clone(&output.name), "is named twice".to_owned()));
            }
            match Plan::of(output, index == 0) {
                Ok(plan) => plans.push(plan),
                Err(sentences) => {
                    wrong
                        .extend(sentences.into_iter().map(|what| (Arc::clone(&output.name), what)));
                }
            }
        }
        let takes_arrays = outputs.iter().any(Output::looks_into_an_array);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let taken = outputs.iter().zip(&plans).filter_map(|(output, plan)| match output.source {
            Source::Reply { .. } => Some(plan.path.as_ref()),
            Source::Fixed(_) => None,
        });
        let wanted = Wanted::by(taken);
        Ok(Self { outputs, plans, wanted, takes_arrays })
    }

    /// The outputs, in the order of the configuration, which is the order in answers.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Maps the bytes of a reply to the serialised flat object: compact JSON, outputs in order.
    ///
    /// # Errors
    /// [`MappingError`], for the first output at fault.
    pub fn apply(&self, reply: &[u8]) -> Result<Enveloped, MappingError> {
        let document = Document::read(reply, &self.wanted, self.takes_arrays)?;
        self.write(|output, plan, out| {
            let found = match &output.source {
                Source::Reply { from, .. } => document.first(from, plan.path.as_ref()),
                Source::Fixed(_) => None,
            };
            match (found, &plan.stand_in) {
                (Some(value), _) => write_match(&document, output, plan, value, out)?,
                (None, Some(stand_in)) => out.extend_from_slice(stand_in),
                (None, None) => return Err(MappingError::Missing(Arc::clone(&output.name))),
            }
            Ok(())
        })
    }

    /// The object with every output at its default or fixed value; `None` where one has neither.
    pub fn defaults(&self) -> Option<Enveloped> {
        self.write(|_, plan, out| {
            out.extend_from_slice(plan.stand_in.as_deref().ok_or(())?);
            Ok::<_, ()>(())
        })
        .ok()
    }

    /// Checks that `object` has every output, each under its contract, and serialises it in order:
    /// for the fallback. An output it leaves out stands at its default or fixed value.
    ///
    /// # Errors
    /// A sentence for each output at fault.
    pub fn check(&self, object: &Map<String, Value>) -> Result<Enveloped, Vec<String>> {
        let mut wrong = Vec::new();
        let known = |name: &str| self.outputs.iter().any(|output| *output.name == *name);
        for name in object.keys().filter(|name| !known(name)) {
            wrong.push(format!("{name} is not an output"));
        }
        let checked = self.write(|output, plan, out| {
            match (object.get(&*output.name), &plan.stand_in) {
                (Some(value), _) => {
                    let sentences = breaches(output.form, plan.schema.as_ref(), value);
                    wrong.extend(sentences.iter().map(|what| format!("{} {what}", output.name)));
                    write_value(value, out);
                }
                (None, Some(stand_in)) => out.extend_from_slice(stand_in),
                (None, None) => {
                    wrong.push(format!("{} is required: it has no default", output.name))
                }
            }
            Ok::<_, ()>(())
        });
        match checked {
            Ok(object) if wrong.is_empty() => Ok(object),
            Ok(_) | Err(()) => Err(wrong),
        }
    }

    /// Writes the object, each value by `value`.
    fn write<E>(
        &self,
        mut value: impl FnMut(&Output, &Plan, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Enveloped, E> {
        let known = |plan: &Plan| plan.key.len() + plan.stand_in.as_ref().map_or(0, Vec::len) + 32;
        Enveloped::write(2 + self.plans.iter().map(known).sum::<usize>(), |out| {
            if self.plans.is_empty() {
                out.push(b'{');
            }
            for (output, plan) in self.outputs.iter().zip(&self.plans) {
                out.extend_from_slice(&plan.key);
                value(output, plan, out)?;
            }
            out.push(b'}');
            Ok(())
        })
    }
}

impl Plan {
    fn of(output: &Output, first: bool) -> Result<Self, Vec<String>> {
        let schema = Schema::compile(output.form, &output.keywords)?;
        let (what, value) = match &output.source {
            Source::Reply { default, .. } => ("default", default.as_ref()),
            Source::Fixed(value) => ("value", Some(value)),
        };
        let wrong = value.map(|value| breaches(output.form, schema.as_ref(), value));
        if let Some(wrong) = wrong.filter(|wrong| !wrong.is_empty()) {
            return Err(wrong.into_iter().map(|wrong| format!("{what} {wrong}")).collect());
        }
        let mut key = vec![if first { b'{' } else { b',' }];
        write_json_string(&output.name, &mut key);
        key.push(b':');
        let stand_in = value.map(|value| {
            let mut out = Vec::new();
            write_value(value, &mut out);
            out
        });
        let path = match &output.source {
            Source::Reply { from, .. } => PlainPath::of(from),
            Source::Fixed(_) => None,
        };
        Ok(Self { key, stand_in, schema, path })
    }
}

/// What is wrong with a value out of the configuration.
fn breaches(form: Form, schema: Option<&Schema>, value: &Value) -> Vec<String> {
    if !form.fits(value) {
        return vec![form.demand().to_owned()];
    }
    schema.map(|schema| schema.breaches(value)).unwrap_or_default()
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing JSON into memory cannot fail");
}

/// Checks and appends a match. A value of another type is an error, never converted: an upstream
/// that changes its types has changed its meaning.
fn write_match(
    document: &Document<'_>,
    output: &Output,
    plan: &Plan,
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<(), MappingError> {
    let wrong_type = || MappingError::WrongType(Arc::clone(&output.name));
    let check = |value: &Value| match &plan.schema {
        Some(schema) if !schema.holds(value) => {
            Err(MappingError::Contract(Arc::clone(&output.name)))
        }
        Some(_) | None => Ok(()),
    };
    match (&output.source, value, output.form) {
        // A float has lost its digits on the way: they are read again from the reply itself.
        (Source::Reply { from, .. }, Value::Number(number), Form::Scalar(Kind::Integer))
            if number.is_f64() =>
        {
            let text = document.text_of(from).ok_or_else(wrong_type)?;
            let integer = read_integer(text).ok_or_else(wrong_type)?;
            let exact = serde_json::Number::from_i128(integer).ok_or_else(wrong_type)?;
            let exact = Value::Number(exact);
            check(&exact)?;
            write_value(&exact, out);
        }
        (Source::Reply { from, .. }, Value::Number(number), Form::Scalar(Kind::Number))
            if number.is_f64() =>
        {
            let text = document.text_of(from).ok_or_else(wrong_type)?;
            check(value)?;
            out.extend_from_slice(text.as_bytes());
        }
        // As it was written, so that no number in it loses a digit either.
        (Source::Reply { from, .. }, value, form @ (Form::Array | Form::Object))
            if form.fits(value) =>
        {
            let text = document.text_of(from).ok_or_else(wrong_type)?;
            check(value)?;
            reply::write_compact(text, out);
        }
        (_, value, form) if form.fits(value) => {
            check(value)?;
            write_value(value, out);
        }
        _ => return Err(wrong_type()),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
