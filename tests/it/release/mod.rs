//! How it is released: the workflows are in order and safe, and a version is the same everywhere.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

mod changelog;
mod cut;
mod workflows;

use std::{fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}
