//! Header templates: `{name}` in a header value, which only visible ASCII may fill.

use std::fmt;

use http::HeaderValue;

use crate::catalog::{
    contract::{Inputs, Problem},
    scalar::Scalar,
    template::{
        BadTemplate, note,
        text::{self, Piece},
    },
};

/// A header value with `{name}` in it. Its `Debug` shows the names only: the rest may be a key.
pub struct HeaderTemplate {
    pieces: Vec<Piece>,
}

impl fmt::Debug for HeaderTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeaderTemplate").field(&self.names()).finish()
    }
}

/// Bytes of a value in a header. Servers refuse heads of 8 KiB and more.
pub(super) const MAX_VALUE: usize = 1024;

impl HeaderTemplate {
    /// Parses a header value with `{name}` in it; `{{` and `}}` are literal braces.
    ///
    /// # Errors
    /// Where a brace is left open, or a character may not stand in a header.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        if !fits(text) {
            return Err(BadTemplate(
                "must be visible ASCII without a space at its ends".to_owned(),
            ));
        }
        Ok(Self { pieces: text::split(text)? })
    }

    /// The names in it.
    pub fn names(&self) -> Vec<&str> {
        text::names(&self.pieces).collect()
    }

    /// Adds what makes `inputs` unfit for it.
    pub(super) fn refuse(&self, inputs: &Inputs, problems: &mut Vec<Problem>) {
        for piece in &self.pieces {
            let Piece::Name(name) = piece else { continue };
            // Of the other kinds every value fits.
            let Some(Scalar::String(value)) = inputs.get(name) else {
                continue;
            };
            if value.len() > MAX_VALUE {
                note(problems, name, &format!("must have at most {MAX_VALUE} bytes in a header"));
            } else if !fits(value) {
                note(problems, name, "must be visible ASCII without a space at its ends");
            }
        }
    }

    /// The value for inputs that [`Self::refuse`] has nothing against. `None` where it is one name
    /// alone whose input was left out: so is the header.
    pub(super) fn render(&self, inputs: &Inputs) -> Option<HeaderValue> {
        let mut value = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => value.push_str(literal),
                Piece::Name(name) => match inputs.get(name) {
                    Some(input) => input.with_text(|text| value.push_str(text)),
                    None if self.pieces.len() == 1 => return None,
                    None => {}
                },
            }
        }
        // An input left out at an end leaves the space beside it behind.
        let mut value = HeaderValue::from_str(value.trim_matches(' ')).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Visible ASCII with inner spaces. `HeaderValue` would take tabs and raw UTF-8 as well, which each
/// server reads in its own way.
fn fits(value: &str) -> bool {
    value.bytes().all(|c| (b' '..=b'~').contains(&c))
        && value.trim_matches(' ').len() == value.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::template::tests::inputs;

    fn render(template: &str, value: Option<&str>) -> Result<Option<String>, Vec<String>> {
        let template = HeaderTemplate::parse(template).unwrap();
        let given: Vec<_> = value.into_iter().map(|value| ("a", value)).collect();
        let inputs = inputs(&given);
        let mut problems = Vec::new();
        template.refuse(&inputs, &mut problems);
        if problems.is_empty() {
            let value = template.render(&inputs);
            Ok(value.map(|value| value.to_str().unwrap().to_owned()))
        } else {
            Err(problems.into_iter().map(|problem| problem.what).collect())
        }
    }

    #[test]
    fn values_stand_where_their_names_stood() {
        for (template, value, wanted) in [
            ("{a}", Some("x y"), Some("x y")),
            ("id={a}; v={a}", Some("1"), Some("id=1; v=1")),
            ("{{{a}}}", Some("1"), Some("{1}")),
            ("fixed", None, Some("fixed")),
            ("{a}", None, None),
            ("{a}", Some(""), Some("")),
            ("id {a}", None, Some("id")),
        ] {
            assert_eq!(
                render(template, value),
                Ok(wanted.map(str::to_owned)),
                "{template} {value:?}"
            );
        }
    }

    #[test]
    fn hostile_values_are_refused_and_never_trimmed() {
        for value in [
            "a\r\nX-Evil: 1",
            "a\nb",
            "a\rb",
            "a\tb",
            "a\0b",
            "\x7f",
            "\u{e9}",
            "\u{2028}",
            " a",
            "a ",
            " ",
            "\t",
        ] {
            assert_eq!(
                render("x {a}", Some(value)),
                Err(vec!["must be visible ASCII without a space at its ends".to_owned()]),
                "{value:?}"
            );
        }
        assert!(render("{a}", Some(&"x".repeat(1024))).is_ok());
        assert_eq!(
            render("{a}", Some(&"x".repeat(1025))),
            Err(vec!["must have at most 1024 bytes in a header".to_owned()])
        );
    }

    #[test]
    fn debug_shows_neither_keys_nor_values() {
        let template = HeaderTemplate::parse("Key S3CRET {a}").unwrap();
        let value = template.render(&inputs(&[("a", "P3RSONAL")])).unwrap();
        assert_eq!(format!("{template:?} {value:?}"), "HeaderTemplate([\"a\"]) Sensitive");
    }

    #[test]
    fn templates_that_are_no_header_value_are_refused() {
        for template in ["a\nb", "a\tb", "\u{e9}", " a", "a ", "{", "{a", "a}", "{}"] {
            assert!(HeaderTemplate::parse(template).is_err(), "{template:?}");
        }
    }

    proptest! {
        #[test]
        fn a_header_holds_the_value_whole_or_there_is_none(value in any::<String>()) {
            if let Ok(rendered) = render("<{a}>", Some(&value)) {
                prop_assert_eq!(rendered.unwrap(), format!("<{value}>"));
            }
        }

        #[test]
        fn every_visible_value_is_taken(value in "[!-~]([ -~]{0,50}[!-~])?") {
            prop_assert_eq!(render("{a}", Some(&value)).unwrap().unwrap(), value);
        }
    }
}
