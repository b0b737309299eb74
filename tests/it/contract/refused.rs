//! The caller is not known: 401 and 403, with their status in every form.

use holdline::demo::{
    fault::{Fault, Standing},
    genesys::Claims,
};

use crate::support::{
    client::{TOKEN, TOKEN_HEADER},
    form::Form,
    proxy::{Setup, TestProxy},
};

const MISSING: &str = "Missing X-Genesys-Auth-Token header";
const INVALID: &str = "Invalid Genesys Cloud Auth Token";

/// Refusals are not remembered, so that each call asks.
async fn forgetful() -> TestProxy {
    Setup::new().genesys("cache: {refused_ttl: 0s}").start().await
}

#[tokio::test]
async fn no_token_two_or_an_empty_one_is_a_missing_token() {
    let proxy = Setup::new().start().await;
    for form in Form::ALL {
        let bare = || proxy.ask(form, 1).without(TOKEN_HEADER);
        for ask in [
            bare(),
            bare().token(""),
            bare().token("  "),
            proxy.ask(form, 1).header(TOKEN_HEADER, TOKEN),
            proxy.ask(form, 1).header(TOKEN_HEADER, ""),
            bare().header("authorization", "Bearer good-token"),
        ] {
            ask.send().await.failed(401, "unauthenticated", MISSING);
        }
    }
    assert_eq!(proxy.genesys.site.counts().connections, 0);
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn a_missing_token_is_called_by_the_header_that_is_configured() {
    let proxy = Setup::new().genesys("header: X-Flow-Token").start().await;
    for form in Form::ALL {
        let missing = proxy.ask(form, 1).send().await;
        missing.failed(401, "unauthenticated", "Missing X-Flow-Token header");
        let there = proxy.ask(form, 1).header("x-flow-token", TOKEN).send().await;
        form.answered(&there, &proxy.outputs(1));
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_bearer_token_is_taken_out_of_authorization() {
    let proxy = Setup::new().genesys("header: Authorization").start().await;
    let form = Form::TUTORIAL;
    for (value, lets_in) in [("Bearer good-token", true), ("bearer  good-token ", true)] {
        let answer = proxy.ask(form, 1).header("authorization", value).send().await;
        assert_eq!(answer.status == 200, lets_in, "{value:?}: {answer:?}");
    }
    for value in ["good-token", "Bearer", "Bearer ", "Basic good-token"] {
        let answer = proxy.ask(form, 1).header("authorization", value).send().await;
        answer.failed(401, "unauthenticated", "Missing Authorization header");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_token_that_the_authority_does_not_vouch_for_is_refused() {
    let proxy = forgetful().await;
    let refusals = [
        Fault::status(401),
        Fault::status(403),
        Fault::Body(r#"{"active":false}"#.into()),
        Fault::Body(r#"{"active":"true"}"#.into()),
        Fault::Body(r#"{"active":1}"#.into()),
        Fault::Body(r#"{"active":null}"#.into()),
        Fault::Body(r#"{"Active":true}"#.into()),
        Fault::Body(r#"{"data":{"active":true}}"#.into()),
        Fault::Body("{}".into()),
        Fault::Body("true".into()),
        Fault::Body("[{\"active\":true}]".into()),
        Fault::Html,
        Fault::Empty,
    ];
    for fault in refusals {
        proxy.genesys_stands(Standing::every(fault.clone())).await;
        for form in Form::ALL {
            let refused = proxy.ask(form, 1).send().await;
            assert_eq!(refused.status, 403, "{fault}: {refused:?}");
            refused.failed(403, "forbidden", INVALID);
        }
    }
    // Nothing of it stays: the same token is let in as soon as the authority vouches for it.
    proxy.genesys_stands(Standing::ok()).await;
    proxy.works().await;
    assert_eq!(proxy.crm.site.requests_for("/users/1"), 1);
    proxy.stop().await;
}

#[tokio::test]
async fn a_token_that_nobody_knows_or_that_has_expired_is_refused() {
    let proxy = forgetful().await;
    let long_ago = Claims { expires: Some(1_000_000_000), ..Claims::default() };
    proxy.genesys.know("expired", long_ago);
    for form in Form::ALL {
        for token in ["expired", "unknown", "bad-token", "good-token2", "GOOD-TOKEN"] {
            let refused = proxy.ask(form, 1).token(token).send().await;
            refused.failed(403, "forbidden", INVALID);
            refused.never_says(token);
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_no_token_by_its_form_is_refused_without_asking() {
    let proxy = forgetful().await;
    let long = "a".repeat(4_097);
    for form in Form::ALL {
        for token in [&*long, "two words", "a\tb"] {
            let refused = proxy.ask(form, 1).token(token).send().await;
            refused.failed(403, "forbidden", INVALID);
        }
    }
    assert_eq!(proxy.genesys.site.counts().connections, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn bytes_beyond_ascii_are_refused_without_asking() {
    let proxy = forgetful().await;
    let mut wire = proxy.wire().await;
    let head = b"POST /data-action/lookup HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n";
    wire.send([&head[..], b"X-Genesys-Auth-Token: \xc3\xa9\xff\r\n\r\n{}"].concat()).await;
    wire.answer().await.failed(403, "forbidden", INVALID);
    assert_eq!(proxy.genesys.site.counts().connections, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_refusal_and_a_good_verdict_are_each_asked_for_once() {
    let proxy = Setup::new().start().await;
    for _ in 0..3 {
        for form in Form::ALL {
            form.answered(&proxy.ask(form, 1).send().await, &proxy.outputs(1));
            let refused = proxy.ask(form, 1).token("bad-token").send().await;
            refused.failed(403, "forbidden", INVALID);
        }
    }
    assert_eq!(proxy.genesys.introspections(), 2);
    proxy.stop().await;
}
