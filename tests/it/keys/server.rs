//! The keys of `server`: what a connection may cost, and how long.

use std::future::Future;

use holdline::time;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::Duration,
};

use super::keys;
use crate::{
    contract::tls::caller,
    support::{
        client::TOKEN_HEADER,
        eventually,
        form::Form,
        issuer::Issuer,
        papers::Papers,
        proxy::{Setup, TestProxy},
    },
};

keys! {
    "server.listen" => program::cli::a_port_in_use_is_said_with_the_key_and_the_address,
    "server.tls.certificate" | "server.tls.key"
        => contract::tls::a_service_with_a_certificate_is_called_over_tls_alone,
    "server.tls.client_ca" => keys::server::who_shows_no_certificate_of_that_authority_is_not_spoken_to,
    "server.base_path" => contract::form::the_path_before_the_name_is_the_configured_one,
    "server.max_body" => contract::form::a_body_may_be_as_long_as_configured_and_not_a_byte_longer,
    "server.max_headers" => keys::server::a_head_may_have_as_many_lines_as_are_written,
    "server.max_header_bytes" => keys::server::a_head_may_be_as_long_as_is_written,
    "server.max_connections" => keys::server::a_connection_beyond_the_most_waits_for_a_place,
    "server.max_in_flight" => contract::shed::a_call_beyond_the_most_that_may_be_under_way_is_shed,
    "server.max_in_flight_per_org"
        => path::rate_limit::in_flight::the_call_after_the_last_of_its_organisation_is_shed_before_it_costs_anything,
    "server.max_bytes_in_flight" => contract::shed::bodies_beyond_the_bytes_that_may_be_held_are_shed,
    "server.header_timeout" => keys::server::a_head_that_does_not_come_in_time_is_given_up,
    "server.body_timeout" => keys::server::a_body_that_does_not_come_in_time_is_given_up,
    "server.write_timeout" => keys::server::an_answer_that_nobody_takes_is_given_up,
    "server.handshake_timeout" => keys::server::a_handshake_that_does_not_come_in_time_is_given_up,
    "server.idle_timeout" => keys::server::a_connection_at_rest_is_closed_in_time,
    "server.drain.delay" => program::drain::connections_that_say_nothing_do_not_hold_the_end,
    "server.drain.timeout"
        => program::drain::an_upstream_that_hangs_holds_the_end_no_longer_than_the_drain_may_take,
    "server.trust_trace_context" => program::traces::a_trusted_callers_trace_is_continued,
}

const CALL: &str = "/data-action/lookup";

/// What `work` brings, which must come well before so many seconds, the usual value of its key.
pub(crate) async fn well_before<T>(usual: u32, work: impl Future<Output = T>) -> T {
    let began = time::now();
    let done = work.await;
    let bound = Duration::from_millis(800) * usual;
    assert!(began.elapsed() < bound, "only after {:?}", began.elapsed());
    done
}

/// The status of a call with these lines in its head.
async fn status_with(proxy: &TestProxy, lines: &str) -> u16 {
    let body = Form::TUTORIAL.wrap_text("{\"customer_id\":1}");
    let length = body.len();
    let mut wire = proxy.wire().await;
    wire.send(format!(
        "POST {CALL} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         {TOKEN_HEADER}: good-token\r\nContent-Length: {length}\r\n{lines}\r\n{body}"
    ))
    .await;
    wire.response().await.0
}

#[tokio::test]
pub(crate) async fn a_head_may_have_as_many_lines_as_are_written() {
    for (key, statuses) in
        [("max_headers: 8", [200, 431, 431]), ("max_headers: 64", [200, 200, 431])]
    {
        let proxy = Setup::new().server(key).start().await;
        for (more, expected) in [4, 5, 61].into_iter().zip(statuses) {
            let lines: String = (0..more).map(|line| format!("X-{line}: a\r\n")).collect();
            assert_eq!(status_with(&proxy, &lines).await, expected, "{key}, {more} more");
        }
        proxy.stop().await;
    }
}

#[tokio::test]
pub(crate) async fn a_head_may_be_as_long_as_is_written() {
    for (key, expected) in [("max_header_bytes: 16KiB", 431), ("max_header_bytes: 64KiB", 200)] {
        let proxy = Setup::new().server(key).start().await;
        let line = format!("X-Long: {}\r\n", "a".repeat(20 << 10));
        assert_eq!(status_with(&proxy, &line).await, expected, "{key}");
        proxy.stop().await;
    }
}

