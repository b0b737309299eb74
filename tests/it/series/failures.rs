//! What failures leave: the upstream's, ours, and those of time.

use std::time::Duration;

use futures_util::future::join;
use holdline::{client::WireError, server::lifecycle::Phase};
use serde_json::json;

use super::{book::Book, call, outcomes::ada};
use crate::support::scripted::Line;

/// Every kind of failure behind the cache, and last the end of the service.
pub(super) async fn all(book: &Book) {
    Box::pin(failures_of_the_upstream(book)).await;
    Box::pin(replies_that_do_not_fit(book)).await;
    Box::pin(a_repeat(book)).await;
    Box::pin(nothing_sent(book)).await;
    Box::pin(time_and_bugs(book)).await;
}

async fn failures_of_the_upstream(book: &Book) {
    let (send, crm) = (|action, id| book.scene.send(call(action, id)), book.scene.rig.upstream());
    let once = "upstream_retries_suppressed_total{upstream=crm,reason=limit_reached} 1";
    for (line, outcome, (status, told), attempt, seconds, fetch) in [
        (Line::status(500), "upstream_error", (500, "500"), "500", 0.0, ["failure", ""]),
        (Line::status(599), "upstream_error", (599, "5xx"), "5xx", 0.0, ["failure", ""]),
        // It works, and did not like the question.
        (Line::status(409), "upstream_rejected", (409, "409"), "409", 0.0, ["success", ""]),
        (Line::status(418), "upstream_rejected", (418, "4xx"), "4xx", 0.0, ["success", ""]),
        (Line::status(302), "upstream_rejected", (502, "502"), "3xx", 0.0, ["failure", ""]),
        (Line::hangs(), "upstream_timeout", (504, "504"), "timeout", 1.0, ["failure", once]),
        (
            Line::fails(WireError::Reset),
            "upstream_unreachable",
            (502, "502"),
            "reset",
            0.0,
            ["failure", once],
        ),
        (
            Line::fails(WireError::Dns),
            "upstream_unreachable",
            (502, "502"),
            "dns",
            0.0,
            ["failure", once],
        ),
    ] {
        crm.next(line);
        let [fetch, once] = fetch;
        let expected = format!(
            "call plain {outcome} none {told} {seconds}
             known
             stages authenticate validate rate_limit upstream={seconds} attempt={seconds}
             attempt crm {attempt} {seconds}
             fetch crm {fetch} false
             {once}"
        );
        assert_eq!(book.moves(send("plain", 1), &expected).await, status, "{attempt}");
    }
}

async fn replies_that_do_not_fit(book: &Book) {
    let (send, crm) = (|action, id| book.scene.send(call(action, id)), book.scene.rig.upstream());
    for (line, reason) in [
        (Line::json(&json!({"surname": "Ada"})), "missing_field"),
        (Line::status(299).body("<html>"), "not_json"),
    ] {
        let attempt = if reason == "not_json" { "2xx" } else { "200" };
        crm.next(line);
        let expected = format!(
            "call plain mapping_error none 502 0
             known
             stages authenticate validate rate_limit upstream attempt map_output
             attempt crm {attempt} 0
             fetch crm success false
             mapping_failures_total{{action=plain,phase=response,reason={reason}}} 1"
        );
        assert_eq!(book.moves(send("plain", 1), &expected).await, 502, "{reason}");
    }
}

async fn a_repeat(book: &Book) {
    let (send, crm) = (|action, id| book.scene.send(call(action, id)), book.scene.rig.upstream());
    crm.next(Line::status(503)).next(ada());
    let status = book.moves(
        send("repeats", 1),
        "call repeats ok upstream 200 0.025
         known
         stages authenticate validate rate_limit upstream=0.025 attempt attempt map_output
         attempt twice 503 0
         attempt twice 200 0
         fetch twice success true
         upstream_retries_total{upstream=twice,reason=status_5xx} 1",
    );
    assert_eq!(status.await, 200);
}

async fn nothing_sent(book: &Book) {
    let (send, crm) = (|action, id| book.scene.send(call(action, id)), book.scene.rig.upstream());
    crm.next(Line::status(500));
    let status = book.moves(
        send("frail", 1),
        "call frail upstream_error none 500 0
         known
         stages authenticate validate rate_limit upstream attempt
         attempt frail 500 0
         fetch frail failure false
         breaker_transitions_total{upstream=frail,from=closed,to=open} 1",
    );
    assert_eq!(status.await, 500);
    let status = book.moves(
        send("frail", 1),
        "call frail breaker_open none 503 0
         known
         stages authenticate validate rate_limit upstream
         fetch frail short_circuited false
         breaker_short_circuited_total{upstream=frail} 1",
    );
    assert_eq!(status.await, 503);
    crm.next(ada().after(100));
    let both = book.moves(
        join(send("narrow", 1), send("narrow", 2)),
        "call narrow ok upstream 200 0.1
         known
         stages authenticate validate rate_limit upstream=0.1 attempt=0.1 map_output
         attempt narrow 200 0.1
         fetch narrow success false
         call narrow overloaded none 503 0
         known
         stages authenticate validate rate_limit upstream
         upstream_queue_wait_seconds_count{upstream=narrow} 1
         fetch narrow shed false",
    );
    assert_eq!(both.await, (200, 503));
}

async fn time_and_bugs(book: &Book) {
    let (scene, crm) = (&book.scene, book.scene.rig.upstream());
    let mut hurried = call("plain", 1);
    hurried.headers_mut().insert("x-deadline-ms", "300".parse().expect("a number"));
    crm.next(ada().after(700));
    // A tenth of its time is kept back for the way of the answer.
    let status = book.moves(
        scene.send(hurried),
        "call plain deadline_exceeded none 504 0.27
         known
         stages authenticate validate rate_limit upstream=0.27 attempt=0.27
         attempt crm canceled 0.27
         fetch crm failure false",
    );
    assert_eq!(status.await, 504);
    crm.next(ada().after(700));
    let patience = Duration::from_millis(400);
    let left = book.moves(
        tokio::time::timeout(patience, scene.send(call("plain", 1))),
        "call plain canceled none - 0.4
         known
         stages authenticate validate rate_limit upstream=0.4 attempt=0.4
         attempt crm canceled 0.4",
    );
    assert!(left.await.is_err());
    crm.rule(|_| panic!("planted"));
    let status = book.moves(
        scene.send(call("plain", 1)),
        "call plain internal_error none 500 0
         known
         stages authenticate validate rate_limit upstream attempt
         attempt crm canceled 0",
    );
    assert_eq!(status.await, 500);
    scene.lifecycle.set(Phase::Stopped);
    let status = book.moves(scene.send(call("plain", 1)), "call plain draining none 503 0");
    assert_eq!(status.await, 503);
}
