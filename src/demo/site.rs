//! A fake as a place on the network: a listener that can be closed and opened again on its port, its
//! connections, its faults and its record.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{Mutex, oneshot},
};
use tokio_util::sync::CancellationToken;

use crate::{background::Background, chance::Chance};

use super::{
    fault::{Fault, Latency, Standing},
    faults::{Faults, Plan},
    misbehave::{self, Next},
    record::{Counts, Record, Seen},
    wire::{self, Request, Response, Unreadable},
};

/// How long a connection may stay without a request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Connections that the kernel holds for us before we accept them.
const BACKLOG: u32 = 1024;

/// How long [`Site::stop`] waits for tasks, which end at once.
const GRACE: Duration = Duration::from_secs(1);

/// What a fake says when nothing is wrong.
pub(super) trait Role: Send + Sync + 'static {
    fn answer<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Response>;
}

/// A running fake. Clones are the same one; it runs until [`Self::stop`].
#[derive(Clone)]
pub struct Site(Arc<Parts>);

struct Parts {
    address: SocketAddr,
    role: Box<dyn Role>,
    faults: Faults,
    record: Record,
    door: Mutex<Door>,
    background: Background,
}

enum Door {
    /// Connections are accepted.
    Open {
        /// Ends the accepting; `closed` tells when the listener is gone.
        stop: CancellationToken,
        closed: oneshot::Receiver<()>,
    },
    /// Clients are refused. The socket is bound and does not listen: it keeps the port from
    /// everybody else until it is opened again.
    Shut(Option<TcpSocket>),
}

impl Site {
    /// Starts a fake at `address`; port 0 picks a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(super) async fn start(
        address: SocketAddr,
        role: impl Role,
        usual: Latency,
        chance: Chance,
    ) -> io::Result<Self> {
        let socket = bind(address)?;
        let site = Self(Arc::new(Parts {
            address: socket.local_addr()?,
            role: Box::new(role),
            faults: Faults::new(usual, chance),
            record: Record::default(),
            door: Mutex::new(Door::Shut(Some(socket))),
            background: Background::new(),
        }));
        site.open().await?;
        Ok(site)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// `http://` and the address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// How it behaves now.
    pub fn standing(&self) -> Standing {
        self.0.faults.standing()
    }

    /// Changes how it behaves from the next request on. When this returns, the listener is open or
    /// closed as asked; closing it also resets every connection.
    ///
    /// # Errors
    /// The port could not be bound again.
    pub async fn set(&self, standing: Standing) -> io::Result<()> {
        let down = standing == Standing::Down;
        self.0.faults.set(standing);
        if down { self.shut().await } else { self.open().await }
    }

    /// Adds faults for the next requests, one each, before the standing rule applies again.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.faults.script(faults);
    }

    /// How many scripted faults are still to come.
    pub fn script_left(&self) -> usize {
        self.0.faults.script_left()
    }

    /// Forgets the scripted faults that are still to come.
    pub fn clear_script(&self) {
        self.0.faults.clear_script();
    }

    /// Changes the latency that applies where no rule says otherwise.
    pub fn set_usual_latency(&self, usual: Latency) {
        self.0.faults.set_usual(usual);
    }

    /// What it has counted.
    pub fn counts(&self) -> Counts {
        self.0.record.counts()
    }

    /// Waits until the counts are as `reached` wants them; for ever, if they never are.
    pub async fn until(&self, reached: impl FnMut(&Counts) -> bool) -> Counts {
        self.0.record.until(reached).await
    }

    /// Requests for one path, without query.
    pub fn requests_for(&self, path: &str) -> u64 {
        self.0.record.requests_for(path)
    }

    /// The last 1,000 requests, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.record.seen()
    }

    /// Counts from zero again and forgets the requests seen.
    pub fn reset_record(&self) {
        self.0.record.reset();
    }

    /// Closes the listener and every connection, for good.
    pub async fn stop(&self) {
        self.0.background.stop(GRACE).await;
    }

    async fn open(&self) -> io::Result<()> {
        let mut door = self.0.door.lock().await;
        let Door::Shut(reserved) = &mut *door else {
            return Ok(());
        };
        let socket = match reserved.take() {
            Some(socket) => socket,
            None => bind(self.0.address)?,
        };
        let listener = socket.listen(BACKLOG)?;
        let stop = CancellationToken::new();
        let (gone, closed) = oneshot::channel();
        let (parts, stopping) = (self.0.clone(), stop.clone());
        self.0.background.until_stopped(async move {
            accept(&parts, &listener, &stopping).await;
            drop(listener);
            let _ = gone.send(());
        });
        *door = Door::Open { stop, closed };
        Ok(())
    }

    async fn shut(&self) -> io::Result<()> {
        let mut door = self.0.door.lock().await;
        if let Door::Open { stop, closed } = &mut *door {
            stop.cancel();
            // An error means that the task was dropped with its listener, which is as good.
            let _ = closed.await;
            *door = Door::Shut(None);
            *door = Door::Shut(Some(bind(self.0.address)?));
        }
        Ok(())
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("address", &self.0.address)
            .field("standing", &self.standing())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Old connections in TIME_WAIT must not keep the port from being opened again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(parts: &Arc<Parts>, listener: &TcpListener, stop: &CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, mostly: trying again at once would spin.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (shared, down) = (parts.clone(), stop.clone());
        parts.background.until_stopped(async move { serve(&shared, stream, &down).await });
    }
}