#[tokio::test]
pub(crate) async fn a_connection_beyond_the_most_waits_for_a_place() {
    let proxy = Setup::new().server("max_connections: 1").start().await;
    let head = format!("GET {CALL} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut first = proxy.wire().await;
    first.send(&head).await;
    first.answer().await;
    let mut second = TcpStream::connect(proxy.calls()).await.expect("the queue has room");
    second.write_all(head.as_bytes()).await.expect("the queue takes it");
    for _ in 0..20 {
        first.send(&head).await;
        first.answer().await;
        let read = second.try_read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(read, Err(std::io::ErrorKind::WouldBlock), "it is not served yet");
    }
    drop(first);
    assert_eq!(second.read_u8().await.expect("it is served"), b'H');
    drop(second);
    proxy.stop().await;

    let proxy = Setup::new().start().await;
    let mut wires = [proxy.wire().await, proxy.wire().await];
    for wire in &mut wires {
        wire.send(&head).await;
        wire.answer().await;
    }
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn a_head_that_does_not_come_in_time_is_given_up() {
    let proxy = Setup::new().server("header_timeout: 50ms").start().await;
    let mut wire = proxy.wire().await;
    wire.send(format!("POST {CALL} HTTP/1.1\r\n")).await;
    assert!(well_before(5, wire.is_closed()).await);
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn a_body_that_does_not_come_in_time_is_given_up() {
    let proxy = Setup::new().server("body_timeout: 50ms").start().await;
    let mut wire = proxy.wire().await;
    let length = "Content-Length: 26\r\nContent-Type: application/json";
    wire.send(format!("POST {CALL} HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n{{")).await;
    let answer = well_before(5, wire.answer()).await;
    answer.failed(408, "bad_request", "Request body did not arrive in time");
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn an_answer_that_nobody_takes_is_given_up() {
    const LENGTH: usize = 16 << 20;
    let setup = Setup::new().server("write_timeout: 100ms").upstream("max_reply: 64MiB");
    let proxy = setup.start().await;
    proxy.crm.write(1, json!({"name": "x".repeat(LENGTH)}));
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("it may be small");
    let mut caller = socket.connect(proxy.calls()).await.expect("the service accepts");
    let body = Form::TUTORIAL.wrap_text("{\"customer_id\":1}");
    let head = format!(
        "POST {CALL} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         {TOKEN_HEADER}: good-token\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    caller.write_all(head.as_bytes()).await.expect("the service reads");
    caller.readable().await.expect("an answer begins");
    let closed = eventually("the connection is given up", async || {
        (proxy.metric("holdline_server_connections", []).await == 0.0).then_some(())
    });
    well_before(10, closed).await;
    let mut all = Vec::new();
    // A reset is an end, too.
    let _ = caller.read_to_end(&mut all).await;
    assert!(all.len() < LENGTH, "the answer was not whole");
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn a_handshake_that_does_not_come_in_time_is_given_up() {
    let (issuer, papers) = (Issuer::new(), Papers::new());
    let identity = papers.identity("server", &issuer.issue(&["127.0.0.1"]));
    let setup = Setup::new().server(&format!("tls: {{{identity}}}"));
    let proxy = setup.server("handshake_timeout: 50ms").server("header_timeout: 1h").start().await;
    assert!(well_before(3, proxy.wire().await.is_closed()).await);
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn who_shows_no_certificate_of_that_authority_is_not_spoken_to() {
    let (ours, theirs, papers) = (Issuer::new(), Issuer::new(), Papers::new());
    let identity = papers.identity("server", &ours.issue(&["127.0.0.1"]));
    let ca = papers.issuer("clients", &theirs);
    let shown = theirs.issue(&["caller.test"]);
    for (wanted, without) in [(format!(", client_ca: {ca}"), false), (String::new(), true)] {
        let proxy = Setup::new().server(&format!("tls: {{{identity}{wanted}}}")).start().await;
        for (issued, answered) in [(Some(&shown), true), (None, without)] {
            let client = caller(&proxy, &ours, issued);
            let url = format!("https://{}{CALL}", proxy.calls());
            let asked = client.network().get(url).send().await;
            assert_eq!(asked.is_ok(), answered, "{wanted}: {asked:?}");
        }
        proxy.stop().await;
    }
}

#[tokio::test]
pub(crate) async fn a_connection_at_rest_is_closed_in_time() {
    let proxy = Setup::new().server("idle_timeout: 100ms").start().await;
    let mut wire = proxy.wire().await;
    wire.send(format!("GET {CALL} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    wire.answer().await;
    assert!(well_before(75, wire.is_closed()).await);
    proxy.stop().await;
}
