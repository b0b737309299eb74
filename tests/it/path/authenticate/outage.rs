//! An authority that is slow, busy or down: never a refusal, never remembered.

use std::time::Duration;

use holdline::{
    client::WireError,
    telemetry::{outcome::Outcome, stage::Stage},
};

use super::{GENESYS, unavailable};
use crate::support::{
    ask::Heard,
    rig::{Rig, START, Setup},
    scripted::Line,
};

const SOON: Duration = Duration::from_secs(2);

/// A lookup with a token that nobody has seen before.
async fn newcomer(rig: &Rig, number: u32) -> Heard {
    rig.lookup().token(&format!("t{number}")).heard().await
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_is_down_is_unavailable_and_never_a_refusal() {
    let rig = GENESYS.rig();
    for answer in [
        Line::status(500),
        Line::status(503),
        Line::status(404),
        Line::status(429),
        Line::status(302),
        Line::fails(WireError::Timeout),
        Line::fails(WireError::BodyTooLarge),
    ] {
        rig.authority().next(answer.clone());
        let heard = rig.lookup().heard().await;
        assert_eq!(unavailable(&heard), SOON, "{answer:?}");
        assert_eq!(heard.outcome(), Outcome::AuthUnavailable);
        assert_eq!(heard.failure().retry_after(), Some(SOON));
    }
    let heard = rig.lookup().heard().await;
    assert_eq!(heard.decision(Stage::Authenticate), "remote", "nothing of it is remembered");
    assert_eq!(rig.authority().count(), 8);
    assert_eq!(rig.counts("holdline_token_validations_total")["result=error,source=remote"], 7);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_tried_once_more_at_once() {
    let rig = GENESYS.rig();
    for error in [WireError::Reset, WireError::Connect] {
        rig.authority().next(Line::fails(error));
        let heard = rig.lookup().token(error.label()).heard().await;
        assert!(heard.result.is_ok());
    }
    assert_eq!(rig.authority().count(), 4);
    rig.authority().next(Line::fails(WireError::Reset)).next(Line::fails(WireError::Reset));
    assert_eq!(unavailable(&rig.lookup().heard().await), SOON);
    assert_eq!((rig.authority().count(), rig.now()), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn a_silent_authority_is_given_up_when_its_time_is_over() {
    let rig = Setup { genesys: &["timeout: 1s"], ..GENESYS }.rig();
    rig.authority().next(Line::hangs());
    let heard = rig.lookup().heard().await;
    assert_eq!((unavailable(&heard), heard.at), (SOON, 1000));
    assert_eq!(rig.authority().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_question_covers_its_second_try() {
    let rig = Setup { genesys: &["timeout: 1s"], ..GENESYS }.rig();
    rig.authority().next(Line::fails(WireError::Reset).after(600)).next(Line::hangs());
    let heard = rig.lookup().heard().await;
    assert_eq!((unavailable(&heard), heard.at), (SOON, 1000));
}

#[tokio::test(start_paused = true)]
async fn questions_beyond_the_limit_wait_for_their_turn_and_not_for_long() {
    let rig = Setup { genesys: &["max_concurrent: 2"], ..GENESYS }.rig();
    rig.authority().always(Line::active("acme", "ivr").after(50));
    let (a, b, c) = tokio::join!(newcomer(&rig, 1), newcomer(&rig, 2), newcomer(&rig, 3));
    assert_eq!((a.at, b.at, c.at), (50, 50, 100));
    assert_eq!(rig.authority().most_in_flight(), 2);

    rig.authority().always(Line::active("acme", "ivr").after(150));
    let (d, e, f) = tokio::join!(newcomer(&rig, 4), newcomer(&rig, 5), newcomer(&rig, 6));
    assert!(d.result.is_ok() && e.result.is_ok());
    assert_eq!((unavailable(&f), f.at), (SOON, 200));
    assert_eq!((rig.authority().most_in_flight(), rig.authority().count()), (2, 5));
}

#[tokio::test(start_paused = true)]
async fn a_failing_authority_is_given_a_rest_and_tried_with_one_question() {
    let rig = GENESYS.rig();
    rig.authority().always(Line::status(503));
    for number in 0..7 {
        assert_eq!(unavailable(&newcomer(&rig, number).await), SOON);
    }
    rig.until(500).await;
    assert_eq!(unavailable(&newcomer(&rig, 7).await), Duration::from_millis(1500));
    assert_eq!(rig.authority().count(), 7, "an open breaker asks nobody");

    rig.authority().always(Line::active("acme", "ivr").after(100));
    rig.until(2000).await;
    let (probe, other) = tokio::join!(newcomer(&rig, 8), newcomer(&rig, 9));
    assert_eq!((probe.decision(Stage::Authenticate), probe.at), ("remote", 2100));
    assert_eq!((unavailable(&other), other.at), (Duration::from_secs(1), 2000));
    for number in 10..20 {
        assert!(newcomer(&rig, number).await.result.is_ok(), "one good answer closes it");
    }
}

#[tokio::test(start_paused = true)]
async fn five_failures_to_connect_are_enough_and_each_rest_is_twice_the_last() {
    let rig = GENESYS.rig();
    rig.authority().always(Line::fails(WireError::Connect));
    for number in 0..6 {
        newcomer(&rig, number).await;
    }
    assert_eq!(rig.authority().count(), 10, "five questions, each tried twice");
    rig.until(2000).await;
    newcomer(&rig, 6).await;
    assert_eq!(rig.authority().count(), 12);
    assert_eq!(unavailable(&newcomer(&rig, 7).await), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_serves_while_the_authority_is_given_a_rest() {
    let rig = Setup { genesys: &["cache: {ttl: 60s, stale_on_outage: 5m}"], ..GENESYS }.rig();
    rig.lookup().heard().await;
    rig.authority().always(Line::status(503));
    rig.until(60_000).await;
    for number in 0..7 {
        newcomer(&rig, number).await;
    }
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.decision(Stage::Authenticate), heard.at), ("stale", 60_000));
    assert_eq!(rig.authority().count(), 8, "nobody was asked for it");
}

#[tokio::test(start_paused = true)]
async fn refusals_and_odd_statuses_say_nothing_against_the_authority() {
    let rig = GENESYS.rig();
    for (number, status) in [401, 403, 404, 429, 302].into_iter().cycle().take(50).enumerate() {
        rig.authority().next(Line::status(status));
        newcomer(&rig, u32::try_from(number).unwrap()).await;
    }
    assert_eq!(rig.authority().count(), 50);
}

#[tokio::test(start_paused = true)]
async fn the_instant_of_the_last_verdict_is_told() {
    let rig = GENESYS.rig();
    let series = r#"holdline_token_authority_last_success_timestamp_seconds{caller="genesys"}"#;
    assert_eq!(rig.metric(series), 0.0);
    rig.until(3000).await;
    rig.lookup().heard().await;
    rig.until(9000).await;
    rig.authority().next(Line::status(503));
    rig.lookup().token("other").heard().await;
    assert_eq!(rig.metric(series), START as f64 + 3.0);
}
