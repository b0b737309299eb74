//! What is no configuration at all, or made to hurt: one clear sentence, soon, and no stack overflows.

use std::fs;

use crate::config::{load, parse};

use super::{GOOD, accepted, no_env};

/// The only problem of `text`.
fn only(text: &str) -> String {
    let report = parse("f", text, &no_env).unwrap_err();
    let told: Vec<String> = report.problems().iter().map(ToString::to_string).collect();
    let [only] = &told[..] else { panic!("{told:?}") };
    only.clone()
}

#[test]
fn what_is_no_yaml_is_one_sentence() {
    for (text, expected) in [
        (
            "<!DOCTYPE html>\n<html>\n<body>Not found: /holdline.yaml</body>\n</html>\n",
            "f:1:1: is a web page or XML; write YAML",
        ),
        ("<html></html>\n", "f:1:1: is a web page or XML; write YAML"),
        (
            "PK\u{3}\u{4}\u{14}binary",
            "f:1:3: is no text: there is a control character (U+0003); write a text file in YAML",
        ),
        (
            "version: 1\n\u{0}actions: {}\n",
            "f:2:1: is no text: there is a control character (U+0000); write a text file in YAML",
        ),
        ("\u{feff}", "f: is empty; write at least one action"),
        ("\r\n\r\n", "f: is empty; write at least one action"),
        ("null\n", "f:1:1 actions: is missing; write at least one action"),
        ("# all commented out\n# actions:\n", "f: is empty; write at least one action"),
    ] {
        assert_eq!(only(text), expected, "{text:?}");
    }
}

#[test]
fn json_is_yaml_and_line_ends_are_what_they_are() {
    let json = super::json_of(GOOD).to_string();
    let (as_json, as_yaml) = (accepted(&json).catalog, accepted(GOOD).catalog);
    assert_eq!(as_json.actions.len(), as_yaml.actions.len());
    let windows = GOOD.replace('\n', "\r\n");
    let expected = accepted(GOOD).settings.revision;
    assert_eq!(accepted(&windows).settings.revision, expected);
    assert_eq!(accepted(&format!("\u{feff}{GOOD}")).settings.revision, expected);
}

#[test]
fn a_file_of_ten_megabytes_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holdline.yaml");
    let (line, mut text) = ("  lookup: {caller: none}\n", "actions:\n".to_owned());
    text.push_str(&line.repeat(10 * 1024 * 1024 / line.len()));
    fs::write(&file, text).unwrap();
    let report = load(&file, &no_env).unwrap_err().to_string();
    let name = file.display();
    assert_eq!(report, format!("{name}: is larger than 1 MiB; write a smaller file\n1 problem"));
}

#[test]
fn whatever_is_nested_without_an_end_is_one_sentence() {
    const LEVELS: usize = 100_000;
    let too_deep = "is more than 64 mappings and lists deep; write it flatter";
    for (text, expected) in [
        ("[".repeat(LEVELS), too_deep),
        (format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS)), too_deep),
        ("{a: ".repeat(LEVELS), too_deep),
        ("- ".repeat(LEVELS), too_deep),
        ("? ".repeat(LEVELS), too_deep),
        ((0..200).map(|level| format!("{}a:\n", " ".repeat(level))).collect(), too_deep),
        (format!("a: {}x", "!!str ".repeat(LEVELS)), "is not YAML"),
        (format!("a: {}x", "&a ".repeat(LEVELS)), "is not YAML"),
        (format!("a: {}", "\"".repeat(LEVELS + 1)), "is not YAML"),
        (format!("{}: 1", "a".repeat(LEVELS)), "is not YAML"),
        ("a: &a [*a]".to_owned(), "is an alias of something that contains it"),
        (format!("a: &a 1\nb: [{}]", "*a, ".repeat(60_000)), "has more than 50000 keys and values"),
    ] {
        let report = parse("f", &text, &no_env).unwrap_err().to_string();
        let start: String = text.chars().take(20).collect();
        assert!(report.contains(expected), "{start}: {report}");
        assert!(report.len() < 700 && report.lines().count() <= 4, "{start}: {report}");
    }
}

#[test]
fn aliases_of_aliases_do_not_grow() {
    for leaf in ["[x, x, x, x, x, x, x, x, x]", "{a: x, b: x, c: x}"] {
        let mut bomb = format!("a0: &a0 {leaf}\n");
        for n in 1..40 {
            let before = vec![format!("*a{}", n - 1); 9].join(", ");
            bomb += &format!("a{n}: &a{n} [{before}]\n");
        }
        assert!(only(&bomb).contains("has more than 50000 keys and values"));
    }
}
