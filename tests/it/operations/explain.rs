//! What an operator is told of one of the last calls, and of those that did not succeed.

use holdline::demo::fault::{Fault, Standing};
use serde_json::{Value, json};

use crate::support::{
    client::{Answer, TOKEN},
    proxy::{Setup, TestProxy},
};

/// Status and document at that path.
async fn get(proxy: &TestProxy, path: &str) -> (u16, Value) {
    let get = proxy.client.network().get(proxy.admin_url(path));
    let (status, text) = proxy.fetch(get).await;
    (status, serde_json::from_str(&text).expect("JSON"))
}

/// What is told of the call that was answered so.
async fn explained(proxy: &TestProxy, answer: &Answer) -> Value {
    let path = format!("/explain/{}", answer.request_id());
    let (status, told) = get(proxy, &path).await;
    assert_eq!((status, &told["request_id"]), (200, &json!(answer.request_id())), "{told}");
    told
}

/// The steps that are told: their stages, and what these decided.
fn decided(told: &Value) -> Vec<(&str, &str)> {
    told["steps"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|step| {
            (step["stage"].as_str().expect("text"), step["decision"].as_str().expect("text"))
        })
        .collect()
}

#[tokio::test]
async fn a_call_is_told_step_by_step_in_the_order_in_which_they_began() {
    let proxy = Setup::new()
        .upstream("retry: {attempts: 2, backoff: {first: 1ms, max: 2ms}}")
        .action("cache: {ttl: 60s, stale_if_error: 5m}")
        .start()
        .await;
    let fetched = explained(&proxy, &proxy.call(1).await).await;
    let all = ["authenticate", "validate", "rate_limit", "cache", "flight", "upstream", "attempt"];
    let stages: Vec<_> = decided(&fetched).iter().map(|(stage, _)| *stage).collect();
    assert_eq!(stages[..7], all, "{fetched}");
    assert_eq!(stages[7..], ["map_output"]);
    assert_eq!(fetched["what"], "`crm` answered.");
    let told = |key: &str| fetched[key].clone();
    let closed = ["action", "upstream", "outcome", "class", "source"].map(told);
    assert_eq!(closed, ["lookup", "crm", "ok", "success", "upstream"].map(Value::from));
    assert_eq!(
        [told("status"), told("attempts"), told("steps_left_out")],
        [200, 1, 0].map(Value::from)
    );
    assert_eq!((told("breaker"), told("look_at")), (json!("disabled"), json!([])));
    let attempt = &fetched["steps"][6];
    assert_eq!((&attempt["status"], &attempt["within"]), (&json!("200"), &json!(3)));
    let began = told("began");
    let began = began.as_str().expect("a time");
    assert!(began.ends_with('Z') && began.len() == "2026-01-31T12:00:00.000Z".len(), "{began}");
    let number = |value: &Value| value.as_f64().expect("a number");
    assert!(number(&fetched["seconds_ago"]) < 20.0 && number(&fetched["duration_ms"]) > 0.0);
    let ends = fetched["steps"].as_array().expect("a list").iter();
    let ends = ends.map(|step| number(&step["began_ms"]) + number(&step["took_ms"]));
    assert!(ends.fold(0.0, f64::max) <= number(&fetched["duration_ms"]) + 0.01, "{fetched}");

    let hit = explained(&proxy, &proxy.call(1).await).await;
    assert_eq!(hit["what"], "The cache had an answer, 0 s old and still fresh.");
    assert_eq!(decided(&hit)[3], ("cache", "hit"));
    proxy.stop().await;
}

#[tokio::test]
async fn a_failure_says_what_decided_it_and_where_to_look() {
    let proxy = Setup::new()
        .upstream("retry: {attempts: 2, backoff: {first: 1ms, max: 2ms}}")
        .upstream("breaker: {enabled: true}")
        .action("cache: {ttl: 60s, stale_if_error: 5m}")
        .start()
        .await;
    proxy.crm_stands(Standing::every(Fault::status(503))).await;
    let failed = explained(&proxy, &proxy.call(1).await).await;
    let what = "`crm` answered 503 in 2 attempts, and there was no earlier answer to give: 503.";
    assert_eq!(failed["what"], what);
    assert_eq!(
        (&failed["attempts"], &failed["not_repeated"]),
        (&json!(2), &json!("limit_reached"))
    );
    assert_eq!(failed["detail"], "External API failed: 503");
    assert_eq!(proxy.operate("/breakers/crm", &json!({"state": "open"})).await.0, 200);
    let refused = explained(&proxy, &proxy.call(2).await).await;
    let what = "The breaker of `crm` was open, and there was no earlier answer to give: 503.";
    assert_eq!((&refused["what"], &refused["breaker"]), (&json!(what), &json!("forced_open")));
    let look_at = refused["look_at"].as_array().expect("a list");
    assert!(look_at[0].as_str().is_some_and(|first| first.starts_with("GET /upstreams: ")));
    proxy.stop().await;
}

