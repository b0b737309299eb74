//! Tokens that prove themselves: what is good, and each way not to be.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use holdline::telemetry::stage::Stage;
use serde_json::{Value, json};

use super::{caller, pair, refused};
use crate::support::{
    jwt_issuer::{FIRST, ISSUER, Key, SECOND, claims, message, set, symmetric},
    rig::{Rig, START, Setup},
    scripted::Line,
};

/// The pipeline whose caller `idp` has these further keys, and an issuer with `keys`.
fn with(more: &str, keys: &[&Key]) -> Rig {
    let idp = format!(
        "idp: {{type: jwt, jwks: 'https://authority.test/jwks', issuer: '{ISSUER}', \
         audience: holdline, {more}}}"
    );
    let rig = Setup { caller: "idp", callers: &[&idp], ..Setup::PLAIN }.rig();
    rig.authority().always(Line::json(&set(keys)));
    rig
}

fn rig(more: &str) -> Rig {
    with(more, &[&FIRST])
}

/// Why such a token is refused.
async fn why(rig: &Rig, token: &str) -> &'static str {
    let heard = rig.lookup().bearer(token).heard().await;
    assert_eq!(heard.failure().detail(), "Invalid token");
    refused(&heard)
}

async fn is_good(rig: &Rig, token: &str) -> bool {
    rig.lookup().bearer(token).heard().await.result.is_ok()
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_good_token_is_taken_at_its_word_and_checked_once() {
    let rig = rig("");
    let token = FIRST.good("ivr");
    assert_eq!(caller(&rig, &token).await, pair("idp", "ivr"));
    let decision = async |token: &str| {
        rig.lookup().bearer(token).heard().await.decision(Stage::Authenticate).to_owned()
    };
    assert_eq!(decision(&token).await, "cache");
    assert_eq!(decision(&FIRST.good("desk")).await, "local");
    let seen = rig.authority().seen();
    assert_eq!(seen.len(), 1, "the keys are fetched once for all tokens");
    assert_eq!((&*seen[0].method, &*seen[0].path), ("GET", "/jwks"));
    assert_eq!((seen[0].header("authorization"), &*seen[0].body), ("", ""));
    let counts = rig.counts("holdline_token_validations_total");
    assert_eq!((counts["result=valid,source=cache"], counts["result=valid,source=local"]), (1, 1));
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_token_stands_in_the_header_that_is_named() {
    let rig = rig("header: X-Token");
    let ask = || rig.lookup().bare();
    assert!(ask().header("x-token", &FIRST.good("ivr")).heard().await.result.is_ok());
    let missing = ask().bearer(&FIRST.good("ivr")).heard().await;
    assert_eq!(missing.failure().detail(), "Missing X-Token header");
}

#[tokio::test(start_paused = true)]
async fn a_token_holds_from_its_beginning_to_its_end() {
    let rig = rig("");
    let token =
        FIRST.token("RS256", &claims(json!({"nbf": START + 40, "exp": START as f64 + 60.5})));
    assert_eq!(why(&rig, &token).await, "early");
    // The issuer's clock may be half a minute ahead.
    rig.until(10_000).await;
    assert!(is_good(&rig, &token).await);
    rig.until(60_499).await;
    assert!(is_good(&rig, &token).await);
    rig.until(60_500).await;
    assert_eq!(why(&rig, &token).await, "expired");
    assert_eq!(why(&rig, &token).await, "invalid", "and stays so");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_somebody_else_or_for_somebody_else_is_refused() {
    let rig = rig("");
    for wrong in [
        json!({"iss": "https://idp.test/"}),
        json!({"iss": null}),
        json!({"iss": ["https://idp.test"]}),
        json!({"aud": "other"}),
        json!({"aud": null}),
        json!({"aud": []}),
        json!({"exp": null}),
        json!({"exp": "tomorrow"}),
        json!({"nbf": "today"}),
        json!({"client_id": 7}),
    ] {
        assert_eq!(why(&rig, &FIRST.token("RS256", &claims(wrong.clone()))).await, "invalid");
    }
    let expired = FIRST.token("RS256", &claims(json!({"exp": START})));
    assert_eq!(why(&rig, &expired).await, "expired");
    assert!(is_good(&rig, &FIRST.token("RS256", &claims(json!({"aud": ["a", "holdline"]})))).await);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn who_must_have_signed_it_and_for_whom_is_what_is_written() {
    let of = |issuer: &str, audience: &str| {
        format!(
            "idp: {{type: jwt, jwks: 'https://authority.test/jwks', issuer: '{issuer}', \
             audience: {audience}}}"
        )
    };
    let token = FIRST.token("RS256", &claims(json!({"iss": "us", "aud": "b"})));
    for (issuer, audience, good) in [
        ("us", "b", true),
        ("us", "[a, b]", true),
        ("us", "a", false),
        ("https://idp.test", "b", false),
    ] {
        let idp = of(issuer, audience);
        let rig = Setup { caller: "idp", callers: &[&idp], ..Setup::PLAIN }.rig();
        rig.authority().always(Line::json(&set(&[&FIRST])));
        assert_eq!(is_good(&rig, &token).await, good, "{issuer} {audience}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_signed_by_its_issuer_is_refused() {
    let rig = with("", &[&FIRST, &SECOND]);
    let good = FIRST.good("ivr");
    let body = good.rsplit_once('.').unwrap().0;
    let all = claims(json!({}));
    let header = |alg: &str| json!({"alg": alg, "kid": "first"});
    let stranger = Key::rsa("first");
    let forged = [
        // Another's words over this signature.
        good.replace(body, FIRST.good("boss").rsplit_once('.').unwrap().0),
        // A key of the same name, and one that the set has under another name.
        stranger.token("RS256", &all),
        SECOND.signed(&header("RS256"), &all),
        // Said to be signed otherwise than it is.
        FIRST.signed(&header("RS256"), &all).replacen(
            &message(&header("RS256"), &all),
            &message(&header("RS512"), &all),
            1,
        ),
    ];
    for token in &forged {
        assert_eq!(why(&rig, token).await, "invalid", "{token}");
    }
    assert!(is_good(&rig, &good).await);
    let before = rig.authority().count();
    rig.until(60_000).await;
    for token in &forged {
        assert_eq!(why(&rig, token).await, "invalid");
    }
    assert_eq!(rig.authority().count(), before + 1, "its key may have been replaced");
    rig.until(89_999).await;
    assert_eq!(why(&rig, &forged[1]).await, "invalid");
    assert_eq!(rig.authority().count(), before + 1, "but forgers are no attack on the issuer");
}

#[tokio::test(start_paused = true)]
async fn a_token_does_not_choose_how_it_is_checked() {
    let rig = with("algorithms: [RS256, ES256]", &[&FIRST]);
    let all = claims(json!({}));
    for alg in ["none", "None", "NONE", "", "HS256", "HS512", "RS384", "PS256", "EdDSA", "rs256"] {
        let header = json!({"alg": alg, "kid": "first"});
        assert_eq!(why(&rig, &FIRST.signed(&header, &all)).await, "invalid", "{alg}");
    }
    for unsigned in [
        format!("{}.", message(&json!({"alg": "none"}), &all)),
        format!("{}.AA", message(&json!({"alg": "none"}), &all)),
    ] {
        assert!(["invalid", "malformed"].contains(&why(&rig, &unsigned).await));
    }
    // What everybody can read must not be a secret.
    let public = FIRST.public();
    let secrets = [public["n"].as_str().unwrap().to_owned(), public.to_string(), String::new()];
    for secret in secrets {
        for alg in ["HS256", "RS256"] {
            let header = json!({"alg": alg, "kid": "first"});
            let token = symmetric(&header, &all, secret.as_bytes());
            assert_eq!(why(&rig, &token).await, "invalid");
        }
    }
    assert!(is_good(&rig, &FIRST.token("RS256", &all)).await);
    // An RSA key is none on a curve, whatever the token says.
    assert_eq!(why(&rig, &FIRST.token("ES256", &all)).await, "invalid");
}

#[tokio::test(start_paused = true)]
pub(crate) async fn every_algorithm_that_is_listed_is_understood_and_no_other() {
    let (p256, p384, ed) = (Key::p256("p256"), Key::p384("p384"), Key::ed25519("ed"));
    let keys: [(&Key, &[&str]); 4] = [
        (&FIRST, &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
        (&p256, &["ES256"]),
        (&p384, &["ES384"]),
        (&ed, &["EdDSA"]),
    ];
    let all = "algorithms: [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA]";
    let every = with(all, &[&FIRST, &p256, &p384, &ed]);
    let usual = with("", &[&FIRST, &p256, &p384, &ed]);
    for (key, algorithms) in keys {
        for algorithm in algorithms {
            let token = key.token(algorithm, &claims(json!({})));
            assert!(is_good(&every, &token).await, "{algorithm}");
            let by_default = ["RS256", "ES256"].contains(algorithm);
            assert_eq!(is_good(&usual, &token).await, by_default, "{algorithm}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_names_its_algorithm_serves_for_no_other() {
    let rig = rig("algorithms: [RS256, PS256]");
    let mut key = FIRST.public();
    key["alg"] = "PS256".into();
    rig.authority().always(Line::json(&json!({ "keys": [key] })));
    assert!(is_good(&rig, &FIRST.token("PS256", &claims(json!({})))).await);
    assert_eq!(why(&rig, &FIRST.token("RS256", &claims(json!({})))).await, "invalid");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_names_no_key_is_tried_with_those_that_fit() {
    let p256 = Key::p256("p256");
    let rig = with("", &[&p256, &SECOND, &FIRST]);
    let nameless = FIRST.signed(&json!({"alg": "RS256"}), &claims(json!({})));
    assert!(is_good(&rig, &nameless).await);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_names_no_key_is_tried_with_all_of_sixteen() {
    let others: [_; 15] = std::array::from_fn(|_| Key::p256("other"));
    let own = Key::p256("own");
    let rig = with("", &others.iter().chain([&own]).collect::<Vec<_>>());
    assert!(is_good(&rig, &own.signed(&json!({"alg": "ES256"}), &claims(json!({})))).await);
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_numbers_are_written_with_leading_zeros_is_the_same_key() {
    let rig = rig("");
    let mut key = FIRST.public();
    for member in ["n", "e"] {
        let bytes = URL_SAFE_NO_PAD.decode(key[member].as_str().unwrap()).unwrap();
        key[member] = URL_SAFE_NO_PAD.encode([&[0, 0], &*bytes].concat()).into();
    }
    rig.authority().always(Line::json(&json!({ "keys": [key] })));
    assert!(is_good(&rig, &FIRST.good("ivr")).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_token_by_its_form_costs_nothing() {
    let rig = rig("");
    let long = format!("{}.{}", FIRST.good("ivr"), "x".repeat(8192));
    for token in ["opaque", "a.b.c", "..", &long] {
        assert_eq!(why(&rig, token).await, "malformed");
    }
    assert_eq!(rig.authority().count(), 0);
    let broad = FIRST.token("RS256", &claims(json!({"groups": "g".repeat(4000)})));
    assert!(broad.len() > 5_000 && is_good(&rig, &broad).await);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn claims_say_who_calls_and_only_who_is_named_may() {
    let rig =
        rig("claims: {org: $.tenant, client: $.azp}, org: acme, clients: [ivr, desk], timeout: 1s");
    let token = |more: Value| FIRST.token("RS256", &claims(more));
    let good = token(json!({"tenant": "acme", "azp": "desk"}));
    assert_eq!(caller(&rig, &good).await, pair("acme", "desk"));
    for foreign in [
        json!({"tenant": "globex", "azp": "desk"}),
        json!({"azp": "desk"}),
        json!({"tenant": "acme", "azp": "bot"}),
        json!({"tenant": "acme"}),
    ] {
        assert_eq!(why(&rig, &token(foreign.clone())).await, "forbidden", "{foreign}");
    }
}

#[tokio::test(start_paused = true)]
async fn verdicts_are_kept_as_long_and_as_many_as_is_written() {
    let rig = rig("cache: {ttl: 5s, refused_ttl: 2s, capacity: 7, refused_capacity: 3}");
    let decision = async |token: &str| {
        rig.lookup().bearer(token).heard().await.decision(Stage::Authenticate).to_owned()
    };
    let good = FIRST.good("ivr");
    decision(&good).await;
    rig.until(4_999).await;
    assert_eq!(decision(&good).await, "cache");
    rig.until(5_000).await;
    assert_eq!(decision(&good).await, "local");
    let forged = format!("{}x", &good[..good.len() - 1]);
    assert_eq!(decision(&forged).await, "refused");
    let sources = || rig.counts("holdline_token_validations_total");
    assert_eq!(decision(&forged).await, "refused");
    assert_eq!(sources()["result=invalid,source=cache"], 1);
    rig.until(7_000).await;
    decision(&forged).await;
    assert_eq!(sources()["result=invalid,source=local"], 2);
    let tables = rig.pipeline.verdicts().find(|table| table.caller.as_str() == "idp").unwrap();
    assert_eq!((tables.good_capacity, tables.refused_capacity), (7, 3));
}
