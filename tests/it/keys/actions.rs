//! The keys of `actions`, but for those of their inputs and outputs.

use holdline::{
    config,
    export::{self, Site},
    telemetry::outcome::Outcome,
};

use super::keys;
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

keys! {
    "actions.*.description" => keys::actions::what_an_action_does_stands_in_the_documents,
    "actions.*.caller" => path::authenticate::an_action_without_a_caller_asks_for_nothing,
    "actions.*.limits"
        => path::rate_limit::the_first_limit_that_refuses_ends_it_and_what_was_counted_stays_counted,
    "actions.*.timeout" => keys::actions::a_call_may_take_as_long_as_is_written,
    "actions.*.genesys_timeout"
        => export::terraform::the_time_there_is_what_is_written_else_the_second_above_ours,
    "actions.*.safe" => keys::actions::what_is_safe_is_repeated,
    "actions.*.envelope" => path::validate::a_flat_body_is_the_inputs_themselves,
    "actions.*.failures" => contract::upstream::what_is_ours_to_mend_is_a_bad_gateway,
    "actions.*.debug_headers"
        => program::call::a_running_service_is_called_and_tells_of_its_stages_where_it_may,
    "actions.*.request.upstream" => keys::actions::the_upstream_that_is_named_is_asked,
    "actions.*.request.method" | "actions.*.request.path" | "actions.*.request.headers"
    | "actions.*.request.body" => path::upstream::a_body_and_headers_are_made_of_the_inputs,

    "actions.*.cache.ttl" => keys::actions::an_answer_is_fresh_as_long_as_is_written,
    "actions.*.cache.key" => keys::actions::the_inputs_that_are_written_tell_two_answers_apart,
    "actions.*.cache.customer"
        => path::cache::purge::a_purge_by_customer_finds_all_that_is_kept_about_them_and_nothing_else,
    "actions.*.cache.shared_by" => path::cache::who_may_share_an_answer_is_written,
    "actions.*.cache.stale_while_revalidate"
        => path::cache::stale::it_is_answered_at_once_while_one_refresh_runs,
    "actions.*.cache.stale_if_error"
        => path::cache::stale::it_stands_in_for_whatever_breaks,
    "actions.*.cache.stale_after"
        => path::cache::stale::how_long_is_too_long_is_written_and_a_caller_in_a_hurry_waits_less,
    "actions.*.cache.not_found" => path::cache::a_404_is_remembered_only_where_it_is_written,
    "actions.*.cache.max_waiters" => path::cache::flight::as_many_wait_for_one_flight_as_may_and_no_more,
    "actions.*.fallback"
        => path::upstream::a_fallback_stands_in_where_the_upstream_is_broken_and_nowhere_else,
}

/// The OpenAPI document of a configuration.
pub(super) fn document(yaml: &str) -> String {
    let loaded = config::parse("test", yaml, &|_| None);
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}\n{yaml}"));
    let site = Site {
        origin: "https://holdline.test",
        base_path: "/data-action",
        asks_for_certificates: false,
    };
    export::openapi::document(&loaded.catalog, site).to_string()
}

#[test]
pub(crate) fn what_an_action_does_stands_in_the_documents() {
    const WORDS: &str = "Fetches what we know of a customer";
    for (lookup, told) in [(&[][..], false), (&[&*format!("description: {WORDS}")], true)] {
        let yaml = Setup { lookup, ..Setup::PLAIN }.yaml();
        assert_eq!(document(&yaml).contains(WORDS), told);
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_call_may_take_as_long_as_is_written() {
    for (lookup, given_up) in [(&[][..], 4750), (&["timeout: 3s"], 2750)] {
        let rig = Setup { crm: &["timeouts: {attempt: 2500ms}"], lookup, ..Setup::PLAIN }.rig();
        rig.upstream().always(Line::hangs());
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.result.is_ok(), heard.at), (false, given_up), "{lookup:?}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn what_is_safe_is_repeated() {
    for (lookup, attempts) in [(&[][..], 2), (&["safe: true"], 2), (&["safe: false"], 1)] {
        let rig = Setup { lookup, ..Setup::PLAIN }.rig();
        rig.upstream().next(Line::status(503));
        rig.lookup().heard().await;
        assert_eq!(rig.upstream().count(), attempts, "{lookup:?}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_upstream_that_is_named_is_asked() {
    let yaml = Setup::PLAIN.yaml();
    let yaml = yaml.replace("upstreams:\n", "upstreams:\n  erp: {base_url: https://erp.test}\n");
    let rig = Rig::of(&yaml, Setup::PLAIN.room, Setup::PLAIN.chance);
    rig.lookup().heard().await;
    let moved = rig.reload(&[("request: {upstream: crm", "request: {upstream: erp")]);
    moved.lookup().heard().await;
    let hosts: Vec<_> = rig.upstream().seen().into_iter().map(|seen| seen.host).collect();
    assert_eq!(hosts, ["crm.test", "erp.test"]);
}

/// How many of these calls are answered by the upstream.
async fn fetches(cache: &[&str], calls: impl AsyncFn(&Rig)) -> usize {
    let rig = Setup { cache, ..Setup::PLAIN }.rig();
    calls(&rig).await;
    rig.upstream().count()
}

#[tokio::test(start_paused = true)]
pub(crate) async fn an_answer_is_fresh_as_long_as_is_written() {
    for (cache, expected) in [(&[][..], 3), (&["ttl: 20s"], 2), (&["ttl: 60s"], 1)] {
        let calls = async |rig: &Rig| {
            for at in [0, 15_000, 30_000] {
                rig.until(at).await;
                assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Ok);
            }
        };
        assert_eq!(fetches(cache, calls).await, expected, "{cache:?}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_inputs_that_are_written_tell_two_answers_apart() {
    let yaml = Setup { cache: &["ttl: 60s"], ..Setup::PLAIN }.yaml();
    // What is sent to the upstream must be in the key.
    let yaml = yaml.replace("/users/{id}{?lang}", "/users/{id}");
    for (ttl, expected) in [("ttl: 60s", 2), ("ttl: 60s\n      key: [id]", 1)] {
        let yaml = yaml.replace("ttl: 60s", ttl);
        let rig = Rig::of(&yaml, Setup::PLAIN.room, Setup::PLAIN.chance);
        for lang in ["de", "fr"] {
            rig.lookup().input(&serde_json::json!({"id": 1, "lang": lang})).heard().await;
        }
        assert_eq!(rig.upstream().count(), expected, "{ttl}");
    }
}
