//! The walls of the house, held by reading its sources.
//!
//! Each rule is a pure function over one file, so that its tests can plant a violation and see it
//! reported. The tables stand at the head of the rules: who imports whom (`imports`), the order of the
//! stages (`stages`), the one home of a foreign crate (`foreign`), the shape of a file (`shape`) and the
//! names that this house does without (`names`). `ARCHITECTURE.md` gives the reasons.

mod source;
mod tokens;

mod foreign;
mod imports;
mod names;
mod shape;
mod stages;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use source::Source;

/// A place where a source breaks a rule.
#[derive(Debug)]
struct Violation {
    /// The rule's name.
    rule: &'static str,
    /// The file, from the root of the repository.
    path: String,
    /// The line, from 1.
    line: usize,
    /// What is wrong.
    what: String,
    /// What to do about it.
    mend: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, path, line, what, mend } = self;
        write!(f, "{path}:{line}: [{rule}] {what}\n    {mend}")
    }
}

/// All that is wrong with the file `path` (from the root, with `/`) that reads `text`.
fn violations(path: &str, text: &str) -> Vec<Violation> {
    let source = Source::read(path, text);
    let mut found = Vec::new();
    imports::check(&source, &mut found);
    stages::check(&source, &mut found);
    foreign::check(&source, &mut found);
    shape::check(&source, &mut found);
    names::check(&source, &mut found);
    found
}

/// The `.rs` files under `folder`, in order.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder can be read") {
        let path = entry.expect("a source folder can be listed").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Whether exactly `expected` is reported for that file, each as `rule:line`.
#[track_caller]
fn expect_found(path: &str, text: &str, expected: &[&str]) {
    let found = violations(path, text);
    let short: Vec<_> = found.iter().map(|v| format!("{}:{}", v.rule, v.line)).collect();
    let long: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(short, expected, "in {path}:\n{text}\nfound: {long:#?}");
}

#[test]
fn every_wall_stands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = rust_files(&root.join("src"));
    assert!(files.contains(&root.join("src/lib.rs")), "the walk missed src/lib.rs");
    files.extend(rust_files(&root.join("tests")));
    assert!(
        files.contains(&root.join("tests/it/architecture/mod.rs")),
        "the walk missed this file"
    );

    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file is readable UTF-8");
        let path = file.strip_prefix(root).expect("the walk began at the root");
        let path: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        found.extend(violations(&path.join("/"), &text));
    }
    let report: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(report.is_empty(), "{} violations\n\n{}\n", report.len(), report.join("\n"));
}

#[test]
fn a_violation_says_where_it_is_which_rule_it_breaks_and_what_to_do() {
    let text = "//! A name.\n\nuse crate::pipeline::call::Call;\n";
    let found = violations("src/catalog/name.rs", text);
    let [violation] = found.as_slice() else { panic!("one, not {found:?}") };
    let report = violation.to_string();
    assert!(report.starts_with("src/catalog/name.rs:3: [imports] "), "{report}");
    assert!(report.contains("`catalog` imports `pipeline`"), "{report}");
    assert!(report.contains("it may import: fingerprint"), "{report}");
    assert!(report.contains("hand the value in"), "{report}");
}
