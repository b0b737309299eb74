//! Bytes of an upstream that is not even wrong in an orderly way: which of them are a connection that
//! broke, and which a reply that cannot be read.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{beside, form::Form, proxy::Setup};

/// Whether the rest of a reply is missing, or cannot be understood.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Broken,
    Unreadable,
}

/// Answers every connection with `bytes` and closes it in order.
async fn answer_all(listener: &TcpListener, bytes: &[u8]) {
    loop {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let read = socket.read_buf(&mut request).await.expect("a request");
            assert!(read > 0, "a whole request");
        }
        socket.write_all(bytes).await.expect("they take it");
        socket.shutdown().await.expect("they are still there");
    }
}

async fn check(bytes: &[u8], wrong: Wrong) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let proxy = Setup::new().upstream(&format!("base_url: \"http://{address}\"")).start().await;
    let (code, detail) = match wrong {
        Wrong::Broken => ("upstream_unreachable", "Could not connect to external API"),
        Wrong::Unreadable => ("mapping_error", "External API reply cannot be read"),
    };
    beside(answer_all(&listener, bytes), async {
        for form in Form::ALL {
            form.failed(&proxy.ask(form, 1).send().await, 502, code, detail);
        }
    })
    .await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_reply_that_stops_half_way_is_a_connection_that_broke() {
    for bytes in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"name\":\"A\"}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n{\"name\"",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n{\"name\":\"A\"}\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n\u{1f}",
    ] {
        check(bytes.as_bytes(), Wrong::Broken).await;
    }
}

#[tokio::test]
async fn a_reply_that_breaks_the_rules_cannot_be_read() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: twelve\r\n\r\n{\"name\":\"A\"}",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n",
        "HTTP/1.1 two OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n{\"name\":\"A\"}",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\u{1f}\u{8}\u{8}",
    ] {
        check(bytes.as_bytes(), Wrong::Unreadable).await;
    }
}

#[tokio::test]
async fn a_reply_up_to_the_end_of_its_connection_is_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let proxy = Setup::new().upstream(&format!("base_url: \"http://{address}\"")).start().await;
    let bytes = b"HTTP/1.0 200 OK\r\nServer: old\r\nSet-Cookie: a=b\r\n\r\n{\"name\":\"Ada\"}";
    beside(answer_all(&listener, bytes), async {
        for form in Form::ALL {
            let answer = proxy.ask(form, 1).send().await;
            let record = serde_json::json!({"name": "Ada"});
            form.answered(&answer, &crate::support::form::outputs_of(&record));
        }
    })
    .await;
    proxy.stop().await;
}
