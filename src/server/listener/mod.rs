//! Accepts connections and serves HTTP/1.1 on them, safe on an open port.
//!
//! `axum::serve` sets no timer, caps nothing, speaks HTTP/2 in clear text as soon as any dependency
//! turns that on, and drains for ever. Here every wait has an end ([`Patience`]), connections,
//! header lines and bytes are counted, and closing takes as long as the calls under way, no longer.

mod exchange;
mod tls;

use std::{
    convert::Infallible,
    io, iter,
    net::{self, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{extract::Request, response::Response};
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::Service;

use crate::{
    background::Background,
    server::{
        lifecycle::{Lifecycle, Phase},
        listener::exchange::answer,
        wire::{Patience, TimedIo, Turn},
    },
    settings::ServerSettings,
    time::{Instant, now},
};

use tls::Generation;
pub use tls::Tls;

/// The least that hyper takes as the size of a connection's buffer, in bytes.
const LEAST_BUFFER: usize = 8 * 1024;

/// Connections that wait in the kernel's queue. `TcpListener::bind` asks for 128, which a balancer
/// that reconnects all at once overruns; clients then wait a second for their next attempt.
const QUEUE: u32 = 4096;

/// How long accepting rests when the system has nothing left to accept with, such as descriptors.
/// Long enough not to spin, short enough that a freed one is used at once.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// How long a connection at rest is looked at once more at [`Phase::Closing`]: a request may have arrived
/// of which the system has not told us yet. To close the connection then would reset it.
const LAST_LOOK: Duration = Duration::from_millis(10);

/// The least time between two log lines about failed accepts.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// What one listener allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// Header lines of a request; more are answered 431.
    pub max_headers: usize,
    /// Bytes of a request head; more are answered 431.
    pub max_header_bytes: usize,
    /// How long the other end may take.
    pub patience: Patience,
}

impl ConnectionLimits {
    /// Those of the data plane.
    pub fn of(settings: &ServerSettings) -> Self {
        Self {
            max_connections: settings.max_connections,
            max_headers: settings.max_headers,
            max_header_bytes: settings.max_header_bytes,
            patience: Patience {
                header: settings.header_timeout,
                idle: settings.idle_timeout,
                write: settings.write_timeout,
            },
        }
    }

    fn http(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.keep_alive(true)
            .half_close(false)
            .max_headers(self.max_headers)
            .max_header_size(self.max_header_bytes)
            .max_buf_size(self.max_header_bytes.max(LEAST_BUFFER))
            // One clock for rest and head together, set anew for each request. [`TimedIo`] has two,
            // and touches them seldom.
            .header_read_timeout(None);
        http
    }
}

/// What answers requests. A clone is taken for each, and is not asked whether it is ready: it always is.
pub trait App:
    Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send
{
}

impl<A> App for A where
    A: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send
{
}

/// Binds `address` with a queue long enough for a burst. Fails when the address is taken, not this
/// machine's, or not permitted.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of the process before this one may still linger on the address.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Accepts until [`Phase::Closing`], over TLS where there is `tls`, then returns; the connections live on in `background` until
/// their last answer is out, and whoever stops that bounds it. `app` makes what answers the requests of a
/// peer. `connections` counts the open ones.
///
/// From [`Phase::Draining`] on, answers ask for the connection to be closed. At [`Phase::Closing`] what
/// waits in the queue is accepted too, since it would be reset; connections without a whole request are
/// closed at once, handshakes have [`LAST_WORD`](super::lifecycle::LAST_WORD).
pub async fn serve<A: App + Sync + 'static>(
    listener: TcpListener,
    tls: Option<Tls>,
    app: impl Fn(SocketAddr) -> A,
    limits: ConnectionLimits,
    lifecycle: Lifecycle,
    background: &Background,
    connections: Arc<AtomicUsize>,
) {
    let host =
        Host { http: limits.http(), patience: limits.patience, lifecycle: lifecycle.clone(), tls };
    let places = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
    let mut failures = AcceptFailures::default();
    let closing = lifecycle.reached(Phase::Closing);
    tokio::pin!(closing);
    let welcome = |(socket, peer, permit)| {
        let place = Place::new(permit, &connections);
        let (host, app) = (host.clone(), app(peer));
        background.finish(async move {
            host.receive(socket, app).await;
            drop(place);
        });
    };
    loop {
        // Both branches may be dropped at any await without losing a connection.
        let accepted = tokio::select! {
            biased;
            () = &mut closing => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok(connection) => welcome(connection),
            // Only this one peer's: it hung up in the queue.
            Err(error) if is_of_one_peer(&error) => {}
            Err(error) => {
                failures.note(&error, now());
                tokio::select! {
                    () = &mut closing => break,
                    () = tokio::time::sleep(ACCEPT_REST) => {}
                }
            }
        }
    }
    // Blocking in form only: nothing of it waits.
    if let Ok(listener) = listener.into_std() {
        take_queue(&listener, &places, welcome);
    }
}

