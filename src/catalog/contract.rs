//! Contracts of inputs: which values must come in, of which type, under which JSON Schema keywords.

use std::{collections::HashSet, fmt, sync::Arc};

use serde_json::value::RawValue;

use crate::catalog::{
    scalar::{Kind, NOT_NULL, Scalar},
    schema::Schema,
};

/// One input.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub kind: Kind,
    /// Whether a call without it is refused.
    pub required: bool,
    /// One sentence for people.
    pub description: String,
    /// Further JSON Schema keywords, such as `minimum` or `pattern`.
    pub keywords: serde_json::Map<String, serde_json::Value>,
}

/// What must come in.
#[derive(Debug)]
pub struct Contract {
    fields: Vec<Field>,
    /// One for each field, in the same order; `None` where its type says all.
    schemas: Vec<Option<Schema>>,
    /// The fields' names.
    names: Arc<[Arc<str>]>,
}

/// What is wrong with one input: never a part of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The input's name as the contract has it.
    pub field: Arc<str>,
    /// What is wrong, as the end of a sentence that begins with the name: `must be an integer`.
    pub what: String,
}

impl Problem {
    pub(super) fn new(field: &Arc<str>, what: impl Into<String>) -> Self {
        Self { field: Arc::clone(field), what: what.into() }
    }
}

/// Inputs that satisfy a contract, in its order. Only [`Contract::accept`] makes them.
#[derive(Clone, PartialEq)]
pub struct Inputs {
    /// Those of the contract.
    names: Arc<[Arc<str>]>,
    /// One for each name.
    values: Vec<Option<Scalar>>,
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names alone: the values are a customer's.
        f.debug_list().entries(&*self.names).finish()
    }
}

impl Inputs {
    /// No inputs at all.
    pub(super) fn none() -> Self {
        Self { names: Arc::default(), values: Vec::new() }
    }

    /// The value of that name; `None` where an optional one was left out or there is none.
    pub fn get(&self, name: &str) -> Option<&Scalar> {
        let at = self.names.iter().position(|known| **known == *name)?;
        self.values[at].as_ref()
    }
}

