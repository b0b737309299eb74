//! Text with `{name}` in it: the common ground of headers and bodies.

use std::sync::Arc;

use crate::catalog::template::BadTemplate;

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it stands.
    Literal(String),
    /// The text of the input of that name.
    Name(Arc<str>),
}

/// Whether `name` may stand between braces: a name of RFC 6570, or one with hyphens, which input
/// names have.
pub(super) fn is_name(name: &str) -> bool {
    let inside = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    name.split('.').all(|part| !part.is_empty() && part.bytes().all(inside))
}

/// Splits `text` at its names. A literal brace is written twice.
pub(super) fn split(text: &str) -> Result<Vec<Piece>, BadTemplate> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
            continue;
        }
        let name = (brace == "{").then(|| after.split_once('}')).flatten();
        match name {
            Some((name, after)) if is_name(name) => {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Name(name.into()));
                rest = after;
            }
            Some(_) => return Err(bad("has braces without an input's name between them")),
            None if brace == "{" => return Err(bad("has a { without its }")),
            None => return Err(bad("has a } without its {")),
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// The names in `pieces`.
pub(super) fn names(pieces: &[Piece]) -> impl Iterator<Item = &str> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Literal(_) => None,
        Piece::Name(name) => Some(&**name),
    })
}

fn bad(what: &str) -> BadTemplate {
    BadTemplate(format!(
        "{what}: write {{name}} for an input, and {{{{ and }}}} for literal braces"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.to_owned())
    }

    #[test]
    fn names_and_doubled_braces_are_told_apart() {
        let name = || Piece::Name("a".into());
        for (text, wanted) in [
            ("", vec![]),
            ("{a}", vec![name()]),
            ("x{a}y", vec![literal("x"), name(), literal("y")]),
            ("{a}{a}", vec![name(), name()]),
            ("{{a}}", vec![literal("{a}")]),
            ("{{{a}}}", vec![literal("{"), name(), literal("}")]),
            ("}}{{", vec![literal("}{")]),
            ("\u{e9}{a}\u{e9}", vec![literal("\u{e9}"), name(), literal("\u{e9}")]),
        ] {
            assert_eq!(split(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn open_braces_are_refused() {
        for text in [
            "{", "}", "{a", "a}", "{}", "{ a }", "{a{b}", "{a}}", "{{a}", "{\u{e9}}", "{.a}",
            "{a.}", "{a..b}",
        ] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
