//! What a caller may be given, from the best to the last: a fresh answer, one refreshed late, a stale
//! one, the fallback, a typed failure. Each keeps the output contract, and each can be told from the
//! others: in the body where failures are told by outcome, in `Cache-Status` in every form.

use holdline::demo::fault::{Fault, Standing};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::{
    client::Answer,
    form::{Form, outputs_of},
    proxy::{Setup, TestProxy},
};

/// The tutorial's outputs with a keyword on each, a cache whose old answers are a spare.
fn setup() -> Setup {
    Setup::new()
        .action(
            "output: {full_name: {type: string, from: $.name, default: Unknown User, minLength: 2}, \
             email: {type: string, from: $.email, default: unknown@example.com, format: email}, \
             phone: {type: string, from: $.phone, default: 000-000-0000, pattern: '^[-0-9x. ()]+$'}, \
             is_premium_member: {type: boolean, value: false}}",
        )
        .action("cache: {ttl: 60s, customer: customer_id, stale_if_error: 5m, stale_after: 2s}")
        .action("debug_headers: true")
}

/// The output contract of that form, written down once more by hand.
fn contract(form: Form) -> Validator {
    let mut properties = json!({
        "full_name": {"type": "string", "minLength": 2},
        "email": {"type": "string", "format": "email"},
        "phone": {"type": "string", "pattern": "^[-0-9x. ()]+$"},
        "is_premium_member": {"const": false},
    });
    if form.is_by_outcome() {
        properties["outcome"] = json!({"type": "string", "pattern": "^[a-z_]+$"});
        properties["status_code"] = json!({"type": "integer", "minimum": 200, "maximum": 599});
        properties["stale"] = json!({"type": "boolean"});
        properties["age_seconds"] = json!({"type": "integer", "minimum": 0});
    }
    let required: Vec<_> = properties.as_object().expect("an object").keys().cloned().collect();
    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema")
}

/// Asserts that an answer keeps the contract, and what it says of its tier: the word, the status
/// that it stands for and whether it is stale where the form tells outcomes, and the headers' word.
#[track_caller]
fn is_tier(form: Form, answer: &Answer, told: (&str, u16, bool), cache_status: &str) {
    let outputs = form.outputs(answer);
    if let Err(breach) = contract(form).validate(&outputs) {
        panic!("{form:?}: {breach}: {answer:?}");
    }
    if form.is_by_outcome() {
        let said = [&outputs["outcome"], &outputs["status_code"], &outputs["stale"]];
        assert_eq!(said, [&json!(told.0), &json!(told.1), &json!(told.2)], "{answer:?}");
        // Only what was kept has an age.
        assert!(told.2 || told.0 == "ok" || outputs["age_seconds"] == 0, "{answer:?}");
    }
    assert_eq!(answer.header("cache-status"), Some(cache_status), "{form:?}: {answer:?}");
}

/// Asserts that the outputs are those of that record.
#[track_caller]
fn is_about(form: Form, answer: &Answer, record: &Value) {
    let outputs = form.outputs(answer);
    for (name, value) in outputs_of(record).as_object().expect("an object") {
        assert_eq!(&outputs[name], value, "{form:?}: {answer:?}");
    }
}

/// Marks everything stale.
async fn ages(proxy: &TestProxy) {
    let (status, text) = proxy.operate("/cache/purge", &json!({"all": true, "soft": true})).await;
    assert_eq!(status, 200, "{text}");
}

#[tokio::test]
async fn a_fresh_answer_is_ok_whoever_gave_it() {
    let proxy = setup().start().await;
    for form in Form::ALL {
        let fetched = proxy.ask(form, 1).send().await;
        is_tier(form, &fetched, ("ok", 200, false), "holdline; fwd=miss; stored");
        let kept = proxy.ask(form, 1).send().await;
        let status = kept.header("cache-status").expect("it was asked for").to_owned();
        assert!(status.starts_with("holdline; hit; ttl="), "{status}");
        is_tier(form, &kept, ("ok", 200, false), &status);
        assert_eq!(form.outputs(&kept)["full_name"], form.outputs(&fetched)["full_name"]);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_answer_refreshed_late_is_the_new_one_and_says_that_there_was_an_old_one() {
    let proxy = setup().start().await;
    for (form, name) in Form::ALL.into_iter().zip(["Ada", "Eve", "Joe", "Zoe"]) {
        proxy.ask(form, 1).send().await;
        ages(&proxy).await;
        let record = json!({"name": name, "email": "a@example.com", "phone": "1"});
        proxy.crm.write(1, record.clone());
        let answer = proxy.ask(form, 1).send().await;
        is_tier(form, &answer, ("ok", 200, false), "holdline; fwd=stale; stored");
        is_about(form, &answer, &record);
        assert!(!form.is_by_outcome() || form.outputs(&answer)["age_seconds"] == 0);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_stale_answer_is_the_old_one_and_says_how_old() {
    let proxy = setup().start().await;
    for form in Form::ALL {
        proxy.ask(form, 1).send().await;
    }
    let old = proxy.crm.customer(1).expect("the CRM has that customer");
    proxy.crm.write(1, json!({"name": "New Name"}));
    ages(&proxy).await;
    proxy.crm_stands(Standing::every(Fault::status(500))).await;
    for form in Form::ALL {
        let answer = proxy.ask(form, 1).send().await;
        let status = answer.header("cache-status").expect("it was asked for").to_owned();
        // It was marked just now: so long it has been past its time.
        let overdue = status.strip_prefix("holdline; fwd=stale; fwd-status=500; ttl=");
        let overdue = overdue.and_then(|rest| rest.strip_suffix("; detail=stale-if-error"));
        assert!(
            overdue.is_some_and(|ttl| (-20..=0).contains(&ttl.parse().unwrap_or(1))),
            "{status}"
        );
        is_tier(form, &answer, ("stale", 200, true), &status);
        is_about(form, &answer, &old);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_fallback_answers_where_nothing_is_known() {
    let fallback = "fallback: {full_name: Caller, email: a@example.com}";
    let proxy = setup().action(fallback).start().await;
    proxy.crm_stands(Standing::every(Fault::status(500))).await;
    for form in Form::ALL {
        let answer = proxy.ask(form, 1).send().await;
        let status = "holdline; fwd=miss; fwd-status=500; detail=fallback";
        is_tier(form, &answer, ("fallback", 200, false), status);
        is_about(form, &answer, &json!({"name": "Caller", "email": "a@example.com"}));
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_failure_says_what_failed_with_every_output_at_its_default() {
    let proxy = setup().start().await;
    proxy.crm_stands(Standing::every(Fault::status(500))).await;
    for form in Form::ALL {
        let answer = proxy.ask(form, 1).send().await;
        let status = "holdline; fwd=miss; fwd-status=500; detail=upstream_error";
        if form.is_by_outcome() {
            is_tier(form, &answer, ("upstream_error", 500, false), status);
            is_about(form, &answer, &json!({}));
        } else {
            answer.failed(500, "upstream_error", "External API failed: 500");
            assert_eq!(answer.header("cache-status"), Some(status));
        }
    }
    proxy.stop().await;
}
