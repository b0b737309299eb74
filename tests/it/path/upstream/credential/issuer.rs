//! When a token is asked for, how, how long it is good for, and what becomes of calls while its issuer
//! gives none.

use std::time::Duration;

use holdline::{client::WireError, mechanism::breaker::State, telemetry::outcome::Outcome};
use serde_json::{Value, json};

use super::{super::state, OAUTH2, not_possible, refused, tokens, with_tokens};
use crate::support::{rig::Setup, scripted::Line};

#[tokio::test(start_paused = true)]
async fn a_token_is_asked_for_when_it_is_first_needed_and_once_for_all_who_wait() {
    let rig = with_tokens();
    rig.until(10_000).await;
    assert_eq!(rig.issuer().count(), 0, "nobody has called");
    rig.issuer().next(Line::token(7, 3600).after(300));
    for heard in rig.lookup().times(100).await {
        assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 10_300));
    }
    let heard = rig.ask("update").heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 10_300));
    assert_eq!(tokens(&rig), ["token-7"; 101]);
    assert_eq!(rig.issuer().count(), 1);
    let counts = rig.counts("holdline_upstream_credential_refreshes_total");
    assert_eq!(counts["upstream=crm,result=success"], 1);
    let expiry =
        rig.metric(r#"holdline_upstream_credential_expiry_timestamp_seconds{upstream="crm"}"#);
    assert_eq!(expiry, 1_735_689_600.0 + 10.0 + 3600.0, "it began to last when it was asked for");
}

