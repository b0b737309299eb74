//! An issuer of JSON Web Tokens: its keys, the set of their public halves, and the tokens it signs, good
//! ones and others.

use std::sync::LazyLock;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeySize, PublicKeyComponents},
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::rig::START;

/// What its tokens say in `iss`.
pub(crate) const ISSUER: &str = "https://idp.test";

/// An RSA key, made once.
pub(crate) static FIRST: LazyLock<Key> = LazyLock::new(|| Key::rsa("first"));
/// Another.
pub(crate) static SECOND: LazyLock<Key> = LazyLock::new(|| Key::rsa("second"));

/// A key with its name.
pub(crate) struct Key {
    /// Its name, as `kid`.
    pub(crate) name: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// An RSA key of 2048 bits.
    pub(crate) fn rsa(name: &'static str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        Self { name, pair: Pair::Rsa(pair) }
    }

    /// A key on P-256.
    pub(crate) fn p256(name: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self { name, pair: Pair::P256(pair) }
    }

    /// A key on P-384.
    pub(crate) fn p384(name: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key");
        Self { name, pair: Pair::P384(pair) }
    }

    /// A key for EdDSA.
    pub(crate) fn ed25519(name: &'static str) -> Self {
        Self { name, pair: Pair::Ed25519(Ed25519KeyPair::generate().expect("a key")) }
    }

    /// Its public half, as it stands in a set.
    pub(crate) fn public(&self) -> Value {
        let point = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
        };
        let mut key = match &self.pair {
            Pair::Rsa(pair) => {
                let PublicKeyComponents { n, e } =
                    PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": base64(n), "e": base64(e)})
            }
            Pair::P256(pair) => point("P-256", pair.public_key().as_ref()),
            Pair::P384(pair) => point("P-384", pair.public_key().as_ref()),
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64(pair.public_key().as_ref())})
            }
        };
        key["kid"] = self.name.into();
        key["use"] = "sig".into();
        key
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signed = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signed).expect("a signature");
                signed
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                pair.sign(&random, message).expect("a signature").as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token of these claims, signed by `algorithm`, that names this key.
    pub(crate) fn token(&self, algorithm: &str, claims: &Value) -> String {
        self.signed(&json!({"alg": algorithm, "kid": self.name, "typ": "at+jwt"}), claims)
    }

    /// A token of that header and these claims, signed by what the header says, as far as this key
    /// can.
    pub(crate) fn signed(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signature = self.sign(header["alg"].as_str().unwrap_or_default(), message.as_bytes());
        format!("{message}.{}", base64(signature))
    }

    /// A good token of `client`, for an hour.
    pub(crate) fn good(&self, client: &str) -> String {
        self.token("RS256", &claims(json!({ "client_id": client })))
    }
}

/// The claims of a good token, with `more` in their place or besides; null takes one out.
pub(crate) fn claims(more: Value) -> Value {
    let mut claims =
        json!({"iss": ISSUER, "aud": "holdline", "exp": START + 3600, "client_id": "ivr"});
    for (claim, value) in more.as_object().expect("claims are an object") {
        claims[claim] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    claims
}

/// A set of keys.
pub(crate) fn set(keys: &[&Key]) -> Value {
    json!({"keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>()})
}

/// A token signed with a secret that both sides know.
pub(crate) fn symmetric(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = message(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", base64(signature))
}

/// What of a token is signed.
pub(crate) fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64(header.to_string()), base64(claims.to_string()))
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
