//! A collector of traces that weighs what it takes, over HTTP.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use holdline::background::Background;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// A running collector.
#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    taken: Arc<[AtomicU64; 2]>,
    _background: Background,
}

impl Sink {
    /// Starts one.
    ///
    /// # Errors
    /// There is no port.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, taken) = (listener.local_addr()?, Arc::<[AtomicU64; 2]>::default());
        let background = Background::new();
        let (all, connections) = (Arc::clone(&taken), background.clone());
        background.until_stopped(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let taken = Arc::clone(&all);
                connections.until_stopped(async move {
                    // A sender may hang up.
                    let _ = receive(stream, &taken).await;
                });
            }
        });
        Ok(Self { address, taken, _background: background })
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Spans, and bytes of the bodies that they came in.
    pub(crate) fn taken(&self) -> [u64; 2] {
        [0, 1].map(|at| self.taken[at].load(Relaxed))
    }
}

async fn receive(stream: TcpStream, taken: &[AtomicU64; 2]) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let export = ExportTraceServiceRequest::decode(&*body)?;
        let scopes = export.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let spans: usize = scopes.map(|scope| scope.spans.len()).sum();
        taken[0].fetch_add(spans as u64, Relaxed);
        taken[1].fetch_add(length as u64, Relaxed);
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
    }
}
