//! TLS on a listener: one handshake a connection, within its time. The certificate can be replaced
//! while connections are open; they keep the one that they began with, until it is another one that
//! says whose certificate clients must show: then they end.

use std::{fmt, io, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time::timeout_at,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    telemetry::{
        meters::Words,
        metrics::{self, Registry},
    },
    time::now,
    tls::{Roots, ServerTls},
};

/// How handshakes end, as they are counted.
const RESULTS: [&str; 6] =
    ["ok", "timeout", "closed", "no_certificate", "bad_certificate", "error"];

/// The TLS of one listener. Clones are the same one.
#[derive(Clone)]
pub struct Tls(Arc<Parts>);

struct Parts {
    terms: ArcSwap<Terms>,
    /// Raised whenever it is others whom clients must be known to.
    generation: watch::Sender<u64>,
    results: Words,
}

/// What holds for new connections.
struct Terms {
    acceptor: TlsAcceptor,
    /// From accept to the end of the handshake.
    handshake_timeout: Duration,
    /// When our own certificate ends, in time since 1970.
    certificate_ends: Duration,
    /// Whose certificate a client must show.
    clients: Option<Roots>,
}

impl Terms {
    fn new(tls: &ServerTls, handshake_timeout: Duration) -> Self {
        let (acceptor, clients) = (TlsAcceptor::from(tls.config()), tls.clients().cloned());
        let certificate_ends = tls.identity().validity().ends;
        Self { acceptor, handshake_timeout, certificate_ends, clients }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}

impl Tls {
    /// With that certificate and so much time for each handshake.
    pub fn new(tls: &ServerTls, handshake_timeout: Duration, registry: &Registry) -> Self {
        let count = |result| registry.counter(&metrics::TLS_HANDSHAKES, &[result]);
        let parts = Parts {
            terms: ArcSwap::from_pointee(Terms::new(tls, handshake_timeout)),
            generation: watch::Sender::new(0),
            results: Words::new(&RESULTS, count),
        };
        Self(Arc::new(parts))
    }

    /// Puts others in force, for connections that are accepted from now on. Where clients must show
    /// another's certificate than before, those that are open answer what they were asked and end.
    pub fn put(&self, tls: &ServerTls, handshake_timeout: Duration) {
        let before = self.0.terms.swap(Arc::new(Terms::new(tls, handshake_timeout)));
        if before.clients.as_ref() != tls.clients() {
            self.0.generation.send_modify(|generation| *generation += 1);
        }
    }

    /// When the certificate ends that is shown now, in time since 1970.
    pub fn certificate_ends(&self) -> Duration {
        self.0.terms.load().certificate_ends
    }

    /// The connection over `socket`, once both sides are who they say. `None` where that failed,
    /// which has been counted; all of it takes as long as a handshake may, no longer.
    pub(super) async fn handshake(
        &self,
        socket: TcpStream,
    ) -> Option<(TlsStream<TcpStream>, Generation)> {
        // Before the terms: one that is begun in between ends too soon, rather than not at all.
        let generation = Generation(Some(self.0.generation.subscribe()));
        let terms = self.0.terms.load_full();
        let until = now() + terms.handshake_timeout;
        let accepting = terms.acceptor.accept(socket).into_fallible();
        match timeout_at(until, accepting).await {
            Ok(Ok(stream)) => {
                self.0.results.count("ok");
                Some((stream, generation))
            }
            Ok(Err((error, socket))) => {
                self.0.results.count(result_of(&error));
                tracing::debug!(%error, "TLS handshake failed");
                let _ = timeout_at(until, let_it_read(socket)).await;
                None
            }
            Err(_) => {
                self.0.results.count("timeout");
                None
            }
        }
    }
}

/// Whom a connection was made for: those whose certificate was good then.
pub(super) struct Generation(Option<watch::Receiver<u64>>);

impl Generation {
    /// That of a connection without TLS, which nothing ends.
    pub(super) fn of_all() -> Self {
        Self(None)
    }

    /// Waits until it is over; it stays so.
    pub(super) async fn over(self) {
        if let Some(mut raised) = self.0
            && raised.changed().await.is_ok()
        {
            return;
        }
        // Nobody is there who could raise it.
        std::future::pending().await
    }
}

/// How a failed handshake is counted.
fn result_of(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::NoCertificatesPresented) => "no_certificate",
        Some(Error::InvalidCertificate(_)) => "bad_certificate",
        Some(_) => "error",
        // A balancer that only looks whether the port is open comes and goes like this.
        None => "closed",
    }
}

/// Closes our side and waits until the client has closed its own. Closed with bytes unread, the
/// connection would be reset, and the alert that says what was wrong lost.
async fn let_it_read(mut socket: TcpStream) {
    let mut scrap = [0; 1024];
    if socket.shutdown().await.is_ok() {
        while socket.read(&mut scrap).await.is_ok_and(|read| read > 0) {}
    }
}
