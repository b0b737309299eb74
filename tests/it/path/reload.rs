//! One configuration after the other: what is kept, what begins anew, and that nothing is left of the
//! one before.

use std::{sync::Arc, time::Duration};

use holdline::{
    mechanism::breaker::State,
    pipeline::{authenticate::VerdictTables, operate::Force, rate_limit::in_flight::OrgUse},
    telemetry::outcome::{Outcome, Source},
};
use serde_json::json;

use crate::support::{
    ask::Heard,
    rig::{Rig, Setup},
    scripted::Line,
};

/// Each piece of state with settings of its own that a test may change.
const CRM: &[&str] = &[
    "timeouts: {connect: 1s, attempt: 2s}",
    "retry: {attempts: 1, budget: {ratio: 0.2}}",
    "breaker: {run: 2, open: {first: 8s}}",
    "concurrency: {limit: 3}",
];
const CACHE: &[&str] = &["ttl: 60s", "customer: id", "stale_if_error: 5m"];

fn rig() -> Rig {
    Setup { crm: CRM, caller: "genesys", ..Setup::PLAIN }.rig()
}

/// The breaker has opened.
async fn with_open_breaker() -> Rig {
    let rig = rig();
    rig.upstream().always(Line::status(503));
    rig.lookup().times(2).await;
    assert_eq!(state(&rig), State::Open);
    rig
}

fn state(rig: &Rig) -> State {
    rig.condition().breaker.state
}

