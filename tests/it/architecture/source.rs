//! Reads a Rust source as far as the rules need it: its tests set apart, and the paths that it names.
//!
//! This is no parser: what a macro makes, and a path inside a string, are not seen.

use std::ops::Range;

use super::tokens::{Token, closing, tokens};

/// A path as it is written, such as `super::key::CacheKey`.
#[derive(Debug)]
pub(super) struct Named<'a> {
    /// Its segments; those of a group in a `use` are joined to what stands before the group.
    pub(super) segments: Vec<&'a str>,
    /// Whether it begins with `::`, and so with a crate.
    pub(super) global: bool,
    /// The name that a `use` gives it here.
    pub(super) binds: Option<&'a str>,
    /// The line of its last segment.
    pub(super) line: usize,
    /// The modules inside this file in which it stands.
    inside: Vec<&'a str>,
}

/// One file.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// From the root of the repository, with `/`.
    pub(super) path: &'a str,
    /// All of it.
    pub(super) text: &'a str,
    /// All its tokens, tests and all.
    pub(super) tokens: Vec<Token<'a>>,
    /// Which of the tokens are modules behind `#[cfg(test)]`.
    tests: Vec<Range<usize>>,
}

impl<'a> Source<'a> {
    /// Takes a file apart.
    pub(super) fn read(path: &'a str, text: &'a str) -> Self {
        let tokens = tokens(text);
        let tests = test_modules(&tokens);
        Self { path, text, tokens, tests }
    }

    /// Its tokens without test modules.
    pub(super) fn code(&self) -> Vec<Token<'a>> {
        let tested = |at: &usize| self.tests.iter().any(|range| range.contains(at));
        (0..self.tokens.len()).filter(|at| !tested(at)).map(|at| self.tokens[at]).collect()
    }

    /// The lines of test modules, first and last.
    pub(super) fn test_lines(&self) -> Vec<(usize, usize)> {
        let line = |at: usize| self.tokens[at].line;
        self.tests.iter().map(|range| (line(range.start), line(range.end - 1))).collect()
    }

    /// The module that a file of `src/` is: none for `lib.rs`, `["main"]` for `main.rs`. `None` for a
    /// file elsewhere, and for one that is only compiled for tests (`tests.rs` in a folder).
    pub(super) fn module(&self) -> Option<Vec<&'a str>> {
        let inside = self.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let mut module: Vec<_> = inside.split('/').collect();
        if module.contains(&"tests") {
            return None;
        }
        if module.last() == Some(&"mod") || module == ["lib"] {
            module.pop();
        }
        Some(module)
    }

    /// Every path that its code names, tests left out.
    pub(super) fn paths(&self) -> Vec<Named<'a>> {
        let mut reader = Reader { tokens: self.code(), at: 0, depth: 0, inside: Vec::new() };
        reader.read()
    }

    /// The path from the root of our crate, where `named` is one of ours: empty for the root itself.
    pub(super) fn resolve(&self, named: &Named<'a>) -> Option<Vec<&'a str>> {
        let mut module = self.module()?;
        let binary = module == ["main"];
        module.extend(&named.inside);
        let rest = named.segments.as_slice();
        match *rest.first()? {
            _ if named.global => None,
            "holdline" => Some(rest[1..].to_vec()),
            _ if binary => None,
            "crate" => Some(rest[1..].to_vec()),
            "self" => Some([&module[..], &rest[1..]].concat()),
            "super" => {
                let up = rest.iter().take_while(|segment| **segment == "super").count();
                module.truncate(module.len().saturating_sub(up));
                Some([&module[..], &rest[up..]].concat())
            }
            _ => None,
        }
    }
}

/// Words after which `::` begins a path.
const KEYWORDS: [&str; 12] =
    ["as", "dyn", "else", "for", "if", "impl", "in", "match", "mut", "return", "where", "while"];

/// Walks over tokens and collects paths.
struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    /// The modules around the place, with the depth of their braces.
    inside: Vec<(&'a str, usize)>,
}

impl<'a> Reader<'a> {
    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    fn is_word(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(Token::is_word)
    }

    fn read(&mut self) -> Vec<Named<'a>> {
        let mut found = Vec::new();
        while self.at < self.tokens.len() {
            match self.text(self.at) {
                "{" => self.depth += 1,
                "}" => {
                    self.inside.retain(|(_, depth)| *depth < self.depth);
                    self.depth = self.depth.saturating_sub(1);
                }
                "mod" if self.text(self.at + 2) == "{" => {
                    self.inside.push((self.text(self.at + 1), self.depth + 1));
                }
                // `use<'a>` in a type is no import.
                "use" if self.text(self.at + 1) != "<" => {
                    self.at += 1;
                    self.tree(&[], &mut found);
                    continue;
                }
                _ if self.begins_path() => {
                    found.push(self.plain());
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        found
    }

    fn named(&self, segments: Vec<&'a str>, global: bool, binds: Option<&'a str>) -> Named<'a> {
        let inside = self.inside.iter().map(|(name, _)| *name).collect();
        let line = self.tokens[self.at.saturating_sub(1)].line;
        Named { segments, global, binds, line, inside }
    }

    /// Whether a path outside of a `use` begins here; `b` of `<A>::b::c` does not.
    fn begins_path(&self) -> bool {
        let goes_on = self.after_colons() && {
            let before = self.text(self.at.saturating_sub(2));
            before == ">" || self.is_word(self.at.saturating_sub(2)) && !KEYWORDS.contains(&before)
        };
        let is_name = self.is_word(self.at) && !KEYWORDS.contains(&self.text(self.at));
        is_name && self.text(self.at + 1) == "::" && !goes_on
    }

    fn after_colons(&self) -> bool {
        self.at > 0 && self.text(self.at - 1) == "::"
    }

    /// A path in an expression, a type, an attribute.
    fn plain(&mut self) -> Named<'a> {
        let global = self.after_colons();
        let mut segments = vec![self.text(self.at)];
        self.at += 1;
        while self.text(self.at) == "::" && self.is_word(self.at + 1) {
            segments.push(self.text(self.at + 1));
            self.at += 2;
        }
        self.named(segments, global, None)
    }

