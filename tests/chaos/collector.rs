//! A collector of traces that counts what it takes, over HTTP or gRPC, and goes wrong on demand.

use std::{
    convert::Infallible,
    future, io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use holdline::background::Background;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::net::TcpListener;

/// How it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Grpc,
}

impl Protocol {
    /// The word for it in the configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Http => "http/protobuf",
            Self::Grpc => "grpc",
        }
    }
}

/// How it takes an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// At once.
    Well,
    /// It reads it and says nothing.
    Hung,
    /// So much later.
    Late(Duration),
    /// Not, with this status; over gRPC with what stands for it there.
    Refusing(u16),
}

/// A running collector. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    address: SocketAddr,
    parts: Arc<Parts>,
    background: Background,
}

#[derive(Debug)]
struct Parts {
    protocol: Protocol,
    mood: Mutex<Mood>,
    taken: AtomicU64,
}

impl Collector {
    /// Starts one that is well.
    ///
    /// # Errors
    /// There is no port.
    pub(crate) async fn start(protocol: Protocol) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let parts = Parts { protocol, mood: Mutex::new(Mood::Well), taken: AtomicU64::new(0) };
        let collector = Self {
            address: listener.local_addr()?,
            parts: Arc::new(parts),
            background: Background::new(),
        };
        let (parts, background) = (Arc::clone(&collector.parts), collector.background.clone());
        collector.background.until_stopped(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (io, parts) = (TokioIo::new(stream), Arc::clone(&parts));
                let protocol = parts.protocol;
                let service = service_fn(move |request| receive(request, Arc::clone(&parts)));
                background.until_stopped(async move {
                    // A sender may hang up.
                    let _ = match protocol {
                        Protocol::Http => http1::Builder::new().serve_connection(io, service).await,
                        Protocol::Grpc => {
                            http2::Builder::new(TokioExecutor::new())
                                .serve_connection(io, service)
                                .await
                        }
                    };
                });
            }
        });
        Ok(collector)
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How it takes exports from the next on.
    pub(crate) fn be(&self, mood: Mood) {
        *self.parts.mood.lock().expect("no panic holds it") = mood;
    }

    /// Stops: connections are refused.
    pub(crate) async fn stop(&self) {
        self.background.stop(Duration::from_secs(5)).await;
    }

    /// Spans that it has taken and said so.
    pub(crate) fn taken(&self) -> u64 {
        self.parts.taken.load(Relaxed)
    }
}

async fn receive(
    request: Request<Incoming>,
    parts: Arc<Parts>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes());
    // A sender that hung up half-way does not see this answer.
    let body = body.unwrap_or_default();
    let mood = *parts.mood.lock().expect("no panic holds it");
    match mood {
        Mood::Well => {}
        Mood::Late(by) => tokio::time::sleep(by).await,
        Mood::Hung => future::pending().await,
        Mood::Refusing(status) => return Ok(refusal(parts.protocol, status)),
    }
    Ok(match parts.protocol {
        Protocol::Http => {
            parts.taken.fetch_add(spans(&body), Relaxed);
            let reply = Response::builder().header(CONTENT_TYPE, "application/x-protobuf");
            reply.body(Full::default().boxed()).expect("these parts make a response")
        }
        Protocol::Grpc => {
            // One message a call, its length in front.
            parts.taken.fetch_add(spans(body.get(5..).unwrap_or_default()), Relaxed);
            graded("0", Full::new(Bytes::from_static(&[0; 5])))
        }
    })
}

fn refusal(protocol: Protocol, status: u16) -> Response<BoxBody<Bytes, Infallible>> {
    match (protocol, status) {
        (Protocol::Http, _) => {
            let reply = Response::builder().status(status);
            reply.body(Full::default().boxed()).expect("these parts make a response")
        }
        // UNAVAILABLE and INVALID_ARGUMENT
        (Protocol::Grpc, 503) => graded("14", Full::default()),
        (Protocol::Grpc, _) => graded("3", Full::default()),
    }
}

/// An answer over gRPC: the status is in the trailers.
fn graded(status: &'static str, reply: Full<Bytes>) -> Response<BoxBody<Bytes, Infallible>> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let reply = reply.with_trailers(future::ready(Some(Ok(trailers)))).boxed();
    let response = Response::builder().header(CONTENT_TYPE, "application/grpc");
    response.body(reply).expect("these parts make a response")
}

fn spans(body: &[u8]) -> u64 {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return 0 };
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len() as u64).sum()
}
