//! The keys of an issuer of tokens: fetched once, renewed in time, and what becomes of calls while
//! they cannot be had.

use std::time::Duration;

use holdline::{client::WireError, telemetry::stage::Stage};
use serde_json::json;

use super::{caller, pair, refused, unavailable};
use crate::support::{
    ask::Heard,
    jwt_issuer::{FIRST, ISSUER, Key, SECOND, claims, set},
    rig::{Rig, START, Setup},
    scripted::Line,
};

const MINUTE: u64 = 60_000;

fn rig() -> Rig {
    let idp = format!(
        "idp: {{type: jwt, jwks: 'https://authority.test/jwks', issuer: '{ISSUER}', \
         audience: holdline, timeout: 1s, cache: {{ttl: 24h}}}}"
    );
    let rig = Setup { caller: "idp", callers: &[&idp], ..Setup::PLAIN }.rig();
    rig.authority().always(keys(&[&FIRST]));
    rig
}

fn keys(keys: &[&Key]) -> Line {
    Line::json(&set(keys))
}

/// A token that outlives every test.
fn lasting(key: &Key, client: &str) -> String {
    let claims = claims(json!({"client_id": client, "exp": START + 1_000_000}));
    key.token("RS256", &claims)
}

async fn heard(rig: &Rig, token: &str) -> Heard {
    rig.lookup().bearer(token).heard().await
}