/// Waits for a place first, so that what has none stays in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(places).acquire_owned().await.expect("nobody closes this semaphore");
    let (socket, peer) = listener.accept().await?;
    // Answers are written whole; without this the last piece of one waits for an acknowledgement.
    // A socket that refuses is closing already.
    let _ = socket.set_nodelay(true);
    Ok((socket, peer, permit))
}

/// Welcomes what is in the queue now, as long as there are places. The runtime is not asked: what it has
/// not been told of yet is in the queue as well.
///
/// An error is mostly one connection's: Linux tells here what its network has suffered meanwhile. So the next
/// one is tried; where the system itself has nothing left, that ends after as many as the queue holds.
fn take_queue(
    listener: &net::TcpListener,
    places: &Arc<Semaphore>,
    welcome: impl Fn((TcpStream, SocketAddr, OwnedSemaphorePermit)),
) {
    let mut failed = None;
    for _ in 0..QUEUE {
        let accepted = listener.accept().and_then(|(socket, peer)| {
            socket.set_nonblocking(true)?;
            // As in `accept`.
            let _ = socket.set_nodelay(true);
            Ok((TcpStream::from_std(socket)?, peer))
        });
        match accepted {
            Ok((socket, peer)) => match Arc::clone(places).try_acquire_owned() {
                Ok(permit) => welcome((socket, peer, permit)),
                Err(_) => return tracing::warn!("no place for connections that still wait"),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        tracing::warn!(%error, "cannot accept connections that still wait");
    }
}

fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// What a connection meets here.
#[derive(Clone)]
struct Host {
    http: http1::Builder,
    patience: Patience,
    lifecycle: Lifecycle,
    tls: Option<Tls>,
}

impl Host {
    /// Serves one connection to its end, the handshake before it included. A panic in the
    /// application ends it and nothing else.
    async fn receive(&self, socket: TcpStream, app: impl App + Sync) {
        let Some(tls) = &self.tls else {
            return self.converse(socket, app, Generation::of_all()).await;
        };
        let shaken = tokio::select! {
            biased;
            shaken = tls.handshake(socket) => shaken,
            () = self.lifecycle.heard_out() => None,
        };
        if let Some((stream, generation)) = shaken {
            self.converse(stream, app, generation).await;
        }
    }

    /// Answers what comes on `stream`. Errors are the client's doing (it hung up, was too slow, or
    /// spoke no HTTP) and end it quietly. Once its generation is over it ends as at
    /// [`Phase::Closing`].
    async fn converse<S>(&self, stream: S, app: impl App + Sync, generation: Generation)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let turn = &Turn::new();
        let io = TimedIo::new(stream, self.patience, turn.clone());
        let service = service_fn(|request| answer(request, app.clone(), turn, &self.lifecycle));
        let connection = self.http.serve_connection(TokioIo::new(io), service);
        tokio::pin!(connection);
        // Looked at when they have something to say, and not with each request: a look takes locks that
        // all connections share.
        let mut ends: FuturesUnordered<_> = iter::once(async {
            tokio::select! {
                () = self.lifecycle.reached(Phase::Closing) => {}
                () = generation.over() => {}
            }
        })
        .collect();
        tokio::select! {
            // The connection first: a request that has arrived is answered, not cut.
            biased;
            ended = connection.as_mut() => return note_end(ended),
            _ = ends.next() => {}
        }
        tokio::select! {
            biased;
            ended = connection.as_mut() => return note_end(ended),
            () = tokio::time::sleep(LAST_LOOK) => {}
        }
        turn.hurry();
        connection.as_mut().graceful_shutdown();
        // Once more, so that one that rests says farewell (over TLS its absence is an error). hyper
        // would wait for the rest of a first head, though; there is nobody to answer yet.
        if let Some(ended) = connection.as_mut().now_or_never() {
            note_end(ended);
        } else if !turn.is_at_rest() {
            note_end(connection.await);
        }
    }
}

fn note_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}

/// One connection's share of the limit, and its mark in the count.
#[derive(Debug)]
struct Place {
    connections: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn new(permit: OwnedSemaphorePermit, connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self { connections: Arc::clone(connections), _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Failed accepts, logged at most once in [`ACCEPT_LOG_INTERVAL`].
#[derive(Debug, Default)]
struct AcceptFailures {
    logged: Option<Instant>,
    since: u64,
}

impl AcceptFailures {
    fn note(&mut self, error: &io::Error, at: Instant) {
        if let Some(failures) = self.due(at) {
            tracing::warn!(%error, failures, "cannot accept connections");
        }
    }

    /// Counts one more; how many to log, if it is time to.
    fn due(&mut self, at: Instant) -> Option<u64> {
        self.since += 1;
        if self.logged.is_some_and(|logged| at < logged + ACCEPT_LOG_INTERVAL) {
            return None;
        }
        self.logged = Some(at);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests;
