//! Forms: what an output is. Inputs are scalars; outputs may be arrays and objects too.

use serde_json::Value;

use crate::catalog::scalar::Kind;

/// The type of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One value.
    Scalar(Kind),
    /// An array, as the reply has it.
    Array,
    /// An object, as the reply has it.
    Object,
}

impl Form {
    /// Its name in JSON Schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar(kind) => kind.name(),
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// What a value of this form must be, as the end of a sentence.
    pub(super) fn demand(self) -> &'static str {
        match self {
            Self::Scalar(kind) => kind.demand(),
            Self::Array => "must be an array",
            Self::Object => "must be an object",
        }
    }

    /// Whether `value` is of this form as it stands, without any coercion.
    pub(super) fn fits(self, value: &Value) -> bool {
        match self {
            Self::Scalar(kind) => kind.fits(value),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

impl From<Kind> for Form {
    fn from(kind: Kind) -> Self {
        Self::Scalar(kind)
    }
}
