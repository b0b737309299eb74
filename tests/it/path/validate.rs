//! What comes in: refused whole, with every problem named and no value echoed, before anything is
//! counted or asked.

use std::sync::Arc;

use holdline::telemetry::{outcome::Outcome, stage::Stage};
use serde_json::json;

use crate::support::rig::{Rig, Setup};

/// What a caller is told about such a body.
async fn told(rig: &Rig, body: &str) -> String {
    let heard = rig.lookup().body(body).heard().await;
    assert_eq!(heard.outcome(), Outcome::BadRequest, "{body}");
    assert_eq!(heard.decisions(), ["authenticate: open", "validate: invalid"]);
    heard.failure().detail().into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_body_without_its_data_is_told_in_one_sentence() {
    let rig = Setup::PLAIN.rig();
    for body in
        ["{}", r#"{"data":null}"#, r#"{"data":{}}"#, r#"{"data":[]}"#, r#"{"Data":{"id":1}}"#]
    {
        assert_eq!(told(&rig, body).await, "Missing 'data' in request body", "{body}");
    }
    assert_eq!(rig.upstream().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_of_another_form_is_refused_by_its_form() {
    let rig = Setup::PLAIN.rig();
    for (body, what) in [
        ("", "body is empty"),
        ("nonsense", "body is not JSON (line 1, column 2)"),
        ("[]", "body must be a JSON object"),
        ("7", "body must be a JSON object"),
        (r#"{"data":7}"#, "'data' must be a JSON object"),
        (r#"{"data":[1]}"#, "'data' must be a JSON object"),
        (r#"{"data":{"id":1},"data":{"id":2}}"#, "'data' is given twice"),
    ] {
        assert_eq!(told(&rig, body).await, format!("Invalid input format: {what}"), "{body}");
    }
    assert_eq!(rig.upstream().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_problem_is_named_and_no_value_is_echoed() {
    let rig = Setup::PLAIN.rig();
    let body = json!({"data": {"id": "secret-7", "lang": true, "other": 1}}).to_string();
    let told = told(&rig, &body).await;
    for field in ["id ", "lang "] {
        assert!(told.contains(field), "{told}");
    }
    assert!(!told.contains("secret-7"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_the_request_is_refused_before_it_is_made() {
    let rig = Setup::PLAIN.rig();
    for id in [json!(true), json!(1.5), json!("01"), json!(""), json!(null), json!("..")] {
        told(&rig, &json!({"data": { "id": id }}).to_string()).await;
    }
    assert_eq!(rig.upstream().count(), 0);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_flat_body_is_the_inputs_themselves() {
    let rig = Setup { lookup: &["envelope: flat"], ..Setup::PLAIN }.rig();
    assert!(rig.lookup().body(r#"{"id":5}"#).heard().await.result.is_ok());
    assert_eq!(rig.upstream().seen()[0].path, "/v2/users/5");
    let heard = rig.lookup().body("{}").heard().await;
    assert!(heard.failure().detail().starts_with("Invalid input format: id "), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_cannot_be_read_is_invalid() {
    let rig = Setup::PLAIN.rig();
    let mut call = rig.lookup().call();
    call.deadline_unreadable = true;
    let failure = rig.pipeline.run(&call).await.unwrap_err();
    assert_eq!(failure.outcome(), Outcome::BadRequest);
    let detail =
        "Invalid input format: header X-Deadline-Ms must be a whole number of milliseconds";
    assert_eq!(failure.detail(), detail);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_text_are_refused() {
    let rig = Setup::PLAIN.rig();
    let mut call = rig.lookup().call();
    call.body = b"{\"data\":{\"id\":\"\xff\"}}".to_vec().into();
    let failure = rig.pipeline.run(&call).await.unwrap_err();
    assert_eq!(failure.detail(), "Invalid input format: body is not UTF-8");
    let steps = Arc::clone(&call.trail).steps();
    assert_eq!((steps.len(), steps[1].stage), (2, Stage::Validate));
}

#[tokio::test(start_paused = true)]
async fn who_calls_is_asked_before_what_they_say() {
    let rig = Setup { caller: "genesys", ..Setup::PLAIN }.rig();
    let heard = rig.lookup().bare().body("nonsense").heard().await;
    assert_eq!(heard.outcome(), Outcome::Unauthenticated);
}
