//! Slow and odd heads: each is cut or refused, and nothing behind it is read.

use super::*;

#[tokio::test]
async fn a_dribbled_head_is_cut_at_the_header_timeout() {
    let site = Site::start(patience(|patience| patience.header = SHORT)).await;
    let mut client = site.connect().await;
    let (mut reading, mut writing) = client.0.split();
    let start = now();
    let dribble = async {
        loop {
            tokio::time::sleep(SHORT / 10).await;
            if writing.write_all(b"G").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let close = async {
        let read = reading.read(&mut [0; 64]).await;
        assert!(matches!(read, Ok(0)) || read.is_err(), "closed without an answer");
    };
    timeout(BOUND, async {
        tokio::select! { () = dribble => {}, () = close => {} }
    })
    .await
    .unwrap();
    assert!(now() - start >= SHORT);
    site.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_cut_at_the_header_timeout() {
    let site = Site::start(patience(|patience| patience.header = SHORT)).await;
    assert_eq!(site.whole_answer("").await, "");
    assert_eq!(site.whole_answer("\r\n\r\n").await, "");
    site.stop().await;
}

#[tokio::test]
async fn a_kept_connection_outlives_the_header_timeout_and_ends_at_the_idle_timeout() {
    let idle = 3 * SHORT;
    let site = Site::start(patience(|patience| {
        patience.header = SHORT;
        patience.idle = idle;
    }))
    .await;
    let mut client = site.connect().await;
    client.send(GET).await;
    client.answer().await;
    let start = now();
    client.send(GET).await;
    assert!(client.rest().await.ends_with("ok"));
    assert!(now() - start >= idle);
    site.stop().await;
}

#[tokio::test]
async fn a_second_head_left_half_sent_is_cut_at_the_header_timeout() {
    let site = Site::start(patience(|patience| patience.header = SHORT)).await;
    assert!(site.whole_answer(&format!("{GET}GET /ok HT")).await.ends_with("ok"));
    let mut client = site.connect().await;
    client.send(GET).await;
    client.answer().await;
    client.send("GET /ok HT").await;
    assert_eq!(client.rest().await, "");
    site.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_at_the_write_timeout() {
    let site = Site::start(patience(|patience| patience.write = SHORT)).await;
    let mut client = site.connect().await;
    client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // Nothing is read until the server has given up, which the count of its connections shows.
    timeout(BOUND, client.0.readable()).await.unwrap().unwrap();
    let given_up = async {
        while site.connections.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(SHORT / 20).await;
        }
    };
    timeout(BOUND, given_up).await.unwrap();
    assert!(client.rest().await.len() < 64 << 20);
    site.stop().await;
}

#[tokio::test]
async fn heads_with_too_many_lines_or_bytes_are_431() {
    let site = Site::start(limits()).await;
    let lines = |count: usize| "X: y\r\n".repeat(count);
    let fits = format!("GET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}\r\n", lines(62));
    assert!(site.whole_answer(&fits).await.starts_with("HTTP/1.1 200"));
    let many = format!("GET /ok HTTP/1.1\r\nHost: a\r\n{}\r\n", lines(64));
    assert_closing(&site.whole_answer(&many).await, "431");
    let large = format!("GET /ok HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(20 << 10));
    assert_closing(&site.whole_answer(&large).await, "431");
    site.stop().await;
}

#[tokio::test]
async fn http_2_in_clear_text_is_refused() {
    let site = Site::start(limits()).await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let answer = site.whole_answer(preface).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer:?}");
    let upgrade = "GET /ok HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
        Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    let mut client = site.connect().await;
    for _ in 0..2 {
        client.send(upgrade).await;
        assert!(client.answer().await.starts_with("HTTP/1.1 200"));
    }
    site.stop().await;
}

#[tokio::test]
async fn a_tunnel_is_refused() {
    let site = Site::start(limits()).await;
    let connect = "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n";
    assert_closing(&site.whole_answer(&format!("{connect}{GET}")).await, "501");
    site.stop().await;
}

#[tokio::test]
async fn a_request_with_two_lengths_is_400_and_nothing_behind_it_is_read() {
    let site = Site::start(limits()).await;
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "transfer-encoding: chunked\r\nContent-Length: x",
    ] {
        let attack = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{lengths}\r\n\r\n0\r\n\r\n{GET}");
        let answer = site.whole_answer(&attack).await;
        assert_closing(&answer, "400");
        assert!(answer.contains(r#""code":"bad_request""#), "{answer}");
    }
    let first =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let both = "Content-Length: 4\r\nTransfer-Encoding: chunked";
    let second = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{both}\r\n\r\n0\r\n\r\n{GET}");
    let answers = site.whole_answer(&format!("{first}{second}")).await;
    let (first, second) = answers.split_once("\r\n\r\nhi").expect("the first is answered");
    assert!(first.starts_with("HTTP/1.1 200"), "{answers}");
    assert_closing(second, "400");
    site.stop().await;
}

#[tokio::test]
async fn a_request_without_exactly_one_host_is_400() {
    let site = Site::start(limits()).await;
    for host in ["", "Host: a\r\nHost: a\r\n", "Host: a\r\nhost: b\r\n", "Host: a/b\r\n"] {
        let answer = site.whole_answer(&format!("GET /ok HTTP/1.1\r\n{host}\r\n{GET}")).await;
        assert_closing(&answer, "400");
    }
    assert!(site.whole_answer("GET /ok HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 200"));
    site.stop().await;
}
