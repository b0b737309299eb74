//! Names out of the configuration: of actions, upstreams, callers and limits. They appear in paths,
//! metric labels and logs, so their form is narrow and their number is known at start.

use std::{borrow::Borrow, fmt, sync::Arc};

/// A letter, then at most 63 letters, digits, `-` or `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a letter followed by at most 63 letters, digits, - or _")]
pub struct NotAName;

impl Name {
    /// Checks and takes `text`.
    ///
    /// # Errors
    /// [`NotAName`] where it is not of the form.
    pub fn new(text: &str) -> Result<Self, NotAName> {
        let inside = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        let bytes = text.as_bytes();
        let fits = matches!(bytes, [first, rest @ ..]
            if first.is_ascii_alphabetic() && rest.len() < 64 && rest.iter().copied().all(inside));
        if fits { Ok(Self(text.into())) } else { Err(NotAName) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_narrow() {
        for good in ["a", "customer-lookup", "A_1", &"x".repeat(64)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "-a", "a b", "a/b", "ä", "a.b", &"x".repeat(65)] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }
}
