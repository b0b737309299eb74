//! `callers` of type `jwt`: who must have signed a token, how, and for whom.

use std::time::Duration;

use crate::{
    catalog::caller::{Algorithm, Jwt},
    config::{
        callers::{
            admission::{Usual, admission},
            introspection::public,
            verdicts::verdicts,
        },
        node::Content,
        section::{Section, Value},
        values::{choice, span, word},
    },
};

/// How a token that proves itself is checked.
pub(super) fn jwt(section: &Section<'_>) -> Option<Jwt> {
    let usual = Usual { org: None, client: "$.client_id", expires: None, may_name_none: false };
    let jwks = section.required("jwks", "write it like https://idp.example.com/jwks", public);
    let issuer = section.required("issuer", "write what its tokens say in `iss`", word);
    let audiences = section.required(
        "audience",
        "write what a token for us says in `aud`",
        |value| match value.content() {
            Content::List(_) => several(value, word),
            _ => word(value).map(|one| vec![one]),
        },
    );
    let algorithms =
        section.read("algorithms", vec![Algorithm::Rs256, Algorithm::Es256], |value| {
            several(value, algorithm)
        });
    let admission = admission(section, &usual);
    let timeout = section.read("timeout", Duration::from_secs(2), span);
    let ttl = Duration::from_secs(3600);
    let verdicts = verdicts(&section.section("cache"), ttl, ttl, false);
    let (admission, _) = admission?;
    Some(Jwt {
        jwks: jwks?,
        issuer: issuer?,
        audiences: audiences?,
        algorithms: algorithms?,
        admission,
        timeout: timeout?,
        verdicts: verdicts?,
    })
}

/// A list of at least one.
fn several<T>(value: &Value<'_>, reader: impl Fn(&Value<'_>) -> Option<T>) -> Option<Vec<T>> {
    let found = value.list("write a list", reader)?;
    if found.is_empty() {
        value.refuse("is an empty list: no token would do", "write at least one");
        return None;
    }
    Some(found)
}

fn algorithm(value: &Value<'_>) -> Option<Algorithm> {
    const INSTEAD: &str = "write the one that the issuer signs with, such as RS256 or ES256";
    match value.plain("must be an algorithm", INSTEAD)? {
        "none" => {
            value.refuse("is no signature: everybody could write such a token", INSTEAD);
            None
        }
        "HS256" | "HS384" | "HS512" => {
            let what = "is symmetric: whoever can check a token could make one";
            value.refuse(what, INSTEAD);
            None
        }
        _ => choice(value, &Algorithm::ALL),
    }
}