#[tokio::test(start_paused = true)]
pub(crate) async fn it_is_asked_for_by_a_form_and_our_client_is_named_by_basic() {
    let rig = with_tokens();
    assert!(rig.lookup().heard().await.result.is_ok());
    let seen = &rig.issuer().seen()[0];
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/t/token?tenant=a%20b"));
    assert_eq!(seen.body, "grant_type=client_credentials&scope=read+write%3Aall");
    let mut headers: Vec<_> = seen.headers.iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    let expected = [
        ("accept", "application/json"),
        // hold+line:s3cret%26%2B
        ("authorization", "Basic aG9sZCtsaW5lOnMzY3JldCUyNiUyQg=="),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    assert_eq!(headers, expected);

    let auth = "auth: {type: oauth2, token_url: https://login.test/other, client_id: a, client_secret: '${S:-b}'}";
    let rig = Setup { crm: &[auth], ..Setup::PLAIN }.rig();
    assert!(rig.lookup().heard().await.result.is_ok());
    let seen = &rig.issuer().seen()[0];
    assert_eq!((&*seen.path, &*seen.body), ("/other", "grant_type=client_credentials"));
    assert_eq!(seen.header("authorization"), "Basic YTpi");
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_behind_the_back_of_calls_after_four_fifths_of_its_time() {
    let rig = with_tokens();
    rig.issuer().next(Line::token(1, 3600)).next(Line::token(2, 3600).after(700));
    rig.lookup().heard().await;
    rig.until(2_879_999).await;
    rig.lookup().heard().await;
    rig.settle().await;
    assert_eq!(rig.issuer().instants(), [0]);
    rig.until(2_880_000).await;
    for heard in rig.lookup().times(10).await {
        assert_eq!(heard.at, 2_880_000, "nobody waits");
    }
    rig.until(2_880_699).await;
    rig.lookup().heard().await;
    rig.until(2_880_700).await;
    rig.lookup().heard().await;
    assert_eq!(rig.issuer().instants(), [0, 2_880_000], "one question at a time");
    let tokens = tokens(&rig);
    assert_eq!(tokens.iter().filter(|token| *token == "token-1").count(), 13);
    assert_eq!(tokens.last().unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn one_that_nobody_renewed_is_not_sent_in_its_last_seconds() {
    for (lasts, good_for) in [(3600, 3_590_000), (50, 45_000), (1, 900)] {
        for (at, waits) in [(good_for - 1, 0), (good_for, 200)] {
            let rig = with_tokens();
            rig.issuer().next(Line::token(1, lasts)).next(Line::token(2, lasts).after(200));
            rig.lookup().heard().await;
            rig.until(at).await;
            let heard = rig.lookup().heard().await;
            assert_eq!(heard.at, u128::from(at + waits), "{lasts} s");
            let second = if waits == 0 { "token-1" } else { "token-2" };
            assert_eq!(tokens(&rig), ["token-1", second]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_gives_no_token_is_told_from_one_that_refuses_us() {
    let text = |body: &Value| Line::status(200).body(body.to_string());
    for line in [
        Line::fails(WireError::Connect),
        Line::fails(WireError::Timeout),
        Line::status(500),
        Line::status(429),
        Line::status(302),
        Line::status(200).body("<html>"),
        Line::status(200).body(""),
        text(&json!({})),
        text(&json!({"access_token": "t", "token_type": "mac"})),
        text(&json!({"access_token": "t", "expires_in": 0})),
        text(&json!({"access_token": "t", "expires_in": -1})),
        text(&json!({"access_token": "a b"})),
    ] {
        let rig = with_tokens();
        rig.issuer().next(line.clone());
        assert_eq!(not_possible(&rig.lookup().heard().await), 1_000, "{line:?}");
        let counts = rig.counts("holdline_upstream_credential_refreshes_total");
        assert_eq!(counts["upstream=crm,result=failure"], 1, "{line:?}");
    }
    for (status, body) in [
        (401, r#"{"error": "invalid_client"}"#),
        (400, r#"{"error": "invalid_scope"}"#),
        (403, ""),
        (200, r#"{"error": "unauthorized_client"}"#),
    ] {
        let rig = with_tokens();
        rig.issuer().next(Line::status(status).body(body));
        assert_eq!(refused(&rig.lookup().heard().await), 1_000, "{status}");
        let counts = rig.counts("holdline_upstream_credential_refreshes_total");
        assert_eq!(counts["upstream=crm,result=refused"], 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_fails_is_left_alone_twice_as_long_each_time() {
    let rig = with_tokens();
    rig.issuer().always(Line::status(503));
    for at in (0..62_000).step_by(500) {
        rig.until(at).await;
        let heard = rig.lookup().heard().await;
        not_possible(&heard);
        assert_eq!(heard.at, u128::from(at), "nobody waits for it");
    }
    assert_eq!(rig.issuer().instants(), [0, 1_000, 3_000, 7_000, 15_000, 31_000, 61_000]);
    assert_eq!((state(&rig), rig.condition().breaker.attempts), (State::Closed, 0));
    assert_eq!(rig.upstream().count(), 0);
    rig.issuer().always(Line::token(1, 3600));
    rig.until(91_000).await;
    assert_eq!(rig.condition().token_left, Some(Duration::ZERO));
    assert!(rig.lookup().heard().await.result.is_ok());
    assert_eq!(rig.condition().token_left, Some(Duration::from_secs(3590)));
    assert_eq!(Setup::PLAIN.rig().condition().token_left, None);

    let rig = with_tokens();
    rig.issuer().always(Line::status(429).header("retry-after", "20"));
    assert_eq!(not_possible(&rig.lookup().heard().await), 20_000, "it says when");
    rig.until(19_999).await;
    assert_eq!(not_possible(&rig.lookup().heard().await), 1);
    rig.issuer().always(Line::status(503).header("retry-after", "86400"));
    rig.until(20_000).await;
    assert_eq!(not_possible(&rig.lookup().heard().await), 300_000);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_is_noticed_by_nobody_while_the_token_is_good() {
    let rig = with_tokens();
    rig.issuer().next(Line::token(1, 100)).next(Line::status(500).after(10)).next(Line::hangs());
    rig.issuer().always(Line::status(500));
    rig.lookup().heard().await;
    for at in (80_000..90_000).step_by(500) {
        rig.until(at).await;
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, u128::from(at)));
    }
    // 80 s and a second after its failure; that one hangs for 5 s, two seconds more.
    assert_eq!(rig.issuer().instants(), [0, 80_000, 81_500, 88_500]);
    rig.until(90_000).await;
    not_possible(&rig.lookup().heard().await);
    assert_eq!(tokens(&rig), ["token-1"; 21]);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_a_token_as_long_as_it_has_time_and_the_question_goes_on_without_it() {
    let rig = with_tokens();
    rig.issuer().next(Line::token(1, 3600).after(2_000));
    let heard = rig.lookup().within(1_000).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::DeadlineExceeded, 900));
    assert_eq!((rig.issuer().in_flight(), rig.upstream().count()), (1, 0));
    rig.until(1_500).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 2_000));
    assert_eq!((rig.issuer().count(), rig.tasks()), (1, 0));

    // What is left when it comes is too little for an attempt.
    let rig = with_tokens();
    rig.issuer().next(Line::token(1, 3600).after(890));
    let heard = rig.lookup().within(1_000).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::DeadlineExceeded, 890));
    assert_eq!(rig.upstream().count(), 0);

    // One that never answers is given up after five seconds.
    let rig = with_tokens();
    rig.issuer().always(Line::hangs());
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::DeadlineExceeded);
    rig.until(4_900).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((not_possible(&heard), heard.at), (1_000, 5_000));
    assert_eq!((rig.issuer().in_flight(), rig.tasks()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_token_stays_good_however_its_issuer_is_reached_after_a_reload() {
    let rig =
        Setup { crm: &[OAUTH2, "timeouts: {connect: 1s, attempt: 2s}"], ..Setup::PLAIN }.rig();
    rig.issuer().next(Line::token(7, 3600));
    assert!(rig.lookup().heard().await.result.is_ok());
    for (from, to) in [
        ("connect: 1s", "connect: 500ms"),
        ("timeouts:", "pool: {idle: 3}\n    timeouts:"),
        ("https://crm.test", "https://erp.test"),
    ] {
        let after = rig.reload(&[(from, to)]);
        assert!(after.lookup().heard().await.result.is_ok(), "{to}");
        assert_eq!((rig.issuer().count(), &**tokens(&rig).last().unwrap()), (1, "token-7"), "{to}");
    }
    rig.reload(&[("'hold line'", "'another'")]).lookup().heard().await;
    assert_eq!(rig.issuer().count(), 2, "it was issued to somebody else");
}
