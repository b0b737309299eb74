//! Expansions in values: `${ENV}`, `${ENV:-default}`, `${file:/path}`, and `$${` for a literal `${`.
//!
//! They are made in the finished tree, never in its text: whatever a variable holds, it stays one
//! scalar and cannot add a key. A value that consists only of expansions and comes to nothing counts
//! as not written.

use std::path::Path;

use crate::config::{
    node::{Content, Node, Scalar, below},
    problem::Findings,
};

/// Bytes of a file that is named by `${file:...}`.
const MAX_SECRET: u64 = 64 * 1024;

/// Where variables come from.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands every value of the tree. What cannot be expanded becomes [`Content::Broken`].
pub(super) fn tree(node: &mut Node, path: &str, env: Env<'_>, findings: &Findings) {
    let wrong = match &mut node.content {
        Content::Broken => return,
        Content::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                tree(item, &format!("{path}[{index}]"), env, findings);
            }
            return;
        }
        Content::Map(entries) => {
            for (key, value) in entries {
                tree(value, &below(path, &key.text), env, findings);
            }
            return;
        }
        Content::Scalar(scalar) => scalar_in_place(scalar, env, findings),
    };
    for Wrong { what, instead, unset } in &wrong {
        match unset {
            // Half of the world writes its templates so.
            Some(name) if path.contains(".request.") => {
                let instead = format!("set it, or write {{{name}}} where the input is meant");
                findings.refuse(node.place, path, what, instead);
            }
            Some(_) | None => findings.refuse(node.place, path, what, instead),
        }
    }
    if !wrong.is_empty() {
        node.content = Content::Broken;
    }
}

/// What is wrong with a value, and what to write instead.
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) instead: String,
    /// The variable that is not set.
    unset: Option<String>,
}

impl Wrong {
    fn new(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { what: what.into(), instead: instead.into(), unset: None }
    }
}

fn scalar_in_place(scalar: &mut Scalar, env: Env<'_>, findings: &Findings) -> Vec<Wrong> {
    if !scalar.text.contains("${") {
        return Vec::new();
    }
    let written = scalar.written.insert(std::mem::take(&mut scalar.text));
    let (mut rest, mut wrong, mut only) = (&**written, Vec::new(), true);
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            scalar.text.push_str(before);
            scalar.text.push_str("${");
            (rest, only) = (after, false);
            continue;
        }
        scalar.text.push_str(before);
        only &= before.is_empty();
        let Some(end) = after.find('}') else {
            wrong.push(Wrong::new(
                "has a ${ without its }",
                "close it, or write $${ for a literal ${",
            ));
            return wrong;
        };
        scalar.expanded = true;
        match one(&after[..end], env, findings) {
            Ok(Found { text, source, secret }) => {
                scalar.text.push_str(&text);
                scalar.sources.extend(source);
                scalar.secret.set(scalar.secret.get() || secret);
            }
            Err(error) => wrong.push(error),
        }
        rest = &after[end + 1..];
    }
    scalar.text.push_str(rest);
    scalar.vanished = only && rest.is_empty() && scalar.text.is_empty();
    wrong
}

struct Found {
    text: String,
    /// Where it comes from, if not from the configuration itself.
    source: Option<String>,
    secret: bool,
}

impl Found {
    fn default(text: &str) -> Self {
        Self { text: text.to_owned(), source: None, secret: false }
    }
}

