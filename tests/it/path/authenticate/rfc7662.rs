//! Introspection by RFC 7662: we say who we are, the answer says whether the token is active.

use std::time::Duration;

use holdline::telemetry::{outcome::Outcome, stage::Stage};
use serde_json::{Value, json};

use super::{caller, pair, refused, unavailable};
use crate::support::{
    rig::{Rig, START, Setup},
    scripted::Line,
};

const SOON: Duration = Duration::from_secs(2);

/// The pipeline whose caller `idp` has these further keys.
fn rig(keys: &str) -> Rig {
    let idp = format!(
        "idp: {{type: rfc7662, url: 'https://authority.test/introspect?v=1', \
         client_id: 'hold line', client_secret: 's:c%t+', {keys}}}"
    );
    let rig = Setup { caller: "idp", callers: &[&idp], ..Setup::PLAIN }.rig();
    rig.authority().always(active(json!({})));
    rig
}

/// An active token with these claims besides.
fn active(claims: Value) -> Line {
    let mut answer = json!({"active": true, "client_id": "ivr"});
    for (claim, value) in claims.as_object().expect("claims are an object") {
        answer[claim] = value.clone();
    }
    Line::json(&answer)
}

#[tokio::test(start_paused = true)]
async fn the_question_is_a_form_and_says_who_asks() {
    let rig = rig("");
    rig.lookup().bearer("a+b/c=").heard().await.answer();
    let seen = &rig.authority().seen()[0];
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/introspect?v=1"));
    // Each part as in a form: `hold+line:s%3Ac%25t%2B`.
    assert_eq!(seen.header("authorization"), "Basic aG9sZCtsaW5lOnMlM0FjJTI1dCUyQg==");
    assert_eq!(seen.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(seen.header("accept"), "application/json");
    assert_eq!(seen.body, "token=a%2Bb%2Fc%3D&token_type_hint=access_token");
}

#[tokio::test(start_paused = true)]
async fn the_token_stands_in_authorization_unless_another_header_is_named() {
    let missing = rig("").lookup().heard().await;
    assert_eq!(missing.failure().detail(), "Missing Authorization header");
    let rig = rig("header: X-Genesys-Auth-Token");
    assert!(rig.lookup().heard().await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_active_token_is_asked_about_once_and_never_past_its_end() {
    let rig = rig("");
    rig.authority().always(active(json!({"exp": START + 60})));
    let decision = async || rig.lookup().bearer("a").heard().await.decision(Stage::Authenticate);
    assert_eq!(decision().await, "remote");
    rig.until(59_999).await;
    assert_eq!(decision().await, "cache");
    rig.until(60_000).await;
    assert_eq!(refused(&rig.lookup().bearer("a").heard().await), "expired");
    assert_eq!(rig.authority().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_which_nobody_says_when_it_ends_is_asked_about_every_five_minutes() {
    for (keys, holds) in [("", 300_000), ("cache: {ttl: 20m}", 1_200_000)] {
        let rig = rig(keys);
        let decision =
            async || rig.lookup().bearer("a").heard().await.decision(Stage::Authenticate);
        assert_eq!(decision().await, "remote");
        rig.until(holds - 1).await;
        assert_eq!(decision().await, "cache", "{keys}");
        rig.until(holds).await;
        assert_eq!(decision().await, "remote", "{keys}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_inactive_token_is_refused_and_so_it_stays_for_a_moment() {
    let rig = rig("");
    rig.authority().always(Line::json(&json!({"active": false})));
    for how in ["rejected", "refused"] {
        let heard = rig.lookup().bearer("a").heard().await;
        assert_eq!((refused(&heard), heard.decision(Stage::Authenticate)), ("invalid", how));
        assert_eq!(heard.failure().detail(), "Invalid token");
    }
    rig.until(10_000).await;
    rig.lookup().bearer("a").heard().await;
    assert_eq!(rig.authority().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_begins_later_is_refused_until_it_begins() {
    let rig = rig("");
    rig.authority().always(active(json!({"nbf": START + 40})));
    assert_eq!(refused(&rig.lookup().bearer("a").heard().await), "early");
    // Clocks may be half a minute apart.
    rig.until(10_000).await;
    assert!(rig.lookup().bearer("a").heard().await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_say_active_in_so_many_words_is_no_verdict() {
    let rig = rig("");
    for (number, answer) in [
        Line::json(&json!({"active": "true"})),
        Line::json(&json!({"active": 1})),
        Line::json(&json!({"active": null})),
        Line::json(&json!({})),
        Line::json(&json!([{"active": true}])),
        Line::json(&json!("active")),
        Line::status(200).body("<html>Welcome</html>"),
        Line::status(200).body(""),
        active(json!({"exp": "tomorrow"})),
        active(json!({"nbf": [1]})),
        active(json!({"client_id": 7})),
        Line::status(204),
        Line::status(302),
        Line::status(404),
        Line::status(500),
    ]
    .into_iter()
    .enumerate()
    {
        rig.authority().next(answer.clone());
        let heard = rig.lookup().bearer("a").heard().await;
        assert_eq!(unavailable(&heard), SOON, "{number}: {answer:?}");
        assert_eq!(heard.outcome(), Outcome::AuthUnavailable);
    }
    assert!(rig.lookup().bearer("a").heard().await.result.is_ok(), "nothing of it is remembered");
}

#[tokio::test(start_paused = true)]
async fn credentials_of_ours_that_are_refused_are_no_word_about_the_token() {
    let rig = rig("");
    let invalid_client = Line::status(400).body(r#"{"error": "invalid_client"}"#);
    for refusal in [Line::status(401), Line::status(403), invalid_client] {
        rig.authority().next(refusal.clone());
        assert_eq!(unavailable(&rig.lookup().bearer("a").heard().await), SOON, "{refusal:?}");
    }
    assert!(rig.lookup().bearer("a").heard().await.result.is_ok(), "nothing of it is remembered");
    // And an authority that will not talk to us is not hammered with what it will refuse.
    rig.authority().always(Line::status(401));
    for number in 0..20 {
        rig.lookup().bearer(&format!("t{number}")).heard().await;
    }
    assert_eq!(rig.authority().count(), 4 + 7);
    let known = rig.lookup().bearer("a").heard().await;
    assert_eq!(known.decision(Stage::Authenticate), "cache");
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_cannot_read_a_strangers_token_goes_on_being_asked() {
    let rig = rig("");
    for body in ["", "<html>", r#"{"error": "invalid_request"}"#, r#"["invalid_client"]"#] {
        rig.authority().always(Line::status(400).body(body));
        for number in 0..10 {
            let heard = rig.lookup().bearer(&format!("garbage-{number}")).heard().await;
            assert_eq!(unavailable(&heard), SOON, "{body}");
        }
    }
    rig.authority().always(active(json!({})));
    assert!(rig.lookup().bearer("a").heard().await.result.is_ok());
    assert_eq!(rig.authority().count(), 41);
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_has_enough_is_left_alone_for_as_long_as_it_asks() {
    let rig = rig("");
    rig.authority().next(Line::status(429).header("retry-after", "7"));
    assert_eq!(unavailable(&rig.lookup().bearer("a").heard().await), Duration::from_secs(7));
    rig.until(6_000).await;
    assert_eq!(unavailable(&rig.lookup().bearer("b").heard().await), Duration::from_secs(1));
    assert_eq!(rig.authority().count(), 1);
    rig.until(7_000).await;
    assert!(rig.lookup().bearer("b").heard().await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn all_callers_are_of_one_organisation_unless_a_claim_is_known_to_name_it() {
    let whole = rig("");
    let answer = active(json!({"organization": {"id": "acme"}, "org": "globex"}));
    whole.authority().always(answer.clone());
    assert_eq!(caller(&whole, "a").await, pair("idp", "ivr"));

    let named = rig("claims: {org: $.org, client: $.azp, expires: $.until}");
    named.authority().next(answer);
    assert_eq!(caller(&named, "a").await, pair("globex", "idp"));
    named.authority().next(active(json!({"org": "acme", "azp": "desk"})));
    assert_eq!(caller(&named, "b").await, pair("acme", "desk"));
    named.authority().next(active(json!({"org": "acme", "until": START})));
    assert_eq!(refused(&named.lookup().bearer("c").heard().await), "expired");
    // A token of nobody must not be taken for one of an organisation.
    assert_eq!(refused(&named.lookup().bearer("d").heard().await), "forbidden");
}

#[tokio::test(start_paused = true)]
async fn only_the_named_organisation_and_clients_may_call() {
    let rig = rig("claims: {org: $.org}, org: acme, clients: [ivr, desk]");
    for (org, client, good) in
        [("acme", "desk", true), ("globex", "ivr", false), ("acme", "bot", false)]
    {
        rig.authority().next(active(json!({"org": org, "client_id": client})));
        let token = format!("{org}-{client}");
        let heard = rig.lookup().bearer(&token).heard().await;
        assert_eq!(heard.result.is_ok(), good, "{token}");
        if !good {
            assert_eq!(refused(&heard), "forbidden");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_token_is_asked_about_and_an_endless_one_is_not() {
    let rig = rig("");
    assert!(rig.lookup().bearer(&"x".repeat(8192)).heard().await.result.is_ok());
    assert_eq!(refused(&rig.lookup().bearer(&"x".repeat(8193)).heard().await), "malformed");
    assert_eq!(rig.authority().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn its_time_and_its_places_are_its_own() {
    let hurried = rig("timeout: 300ms, max_concurrent: 1");
    hurried.authority().always(Line::hangs());
    let ask = |token: &str| hurried.lookup().bearer(token).heard();
    let (first, second) = tokio::join!(ask("a"), ask("b"));
    assert_eq!((unavailable(&first), first.at), (SOON, 300));
    assert_eq!((unavailable(&second), second.at), (SOON, 100));

    let brief = rig("cache: {ttl: 5s, stale_on_outage: 5s}");
    let decision = async || brief.lookup().bearer("a").heard().await.decision(Stage::Authenticate);
    assert_eq!(decision().await, "remote");
    brief.authority().always(Line::status(503));
    brief.until(5_300).await;
    assert_eq!(decision().await, "stale");
}
