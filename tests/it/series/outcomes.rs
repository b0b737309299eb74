//! What one call leaves, for every way in which it can end: exactly these series, by this much.

use std::{collections::BTreeSet, time::Duration};

use axum::{body::Body, extract::Request};
use futures_util::future::join;
use holdline::{client::WireError, telemetry::outcome::Outcome};
use http::Method;
use serde_json::json;

use super::{Scene, book::Book, call, failures};
use crate::support::scripted::Line;

const YAML: &str = "version: 1
server: {max_body: 1KiB}
callers:
  genesys: {type: introspection, url: 'https://authority.test/introspect'}
limits:
  seldom: {key: all, rate: 1/m, burst: 1}
upstreams:
  crm: {base_url: 'https://crm.test', retry: {attempts: 1}, timeouts: {attempt: 1s}, breaker: {enabled: false}}
  twice: {base_url: 'https://twice.test', retry: {attempts: 2}, breaker: {enabled: false}}
  frail: {base_url: 'https://frail.test', retry: {attempts: 1}, breaker: {run: 1, open: {first: 60s}}}
  narrow: {base_url: 'https://narrow.test', retry: {attempts: 1}, concurrency: {limit: 1, wait: 0s}}
actions:
";
/// Actions that differ in what they make of it.
const ACTIONS: [(&str, &str, &str); 8] = [
    ("plain", "crm", "timeout: 5s"),
    ("remembers", "crm", "cache: {ttl: 60s, not_found: 60s}"),
    // Its answers are past their time at once, and stand in for failures from then on.
    ("forgets", "crm", "cache: {ttl: 1ms, stale_if_error: 1h, stale_after: 2s}"),
    ("declares", "crm", "fallback: {name: Unknown User}"),
    ("limited", "crm", "limits: [seldom]"),
    ("repeats", "twice", "timeout: 5s"),
    ("narrow", "narrow", "timeout: 5s"),
    ("frail", "frail", "timeout: 5s"),
];

fn yaml() -> String {
    let actions = ACTIONS.iter().map(|(name, upstream, more)| {
        format!(
            "  {name}:
    caller: genesys
    input: {{id: {{type: integer, required: true}}}}
    request: {{upstream: {upstream}, path: '/users/{{id}}'}}
    output: {{name: {{type: string, from: $.name}}}}
    {more}
"
        )
    });
    YAML.to_owned() + &actions.collect::<String>()
}

#[tokio::test(start_paused = true)]
async fn each_outcome_moves_its_own_series_and_no_other() {
    let book = Book::of(Scene::of(&yaml()));
    // The token's verdict, so that no row is about it.
    assert_eq!(book.scene.send(call("plain", 4_000)).await, 200);
    Box::pin(answers(&book)).await;
    Box::pin(answers_that_there_is_none(&book)).await;
    Box::pin(stand_ins(&book)).await;
    Box::pin(refusals(&book)).await;
    Box::pin(proofs(&book)).await;
    Box::pin(failures::all(&book)).await;
    let all: BTreeSet<_> = Outcome::ALL.map(|outcome| outcome.as_str().to_owned()).into();
    assert_eq!(book.closed(), all);
}

pub(super) fn ada() -> Line {
    Line::json(&json!({"name": "Ada"}))
}

async fn answers(book: &Book) {
    let (send, crm) = (|action, id| book.scene.send(call(action, id)), book.scene.rig.upstream());
    crm.next(ada().after(250));
    let status = book.moves(
        send("plain", 1),
        "call plain ok upstream 200 0.25
         known
         stages authenticate validate rate_limit upstream=0.25 attempt=0.25 map_output
         attempt crm 200 0.25
         fetch crm success false",
    );
    assert_eq!(status.await, 200);
    crm.next(ada().after(250));
    let both = book.moves(
        join(send("remembers", 1), send("remembers", 1)),
        "call remembers ok upstream 200 0.25
         call remembers ok coalesced 200 0.25
         known
         known
         lookup remembers miss
         lookup remembers miss
         coalesced_requests_total{action=remembers,role=leader} 1
         coalesced_requests_total{action=remembers,role=follower} 1
         stages authenticate validate rate_limit cache=0.25
         stages authenticate validate rate_limit cache=0.25
         stages flight=0.25 flight=0.25 upstream=0.25 attempt=0.25 map_output
         attempt crm 200 0.25
         fetch crm success false
         cache_stores_total{cache=response,result=stored} 1",
    );
    assert_eq!(both.await, (200, 200));
    tokio::time::advance(Duration::from_secs(7)).await;
    let status = book.moves(
        send("remembers", 1),
        "call remembers ok cache_fresh 200 0
         known
         lookup remembers hit
         stages authenticate validate rate_limit cache
         cache_served_age_seconds_count{result=hit} 1
         cache_served_age_seconds_sum{result=hit} 7",
    );
    assert_eq!(status.await, 200);
}

