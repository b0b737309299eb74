//! Cases that others have collected, in `tests/corpora`: the JSONPath compliance suite, the URI
//! template tests and JSONTestSuite. What does not hold for us is an exception with its reason, and
//! is counted, so that none comes in unseen.

mod json;
mod jsonpath;
mod uri_template;

use std::{fs, path::PathBuf};

use serde_json::Value;

/// The path of something in `tests/corpora`.
fn corpus(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpora").join(path)
}

/// A corpus that is one JSON document.
fn document(path: &str) -> Value {
    let text = fs::read_to_string(corpus(path)).expect("it is in the repository");
    serde_json::from_str(&text).expect("it is JSON")
}
