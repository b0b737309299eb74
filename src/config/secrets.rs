//! Secrets: marked, so that they are never shown or fingerprinted; held to the form in which they are
//! sent; and warned of where they stand in the file itself.

use secrecy::SecretString;

use crate::config::{node::Scalar, section::Value, spelling::Spelling};

/// What to write in place of a secret in the clear.
pub(super) const FROM_OUTSIDE: &str = "write ${file:/path} or ${NAME}";

/// What a secret must be to be sent as what it is; an empty one never does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    must: &'static str,
    fits: fn(&str) -> bool,
}

/// A key or token that is a header's whole value.
pub(super) const KEY: Form = Form {
    must: "must be visible ASCII without spaces",
    fits: |text| text.bytes().all(|c| c.is_ascii_graphic()),
};
/// A token behind a word of ours.
pub(super) const TOKEN: Form = Form {
    must: "must be visible ASCII without spaces: the token alone, without a word before it",
    fits: KEY.fits,
};
/// A user or password, which travel encoded.
pub(super) const PASSWORD: Form = Form {
    must: "must be a text without control characters",
    fits: |text| !text.contains(char::is_control),
};
/// Any value of a header.
pub(super) const HEADER_VALUE: Form = Form {
    must: "must be visible ASCII without a space at its ends",
    fits: |text| is_printable(text) && text.trim_matches(' ').len() == text.len(),
};
/// The id or secret of an OAuth client.
pub(super) const CLIENT: Form =
    Form { must: "must be printable ASCII on one line", fits: is_printable };

fn is_printable(text: &str) -> bool {
    text.bytes().all(|c| c == b' ' || c.is_ascii_graphic())
}

/// A secret of that form.
pub(super) fn secret(value: &Value<'_>, form: Form) -> Option<SecretString> {
    value.is_read_as(|| Spelling::Secret);
    let scalar = value.scalar("must be a secret", FROM_OUTSIDE)?;
    marked(value, scalar);
    if scalar.text.trim_end().contains(['\n', '\r']) {
        value.refuse("has more than one line", "keep one line");
        return None;
    }
    fitting(value, scalar, form, FROM_OUTSIDE).map(SecretString::from)
}

/// Marks what is known to be a secret, and warns where it stands in the clear: also as the default of
/// a variable.
pub(super) fn marked(value: &Value<'_>, scalar: &Scalar) {
    scalar.secret.set(true);
    if scalar.sources.is_empty() {
        value.warn("is a secret in the clear", FROM_OUTSIDE);
    }
}

/// Whether what goes by that name is most likely a secret, by one of its words: `X-Api-Key`,
/// `access_token`.
pub(super) fn is_name_of_one(name: &str) -> bool {
    const WORDS: [&str; 6] = ["apikey", "auth", "key", "password", "secret", "token"];
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.map(str::to_ascii_lowercase).any(|word| WORDS.contains(&&*word))
}

/// The text, where it is of that form; otherwise what to write instead.
pub(super) fn fitting<'n>(
    value: &Value<'_>,
    scalar: &'n Scalar,
    form: Form,
    instead: &str,
) -> Option<&'n str> {
    if scalar.text.is_empty() || !(form.fits)(&scalar.text) {
        let what = if scalar.text.is_empty() { "is empty" } else { form.must };
        let outside = scalar.secret.get() && !scalar.sources.is_empty();
        value.refuse(what, if outside { "write the secret alone there" } else { instead });
        return None;
    }
    Some(&scalar.text)
}
