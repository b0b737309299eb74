//! Text that goes into a path stays in its segment, and is another customer than any other text.

use serde_json::json;

use crate::support::{
    client::Answer,
    proxy::{Setup, TestProxy},
};

async fn by_name() -> TestProxy {
    let lines = [
        "input: {name: {type: string, required: true}}",
        "request: {upstream: crm, method: GET, path: \"/users/{name}\"}",
        "cache: {ttl: 60s}",
    ];
    Setup::new().extra("by-name", lines).start().await
}

async fn call(proxy: &TestProxy, name: &str) -> Answer {
    proxy.client.ask("by-name", &json!({"data": {"name": name}})).send().await
}

#[tokio::test]
async fn what_would_leave_its_segment_is_refused() {
    let proxy = by_name().await;
    for name in ["", ".", "..", "a\tb", "a\nb", "a\u{0}b", "\u{7f}"] {
        let answer = call(&proxy, name).await;
        assert_eq!(
            (answer.status, &*answer.json()["code"].to_string()),
            (400, "\"bad_request\""),
            "{name:?}"
        );
        assert!(answer.detail().starts_with("Invalid input format: name "), "{answer:?}");
    }
    assert_eq!(proxy.crm.site.counts().requests, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn what_means_something_in_an_address_is_sent_encoded() {
    let proxy = by_name().await;
    for (name, sent) in [
        ("../1", "/users/..%2F1"),
        ("1?x=y", "/users/1%3Fx%3Dy"),
        ("1#x", "/users/1%23x"),
        ("%2e%2e", "/users/%252e%252e"),
        ("a b", "/users/a%20b"),
        ("佐", "/users/%E4%BD%90"),
        ("...", "/users/..."),
    ] {
        call(&proxy, name).await.failed(404, "not_found", "External API failed: 404");
        let seen = proxy.crm.site.seen();
        let last = seen.last().expect("the CRM was asked");
        assert_eq!(last.request.target, sent, "{name:?}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn texts_that_differ_are_different_customers() {
    let proxy = by_name().await;
    for name in ["1", "01", "1 ", "\u{e9}", "e\u{301}", "A", "a"] {
        call(&proxy, name).await;
        call(&proxy, name).await;
    }
    // The only one of them that the CRM knows as customer 1 beside "1" is "01", by its own leave.
    let asked = proxy.crm.site.counts().requests;
    assert_eq!(asked, 2 + 2 * 5, "found once each, not found each time");
    proxy.stop().await;
}
