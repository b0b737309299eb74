//! The listener on real sockets. Nothing sleeps to wait: each test awaits an answer or the close.

mod closing;
mod heads;
mod tls;

use axum::{
    Router,
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
        Self::over(None, limits).await
    }

    async fn over(tls: Option<Tls>, limits: ConnectionLimits) -> Self {
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
            let app = move |_| app.clone();
            serve(listener, tls, app, limits, lifecycle, &background, connections).await;
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

    /// A connection that is in the queue with what it says, and nobody has awaited anything.
    fn connect_unseen(&self, says: &str) -> TcpStream {
        let mut client = net::TcpStream::connect(self.address).unwrap();
        io::Write::write_all(&mut client, says.as_bytes()).unwrap();
        client.set_nonblocking(true).unwrap();
        TcpStream::from_std(client).unwrap()
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

struct Client<S = TcpStream>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
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
