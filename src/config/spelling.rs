//! The spellings of single values: a reader says which one it reads, and the schema writes the same one
//! as JSON Schema. Tests hold the two together.

use serde_json::{Value as Json, json};

/// How a value may be spelt.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Spelling {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A time, zero included.
    Duration,
    /// A time that is not zero.
    Span,
    /// Bytes, with their unit.
    Size,
    /// Calls per second or minute.
    Rate,
    /// A whole number between these two, both included.
    Count(u64, u64),
    /// A number between these two, both included.
    Ratio(f64, f64),
    /// One word out of a closed list.
    Choice(Vec<String>),
    /// An IP address and a port.
    Address,
    /// An address of http or https.
    Url,
    /// A JSONPath.
    JsonPath,
    /// The name of a header.
    Header,
    /// What is never shown.
    Secret,
}

impl Spelling {
    /// One of these words.
    pub(super) fn choice<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        Self::Choice(words.into_iter().map(str::to_owned).collect())
    }

    /// As JSON Schema. Each lets a `${...}` pass, which is not expanded yet when an editor looks.
    pub(super) fn schema(&self) -> Json {
        let pattern = |pattern: &str| json!({"type": "string", "pattern": or_expansion(pattern)});
        match self {
            // YAML reads an unquoted 5 or true as what it looks like; here it is a text.
            Self::Text | Self::Secret => json!({"type": ["string", "number", "boolean"]}),
            Self::Flag => json!({"type": ["boolean", "string"], "pattern": EXPANSION}),
            Self::Duration => pattern("^[0-9]+(ms|s|m|h)$"),
            Self::Span => pattern("^0*[1-9][0-9]*(ms|s|m|h)$"),
            Self::Size => pattern("^0*[1-9][0-9]*(B|KiB|MiB|GiB)$"),
            Self::Rate => pattern("^0*[1-9][0-9]*/(s|m)$"),
            Self::Count(least, most) => json!({
                "type": ["integer", "string"],
                "minimum": least,
                "maximum": most,
                "pattern": EXPANSION,
            }),
            Self::Ratio(least, most) => json!({
                "type": ["number", "string"],
                "minimum": plain(*least),
                "maximum": plain(*most),
                "pattern": EXPANSION,
            }),
            Self::Choice(words) => json!({
                "anyOf": [{"enum": words}, {"type": "string", "pattern": EXPANSION}],
            }),
            Self::Address => {
                pattern(r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$")
            }
            Self::Url => pattern("^https?://[^\\s\\\\]+$"),
            Self::JsonPath => pattern(r"^\$"),
            Self::Header => pattern("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"),
        }
    }
}

/// Something in it is expanded.
pub(super) const EXPANSION: &str = r"\$\{";

/// `pattern`, or anything with an expansion in it.
pub(super) fn or_expansion(pattern: &str) -> String {
    format!("{pattern}|{EXPANSION}")
}

/// A whole number without its point, as people write bounds.
fn plain(number: f64) -> Json {
    format!("{number}").parse::<u64>().map_or_else(|_| json!(number), |whole| json!(whole))
}
