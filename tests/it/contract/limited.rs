//! Limited: 429 with the limit that is used up and when to come back.

use holdline::demo::genesys::Claims;
use serde_json::json;

use crate::support::{client::Answer, form::Form, proxy::Setup};

/// Asserts a refusal by the limit `name` of `burst` calls a rest, one a minute.
#[track_caller]
fn limited(form: Form, answer: &Answer, name: &str, burst: u64) {
    form.failed(answer, 429, "rate_limited", &format!("Rate limit {name} is used up"));
    let wait = answer.retry_after();
    assert!(wait <= 60, "one a minute: {answer:?}");
    let policy = format!("\"{name}\";q={burst};w={}", 60 * burst);
    assert_eq!(answer.header("ratelimit-policy"), Some(&*policy));
    assert_eq!(answer.header("ratelimit"), Some(&*format!("\"{name}\";r=0;t={wait}")));
}

#[tokio::test]
async fn a_limit_lets_its_burst_through_and_then_refuses() {
    let limit = "per_action: {key: action, rate: 1/m, burst: 2}";
    let proxy = Setup::new().limit(limit).action("limits: [per_action]").start().await;
    for form in Form::ALL {
        for customer in [1, 2] {
            let answer = proxy.ask(form, customer).send().await;
            form.answered(&answer, &proxy.outputs(customer));
            assert_eq!(answer.header("ratelimit"), None);
        }
        limited(form, &proxy.ask(form, 1).send().await, "per_action", 2);
        limited(form, &proxy.ask(form, 3).send().await, "per_action", 2);
    }
    assert_eq!(proxy.crm.site.counts().requests, 8);
    proxy.stop().await;
}

#[tokio::test]
async fn hits_of_the_cache_count_too() {
    let limit = "all: {key: all, rate: 1/m, burst: 2}";
    let setup = Setup::new().limit(limit).action("limits: [all]").action("cache: {ttl: 60s}");
    let proxy = setup.start().await;
    proxy.works().await;
    proxy.works().await;
    limited(Form::TUTORIAL, &proxy.call(1).await, "all", 2);
    limited(Form::FLAT, &proxy.ask(Form::FLAT, 1).send().await, "all", 2);
    assert_eq!(proxy.crm.site.counts().requests, 1);
    proxy.stop().await;
}

#[tokio::test]
async fn callers_and_organisations_are_counted_apart() {
    let proxy = Setup::new()
        .limit("per_caller: {key: caller, rate: 1/m, burst: 1}")
        .limit("per_org: {key: org, rate: 1/m, burst: 1}")
        .extra("by-caller", ["limits: [per_caller]"])
        .extra("by-org", ["limits: [per_org]"])
        .start()
        .await;
    for (token, organization, client) in
        [("a1", "a", "1"), ("a1-again", "a", "1"), ("a2", "a", "2"), ("b1", "b", "1")]
    {
        let (organization, client) = (Some(organization.to_owned()), Some(client.to_owned()));
        proxy.genesys.know(token, Claims { organization, client, expires: None });
    }
    let form = Form::TUTORIAL;
    let call = async |action, token| {
        let ask = proxy.client.ask(action, &json!({"data": {"customer_id": 1}}));
        ask.token(token).send().await
    };
    for token in ["a1", "a2", "b1"] {
        form.answered(&call("by-caller", token).await, &proxy.outputs(1));
    }
    limited(form, &call("by-caller", "a1-again").await, "per_caller", 1);
    for token in ["a1", "b1"] {
        form.answered(&call("by-org", token).await, &proxy.outputs(1));
    }
    limited(form, &call("by-org", "a2").await, "per_org", 1);
    proxy.stop().await;
}

#[tokio::test]
async fn customers_are_counted_apart_and_always_within_their_organisation() {
    let limit = "per_customer: {key: input.customer_id, rate: 1/m, burst: 1}";
    let proxy = Setup::new().limit(limit).action("limits: [per_customer]").start().await;
    let organization = Some("other".to_owned());
    proxy.genesys.know("other-org", Claims { organization, ..Claims::default() });
    let form = Form::TUTORIAL;
    proxy.works().await;
    form.answered(&proxy.call(2).await, &proxy.outputs(2));
    let elsewhere = proxy.ask(form, 1).token("other-org").send().await;
    form.answered(&elsewhere, &proxy.outputs(1));
    // However the number is written, and whatever action is called.
    let text = proxy.ask_text(form, "{\"customer_id\":\"1\"}").send().await;
    limited(form, &text, "per_customer", 1);
    let other_action = proxy.ask(Form::FLAT_OUTCOME, 2).send().await;
    limited(Form::FLAT_OUTCOME, &other_action, "per_customer", 1);
    proxy.stop().await;
}

#[tokio::test]
async fn of_two_limits_the_one_that_is_used_up_refuses() {
    let proxy = Setup::new()
        .limit("wide: {key: all, rate: 1/m, burst: 3}")
        .limit("narrow: {key: input.customer_id, rate: 1/m, burst: 1}")
        .action("limits: [wide, narrow]")
        .start()
        .await;
    let form = Form::TUTORIAL;
    proxy.works().await;
    limited(form, &proxy.call(1).await, "narrow", 1);
    form.answered(&proxy.call(2).await, &proxy.outputs(2));
    // Three were counted by the wide one, the refused call among them.
    limited(form, &proxy.call(3).await, "wide", 3);
    proxy.stop().await;
}

#[tokio::test]
async fn a_limit_that_does_not_enforce_only_counts() {
    let limit = "trial: {key: all, rate: 1/m, burst: 1, enforce: false}";
    let proxy = Setup::new().limit(limit).action("limits: [trial]").start().await;
    for _ in 0..3 {
        proxy.works().await;
    }
    let counted = async |decision: &str| {
        let decision = format!("decision=\"{decision}\"");
        proxy.metric("holdline_ratelimit_decisions_total", ["limit=\"trial\"", &decision]).await
    };
    assert_eq!(counted("allowed").await, 1.0);
    assert_eq!(counted("shadow_limited").await, 2.0);
    assert_eq!(counted("limited").await, 0.0);
    proxy.stop().await;
}