async fn answers_that_there_is_none(book: &Book) {
    let (send, crm) = (|action, id| book.scene.send(call(action, id)), book.scene.rig.upstream());
    crm.next(Line::status(404));
    let status = book.moves(
        send("remembers", 2),
        "call remembers not_found upstream 404 0
         known
         lookup remembers miss
         coalesced_requests_total{action=remembers,role=leader} 1
         stages authenticate validate rate_limit cache flight upstream attempt
         attempt crm 404 0
         fetch crm success false
         cache_stores_total{cache=response,result=stored} 1",
    );
    assert_eq!(status.await, 404);
    let status = book.moves(
        send("remembers", 2),
        "call remembers not_found cache_fresh 404 0
         known
         lookup remembers negative_hit
         stages authenticate validate rate_limit cache
         cache_served_age_seconds_count{result=hit} 1",
    );
    assert_eq!(status.await, 404);
}

async fn stand_ins(book: &Book) {
    let (send, crm) = (|action, id| book.scene.send(call(action, id)), book.scene.rig.upstream());
    assert_eq!(send("forgets", 1).await, 200);
    tokio::time::advance(Duration::from_secs(30)).await;
    crm.next(Line::status(503));
    let status = book.moves(
        send("forgets", 1),
        "call forgets stale cache_stale 200 0
         known
         lookup forgets stale
         coalesced_requests_total{action=forgets,role=leader} 1
         stages authenticate validate rate_limit cache flight upstream attempt
         attempt crm 503 0
         fetch crm failure false
         upstream_retries_suppressed_total{upstream=crm,reason=limit_reached} 1
         cache_served_age_seconds_count{result=stale} 1
         cache_served_age_seconds_sum{result=stale} 30",
    );
    assert_eq!(status.await, 200);
    crm.next(Line::status(500));
    let status = book.moves(
        send("declares", 1),
        "call declares fallback fallback 200 0
         known
         stages authenticate validate rate_limit upstream attempt
         attempt crm 500 0
         fetch crm failure false",
    );
    assert_eq!(status.await, 200);
}

async fn refusals(book: &Book) {
    let scene = &book.scene;
    let request = |method: Method, path: &str, body: &str| {
        let request = Request::builder().method(method).uri(path.to_owned());
        let request = request.header("x-genesys-auth-token", "good");
        request.body(Body::from(body.to_owned())).expect("a request")
    };
    let status = book.moves(
        scene.send(request(Method::POST, "/data-action/plain", "{")),
        "call plain bad_request none 400 0
         known
         stages authenticate validate",
    );
    assert_eq!(status.await, 400);
    let status = book.moves(
        scene.send(request(Method::POST, "/data-action/plain", &" ".repeat(2_000))),
        "call plain payload_too_large none 4xx 0",
    );
    assert_eq!(status.await, 413);
    let status =
        book.moves(scene.send(call("planted-4711", 1)), "call _unknown unknown_action none 404 0");
    assert_eq!(status.await, 404);
    // Of the route nothing is known but that it is none.
    let status = book.moves(
        scene.send(request(Method::OPTIONS, "/planted/4711", "")),
        "call _unknown unknown_action none 404 0
         http_server_request_duration_seconds_count{http_request_method=POST,http_route=/data-action/{action},http_response_status_code=404,error_type=} -1
         http_server_request_duration_seconds_count{http_request_method=_OTHER,http_route=,http_response_status_code=404,error_type=} 1",
    );
    assert_eq!(status.await, 404);
    assert_eq!(scene.send(call("limited", 1)).await, 200);
    let status = book.moves(
        scene.send(call("limited", 1)),
        "call limited rate_limited none 429 0
         known
         ratelimit_decisions_total{limit=seldom,decision=limited} 1
         stages authenticate validate rate_limit",
    );
    assert_eq!(status.await, 429);
}

async fn proofs(book: &Book) {
    let scene = &book.scene;
    let shows = |token: Option<&str>| {
        let mut request = call("plain", 1);
        request.headers_mut().clear();
        if let Some(token) = token {
            request.headers_mut().insert("x-genesys-auth-token", token.parse().expect("text"));
        }
        request
    };
    let status = book.moves(
        scene.send(shows(None)),
        "call plain unauthenticated none 401 0
         read
         token missing local
         stages authenticate",
    );
    assert_eq!(status.await, 401);
    scene.rig.authority().next(Line::json(&json!({"active": false})).after(20));
    let status = book.moves(
        scene.send(shows(Some("bad"))),
        "call plain forbidden none 403 0.02
         read
         token invalid remote
         stages authenticate=0.02",
    );
    assert_eq!(status.await, 403);
    scene.rig.authority().always(Line::fails(WireError::Connect));
    let status = book.moves(
        scene.send(shows(Some("other"))),
        "call plain auth_unavailable none 503 0
         read
         token error remote
         stages authenticate",
    );
    assert_eq!(status.await, 503);
}
