//! An upstream of bare sockets that goes wrong on demand: steered from code, seeded, and cheap enough
//! for ten thousand requests a second.

pub(crate) mod manner;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::{Buf, Bytes, BytesMut};
use holdline::background::Background;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{oneshot, watch},
};
use tokio_util::sync::CancellationToken;

use manner::{Fault, Lots, Manner, Next, Rules, answer, silence, spoil};

/// Connections that the kernel takes before we do.
const BACKLOG: u32 = 1_024;

/// What it has counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Connections accepted.
    pub(crate) connections: u64,
    /// Requests whose head came.
    pub(crate) requests: u64,
    /// Bodies read to their end, empty ones left out.
    pub(crate) bodies: u64,
    /// How often the body that came most often was read to its end.
    pub(crate) most_repeated: u64,
    /// The most requests that were under way at once.
    pub(crate) most_in_flight: u64,
}

/// A running upstream. Clones are the same one; it runs until its runtime ends.
#[derive(Debug, Clone)]
pub(crate) struct Peer(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    address: SocketAddr,
    rules: Mutex<Arc<Rules>>,
    lots: Mutex<Lots>,
    connections: AtomicU64,
    requests: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
    bodies: Mutex<HashMap<Bytes, u64>>,
    deaf: watch::Sender<bool>,
    door: tokio::sync::Mutex<Door>,
    background: Background,
}

#[derive(Debug)]
enum Door {
    Open {
        stop: CancellationToken,
        closed: oneshot::Receiver<()>,
    },
    /// Bound and not listening: clients are refused, and nobody else gets the port.
    Shut(Option<TcpSocket>),
}

