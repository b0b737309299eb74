//! When a request is wrong in two ways, the first reason of the order is told.

use http::Method;
use serde_json::json;

use crate::support::{
    client::{Answer, TOKEN, TOKEN_HEADER},
    proxy::{Setup, TestProxy},
};

/// What may be wrong with a request, in the order in which it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    UnknownAction,
    Method,
    TooLarge,
    ContentType,
    MissingToken,
    BadToken,
    BadDeadline,
    MissingData,
    Limited,
}

const FLAWS: [Flaw; 9] = [
    Flaw::UnknownAction,
    Flaw::Method,
    Flaw::TooLarge,
    Flaw::ContentType,
    Flaw::MissingToken,
    Flaw::BadToken,
    Flaw::BadDeadline,
    Flaw::MissingData,
    Flaw::Limited,
];

impl Flaw {
    fn status(self) -> u16 {
        match self {
            Self::UnknownAction => 404,
            Self::Method => 405,
            Self::TooLarge => 413,
            Self::ContentType => 415,
            Self::MissingToken => 401,
            Self::BadToken => 403,
            Self::BadDeadline | Self::MissingData => 400,
            Self::Limited => 429,
        }
    }

    /// Whether a request can have both: a token cannot be missing and bad, nor an action both
    /// unknown and limited.
    fn goes_with(self, other: Self) -> bool {
        let pair = (self.min(other), self.max(other));
        self != other
            && pair != (Self::MissingToken, Self::BadToken)
            && pair != (Self::UnknownAction, Self::Limited)
    }
}

async fn call(proxy: &TestProxy, flaws: &[Flaw]) -> Answer {
    let has = |flaw| flaws.contains(&flaw);
    let action = match (has(Flaw::UnknownAction), has(Flaw::Limited)) {
        (true, _) => "nobody",
        (_, true) => "limited",
        _ => "lookup",
    };
    let mut body = match has(Flaw::MissingData) {
        true => "{}".to_owned(),
        false => json!({"data": {"customer_id": 1}}).to_string(),
    };
    if has(Flaw::TooLarge) {
        body.push_str(&" ".repeat(1024));
    }
    let mut ask = proxy.client.ask(action, &json!(null)).body(body);
    if has(Flaw::Method) {
        ask = ask.method(Method::PUT);
    }
    if has(Flaw::ContentType) {
        ask = ask.without("content-type").header("content-type", "text/plain");
    }
    if has(Flaw::MissingToken) {
        ask = ask.without(TOKEN_HEADER);
    }
    if has(Flaw::BadToken) {
        ask = ask.token("bad-token");
    }
    if has(Flaw::BadDeadline) {
        ask = ask.header("x-deadline-ms", "soon");
    }
    ask.send().await
}

async fn limited_proxy(setup: Setup) -> TestProxy {
    setup
        .server("max_body: 1KiB")
        .limit("once: {key: all, rate: 1/m, burst: 1}")
        .extra("limited", ["limits: [once]"])
        .start()
        .await
}

#[tokio::test]
async fn of_two_reasons_the_first_of_the_order_is_told() {
    let proxy = limited_proxy(Setup::new()).await;
    let first = proxy.client.ask("limited", &json!({"data": {"customer_id": 1}}));
    assert_eq!(first.token(TOKEN).send().await.status, 200);
    assert_eq!(call(&proxy, &[]).await.status, 200);
    for flaw in FLAWS {
        assert_eq!(call(&proxy, &[flaw]).await.status, flaw.status(), "{flaw:?}");
        for other in FLAWS.into_iter().filter(|other| flaw.goes_with(*other)) {
            let answer = call(&proxy, &[flaw, other]).await;
            assert_eq!(answer.status, flaw.min(other).status(), "{flaw:?} and {other:?}");
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn whatever_is_wrong_a_service_that_is_full_says_so() {
    let full = Setup::new().settings(|settings| settings.server.max_in_flight = 0);
    let proxy = limited_proxy(full).await;
    for flaw in FLAWS {
        let answer = call(&proxy, &[flaw]).await;
        let detail = "As many calls as this instance takes are under way";
        answer.failed(503, "overloaded", detail);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_caller_that_is_refused_uses_up_no_limit() {
    let proxy = limited_proxy(Setup::new()).await;
    for flaw in FLAWS.into_iter().filter(|flaw| *flaw != Flaw::UnknownAction) {
        if flaw != Flaw::Limited {
            let answer = call(&proxy, &[flaw, Flaw::Limited]).await;
            assert_eq!(answer.status, flaw.status(), "{flaw:?}");
        }
    }
    assert_eq!(call(&proxy, &[Flaw::Limited]).await.status, 200, "the first that counts");
    assert_eq!(call(&proxy, &[Flaw::Limited]).await.status, 429);
    proxy.stop().await;
}
