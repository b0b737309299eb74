//! Reading an address template: what RFC 6570 allows, less what would let a value leave its place.

use std::sync::Arc;

use super::{Query, encode};
use crate::catalog::template::{
    BadTemplate,
    text::{Piece, is_name},
};

/// The path's segments and the parts of the query.
type Parsed = (Vec<Vec<Piece>>, Vec<Query>);

/// What has been read so far.
#[derive(Default)]
struct Reader {
    segments: Vec<Vec<Piece>>,
    query: Vec<Query>,
    place: Place,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Path,
    /// After a literal `?`.
    Query,
    /// After `{?...}`, which may have become nothing.
    AfterPairs,
}

pub(super) fn parse(text: &str) -> Result<Parsed, BadTemplate> {
    if !text.starts_with('/') {
        return bad(
            "must begin with a /, as in /users/{id}: the upstream's base_url says the rest",
        );
    }
    if text.starts_with("//") {
        return bad("must not begin with //, which names another host: write one /");
    }
    let mut reader = Reader::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '{' {
            let Some((expression, after)) = rest[1..].split_once('}') else {
                return bad("has a { without its }: write {name}, or %7B for a literal brace");
            };
            reader.expression(expression)?;
            rest = after;
        } else {
            let length = reader.literal(rest, first)?;
            rest = &rest[length..];
        }
    }
    for segment in &reader.segments {
        if let [Piece::Literal(literal)] = segment.as_slice()
            && is_dot_segment(literal)
        {
            return bad("has a segment that is . or ..: write the path it leads to");
        }
    }
    Ok((reader.segments, reader.query))
}

impl Reader {
    /// Takes the character at the head of `rest`; gives its length, that of an encoded one being
    /// three.
    fn literal(&mut self, rest: &str, first: char) -> Result<usize, BadTemplate> {
        if self.place == Place::AfterPairs {
            return bad(AFTER_PAIRS);
        }
        match (first, self.place) {
            ('/', Place::Path) => self.segments.push(Vec::new()),
            ('?', Place::Path) => {
                self.place = Place::Query;
                self.push_literal("?");
            }
            ('#', _) => return bad("must not have a #: fragments are never sent"),
            ('}', _) => return bad("has a } without its {: write %7D for a literal brace"),
            ('%', _) => {
                let encoded = rest
                    .get(..3)
                    .filter(|code| code.bytes().skip(1).all(|digit| digit.is_ascii_hexdigit()));
                let Some(encoded) = encoded else {
                    return bad(
                        "has a % without two hexadecimal digits: write %25 for a literal one",
                    );
                };
                self.push_literal(encoded);
                return Ok(3);
            }
            // Encoded as the reader of the address would, which the proof compares to the letter.
            ('\'', Place::Query) => self.push_literal("%27"),
            (c, _) if c.is_control() => return bad("must not have control characters"),
            (' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '|', _) => {
                let mut encoded = String::new();
                encode(first.encode_utf8(&mut [0; 4]), &mut encoded);
                return Err(BadTemplate(format!(
                    "must not have the character {first:?} outside of expressions: write {encoded}"
                )));
            }
            (c, _) if c.is_ascii() => self.push_literal(c.encode_utf8(&mut [0; 4])),
            (c, _) => {
                let mut encoded = String::new();
                encode(c.encode_utf8(&mut [0; 4]), &mut encoded);
                self.push_literal(&encoded);
            }
        }
        Ok(first.len_utf8())
    }

    fn push_literal(&mut self, text: &str) {
        let last = match self.place {
            Place::Path => self.segments.last_mut().and_then(|segment| segment.last_mut()),
            Place::Query | Place::AfterPairs => match self.query.last_mut() {
                Some(Query::Piece(piece)) => Some(piece),
                Some(Query::Pairs { .. }) | None => None,
            },
        };
        if let Some(Piece::Literal(literal)) = last {
            literal.push_str(text);
        } else {
            self.push(Piece::Literal(text.to_owned()));
        }
    }

    fn push(&mut self, piece: Piece) {
        match self.place {
            Place::Path => {
                let segment = self.segments.last_mut().expect("a template begins with a slash");
                segment.push(piece);
            }
            Place::Query | Place::AfterPairs => self.query.push(Query::Piece(piece)),
        }
    }

    /// Takes what stands between braces.
    fn expression(&mut self, expression: &str) -> Result<(), BadTemplate> {
        let lead = expression.chars().next();
        match (lead, self.place) {
            (_, Place::AfterPairs) => bad(AFTER_PAIRS),
            (Some('?'), Place::Query) => bad("has {?..} after a ?: write {&..}"),
            (Some('&'), Place::Path) => bad("has {&..} without a ? before it: write {?..}"),
            (Some(lead @ ('?' | '&')), Place::Path | Place::Query) => {
                let names = expression[1..].split(',').map(name).collect::<Result<_, _>>()?;
                self.query.push(Query::Pairs { lead, names });
                if lead == '?' {
                    self.place = Place::AfterPairs;
                }
                Ok(())
            }
            (Some(operator), _) if OPERATORS.contains(operator) => Err(refuse_operator(operator)),
            (_, Place::Path | Place::Query) if expression.contains(',') => {
                bad("has several names in one {..}, whose values would run together: write {a},{b}")
            }
            (_, Place::Path | Place::Query) => {
                self.push(Piece::Name(name(expression)?));
                Ok(())
            }
        }
    }
}

const AFTER_PAIRS: &str = "has something after {?..}, which is nothing at all when its inputs are left \
    out: put all names into it, or write fixed parameters first, as in ?size=1{&a,b}";

/// Operators of RFC 6570 other than `?` and `&`, and those it reserves.
const OPERATORS: &str = "+#./;=,!@|";

fn refuse_operator(operator: char) -> BadTemplate {
    BadTemplate(match operator {
        '+' => {
            "must not have {+name}: it leaves / and ? in values unencoded; write {name}".to_owned()
        }
        '#' => {
            "must not have {#name}: fragments are never sent; write {name} or {?name}".to_owned()
        }
        '.' => "must not have {.name}: a value could make a dot segment; write .{name}".to_owned(),
        '/' => "must not have {/name}: an input left out would shorten the path; write /{name}"
            .to_owned(),
        ';' => "must not have {;name}: an input left out would change the path; write ;name={name}"
            .to_owned(),
        reserved => format!("has the operator {reserved}, which RFC 6570 reserves: write {{name}}"),
    })
}

fn name(text: &str) -> Result<Arc<str>, BadTemplate> {
    if text.ends_with('*') || text.contains(':') {
        return bad(
            "must not have a modifier (* or :1): inputs are single values and sent whole; write {name}",
        );
    }
    if !is_name(text) {
        return bad("has braces without an input's name between them: write {name}");
    }
    Ok(text.into())
}

fn bad<T>(what: &str) -> Result<T, BadTemplate> {
    Err(BadTemplate(what.to_owned()))
}

/// Whether a reader of the address would take this segment for `.` or `..`.
pub(super) fn is_dot_segment(segment: &str) -> bool {
    let mut dots = 0;
    let mut rest = segment.as_bytes();
    loop {
        rest = match rest {
            [] => return dots == 1 || dots == 2,
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return false,
        };
        dots += 1;
    }
}
