//! The word before a proof, as in `Authorization: Bearer token`: every scheme reads its own, and what
//! stands behind another was not shown to it.

use http::{HeaderMap, HeaderName};

/// The word before a proof: which scheme of HTTP it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// A user and a password.
    Basic,
    /// A token.
    Bearer,
}

impl Word {
    /// What stands behind this word, as in `Authorization: Bearer token`; `None` where it does not
    /// begin with it. The word is read without regard to case.
    pub fn before<'a>(self, value: &'a str) -> Option<&'a str> {
        let word = match self {
            Self::Basic => "basic",
            Self::Bearer => "bearer",
        };
        let (first, rest) = value.trim().split_once(' ')?;
        first.eq_ignore_ascii_case(word).then(|| rest.trim())
    }
}

/// The value of a header that is there exactly once and not empty, without the word before it.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    word: Option<Word>,
) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (Some(only), None) = (values.next(), values.next()) else { return None };
    // What is not visible ASCII is no token; it is refused as one that nobody knows.
    let text = only.to_str().unwrap_or("\u{0}").trim();
    let proof = word.map_or(Some(text), |word| word.before(text))?;
    (!proof.is_empty()).then_some(proof)
}
