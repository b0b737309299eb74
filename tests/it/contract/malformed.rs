//! Bodies that are refused: 400 with every problem named and no value told.

use serde_json::json;

use crate::support::{form::Form, proxy::Setup};

const MISSING_DATA: &str = "Missing 'data' in request body";

#[tokio::test]
async fn a_body_without_data_or_with_nothing_in_it_lacks_data() {
    let proxy = Setup::new().start().await;
    for form in [Form::TUTORIAL, Form::OUTCOME] {
        for body in [
            "{}",
            r#"{"customer_id":1}"#,
            r#"{"Data":{"customer_id":1}}"#,
            r#"{"data":null}"#,
            r#"{"data":{}}"#,
            r#"{"data":{ }}"#,
            r#"{"data":[]}"#,
            r#"{"data":""}"#,
            r#"{"data":0}"#,
            r#"{"data":false}"#,
        ] {
            let answer = proxy.ask(form, 1).body(body).send().await;
            form.failed(&answer, 400, "bad_request", MISSING_DATA);
        }
    }
    for form in [Form::FLAT, Form::FLAT_OUTCOME] {
        for body in ["{}", r#"{"data":{"customer_id":1}}"#] {
            let answer = proxy.ask(form, 1).body(body).send().await;
            let detail = "Invalid input format: customer_id is required";
            form.failed(&answer, 400, "bad_request", detail);
        }
    }
    assert_eq!(proxy.crm.site.counts().requests, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn an_action_whose_inputs_are_optional_takes_an_empty_data() {
    let input = "input: {email: {type: string}}";
    let request = "request: {upstream: crm, method: GET, path: \"/users/1{?email}\"}";
    let proxy = Setup::new().extra("optional", [input, request]).start().await;
    let answer = proxy.client.ask("optional", &json!({"data": {}})).send().await;
    Form::TUTORIAL.answered(&answer, &proxy.outputs(1));
    let answer = proxy.client.ask("optional", &json!({})).send().await;
    answer.failed(400, "bad_request", MISSING_DATA);
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_is_told_where() {
    let proxy = Setup::new().start().await;
    for form in Form::ALL {
        for (body, place) in [
            ("{", "line 1, column 1"),
            ("nope", "line 1, column 2"),
            ("{\n\"data\" 1}", "line 2, column 8"),
            ("{'data':{}}", "line 1, column 2"),
            ("{\"data\":{}} x", "line 1, column 13"),
        ] {
            let answer = proxy.ask(form, 1).body(body).send().await;
            let detail = format!("Invalid input format: body is not JSON ({place})");
            form.failed(&answer, 400, "bad_request", &detail);
        }
        let empty = proxy.ask(form, 1).body("").send().await;
        form.failed(&empty, 400, "bad_request", "Invalid input format: body is empty");
        let binary = proxy.ask(form, 1).body(&b"{\"data\":\"\xff\"}"[..]).send().await;
        let detail = "Invalid input format: body is not UTF-8";
        form.failed(&binary, 400, "bad_request", detail);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn json_that_is_no_object_is_refused() {
    let proxy = Setup::new().start().await;
    for form in Form::ALL {
        for body in ["[]", "[1]", "1", "\"data\"", "null", "true"] {
            let answer = proxy.ask(form, 1).body(body).send().await;
            let detail = "Invalid input format: body must be a JSON object";
            form.failed(&answer, 400, "bad_request", detail);
        }
    }
    for form in [Form::TUTORIAL, Form::OUTCOME] {
        for inputs in ["[1]", "1", "\"x\"", "true", "[{\"customer_id\":1}]"] {
            let answer = proxy.ask_text(form, inputs).send().await;
            let detail = "Invalid input format: 'data' must be a JSON object";
            form.failed(&answer, 400, "bad_request", detail);
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_key_that_comes_twice_is_refused() {
    let proxy = Setup::new().start().await;
    for form in Form::ALL {
        for inputs in [
            r#"{"customer_id":1,"customer_id":2}"#,
            r#"{"customer_id":1,"customer_id":1}"#,
            r#"{"customer_id":1,"customer\u005fid":2}"#,
        ] {
            let answer = proxy.ask_text(form, inputs).send().await;
            let detail = "Invalid input format: customer_id is given twice";
            form.failed(&answer, 400, "bad_request", detail);
        }
    }
    for form in [Form::TUTORIAL, Form::OUTCOME] {
        let body = r#"{"data":{"customer_id":1},"data":{"customer_id":2}}"#;
        let answer = proxy.ask(form, 1).body(body).send().await;
        let detail = "Invalid input format: 'data' is given twice";
        form.failed(&answer, 400, "bad_request", detail);
    }
    assert_eq!(proxy.crm.site.counts().requests, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn every_problem_is_named_at_once() {
    let input = "input: {customer_id: {type: integer, required: true, minimum: 1}, \
                 channel: {type: string, required: true, enum: [voice, chat]}, \
                 vip: {type: boolean}, score: {type: number, maximum: 1}}";
    let form = Form::TUTORIAL;
    let proxy = Setup::new().action(input).start().await;
    let inputs = json!({"customer_id": 0, "channel": "fax", "vip": "yes", "score": 2});
    let answer = proxy.client.ask(form.action(), &form.wrap(inputs)).send().await;
    let detail = "Invalid input format: customer_id must be at least 1; \
                  channel must be one of \"voice\", \"chat\"; vip must be true or false; \
                  score must be at most 1";
    answer.failed(400, "bad_request", detail);
    let answer = proxy.client.ask(form.action(), &form.wrap(json!({"vip": null}))).send().await;
    let detail = "Invalid input format: customer_id is required; channel is required; \
                  vip must not be null; leave it out";
    answer.failed(400, "bad_request", detail);
    proxy.stop().await;
}

#[tokio::test]
async fn no_value_is_ever_told_back() {
    let input = "input: {customer_id: {type: integer, required: true}, \
                 code: {type: string, pattern: \"^[0-9]+$\"}}";
    let proxy = Setup::new().action(input).start().await;
    let marker = "hunter2-4111111111111111";
    for form in Form::ALL {
        for body in [
            form.wrap(json!({"customer_id": marker})).to_string(),
            form.wrap(json!({"customer_id": 1, "code": marker})).to_string(),
            form.wrap(json!({"customer_id": {marker: marker}})).to_string(),
            form.wrap(json!({"customer_id": [marker], marker: marker})).to_string(),
            form.wrap(json!(marker)).to_string(),
            json!([marker]).to_string(),
            format!("{{\"{marker}\": {marker}}}"),
            marker.to_owned(),
        ] {
            let answer = proxy.ask(form, 1).body(body).send().await;
            assert!(answer.status == 400 || answer.json().to_string().contains("bad_request"));
            answer.never_says("hunter2");
            answer.never_says("4111111111111111");
        }
    }
    let metrics = proxy.metrics().await;
    assert!(!metrics.contains("hunter2") && !metrics.contains("4111"), "in metrics");
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_nested_beyond_reason_harms_nobody() {
    let proxy = Setup::new().start().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for form in Form::ALL {
        let value = proxy.ask_text(form, &format!("{{\"customer_id\":{deep}}}")).send().await;
        let detail = "Invalid input format: customer_id must be an integer within 64 bits";
        form.failed(&value, 400, "bad_request", detail);
        let root = proxy.ask(form, 1).body(deep.clone()).send().await;
        let detail = "Invalid input format: body must be a JSON object";
        form.failed(&root, 400, "bad_request", detail);
    }
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_deadline_that_cannot_be_read_is_refused() {
    let proxy = Setup::new().start().await;
    let detail =
        "Invalid input format: header X-Deadline-Ms must be a whole number of milliseconds";
    for form in Form::ALL {
        for text in ["soon", "", "-1", "1.5", "1e3", "1000ms", "0x10", "1 000"] {
            let answer = proxy.ask(form, 1).header("x-deadline-ms", text).send().await;
            form.failed(&answer, 400, "bad_request", detail);
        }
    }
    proxy.stop().await;
}
