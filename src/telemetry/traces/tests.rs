//! The export against collectors inside the test: one that answers, one that is gone, one that
//! hangs. Real sockets and real time, bounded and without sleeping.

use std::{
    convert::Infallible,
    sync::{Mutex, mpsc},
};

use axum::{Router, body::Body, extract::State, http::Request, response::Response, routing::post};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry::{
    InstrumentationScope,
    trace::{SpanContext, SpanId, SpanKind as Kind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::any_value::Value,
    trace::v1::{Span as Sent, span::SpanKind},
};
use prost::Message;
use tokio::net::TcpListener;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::{
    background::Background,
    telemetry::spans::Attribute,
    time::{self, Wall},
};

/// Long enough for a busy machine; a test that works does not wait for it.
const PATIENCE: Duration = Duration::from_secs(30);

type Received = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

fn settings(endpoint: &str, protocol: TraceProtocol) -> TraceSettings {
    // The process installs it before anything else; the second time it says so.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let keep = crate::settings::Keep { failures: true, slower_than: Duration::MAX };
    TraceSettings { endpoint: endpoint.parse().unwrap(), protocol, sample_ratio: 1.0, keep }
}

fn start(endpoint: &str, protocol: TraceProtocol) -> Traces {
    Traces::start(&settings(endpoint, protocol), &runtime::Handle::current()).unwrap()
}

/// A span of that id within that other; of the trace `ab..`.
fn span(name: &'static str, kind: Kind, (id, within): (u8, u8)) -> SpanData {
    let trace = TraceId::from_bytes([0xab; 16]);
    let (id, within) = (SpanId::from_bytes([id; 8]), SpanId::from_bytes([within; 8]));
    let now = Wall::System.system_time();
    SpanData {
        span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: within,
        parent_span_is_remote: false,
        span_kind: kind,
        name: name.into(),
        start_time: now,
        end_time: now,
        attributes: vec![KeyValue::new("http.response.status_code", 503_i64)],
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

fn leave_spans(traces: &Traces, number: usize) {
    for _ in 0..number {
        traces.entrance().take(span("call", Kind::Server, (1, 0)));
    }
}

/// Spans left when the time was up.
async fn shutdown(traces: &Arc<Traces>, at_most: Duration) -> u64 {
    let traces = Arc::clone(traces);
    tokio::task::spawn_blocking(move || traces.shutdown(at_most)).await.unwrap()
}

async fn http_collector(background: &Background) -> (String, Received) {
    async fn receive(State(received): State<Received>, body: Bytes) -> Response {
        received.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
        let reply = ExportTraceServiceResponse::default().encode_to_vec();
        Response::builder()
            .header("content-type", "application/x-protobuf")
            .body(Body::from(reply))
            .unwrap()
    }
    let received = Received::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/v1/traces", post(receive)).with_state(Arc::clone(&received));
    background.until_stopped(async move { axum::serve(listener, routes).await.unwrap() });
    (endpoint, received)
}

/// Just enough gRPC: one message a call, its length in front, the status in the trailers.
async fn grpc_collector(background: &Background) -> (String, Received) {
    async fn receive(
        request: Request<hyper::body::Incoming>,
        received: Received,
    ) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible>
    {
        assert_eq!(
            request.uri().path(),
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        );
        let body = request.into_body().collect().await.unwrap().to_bytes();
        received.lock().unwrap().push(ExportTraceServiceRequest::decode(&body[5..]).unwrap());
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let body =
            Full::new(Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(trailers)) });
        let reply = Response::builder().header("content-type", "application/grpc").body(body);
        Ok(reply.unwrap())
    }
    let received = Received::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (inner, all) = (background.clone(), Arc::clone(&received));
    background.until_stopped(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let received = Arc::clone(&all);
            let service =
                hyper::service::service_fn(move |request| receive(request, Arc::clone(&received)));
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            inner.until_stopped(async move {
                let _ = connection.await;
            });
        }
    });
    (endpoint, received)
}

