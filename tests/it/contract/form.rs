//! Requests that never become a call: 404, 405, 413, 415, 408. They keep their status in every form.

use std::time::Duration;

use http::Method;

use crate::support::{
    client::Answer,
    form::Form,
    proxy::{Setup, TestProxy},
};

/// What goes before a body of that many bytes for the tutorial's action.
fn head(path: &str, framing: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: holdline\r\nX-Genesys-Auth-Token: good-token\r\n\
         Content-Type: application/json\r\n{framing}\r\n\r\n"
    )
}

/// A call to exactly this path, as no client would normalise it.
async fn call_path(proxy: &TestProxy, path: &str) -> Answer {
    let body = r#"{"data":{"customer_id":1}}"#;
    let mut wire = proxy.wire().await;
    wire.send(head(path, &format!("Content-Length: {}", body.len())) + body).await;
    wire.answer().await
}

#[tokio::test]
async fn there_is_nothing_but_the_actions() {
    let proxy = Setup::new().start().await;
    let long = format!("/data-action/{}", "planted-name-".repeat(23));
    for path in [
        "/data-action/planted-name",
        "/data-action/LOOKUP",
        "/data-action/lookup/",
        "/data-action/lookup//",
        "/data-action/lookup/1",
        "/data-action//lookup",
        "/data-action/",
        "/data-action",
        "/data-action/.",
        "/data-action/..",
        "/data-action/../data-action/lookup",
        "/data-action/./lookup",
        "/data-action/%2e%2e",
        "/data-action/lookup%2f",
        "/data-action/%2flookup",
        "/data-action/..%2flookup",
        "/data-action/lookup%00",
        "/data-action/%ff",
        "/data-action/lookup;v=1",
        "/data-action/lookup%3Fx",
        "/lookup",
        "/",
        "/metrics",
        "/livez",
        "/Data-Action/lookup",
        &long,
    ] {
        let answer = call_path(&proxy, path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        answer.failed(404, "unknown_action", "There is no action of that name");
        answer.never_says("planted");
    }
    // A name that nobody knows is no label: that would be a way to fill the memory.
    let metrics = proxy.metrics().await;
    assert!(!metrics.contains("planted"), "{metrics}");
    assert!(proxy.metric("holdline_requests_total", ["outcome=\"unknown_action\""]).await > 20.0);
    assert_eq!(proxy.genesys.site.counts().connections, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn an_action_is_found_however_its_name_is_written() {
    let proxy = Setup::new().start().await;
    for path in ["/data-action/lookup", "/data-action/%6cookup", "/data-action/look%75%70?x=/1"] {
        let answer = call_path(&proxy, path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_name_is_read_with_its_escapes_and_without_the_query() {
    let proxy = Setup::new().start().await;
    for path in ["/data-action/lookup", "/data-action/look%75p", "/data-action/lookup?a=b"] {
        Form::TUTORIAL.answered(&call_path(&proxy, path).await, &proxy.outputs(1));
    }
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn the_path_before_the_name_is_the_configured_one() {
    let proxy = Setup::new().server("base_path: /flows/v1").start().await;
    proxy.works().await;
    let elsewhere = call_path(&proxy, "/data-action/lookup").await;
    elsewhere.failed(404, "unknown_action", "There is no action of that name");
    proxy.stop().await;
}

#[tokio::test]
async fn every_method_but_post_is_refused_with_the_one_allowed() {
    let proxy = Setup::new().start().await;
    let purge = Method::from_bytes(b"PURGE").expect("a method");
    for form in Form::ALL {
        for method in [
            Method::GET,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::OPTIONS,
            purge.clone(),
        ] {
            let answer = proxy.ask(form, 1).method(method).send().await;
            answer.failed(405, "bad_request", "Only POST is allowed here");
            assert_eq!(answer.header("allow"), Some("POST"));
        }
    }
    assert_eq!(proxy.genesys.site.counts().connections, 0);
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn a_body_may_be_as_long_as_configured_and_not_a_byte_longer() {
    let proxy = Setup::new().server("max_body: 1KiB").start().await;
    let filled = |form: Form, length: usize| {
        let body = form.wrap_text("{\"customer_id\":1}");
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    for form in Form::ALL {
        let just = proxy.ask(form, 1).body(filled(form, 1024)).send().await;
        form.answered(&just, &proxy.outputs(1));
        let chunked = proxy.ask(form, 1).chunks([&filled(form, 1024)]).send().await;
        form.answered(&chunked, &proxy.outputs(1));
        for answer in [
            proxy.ask(form, 1).body(filled(form, 1025)).send().await,
            proxy.ask(form, 1).chunks([&filled(form, 1025)]).send().await,
        ] {
            answer.failed(413, "payload_too_large", "Request body is larger than 1024 bytes");
            assert_eq!(answer.header("connection"), Some("close"));
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_length_that_is_too_large_is_refused_before_the_body_comes() {
    let proxy = Setup::new().start().await;
    for length in ["262145", "10000000000", "9223372036854775807"] {
        let mut wire = proxy.wire().await;
        wire.send(head("/data-action/lookup", &format!("Content-Length: {length}"))).await;
        let answer = wire.answer().await;
        answer.failed(413, "payload_too_large", "Request body is larger than 262144 bytes");
        assert!(wire.is_closed().await);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn chunks_without_end_are_cut_off() {
    let proxy = Setup::new().start().await;
    let mut wire = proxy.wire().await;
    wire.send(head("/data-action/lookup", "Transfer-Encoding: chunked")).await;
    let piece = format!("400\r\n{}\r\n", " ".repeat(1024));
    let answer = wire.flood(piece.as_bytes()).await;
    answer.failed(413, "payload_too_large", "Request body is larger than 262144 bytes");
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_that_is_said_to_be_something_else_is_refused() {
    let proxy = Setup::new().start().await;
    let detail = "Content-Type must be application/json";
    let encoded = "Content-Encoding is not supported; send the JSON as it is";
    for form in Form::ALL {
        for said in [
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=a",
            "application/jsonp",
            "application/json-seq",
            "json",
            "",
        ] {
            let ask = proxy.ask(form, 1).without("content-type").header("content-type", said);
            ask.send().await.failed(415, "bad_request", detail);
        }
        for coding in ["gzip", "GZIP", "br", "identity, gzip"] {
            let ask = proxy.ask(form, 1).header("content-encoding", coding);
            ask.send().await.failed(415, "bad_request", encoded);
        }
    }
    assert_eq!(proxy.genesys.site.counts().connections, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_given_up() {
    let late = |settings: &mut holdline::settings::Settings| {
        settings.server.body_timeout = Duration::from_millis(100);
    };
    let proxy = Setup::new().settings(late).start().await;
    for framing in ["Content-Length: 26", "Transfer-Encoding: chunked"] {
        let mut wire = proxy.wire().await;
        wire.send(head("/data-action/lookup", framing) + "{").await;
        let answer = wire.answer().await;
        if framing.starts_with("Content") {
            answer.failed(408, "bad_request", "Request body did not arrive in time");
            assert!(wire.is_closed().await);
        }
    }
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_request_of_doubtful_length_or_host_is_refused_and_its_connection_closed() {
    let proxy = Setup::new().start().await;
    let length = "The length of the request is ambiguous";
    let host = "The request must have exactly one valid Host header";
    let post = "POST /data-action/lookup HTTP/1.1\r\n";
    for (head, detail) in [
        ("Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", length),
        ("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", length),
        ("Content-Length: 0\r\n", host),
        ("Host: a\r\nHost: a\r\nContent-Length: 0\r\n", host),
        ("Host: a@b\r\nContent-Length: 0\r\n", host),
    ] {
        let mut wire = proxy.wire().await;
        wire.send(format!("{post}{head}\r\n0\r\n\r\n")).await;
        wire.answer().await.failed(400, "bad_request", detail);
        assert!(wire.is_closed().await, "{head}");
    }
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_connection_on_which_a_body_was_left_is_said_to_be_closed() {
    let proxy = Setup::new().start().await;
    for (request, kept) in [
        (head("/data-action/nope", "Content-Length: 26"), false),
        (head("/data-action/nope", "Transfer-Encoding: chunked"), false),
        (head("/data-action/lookup", "Content-Length: 26").replace("POST", "PUT"), false),
        (head("/data-action/nope", "Content-Length: 0"), true),
        ("GET /data-action/lookup HTTP/1.1\r\nHost: holdline\r\n\r\n".to_owned(), true),
    ] {
        let mut wire = proxy.wire().await;
        wire.send(request).await;
        let answer = wire.answer().await;
        assert_eq!(answer.header("connection").is_none(), kept, "{answer:?}");
    }
    proxy.stop().await;
}
