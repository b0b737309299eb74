//! The listener on real sockets. Nothing sleeps to wait: each test awaits an answer or the close.

use axum::{
    body::Bytes,
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    time::timeout,
};

use super::*;

/// No step of a test may take longer.
const BOUND: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

const GET: &str = "GET /ok HTTP/1.1\r\nHost: a\r\n\r\n";

fn limits() -> ConnectionLimits {
    ConnectionLimits {
        max_connections: 100,
        max_headers: 64,
        max_header_bytes: 16 * 1024,
        patience: Patience { header: LONG, idle: LONG, write: LONG },
    }
}

/// A listener at work, and what the application behind it waits for.
struct Site {
    address: SocketAddr,
    lifecycle: Lifecycle,
    background: Background,
    connections: Arc<AtomicUsize>,
    entered: Arc<Notify>,
    leave: Arc<Notify>,
}

impl Site {
    async fn start(limits: ConnectionLimits) -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let site = Self {
            address: listener.local_addr().unwrap(),
            lifecycle: Lifecycle::new(),
            background: Background::new(),
            connections: Arc::default(),
            entered: Arc::default(),
            leave: Arc::default(),
        };
        site.lifecycle.set(Phase::Ready);
        let (app, lifecycle, background) =
            (site.app(), site.lifecycle.clone(), site.background.clone());
        let connections = Arc::clone(&site.connections);
        site.background.finish(async move {
            serve(listener, app, limits, lifecycle, &background, connections).await;
        });
        site
    }

    fn app(&self) -> Router {
        let (entered, leave) = (Arc::clone(&self.entered), Arc::clone(&self.leave));
        Router::new()
            .route("/ok", get(|| async { "ok" }))
            .route("/echo", post(|body: Bytes| async { body }))
            .route("/big", get(|| async { vec![b'x'; 64 << 20] }))
            .route("/panic", get(|| async { panic!("on purpose") as () }))
            .route(
                "/wait",
                get(|| async move {
                    entered.notify_one();
                    leave.notified().await;
                    "done"
                }),
            )
    }

    async fn connect(&self) -> Client {
        Client(timeout(BOUND, TcpStream::connect(self.address)).await.unwrap().unwrap())
    }

    /// What comes back on a new connection, to its end, for `bytes`.
    async fn whole_answer(&self, bytes: &str) -> String {
        let mut client = self.connect().await;
        client.send(bytes).await;
        client.rest().await
    }

    /// The end of everything; nothing may be left.
    async fn stop(self) {
        self.lifecycle.set(Phase::Closing);
        assert_eq!(self.background.stop(BOUND).await, 0, "connections left over");
        assert_eq!(self.connections.load(Ordering::Relaxed), 0);
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: &str) {
        timeout(BOUND, self.0.write_all(bytes.as_bytes())).await.unwrap().unwrap();
    }

    /// Everything up to the close; a reset is one.
    async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        let read =
            timeout(BOUND, self.0.read_to_end(&mut all)).await.expect("it is closed in time");
        if let Err(error) = read {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
        String::from_utf8(all).unwrap()
    }

    /// One answer with a length.
    async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(timeout(BOUND, self.0.read_u8()).await.unwrap().unwrap());
        }
        let head = String::from_utf8(answer).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        timeout(BOUND, self.0.read_exact(&mut body)).await.unwrap().unwrap();
        head + &String::from_utf8(body).unwrap()
    }
}

fn assert_closing(answer: &str, status: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

fn patience(change: impl FnOnce(&mut Patience)) -> ConnectionLimits {
    let mut limits = limits();
    change(&mut limits.patience);
    limits
}

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

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let site = Site::start(limits()).await;
    let post = |text: &str| {
        format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{text}", text.len())
    };
    let mut client = site.connect().await;
    client.send(&format!("{}{}{GET}", post("first"), post("2"))).await;
    assert!(client.answer().await.ends_with("\r\n\r\nfirst"));
    assert!(client.answer().await.ends_with("\r\n\r\n2"));
    assert!(client.answer().await.ends_with("\r\n\r\nok"));
    site.stop().await;
}