/// One connection to its end. `down` resets it where it stands.
async fn serve(parts: &Parts, mut stream: TcpStream, down: &CancellationToken) {
    let _ = stream.set_nodelay(true);
    let open = parts.record.connection();
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let next = tokio::select! {
        () = down.cancelled() => Next::Reset,
        next = converse(parts, &mut read, &mut write, open.number) => next,
    };
    if next == Next::Reset {
        // Closing a socket that does not linger sends a reset.
        let _ = stream.set_zero_linger();
    }
}

/// Requests and responses in turn, until one of them ends the connection.
async fn converse(
    parts: &Parts,
    read: &mut BufReader<ReadHalf<'_>>,
    write: &mut WriteHalf<'_>,
    connection: u64,
) -> Next {
    loop {
        let request = match next_request(read, write).await {
            Ok(request) => request,
            Err(Unreadable::Broken(request)) => {
                parts.record.request(connection, &request);
                parts.record.client_left();
                return Next::Close;
            }
            Err(Unreadable::Refused(why)) => {
                let response = Response::text(400, "text/plain", why);
                let _ = wire::write_response(write, &Request::default(), &response).await;
                return Next::Close;
            }
            Err(Unreadable::Ended | Unreadable::Failed(_)) => return Next::Close,
        };
        parts.record.request(connection, &request);
        let in_flight = parts.record.in_flight();
        let respond = async {
            let Plan { wait, fault } = parts.faults.plan();
            tokio::time::sleep(wait).await;
            if let Fault::Latency(more) = fault {
                tokio::time::sleep(more).await;
            }
            let proper = parts.role.answer(&request).await;
            let response = misbehave::disguise(&fault, proper);
            misbehave::deliver(write, &request, &response, &fault, in_flight).await
        };
        let next = tokio::select! {
            biased;
            next = respond => next.ok(),
            () = client_left(read) => None,
        };
        match next {
            Some(Next::Keep) => {}
            Some(end) => return end,
            None => {
                parts.record.client_left();
                return Next::Close;
            }
        }
    }
}

async fn next_request(
    read: &mut BufReader<ReadHalf<'_>>,
    write: &mut WriteHalf<'_>,
) -> Result<Request, Unreadable> {
    let head = tokio::time::timeout(KEEP_ALIVE, wire::read_head(read)).await;
    let head = head.unwrap_or(Err(Unreadable::Ended))?;
    if head.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        write.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    wire::read_body(read, head).await
}

/// Returns when the client has closed its side. One that sends its next request early has not.
async fn client_left(read: &mut (impl AsyncBufRead + Unpin)) {
    if read.fill_buf().await.is_ok_and(|early| !early.is_empty()) {
        std::future::pending::<()>().await;
    }
}
