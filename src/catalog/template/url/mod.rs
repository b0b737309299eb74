//! Address templates: path and query by RFC 6570, narrowed to the expressions that keep every value
//! in its place.

mod parse;

use std::{fmt::Write, slice, sync::Arc};

use url::Url;

use crate::catalog::{
    contract::{Inputs, Problem},
    scalar::Scalar,
    template::{
        BadTemplate, note,
        text::{self, Piece},
    },
};

/// Path and query of a request: RFC 6570.
#[derive(Debug)]
pub struct UrlTemplate {
    text: String,
    /// What stands between the slashes; the first slash is before the first of them.
    segments: Vec<Vec<Piece>>,
    query: Vec<Query>,
}

/// A part of the query.
#[derive(Debug, PartialEq, Eq)]
enum Query {
    /// A literal, with its `?`, or the text of an input.
    Piece(Piece),
    /// `{?a,b}` or `{&a,b}`: pairs, without those whose input was left out.
    Pairs { lead: char, names: Vec<Arc<str>> },
}

/// Bytes of a value in an address, before encoding. No identifier is longer, and servers refuse
/// request lines of 8 KiB and more.
pub(super) const MAX_VALUE: usize = 256;

impl UrlTemplate {
    /// Parses a path with an optional query part.
    ///
    /// # Errors
    /// Where it is no RFC 6570 template, or lets a value leave its place.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let (segments, query) = parse::parse(text)?;
        Ok(Self { text: text.to_owned(), segments, query })
    }

    /// The same, told to people as `written`: what it was parsed from may hold what a variable of the
    /// environment holds, and that may be a secret.
    #[must_use]
    pub fn written_as(self, written: &str) -> Self {
        Self { text: written.to_owned(), ..self }
    }

    /// The template as written: the `url.template` of spans.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names in it.
    pub fn names(&self) -> Vec<&str> {
        self.path_names().chain(self.query_names()).collect()
    }

    /// The names in its path.
    pub(super) fn path_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().flat_map(|segment| text::names(segment))
    }

    fn query_names(&self) -> impl Iterator<Item = &str> {
        self.query.iter().flat_map(|part| {
            let (pieces, pairs): (_, &[_]) = match part {
                Query::Piece(piece) => (slice::from_ref(piece), &[]),
                Query::Pairs { names, .. } => (&[][..], names),
            };
            text::names(pieces).chain(pairs.iter().map(|name| &**name))
        })
    }

    /// Whether some segment is that input alone.
    pub(super) fn is_segment(&self, input: &str) -> bool {
        let alone =
            |segment: &Vec<Piece>| matches!(&segment[..], [Piece::Name(name)] if **name == *input);
        self.segments.iter().any(alone)
    }

    /// Adds what makes `inputs` unfit for it: what [`Self::expand`] would add, which is asked only
    /// where some value is not harmless in every place.
    pub(super) fn refuse(&self, inputs: &Inputs, problems: &mut Vec<Problem>) {
        let harmless = self.path_names().all(|name| inputs.get(name).is_some_and(is_harmless))
            && self.query_names().all(|name| inputs.get(name).is_none_or(is_harmless));
        if !harmless {
            self.expand(inputs, problems);
        }
    }

    /// Path and query for `inputs`; adds what makes them unfit for it.
    pub(super) fn expand(&self, inputs: &Inputs, problems: &mut Vec<Problem>) -> String {
        self.expand_under("", inputs, problems)
    }

    /// The same below the path `base`.
    fn expand_under(&self, base: &str, inputs: &Inputs, problems: &mut Vec<Problem>) -> String {
        let mut out = String::with_capacity(base.len() + self.text.len() + 32);
        out.push_str(base);
        for segment in &self.segments {
            out.push('/');
            expand_segment(segment, inputs, &mut out, problems);
        }
        for part in &self.query {
            expand_query(part, inputs, &mut out, problems);
        }
        out
    }

    /// The whole address for `inputs` under `base`, whose query and fragment are left behind.
    ///
    /// # Errors
    /// The first of the problems of [`Self::expand`]; or path and query, once set, are not to the letter
    /// what was written here.
    pub(super) fn render(&self, base: &Url, inputs: &Inputs) -> Result<Url, Problem> {
        let mut problems = Vec::new();
        let before = base.path().strip_suffix('/').unwrap_or(base.path());
        let written = self.expand_under(before, inputs, &mut problems);
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem);
        }
        let (path, query) = match written.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*written, None),
        };
        // The origin was read when the base was: no path and no query can touch it.
        let mut url = base.clone();
        url.set_fragment(None);
        url.set_query(query);
        url.set_path(path);
        let is_as_written = url.path() == path
            && url.query() == query
            && slashes(path) == slashes(before) + self.segments.len();
        if base.has_host() && is_as_written {
            return Ok(url);
        }
        // The checks above leave nothing that can come here; this is the proof, not the check.
        Err(Problem {
            field: self.names().first().copied().unwrap_or_default().into(),
            what: "does not fit the address of the request".to_owned(),
        })
    }
}

