//! A collector of traces inside the test, over HTTP or gRPC: keeps what it is sent, decoded and as
//! bytes.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use holdline::{
    background::Background,
    telemetry::{
        spans::{self, Attribute},
        work::Work,
    },
};
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;
use tokio::net::TcpListener;

/// How the collector is spoken to.
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

/// A running collector. Dropped, it goes on until the test's runtime ends.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    bodies: Arc<Mutex<Vec<Bytes>>>,
    background: Background,
}

impl Collector {
    /// Starts one.
    pub(crate) async fn start(protocol: Protocol) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let collector =
            Self { endpoint, bodies: Arc::default(), background: Background::default() };
        let (bodies, background) = (Arc::clone(&collector.bodies), collector.background.clone());
        collector.background.until_stopped(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (io, bodies) = (TokioIo::new(stream), Arc::clone(&bodies));
                let service =
                    service_fn(move |request| receive(protocol, request, Arc::clone(&bodies)));
                background.until_stopped(async move {
                    // A sender that hangs up is no failure of the test.
                    let _ = match protocol {
                        Protocol::Http => {
                            hyper::server::conn::http1::Builder::new()
                                .serve_connection(io, service)
                                .await
                        }
                        Protocol::Grpc => {
                            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                                .serve_connection(io, service)
                                .await
                        }
                    };
                });
            }
        });
        collector
    }

    /// The `telemetry` of a service that sends it this share of its calls.
    pub(crate) fn telemetry(&self, protocol: Protocol, ratio: f64) -> String {
        telemetry(&self.endpoint, protocol, ratio)
    }

    /// Everything received, as it came.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bodies.lock().unwrap().concat()
    }

    /// Every span of calls received.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.all().into_iter().filter(|span| !is_of_work(span)).collect()
    }

    /// Every span received of what is no call.
    pub(crate) fn work(&self) -> Vec<Span> {
        self.all().into_iter().filter(is_of_work).collect()
    }

    fn all(&self) -> Vec<Span> {
        let bodies = self.bodies.lock().unwrap().clone();
        let requests =
            bodies.into_iter().map(|body| ExportTraceServiceRequest::decode(body).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|r| r.scope_spans);
        scopes.flat_map(|scope| scope.spans).inspect(is_of_the_closed_lists).collect()
    }

    /// The spans of the calls, one for each.
    pub(crate) fn roots(&self) -> Vec<Span> {
        let server = SpanKind::Server as i32;
        self.spans().into_iter().filter(|span| span.kind == server).collect()
    }

    /// The spans of one trace.
    pub(crate) fn trace(&self, root: &Span) -> Vec<Span> {
        let spans = self.spans().into_iter();
        spans.filter(|span| span.trace_id == root.trace_id).collect()
    }
}

/// The `telemetry` of a service that sends `endpoint` this share of its calls.
pub(crate) fn telemetry(endpoint: &str, protocol: Protocol, ratio: f64) -> String {
    let protocol = protocol.word();
    format!("traces: {{endpoint: \"{endpoint}\", protocol: {protocol}, sample_ratio: {ratio}}}")
}

async fn receive(
    protocol: Protocol,
    request: Request<Incoming>,
    bodies: Arc<Mutex<Vec<Bytes>>>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let (wanted, message, content_type, reply) = match protocol {
        Protocol::Http => ("/v1/traces", body, "application/x-protobuf", Full::default().boxed()),
        // One message a call, its length in front, the status in the trailers.
        Protocol::Grpc => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let reply = Full::new(Bytes::from_static(&[0; 5]));
            (
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                body.slice(5..),
                "application/grpc",
                reply.with_trailers(async { Some(Ok(trailers)) }).boxed(),
            )
        }
    };
    assert_eq!(path, wanted);
    bodies.lock().unwrap().push(message);
    Ok(Response::builder().header(CONTENT_TYPE, content_type).body(reply).unwrap())
}

/// Whether it tells of what the service does on its own or for its operator.
fn is_of_work(span: &Span) -> bool {
    Work::ALL.iter().any(|work| work.as_str() == span.name)
}

/// Whoever exports a name or an attribute that is not in the lists fails the test that sees it.
fn is_of_the_closed_lists(span: &Span) {
    let target = text(span, "url.template").or_else(|| text(span, "http.route"));
    assert!(spans::is_name(&span.name, target.as_deref().as_slice()), "a span {span:?}");
    for attribute in &span.attributes {
        let known = Attribute::ALL.iter().any(|known| known.key() == attribute.key);
        assert!(known, "an attribute that nobody knows: {attribute:?}");
    }
    assert!(span.events.is_empty() && span.dropped_attributes_count == 0, "{span:?}");
}

/// An attribute of a span.
pub(crate) fn attribute(span: &Span, key: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.clone()?.value
}

/// An attribute that is a text.
pub(crate) fn text(span: &Span, key: &str) -> Option<String> {
    match attribute(span, key)? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Whether a span is marked as an error.
pub(crate) fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

/// An id as log lines and headers show it.
pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
