//! Names that say nothing are not used: of files, folders, modules, types and functions.
//!
//! Variants and fields are free: `Envelope::Data` and `api_base` are words of the contract.

use std::ops::Range;

use super::{
    Violation,
    source::Source,
    tokens::{Token, closing},
};

/// Words that stand nowhere in a name.
const NOWHERE: [&str; 7] = ["manager", "helper", "helpers", "util", "utils", "common", "misc"];

/// Words that are no name by themselves.
const NOT_ALONE: [&str; 5] = ["base", "data", "info", "handle", "process"];

/// A word that does not begin a name.
const NOT_FIRST: &str = "do";

/// Names that a foreign trait gives to what its implementations must have: the trait and the name.
const GIVEN: [(&str, &str); 3] =
    [("Middleware", "handle"), ("RetryableStrategy", "handle"), ("Body", "Data")];

/// What stands before a name.
const KINDS: [&str; 6] = ["fn", "mod", "struct", "enum", "trait", "type"];

/// Reports names that this house does without.
pub(super) fn check(source: &Source<'_>, found: &mut Vec<Violation>) {
    let mut report = |kind: &str, name: &str, word: &str, line: usize| {
        found.push(Violation {
            rule: "names",
            path: source.path.into(),
            line,
            what: format!("the {kind} `{name}` is called `{word}`"),
            mend: "say what it is or does, in the words of ARCHITECTURE.md".into(),
        });
    };

    let (_, inside) = source.path.split_once('/').unwrap_or_default();
    for part in inside.split('/') {
        let name = part.trim_end_matches(".rs");
        if let Some(word) = refused(name) {
            report(if name == part { "folder" } else { "file" }, name, &word, 1);
        }
    }

    let given = given(&source.tokens);
    for (at, pair) in source.tokens.windows(2).enumerate() {
        let [kind, name] = pair else { continue };
        if !(KINDS.contains(&kind.text) && name.is_word()) {
            continue;
        }
        let foreign = given.iter().any(|(body, given)| body.contains(&at) && *given == name.text);
        if let Some(word) = refused(name.text).filter(|_| !foreign) {
            report(kind.text, name.text, &word, name.line);
        }
    }
}

/// The word for which `name` is refused.
fn refused(name: &str) -> Option<String> {
    let words = words(name);
    if words.first().is_some_and(|first| first == NOT_FIRST) {
        return Some(NOT_FIRST.into());
    }
    let alone = words.len() == 1;
    let is_refused = |word: &String| {
        NOWHERE.contains(&word.as_str()) || alone && NOT_ALONE.contains(&word.as_str())
    };
    words.into_iter().find(is_refused)
}

/// The words of a name in snake, kebab or camel case, in lower case.
fn words(name: &str) -> Vec<String> {
    let name: Vec<char> = name.trim_start_matches("r#").chars().collect();
    let mut words = vec![String::new()];
    for (at, c) in name.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| name[at]);
        let after = name.get(at + 1);
        let begins = c.is_uppercase()
            && (before.is_some_and(|c| !c.is_uppercase())
                || after.is_some_and(|c| c.is_lowercase()));
        if begins || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The bodies of `impl … Trait for …` for the traits of [`GIVEN`], and the name each gives.
fn given(tokens: &[Token<'_>]) -> Vec<(Range<usize>, &'static str)> {
    let mut found = Vec::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| token.text == "impl") {
        let Some(length) = tokens[at..].iter().position(|token| token.text == "{") else {
            continue;
        };
        let open = at + length;
        let is_for = |name: &str| {
            let head = &tokens[at..open];
            head.windows(2).any(|w| w[0].text == name && w[1].text == "for")
        };
        let body = open..closing(tokens, open);
        let names = GIVEN.iter().filter(|(of, _)| is_for(of));
        found.extend(names.map(|(_, name)| (body.clone(), *name)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::expect_found;
    use super::*;

    #[test]
    fn a_ruled_out_name_is_reported() {
        for line in [
            "struct CacheManager;",
            "pub(crate) enum TokenHelper {}",
            "trait Util {}",
            "type CommonResult = ();",
            "fn misc_things() {}",
            "const fn url_utils() {}",
            "mod helpers {}",
            "fn handle() {}",
            "async fn process() {}",
            "fn do_fetch() {}",
            "struct DoFetch;",
            "struct Data;",
            "struct Info;",
            "type Base = ();",
            "trait A { fn handle(&self); }",
            "impl Other for B { fn handle(&self) {} }",
        ] {
            let text = format!("//! Planted.\n\n{line}\n");
            expect_found("src/time.rs", &text, &["names:3"]);
            let text = format!("//! Planted.\n#[cfg(test)]\nmod tests {{\n{line}\n}}\n");
            expect_found("src/time.rs", &text, &["names:4"]);
        }
    }

    #[test]
    fn a_ruled_out_file_is_reported() {
        for path in [
            "src/catalog/util.rs",
            "src/catalog/name_helper.rs",
            "src/demo/handle.rs",
            "src/server/common/mod.rs",
            "tests/it/support/helpers.rs",
            "tests/it/misc/cache.rs",
        ] {
            expect_found(path, "//! Planted.\n", &["names:1"]);
        }
    }

    #[test]
    fn words_of_the_contract_are_names() {
        let text = "//! Planted.
fn base_url() {}
fn api_base() {}
mod base64 {}
enum Envelope { Data, Flat }
struct DataAction { data: u8, info: u8 }
fn process_metrics() {}
fn domain() {}
fn utility() {}
fn f(handle: fn(u8)) {}
// fn handle() {}
const A: &str = \"fn handle() {}\";
";
        expect_found("src/time.rs", text, &[]);
    }

    #[test]
    fn what_a_foreign_trait_asks_for_is_called_as_it_says() {
        let text = "//! Planted.
impl reqwest_middleware::Middleware for Retry { async fn handle(&self) {} type Data = (); }
impl<B: Body> Body for Counted<B> { type Data = Bytes; fn handle() {} }
fn handle() {}
";
        let expected = ["names:2", "names:3", "names:4"];
        expect_found("src/pipeline/upstream/retry.rs", text, &expected);
    }

    #[test]
    fn names_fall_into_words() {
        assert_eq!(words("HTTPUtilV2"), ["http", "util", "v2"]);
        assert_eq!(words("r#do_it-now"), ["do", "it", "now"]);
    }
}
