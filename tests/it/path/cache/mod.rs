//! Known answers: which calls may share one, and for how long it is fresh. What an old one is worth,
//! shared fetches and purges have files of their own.

pub(crate) mod flight;
mod herd;
mod memo;
pub(crate) mod purge;
pub(crate) mod stale;

use std::time::Duration;

use holdline::{
    chance::Chance,
    client::WireError,
    pipeline::cache::Room,
    telemetry::{
        outcome::{Outcome, Source},
        stage::Stage,
    },
};
use serde_json::{Value, json};

use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// Kept for a minute, and every attempt stands for itself.
const MINUTE: Setup<'_> =
    Setup { crm: &["retry: {attempts: 1}"], cache: &["ttl: 60s", "customer: id"], ..Setup::PLAIN };

fn named(name: &str) -> Line {
    Line::json(&json!({ "name": name }))
}

/// Whatever an upstream may do that is its own failure.
fn broken() -> impl Iterator<Item = Line> {
    let statuses = [500, 502, 503, 599].map(Line::status);
    let errors = [
        WireError::Timeout,
        WireError::Connect,
        WireError::Dns,
        WireError::Tls,
        WireError::Reset,
        WireError::Protocol,
        WireError::BodyTooLarge,
    ];
    let replies = [json!({ "name": 7 }), json!({})].map(|body| Line::json(&body));
    let page = Line::status(200).body("<html>");
    statuses.into_iter().chain(errors.map(Line::fails)).chain(replies).chain([page])
}

/// Who answers a lookup.
async fn source(rig: &Rig) -> Source {
    rig.lookup().heard().await.source()
}

