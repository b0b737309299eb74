//! The upstream refuses, cannot be reached, takes too long or is given a rest.

use std::time::Duration;

use holdline::demo::{
    crm::{CrmSettings, FakeCrm},
    fault::{Fault, Standing},
};
use tokio::time::Instant;

use crate::support::{form::Form, proxy::Setup};

const TIMED_OUT: &str = "External API timed out";
const UNREACHABLE: &str = "Could not connect to external API";

#[tokio::test]
async fn a_status_of_the_callers_or_the_upstreams_making_is_passed_on() {
    let proxy = Setup::new().start().await;
    for (status, code) in [
        (400, "upstream_rejected"),
        (402, "upstream_rejected"),
        (404, "not_found"),
        (408, "upstream_rejected"),
        (409, "upstream_rejected"),
        (410, "upstream_rejected"),
        (418, "upstream_rejected"),
        (422, "upstream_rejected"),
        (429, "upstream_rejected"),
        (500, "upstream_error"),
        (501, "upstream_error"),
        (502, "upstream_error"),
        (503, "upstream_error"),
        (504, "upstream_error"),
        (599, "upstream_error"),
    ] {
        let detail = format!("External API failed: {status}");
        proxy.fails_when_crm(Fault::status(status), status, code, &detail).await;
    }
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn what_is_ours_to_mend_is_a_bad_gateway() {
    let proxy = Setup::new().start().await;
    for status in [401, 403, 407, 300, 301, 302, 304, 307] {
        let detail = format!("External API failed: {status}");
        proxy.fails_when_crm(Fault::status(status), 502, "upstream_rejected", &detail).await;
    }
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let here = "127.0.0.1:0".parse().expect("an address");
    let elsewhere = FakeCrm::start(here, CrmSettings::default()).await.expect("a free port");
    let proxy = Setup::new().start().await;
    let target = format!("{}/users/1", elsewhere.site.url());
    let fault = Fault::Redirect(target);
    proxy.fails_when_crm(fault, 502, "upstream_rejected", "External API failed: 302").await;
    assert_eq!(elsewhere.site.counts().connections, 0);
    elsewhere.site.stop().await;
    proxy.stop().await;
}

#[tokio::test]
async fn an_upstream_that_says_when_to_come_back_is_passed_on() {
    for code in [429, 503] {
        for (asked, told) in [(7, 7), (0, 1)] {
            for form in Form::ALL {
                // A service of its own: the next call is not sent before those seconds are over.
                let proxy = Setup::new().start().await;
                let fault = Fault::Status { code, retry_after: Some(asked) };
                proxy.crm_stands(Standing::every(fault)).await;
                assert_eq!(proxy.ask(form, 1).send().await.retry_after(), told);
                proxy.stop().await;
            }
        }
    }
}

#[tokio::test]
async fn an_upstream_that_says_when_to_come_back_is_not_asked_until_then() {
    let proxy = Setup::new().start().await;
    let fault = Fault::Status { code: 429, retry_after: Some(200) };
    proxy.crm_stands(Standing::every(fault)).await;
    proxy.ask(Form::ALL[0], 1).send().await;
    proxy.crm_stands(Standing::ok()).await;
    for form in Form::ALL {
        let answer = proxy.ask(form, 1).send().await;
        form.failed(&answer, 503, "overloaded", "External API may not be asked again yet");
        assert!((150..=200).contains(&answer.retry_after()));
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_cannot_be_connected_to() {
    let proxy = Setup::new().start().await;
    proxy.crm_stands(Standing::Down).await;
    for form in Form::ALL {
        let answer = proxy.ask(form, 1).send().await;
        form.failed(&answer, 502, "upstream_unreachable", UNREACHABLE);
    }
    proxy.crm_stands(Standing::ok()).await;
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_connection_that_breaks_is_no_connection() {
    let proxy = Setup::new().start().await;
    for fault in [Fault::Reset, Fault::Close, Fault::ResetMidBody, Fault::Truncate] {
        proxy.fails_when_crm(fault, 502, "upstream_unreachable", UNREACHABLE).await;
    }
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_asked_for_again() {
    let retry = "retry: {attempts: 2, budget: {per_second: 100}}";
    let proxy = Setup::new().upstream(retry).start().await;
    for fault in [Fault::Reset, Fault::Close, Fault::ResetMidBody, Fault::Truncate] {
        for form in Form::ALL {
            proxy.crm.site.reset_record();
            proxy.crm.site.script([fault.clone()]);
            form.answered(&proxy.ask(form, 1).send().await, &proxy.outputs(1));
            assert_eq!(proxy.crm.site.counts().requests, 2, "{fault}");
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_has_timed_out() {
    let timeouts = "timeouts: {connect: 200ms, attempt: 200ms}";
    let proxy = Setup::new().upstream(timeouts).start().await;
    for fault in [Fault::Hang, Fault::Drip(Duration::from_millis(50))] {
        proxy.fails_when_crm(fault, 504, "upstream_timeout", TIMED_OUT).await;
    }
    proxy.works().await;
    proxy.stop().await;
}

/// Times that nobody would wait for in a test: only what is asserted to shorten them can end it.
const ENDLESS: [&str; 2] = ["timeouts: {connect: 1s, attempt: 60s}", "timeout: 70s"];

#[tokio::test]
async fn a_caller_can_shorten_its_time() {
    let [timeouts, timeout] = ENDLESS;
    let proxy =
        Setup::new().upstream(timeouts).action(timeout).action("cache: {ttl: 60s}").start().await;
    proxy.works().await;
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    for form in Form::ALL {
        for wait in ["300", "0"] {
            let began = Instant::now();
            let answer = proxy.ask(form, 2).header("x-deadline-ms", wait).send().await;
            form.failed(&answer, 504, "deadline_exceeded", TIMED_OUT);
            assert!(began.elapsed() < Duration::from_secs(10), "its time was shortened");
        }
        // What is known costs no time.
        let known = proxy.ask(Form::TUTORIAL, 1).header("x-deadline-ms", "300").send().await;
        Form::TUTORIAL.kept(&known, &proxy.outputs(1));
    }
    // Their fetches go on for others; the CRM ends them.
    assert_eq!(proxy.crm.site.counts().in_flight, 4);
    proxy.crm_stands(Standing::Down).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_caller_can_shorten_its_time_where_nothing_is_kept() {
    let [timeouts, timeout] = ENDLESS;
    let proxy = Setup::new().upstream(timeouts).action(timeout).start().await;
    proxy.works().await;
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    for form in Form::BY_STATUS {
        let began = Instant::now();
        let answer = proxy.ask(form, 1).header("x-deadline-ms", "300").send().await;
        assert_eq!((answer.status, &*answer.detail()), (504, TIMED_OUT), "{answer:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "its time was shortened");
    }
    proxy.crm.site.until(|seen| seen.in_flight == 0).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_caller_cannot_lengthen_its_time() {
    let proxy = Setup::new()
        .upstream("timeouts: {connect: 400ms, attempt: 400ms}")
        .action("timeout: 500ms")
        .start()
        .await;
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    for form in Form::ALL {
        for longer in ["60000", "4294967295"] {
            let began = Instant::now();
            let answer = proxy.ask(form, 1).header("x-deadline-ms", longer).send().await;
            form.failed(&answer, 504, "upstream_timeout", TIMED_OUT);
            assert!(began.elapsed() < Duration::from_secs(10), "its time was not lengthened");
        }
    }
    proxy.crm_stands(Standing::ok()).await;
    let answer = proxy.ask(Form::TUTORIAL, 1).header("x-deadline-ms", "60000").send().await;
    Form::TUTORIAL.answered(&answer, &proxy.outputs(1));
    proxy.stop().await;
}

#[tokio::test]
async fn an_upstream_that_keeps_failing_is_given_a_rest() {
    let breaker = "breaker: {run: 3, open: {first: 30s}}";
    let proxy = Setup::new().upstream(breaker).start().await;
    proxy.crm_stands(Standing::every(Fault::status(500))).await;
    for _ in 0..3 {
        proxy.call(1).await.failed(500, "upstream_error", "External API failed: 500");
    }
    // It would answer again, but nobody asks it.
    proxy.crm_stands(Standing::ok()).await;
    for form in Form::ALL {
        let answer = proxy.ask(form, 1).send().await;
        let detail = "External API has been failing and is given a rest";
        form.failed(&answer, 503, "breaker_open", detail);
        let wait = answer.retry_after();
        assert!((10..=45).contains(&wait), "30 s, half of it either way: {wait}");
    }
    assert_eq!(proxy.crm.site.counts().requests, 3);
    let open = ["upstream=\"crm\"", "state=\"open\""];
    assert_eq!(proxy.metric("holdline_breaker_state", open).await, 1.0);
    proxy.stop().await;
}

#[tokio::test]
async fn connections_are_counted_when_they_are_made_and_when_they_cannot_be() {
    let proxy = Setup::new().start().await;
    let made = async |result: &str| {
        let result = format!("result=\"{result}\"");
        proxy.metric("holdline_upstream_connects_total", [&*result]).await
    };
    proxy.works().await;
    proxy.works().await;
    assert_eq!((made("success").await, made("failure").await), (1.0, 0.0), "it is kept");
    proxy.crm_stands(Standing::Down).await;
    assert_eq!(proxy.call(1).await.status, 502);
    assert_eq!((made("success").await, made("failure").await), (1.0, 1.0));
    proxy.crm_stands(Standing::ok()).await;
    proxy.stop().await;
}