/// Whether `value` can neither be refused nor be a part of a dot segment. Numbers have a digit and
/// booleans a letter, and neither is long.
fn is_harmless(value: &Scalar) -> bool {
    match value {
        Scalar::String(text) => {
            text.len() <= MAX_VALUE
                && text.bytes().all(|c| (b' '..=b'~').contains(&c))
                && text.bytes().any(|c| c != b'.')
        }
        Scalar::Integer(_) | Scalar::Number(_) | Scalar::Boolean(_) => true,
    }
}

/// Segments of a path: each begins with a slash.
fn slashes(path: &str) -> usize {
    path.bytes().filter(|c| *c == b'/').count()
}

fn expand_segment(
    segment: &[Piece],
    inputs: &Inputs,
    out: &mut String,
    problems: &mut Vec<Problem>,
) {
    let start = out.len();
    let mut last = None;
    for piece in segment {
        match piece {
            Piece::Literal(literal) => out.push_str(literal),
            Piece::Name(name) => {
                last = Some(name);
                match inputs.get(name) {
                    Some(value) => expand_value(name, value, Place::Path, out, problems),
                    None => note(problems, name, "is required by the path"),
                }
            }
        }
    }
    // Harmless values can make a dot segment together with each other or with what stands around
    // them.
    let Some(name) = last else { return };
    let refused = |name: &str| problems.iter().any(|problem| *problem.field == *name);
    if text::names(segment).any(refused) {
        return;
    }
    if out.len() == start {
        note(problems, name, "must not be empty in the path");
    } else if parse::is_dot_segment(&out[start..]) {
        note(problems, name, DOTS);
    }
}

const DOTS: &str = "must not be . or .. in the path";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Query,
}

fn expand_value(
    name: &Arc<str>,
    value: &Scalar,
    place: Place,
    out: &mut String,
    problems: &mut Vec<Problem>,
) {
    let text = value.as_text();
    if text.len() > MAX_VALUE {
        note(problems, name, &format!("must have at most {MAX_VALUE} bytes in an address"));
    } else if text.chars().any(char::is_control) {
        note(problems, name, "must not have control characters");
    } else if place == Place::Path && matches!(&*text, "." | "..") {
        // Encoding does not help: WHATWG readers take %2E%2E for .. as well.
        note(problems, name, DOTS);
    } else {
        encode(&text, out);
    }
}

fn expand_query(part: &Query, inputs: &Inputs, out: &mut String, problems: &mut Vec<Problem>) {
    match part {
        Query::Piece(Piece::Literal(literal)) => out.push_str(literal),
        Query::Piece(Piece::Name(name)) => {
            if let Some(value) = inputs.get(name) {
                expand_value(name, value, Place::Query, out, problems);
            }
        }
        Query::Pairs { lead, names } => {
            let mut lead = *lead;
            for name in names {
                let Some(value) = inputs.get(name) else {
                    continue;
                };
                out.push(std::mem::replace(&mut lead, '&'));
                out.push_str(name);
                out.push('=');
                expand_value(name, value, Place::Query, out, problems);
            }
        }
    }
}

/// Appends `text` with every byte outside RFC 3986's unreserved ones percent-encoded.
fn encode(text: &str, out: &mut String) {
    for c in text.bytes() {
        if c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(c));
        } else {
            write!(out, "%{c:02X}").expect("writing into memory cannot fail");
        }
    }
}

#[cfg(test)]
mod tests;