/// The tokens `a1`, `a2` are two clients of acme, `b1` is one of globex.
fn two_organisations(shared_by: &str) -> Rig {
    let shared_by = format!("shared_by: {shared_by}");
    let rig = Setup { caller: "genesys", cache: &["ttl: 60s", &shared_by], ..MINUTE }.rig();
    rig.authority().rule(|seen| {
        let org = if seen.bearer().starts_with('a') { "acme" } else { "globex" };
        Line::active(org, seen.bearer().trim_start_matches(['a', 'b']))
    });
    rig
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_fresh_for_its_time_to_live_and_not_a_millisecond_longer() {
    let rig = MINUTE.rig();
    rig.upstream().always(named("Ada").after(10));
    let first = rig.lookup().heard().await;
    assert_eq!((first.source(), first.at), (Source::Upstream, 10));
    assert_eq!((first.answer().age, first.answer().ttl), (Duration::ZERO, Duration::from_secs(60)));
    rig.until(60_009).await;
    let second = rig.lookup().heard().await;
    assert_eq!((second.source(), second.at), (Source::CacheFresh, 60_009));
    assert_eq!(second.answer().age, Duration::from_millis(59_999));
    assert_eq!(second.answer().ttl, Duration::from_millis(1));
    assert_eq!(second.body(), first.body());
    let expected = ["authenticate: open", "validate: valid", "rate_limit: allowed", "cache: hit"];
    assert_eq!(second.decisions(), expected);
    rig.until(60_010).await;
    assert_eq!(source(&rig).await, Source::Upstream);
    let lookups = rig.counts("holdline_cache_lookups_total");
    for result in ["miss", "hit", "expired"] {
        assert_eq!(lookups[&format!("cache=response,action=lookup,result={result}")], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_to_live_is_jittered_by_a_tenth_either_way() {
    for (roll, ttl) in [(0.0, 54_000), (0.25, 57_000), (0.99, 65_880)] {
        let rig = Setup { chance: Chance::Loaded(roll), ..MINUTE }.rig();
        assert_eq!(source(&rig).await, Source::Upstream);
        rig.until(ttl - 1).await;
        assert_eq!(source(&rig).await, Source::CacheFresh, "{roll}");
        rig.until(ttl + 1).await;
        assert_eq!(source(&rig).await, Source::Upstream, "{roll}");
    }
}

#[tokio::test(start_paused = true)]
async fn however_a_customer_is_written_it_is_one_and_no_other() {
    let rig = MINUTE.rig();
    for (input, requests) in [
        (json!({"id": 42}), 1),
        (json!({"id": "42"}), 1),
        (json!({"id": 42.0}), 1),
        (json!({"id": 43}), 2),
        (json!({"id": -42}), 3),
        (json!({"id": 42, "lang": "de"}), 4),
        (json!({"lang": "de", "id": 42}), 4),
        (json!({"id": 42, "lang": "De"}), 5),
        (json!({"id": 9_007_199_254_740_993_i64}), 6),
        (json!({"id": 9_007_199_254_740_992_i64}), 7),
    ] {
        rig.lookup().input(&input).heard().await;
        assert_eq!(rig.upstream().count(), requests, "{input}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_never_crosses_organisations() {
    let rig = two_organisations("org");
    rig.upstream().next(named("of acme")).next(named("of globex"));
    for (token, name) in
        [("a1", "of acme"), ("b1", "of globex"), ("a2", "of acme"), ("a1", "of acme")]
    {
        let heard = rig.lookup().token(token).heard().await;
        assert_eq!(heard.body(), json!({ "name": name }).to_string(), "{token}");
    }
    assert_eq!(rig.upstream().count(), 2);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn who_may_share_an_answer_is_written() {
    for (shared_by, requests) in [("all", 1), ("org", 2), ("caller", 3)] {
        let rig = two_organisations(shared_by);
        for token in ["a1", "a2", "b1", "a1", "a2", "b1"] {
            assert!(rig.lookup().token(token).heard().await.result.is_ok());
        }
        assert_eq!(rig.upstream().count(), requests, "{shared_by}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_mapped_is_never_kept() {
    let rig = MINUTE.rig();
    rig.upstream().next(Line::json(&json!({"name": 7}))).next(Line::status(200).body("<html>"));
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::MappingError);
    rig.until(1000).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::MappingError);
    rig.until(2000).await;
    assert_eq!(source(&rig).await, Source::Upstream);
    let stores = rig.counts("holdline_cache_stores_total");
    assert_eq!(stores["cache=response,result=stored"], 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_is_given_and_not_kept() {
    let room = Room { memory: 1 << 20, max_entry: r#"{"name":"Ada"}"#.len() };
    let cache = ["ttl: 60s", "stale_if_error: 5m"];
    let rig = Setup { room, cache: &cache, ..MINUTE }.rig();
    rig.upstream().next(named("Ada")).always(named("Adam"));
    assert_eq!(source(&rig).await, Source::Upstream);
    assert_eq!(source(&rig).await, Source::CacheFresh);
    rig.until(60_000).await;
    for _ in 0..2 {
        assert_eq!(rig.lookup().heard().await.body(), r#"{"name":"Adam"}"#);
    }
    assert_eq!(rig.upstream().count(), 3);
    rig.upstream().always(Line::status(503));
    let heard = rig.lookup().heard().await;
    assert_eq!(heard.outcome(), Outcome::UpstreamError, "what it replaced is gone as well");
    assert_eq!(rig.counts("holdline_cache_stores_total")["cache=response,result=too_large"], 2);
}

#[tokio::test(start_paused = true)]
async fn all_answers_together_stay_within_the_memory() {
    let rig = Setup { room: Room { memory: 10_000, max_entry: 1000 }, ..MINUTE }.rig();
    for id in 0..500 {
        rig.lookup().id(id).heard().await;
    }
    rig.pipeline.sweep();
    let bytes = rig.metric(r#"holdline_cache_bytes{cache="response"}"#);
    assert!(bytes > 1000.0 && bytes <= 10_000.0, "{bytes}");
    assert_eq!(rig.metric(r#"holdline_cache_capacity_bytes{cache="response"}"#), 10_000.0);
    assert!(rig.counts("holdline_cache_evictions_total")["cache=response,cause=size"] > 400);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_404_is_remembered_only_where_it_is_written() {
    let rig = MINUTE.rig();
    rig.upstream().always(Line::status(404));
    for requests in 1..=3 {
        let heard = rig.lookup().heard().await;
        assert_eq!(heard.failure().source(), Source::Upstream);
        assert_eq!(rig.upstream().count(), requests);
    }

    let rig = Setup { cache: &["ttl: 60s", "not_found: 10s"], ..MINUTE }.rig();
    rig.upstream().next(Line::status(404));
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::NotFound);
    rig.until(9_999).await;
    let heard = rig.lookup().heard().await;
    assert_eq!(
        (heard.outcome(), heard.failure().source()),
        (Outcome::NotFound, Source::CacheFresh)
    );
    assert_eq!(heard.failure().detail(), "External API failed: 404");
    assert_eq!(heard.decision(Stage::Cache), "negative_hit");
    rig.until(10_000).await;
    assert_eq!(source(&rig).await, Source::Upstream);
    assert_eq!(rig.upstream().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_410_is_not_remembered_and_shows_its_own_number_each_time() {
    let rig = Setup { cache: &["ttl: 60s", "not_found: 10s"], ..MINUTE }.rig();
    rig.upstream().always(Line::status(410));
    for requests in 1..=2 {
        assert_eq!(rig.lookup().heard().await.failure().upstream_status(), Some(410));
        assert_eq!(rig.upstream().count(), requests);
    }
}

#[tokio::test(start_paused = true)]
async fn a_remembered_404_is_never_served_stale() {
    let cache = ["ttl: 60s", "not_found: 10s", "stale_while_revalidate: 1m", "stale_if_error: 5m"];
    let rig = Setup { cache: &cache, ..MINUTE }.rig();
    rig.upstream().next(Line::status(404)).always(Line::status(503));
    rig.lookup().heard().await;
    rig.until(10_000).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_removes_what_is_good_for_nothing_any_more() {
    let rig = Setup { cache: &["ttl: 60s", "stale_if_error: 1m"], ..MINUTE }.rig();
    let entries = || {
        rig.pipeline.sweep();
        rig.metric(r#"holdline_cache_entries{cache="response"}"#)
    };
    rig.lookup().heard().await;
    rig.until(119_999).await;
    rig.lookup().id(2).heard().await;
    assert_eq!(entries(), 2.0);
    rig.until(120_000).await;
    assert_eq!(entries(), 1.0);
    assert_eq!(rig.counts("holdline_cache_evictions_total")["cache=response,cause=expired"], 1);
}

#[tokio::test(start_paused = true)]
async fn another_revision_of_an_action_has_other_keys() {
    use holdline::pipeline::{cache::key, validate};
    let bytes = async |setup: Setup<'_>, input: Value| {
        let rig = setup.rig();
        let call = rig.lookup().input(&input).call();
        let caller = rig.pipeline.schemes().identify(&call).await.unwrap().caller;
        let (policy, input) =
            (call.action.cache.as_ref().unwrap(), validate::check(&call).unwrap());
        key::fields(&call.action, policy, &caller, &input).bytes().to_vec()
    };
    let one = json!({"id": 1});
    let first = bytes(MINUTE, one.clone()).await;
    assert_eq!(bytes(MINUTE, one.clone()).await, first, "the same in every process");
    assert_ne!(bytes(MINUTE, json!({"id": 2})).await, first);
    let keys = ["headers: {X-Tenant: other}", "retry: {attempts: 1}"];
    assert_ne!(bytes(Setup { crm: &keys, ..MINUTE }, one.clone()).await, first);
    let flat = Setup { lookup: &["envelope: flat"], ..MINUTE };
    let revision = flat.rig().pipeline.catalog().actions["lookup"].revision;
    assert_ne!(revision, MINUTE.rig().pipeline.catalog().actions["lookup"].revision);
    let longer = Setup { lookup: &["timeout: 6s"], ..MINUTE };
    assert_eq!(bytes(longer, one).await, first, "time shapes no answer");
}