#[tokio::test(start_paused = true)]
async fn the_first_calls_wait_for_one_fetch() {
    let rig = rig();
    rig.authority().always(keys(&[&FIRST]).after(80));
    let tokens: Vec<_> = (0..20).map(|number| FIRST.good(&format!("c{number}"))).collect();
    let calls = tokens.iter().map(|token| heard(&rig, token));
    let all = futures_util::future::join_all(calls).await;
    assert!(all.iter().all(|heard| heard.result.is_ok() && heard.at == 80));
    let with = |word| all.iter().filter(|h| h.decision(Stage::Authenticate) == word).count();
    assert_eq!((with("remote"), with("coalesced"), rig.authority().count()), (1, 19, 1));
    assert_eq!(rig.tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_was_never_reached_is_unavailable_and_never_a_refusal() {
    let rig = rig();
    for odd in [
        Line::status(500),
        Line::status(404),
        Line::status(401),
        Line::status(302),
        Line::status(200).body("<html>Sign in</html>"),
        Line::json(&json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]})),
    ] {
        rig.authority().next(odd.clone());
        let heard = heard(&rig, &FIRST.good("ivr")).await;
        assert_eq!(unavailable(&heard), Duration::from_secs(2), "{odd:?}");
    }
    assert!(heard(&rig, &FIRST.good("ivr")).await.result.is_ok(), "nothing of it is remembered");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_hangs_or_is_down_is_given_up_and_then_given_a_rest() {
    let rig = rig();
    rig.authority().always(Line::hangs());
    let hanging = heard(&rig, &FIRST.good("ivr")).await;
    assert_eq!((unavailable(&hanging), hanging.at), (Duration::from_secs(2), 1000));
    let hurried = rig.lookup().bearer(&FIRST.good("ivr")).within(500).heard().await;
    assert_eq!((hurried.decision(Stage::Authenticate), hurried.at), ("unavailable", 1450));
    rig.until(3_000).await;

    rig.authority().always(Line::fails(WireError::Connect));
    for _ in 0..10 {
        heard(&rig, &FIRST.good("ivr")).await;
    }
    let asked = rig.authority().count();
    assert!(asked <= 2 + 2 * 7, "{asked}");
    rig.authority().always(keys(&[&FIRST]));
    rig.until(8_000).await;
    assert!(heard(&rig, &FIRST.good("ivr")).await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_replaced_under_its_name_is_taken_at_once_and_its_forerunner_no_more() {
    let rig = rig();
    let before = FIRST.good("ivr");
    assert!(heard(&rig, &before).await.result.is_ok());
    rig.until(30_000).await;
    let next = Key::rsa("first");
    rig.authority().always(keys(&[&next]));
    assert!(heard(&rig, &next.good("ivr")).await.result.is_ok());
    assert_eq!(refused(&heard(&rig, &before).await), "invalid");
    assert_eq!(rig.authority().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn keys_are_renewed_behind_the_calls_every_ten_minutes() {
    let rig = rig();
    let token = lasting(&FIRST, "ivr");
    heard(&rig, &token).await;
    rig.until(10 * MINUTE - 1).await;
    heard(&rig, &token).await;
    assert_eq!(rig.authority().count(), 1);
    rig.until(10 * MINUTE).await;
    rig.authority().always(keys(&[&FIRST]).after(500));
    for expected in ["cache", "cache", "cache"] {
        let heard = heard(&rig, &token).await;
        assert_eq!(heard.decision(Stage::Authenticate), expected);
        assert_eq!(heard.at, u128::from(10 * MINUTE), "no call waits for it");
    }
    rig.settle().await;
    assert_eq!((rig.authority().count(), rig.authority().in_flight()), (2, 1));
    rig.until(10 * MINUTE + 1_000).await;
    assert_eq!((heard(&rig, &token).await.at, rig.tasks()), (u128::from(10 * MINUTE + 1_000), 0));
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_fetched_for_the_first_token_that_names_it() {
    let rig = rig();
    heard(&rig, &FIRST.good("ivr")).await;
    rig.until(MINUTE).await;
    rig.authority().always(keys(&[&FIRST, &SECOND]).after(40));
    let rotated = heard(&rig, &SECOND.good("ivr")).await;
    assert!(rotated.result.is_ok());
    assert_eq!((rotated.decision(Stage::Authenticate), rotated.at), ("remote", 60_040));
    assert_eq!(heard(&rig, &SECOND.good("desk")).await.decision(Stage::Authenticate), "local");
    assert_eq!(heard(&rig, &FIRST.good("ivr")).await.decision(Stage::Authenticate), "cache");
    assert_eq!(rig.authority().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn made_up_names_of_keys_are_no_attack_on_the_issuer() {
    let rig = rig();
    let made_up = |number: u64| {
        FIRST.signed(&json!({"alg": "RS256", "kid": format!("k{number}")}), &claims(json!({})))
    };
    for second in 0..90 {
        rig.until(second * 1000).await;
        assert_eq!(refused(&heard(&rig, &made_up(second)).await), "invalid");
    }
    assert_eq!(rig.authority().instants(), [0, 30_000, 60_000]);
    assert!(heard(&rig, &FIRST.good("ivr")).await.result.is_ok());
    // A token of a key that comes later is not remembered as a bad one.
    assert_eq!(refused(&heard(&rig, &SECOND.good("ivr")).await), "invalid");
    rig.authority().always(keys(&[&SECOND, &FIRST]));
    rig.until(90_000).await;
    assert!(heard(&rig, &SECOND.good("ivr")).await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_can_say_whose_a_key_is_while_the_issuer_is_down() {
    let rig = rig();
    heard(&rig, &FIRST.good("ivr")).await;
    rig.until(MINUTE).await;
    rig.authority().always(Line::status(503));
    for _ in 0..5 {
        unavailable(&heard(&rig, &SECOND.good("ivr")).await);
    }
    assert_eq!(rig.authority().count(), 2, "it is asked once, and then left alone for a while");
    assert!(heard(&rig, &FIRST.good("desk")).await.result.is_ok(), "known keys serve");
}

#[tokio::test(start_paused = true)]
async fn old_keys_serve_for_a_day_while_the_issuer_is_down() {
    let rig = rig();
    let token = |number: u64| lasting(&FIRST, &format!("c{number}"));
    heard(&rig, &token(0)).await;
    rig.authority().always(Line::hangs());
    // Within the hour no call waits.
    rig.until(30 * MINUTE).await;
    let known = heard(&rig, &token(1)).await;
    assert_eq!((known.decision(Stage::Authenticate), known.at), ("local", 30 * 60_000));
    rig.until(23 * 60 * MINUTE).await;
    let before = rig.now();
    let old = heard(&rig, &token(2)).await;
    assert_eq!((old.decision(Stage::Authenticate), old.at - before), ("local", 300));
    rig.until(23 * 60 * MINUTE + 2_000).await;
    let before = rig.now();
    assert_eq!(heard(&rig, &token(3)).await.at, before, "until it is worth asking again");

    rig.until(24 * 60 * MINUTE).await;
    unavailable(&heard(&rig, &token(4)).await);
    rig.authority().always(keys(&[&FIRST]));
    rig.until(24 * 60 * MINUTE + 5_000).await;
    assert!(heard(&rig, &token(4)).await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn after_a_quiet_time_the_first_call_has_the_newest_keys() {
    let rig = rig();
    let token = lasting(&FIRST, "ivr");
    heard(&rig, &token).await;
    rig.until(2 * 60 * MINUTE).await;
    rig.authority().always(keys(&[&SECOND]).after(50));
    let withdrawn = heard(&rig, &lasting(&FIRST, "new")).await;
    assert_eq!((refused(&withdrawn), withdrawn.at), ("invalid", 2 * 60 * 60_000 + 50));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_withdrawn_takes_its_tokens_with_it() {
    let rig = rig();
    rig.authority().next(keys(&[&FIRST, &SECOND]));
    let (first, second) = (lasting(&FIRST, "ivr"), lasting(&SECOND, "ivr"));
    assert_eq!(caller(&rig, &first).await, pair("idp", "ivr"));
    assert_eq!(caller(&rig, &second).await, pair("idp", "ivr"));
    rig.until(10 * MINUTE).await;
    assert_eq!(heard(&rig, &second).await.decision(Stage::Authenticate), "cache");
    rig.settle().await;
    assert_eq!(rig.authority().count(), 2);
    assert_eq!(refused(&heard(&rig, &second).await), "invalid");
    assert_eq!(heard(&rig, &first).await.decision(Stage::Authenticate), "local");
    assert_eq!(heard(&rig, &first).await.decision(Stage::Authenticate), "cache");
}

#[tokio::test(start_paused = true)]
async fn a_set_without_a_usable_key_does_not_replace_a_good_one() {
    let rig = rig();
    let token = |number: u32| lasting(&FIRST, &format!("c{number}"));
    heard(&rig, &token(0)).await;
    rig.until(10 * MINUTE).await;
    rig.authority().always(Line::json(&json!({"keys": [{"kty": "RSA", "use": "enc"}]})));
    heard(&rig, &token(1)).await;
    rig.settle().await;
    assert_eq!(rig.authority().count(), 2);
    assert!(heard(&rig, &token(2)).await.result.is_ok());
    let series = r#"holdline_token_authority_last_success_timestamp_seconds{caller="idp"}"#;
    assert_eq!(rig.metric(series), START as f64);
}

#[tokio::test(start_paused = true)]
async fn unusable_keys_beside_good_ones_are_left_out() {
    let rig = rig();
    let mut document = set(&[&FIRST]);
    let odd = [json!(7), json!({"kty": "oct", "k": "AAAA"}), json!({"kty": "new", "kid": "first"})];
    let keys = document["keys"].as_array_mut().unwrap();
    keys.splice(0..0, odd);
    rig.authority().always(Line::json(&document));
    assert!(heard(&rig, &FIRST.good("ivr")).await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_takes_no_fetch_with_it() {
    let rig = rig();
    rig.authority().next(Line::hangs());
    rig.lookup().bearer(&FIRST.good("ivr")).set_off().await.hang_up().await;
    assert_eq!(rig.authority().in_flight(), 1);
    rig.authority().release(keys(&[&FIRST]));
    rig.settle().await;
    assert_eq!(heard(&rig, &FIRST.good("ivr")).await.decision(Stage::Authenticate), "local");
    assert_eq!((rig.authority().count(), rig.tasks()), (1, 0));
}