#[tokio::test]
async fn a_chunked_body_reaches_the_application_and_the_connection_is_kept() {
    let site = Site::start(limits()).await;
    let mut client = site.connect().await;
    for _ in 0..2 {
        client
            .send(
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            )
            .await;
        client.send("2;x=y\r\nde\r\n0\r\nX-Trailer: z\r\n\r\n").await;
        assert!(client.answer().await.ends_with("\r\n\r\nabcde"));
    }
    site.stop().await;
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_for_a_place() {
    let site = Site::start(ConnectionLimits { max_connections: 2, ..limits() }).await;
    let mut first = site.connect().await;
    let mut second = site.connect().await;
    for client in [&mut first, &mut second] {
        client.send(GET).await;
        client.answer().await;
    }
    let mut third = site.connect().await;
    third.send(GET).await;
    assert!(timeout(SHORT, third.0.readable()).await.is_err(), "it is not served yet");
    assert_eq!(site.connections.load(Ordering::Relaxed), 2);
    drop(first);
    assert!(third.answer().await.ends_with("ok"));
    second.send(GET).await;
    assert!(second.answer().await.ends_with("ok"));
    site.stop().await;
}

#[tokio::test]
async fn a_burst_of_connections_waits_in_the_queue() {
    let site = Site::start(ConnectionLimits { max_connections: 1, ..limits() }).await;
    let mut first = site.connect().await;
    first.send(GET).await;
    first.answer().await;
    let mut waiting = Vec::new();
    for _ in 0..300 {
        waiting.push(site.connect().await);
    }
    drop(first);
    let mut last = waiting.pop().expect("300 of them");
    drop(waiting);
    last.send(GET).await;
    assert!(last.answer().await.ends_with("ok"));
    site.stop().await;
}

#[tokio::test]
async fn a_panic_ends_its_connection_and_gives_back_its_place() {
    let site = Site::start(ConnectionLimits { max_connections: 1, ..limits() }).await;
    for _ in 0..3 {
        assert_eq!(site.whole_answer("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await, "");
    }
    let mut client = site.connect().await;
    client.send(GET).await;
    assert!(client.answer().await.ends_with("ok"));
    site.stop().await;
}

#[tokio::test]
async fn while_draining_calls_are_answered_and_connections_asked_to_close() {
    let site = Site::start(limits()).await;
    let mut kept = site.connect().await;
    kept.send(GET).await;
    assert!(!kept.answer().await.contains("connection: close"));
    let mut slow = site.connect().await;
    slow.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    site.entered.notified().await;

    site.lifecycle.set(Phase::Draining);
    site.leave.notify_one();
    kept.send(GET).await;
    for answer in [kept.rest().await, slow.rest().await, site.whole_answer(GET).await] {
        assert_closing(&answer, "200");
    }
    site.stop().await;
}

#[tokio::test]
async fn closing_cuts_who_has_not_asked_and_finishes_who_has() {
    let site = Site::start(limits()).await;
    let mut silent = site.connect().await;
    let mut half = site.connect().await;
    half.send("GET /ok HTTP/1.1\r\nHo").await;
    let mut half_second = site.connect().await;
    half_second.send(GET).await;
    half_second.answer().await;
    half_second.send("GET /ok").await;
    let mut idle = site.connect().await;
    idle.send(GET).await;
    idle.answer().await;
    let mut slow = site.connect().await;
    slow.send(&format!("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n{GET}")).await;
    site.entered.notified().await;

    site.lifecycle.set(Phase::Closing);
    for client in [&mut silent, &mut half, &mut half_second, &mut idle] {
        assert_eq!(client.rest().await, "");
    }
    site.leave.notify_one();
    let answer = slow.rest().await;
    assert_closing(&answer, "200");
    assert!(answer.ends_with("done"), "{answer}");
    let refused = TcpStream::connect(site.address).await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    site.stop().await;
}

#[tokio::test]
async fn closing_lets_an_answer_that_is_being_sent_arrive_whole() {
    let site = Site::start(limits()).await;
    let mut client = site.connect().await;
    client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    timeout(BOUND, client.0.readable()).await.unwrap().unwrap();
    site.lifecycle.set(Phase::Closing);
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200"));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), 64 << 20);
    site.stop().await;
}

#[test]
fn failed_accepts_are_logged_once_a_second_with_their_number() {
    let start = now();
    let mut failures = AcceptFailures::default();
    assert_eq!(failures.due(start), Some(1));
    for tenth in 1..10 {
        assert_eq!(failures.due(start + tenth * Duration::from_millis(100)), None);
    }
    assert_eq!(failures.due(start + ACCEPT_LOG_INTERVAL), Some(10));
}
