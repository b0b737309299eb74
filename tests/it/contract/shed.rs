//! Turned away before or beside the work: as much is under way as may be, or the service is leaving.

use std::time::Duration;

use axum::{body::Body, extract::Request};
use holdline::{
    demo::fault::{Fault, Standing},
    server::lifecycle::Phase,
};
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use crate::support::{beside, client::Answer, eventually, form::Form, in_time, proxy::Setup};

const SHED: &str = "As many calls as this instance takes are under way";

#[tokio::test]
pub(crate) async fn a_call_beyond_the_most_that_may_be_under_way_is_shed() {
    let proxy = Setup::new().server("max_in_flight: 1").start().await;
    proxy.works().await;
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    beside(proxy.call(1), async {
        proxy.crm.site.until(|seen| seen.in_flight == 1).await;
        for form in Form::ALL {
            let answer = proxy.ask(form, 1).send().await;
            answer.failed(503, "overloaded", SHED);
            assert_eq!(answer.header("connection"), Some("close"));
        }
        assert_eq!(proxy.crm.site.counts().in_flight, 1);
    })
    .await;
    // Its caller has hung up: the place is free again.
    proxy.until_in_flight(0).await;
    proxy.crm_stands(Standing::ok()).await;
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn the_caps_of_calls_hold_for_requests_for_tokens() {
    let oauth = "oauth: {type: issued, clients: {ivr: secret-of-the-ivr}, \
                 key: 0123456789abcdef0123456789abcdef}";
    let setup = Setup::new().caller(oauth).server("max_in_flight: 1").server("body_timeout: 100ms");
    let proxy = setup.start().await;
    let ask = || {
        let form = "grant_type=client_credentials&client_id=ivr&client_secret=secret-of-the-ivr";
        proxy.fetch(proxy.client.network().post(proxy.public_url("/oauth/token")).body(form))
    };
    assert_eq!(ask().await.0, 200);
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    beside(proxy.call(1), async {
        proxy.crm.site.until(|seen| seen.in_flight == 1).await;
        let (status, text) = ask().await;
        assert_eq!(status, 503, "{text}");
        assert!(text.starts_with(r#"{"error":"temporarily_unavailable","#), "{text}");
    })
    .await;
    proxy.until_in_flight(0).await;
    assert_eq!(ask().await.0, 200);
    let mut wire = proxy.wire().await;
    wire.send("POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 29\r\n\r\ngrant").await;
    let (status, headers, body) = wire.response().await;
    assert_eq!((status, &headers["connection"]), (408, &"close".parse().expect("a value")));
    assert!(body.starts_with(br#"{"error":"invalid_request","#), "{body:?}");
    let shed = ["caller=\"oauth\"", "result=\"unavailable\""];
    assert_eq!(proxy.metric("holdline_token_requests_total", shed).await, 1.0);

    let routes = proxy.desk().data_plane.routes();
    proxy.desk().lifecycle.set(Phase::Stopped);
    let request = Request::post("/oauth/token").body(Body::empty()).expect("a request");
    let response = routes.oneshot(request).await.expect("it answers");
    let wait = response.headers().get("retry-after").map(|value| value.as_bytes());
    assert_eq!((response.status().as_u16(), wait), (503, Some(&b"1"[..])));
    drop(response);
    proxy.crm_stands(Standing::ok()).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_call_beyond_the_most_of_its_organisation_is_shed_whatever_tells_failures() {
    let setup = Setup::new().server("max_in_flight_per_org: 1");
    let proxy = setup.caller("portal: {type: api_key, keys: {ivr: \"${IVR_KEY}\"}}");
    let proxy = proxy.action("caller: [genesys, portal]").start().await;
    proxy.works().await;
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    beside(proxy.call(1), async {
        proxy.crm.site.until(|seen| seen.in_flight == 1).await;
        for form in Form::ALL {
            let answer = proxy.ask(form, 1).send().await;
            let detail = "As many calls of this organisation as may be are under way";
            answer.failed(503, "overloaded", detail);
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_eq!(answer.header("connection"), None, "the connection is as good as before");
        }
        let overloaded = proxy.metric("holdline_requests_total", ["outcome=\"overloaded\""]).await;
        assert_eq!(overloaded, Form::ALL.len() as f64);
        assert_eq!(proxy.crm.site.counts().in_flight, 1);
    })
    .await;
    proxy.until_in_flight(0).await;
    proxy.crm_stands(Standing::ok()).await;
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn bodies_beyond_the_bytes_that_may_be_held_are_shed() {
    let proxy =
        Setup::new().server("max_body: 1000B").server("max_bytes_in_flight: 1000B").start().await;
    let half = "x".repeat(990);
    for (framing, body) in [
        ("Content-Length: 1000", half.clone()),
        ("Transfer-Encoding: chunked", format!("3de\r\n{half}")),
    ] {
        let mut wire = proxy.wire().await;
        let head = format!("POST /data-action/lookup HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        wire.send(head).await;
        // A sender that only promises takes nothing from the others.
        proxy.works().await;
        wire.send(body).await;
        let ask = || proxy.ask(Form::OUTCOME, 1).send();
        eventually("bytes held", async || (ask().await.status == 503).then_some(())).await;
        for form in Form::ALL {
            proxy.ask(form, 1).send().await.failed(503, "overloaded", SHED);
        }
        drop(wire);
        eventually("bytes free", async || (ask().await.status == 200).then_some(())).await;
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_is_held_as_long_as_its_call() {
    let proxy =
        Setup::new().server("max_body: 1000B").server("max_bytes_in_flight: 1000B").start().await;
    let filled = |form: Form, bytes: usize| {
        let body = form.wrap_text("{\"customer_id\":1}");
        proxy.ask(form, 1).body(format!("{body:bytes$}")).send()
    };
    proxy.works().await;
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    beside(filled(Form::TUTORIAL, 900), async {
        proxy.crm.site.until(|seen| seen.in_flight == 1).await;
        for form in Form::ALL {
            filled(form, 200).await.failed(503, "overloaded", SHED);
        }
    })
    .await;
    proxy.until_in_flight(0).await;
    proxy.crm_stands(Standing::ok()).await;
    assert_eq!(filled(Form::TUTORIAL, 900).await.status, 200);
    proxy.stop().await;
}

#[tokio::test]
async fn an_upstream_with_as_many_requests_as_it_may_have_gets_no_more() {
    let limit = "concurrency: {limit: 1, wait: 20ms}";
    let proxy = Setup::new().upstream(limit).start().await;
    proxy.works().await;
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    beside(proxy.call(1), async {
        proxy.crm.site.until(|seen| seen.in_flight == 1).await;
        for form in Form::ALL {
            let answer = proxy.ask(form, 2).send().await;
            let detail = "External API has as many requests as it may have";
            form.failed(&answer, 503, "overloaded", detail);
        }
        assert_eq!(proxy.crm.site.requests_for("/users/2"), 0);
    })
    .await;
    proxy.until_in_flight(0).await;
    proxy.crm_stands(Standing::ok()).await;
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn no_more_calls_wait_for_one_fetch_than_may() {
    let proxy = Setup::new().action("cache: {ttl: 60s, max_waiters: 1}").start().await;
    let form = Form::OUTCOME;
    form.answered(&proxy.ask(form, 2).send().await, &proxy.outputs(2));
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    let two = futures_util::future::join(proxy.ask(form, 1).send(), proxy.ask(form, 1).send());
    beside(Box::pin(two), async {
        let waits = async || {
            let waiting = ["role=\"follower\""];
            (proxy.metric("holdline_coalesced_requests_total", waiting).await == 1.0).then_some(())
        };
        eventually("one waits for the fetch of the other", waits).await;
        let crowded = proxy.ask(form, 1).send().await;
        let detail = "Too many calls are waiting for the same record";
        form.failed(&crowded, 503, "overloaded", detail);
        // Who does not need that fetch is not held up.
        form.kept(&proxy.ask(form, 2).send().await, &proxy.outputs(2));
    })
    .await;
    // The fetch goes on without its caller; the CRM ends it.
    proxy.crm_stands(Standing::Down).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_service_that_drains_still_answers_and_asks_to_be_left() {
    let proxy = Setup::new().start().await;
    assert_eq!(proxy.probe("/readyz").await.0, 200);
    assert_eq!(proxy.call(1).await.header("connection"), None);
    proxy.desk().lifecycle.set(Phase::Draining);
    assert_eq!(proxy.probe("/readyz").await.0, 503);
    assert_eq!(proxy.probe("/livez").await.0, 200);
    for form in Form::ALL {
        let answer = proxy.ask(form, 1).send().await;
        form.answered(&answer, &proxy.outputs(1));
        assert_eq!(answer.header("connection"), Some("close"));
    }
    proxy.stop().await;
}

/// The listener closes idle connections long before, so that over a socket only a race could bring this
/// about; the routes behind it are asked.
#[tokio::test]
async fn a_call_that_comes_when_the_service_has_closed_is_turned_away() {
    let proxy = Setup::new().start().await;
    let routes = proxy.desk().data_plane.routes();
    proxy.desk().lifecycle.set(Phase::Stopped);
    for action in Form::ALL.map(Form::action).into_iter().chain(["nobody"]) {
        let request = Request::post(format!("/data-action/{action}"));
        let body = json!({"data": {"customer_id": 1}}).to_string();
        let request = request.body(Body::from(body)).expect("a request");
        let answered = routes.clone().oneshot(request).await.expect("routes do not fail");
        let (head, body) = answered.into_parts();
        let body = body.collect().await.expect("the answer is whole").to_bytes();
        let answer = Answer::checked(head.status.as_u16(), head.headers, body);
        answer.failed(503, "draining", "This instance is shutting down");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    drop(routes);
    proxy.stop().await;
}

#[tokio::test]
async fn a_call_under_way_is_answered_before_the_service_stops() {
    let proxy = Setup::new().start().await;
    let outputs = proxy.outputs(1);
    proxy.crm_stands(Standing::late(Duration::from_millis(300))).await;
    let mut wire = proxy.wire().await;
    let mut idle = proxy.wire().await;
    let body = r#"{"data":{"customer_id":1}}"#;
    wire.send(format!(
        "POST /data-action/lookup HTTP/1.1\r\nHost: a\r\nX-Genesys-Auth-Token: good-token\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    proxy.until_in_flight(1).await;
    let lifecycle = proxy.desk().lifecycle.clone();
    let answered = async {
        in_time("closing", lifecycle.reached(Phase::Closing)).await;
        assert!(idle.is_closed().await, "nobody is waited for who asks nothing");
        let answer = wire.answer().await;
        Form::TUTORIAL.answered(&answer, &outputs);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(wire.is_closed().await);
    };
    tokio::join!(proxy.stop(), answered);
}

#[tokio::test]
async fn a_caller_that_hangs_up_ends_a_fetch_that_nobody_else_waits_for() {
    let proxy = Setup::new().start().await;
    proxy.works().await;
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    beside(proxy.call(1), proxy.crm.site.until(|seen| seen.in_flight == 1)).await;
    in_time("the CRM is let go", proxy.crm.site.until(|seen| seen.left == 1)).await;
    let canceled = async || {
        let labels = ["outcome=\"canceled\"", "action=\"lookup\""];
        (proxy.metric("holdline_requests_total", labels).await == 1.0).then_some(())
    };
    eventually("the call is counted as canceled", canceled).await;
    proxy.stop().await;
}
