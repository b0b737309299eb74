//! A bug ends one call with a 500 and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use holdline::client::{Script, WireError};
use serde_json::json;

use crate::support::{
    form::{Form, outputs_of},
    proxy::Setup,
};

/// A world in which customer 13 is a bug of ours.
struct Trap;

#[async_trait]
impl Script for Trap {
    async fn exchange(
        &self,
        request: reqwest::Request,
    ) -> Result<http::Response<Bytes>, WireError> {
        let reply = match request.url().path() {
            "/users/13" => panic!("planted"),
            "/users/1" => record(),
            _ => json!({"active": true}),
        };
        Ok(http::Response::new(reply.to_string().into()))
    }
}

fn record() -> serde_json::Value {
    json!({"name": "Ada"})
}

async fn survives(setup: Setup) {
    let proxy = setup.script(Arc::new(Trap)).start().await;
    let outputs = outputs_of(&record());
    for form in Form::ALL {
        for _ in 0..2 {
            let bug = proxy.ask(form, 13).send().await;
            form.failed(&bug, 500, "internal_error", "Internal server error");
            bug.never_says("planted");
            form.kept(&proxy.ask(form, 1).send().await, &outputs);
        }
    }
    let counted = proxy.metric("holdline_requests_total", ["outcome=\"internal_error\""]).await;
    assert_eq!(counted, 8.0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_bug_in_a_call_ends_that_call_only() {
    survives(Setup::new()).await;
}

#[tokio::test]
async fn a_bug_in_a_fetch_that_others_wait_for_ends_that_fetch_only() {
    survives(Setup::new().action("cache: {ttl: 60s}")).await;
}

#[tokio::test]
async fn a_bug_in_a_call_that_changes_something_ends_that_call_only() {
    let request = "request: {upstream: crm, method: POST, path: \"/users/{customer_id}\"}";
    survives(Setup::new().action(request)).await;
}
