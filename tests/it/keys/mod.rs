//! Every key of a configuration file has a test in which changing it changes what is done.
//!
//! The tables name them, section by section; which keys there are is read from the schema. A key that
//! is added without its test fails here, by its name, and so does a test of a key that is gone. New
//! tests stand here where no other file was the place for them.

pub(crate) mod actions;
pub(crate) mod callers;
pub(crate) mod contracts;
mod schema;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod upstreams;

use std::{collections::BTreeSet, fs, path::Path};

use holdline::config;

/// Keys that have one test, and its path from the root of the tests.
pub(crate) type Row = (&'static [&'static str], &'static [&'static str]);

/// Makes a table of keys and their tests, and sees to it that each test that it names exists.
macro_rules! keys {
    ($($($key:literal)|+ => $($step:ident)::+,)*) => {
        $(const _: fn() = crate::$($step)::+;)*

        /// The keys of this section.
        pub(super) const KEYS: &[$crate::keys::Row] =
            &[$((&[$($key),+], &[$(stringify!($step)),+])),*];
    };
}
use keys;

fn rows() -> impl Iterator<Item = &'static Row> {
    [server::KEYS, service::KEYS, callers::KEYS, upstreams::KEYS, actions::KEYS, contracts::KEYS]
        .into_iter()
        .flatten()
}

#[test]
fn every_key_of_the_schema_has_a_test_and_no_test_is_of_a_key_that_is_gone() {
    let schema = schema::keys(&config::schema::schema());
    let tested: Vec<_> = rows().flat_map(|(keys, _)| *keys).copied().collect();
    let listed: BTreeSet<_> = tested.iter().copied().collect();
    assert_eq!(listed.len(), tested.len(), "a key stands twice");
    let keys: BTreeSet<_> = schema.iter().map(String::as_str).collect();
    let untested: Vec<_> = keys.difference(&listed).collect();
    assert_eq!(untested, [&""; 0], "keys without a test: write one, and its row");
    let gone: Vec<_> = listed.difference(&keys).collect();
    assert_eq!(gone, [&""; 0], "rows without a key: take them out");
}

#[test]
fn what_a_row_names_is_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for (keys, steps) in rows() {
        let (name, modules) = steps.split_last().expect("a path");
        let folder = root.join(modules.join("/"));
        let files = [folder.with_extension("rs"), folder.join("mod.rs")];
        let text = files.iter().find_map(|file| fs::read_to_string(file).ok());
        let text = text.unwrap_or_else(|| panic!("{}: no such file", folder.display()));
        let (before, _) = text.split_once(&format!("fn {name}()")).expect("it compiles");
        let head = before.lines().rev().skip(1).take_while(|line| !line.is_empty());
        let marked = head.filter(|line| line.starts_with("#[")).any(|line| line.contains("test"));
        assert!(marked, "{keys:?}: {name} is no test");
    }
}
