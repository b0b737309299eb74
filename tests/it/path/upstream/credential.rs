//! How attempts prove who we are, and what becomes of a call while no token is to be had.

use std::time::Duration;

use holdline::{
    client::WireError,
    mechanism::breaker::State,
    telemetry::{outcome::Outcome, stage::Stage},
};
use serde_json::{Value, json};

use super::{ONCE, ada, state};
use crate::support::{
    ask::Heard,
    rig::{Rig, Setup},
    scripted::{Line, Seen},
};

const OAUTH2: &str = "auth: {type: oauth2, token_url: 'https://login.test/t/token?tenant=a%20b', \
                      client_id: 'hold line', client_secret: '${SECRET:-s3cret&+}', scope: 'read write:all'}";

fn with_tokens() -> Rig {
    Setup { crm: &[OAUTH2], ..Setup::PLAIN }.rig()
}

/// What came in that header, of each attempt.
fn sent(rig: &Rig, header: &str) -> Vec<String> {
    rig.upstream().seen().iter().map(|seen| seen.header(header).to_owned()).collect()
}

/// The tokens that came, of each attempt.
fn tokens(rig: &Rig) -> Vec<String> {
    rig.upstream().seen().iter().map(|seen| seen.bearer().to_owned()).collect()
}

/// The upstream takes no token but that one.
fn takes_only(rig: &Rig, token: &'static str) {
    rig.upstream().rule(
        move |seen: &Seen| {
            if seen.bearer() == token { ada() } else { Line::status(401) }
        },
    );
}

#[track_caller]
fn not_issued(heard: &Heard, outcome: Outcome, detail: &str) -> u128 {
    assert_eq!((heard.outcome(), &*heard.failure().detail()), (outcome, detail));
    assert_eq!(heard.decision(Stage::Upstream), "not_issued");
    assert_eq!(heard.decision(Stage::Attempt), "", "nothing is sent");
    heard.failure().retry_after().expect("it says when").as_millis()
}

#[track_caller]
fn not_possible(heard: &Heard) -> u128 {
    not_issued(heard, Outcome::UpstreamUnreachable, "Login to external API is not possible")
}

#[track_caller]
fn refused(heard: &Heard) -> u128 {
    not_issued(heard, Outcome::UpstreamRejected, "Login to external API is refused")
}