#[tokio::test]
async fn a_call_is_found_by_its_trace_too_and_stays_known_through_a_reload() {
    let proxy = Setup::new().start().await;
    let answer = proxy.call(1).await;
    let told = explained(&proxy, &answer).await;
    let trace = told["trace_id"].as_str().expect("a text").to_uppercase();
    assert_eq!(get(&proxy, &format!("/explain/{trace}")).await.1["request_id"], told["request_id"]);

    proxy.write(Ok((Setup::new().extra("other", []), &["actions.other: added"])));
    assert_eq!(proxy.operate("/reload", &json!({})).await.0, 200);
    explained(&proxy, &answer).await;
    proxy.stop().await;
}

#[tokio::test]
async fn who_asks_for_what_is_not_there_is_told_how_long_calls_are_remembered() {
    let proxy = Setup::new().start().await;
    let unknown = "0".repeat(32);
    let (status, told) = get(&proxy, &format!("/explain/{unknown}")).await;
    let detail = "No call of this id has ended here lately. The last 10000 calls of this instance are \
                  remembered, of which there was none yet";
    assert_eq!((status, &told["detail"]), (404, &json!(detail)));
    proxy.works().await;
    for (path, status) in
        [(&*unknown, 404), ("planted-4711", 400), ("%ff", 400), (&"f".repeat(31), 400)]
    {
        let (told, document) = get(&proxy, &format!("/explain/{path}")).await;
        let detail = document["detail"].as_str().expect("a text");
        assert_eq!(told, status, "{path}");
        assert!(detail.contains("are remembered, now those since 20"), "{detail}");
        assert!(!detail.contains("planted-4711"), "{detail}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn the_last_calls_that_did_not_succeed_are_listed_newest_first() {
    let proxy = Setup::new().action("cache: {ttl: 60s}").start().await;
    proxy.works().await;
    let bad = proxy.client.ask("lookup", &json!({"data": {"customer_id": "x"}})).send().await;
    proxy.crm_stands(Standing::every(Fault::status(500))).await;
    let failed = proxy.call(2).await;
    let unknown = proxy.client.ask("nowhere", &json!({})).send().await;
    let ids = async |query: &str| {
        let (status, told) = get(&proxy, &format!("/explain{query}")).await;
        assert_eq!((status, &told["remembers"]), (200, &json!(10_000)), "{told}");
        let calls = told["calls"].as_array().expect("a list").clone();
        calls.iter().map(|call| call["request_id"].to_string()).collect::<Vec<_>>()
    };
    let [bad, failed, unknown] = [bad, failed, unknown].map(|it| format!("{:?}", it.request_id()));
    let every = [unknown.clone(), failed.clone(), bad.clone()];
    assert_eq!(ids("").await, every);
    assert_eq!(ids("?most=2").await, every[..2]);
    assert_eq!(ids("?upstream=crm&action=lookup").await, every[1..]);
    assert_eq!(ids("?class=failure").await, [failed]);
    assert_eq!(ids("?outcome=bad_request&class=rejected").await, [bad]);
    assert_eq!(ids("?action=_unknown").await, [unknown]);
    assert_eq!(ids("?class=success").await.len(), 1, "those as well, if they are asked for");
    let (_, told) = get(&proxy, "/explain?class=failure").await;
    let line = &told["calls"][0];
    assert_eq!((&line["outcome"], &line["status"]), (&json!("upstream_error"), &json!(500)));
    assert!(line["what"].as_str().is_some_and(|what| what.starts_with("`crm` answered 500")));
    proxy.stop().await;
}

#[tokio::test]
async fn a_query_that_asks_for_what_there_is_not_is_told_what_there_is() {
    let proxy = Setup::new().start().await;
    for (query, told) in [
        ("action=planted-4711", "There is no such action; there are: "),
        ("upstream=planted-4711", "There is no such upstream; there are: crm"),
        ("outcome=planted-4711", "There is no such outcome; there are: ok, not_found, stale"),
        ("class=planted-4711", "there are: success, degraded, rejected, failure"),
        ("most=planted-4711", "`most` is a number from 1 to 500"),
        ("most=0", "`most` is a number from 1 to 500"),
        ("most=501", "`most` is a number from 1 to 500"),
        ("planted-4711", "Ask by action, outcome, class, upstream, and most"),
        ("class=failure&class=failure", "may stand once"),
    ] {
        let (status, document) = get(&proxy, &format!("/explain?{query}")).await;
        let detail = document["detail"].as_str().expect("a text");
        assert_eq!(status, 400, "{query}");
        assert!(detail.contains(told) && !detail.contains("planted-4711"), "{query}: {detail}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn nothing_of_a_customer_or_a_caller_is_remembered() {
    let proxy = Setup::new().start().await;
    let planted = [TOKEN, "Leanne", "Sincere@april.biz", "planted-4711"];
    let answer = proxy.call(1).await;
    let wrong = json!({"data": {"customer_id": "planted-4711", "planted-4711": 1}});
    let refused = proxy.client.ask("lookup", &wrong).token("planted-4711").send().await;
    for answer in [answer, refused] {
        let text = explained(&proxy, &answer).await.to_string();
        assert!(planted.iter().all(|planted| !text.contains(planted)), "{text}");
    }
    proxy.stop().await;
}
