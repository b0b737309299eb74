//! From valid inputs to a reply: what is sent, and what each way to fail comes to. Retries, the
//! breaker, the attempt itself, hedges and what an upstream may be asked have files of their own.

pub(crate) mod attempt;
pub(crate) mod breaker;
pub(crate) mod credential;
mod forced;
pub(crate) mod hedge;
mod latency;
mod not_before;
mod quota;
pub(crate) mod retry;
mod turn;
mod worst_case;

use std::time::Duration;

use holdline::{
    client::WireError,
    mechanism::breaker::State,
    telemetry::{outcome::Outcome, propagation::TraceContext, stage::Stage},
};
use serde_json::json;

use crate::support::{
    ask::Heard,
    rig::{Rig, Setup},
    scripted::Line,
};

/// Every attempt stands for itself: nothing is repeated, no breaker opens.
const ONCE: &[&str] = &["retry: {attempts: 1}", "breaker: {enabled: false}"];

/// What the action `lookup` answers.
pub(crate) fn ada() -> Line {
    Line::json(&json!({"name": "Ada"}))
}

/// For how many milliseconds a call was told to stay away, of which nothing was sent.
#[track_caller]
fn held_for(heard: &Heard) -> u128 {
    assert_eq!((heard.outcome(), heard.decision(Stage::Upstream)), (Outcome::Overloaded, "held"));
    assert_eq!(heard.decision(Stage::Attempt), "", "nothing is sent");
    heard.failure().retry_after().expect("it says when").as_millis()
}

/// Attempts that were held for that reason.
fn held_because_of(rig: &Rig, reason: &str) -> u64 {
    let counts = rig.counts("holdline_upstream_held_total");
    counts.get(&format!("upstream=crm,reason={reason}")).copied().unwrap_or_default()
}

/// What the breaker does with attempts.
pub(crate) fn state(rig: &Rig) -> State {
    rig.condition().breaker.state
}

