//! An upstream that says when to come back is left alone until then, by every call.

use std::time::Duration;

use holdline::{
    mechanism::breaker::State,
    telemetry::outcome::{Outcome, Source},
};

use super::{ada, held_because_of, held_for};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

fn later(status: u16, retry_after: &str) -> Line {
    Line::status(status).header("retry-after", retry_after)
}

fn held(rig: &Rig) -> u64 {
    held_because_of(rig, "not_before")
}

#[tokio::test(start_paused = true)]
async fn a_second_call_respects_what_a_first_one_was_told() {
    for status in [429, 503] {
        for after in ["2", "Wed, 01 Jan 2025 00:00:02 GMT"] {
            let rig = Setup::PLAIN.rig();
            rig.upstream().next(later(status, after));
            let first = rig.lookup().set_off().await;
            rig.until(500).await;
            for ask in ["lookup", "update"] {
                let second = rig.ask(ask).heard().await;
                assert_eq!((held_for(&second), second.at), (1500, 500), "{status} {after}");
            }
            assert_eq!((rig.upstream().count(), held(&rig)), (1, 2));
            rig.until(2000).await;
            assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Ok, "its time is over");
            let first = first.heard().await;
            assert_eq!((first.outcome(), first.at), (Outcome::Ok, 2025), "its own repeat passes");
            assert_eq!(rig.upstream().instants(), [0, 2000, 2025]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_disproves_a_503_and_not_a_429() {
    for (status, still) in [(503, 0), (429, 1900)] {
        let rig = Setup { crm: super::ONCE, ..Setup::PLAIN }.rig();
        rig.upstream().next(ada().after(100)).next(later(status, "2"));
        let good = rig.lookup().set_off().await;
        rig.lookup().heard().await;
        assert_eq!(rig.condition().not_before_left, Duration::from_secs(2), "{status}");
        assert_eq!(good.heard().await.outcome(), Outcome::Ok);
        assert_eq!(rig.condition().not_before_left, Duration::from_millis(still), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_429_and_a_503_speak_for_the_whole_upstream() {
    let rig = Setup { crm: super::ONCE, ..Setup::PLAIN }.rig();
    let lines = [301, 404, 408, 500, 502, 504].map(|status| later(status, "10"));
    let vague = ["soon", "0", "Tue, 31 Dec 2024 23:59:59 GMT"].map(|after| later(429, after));
    for line in lines.into_iter().chain(vague).chain([Line::status(429), Line::status(503)]) {
        rig.upstream().next(line.clone());
        rig.lookup().heard().await;
        assert_eq!(rig.condition().not_before_left, Duration::ZERO, "{line:?}");
    }
    assert_eq!((rig.upstream().count(), held(&rig)), (11, 0));
}

#[tokio::test(start_paused = true)]
async fn the_last_moment_of_it_is_waited_for() {
    let rig = Setup::PLAIN.rig();
    rig.upstream().next(later(503, "10"));
    rig.lookup().heard().await;
    rig.until(9_899).await;
    assert_eq!(held_for(&rig.lookup().heard().await), 101);
    rig.until(9_900).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 10_000));
    // Not longer than a tenth of the time left.
    rig.upstream().next(later(503, "10"));
    rig.lookup().heard().await;
    rig.until(19_950).await;
    assert_eq!(held_for(&rig.lookup().within(490).heard().await), 50);
}

#[tokio::test(start_paused = true)]
async fn the_later_one_wins_and_five_minutes_are_the_most() {
    let rig = Setup { crm: super::ONCE, ..Setup::PLAIN }.rig();
    rig.upstream().next(later(503, "9").after(10)).next(later(429, "5").after(20));
    rig.lookup().times(2).await;
    assert_eq!(rig.condition().not_before_left, Duration::from_millis(8_990));
    let series = r#"holdline_upstream_held_seconds{upstream="crm"}"#;
    assert_eq!(rig.metric(series), 8.99);
    rig.until(20_010).await;
    rig.upstream().next(later(429, "86400"));
    let heard = rig.lookup().heard().await;
    assert_eq!(heard.failure().retry_after(), Some(Duration::from_secs(86_400)), "it is passed on");
    assert_eq!(rig.condition().not_before_left, Duration::from_secs(300));
    rig.until(320_010).await;
    assert_eq!((rig.lookup().heard().await.outcome(), rig.metric(series)), (Outcome::Ok, 0.0));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_out_of_service_is_asked_again_after_ten_seconds() {
    // One of many replicas says so, at a time of few calls: no answer of another can disprove it.
    let rig = Setup { crm: super::ONCE, ..Setup::PLAIN }.rig();
    rig.upstream().next(later(503, "300"));
    let heard = rig.lookup().heard().await;
    assert_eq!(heard.failure().retry_after(), Some(Duration::from_secs(300)), "it is passed on");
    rig.until(5_000).await;
    assert_eq!(held_for(&rig.lookup().heard().await), 5_000);
    rig.until(10_000).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Ok);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_moved_while_it_is_waited_for_is_waited_for_anew_or_not_at_all() {
    for (again, outcome, at) in [("1", Outcome::Overloaded, 1000), ("0", Outcome::Ok, 1000)] {
        let rig =
            Setup { crm: &["retry: {attempts: 1}", "concurrency: {wait: 200ms}"], ..Setup::PLAIN }
                .rig();
        rig.upstream().next(later(503, again).after(950)).next(later(503, "1"));
        let slow = rig.lookup().set_off().await;
        rig.lookup().heard().await;
        rig.until(900).await;
        let waits = rig.lookup().heard().await;
        assert_eq!((waits.outcome(), waits.at), (outcome, at), "{again}");
        assert_eq!(slow.heard().await.at, 950);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_while_others_stand_in_line_for_their_turn_holds_them_too() {
    let rig = Setup { crm: &["concurrency: {limit: 1}"], ..Setup::PLAIN }.rig();
    rig.upstream().next(later(429, "30").after(50));
    let first = rig.lookup().set_off().await;
    let in_line = rig.lookup().heard().await;
    assert_eq!((held_for(&in_line), in_line.at), (30_000, 50));
    assert_eq!(first.heard().await.failure().upstream_status(), Some(429));
    assert_eq!((rig.upstream().count(), rig.condition().in_flight), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn no_wait_is_made_for_a_repeat_that_would_be_held() {
    let rig = Setup::PLAIN.rig();
    rig.upstream().next(Line::status(503).after(100)).next(later(429, "10").after(50));
    let first = rig.lookup().set_off().await;
    rig.lookup().heard().await;
    let first = first.heard().await;
    assert_eq!((first.failure().upstream_status(), first.at), (Some(503), 100));
    let suppressed = rig.counts("holdline_upstream_retries_suppressed_total");
    assert_eq!(suppressed["upstream=crm,reason=held"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_whose_mark_was_moved_tells_what_the_upstream_said() {
    let rig = Setup::PLAIN.rig();
    rig.upstream().next(later(429, "30").after(500)).next(later(429, "1"));
    let slow = rig.lookup().set_off().await;
    let quick = rig.lookup().heard().await;
    assert_eq!((quick.failure().upstream_status(), quick.at), (Some(429), 1025));
    assert_eq!((slow.heard().await.at, rig.upstream().count()), (500, 2));
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_is_given_at_once_and_nothing_is_refreshed() {
    for stale in ["stale_if_error: 5m", "stale_while_revalidate: 5m"] {
        let cache = ["ttl: 60s", stale];
        let rig = Setup { cache: &cache, ..Setup::PLAIN }.rig();
        rig.lookup().heard().await;
        rig.until(60_000).await;
        rig.upstream().next(later(429, "30"));
        rig.lookup().id(2).heard().await;
        // A call would wait for the last of these instants, a refresh does not.
        for at in [60_000, 70_000, 89_000] {
            rig.until(at).await;
            let heard = rig.lookup().heard().await;
            assert_eq!((heard.source(), heard.at), (Source::CacheStale, u128::from(at)));
        }
        rig.settle().await;
        assert_eq!((rig.upstream().count(), held(&rig)), (2, 3), "{stale}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_waits_not_even_for_the_last_moment() {
    let cache = ["ttl: 60s", "stale_while_revalidate: 5m"];
    let rig = Setup { cache: &cache, ..Setup::PLAIN }.rig();
    rig.lookup().heard().await;
    rig.until(60_000).await;
    rig.upstream().next(later(503, "10"));
    rig.lookup().id(2).heard().await;
    rig.until(69_999).await;
    assert_eq!(rig.lookup().heard().await.source(), Source::CacheStale);
    rig.until(70_500).await;
    assert_eq!((rig.upstream().count(), held(&rig)), (2, 1));
}

/// A pipeline whose breaker has just opened, at 0, for two seconds, without a ramp afterwards.
async fn opened() -> Rig {
    let rig = Setup { crm: &["retry: {attempts: 1}", "breaker: {ramp: 0s}"], ..Setup::PLAIN }.rig();
    rig.upstream().always(Line::status(503));
    for _ in 0..7 {
        rig.lookup().heard().await;
    }
    assert_eq!(rig.condition().breaker.state, State::Open);
    rig.upstream().always(ada());
    rig
}

#[tokio::test(start_paused = true)]
async fn a_503_that_says_when_is_a_failure_too() {
    let rig = Setup { crm: &["retry: {attempts: 1}", "breaker: {run: 2}"], ..Setup::PLAIN }.rig();
    rig.upstream().always(later(503, "1"));
    rig.lookup().heard().await;
    assert_eq!((rig.condition().breaker.failures, held(&rig)), (1, 0));
    rig.until(1000).await;
    rig.lookup().heard().await;
    assert_eq!(rig.condition().breaker.state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_429_to_a_probe_keeps_it_from_the_upstream_as_long_as_both_say() {
    // It opens for four seconds, the upstream says thirty: until 32,000 nothing is sent.
    let rig = opened().await;
    rig.until(2000).await;
    rig.upstream().next(later(429, "30"));
    rig.lookup().heard().await;
    assert_eq!(rig.condition().breaker.state, State::Open);
    for at in [6_000, 6_000, 20_000, 31_899] {
        rig.until(at).await;
        let heard = rig.lookup().heard().await;
        // The probe's place is given back each time, without a verdict.
        assert_eq!(held_for(&heard), 32_000 - u128::from(at));
        assert_eq!(rig.condition().breaker.state, State::HalfOpen);
    }
    assert_eq!(rig.upstream().count(), 8);
    for _ in 0..3 {
        rig.until(32_000).await;
        assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Ok);
    }
    assert_eq!(rig.condition().breaker.state, State::Closed);

    // The upstream says one second, the breaker four.
    let rig = opened().await;
    rig.until(2000).await;
    rig.upstream().next(later(429, "1"));
    rig.lookup().heard().await;
    rig.until(5_999).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::BreakerOpen);
    rig.until(6_000).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Ok);
}
