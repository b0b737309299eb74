//! The peer does what it is told: a fault that is not there would make every claim about it true.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use std::time::Duration;

use holdline::time;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    beside, eventually, in_time,
    peer::{
        Peer,
        manner::{Capacity, Fault, Manner},
    },
};

const GET: &str = "GET /users/1 HTTP/1.1\r\nHost: a\r\n\r\n";

async fn peer() -> Peer {
    Peer::start(([127, 0, 0, 1], 0).into(), 7).await.unwrap()
}

/// What comes until the connection ends, and whether it ends in order.
async fn heard(peer: &Peer, request: &str) -> (String, bool) {
    let mut stream = TcpStream::connect(peer.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let end = in_time("the end of a connection", stream.read_to_end(&mut bytes)).await;
    (String::from_utf8(bytes).unwrap(), end.is_ok())
}

/// The status of one request on a connection of its own.
async fn status(peer: &Peer) -> String {
    let mut stream = TcpStream::connect(peer.address()).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    let mut line = [0; 12];
    in_time("a status line", stream.read_exact(&mut line)).await.unwrap();
    String::from_utf8_lossy(&line[9..]).into_owned()
}

#[tokio::test]
async fn what_spoils_a_response_spoils_it_as_it_says() {
    let peer = peer().await;
    for (fault, said, in_order) in [
        (Fault::ResetUnread, "", false),
        (Fault::ResetBeforeHead, "", false),
        (Fault::ResetAfterHead, "HTTP/1.1 200", false),
        (Fault::Close, "", true),
        (Fault::Truncate, "HTTP/1.1 200", true),
        (Fault::Garbage, "220 mail", true),
    ] {
        peer.behave(Manner::always(fault));
        let (text, ended_in_order) = heard(&peer, GET).await;
        assert!(text.starts_with(said) && text.is_empty() == said.is_empty(), "{fault:?}: {text}");
        assert!(!text.ends_with('}'), "{fault:?}: the body is whole");
        assert_eq!(ended_in_order, in_order, "{fault:?}");
    }
}

#[tokio::test]
async fn a_status_is_said_with_its_header_and_the_connection_is_kept() {
    let peer = peer().await;
    peer.behave(Manner::always(Fault::Status { code: 429, retry_after: Some(2) }));
    let mut stream = TcpStream::connect(peer.address()).await.unwrap();
    for _ in 0..2 {
        stream.write_all(GET.as_bytes()).await.unwrap();
        let mut bytes = [0; 256];
        let length = in_time("a response", stream.read(&mut bytes)).await.unwrap();
        let text = String::from_utf8_lossy(&bytes[..length]);
        assert!(text.starts_with("HTTP/1.1 429") && text.contains("Retry-After: 2\r\n"), "{text}");
    }
    assert_eq!((peer.counts().connections, peer.counts().requests), (1, 2));
}

#[tokio::test]
async fn what_never_ends_never_ends() {
    let peer = peer().await;
    for fault in [Fault::Silence, Fault::Endless, Fault::Slow(Duration::from_secs(1))] {
        peer.behave(Manner::always(fault));
        let before = peer.counts().requests;
        beside(
            async {
                let mut stream = TcpStream::connect(peer.address()).await.unwrap();
                stream.write_all(GET.as_bytes()).await.unwrap();
                while stream.read(&mut [0; 256]).await.unwrap() > 0 {}
            },
            eventually("the request", async || (peer.counts().requests > before).then_some(())),
        )
        .await;
    }
}

#[tokio::test]
async fn shut_it_refuses_and_open_it_answers_on_the_same_port() {
    let peer = peer().await;
    let mut kept = TcpStream::connect(peer.address()).await.unwrap();
    kept.write_all(GET.as_bytes()).await.unwrap();
    in_time("a response", kept.read(&mut [0; 256])).await.unwrap();
    peer.shut().await.unwrap();
    assert!(in_time("a reset", kept.read(&mut [0; 1])).await.is_err(), "it is reset");
    assert!(TcpStream::connect(peer.address()).await.is_err(), "it is refused");
    peer.open().await.unwrap();
    assert_eq!(status(&peer).await, "200");
}

#[tokio::test]
async fn deaf_it_answers_nobody_until_it_hears_again() {
    let peer = peer().await;
    peer.deaf(true);
    let mut unheard = TcpStream::connect(peer.address()).await.expect("the kernel accepts");
    unheard.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(peer.counts().connections, 0);
    peer.deaf(false);
    in_time("a response", unheard.read(&mut [0; 256])).await.unwrap();
    assert_eq!(status(&peer).await, "200");
}

#[tokio::test]
async fn a_share_of_failures_is_kept_exactly() {
    let peer = peer().await;
    peer.behave(Manner::failing(0.2));
    let mut well = 0;
    for _ in 0..300 {
        let mut stream = TcpStream::connect(peer.address()).await.unwrap();
        stream.write_all(GET.as_bytes()).await.unwrap();
        let mut bytes = [0; 256];
        let length = in_time("an end", stream.read(&mut bytes)).await.unwrap_or(0);
        well += u32::from(bytes[..length].starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(well, 240);
}

#[tokio::test]
async fn a_body_is_counted_when_it_was_read_to_its_end() {
    let peer = peer().await;
    let post = |body: &str, announced: usize| {
        format!("POST /changes HTTP/1.1\r\nContent-Length: {announced}\r\n\r\n{body}")
    };
    peer.behave(Manner::always(Fault::Close));
    for body in ["one", "two", "one"] {
        heard(&peer, &post(body, 3)).await;
    }
    peer.behave(Manner::always(Fault::ResetUnread));
    heard(&peer, &post("one", 3)).await;
    let counts = peer.counts();
    assert_eq!((counts.requests, counts.bodies, counts.most_repeated), (4, 3, 2));
}

#[tokio::test]
async fn it_works_on_so_many_at_once_and_turns_away_who_finds_the_line_full() {
    let peer = peer().await;
    let takes = Duration::from_millis(50);
    let capacity = Some(Capacity { at_once: 1, takes, line: 1 });
    peer.behave(Manner { capacity, ..Manner::late(Duration::from_millis(1)) });
    let began = time::now();
    let statuses = futures_util::future::join_all((0..6).map(|_| status(&peer))).await;
    let answered = statuses.iter().filter(|status| *status == "200").count();
    assert!((1..6).contains(&answered), "{statuses:?}");
    assert!(statuses.iter().all(|status| status == "200" || status == "503"), "{statuses:?}");
    assert!(began.elapsed() >= takes * u32::try_from(answered).unwrap(), "one at a time");
    assert!(peer.counts().most_in_flight >= 2);
}
