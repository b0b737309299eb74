//! A token that the upstream does not take: it is dropped, and the attempt is made once more.

use holdline::{mechanism::breaker::State, telemetry::outcome::Outcome};

use super::{
    super::{ada, state},
    OAUTH2, sent, tokens, with_tokens,
};
use crate::support::{
    rig::{Rig, Setup},
    scripted::{Line, Seen},
};

/// The upstream takes no token but that one.
fn takes_only(rig: &Rig, token: &'static str) {
    rig.upstream().rule(
        move |seen: &Seen| {
            if seen.bearer() == token { ada() } else { Line::status(401) }
        },
    );
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