async fn cached() -> Rig {
    let rig = Setup { crm: CRM, cache: CACHE, caller: "genesys", ..Setup::PLAIN }.rig();
    assert!(rig.lookup().heard().await.result.is_ok());
    rig
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_stays_open_while_other_settings_change() {
    let rig = with_open_breaker().await;
    for (from, to) in [
        ("attempt: 2s", "attempt: 3s"),
        ("connect: 1s", "connect: 500ms"),
        ("ratio: 0.2", "ratio: 0.3"),
        ("limit: 3", "limit: 4"),
        ("portal: {", "portals: {"),
        ("method: POST", "method: PUT"),
    ] {
        assert_eq!(state(&rig.reload(&[(from, to)])), State::Open, "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_with_other_rules_or_another_system_begins_anew() {
    let rig = with_open_breaker().await;
    for (from, to) in [("run: 2", "run: 3"), ("first: 8s", "first: 9s"), ("crm.test", "erp.test")] {
        assert_eq!(state(&rig.reload(&[(from, to)])), State::Closed, "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_has_forced_stays_forced_whatever_changes() {
    let rig = rig();
    let (hour, reason) = (Duration::from_secs(3600), Some(Arc::from("maintenance")));
    rig.pipeline.force_breaker("crm", Force::Open, hour, reason).expect("it is known");
    let forced = rig.condition().breaker.forced;
    for (from, to) in
        [("run: 2", "run: 3"), ("crm.test", "erp.test"), ("attempt: 2s", "attempt: 3s")]
    {
        let after = rig.reload(&[(from, to)]);
        assert_eq!(
            (state(&after), after.condition().breaker.forced),
            (State::ForcedOpen, forced.clone())
        );
        assert_eq!(after.lookup().heard().await.outcome(), Outcome::BreakerOpen, "{to}");
    }
    assert_eq!(rig.upstream().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_presses_during_a_reload_holds_after_it() {
    let (rig, hour) = (rig(), Duration::from_secs(3600));
    let press = || drop(rig.pipeline.force_breaker("crm", Force::Open, hour, None));
    let forced = rig.reload_while(&[("run: 2", "run: 3")], press);
    assert_eq!(state(&forced), State::ForcedOpen);
    let press = || drop(forced.pipeline.release_breaker("crm"));
    let released = forced.reload_while(&[("run: 3", "run: 4")], press);
    assert_eq!(released.condition().breaker.forced, None);
}

#[tokio::test(start_paused = true)]
async fn a_probe_has_the_place_for_as_long_as_its_attempt_takes_by_now() {
    let rig = with_open_breaker().await.reload(&[("attempt: 2s", "attempt: 4s")]);
    rig.upstream().always(Line::json(&json!({"name": "Ada"})).after(3_900));
    tokio::time::sleep(Duration::from_secs(8)).await;
    let probe = rig.lookup().set_off().await;
    tokio::time::sleep(Duration::from_millis(3_800)).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::BreakerOpen, "it is out");
    assert!(probe.heard().await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_the_upstream_has_asked_for_holds_whatever_is_changed_about_us() {
    let rig = rig();
    rig.upstream().next(Line::status(429).header("retry-after", "30"));
    rig.lookup().heard().await;
    for (from, to) in [("limit: 3", "limit: 4"), ("run: 2", "run: 3")] {
        let after = rig.reload(&[(from, to)]);
        assert_eq!(after.condition().not_before_left, Duration::from_secs(30), "{to}");
    }
    let with_quota = ("retry: {attempts", "quota: {rate: 10/s, burst: 10}\n    retry: {attempts");
    assert_eq!(rig.reload(&[with_quota]).condition().not_before_left, Duration::from_secs(30));
    let elsewhere = rig.reload(&[("crm.test", "erp.test")]);
    assert_eq!(elsewhere.condition().not_before_left, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_quota_is_left_after_a_reload() {
    let crm = ["quota: {rate: 1/m, burst: 4}", "concurrency: {limit: 3}"];
    let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
    assert!(rig.lookup().heard().await.result.is_ok());
    let left = |rig: &Rig| rig.condition().quota_left;
    assert_eq!(left(&rig), Some(0.75));
    assert_eq!(left(&rig.reload(&[("limit: 3", "limit: 4")])), Some(0.75));
    assert_eq!(left(&rig.reload(&[("burst: 4", "burst: 5")])), Some(1.0));
    assert_eq!(left(&rig.reload(&[("crm.test", "erp.test")])), Some(1.0));
    assert_eq!(left(&rig.reload(&[("quota: {rate: 1/m, burst: 4}", "max_reply: 1MiB")])), None);
}

#[tokio::test(start_paused = true)]
async fn attempts_under_way_count_against_a_limit_that_stays() {
    let rig = rig();
    rig.upstream().always(Line::hangs());
    let _calls = [rig.lookup().id(1).set_off().await, rig.lookup().id(2).set_off().await];
    let in_flight = |rig: &Rig| (rig.condition().in_flight, rig.condition().limit);
    assert_eq!(in_flight(&rig.reload(&[("attempt: 2s", "attempt: 3s")])), (2, 3));
    assert_eq!(in_flight(&rig.reload(&[("limit: 3", "limit: 4")])), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_the_retry_budget_is_left_after_a_reload() {
    let crm = ["retry: {attempts: 2, backoff: {first: 1ms}}", "breaker: {enabled: false}"];
    let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
    rig.upstream().always(Line::status(503));
    rig.lookup().times(10).await;
    let left = rig.condition().budget_left;
    assert!(left < 1.0, "{left}");
    let after = rig.reload(&[("first: 1ms", "first: 2ms")]);
    assert!((after.condition().budget_left - left).abs() < 1e-9);
    let anew = rig.reload(&[("first: 1ms}", "first: 1ms}, budget: {ratio: 0.5}")]);
    assert!((anew.condition().budget_left - 1.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_found_good_is_not_asked_about_again() {
    let rig = rig();
    assert!(rig.lookup().heard().await.result.is_ok());
    for (from, to, again) in [
        ("limit: 3", "limit: 4", false),
        ("introspection\n", "introspection\n    header: X-Other\n", false),
        ("test/introspect\n", "test/introspect\n    org: acme\n", true),
        ("test/introspect\n", "test/introspection\n", true),
    ] {
        let (before, after) = (rig.authority().count(), rig.reload(&[(from, to)]));
        let ask = after.lookup().header("x-other", "good");
        assert!(ask.heard().await.result.is_ok(), "{to}");
        assert_eq!(rig.authority().count() - before, usize::from(again), "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_taken_out_is_refused_at_once() {
    let rig = Setup { caller: "portal", ..Setup::PLAIN }.rig();
    let ask = |rig: &Rig| rig.lookup().header("x-api-key", "web-key");
    assert!(ask(&rig).heard().await.result.is_ok());
    let after = rig.reload(&[("web: web-key", "web: other-key")]);
    assert_eq!(ask(&after).heard().await.outcome(), Outcome::Forbidden);
}

#[tokio::test(start_paused = true)]
async fn a_used_up_limit_stays_used_up_unless_it_counts_otherwise() {
    let limits = ["tight: {key: all, rate: 1/m, burst: 1}"];
    let rig = Setup { limits: &limits, lookup: &["limits: [tight]"], ..Setup::PLAIN }.rig();
    assert!(rig.lookup().heard().await.result.is_ok());
    for (from, to, limited) in [
        ("path: /users", "path: /people", true),
        ("burst: 1}", "burst: 1, enforce: false}", false),
        ("burst: 1}", "burst: 2}", false),
        ("key: all", "key: org", false),
    ] {
        let heard = rig.reload(&[(from, to)]).lookup().heard().await;
        assert_eq!(heard.outcome() == Outcome::RateLimited, limited, "{to}");
    }
    // While it does not enforce, it goes on counting.
    let counts = rig.counts("holdline_ratelimit_decisions_total");
    assert_eq!(counts["limit=tight,decision=shadow_limited"], 1);
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_count_against_the_cap_of_their_organisation() {
    let server = ["max_in_flight_per_org: 2"];
    let rig = Setup { server: &server, ..Setup::PLAIN }.rig();
    rig.upstream().always(Line::hangs());
    let _call = rig.lookup().set_off().await;
    let used = |rig: &Rig| rig.pipeline.orgs_in_flight();
    let one = OrgUse { most: 2, orgs: 1, largest: 1 };
    assert_eq!(used(&rig.reload(&[("path: /users", "path: /people")])), Some(one));
    let none = OrgUse { most: 3, orgs: 0, largest: 0 };
    assert_eq!(used(&rig.reload(&[("per_org: 2", "per_org: 3")])), Some(none));
    assert_eq!(used(&rig.reload(&[("per_org: 2", "per_org: 0")])), None);
}

/// Who answered after a reload in which that was changed.
async fn after(rig: &Rig, from: &str, to: &str) -> (Heard, Rig) {
    let rig = rig.reload(&[(from, to)]);
    (rig.lookup().heard().await, rig)
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_found_after_every_change_but_one_of_the_answer_or_its_customer() {
    let in_output =
        ("{name: {type: string, from: $.name}}", "{full: {type: string, from: $.name}}");
    for ((from, to), found) in [
        (("limit: 3", "limit: 4"), true),
        (("run: 2", "run: 3"), true),
        (("ttl: 60s", "ttl: 50s"), true),
        (("stale_if_error: 5m", "stale_if_error: 4m"), true),
        (("test/introspect\n", "test/introspection\n"), true),
        (in_output, false),
        (("crm.test", "erp.test"), false),
        (("customer: id", "customer: lang"), false),
        (("customer: id\n", "customer: id\n      shared_by: caller\n"), false),
        (("/users/{id}", "/people/{id}"), false),
    ] {
        let rig = cached().await;
        let (heard, rig) = after(&rig, from, to).await;
        let source = if found { Source::CacheFresh } else { Source::Upstream };
        assert_eq!(heard.source(), source, "{to}");
        assert_eq!(rig.pipeline.answers().entries, 1, "what is not found is not there: {to}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_action_kept_goes_with_it_and_with_its_cache() {
    let without = cached().await.reload(&[(
        "    cache:\n      ttl: 60s\n      customer: id\n      stale_if_error: 5m\n",
        "",
    )]);
    assert_eq!(without.pipeline.answers().entries, 0);
    assert_eq!(without.lookup().heard().await.source(), Source::Upstream);
    let gone = cached().await.reload(&[("  lookup:\n", "  search:\n")]);
    assert_eq!(gone.pipeline.answers().entries, 0);
    let evictions = gone.counts("holdline_cache_evictions_total");
    assert_eq!(evictions["cache=response,cause=outdated"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_from_before_finds_its_answer_gone_and_asks_anew_and_keeps_nothing() {
    let before = cached().await;
    let rig = before.reload(&[("/users/{id}", "/people/{id}")]);
    assert_eq!(before.lookup().heard().await.source(), Source::Upstream);
    assert_eq!(rig.pipeline.answers().entries, 0);
    let paths: Vec<_> = rig.upstream().seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v2/users/1", "/v2/users/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_purge_after_a_reload_voids_what_was_begun_before_it() {
    let before = Setup { cache: CACHE, ..Setup::PLAIN }.rig();
    before.upstream().next(Line::hangs());
    let call = before.lookup().set_off().await;
    let rig = before.reload(&[("path: /users", "path: /people")]);
    let action = holdline::catalog::name::Name::new("lookup").expect("a name");
    let customer = "1".to_owned();
    rig.purge(&holdline::pipeline::operate::Purge::Customer { customer, action });
    rig.upstream().release(Line::json(&json!({"name": "Ada"})));
    assert!(call.heard().await.result.is_ok());
    assert_eq!(rig.pipeline.answers().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_for_people_goes_on_as_long_as_its_name_is_there() {
    let limits = ["tight: {key: all, rate: 1/m, burst: 1}"];
    let rig = Setup { limits: &limits, lookup: &["limits: [tight]"], cache: CACHE, ..Setup::PLAIN };
    let rig = rig.rig();
    assert!(rig.lookup().heard().await.result.is_ok());
    let after = rig.reload(&[("burst: 1}", "burst: 2}"), ("ttl: 60s", "ttl: 50s")]);
    assert_eq!(after.pipeline.limits().map(|limit| limit.allowed).sum::<u64>(), 1);
    let lookups = after.pipeline.answers().actions[0].lookups.clone();
    assert_eq!(lookups.into_iter().find(|(word, _)| *word == "miss"), Some(("miss", 1)));
}

#[tokio::test(start_paused = true)]
async fn no_series_is_left_of_what_is_gone() {
    let limits = ["tight: {key: all, rate: 1/m, burst: 1}"];
    let setup = Setup { limits: &limits, lookup: &["limits: [tight]"], crm: CRM, ..Setup::PLAIN };
    let rig = setup.rig();
    assert!(rig.lookup().heard().await.result.is_ok());
    let shows = |rig: &Rig, names: [&str; 2]| {
        let text = rig.scrape();
        names.map(|name| text.contains(&format!("\"{name}\"")))
    };
    assert_eq!(shows(&rig, ["crm", "tight"]), [true, true]);
    let renamed = rig.reload(&[
        ("  crm:\n", "  erp:\n"),
        ("upstream: crm,", "upstream: erp,"),
        ("upstream: crm\n", "upstream: erp\n"),
        ("  tight:", "  loose:"),
        ("limits: [tight]", "limits: [loose]"),
    ]);
    drop(rig);
    assert_eq!(shows(&renamed, ["crm", "tight"]), [false, false]);
    assert_eq!(shows(&renamed, ["erp", "loose"]), [true, true]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_pipeline_once_its_calls_have_ended() {
    let before = Setup { cache: CACHE, caller: "genesys", ..Setup::PLAIN }.rig();
    before.upstream().always(Line::hangs());
    let leader = before.lookup().set_off().await;
    let change = before.ask("update").set_off().await;
    let rig = before.reload(&[("path: /users", "path: /people")]);
    let weak = Arc::downgrade(&before.pipeline);
    drop(before);
    rig.settle().await;
    assert!(weak.strong_count() > 0, "calls hold it");
    rig.upstream().release(Line::json(&json!({"name": "Ada"})));
    assert!(leader.heard().await.result.is_ok() && change.heard().await.result.is_ok());
    rig.settle().await;
    assert_eq!((weak.strong_count(), rig.tasks()), (0, 0));
    let tables: Vec<u64> = rig.pipeline.verdicts().map(|it: VerdictTables<'_>| it.good).collect();
    assert_eq!(tables, [1], "what it knew is known on");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_reloads_make_no_more_series_than_two() {
    let mut rig = cached().await;
    let edits = [("limit: 3", "limit: 4"), ("limit: 4", "limit: 3")];
    for edit in edits {
        rig = rig.reload(&[edit]);
    }
    let series = rig.series();
    for round in 0..1_000 {
        rig = rig.reload(&[edits[round % 2]]);
        assert_eq!(rig.lookup().heard().await.source(), Source::CacheFresh);
    }
    assert_eq!((rig.series(), rig.tasks()), (series, 0));
}
