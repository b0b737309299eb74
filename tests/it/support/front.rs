//! What stands before an upstream: the end of TLS, and a proxy towards the outside. Both pass on
//! bytes to one address and remember what they saw.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use holdline::background::Background;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::{
    PATIENCE,
    authority::{Authority, Issued},
    in_time,
};

/// A place that passes on. It runs until [`Self::stop`].
#[derive(Debug)]
pub(crate) struct Front {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    tasks: Background,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicU64,
    /// Bytes of clients that were behind a whole handshake.
    bytes: AtomicU64,
    heads: Mutex<Vec<String>>,
}

/// What one does with its connections.
#[derive(Clone)]
enum Manner {
    Tls(TlsAcceptor),
    Egress,
}

impl Front {
    /// Ends TLS, shows `issued`, and wants clients to show what `clients` has signed, if any.
    pub(crate) async fn tls(to: SocketAddr, issued: &Issued, clients: Option<&Authority>) -> Self {
        let chain = vec![CertificateDer::from_pem_slice(issued.chain.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("PEM");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("it knows TLS");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                let root = CertificateDer::from_pem_slice(clients.pem.as_bytes()).expect("PEM");
                roots.add(root).expect("an authority");
                let roots = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(roots.build().expect("there is a root"))
            }
        };
        let config = builder.with_single_cert(chain, key).expect("a certificate and its key");
        Self::start(to, Manner::Tls(TlsAcceptor::from(Arc::new(config)))).await
    }

    /// An HTTP proxy that connects everybody to `to`, whatever was asked for.
    pub(crate) async fn egress(to: SocketAddr) -> Self {
        Self::start(to, Manner::Egress).await
    }

    async fn start(to: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (seen, tasks) = (Arc::<Seen>::default(), Background::new());
        let (noting, connections) = (Arc::clone(&seen), tasks.clone());
        tasks.until_stopped(async move {
            while let Ok((socket, _)) = listener.accept().await {
                noting.connections.fetch_add(1, Ordering::Relaxed);
                let (manner, seen) = (manner.clone(), Arc::clone(&noting));
                connections.until_stopped(async move {
                    match manner {
                        Manner::Tls(acceptor) => {
                            match acceptor.accept(socket).into_fallible().await {
                                Ok(stream) => seen.pass_on(stream, to).await,
                                // Read on, so that the alert is not lost in a reset.
                                Err((_, mut socket)) => {
                                    let _ = socket.read_to_end(&mut Vec::new()).await;
                                }
                            }
                        }
                        Manner::Egress => seen.lead_out(socket, to).await,
                    }
                });
            }
        });
        Self { address, seen, tasks }
    }

    /// Connections accepted.
    pub(crate) fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Bytes of clients that were behind a whole handshake.
    pub(crate) fn bytes(&self) -> u64 {
        self.seen.bytes.load(Ordering::Relaxed)
    }

    /// The first line of each connection to a proxy.
    pub(crate) fn asked_for(&self) -> Vec<String> {
        self.seen.heads.lock().expect("nobody panics with it").clone()
    }

    /// Ends it with all its connections.
    pub(crate) async fn stop(self) {
        in_time("the end of a front", self.tasks.stop(PATIENCE)).await;
    }
}

impl Seen {
    /// Both ways, until one side ends.
    async fn pass_on<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, to: SocketAddr) {
        let mut first = [0; 1024];
        let Ok(read @ 1..) = stream.read(&mut first).await else { return };
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        let mut behind = TcpStream::connect(to).await.expect("what it stands before listens");
        if behind.write_all(&first[..read]).await.is_ok() {
            let _ = copy_bidirectional(&mut stream, &mut behind).await;
        }
    }

    /// As a proxy: a tunnel for `CONNECT`, else the request itself.
    async fn lead_out(&self, mut socket: TcpStream, to: SocketAddr) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = socket.read_u8().await else { return };
            head.push(byte);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let first = text.lines().next().unwrap_or_default().to_owned();
        let tunnel = first.starts_with("CONNECT ");
        self.heads.lock().expect("nobody panics with it").push(first);
        let mut behind = TcpStream::connect(to).await.expect("what it stands before listens");
        let begun = if tunnel {
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await
        } else {
            // What stands behind is asked for the path alone.
            let (method, rest) = text.split_once(" http://").expect("the whole address");
            let path = rest.find('/').expect("a path");
            behind.write_all(format!("{method} {}", &rest[path..]).as_bytes()).await
        };
        if begun.is_ok() {
            let _ = copy_bidirectional(&mut socket, &mut behind).await;
        }
    }
}
