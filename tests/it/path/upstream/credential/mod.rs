//! How attempts prove who we are, and what becomes of a call while no token is to be had.

pub(crate) mod issuer;
mod not_taken;
mod reload;

use std::time::Duration;

use holdline::{
    client::WireError,
    mechanism::breaker::{Force, State},
    telemetry::{outcome::Outcome, stage::Stage},
};

use super::{ONCE, ada, state};
use crate::support::{
    ask::Heard,
    rig::{Rig, Setup},
    scripted::Line,
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

    let rig = Setup { crm: &[OAUTH2], ..Setup::PLAIN }.rig();
    let _ = rig.pipeline.force_breaker("crm", Force::Open, Duration::from_secs(600), None);
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), rig.issuer().count()), (Outcome::BreakerOpen, 0));
    assert!(heard.failure().retry_after().is_some_and(|wait| !wait.is_zero()));
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
