//! Limits: exact to the millisecond, by whatever calls have in common.

pub(crate) mod in_flight;

use std::time::Duration;

use holdline::{
    pipeline::{failure::Failure, rate_limit::Limited},
    telemetry::{outcome::Outcome, stage::Stage},
};
use serde_json::json;

use crate::support::{
    ask::{Ask, Heard},
    rig::{Rig, Setup},
    scripted::Line,
};

/// A pipeline with one limit. The tokens `a1`, `a2` are two clients of acme, `b1` is one of globex.
fn limited(limit: &str) -> Rig {
    let limit = format!("tight: {{{limit}}}");
    let setup = Setup { caller: "genesys", lookup: &["limits: [tight]"], ..Setup::PLAIN };
    let rig = Setup { limits: &[&limit], ..setup }.rig();
    rig.authority().rule(|seen| {
        let org = if seen.bearer().starts_with('a') { "acme" } else { "globex" };
        Line::active(org, seen.bearer().trim_start_matches(['a', 'b']))
    });
    rig
}

#[track_caller]
fn refused(heard: &Heard) -> &Limited {
    match heard.failure() {
        Failure::Limited(limited) => limited,
        other => panic!("{other:?}"),
    }
}

/// How many of twenty such calls pass.
async fn passes(ask: Ask) -> usize {
    ask.times(20).await.iter().filter(|heard| heard.result.is_ok()).count()
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_burst_passes_and_then_one_call_a_period_to_the_millisecond() {
    let rig = limited("key: org, rate: 10/s, burst: 5");
    assert_eq!(passes(rig.lookup()).await, 5);
    let heard = rig.lookup().heard().await;
    let limited = refused(&heard);
    assert_eq!(limited.limit.as_str(), "tight");
    assert_eq!(limited.retry_after, Duration::from_millis(100));
    assert_eq!((limited.burst, limited.window), (5, Duration::from_millis(500)));
    assert_eq!(heard.outcome(), Outcome::RateLimited);
    assert_eq!(heard.failure().detail(), "Rate limit tight is used up");
    assert_eq!(heard.failure().retry_after(), Some(Duration::from_millis(100)));
    let expected = ["authenticate: cache", "validate: valid", "rate_limit: limited"];
    assert_eq!(heard.decisions(), expected);

    rig.until(99).await;
    assert_eq!(refused(&rig.lookup().heard().await).retry_after, Duration::from_millis(1));
    for at in [100, 200, 300] {
        rig.until(at).await;
        assert!(rig.lookup().heard().await.result.is_ok(), "{at}");
        assert_eq!(refused(&rig.lookup().heard().await).retry_after, Duration::from_millis(100));
    }
    rig.until(800).await;
    assert_eq!(passes(rig.lookup()).await, 5, "half a second later all five are back");
    let decisions = rig.counts("holdline_ratelimit_decisions_total");
    assert_eq!(decisions["limit=tight,decision=allowed"], 13);
    assert_eq!(rig.upstream().count(), 13);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_wait_that_is_promised_is_the_one_that_is_needed() {
    for (rate, period) in [("3/s", 333_333_333), ("7/m", 8_571_428_571)] {
        let rig = limited(&format!("key: org, rate: {rate}, burst: 1"));
        rig.lookup().heard().await;
        let wait = refused(&rig.lookup().heard().await).retry_after;
        assert!(wait.as_nanos().abs_diff(period) <= 1, "{wait:?}");
        tokio::time::advance(wait - Duration::from_nanos(1)).await;
        assert!(rig.lookup().heard().await.result.is_err(), "{rate}");
        tokio::time::advance(Duration::from_nanos(1)).await;
        assert!(rig.lookup().heard().await.result.is_ok(), "{rate}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn calls_are_counted_together_by_what_the_key_says() {
    // What still passes after twenty calls of the client a1 about customer 1.
    for (key, other_client, other_org, other_customer) in [
        ("all", 0, 0, 0),
        ("action", 0, 0, 0),
        ("org", 0, 5, 0),
        ("caller", 5, 5, 0),
        ("input.id", 0, 5, 5),
        ("[org, input.id]", 0, 5, 5),
        ("[caller, input.id]", 5, 5, 5),
        ("[caller, action]", 5, 5, 0),
    ] {
        let rig = limited(&format!("key: {key}, rate: 1/s, burst: 5"));
        assert_eq!(passes(rig.lookup().token("a1")).await, 5);
        assert_eq!(passes(rig.lookup().token("a2")).await, other_client, "{key}");
        assert_eq!(passes(rig.lookup().token("b1")).await, other_org, "{key}");
        assert_eq!(passes(rig.lookup().token("a1").id(2)).await, other_customer, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_missing_is_a_key_of_its_own() {
    let rig = limited("key: input.lang, rate: 1/s, burst: 1");
    for (input, passes) in [
        (json!({"id": 1}), true),
        (json!({"id": 2}), false),
        (json!({"id": 1, "lang": "de"}), true),
        (json!({"id": 2, "lang": "de"}), false),
        (json!({"id": 1, "lang": "DE"}), true),
    ] {
        assert_eq!(rig.lookup().input(&input).heard().await.result.is_ok(), passes, "{input}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_customer_is_one_however_they_are_written() {
    let rig = limited("key: input.id, rate: 1/s, burst: 1");
    assert!(rig.lookup().input(&json!({"id": 42})).heard().await.result.is_ok());
    for same in [json!("42"), json!(42.0)] {
        assert!(rig.lookup().input(&json!({ "id": same })).heard().await.result.is_err());
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_limit_that_does_not_enforce_only_tells() {
    let rig = limited("key: org, rate: 1/s, burst: 5, enforce: false");
    assert_eq!(passes(rig.lookup()).await, 20);
    assert_eq!(rig.lookup().heard().await.decision(Stage::RateLimit), "shadow_limited");
    let decisions = rig.counts("holdline_ratelimit_decisions_total");
    assert_eq!(decisions["limit=tight,decision=allowed"], 5);
    assert_eq!(decisions["limit=tight,decision=shadow_limited"], 16);
    assert_eq!(decisions.len(), 2);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_first_limit_that_refuses_ends_it_and_what_was_counted_stays_counted() {
    let setup = Setup {
        limits: &[
            "wide: {key: all, rate: 1/m, burst: 4}",
            "narrow: {key: all, rate: 1/s, burst: 1}",
            "last: {key: all, rate: 1/m, burst: 9}",
        ],
        lookup: &["limits: [wide, narrow, last]"],
        ..Setup::PLAIN
    };
    let rig = setup.rig();
    assert!(rig.lookup().heard().await.result.is_ok());
    for limit in ["narrow", "narrow", "narrow", "wide"] {
        assert_eq!(refused(&rig.lookup().heard().await).limit.as_str(), limit);
    }
    let decisions = rig.counts("holdline_ratelimit_decisions_total");
    assert_eq!(decisions["limit=last,decision=allowed"], 1, "what stands behind is not asked");
}

#[tokio::test(start_paused = true)]
async fn one_limit_is_one_set_of_buckets_over_all_its_actions() {
    for (key, left) in [("all", 0), ("action", 5)] {
        let limit = format!("shared: {{key: {key}, rate: 1/s, burst: 5}}");
        let setup = Setup { limits: &[&limit], lookup: &["limits: [shared]"], ..Setup::PLAIN };
        let update = "  update:\n    caller: none\n";
        let yaml = setup.yaml().replace(update, &format!("{update}    limits: [shared]\n"));
        let rig = Rig::of(&yaml, setup.room, setup.chance);
        assert_eq!(passes(rig.lookup()).await, 5);
        assert_eq!(passes(rig.ask("update")).await, left, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn hits_count_too_and_so_do_calls_that_fail_later() {
    let setup = Setup {
        limits: &["tight: {key: all, rate: 1/s, burst: 4}"],
        lookup: &["limits: [tight]"],
        cache: &["ttl: 60s"],
        ..Setup::PLAIN
    };
    let rig = setup.rig();
    rig.upstream().next(Line::status(404)).next(Line::status(404));
    assert_eq!(passes(rig.lookup().id(7)).await, 0);
    let rig = setup.rig();
    assert_eq!(passes(rig.lookup()).await, 4);
    assert_eq!(rig.upstream().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_before_takes_nothing() {
    let rig = limited("key: all, rate: 1/s, burst: 1");
    rig.authority().next(Line::status(401));
    assert_eq!(rig.lookup().token("bad").heard().await.outcome(), Outcome::Forbidden);
    assert_eq!(rig.lookup().body("{}").heard().await.outcome(), Outcome::BadRequest);
    assert!(rig.lookup().heard().await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_sweep_forgets_a_key_once_its_bucket_is_full_again() {
    let rig = limited("key: input.id, rate: 1/s, burst: 5");
    let tracked = || {
        rig.pipeline.sweep();
        rig.metric(r#"holdline_ratelimit_tracked_keys{limit="tight"}"#)
    };
    for id in 0..10 {
        rig.lookup().id(id).heard().await;
    }
    assert_eq!(tracked(), 10.0);
    rig.until(999).await;
    assert_eq!(tracked(), 10.0);
    rig.until(1_000).await;
    assert_eq!(tracked(), 0.0);
    rig.until(3_000).await;
    assert_eq!(passes(rig.lookup().id(0)).await, 5);
    rig.until(5_000).await;
    assert_eq!(tracked(), 1.0);
    assert_eq!(passes(rig.lookup().id(0)).await, 2, "a sweep gives nothing away");
}