/// So many calls, one after the other, to each of which the upstream says this.
pub(crate) async fn calls(rig: &Rig, number: usize, line: Line) {
    for _ in 0..number {
        rig.upstream().next(line.clone());
        rig.lookup().heard().await;
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_request_is_the_actions_own_and_carries_nothing_of_the_call() {
    let crm = ["headers: {X-Tenant: acme, Authorization: '${TOKEN:-Bearer ours}'}"];
    let rig = Setup { crm: &crm, caller: "genesys", ..Setup::PLAIN }.rig();
    let input = json!({"id": 42, "lang": "de & fr/\u{e4}"});
    let ask = rig.lookup().token("secret").header("cookie", "a=b").header("x-other", "y");
    assert!(ask.input(&input).heard().await.result.is_ok());
    let seen = &rig.upstream().seen()[0];
    assert_eq!(seen.method, "GET");
    assert_eq!(seen.path, "/v2/users/42?lang=de%20%26%20fr%2F%C3%A4");
    assert_eq!(seen.body, "");
    let mut headers: Vec<_> = seen.headers.iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    let expected =
        [("accept", "application/json"), ("authorization", "Bearer ours"), ("x-tenant", "acme")];
    assert_eq!(headers, expected);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_body_and_headers_are_made_of_the_inputs() {
    let update = [
        "method: PUT",
        "path: /users/{id}",
        "headers: {X-Customer: 'c-{id}'}",
        "body: {id: '{id}', note: 'customer {id}', fixed: [1, true]}",
    ];
    let rig = Setup { update: &update, ..Setup::PLAIN }.rig();
    let heard = rig.ask("update").input(&json!({"id": "7"})).heard().await;
    assert_eq!(heard.body(), r#"{"done":true}"#);
    let seen = &rig.upstream().seen()[0];
    assert_eq!((&*seen.method, &*seen.path), ("PUT", "/v2/users/7"));
    assert_eq!(seen.header("x-customer"), "c-7");
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.body, r#"{"id":7,"note":"customer 7","fixed":[1,true]}"#);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_trace_goes_on_only_where_it_may() {
    let context = TraceContext::unsampled(0xabc, 0x123).sampled(true);
    let rig = Setup::PLAIN.rig();
    rig.lookup().traced(context.clone()).heard().await;
    assert_eq!(rig.upstream().seen()[0].header("traceparent"), "");

    let crm = ["propagate_trace: true", "retry: {backoff: {first: 10ms}}"];
    let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
    rig.upstream().next(Line::status(503));
    rig.lookup().traced(context.clone()).heard().await;
    // Nobody takes spans of ours: one that we named would be missing in the caller's trace.
    let sent = |rig: &Rig| {
        let seen = rig.upstream().seen();
        seen.iter().map(|seen| seen.header("traceparent").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(sent(&rig), [context.traceparent(), context.traceparent()]);

    // A flight belongs to the call that leads it; a refresh to nobody's trace.
    let cache = ["ttl: 60s", "stale_while_revalidate: 60s", "customer: id"];
    let rig = Setup { crm: &crm, cache: &cache, ..Setup::PLAIN }.rig();
    rig.lookup().traced(context.clone()).heard().await;
    rig.until(90_000).await;
    rig.lookup().traced(context.clone()).heard().await;
    rig.settle().await;
    let [flight, refresh] = &sent(&rig)[..] else { panic!("two fetches") };
    assert_eq!(*flight, context.traceparent());
    let trace = format!("{:032x}", 0xabc);
    assert!(!refresh.contains(&trace) && refresh.ends_with("-02"), "{refresh}");
}

#[tokio::test(start_paused = true)]
async fn every_status_that_is_no_success_is_a_failure_of_its_kind() {
    let rig = Setup { crm: ONCE, ..Setup::PLAIN }.rig();
    for (status, outcome, decision) in [
        (302, Outcome::UpstreamRejected, "rejected"),
        (400, Outcome::UpstreamRejected, "rejected"),
        (401, Outcome::UpstreamRejected, "rejected"),
        (404, Outcome::NotFound, "not_found"),
        (410, Outcome::UpstreamRejected, "rejected"),
        (429, Outcome::UpstreamRejected, "rejected"),
        (500, Outcome::UpstreamError, "error"),
        (503, Outcome::UpstreamError, "error"),
    ] {
        rig.upstream().next(Line::status(status));
        let heard = rig.lookup().heard().await;
        assert_eq!(heard.outcome(), outcome, "{status}");
        assert_eq!(heard.decision(Stage::Upstream), decision, "{status}");
        assert_eq!(heard.failure().detail(), format!("External API failed: {status}"));
        assert_eq!(heard.failure().upstream_status(), Some(status));
        let soon = matches!(status, 429 | 503).then_some(Duration::from_secs(1));
        assert_eq!(heard.failure().retry_after(), soon, "{status}");
    }
    assert_eq!(rig.upstream().count(), 8);
}

#[tokio::test(start_paused = true)]
async fn every_way_to_break_on_the_wire_is_a_failure_of_its_kind() {
    let rig = Setup { crm: ONCE, ..Setup::PLAIN }.rig();
    for (error, outcome, detail) in [
        (WireError::Timeout, Outcome::UpstreamTimeout, "External API timed out"),
        (WireError::Connect, Outcome::UpstreamUnreachable, "Could not connect to external API"),
        (WireError::Dns, Outcome::UpstreamUnreachable, "Could not connect to external API"),
        (WireError::Tls, Outcome::UpstreamUnreachable, "Could not connect to external API"),
        (WireError::Reset, Outcome::UpstreamUnreachable, "Could not connect to external API"),
        (WireError::Protocol, Outcome::MappingError, "External API reply cannot be read"),
        (WireError::BodyTooLarge, Outcome::MappingError, "External API reply is too large"),
    ] {
        rig.upstream().next(Line::fails(error));
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.outcome(), &*heard.failure().detail()), (outcome, detail));
        assert_eq!(heard.decision(Stage::Attempt), error.label());
    }
}

#[tokio::test(start_paused = true)]
async fn a_trail_tells_each_stage_and_each_attempt() {
    let rig = Setup { caller: "genesys", ..Setup::PLAIN }.rig();
    rig.authority().always(Line::active("acme", "ivr").after(10));
    rig.upstream().next(Line::status(503).after(20)).next(Line::fails(WireError::Reset));
    let heard = rig.lookup().heard().await;
    let expected = [
        "authenticate: remote",
        "validate: valid",
        "rate_limit: allowed",
        "attempt: 503",
        "attempt: reset",
        "attempt: 200",
        "upstream: retried",
        "map_output: mapped",
    ];
    assert_eq!(heard.decisions(), expected);
    let took: Vec<_> = heard.steps.iter().map(|step| step.took.as_millis()).collect();
    assert_eq!(took, [10, 0, 0, 20, 0, 0, 20 + 25 + 50, 0]);
    let calls = rig.counts("holdline_upstream_calls_total");
    assert_eq!(calls["upstream=crm,result=success,retried=true"], 1);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_fallback_stands_in_where_the_upstream_is_broken_and_nowhere_else() {
    let rig = Setup { crm: ONCE, lookup: &["fallback: {name: Nobody}"], ..Setup::PLAIN }.rig();
    for broken in [Line::status(503), Line::status(401), Line::fails(WireError::Connect)] {
        rig.upstream().next(broken);
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.outcome(), heard.body()), (Outcome::Fallback, r#"{"name":"Nobody"}"#));
    }
    for (refused, outcome) in [
        (404, Outcome::NotFound),
        (400, Outcome::UpstreamRejected),
        (410, Outcome::UpstreamRejected),
    ] {
        rig.upstream().next(Line::status(refused));
        assert_eq!(rig.lookup().heard().await.outcome(), outcome);
    }
    assert_eq!(rig.lookup().body("{}").heard().await.outcome(), Outcome::BadRequest);
}
