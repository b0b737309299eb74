//! The token authority gives no verdict: 503, never a refusal, and over as soon as it is back.

use holdline::demo::{
    crm::{CrmSettings, FakeCrm},
    fault::{Fault, Standing},
};

use crate::support::{form::Form, proxy::Setup};

const UNAVAILABLE: &str = "Token authority is unavailable, so the token could not be checked";

/// Calls in every form while the authority stands so, then once more when it is back. A service of
/// its own for each: a breaker rests after a run of failures.
async fn unavailable_when(standing: Standing) {
    let proxy = Setup::new().genesys("timeout: 200ms").start().await;
    proxy.genesys_stands(standing).await;
    for form in Form::ALL {
        let answer = proxy.ask(form, 1).send().await;
        form.failed(&answer, 503, "auth_unavailable", UNAVAILABLE);
        answer.retry_after();
    }
    assert_eq!(proxy.crm.site.counts().requests, 0);
    proxy.genesys_stands(Standing::ok()).await;
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn an_authority_that_refuses_connections_is_unavailable() {
    unavailable_when(Standing::Down).await;
}

#[tokio::test]
async fn an_authority_that_answers_with_an_error_is_unavailable() {
    for code in [500, 503, 429, 404, 400] {
        unavailable_when(Standing::every(Fault::status(code))).await;
    }
}

#[tokio::test]
async fn an_authority_that_takes_too_long_is_unavailable() {
    unavailable_when(Standing::every(Fault::Hang)).await;
}

#[tokio::test]
async fn an_authority_whose_connections_break_is_unavailable() {
    for fault in [Fault::Reset, Fault::Close, Fault::ResetMidBody, Fault::Truncate] {
        unavailable_when(Standing::every(fault)).await;
    }
}

#[tokio::test]
async fn an_authority_that_speaks_no_http_or_without_end_is_unavailable() {
    for fault in [Fault::Garbage, Fault::Endless, Fault::GzipBomb] {
        unavailable_when(Standing::every(fault)).await;
    }
}

#[tokio::test]
async fn an_authority_that_points_elsewhere_is_not_followed() {
    let here = "127.0.0.1:0".parse().expect("an address");
    let elsewhere = FakeCrm::start(here, CrmSettings::default()).await.expect("a free port");
    unavailable_when(Standing::every(Fault::Redirect(elsewhere.site.url()))).await;
    assert_eq!(elsewhere.site.counts().connections, 0);
    elsewhere.site.stop().await;
}

#[tokio::test]
async fn a_caller_without_time_left_is_not_taken_for_refused() {
    let proxy = Setup::new().genesys("timeout: 10s").start().await;
    proxy.genesys_stands(Standing::every(Fault::Hang)).await;
    for form in Form::ALL {
        let answer = proxy.ask(form, 1).header("x-deadline-ms", "200").send().await;
        form.failed(&answer, 503, "auth_unavailable", UNAVAILABLE);
    }
    // All of them waited for the same question.
    assert_eq!(proxy.genesys.introspections(), 1);
    proxy.genesys_stands(Standing::Down).await;
    proxy.genesys_stands(Standing::ok()).await;
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_verdict_that_is_remembered_outlives_the_authority() {
    let proxy = Setup::new().start().await;
    proxy.works().await;
    proxy.genesys_stands(Standing::Down).await;
    for form in Form::ALL {
        form.answered(&proxy.ask(form, 1).send().await, &proxy.outputs(1));
        let other = proxy.ask(form, 1).token("other-token").send().await;
        form.failed(&other, 503, "auth_unavailable", UNAVAILABLE);
    }
    proxy.stop().await;
}