impl Contract {
    /// Compiles the fields' keywords.
    ///
    /// # Errors
    /// The fields whose keywords are no JSON Schema, each with what is wrong.
    pub fn new(fields: Vec<Field>) -> Result<Self, Vec<Problem>> {
        let mut schemas = Vec::with_capacity(fields.len());
        let mut problems = Vec::new();
        let mut names = HashSet::new();
        for field in &fields {
            if !names.insert(&field.name) {
                problems.push(Problem::new(&field.name, "is named twice"));
            }
            match Schema::compile(field.kind.into(), &field.keywords) {
                Ok(schema) => schemas.push(schema),
                Err(wrong) => {
                    problems.extend(wrong.into_iter().map(|what| Problem::new(&field.name, what)));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let names = fields.iter().map(|field| Arc::clone(&field.name)).collect();
        Ok(Self { fields, schemas, names })
    }

    /// The fields, in the order of the configuration.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Whether a call without any input satisfies it.
    pub fn all_optional(&self) -> bool {
        self.fields.iter().all(|field| !field.required)
    }

    /// Coerces and checks what came in. Inputs that the contract does not name are left out.
    ///
    /// # Errors
    /// Every problem, in the order of the contract.
    pub fn accept<N: AsRef<str>>(&self, given: &[(N, &RawValue)]) -> Result<Inputs, Vec<Problem>> {
        let mut values = Vec::with_capacity(self.fields.len());
        let mut problems = Vec::new();
        for (field, schema) in self.fields.iter().zip(&self.schemas) {
            match take(field, schema.as_ref(), given) {
                Ok(value) => values.push(value),
                Err(wrong) => {
                    problems.extend(wrong.into_iter().map(|what| Problem::new(&field.name, what)));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Inputs { names: Arc::clone(&self.names), values })
    }
}

fn take<N: AsRef<str>>(
    field: &Field,
    schema: Option<&Schema>,
    given: &[(N, &RawValue)],
) -> Result<Option<Scalar>, Vec<String>> {
    let mut found =
        given.iter().filter(|(name, _)| name.as_ref() == &*field.name).map(|(_, raw)| *raw);
    let raw = match (found.next(), found.next()) {
        // Which of the two was meant is a guess, and a guess here is another customer.
        (Some(_), Some(_)) => return Err(vec!["is given twice".to_owned()]),
        (Some(raw), None) => raw,
        (None, _) if field.required => return Err(vec!["is required".to_owned()]),
        (None, _) => return Ok(None),
    };
    let value = Scalar::read(raw, field.kind).map_err(|what| {
        // Leaving out a required input would only bring up the next problem.
        let null = what == NOT_NULL && field.required;
        vec![if null { "must not be null" } else { what }.to_owned()]
    })?;
    match schema.map(|schema| schema.breaches(&value.to_value())) {
        Some(breaches) if !breaches.is_empty() => Err(breaches),
        Some(_) | None => Ok(Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn field(name: &str, kind: Kind, required: bool, keywords: &Value) -> Field {
        Field {
            name: name.into(),
            kind,
            required,
            description: String::new(),
            keywords: keywords.as_object().unwrap().clone(),
        }
    }

    fn contract() -> Contract {
        Contract::new(vec![
            field("customer_id", Kind::Integer, true, &json!({"minimum": 1, "multipleOf": 2})),
            field("email", Kind::String, false, &json!({"format": "email", "maxLength": 20})),
            field("vip", Kind::Boolean, false, &json!({})),
            field("rate", Kind::Number, true, &json!({"exclusiveMaximum": 10})),
        ])
        .unwrap()
    }

    fn accept(given: &[(&str, &str)]) -> Result<Inputs, Vec<String>> {
        let raws: Vec<_> = given
            .iter()
            .map(|(name, json)| {
                ((*name).to_owned(), RawValue::from_string((*json).to_owned()).unwrap())
            })
            .collect();
        let given: Vec<_> = raws.iter().map(|(name, raw)| (name.clone(), &**raw)).collect();
        contract().accept(&given).map_err(|problems| {
            problems.iter().map(|problem| format!("{} {}", problem.field, problem.what)).collect()
        })
    }

    #[test]
    fn what_satisfies_it_comes_out_coerced() {
        let inputs =
            accept(&[("rate", "2.50"), ("customer_id", "\"42\""), ("unknown", "{}")]).unwrap();
        assert_eq!(inputs.get("customer_id"), Some(&Scalar::Integer(42)));
        assert_eq!(inputs.get("rate"), Some(&Scalar::Number(2.5)));
        assert_eq!(inputs.get("email"), None);
        assert_eq!(inputs.get("unknown"), None);
    }

    #[test]
    fn every_writing_of_an_integer_gives_the_same_inputs() {
        let first = accept(&[("customer_id", "42"), ("rate", "1")]).unwrap();
        for same in ["42.0", "\"42\"", "4.2e1"] {
            assert_eq!(accept(&[("rate", "1.0"), ("customer_id", same)]).unwrap(), first, "{same}");
        }
    }

    #[test]
    fn all_problems_are_named_at_once_in_the_order_of_the_contract() {
        let problems =
            accept(&[("vip", "1"), ("email", "\"not an address at all\""), ("customer_id", "-1")]);
        assert_eq!(
            problems.unwrap_err(),
            [
                "customer_id must be at least 1",
                "customer_id must be a multiple of 2",
                "email must have at most 20 characters",
                "email must have the format email",
                "vip must be true or false",
                "rate is required",
            ]
        );
    }

    #[test]
    fn null_is_told_apart_from_left_out() {
        assert_eq!(
            accept(&[("customer_id", "null"), ("email", "null"), ("rate", "1")]).unwrap_err(),
            ["customer_id must not be null", "email must not be null; leave it out"]
        );
    }

    #[test]
    fn an_input_given_twice_is_refused_even_if_the_values_agree() {
        assert_eq!(
            accept(&[
                ("customer_id", "2"),
                ("x", "1"),
                ("x", "2"),
                ("customer_id", "2"),
                ("rate", "1")
            ])
            .unwrap_err(),
            ["customer_id is given twice"]
        );
    }

    #[test]
    fn no_problem_shows_a_part_of_the_value() {
        let secret = "\"S3CRET@example.invalid.S3CRET\"";
        for name in ["customer_id", "email", "vip", "rate"] {
            for problem in accept(&[(name, secret)]).unwrap_err() {
                assert!(!problem.contains("S3CRET"), "{problem}");
            }
        }
    }

    #[test]
    fn keywords_that_do_not_compile_name_their_field() {
        let problems = Contract::new(vec![
            field("good", Kind::String, true, &json!({"minLength": 1})),
            field("bad", Kind::Integer, true, &json!({"minimum": "one"})),
            field("worse", Kind::String, true, &json!({"pattern": "("})),
            field("good", Kind::String, true, &json!({})),
        ])
        .unwrap_err();
        let fields: Vec<_> = problems.iter().map(|problem| &*problem.field).collect();
        assert_eq!(fields, ["bad", "worse", "good"]);
        assert!(problems[0].what.starts_with("minimum is no valid JSON Schema: "), "{problems:?}");
        assert_eq!(problems[2].what, "is named twice");
    }

    #[test]
    fn a_contract_without_required_fields_accepts_nothing_at_all() {
        let contract = Contract::new(vec![field("a", Kind::String, false, &json!({}))]).unwrap();
        assert!(contract.all_optional());
        assert_eq!(contract.accept::<&str>(&[]).unwrap().get("a"), None);
        assert!(!self::contract().all_optional());
    }
}