    /// What follows `use`, or one member of a group: its paths, each begun by `before`.
    fn tree(&mut self, before: &[&'a str], found: &mut Vec<Named<'a>>) {
        let global = before.is_empty() && self.text(self.at) == "::";
        self.at += usize::from(global);
        let mut segments = before.to_vec();
        loop {
            if self.text(self.at) == "{" {
                self.at += 1;
                while !matches!(self.text(self.at), "}" | "") {
                    self.tree(&segments, found);
                    self.at += usize::from(self.text(self.at) == ",");
                }
                self.at += 1;
                return;
            }
            if !(self.is_word(self.at) || self.text(self.at) == "*") {
                self.at += 1;
                return;
            }
            segments.push(self.text(self.at));
            self.at += 1;
            if self.text(self.at) != "::" {
                break;
            }
            self.at += 1;
        }
        if segments.len() > 1 && segments.last() == Some(&"self") {
            segments.pop();
        }
        let mut binds = segments.last().copied();
        if self.text(self.at) == "as" {
            binds = Some(self.text(self.at + 1));
            self.at += 2;
        }
        found.push(self.named(segments, global, binds));
    }
}

/// The ranges of tokens that are `#[cfg(test)] mod … { … }` or `#[cfg(test)] mod …;`.
fn test_modules(tokens: &[Token<'_>]) -> Vec<Range<usize>> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let start = at;
        at += 1;
        let cfg = text(start) == "#" && text(start + 1) == "[" && text(start + 2) == "cfg";
        let only = text(start + 4) == "test" && text(start + 5) == ")"
            || text(start + 4) == "all" && text(start + 6) == "test";
        if !(cfg && only) {
            continue;
        }
        let mut next = start;
        while text(next) == "#" {
            next = closing(tokens, next + 1) + 1;
        }
        if text(next) == "pub" {
            next += 1;
            if text(next) == "(" {
                next = closing(tokens, next) + 1;
            }
        }
        if text(next) == "mod" {
            let end = if text(next + 2) == "{" { closing(tokens, next + 2) } else { next + 2 };
            at = (end + 1).min(tokens.len());
            found.push(start..at);
        }
    }
    found
}

#[test]
fn paths_are_found_in_groups_expressions_types_and_attributes() {
    let text = "
use a::{b, c::{self, d as e}, *};
pub(crate) use ::f::g;
#[h::i] fn j(k: impl ::l::M + use<'_>) -> <N as o::P>::Q { r::s!(T::<u8>::u::v()) }
";
    let source = Source::read("src/x.rs", text);
    let paths: Vec<_> = source.paths().iter().map(|named| named.segments.join("::")).collect();
    let expected = ["a::b", "a::c", "a::c::d", "a::*", "f::g", "h::i", "l::M", "o::P", "r::s", "T"];
    assert_eq!(paths, expected);
    let global = source.paths().iter().filter(|named| named.global).count();
    assert_eq!(global, 2);
    let binds: Vec<_> = source.paths().iter().filter_map(|named| named.binds).collect();
    assert_eq!(binds, ["b", "c", "e", "*", "g"]);
}

#[test]
fn relative_paths_are_resolved_from_the_module_they_stand_in() {
    let text =
        "use super::a; use crate::b; mod m { use super::super::c; use self::d; } use self::e;";
    let source = Source::read("src/x/y.rs", text);
    let resolve = |named: &Named<'_>| source.resolve(named).map(|path| path.join("::"));
    let paths: Vec<_> = source.paths().iter().filter_map(resolve).collect();
    assert_eq!(paths, ["x::a", "b", "x::c", "x::y::m::d", "x::y::e"]);
}

#[test]
fn test_modules_are_set_apart() {
    let text = "a::b; #[cfg(test)]\n#[expect(x)]\npub(crate) mod tests { c::d; }\ne::f;
#[cfg(all(test, unix))] mod more;\n#[cfg(not(test))] mod real { g::h; }";
    let source = Source::read("src/x.rs", text);
    assert_eq!(source.test_lines(), [(1, 3), (5, 5)]);
    let paths: Vec<_> = source.paths().iter().map(|named| named.segments.join("::")).collect();
    assert_eq!(paths, ["a::b", "e::f", "g::h"]);
}