/// What stands for the text between `${` and `}`.
fn one(inside: &str, env: Env<'_>, findings: &Findings) -> Result<Found, Wrong> {
    if let Some(path) = inside.strip_prefix("file:") {
        let source = Some(format!("the file {path}"));
        return secret(path, findings).map(|text| Found { text, source, secret: true });
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_variable(name) {
        let what = "has a ${...} that is no variable, default or file";
        let instead = "write ${NAME}, ${NAME:-default} or ${file:/path}, or $${ for a literal ${";
        return Err(Wrong::new(what, instead));
    }
    if default.is_some_and(|default| default.contains("${")) {
        let what = "has an expansion inside an expansion";
        return Err(Wrong::new(what, "write a plain default after :-"));
    }
    match (env(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(Found::default(default)),
        (Some(text), _) => Ok(Found {
            text,
            source: Some(format!("the environment variable {name}")),
            secret: false,
        }),
        (None, Some(default)) => Ok(Found::default(default)),
        (None, None) => {
            let what = format!("the environment variable {name} is not set");
            let instead = format!("set it, or write ${{{name}:-default}}");
            Err(Wrong { unset: Some(name.to_owned()), ..Wrong::new(what, instead) })
        }
    }
}

fn is_variable(name: &str) -> bool {
    let inside = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let starts = name.bytes().next().is_some_and(|c| !c.is_ascii_digit());
    starts && name.len() <= 256 && name.bytes().all(inside)
}

/// The text of a secret file without its last line end. Errors name the path, never the content.
fn secret(path: &str, findings: &Findings) -> Result<String, Wrong> {
    let refused = |why: &str| refused(path, why);
    let bytes = file(path, MAX_SECRET, "write ${file:/path} from the root", findings)?;
    let mut text = String::from_utf8(bytes).map_err(|_| refused("is not text in UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    // Counting it as not written would quietly switch off what it protects.
    if text.is_empty() { Err(refused("is empty")) } else { Ok(text) }
}

/// The bytes of a file that the configuration names, at most `most` of them; `absolute` says how to
/// write its path. Every such file is read here, and with that a source of the configuration.
pub(super) fn file(
    path: &str,
    most: u64,
    absolute: &str,
    findings: &Findings,
) -> Result<Vec<u8>, Wrong> {
    if !path.starts_with('/') {
        return Err(Wrong::new("names a file by a relative path", absolute));
    }
    findings.read_file(Path::new(path), most).map_err(|why| refused(path, &why))
}

fn refused(path: &str, why: &str) -> Wrong {
    Wrong::new(format!("the file {path} {why}"), "mend the path or the file")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn expand(text: &str) -> (Scalar, Vec<String>) {
        let env = |name: &str| match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            "HOSTILE" => Some("a\nb: ${SET}".to_owned()),
            _ => None,
        };
        let mut scalar = Scalar::written(text, false);
        let wrong = scalar_in_place(&mut scalar, &env, &Findings::of("f"));
        (
            scalar,
            wrong
                .into_iter()
                .map(|Wrong { what, instead, .. }| format!("{what}; {instead}"))
                .collect(),
        )
    }

    #[test]
    fn variables_defaults_and_literals_are_expanded_in_place() {
        for (text, expected) in [
            ("${SET}", "value"),
            ("a-${SET}-b-${SET}", "a-value-b-value"),
            ("${SET:-other}", "value"),
            ("${UNSET:-other}", "other"),
            ("${EMPTY:-other}", "other"),
            ("${UNSET:-https://x.example/y}", "https://x.example/y"),
            ("$${SET}", "${SET}"),
            ("$5 and $name", "$5 and $name"),
            ("$.name", "$.name"),
            ("${HOSTILE}", "a\nb: ${SET}"),
            ("{id}", "{id}"),
        ] {
            let (scalar, wrong) = expand(text);
            assert_eq!((&*scalar.text, wrong), (expected, Vec::new()), "{text}");
        }
    }

    #[test]
    fn only_expansions_that_come_to_nothing_count_as_not_written() {
        for (text, vanished) in [
            ("${EMPTY}", true),
            ("${UNSET:-}", true),
            ("${UNSET:-}${EMPTY}", true),
            ("${SET}", false),
            (" ${EMPTY}", false),
            ("x${EMPTY}", false),
            ("$${", false),
            ("", false),
        ] {
            assert_eq!(expand(text).0.vanished, vanished, "{text:?}");
        }
    }

    #[test]
    fn every_expansion_at_fault_is_named() {
        assert_eq!(
            expand("${A} ${B}").1,
            [
                "the environment variable A is not set; set it, or write ${A:-default}",
                "the environment variable B is not set; set it, or write ${B:-default}"
            ]
        );
        assert!(expand("${SET").1[0].contains("without its }"));
        for text in ["${}", "${1A}", "${a b}", "${SET:?x}"] {
            assert!(expand(text).1[0].contains("no variable, default or file"), "{text}");
        }
        assert!(expand("${A:-${SET}}").1[0].contains("inside an expansion"));
    }

    #[test]
    fn a_secret_file_loses_its_last_line_end_and_is_marked() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"top secret\r\n").unwrap();
        let (scalar, wrong) = expand(&format!("Bearer ${{file:{}}}", file.path().display()));
        assert_eq!((&*scalar.text, wrong), ("Bearer top secret", Vec::new()));
        assert!(scalar.secret.get());
    }

    #[test]
    fn a_file_that_cannot_be_a_secret_is_named_by_its_path() {
        assert_eq!(
            expand("${file:/nowhere/x}").1,
            ["the file /nowhere/x cannot be read (entity not found); mend the path or the file"]
        );
        assert!(expand("${file:relative}").1[0].contains("relative path"));
        assert!(expand("${file:/dev/zero}").1[0].contains("no plain file"));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(expand(&format!("${{file:{}}}", file.path().display())).1[0].contains("is empty"));
    }
}
