//! A JSON Web Token in the compact form of RFC 7515: what it says of itself before anybody has checked
//! it, and its claims once somebody has.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    catalog::{caller::Jwt, name::Name},
    pipeline::authenticate::{
        claims::{self, is_to_come, seconds},
        verdicts::Good,
    },
};

/// A token of the right form; nothing in it is proved.
#[derive(Debug)]
pub(super) struct Token<'t> {
    /// The algorithm by which it says that it is signed.
    pub(super) algorithm: String,
    /// The key with which it says so.
    pub(super) key: Option<String>,
    /// What is signed.
    pub(super) message: &'t str,
    /// The signature, still encoded.
    pub(super) signature: &'t str,
    claims: &'t str,
}

/// Its first part. A member that stands twice is refused.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl<'t> Token<'t> {
    /// The token of `text`; `None` where that is no token. One that demands to be understood by rules
    /// beyond those of the standard (`crit`) is none that anybody here can read.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        if claims.contains('.') || [claims, signature].iter().any(|part| part.is_empty()) {
            return None;
        }
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        let token = Self { algorithm: header.alg, key: header.kid, message, signature, claims };
        header.crit.is_none().then_some(token)
    }

    /// Its claims; `None` where they are no JSON. To be read once its signature has been checked.
    pub(super) fn claims(&self) -> Option<Value> {
        serde_json::from_slice(&decode(self.claims)?).ok()
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// Why a token that is signed well is of no use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    /// The word for it.
    pub(super) result: &'static str,
    /// Whether it stays so.
    pub(super) for_good: bool,
}

/// What the claims of a token that is signed well come to, at `now` since 1970.
pub(super) fn judge(
    policy: &Jwt,
    entry: &Name,
    claims: &Value,
    now: Duration,
) -> Result<Good, Unfit> {
    let unfit = |result| Unfit { result, for_good: true };
    let expires = claims.get("exp").and_then(seconds).ok_or(unfit("invalid"))?;
    if now >= expires {
        return Err(unfit("expired"));
    }
    let begins = match claims.get("nbf") {
        Some(begins) => Some(seconds(begins).ok_or(unfit("invalid"))?),
        None => None,
    };
    if is_to_come(begins, now) {
        return Err(Unfit { result: "early", for_good: false });
    }
    if claims["iss"] != *policy.issuer || !is_for(&policy.audiences, &claims["aud"]) {
        return Err(unfit("invalid"));
    }
    match claims::caller(&policy.admission, entry, claims) {
        Ok(Some(caller)) => Ok(Good { caller, expires: Some(expires) }),
        Ok(None) => Err(unfit("forbidden")),
        Err(claims::Unreadable) => Err(unfit("invalid")),
    }
}

/// Whether `aud` names one of `audiences`: it is a text, or a list of texts.
fn is_for(audiences: &[String], aud: &Value) -> bool {
    let ours = |name: &Value| audiences.iter().any(|audience| name == audience.as_str());
    match aud {
        Value::Array(names) => names.iter().all(Value::is_string) && names.iter().any(ours),
        name => ours(name),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compact(header: &Value, claims: &str) -> String {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        format!("{header}.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_has_three_parts_and_a_header_that_names_its_algorithm() {
        let text = compact(&json!({"alg": "RS256", "kid": "a", "typ": "at+jwt"}), "{\"a\":1}");
        let token = Token::read(&text).unwrap();
        assert_eq!((&*token.algorithm, token.key.as_deref()), ("RS256", Some("a")));
        assert_eq!(format!("{}.{}", token.message, token.signature), text);
        assert_eq!(token.claims(), Some(json!({"a": 1})));
    }

    #[test]
    fn what_is_of_another_form_is_no_token() {
        let good = compact(&json!({"alg": "RS256"}), "{}");
        assert!(Token::read(&good).is_some());
        let unsigned = good.rsplit_once('.').unwrap().0;
        for text in [
            "",
            "opaque",
            "..",
            "a.b.c",
            unsigned,
            &format!("{unsigned}."),
            &format!("{good}.more.parts"),
            &format!("{good}.x"),
            &good.replacen('.', "=.", 1),
            &compact(&json!({"alg": 7}), "{}"),
            &compact(&json!({"kid": "a"}), "{}"),
            &compact(&json!({"alg": "RS256", "kid": 7}), "{}"),
            &compact(&json!(["RS256"]), "{}"),
            // What must be understood and is not.
            &compact(&json!({"alg": "RS256", "b64": false, "crit": ["b64"]}), "{}"),
        ] {
            assert!(Token::read(text).is_none(), "{text}");
        }
        let twice = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","alg":"none"}"#);
        assert!(Token::read(&format!("{twice}.e30.c2ln")).is_none());
    }

    #[test]
    fn a_token_is_for_us_where_any_of_its_audiences_is() {
        let ours = ["holdline".to_owned(), "https://holdline".to_owned()];
        for (aud, good) in [
            (json!("holdline"), true),
            (json!(["other", "https://holdline"]), true),
            (json!("other"), false),
            (json!("holdlin"), false),
            (json!([]), false),
            (json!(["other"]), false),
            (json!(["holdline", 7]), false),
            (json!({"holdline": true}), false),
            (Value::Null, false),
        ] {
            assert_eq!(is_for(&ours, &aud), good, "{aud}");
        }
    }
}
