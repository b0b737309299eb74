//! A set of public keys (JWKS, RFC 7517) and what it says about a signature.
//!
//! A key serves for the algorithms of its own kind alone, and where it names one for that alone: a
//! token cannot choose how its key is used. Symmetric keys are none of ours.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm as Signing, DecodingKey, crypto};
use serde_json::Value;

use crate::{
    catalog::caller::Algorithm,
    fingerprint::{Fields, Fingerprint},
    pipeline::authenticate::jwt::token::Token,
};

/// Keys of a set that are read; issuers have a handful.
const MOST_KEYS: usize = 64;
/// Keys with which one token is tried. Many, and tokens without a key's name would be work for
/// nothing.
const MOST_TRIED: usize = 16;

/// The usable keys of a set.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    name: Option<String>,
    kind: Kind,
    only: Option<Algorithm>,
    key: DecodingKey,
    /// Its kind and what it is made of.
    print: Fingerprint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// What a set of keys says about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signature {
    /// It is signed with one of them.
    Good,
    /// It names one of them and is not signed with it.
    Forged,
    /// It is signed with none of them, as far as is known: with a newer one, it may be.
    OfAnotherKey,
}

impl KeySet {
    /// The keys in a document; `None` where it is none, or without one that can be used. What cannot
    /// is left out: a set may hold keys for other uses, and kinds that are new.
    pub(super) fn read(document: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(document).ok()?;
        let keys: Vec<Key> = document
            .get("keys")?
            .as_array()?
            .iter()
            .filter_map(Key::read)
            .take(MOST_KEYS)
            .collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// How `token`, which says that it is signed by `algorithm`, is signed.
    pub(super) fn check(&self, token: &Token<'_>, algorithm: Algorithm) -> Signature {
        let named = token.key.as_deref();
        let fitting = self.0.iter().filter(|key| {
            let meant = named.is_none_or(|named| key.name.as_deref() == Some(named));
            meant && key.is_for(algorithm)
        });
        let mut tried = fitting.take(MOST_TRIED).peekable();
        if tried.peek().is_none() {
            return Signature::OfAnotherKey;
        }
        if tried.any(|key| key.has_signed(token, algorithm)) {
            return Signature::Good;
        }
        if named.is_some() { Signature::Forged } else { Signature::OfAnotherKey }
    }

    /// Whether a key of it is missing in `newer`: it has been withdrawn.
    pub(super) fn has_lost(&self, newer: &Self) -> bool {
        self.0.iter().any(|old| newer.0.iter().all(|new| new.print != old.print))
    }
}

impl Key {
    fn read(jwk: &Value) -> Option<Self> {
        let text = |member: &str| jwk.get(member)?.as_str();
        let bytes = |member: &str| URL_SAFE_NO_PAD.decode(text(member)?).ok();
        // Absent is fine, something else than expected is not.
        let absent_or =
            |member: &str, fits: &dyn Fn(&Value) -> bool| jwk.get(member).is_none_or(fits);
        let can_verify = absent_or("use", &|value| value == "sig")
            && absent_or("key_ops", &|value| {
                value.as_array().is_some_and(|uses| uses.iter().any(|one| one == "verify"))
            });
        let only = match jwk.get("alg") {
            None => None,
            Some(name) => Some(Algorithm::named(name.as_str()?)?),
        };
        let (kind, key, parts) = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                // Some write a zero before a number whose first bit is set; no more than the number
                // is wanted here.
                let number = |member: &str| bytes(member).map(without_leading_zeros);
                let (n, e) = (number("n")?, number("e")?);
                // From 2048 bits on; fewer are broken, more than 8192 only slow.
                let fits = (256..=1024).contains(&n.len()) && (1..=8).contains(&e.len());
                let key = fits.then(|| DecodingKey::from_rsa_raw_components(&n, &e))?;
                (Kind::Rsa, key, [n, e])
            }
            ("EC", Some(curve)) => {
                let (kind, size) = match curve {
                    "P-256" => (Kind::P256, 32),
                    "P-384" => (Kind::P384, 48),
                    _ => return None,
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                let fits = x.len() == size && y.len() == size;
                let point = fits.then(|| [&[4], &*x, &*y].concat())?;
                (kind, DecodingKey::from_ec_der(&point), [x, y])
            }
            ("OKP", Some("Ed25519")) => {
                let x = bytes("x").filter(|x| x.len() == 32)?;
                (Kind::Ed25519, DecodingKey::from_ed_der(&x), [x, Vec::new()])
            }
            _ => return None,
        };
        let [a, b] = &parts;
        let print = Fields::new().push(&[kind as u8]).push(a).push(b).fingerprint();
        let name = text("kid").map(str::to_owned);
        can_verify.then_some(Self { name, kind, only, key, print })
    }

