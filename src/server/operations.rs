//! A thread and a runtime of their own for probes, scrapes and the operator, so that a saturated
//! data path cannot silence them, and they cannot slow it down.

use std::{
    fmt, io, net,
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};
use tower::ServiceExt as _;

use crate::{
    background::Background,
    server::{
        lifecycle::{Lifecycle, Phase},
        listener::{ConnectionLimits, serve},
        wire::Patience,
    },
};

/// What the operations' listeners allow: a kubelet, a scraper and a person ask little. Only the
/// rest between two requests is long, for scrape intervals up to a minute.
const LIMITS: ConnectionLimits = ConnectionLimits {
    max_connections: 64,
    max_headers: 64,
    max_header_bytes: 16 * 1024,
    patience: Patience {
        header: Duration::from_secs(5),
        idle: Duration::from_secs(75),
        write: Duration::from_secs(10),
    },
};

/// How long blocking work on the runtime may hold up its end, after the grace period.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// The operations' thread. Dropping it stops the thread at the next occasion, without waiting.
pub struct Operations {
    runtime: Handle,
    lifecycle: Lifecycle,
    background: Background,
    connections: Arc<AtomicUsize>,
    /// Tells the thread to end, and how long its tasks may take.
    stop: oneshot::Sender<Duration>,
    /// Says that it has ended, and how many tasks it cut.
    ended: oneshot::Receiver<usize>,
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations").field("tasks", &self.background.len()).finish_non_exhaustive()
    }
}

impl Operations {
    /// Starts the thread. Fails when the system gives no thread or no descriptors.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let background = Background::new();
        let operations = Self {
            runtime: runtime.handle().clone(),
            lifecycle: Lifecycle::new(),
            background: background.clone(),
            connections: Arc::default(),
            stop,
            ended,
        };
        operations.lifecycle.set(Phase::Ready);
        thread::Builder::new()
            .name("operations".to_owned())
            .spawn(move || run(runtime, stopped, &background, end))?;
        Ok(operations)
    }

    /// The runtime, for other work that must not meet the data path.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Serves `app` on `listener` until [`Self::stop`]. It takes a plain listener because one that
    /// belongs to another runtime would be woken by that one. Fails when the system refuses it.
    pub fn serve(&self, listener: net::TcpListener, app: Router) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let _here = self.runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        let (lifecycle, background) = (self.lifecycle.clone(), self.background.clone());
        let connections = Arc::clone(&self.connections);
        self.background.finish(async move {
            // Who changes something is noted with where they came from.
            let app = |peer| {
                app.clone().map_request(move |mut request: Request| {
                    request.extensions_mut().insert(ConnectInfo(peer));
                    request
                })
            };
            serve(listener, None, app, LIMITS, lifecycle, &background, connections).await;
        });
        Ok(())
    }

    /// Runs `work` once every `period` until [`Self::stop`]: what may take a while and must not hold
    /// up a call.
    pub fn every(&self, period: Duration, work: impl Fn() + Send + 'static) {
        let _here = self.runtime.enter();
        self.background.until_stopped(async move {
            loop {
                tokio::time::sleep(period).await;
                work();
            }
        });
    }

    /// Stops accepting, waits at most `grace` for requests under way, ends the thread. Returns how
    /// many tasks had to be cut. Takes little more than `grace`, whatever the tasks do.
    pub async fn stop(self, grace: Duration) -> usize {
        self.lifecycle.set(Phase::Closing);
        // A thread that is gone already has nothing to stop.
        let _ = self.stop.send(grace);
        match tokio::time::timeout(grace.saturating_add(2 * LAST_WAIT), self.ended).await {
            Ok(Ok(cut)) => cut,
            // A task holds the thread; it ends with the process.
            Ok(Err(_)) | Err(_) => self.background.len(),
        }
    }
}

/// The thread: drives everything spawned on `runtime` until it is told to stop.
fn run(
    runtime: Runtime,
    stopped: oneshot::Receiver<Duration>,
    background: &Background,
    end: oneshot::Sender<usize>,
) {
    let cut = runtime.block_on(async {
        let grace = stopped.await.unwrap_or(Duration::ZERO);
        background.stop(grace).await
    });
    runtime.shutdown_timeout(LAST_WAIT);
    // Nobody listens when the operations were dropped instead of stopped.
    let _ = end.send(cut);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    const PROBE: &[u8] = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

    fn bound() -> (net::TcpListener, net::SocketAddr) {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn app() -> Router {
        Router::new()
            .route("/livez", get(|| async { "ok" }))
            .route("/never", get(std::future::pending::<()>))
    }

    #[test]
    fn a_data_path_that_never_yields_does_not_silence_the_probes() {
        let data_path = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let operations = Operations::start().unwrap();
        let (listener, address) = bound();
        operations.serve(listener, app()).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let (block, blocked) = mpsc::channel();
        data_path.spawn(async move {
            block.send(()).unwrap();
            let _ = released.recv();
        });
        blocked.recv().unwrap();

        let mut probe = net::TcpStream::connect(address).unwrap();
        probe.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        io::Write::write_all(&mut probe, PROBE).unwrap();
        let mut answer = String::new();
        io::Read::read_to_string(&mut probe, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

        drop(release);
        assert_eq!(data_path.block_on(operations.stop(Duration::from_secs(5))), 0);
    }

    #[tokio::test]
    async fn stopping_cuts_what_does_not_end_within_the_grace_period() {
        let operations = Operations::start().unwrap();
        let (listener, address) = bound();
        operations.serve(listener, app()).unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        client.read_exact(&mut [0; 15]).await.unwrap();
        client.write_all(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        // A second connection answered after that request was sent: it has been read by now.
        let mut other = TcpStream::connect(address).await.unwrap();
        other.write_all(PROBE).await.unwrap();
        other.read_to_string(&mut String::new()).await.unwrap();
        assert_eq!(operations.stop(Duration::from_millis(100)).await, 1);
        assert_eq!(
            TcpStream::connect(address).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }

    #[tokio::test]
    async fn stopping_is_bounded_even_when_a_task_holds_the_thread() {
        let operations = Operations::start().unwrap();
        let (release, released) = mpsc::channel::<()>();
        let (block, blocked) = mpsc::channel();
        operations.runtime().spawn(async move {
            block.send(()).unwrap();
            let _ = released.recv();
        });
        blocked.recv().unwrap();
        let bound = Duration::from_secs(10);
        assert!(tokio::time::timeout(bound, operations.stop(Duration::ZERO)).await.is_ok());
        drop(release);
    }
}
