//! Many calls at once: one fetch for all, stale answers while the upstream is down, and back by
//! itself.

use futures_util::future::join_all;
use holdline::demo::fault::{Fault, Standing};
use serde_json::json;
use tokio::time::Duration;

use crate::support::{
    client::Answer,
    eventually,
    form::Form,
    proxy::{Setup, TestProxy},
};

/// Customers that were asked for while the upstream was well.
const KNOWN: std::ops::Range<u64> = 1..20;
/// Customers that nobody has asked for.
const UNKNOWN: std::ops::Range<u64> = 1_000..1_100;
const FORM: Form = Form::OUTCOME;

/// Calls for all of them at once.
async fn wave(proxy: &TestProxy, customers: impl Iterator<Item = u64>) -> Vec<Answer> {
    join_all(customers.map(|customer| proxy.ask(FORM, customer).send())).await
}

/// The outcome that an answer tells.
fn outcome(answer: &Answer) -> String {
    answer.json()["data"]["outcome"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_for_one_customer_are_one_request_and_one_introspection() {
    const CALLS: usize = 1_000;
    let proxy = Setup::new()
        .server("max_in_flight: 2000")
        .upstream("timeouts: {connect: 5s, attempt: 15s}")
        .action("timeout: 20s")
        .action("cache: {ttl: 60s}")
        .start()
        .await;
    proxy.genesys.site.script([Fault::Latency(Duration::from_millis(200))]);
    proxy.crm.site.script([Fault::Latency(Duration::from_millis(800))]);

    let form = Form::TUTORIAL;
    let answers = join_all((0..CALLS).map(|_| proxy.ask(form, 42).send())).await;

    for answer in &answers {
        form.answered(answer, &proxy.outputs(42));
        assert_eq!(answer.body, answers[0].body);
    }
    assert_eq!(proxy.crm.site.counts().requests, 1);
    assert!(proxy.genesys.introspections() <= 1);
    let calls = ["action=\"lookup\"", "outcome=\"ok\""];
    assert_eq!(proxy.metric("holdline_requests_total", calls).await, 1_000.0);
    let role = async |role| proxy.metric("holdline_coalesced_requests_total", [role]).await;
    assert_eq!(role("role=\"leader\"").await, 1.0);
    assert!(role("role=\"follower\"").await >= 100.0, "most of them waited for the one fetch");
    proxy.stop().await;
}

/// A service that has answered for [`KNOWN`] customers, whose answers are past their time now, and
/// whose upstream has just gone.
async fn after_the_upstream_went(open: &str) -> TestProxy {
    let proxy = Setup::new()
        .upstream(&format!(
            "breaker: {{connect_run: 5, close_after: 1, ramp: 0s, open: {{first: {open}}}}}"
        ))
        .action("cache: {ttl: 100ms, stale_if_error: 5m}")
        .start()
        .await;
    for (customer, answer) in KNOWN.zip(wave(&proxy, KNOWN).await) {
        FORM.answered(&answer, &proxy.outputs(customer));
    }
    proxy.crm_stands(Standing::Down).await;
    eventually("every answer is past its time", async || {
        let answers = wave(&proxy, KNOWN).await;
        for (customer, answer) in KNOWN.zip(&answers) {
            FORM.kept(answer, &proxy.outputs(customer));
        }
        answers.iter().all(|answer| outcome(answer) == "stale").then_some(())
    })
    .await;
    proxy
}

async fn is_open(proxy: &TestProxy) -> bool {
    let open = ["upstream=\"crm\"", "state=\"open\""];
    proxy.metric("holdline_breaker_state", open).await == 1.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_upstream_is_down_who_is_known_is_answered_and_who_is_not_is_told() {
    let proxy = after_the_upstream_went("60s").await;
    let mixed = KNOWN.chain(UNKNOWN);
    for (customer, answer) in mixed.clone().zip(wave(&proxy, mixed.clone()).await) {
        if KNOWN.contains(&customer) {
            assert!(FORM.kept(&answer, &proxy.outputs(customer)), "stale, and it says so");
        } else {
            let told = answer.json()["data"]["status_code"].clone();
            assert!(told == json!(502) || told == json!(503), "{answer:?}");
        }
    }
    assert!(is_open(&proxy).await);

    // It is there again, but as long as the breaker rests nobody asks it.
    proxy.crm_stands(Standing::ok()).await;
    proxy.crm.site.reset_record();
    for (customer, answer) in mixed.clone().zip(wave(&proxy, mixed).await) {
        if KNOWN.contains(&customer) {
            assert!(FORM.kept(&answer, &proxy.outputs(customer)), "stale, and it says so");
        } else {
            let detail = "External API has been failing and is given a rest";
            FORM.failed(&answer, 503, "breaker_open", detail);
        }
    }
    assert!(is_open(&proxy).await);
    let seen = proxy.crm.site.counts();
    assert_eq!((seen.connections, seen.requests), (0, 0), "no attempt while it is open");
    proxy.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_back_is_asked_again_without_a_restart() {
    let proxy = after_the_upstream_went("200ms").await;
    wave(&proxy, UNKNOWN).await;
    assert!(proxy.metric("holdline_breaker_transitions_total", ["to=\"open\""]).await >= 1.0);
    proxy.crm.write(1, json!({"name": "Changed Meanwhile"}));
    proxy.crm_stands(Standing::ok()).await;

    eventually("every customer is answered fresh", async || {
        let answers = wave(&proxy, KNOWN.chain(UNKNOWN)).await;
        answers.iter().all(|answer| outcome(answer) == "ok").then_some(())
    })
    .await;

    let changed = proxy.ask(FORM, 1).send().await;
    FORM.kept(&changed, &proxy.outputs(1));
    assert_eq!(changed.json()["data"]["full_name"], "Changed Meanwhile");
    assert!(!is_open(&proxy).await);
    proxy.stop().await;
}
