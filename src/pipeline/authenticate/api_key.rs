//! API keys: the header's value is compared with every known key, each in constant time, so neither
//! the answer's time nor its order tells anything about a key.

use secrecy::ExposeSecret;

use crate::{catalog::caller::KnownSecret, fingerprint::same_secret};

/// Whose key `given` is.
pub(super) fn owner<'a>(keys: &'a [KnownSecret], given: &str) -> Option<&'a str> {
    keys.iter().fold(None, |found, known| {
        let same = same_secret(known.secret.expose_secret().as_bytes(), given.as_bytes());
        if same { Some(known.client.as_str()) } else { found }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_owner_and_a_wrong_one_nobody() {
        let keys = ["alpha", "beta"]
            .map(|key| KnownSecret { client: format!("{key}-ivr"), secret: key.to_owned().into() });
        assert_eq!(owner(&keys, "beta"), Some("beta-ivr"));
        assert_eq!(owner(&keys, "gamma"), None);
        assert_eq!(owner(&keys, ""), None);
    }
}