    /// Whether it serves for `algorithm`.
    fn is_for(&self, algorithm: Algorithm) -> bool {
        let kind = match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => Kind::Rsa,
            Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => Kind::Rsa,
            Algorithm::Es256 => Kind::P256,
            Algorithm::Es384 => Kind::P384,
            Algorithm::EdDsa => Kind::Ed25519,
        };
        self.kind == kind && self.only.is_none_or(|only| only == algorithm)
    }

    fn has_signed(&self, token: &Token<'_>, algorithm: Algorithm) -> bool {
        let algorithm = match algorithm {
            Algorithm::Rs256 => Signing::RS256,
            Algorithm::Rs384 => Signing::RS384,
            Algorithm::Rs512 => Signing::RS512,
            Algorithm::Ps256 => Signing::PS256,
            Algorithm::Ps384 => Signing::PS384,
            Algorithm::Ps512 => Signing::PS512,
            Algorithm::Es256 => Signing::ES256,
            Algorithm::Es384 => Signing::ES384,
            Algorithm::EdDsa => Signing::EdDSA,
        };
        let message = token.message.as_bytes();
        crypto::verify(token.signature, message, &self.key, algorithm).unwrap_or(false)
    }
}

fn without_leading_zeros(mut number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.drain(..zeros);
    number
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rsa(more: &Value) -> Value {
        let mut key = json!({"kty": "RSA", "n": format!("w{}", "A".repeat(341)), "e": "AQAB"});
        for (member, value) in more.as_object().unwrap() {
            key[member] = value.clone();
        }
        key
    }

    fn read(keys: &[Value]) -> Option<usize> {
        KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).map(|set| set.0.len())
    }

    #[test]
    fn what_cannot_check_a_signature_is_left_out() {
        let coordinate = "A".repeat(43);
        for unusable in [
            json!("no key"),
            json!({}),
            json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}),
            rsa(&json!({"use": "enc"})),
            rsa(&json!({"key_ops": ["encrypt"]})),
            rsa(&json!({"alg": "RSA-OAEP"})),
            rsa(&json!({"alg": "HS256"})),
            rsa(&json!({"alg": "none"})),
            rsa(&json!({"n": format!("w{}", "A".repeat(169))})),
            rsa(&json!({"n": "A".repeat(342)})),
            rsa(&json!({"e": "AAAA"})),
            rsa(&json!({"n": "not base64!"})),
            rsa(&json!({"n": 7})),
            json!({"kty": "EC", "crv": "P-521", "x": coordinate, "y": coordinate}),
            json!({"kty": "EC", "crv": "P-384", "x": coordinate, "y": coordinate}),
            json!({"kty": "EC", "crv": "P-256", "x": coordinate}),
            json!({"kty": "OKP", "crv": "X25519", "x": coordinate}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}),
        ] {
            assert_eq!(read(std::slice::from_ref(&unusable)), None, "{unusable}");
            assert_eq!(read(&[unusable, rsa(&json!({"use": "sig", "alg": "PS256"}))]), Some(1));
        }
        assert_eq!(read(&[json!({"kty": "OKP", "crv": "Ed25519", "x": coordinate})]), Some(1));
        assert_eq!(read(&[rsa(&json!({"key_ops": ["verify"], "kid": 7}))]), Some(1));
    }

    #[test]
    fn what_is_no_set_of_keys_is_none() {
        for document in ["", "<html>", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[]}"#, "null"] {
            assert!(KeySet::read(document.as_bytes()).is_none(), "{document}");
        }
        let many: Vec<_> =
            (0..100).map(|number| rsa(&json!({"kid": number.to_string()}))).collect();
        assert_eq!(read(&many), Some(MOST_KEYS));
    }

    #[test]
    fn a_key_serves_for_its_own_algorithms_alone() {
        let fits = |jwk: Value| {
            let key = Key::read(&jwk).unwrap();
            let all = Algorithm::ALL.iter();
            all.filter(|(_, one)| key.is_for(*one)).map(|(name, _)| *name).collect::<Vec<_>>()
        };
        let all = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
        assert_eq!(fits(rsa(&json!({}))), all);
        assert_eq!(fits(rsa(&json!({"alg": "RS384"}))), ["RS384"]);
        let (x, y) = ("A".repeat(43), "A".repeat(43));
        assert_eq!(fits(json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})), ["ES256"]);
        let (x, y) = ("A".repeat(64), "A".repeat(64));
        assert_eq!(fits(json!({"kty": "EC", "crv": "P-384", "x": x, "y": y})), ["ES384"]);
    }
}