impl Peer {
    /// Starts one that is well; port 0 picks a free one.
    pub(crate) async fn start(address: SocketAddr, seed: u64) -> io::Result<Self> {
        let socket = bind(address)?;
        let peer = Self(Arc::new(Parts {
            address: socket.local_addr()?,
            rules: Mutex::new(Rules::new(Manner::default())),
            lots: Mutex::new(Lots::new(seed)),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            most_in_flight: AtomicU64::new(0),
            bodies: Mutex::default(),
            deaf: watch::Sender::new(false),
            door: tokio::sync::Mutex::new(Door::Shut(Some(socket))),
            background: Background::new(),
        }));
        peer.open().await?;
        Ok(peer)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// How it works from the next request on.
    pub(crate) fn behave(&self, manner: Manner) {
        *self.0.rules.lock().expect("no panic holds it") = Rules::new(manner);
        self.0.lots.lock().expect("no panic holds it").mix();
    }

    /// Accepts no connection and answers no request, which nobody is told; or does so again. What
    /// came meanwhile on a connection is never answered.
    pub(crate) fn deaf(&self, deaf: bool) {
        self.0.deaf.send_replace(deaf);
    }

    /// Closes the listener and resets every connection: clients are refused.
    pub(crate) async fn shut(&self) -> io::Result<()> {
        let mut door = self.0.door.lock().await;
        if let Door::Open { stop, closed } = &mut *door {
            stop.cancel();
            // An error means that the listener went with its task.
            let _ = closed.await;
            *door = Door::Shut(None);
            *door = Door::Shut(Some(bind(self.0.address)?));
        }
        Ok(())
    }

    /// Listens again, on the same port.
    pub(crate) async fn open(&self) -> io::Result<()> {
        let mut door = self.0.door.lock().await;
        let Door::Shut(reserved) = &mut *door else { return Ok(()) };
        let socket = match reserved.take() {
            Some(socket) => socket,
            None => bind(self.0.address)?,
        };
        let listener = socket.listen(BACKLOG)?;
        let stop = CancellationToken::new();
        let (gone, closed) = oneshot::channel();
        let (peer, stopping) = (self.clone(), stop.clone());
        self.0.background.until_stopped(async move {
            peer.accept(&listener, &stopping).await;
            drop(listener);
            let _ = gone.send(());
        });
        *door = Door::Open { stop, closed };
        Ok(())
    }

    /// What it has counted.
    pub(crate) fn counts(&self) -> Counts {
        let bodies = self.0.bodies.lock().expect("no panic holds it");
        Counts {
            connections: self.0.connections.load(Relaxed),
            requests: self.0.requests.load(Relaxed),
            bodies: bodies.values().sum(),
            most_repeated: bodies.values().max().copied().unwrap_or_default(),
            most_in_flight: self.0.most_in_flight.load(Relaxed),
        }
    }

    async fn accept(&self, listener: &TcpListener, stop: &CancellationToken) {
        let mut deaf = self.0.deaf.subscribe();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = async {
                    let _ = deaf.wait_for(|deaf| !deaf).await;
                    tokio::select! {
                        accepted = listener.accept() => accepted.ok(),
                        _ = deaf.changed() => None,
                    }
                } => accepted,
            };
            let Some((stream, _)) = accepted else { continue };
            let (peer, down) = (self.clone(), stop.clone());
            self.0.background.until_stopped(async move { peer.serve(stream, &down).await });
        }
    }

    async fn serve(&self, mut stream: TcpStream, down: &CancellationToken) {
        self.0.connections.fetch_add(1, Relaxed);
        let _ = stream.set_nodelay(true);
        let next = tokio::select! {
            () = down.cancelled() => Next::Reset,
            next = self.converse(&mut stream) => next.unwrap_or(Next::Close),
        };
        if matches!(next, Next::Reset) {
            // Closing a socket that does not linger sends a reset.
            let _ = stream.set_zero_linger();
        }
    }

    async fn converse(&self, stream: &mut TcpStream) -> io::Result<Next> {
        let mut ahead = BytesMut::with_capacity(4_096);
        loop {
            let Some(announced) = read_head(stream, &mut ahead).await? else {
                return Ok(Next::Close);
            };
            let _under_way = UnderWay::begin(&self.0);
            let rules = Arc::clone(&*self.0.rules.lock().expect("no panic holds it"));
            let fault = self.0.lots.lock().expect("no panic holds it").draw(&rules.manner);
            if fault == Some(Fault::ResetUnread) {
                return Ok(Next::Reset);
            }
            if announced > 0 {
                let body = read_body(stream, &mut ahead, announced).await?;
                *self.0.bodies.lock().expect("no panic holds it").entry(body).or_default() += 1;
            }
            if *self.0.deaf.borrow() {
                return Ok(silence(stream).await);
            }
            tokio::time::sleep(rules.manner.latency).await;
            let next = match fault {
                Some(fault) => spoil(stream, fault).await?,
                None => answer(stream, &rules).await?,
            };
            if !matches!(next, Next::Keep) {
                return Ok(next);
            }
        }
    }
}

/// Counts a request until it is dropped.
struct UnderWay<'a>(&'a Parts);

impl<'a> UnderWay<'a> {
    fn begin(parts: &'a Parts) -> Self {
        parts.requests.fetch_add(1, Relaxed);
        let now = parts.in_flight.fetch_add(1, Relaxed) + 1;
        parts.most_in_flight.fetch_max(now, Relaxed);
        Self(parts)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Old connections in TIME_WAIT must not keep the port from being opened again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Takes a head off the connection and tells how long a body it announces; `None` at the end.
async fn read_head(stream: &mut TcpStream, ahead: &mut BytesMut) -> io::Result<Option<usize>> {
    loop {
        if let Some(end) = ahead.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&ahead[..end]).to_ascii_lowercase();
            ahead.advance(end + 4);
            let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
            return Ok(Some(length.and_then(|text| text.trim().parse().ok()).unwrap_or(0)));
        }
        if stream.read_buf(ahead).await? == 0 {
            return Ok(None);
        }
    }
}

async fn read_body(
    stream: &mut TcpStream,
    ahead: &mut BytesMut,
    length: usize,
) -> io::Result<Bytes> {
    while ahead.len() < length {
        if stream.read_buf(ahead).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(ahead.split_to(length).freeze())
}
