//! The upstream answers, and what it says cannot be used: 502, and never a word of it.

use holdline::demo::fault::{Fault, Standing};
use serde_json::json;

use crate::support::{eventually, form::Form, proxy::Setup};

const MAPPING: &str = "mapping_error";

#[tokio::test]
async fn a_reply_that_is_no_json_object_cannot_be_mapped() {
    let proxy = Setup::new().start().await;
    let body = |text: &str| Fault::Body(text.to_owned());
    let not_json = "External API reply is not JSON";
    let no_object = "External API reply is not a JSON object";
    for (fault, detail) in [
        (Fault::Html, not_json),
        (Fault::Empty, not_json),
        (Fault::Deep, not_json),
        (body("{\"name\":\"a\"} x"), not_json),
        (body("{\"name\":NaN}"), not_json),
        (body("[{\"name\":\"a\"}]"), no_object),
        (body("null"), no_object),
        (body("\"text\""), no_object),
        (body("42"), no_object),
        (Fault::DuplicateKeys, "External API reply has a key twice"),
        (
            Fault::WrongTypes,
            "External API reply has a value of the wrong type for output full_name",
        ),
        (
            body("{\"name\":\"a\",\"email\":[]}"),
            "External API reply has a value of the wrong type for output email",
        ),
    ] {
        proxy.fails_when_crm(fault, 502, MAPPING, detail).await;
    }
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_reply_that_is_no_http_cannot_be_read() {
    let proxy = Setup::new().start().await;
    let detail = "External API reply cannot be read";
    proxy.fails_when_crm(Fault::Garbage, 502, MAPPING, detail).await;
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_reply_is_read_up_to_its_limit_after_decompression() {
    let proxy = Setup::new().upstream("max_reply: 64KiB").start().await;
    let detail = "External API reply is too large";
    let long = Fault::Body(format!("{{\"name\":\"{}\"}}", "a".repeat(64 * 1024)));
    for fault in [Fault::Endless, Fault::GzipBomb, long] {
        proxy.fails_when_crm(fault, 502, MAPPING, detail).await;
    }
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn an_output_without_a_default_needs_its_value() {
    let output = "output: {full_name: {type: string, from: $.name}, \
                  city: {type: string, from: $.address.city}}";
    let flat = "envelope: flat";
    let proxy =
        Setup::new().extra("strict", [output]).extra("strict-flat", [output, flat]).start().await;
    proxy.crm.write(7, json!({"name": "Ada", "address": {"city": "London"}}));
    proxy.crm.write(8, json!({"name": "Ada", "address": {"city": null}}));
    proxy.crm.write(9, json!({"address": {"city": "London"}}));
    for (action, form) in ["strict", "strict-flat"].into_iter().zip(Form::BY_STATUS) {
        let call = async |customer: u64| {
            let body = form.wrap(json!({"customer_id": customer}));
            proxy.client.ask(action, &body).send().await
        };
        form.answered(&call(7).await, &json!({"full_name": "Ada", "city": "London"}));
        let detail = "External API reply has no value for output city";
        call(8).await.failed(502, MAPPING, detail);
        let detail = "External API reply has no value for output full_name";
        call(9).await.failed(502, MAPPING, detail);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_output_keeps_its_contract_and_tells_no_value() {
    let output = "output: {full_name: {type: string, from: $.name, maxLength: 3, default: \"-\"}}";
    let proxy = Setup::new().extra("short", [output]).start().await;
    let call = async |customer: u64| {
        proxy.client.ask("short", &json!({"data": {"customer_id": customer}})).send().await
    };
    let answer = call(1).await;
    answer.failed(502, MAPPING, "External API reply breaks the contract of output full_name");
    answer.never_says("Leanne");
    proxy.crm.write(1, json!({"name": "Ada"}));
    Form::TUTORIAL.answered(&call(1).await, &json!({"full_name": "Ada"}));
    proxy.stop().await;
}

#[tokio::test]
async fn a_reply_that_cannot_be_mapped_is_not_kept() {
    let proxy = Setup::new().action("cache: {ttl: 60s}").start().await;
    proxy.fails_when_crm(Fault::Html, 502, MAPPING, "External API reply is not JSON").await;
    for form in Form::ALL {
        // For a second the failure is told again, and nothing is sent.
        let answer = eventually("the failure is forgotten", async || {
            let answer = proxy.ask(form, 1).send().await;
            String::from_utf8_lossy(&answer.body).contains("Leanne Graham").then_some(answer)
        });
        form.answered(&answer.await, &proxy.outputs(1));
    }
    // A call that nobody can use is not repeated either.
    assert_eq!(proxy.crm.site.requests_for("/users/1"), 8);
    proxy.stop().await;
}

#[tokio::test]
async fn numbers_of_a_reply_keep_every_digit() {
    let output = "output: {id: {type: integer, from: $.id}, rate: {type: number, from: $.rate}}";
    let proxy = Setup::new().extra("numbers", [output]).start().await;
    let call =
        async || proxy.client.ask("numbers", &json!({"data": {"customer_id": 1}})).send().await;
    for (reply, expected) in [
        (r#"{"id":9007199254740993,"rate":0.1}"#, r#"{"data":{"id":9007199254740993,"rate":0.1}}"#),
        (
            r#"{"id":9007199254740993.0,"rate":1.10}"#,
            r#"{"data":{"id":9007199254740993,"rate":1.10}}"#,
        ),
        (
            r#"{"id":18446744073709551615,"rate":3}"#,
            r#"{"data":{"id":18446744073709551615,"rate":3}}"#,
        ),
    ] {
        proxy.crm_stands(Standing::every(Fault::Body(reply.to_owned()))).await;
        let answer = call().await;
        assert_eq!(std::str::from_utf8(&answer.body), Ok(expected));
    }
    for id in ["18446744073709551616", "1.5", "\"1\""] {
        let reply = format!("{{\"id\":{id},\"rate\":1}}");
        proxy.crm_stands(Standing::every(Fault::Body(reply))).await;
        let detail = "External API reply has a value of the wrong type for output id";
        call().await.failed(502, MAPPING, detail);
    }
    proxy.stop().await;
}