#[tokio::test(start_paused = true)]
pub(crate) async fn what_is_written_goes_with_each_attempt_in_its_own_header() {
    for (auth, header, value) in [
        ("{type: none}", "authorization", ""),
        ("{type: bearer, token: '${T:-abc.DEF-1}'}", "authorization", "Bearer abc.DEF-1"),
        ("{type: bearer, token: '${T:-other}'}", "authorization", "Bearer other"),
        // RFC 7617, 2: the well-known example.
        (
            "{type: basic, user: Aladdin, password: '${P:-open sesame}'}",
            "authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (
            "{type: basic, user: test, password: '${P:-123\u{a3}}'}",
            "authorization",
            "Basic dGVzdDoxMjPCow==",
        ),
        ("{type: basic, user: b, password: '${P:-:}'}", "authorization", "Basic Yjo6"),
        ("{type: header, name: X-Api-Key, value: '${K:-k 1}'}", "x-api-key", "k 1"),
        (
            "{type: header, name: Authorization, value: '${K:-Token t=1}'}",
            "authorization",
            "Token t=1",
        ),
    ] {
        let auth = format!("auth: {auth}");
        let rig = Setup { crm: &[&auth, "headers: {X-Tenant: acme}"], ..Setup::PLAIN }.rig();
        rig.upstream().next(Line::status(503)).next(Line::status(401));
        assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamRejected, "{auth}");
        assert_eq!(sent(&rig, header), [value; 2], "{auth}: and a 401 is not repeated");
        assert_eq!(sent(&rig, "x-tenant"), ["acme"; 2]);
        assert_eq!(rig.issuer().count(), 0);
    }
}

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
async fn one_that_the_upstream_does_not_take_is_dropped_and_the_attempt_made_once_more() {
    for action in ["lookup", "update"] {
        let rig = Setup {
            crm: &[OAUTH2, "retry: {attempts: 1, idempotency_key: X-Once}"],
            ..Setup::PLAIN
        }
        .rig();
        rig.lookup().heard().await;
        takes_only(&rig, "token-2");
        let heard = rig.ask(action).heard().await;
        assert_eq!(heard.outcome(), Outcome::Ok, "a 401 says that nothing was done");
        assert_eq!(tokens(&rig), ["token-1", "token-1", "token-2"]);
        assert_eq!(rig.issuer().count(), 2);
        let keys = sent(&rig, "x-once");
        assert_eq!(keys[1], keys[2], "the same request");
        assert_ne!(keys[0], keys[1]);
        assert!(rig.counts("holdline_upstream_retries_total").is_empty(), "it is no retry");
        let calls = rig.counts("holdline_upstream_calls_total");
        assert_eq!(calls["upstream=crm,result=success,retried=true"], 1);
        let decisions = heard.decisions();
        assert_eq!(
            decisions.iter().filter(|it| it.starts_with("attempt")).count(),
            2,
            "{decisions:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_takes_no_token_costs_one_more_attempt_and_one_token_in_ten_seconds() {
    let rig = with_tokens();
    rig.lookup().heard().await;
    rig.upstream().always(Line::status(401));
    for (at, attempts, issued) in [
        (1_000, 2, 2),
        (1_000, 1, 2),
        (10_999, 1, 2),
        (11_000, 2, 3),
        (20_999, 1, 3),
        (21_000, 2, 4),
    ] {
        rig.until(at).await;
        rig.upstream().forget();
        let heard = rig.lookup().heard().await;
        assert_eq!(heard.outcome(), Outcome::UpstreamRejected);
        assert_eq!(&*heard.failure().detail(), "External API failed: 401");
        assert_eq!((rig.upstream().count(), rig.issuer().count()), (attempts, issued), "{at}");
    }
    assert_eq!((state(&rig), rig.condition().breaker.failures), (State::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_401_to_a_token_that_the_call_has_waited_for_is_told() {
    let rig = with_tokens();
    rig.upstream().always(Line::status(401));
    for heard in rig.lookup().times(20).await {
        assert_eq!(heard.outcome(), Outcome::UpstreamRejected);
    }
    assert_eq!((rig.upstream().count(), rig.issuer().count()), (20, 1));
}

#[tokio::test(start_paused = true)]
async fn calls_whose_token_is_not_taken_together_ask_for_one_other() {
    let rig = with_tokens();
    rig.lookup().heard().await;
    rig.upstream().rule(|seen: &Seen| match seen.bearer() {
        "token-1" => Line::status(401).after(10),
        _ => ada(),
    });
    rig.issuer().next(Line::token(2, 3600).after(100));
    for heard in rig.lookup().times(50).await {
        assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 110));
    }
    assert_eq!((rig.upstream().count(), rig.issuer().count()), (1 + 50 + 50, 2));

    // One that comes back late finds that another has its place, and drops nothing.
    let rig = with_tokens();
    rig.lookup().heard().await;
    rig.upstream().next(Line::status(401).after(500)).next(Line::status(401));
    let late = rig.lookup().set_off().await;
    assert!(rig.lookup().heard().await.result.is_ok());
    assert!(late.heard().await.result.is_ok());
    assert_eq!(tokens(&rig), ["token-1", "token-1", "token-1", "token-2", "token-2"]);
    assert_eq!(rig.issuer().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn where_no_other_token_or_attempt_is_to_be_had_in_time_the_401_is_told() {
    let told = async |crm: &[&str], issuer: Line, patience: u64| {
        let rig = Setup { crm, ..Setup::PLAIN }.rig();
        rig.lookup().heard().await;
        rig.until(10_000).await;
        rig.upstream().always(Line::status(401));
        rig.issuer().next(issuer);
        let heard = rig.lookup().within(patience).heard().await;
        assert_eq!(&*heard.failure().detail(), "External API failed: 401");
        (rig.upstream().count() - 1, heard.at - 10_000)
    };
    assert_eq!(told(&[OAUTH2], Line::status(500), 2_000).await, (1, 0));
    assert_eq!(told(&[OAUTH2], Line::token(2, 60).after(900), 1_000).await, (1, 900));
    assert_eq!(told(&[OAUTH2], Line::hangs(), 1_000).await, (1, 900));
    let quota = [OAUTH2, "quota: {rate: 1/m, burst: 2}"];
    let rig_at_its_quota = told(&quota, Line::token(2, 60), 2_000).await;
    assert_eq!(rig_at_its_quota, (1, 0), "it pays like any attempt");
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
async fn a_token_is_kept_where_no_other_is_to_be_had() {
    let rig = with_tokens();
    rig.issuer().next(Line::token(1, 100)).next(Line::status(500));
    rig.lookup().heard().await;
    rig.until(80_000).await;
    rig.lookup().heard().await;
    rig.settle().await;
    rig.upstream().next(Line::status(401));
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamRejected);
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Ok);
    assert_eq!(tokens(&rig), ["token-1"; 4]);
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
async fn who_waits_for_a_token_holds_no_permit_and_no_probe() {
    let rig = Setup {
        crm: &[OAUTH2, "concurrency: {limit: 1}", "breaker: {run: 1}", "retry: {attempts: 1}"],
        ..Setup::PLAIN
    }
    .rig();
    rig.issuer().next(Line::token(1, 1)).next(Line::token(2, 3600).after(3_000));
    rig.upstream().next(Line::status(503));
    rig.lookup().heard().await;
    assert_eq!(state(&rig), State::Open);
    rig.until(2_500).await;
    assert_eq!(state(&rig), State::HalfOpen);
    let waits = rig.lookup().set_off().await;
    assert_eq!((rig.issuer().in_flight(), rig.condition().in_flight), (1, 0));
    let heard = waits.heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 5_500));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_token_whom_the_breaker_would_refuse() {
    let rig =
        Setup { crm: &[OAUTH2, "breaker: {run: 1}", "retry: {attempts: 1}"], ..Setup::PLAIN }.rig();
    rig.issuer().next(Line::token(1, 1));
    rig.upstream().next(Line::status(503));
    rig.lookup().heard().await;
    rig.until(1_000).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::BreakerOpen, 1_000));
    assert_eq!(heard.failure().retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(rig.issuer().count(), 1);
    assert_eq!(rig.metric(r#"holdline_breaker_short_circuited_total{upstream="crm"}"#), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_issuer_makes_no_attempt_late() {
    let rig = Setup {
        crm: &[OAUTH2, "hedge: {enabled: true, budget: 1}", "retry: {attempts: 4}"],
        ..Setup::PLAIN
    }
    .rig();
    rig.issuer().next(Line::token(1, 20)).next(Line::token(2, 3600).after(1_000));
    rig.upstream().always(ada().after(10));
    for _ in 0..150 {
        assert!(rig.lookup().heard().await.result.is_ok());
    }
    rig.until(18_000).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 19_010));
    assert_eq!((rig.upstream().count(), tokens(&rig).last().unwrap().as_str()), (151, "token-2"));

    // A 401 ends a race like any answer, and its repeat may be hedged anew.
    rig.until(20_000).await;
    rig.upstream().only([
        ada().after(1_000),
        Line::status(401),
        ada().after(1_000),
        ada().after(5),
    ]);
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 20_000 + 50 + 50 + 5));
    assert_eq!(tokens(&rig)[151..], ["token-2", "token-2", "token-1", "token-1"]);
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_stands_in_where_no_token_is_issued() {
    let cache = ["ttl: 10s", "stale_if_error: 5m"];
    let rig = Setup { crm: &[OAUTH2], cache: &cache, ..Setup::PLAIN }.rig();
    rig.issuer().next(Line::token(1, 20)).always(Line::status(401));
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Ok);
    rig.until(20_000).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Stale);
    assert_eq!(rig.lookup().id(2).heard().await.outcome(), Outcome::UpstreamRejected);
    let fallback = ["fallback: {name: nobody}"];
    let rig = Setup { crm: &[OAUTH2, ONCE[0]], lookup: &fallback, ..Setup::PLAIN }.rig();
    rig.issuer().always(Line::fails(WireError::Dns));
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Fallback);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_pays_into_the_budget_once_whatever_its_401_led_to() {
    let left = async |status: Option<u16>| {
        let rig =
            Setup { crm: &[OAUTH2, "retry: {budget: {ratio: 1, per_second: 0}}"], ..Setup::PLAIN }
                .rig();
        rig.lookup().heard().await;
        rig.upstream().only(status.map(Line::status));
        rig.lookup().heard().await;
        rig.upstream().always(Line::status(503));
        rig.upstream().forget();
        rig.lookup().heard().await;
        rig.lookup().heard().await;
        rig.upstream().count()
    };
    assert_eq!(left(Some(401)).await, left(None).await);
}
