//! HTTP Basic (RFC 7617): a name and a secret behind one word, compared with all that are known, each
//! in constant time, so a name that nobody has costs as much as a wrong secret.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret as _;

use crate::{catalog::caller::KnownSecret, fingerprint::same_secret};

/// A name and a secret, as somebody shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// Who they say they are.
    pub client: String,
    /// How they prove it.
    pub secret: String,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(..)")
    }
}

impl Shown {
    /// What stands behind the word `Basic`: base64 of UTF-8, the name up to the first colon. `None`
    /// where it is not of that form.
    pub fn read(encoded: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (client, secret) = text.split_once(':')?;
        Some(Self { client: client.to_owned(), secret: secret.to_owned() })
    }
}

/// Whose name and secret they are, if both are those of one who is known.
pub(super) fn owner<'a>(known: &'a [KnownSecret], shown: &Shown) -> Option<&'a str> {
    known.iter().fold(None, |found, known| {
        let client = same_secret(known.client.as_bytes(), shown.client.as_bytes());
        let secret = same_secret(known.secret.expose_secret().as_bytes(), shown.secret.as_bytes());
        if client & secret { Some(known.client.as_str()) } else { found }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(client: &str, secret: &str) -> Shown {
        Shown { client: client.to_owned(), secret: secret.to_owned() }
    }

    #[test]
    fn a_name_ends_at_the_first_colon_and_a_secret_may_have_more() {
        for (text, expected) in [
            ("ivr:secret", Some(shown("ivr", "secret"))),
            ("ivr:a:b:", Some(shown("ivr", "a:b:"))),
            (":secret", Some(shown("", "secret"))),
            ("ivr:", Some(shown("ivr", ""))),
            ("käthe:pässwörd £", Some(shown("käthe", "pässwörd £"))),
            ("ivr", None),
            ("", None),
        ] {
            assert_eq!(Shown::read(&STANDARD.encode(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_base64_of_utf_8_is_nothing() {
        let latin_1 = STANDARD.encode(b"ivr:p\xe4ss");
        for text in ["ivr:secret", "aXZyOnNlY3JldA", "aXZyOnNlY3JldA== x", "=", &latin_1] {
            assert_eq!(Shown::read(text), None, "{text:?}");
        }
        assert!(Shown::read("aXZyOnNlY3JldA==").is_some());
    }

    #[test]
    fn a_secret_is_good_for_its_own_name_only() {
        let known = [("ivr", "alpha"), ("web", "beta")].map(|(client, secret)| KnownSecret {
            client: client.to_owned(),
            secret: secret.to_owned().into(),
        });
        assert_eq!(owner(&known, &shown("ivr", "alpha")), Some("ivr"));
        assert_eq!(owner(&known, &shown("web", "beta")), Some("web"));
        for (client, secret) in
            [("ivr", "beta"), ("web", "alpha"), ("IVR", "alpha"), ("ivr", ""), ("", "alpha")]
        {
            assert_eq!(owner(&known, &shown(client, secret)), None, "{client}:{secret}");
        }
    }
}