fn spans(received: &Received) -> Vec<Sent> {
    let received = received.lock().unwrap();
    let scopes = received.iter().flat_map(|r| &r.resource_spans).flat_map(|r| &r.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

/// What the collector was told about the sender.
fn sender(received: &Received, key: &str) -> Option<String> {
    let received = received.lock().unwrap();
    let resource = received[0].resource_spans[0].resource.as_ref()?;
    let found = resource.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

async fn arrives_with_its_parents(traces: Traces, received: &Received) {
    let traces = Arc::new(traces);
    traces.entrance().take(span("attempt", Kind::Client, (0xef, 1)));
    traces.entrance().take(span("POST /x", Kind::Server, (1, 0xcd)));
    assert_eq!(shutdown(&traces, PATIENCE).await, 0);
    assert_eq!((traces.exported(), traces.dropped()), (2, 0));

    let spans = spans(received);
    let named = |name: &str| spans.iter().find(|span| span.name == name).expect(name);
    assert_eq!(spans.len(), 2, "{spans:?}");
    let (call, attempt) = (named("POST /x"), named("attempt"));
    assert_eq!(call.trace_id, [0xab; 16]);
    assert_eq!(call.parent_span_id, [0xcd; 8]);
    assert_eq!(call.kind, SpanKind::Server as i32);
    assert_eq!(attempt.trace_id, call.trace_id);
    assert_eq!(attempt.parent_span_id, call.span_id);
    assert_eq!(attempt.kind, SpanKind::Client as i32);
    let keys: Vec<_> = attempt.attributes.iter().map(|a| a.key.as_str()).collect();
    assert_eq!(keys, ["http.response.status_code"], "what it says of itself, and no more");
    assert_eq!(sender(received, "service.name").as_deref(), Some("holdline"));
    let version = sender(received, "service.version");
    assert_eq!(version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_arrives_over_http_with_its_parents() {
    let background = Background::new();
    let (endpoint, received) = http_collector(&background).await;
    arrives_with_its_parents(start(&endpoint, TraceProtocol::HttpProtobuf), &received).await;
    background.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_arrives_over_grpc_with_its_parents() {
    let background = Background::new();
    let (endpoint, received) = grpc_collector(&background).await;
    arrives_with_its_parents(start(&endpoint, TraceProtocol::Grpc), &received).await;
    background.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_for_a_collector_that_is_gone_are_counted_as_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for protocol in [TraceProtocol::HttpProtobuf, TraceProtocol::Grpc] {
        let traces = Arc::new(start(&endpoint, protocol));
        leave_spans(&traces, 7);
        assert_eq!(shutdown(&traces, PATIENCE).await, 0, "{protocol:?}");
        assert_eq!((traces.exported(), traces.dropped()), (0, 7), "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_does_not_wait_for_a_collector_that_hangs() {
    // The kernel accepts the connection, and nobody ever answers on it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    for protocol in [TraceProtocol::HttpProtobuf, TraceProtocol::Grpc] {
        let traces = Arc::new(start(&endpoint, protocol));
        leave_spans(&traces, 7);
        let began = time::now();
        let left = shutdown(&traces, Duration::from_millis(100)).await;
        let took = began.elapsed();
        assert!(took < EXPORT_TIMEOUT / 2, "{protocol:?}: {took:?}");
        assert_eq!((left, traces.exported()), (7, 0), "{protocol:?}");
        drop(Arc::into_inner(traces).expect("the only one left"));
        assert!(began.elapsed() < EXPORT_TIMEOUT, "dropping does not wait either");
    }
}

/// An exporter that lets one batch go for each message in its gate.
#[derive(Debug)]
struct Gated(Mutex<mpsc::Receiver<()>>);

impl SpanExporter for Gated {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        let _ = self.0.lock().unwrap().recv();
        Ok(())
    }
}

#[test]
fn above_the_bound_spans_are_dropped_to_the_very_number() {
    let (gate, wait) = mpsc::channel();
    let traces = Traces::over(Gated(Mutex::new(wait)));
    leave_spans(&traces, QUEUE + 10);
    assert_eq!((traces.exported(), traces.dropped()), (0, 10));

    drop(gate);
    assert_eq!(traces.shutdown(PATIENCE), 0);
    assert_eq!((traces.exported(), traces.dropped()), (QUEUE as u64, 10));
}

#[test]
fn a_span_that_ends_after_the_end_goes_nowhere() {
    let (gate, wait) = mpsc::channel();
    drop(gate);
    let traces = Traces::over(Gated(Mutex::new(wait)));
    assert_eq!(traces.shutdown(PATIENCE), 0);
    leave_spans(&traces, 1);
    assert_eq!(traces.shutdown(PATIENCE), 0, "a second time does nothing");
    assert_eq!((traces.exported(), traces.dropped()), (0, 0));
}

/// An exporter that keeps what it is sent.
#[derive(Debug, Clone, Default)]
struct Keeping(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Keeping {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

#[test]
fn the_layer_takes_work_alone_and_nothing_that_is_logged_in_it() {
    let kept = Keeping::default();
    let traces = Traces::over(kept.clone());
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    tracing::subscriber::with_default(subscriber, || {
        assert_eq!(LevelFilter::current(), LevelFilter::INFO, "finer ones are not asked about");
        assert!(tracing::info_span!("of the calls").is_disabled());
        assert!(tracing::info_span!(target: "holdline::audit", "other").is_disabled());
        assert!(!tracing::enabled!(target: "holdline::work", tracing::Level::INFO), "no event");
        work::Work::Reload.run(|| {
            tracing::info!(target: "holdline::work", reason = "theirs", "logged");
            let failed: Result<(), ()> = work::Work::Read.attempt(|| Err(()));
            assert!(failed.is_err());
            work::tell(Attribute::Changes, 3);
        });
    });
    assert_eq!(traces.shutdown(PATIENCE), 0);
    let spans = kept.0.lock().unwrap().clone();
    let [read, reload] = &spans[..] else { panic!("two: {spans:?}") };
    assert_eq!((&*read.name, &*reload.name), ("read", "reload"));
    assert_eq!(read.parent_span_id, reload.span_context.span_id());
    assert_eq!((&read.status, &reload.status), (&Status::error(""), &Status::Unset));
    assert_eq!(reload.attributes, [KeyValue::new("holdline.changes", 3)]);
    assert!(read.attributes.is_empty() && read.events.is_empty() && reload.events.is_empty());
}

#[tokio::test]
async fn an_endpoint_is_taken_as_it_is_meant() {
    for (endpoint, expected) in [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://collector/otlp", "https://collector/otlp/v1/traces"),
        ("https://collector/otlp/?key=1", "https://collector/otlp/v1/traces?key=1"),
    ] {
        assert_eq!(signal(&endpoint.parse().unwrap()), expected);
    }
    let runtime = runtime::Handle::current();
    for protocol in [TraceProtocol::HttpProtobuf, TraceProtocol::Grpc] {
        assert!(Traces::start(&settings("https://collector:4317", protocol), &runtime).is_ok());
        let refused = Traces::start(&settings("https://me:secret@collector", protocol), &runtime);
        let said = format!("{:?}", refused.unwrap_err());
        assert_eq!(said, "Credentials");
    }
}
