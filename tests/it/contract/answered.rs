//! Answered: 200 with every output, in whatever way the request was sent.

use holdline::demo::fault::{Fault, Standing};
use serde_json::json;

use crate::support::{
    form::{Form, outputs_of},
    proxy::Setup,
};

#[tokio::test]
async fn customer_1_is_answered_as_in_the_tutorial_to_the_byte() {
    let proxy = Setup::builtin().start().await;
    let answer = proxy.client.ask("customer-lookup", &json!({"data": {"customer_id": 1}}));
    let answer = answer.send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        &*answer.body,
        br#"{"data":{"full_name":"Leanne Graham","email":"Sincere@april.biz","phone":"1-770-736-8031 x56442","is_premium_member":false}}"#
    );
    proxy.stop().await;
}

#[tokio::test]
async fn every_form_answers_with_every_output() {
    let proxy = Setup::new().start().await;
    for form in Form::ALL {
        for customer in [1, 2, 5_000] {
            let answer = proxy.ask(form, customer).send().await;
            form.answered(&answer, &proxy.outputs(customer));
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn what_a_reply_lacks_or_leaves_null_stands_at_its_default() {
    let proxy = Setup::new().start().await;
    let records = [
        json!({}),
        json!({"name": null, "email": "a@example.com"}),
        json!({"phone": "1", "name": "", "other": [1, {"name": "no"}]}),
    ];
    for (customer, record) in (7..).zip(records) {
        proxy.crm.write(customer, record.clone());
        for form in Form::ALL {
            form.answered(&proxy.ask(form, customer).send().await, &outputs_of(&record));
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn text_of_any_script_goes_through_unchanged() {
    let proxy = Setup::new().start().await;
    let record = json!({"name": "Zoë 佐藤 \u{1f9ff} \"\\/\u{7f}\u{2028}\n", "email": "<b>&"});
    proxy.crm.write(7, record.clone());
    for form in Form::ALL {
        form.answered(&proxy.ask(form, 7).send().await, &outputs_of(&record));
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_is_read_with_a_length_and_in_chunks() {
    let proxy = Setup::new().start().await;
    let outputs = proxy.outputs(1);
    for form in Form::ALL {
        let body = form.wrap(json!({"customer_id": 1})).to_string();
        let chunked = proxy.ask(form, 0).chunks([&body]).send().await;
        form.answered(&chunked, &outputs);
        let (first, rest) = body.split_at(body.len() / 2);
        let pieces = proxy.ask(form, 0).chunks([&first[..1], &first[1..], rest]).send().await;
        form.answered(&pieces, &outputs);
        form.answered(&proxy.ask(form, 0).body(body).send().await, &outputs);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn any_way_to_say_json_is_taken_and_so_is_none() {
    let proxy = Setup::new().start().await;
    let outputs = proxy.outputs(1);
    for said in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=utf-8",
        "application/vnd.genesys+json",
    ] {
        let ask = proxy.ask(Form::TUTORIAL, 1).without("content-type");
        Form::TUTORIAL.answered(&ask.header("content-type", said).send().await, &outputs);
    }
    let silent = proxy.ask(Form::TUTORIAL, 1).without("content-type").send().await;
    Form::TUTORIAL.answered(&silent, &outputs);
    let identity = proxy.ask(Form::TUTORIAL, 1).header("content-encoding", "identity");
    Form::TUTORIAL.answered(&identity.send().await, &outputs);
    proxy.stop().await;
}

#[tokio::test]
async fn each_answer_on_a_connection_has_an_identifier_of_its_own() {
    let proxy = Setup::new().start().await;
    let mut wire = proxy.wire().await;
    let body = r#"{"data":{"customer_id":1}}"#;
    let request = format!(
        "POST /data-action/lookup HTTP/1.1\r\nHost: holdline\r\nX-Genesys-Auth-Token: good-token\r\n\
         X-Request-Id: chosen-by-the-caller\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // Two at once: the second waits on the connection for the first one's answer.
    wire.send(request.repeat(2)).await;
    let (first, second) = (wire.answer().await, wire.answer().await);
    for answer in [&first, &second] {
        Form::TUTORIAL.answered(answer, &proxy.outputs(1));
        answer.never_says("chosen-by-the-caller");
    }
    assert_ne!(first.request_id(), second.request_id());
    proxy.stop().await;
}

#[tokio::test]
async fn debug_headers_tell_what_the_cache_did_and_where_the_time_went() {
    let proxy = Setup::new()
        .extra("cached", ["debug_headers: true", "cache: {ttl: 60s}"])
        .extra("uncached", ["debug_headers: true"])
        .start()
        .await;
    let call =
        async |action| proxy.client.ask(action, &json!({"data": {"customer_id": 1}})).send().await;
    let miss = call("cached").await;
    assert_eq!(miss.header("cache-status"), Some("holdline; fwd=miss; stored"));
    let timing = miss.header("server-timing").expect("it was asked for");
    for stage in ["authenticate", "validate", "rate_limit", "cache", "upstream", "attempt"] {
        assert!(timing.contains(&format!("{stage};dur=")), "{stage} in {timing}");
    }
    let hit = call("cached").await;
    let status = hit.header("cache-status").expect("it was asked for");
    let ttl = status.strip_prefix("holdline; hit; ttl=").and_then(|ttl| ttl.parse::<u64>().ok());
    assert!(ttl.is_some_and(|ttl| (54..=66).contains(&ttl)), "a tenth either way: {status}");
    let timing = hit.header("server-timing").expect("it was asked for");
    assert!(!timing.contains("upstream"), "a hit asks nobody: {timing}");
    let uncached = call("uncached").await;
    assert_eq!(uncached.header("cache-status"), Some("holdline; fwd=bypass"));

    let quiet = proxy.call(1).await;
    assert_eq!((quiet.header("cache-status"), quiet.header("server-timing")), (None, None));
    proxy.stop().await;
}

#[tokio::test]
async fn a_declared_fallback_answers_in_the_place_of_a_broken_upstream() {
    let fallback = "fallback: {full_name: Caller, email: a@example.com}";
    let proxy = Setup::new()
        .extra("plain", [fallback])
        .extra("telling", [fallback, "failures: outcome"])
        .start()
        .await;
    let call = async |action, customer| {
        let body = json!({"data": {"customer_id": customer}});
        proxy.client.ask(action, &body).send().await
    };
    proxy.crm_stands(Standing::every(Fault::status(500))).await;
    let mut expected = json!({"data": {
        "full_name": "Caller", "email": "a@example.com", "phone": "000-000-0000",
        "is_premium_member": false,
    }});
    assert_eq!(call("plain", 1).await.json(), expected);
    let told = [("outcome", json!("fallback")), ("status_code", json!(200))];
    for (key, value) in told.into_iter().chain([("stale", json!(false)), ("age_seconds", json!(0))])
    {
        expected["data"][key] = value;
    }
    assert_eq!(call("telling", 1).await.json(), expected);
    // A refusal is an answer, and no fallback hides it.
    proxy.crm_stands(Standing::every(Fault::status(404))).await;
    call("plain", 1).await.failed(404, "not_found", "External API failed: 404");
    proxy.stop().await;
}

#[tokio::test]
async fn a_customer_that_is_not_found_is_remembered_as_long_as_the_policy_says() {
    let proxy = Setup::new().action("cache: {ttl: 60s, not_found: 60s}").start().await;
    for form in Form::ALL {
        for _ in 0..3 {
            let answer = proxy.ask(form, 9_999).send().await;
            form.failed(&answer, 404, "not_found", "External API failed: 404");
        }
    }
    assert_eq!(proxy.crm.site.requests_for("/users/9999"), 4, "one for each action");
    proxy.stop().await;
}

#[tokio::test]
async fn a_purge_makes_the_next_call_ask_again() {
    let proxy = Setup::new().action("cache: {ttl: 60s, customer: customer_id}").start().await;
    let form = Form::OUTCOME;
    form.answered(&proxy.ask(form, 1).send().await, &proxy.outputs(1));
    proxy.crm.write(1, json!({"name": "New Name"}));
    let old = proxy.ask(form, 1).send().await;
    assert_eq!(old.json()["data"]["full_name"], "Leanne Graham");
    let (status, text) = proxy.operate("/cache/purge", &json!({"customer": "1"})).await;
    assert_eq!((status, text.as_str()), (200, r#"{"scope":"customer","removed":1}"#));
    form.answered(&proxy.ask(form, 1).send().await, &proxy.outputs(1));
    assert_eq!(proxy.crm.site.requests_for("/users/1"), 2);
    proxy.stop().await;
}
