//! A collector that is gone or hangs: calls are answered, what is lost is counted, the end is not
//! delayed.

use std::{net::SocketAddr, time::Duration};

use holdline::time;
use tokio::net::TcpListener;

use crate::support::{
    eventually,
    otlp::{Protocol, telemetry},
    service::{Outside, Service, Wish},
};

const DROPPED: &str = r#"holdline_telemetry_dropped_total{signal="spans"}"#;

/// Spans go out almost at once, and an export that hangs is given up early.
const SOON: [(&str, &str); 1] = [("OTEL_BSP_SCHEDULE_DELAY", "50")];

/// The end of a service that gives the last spans two seconds.
const END: Duration = Duration::from_millis(3_500);

async fn start(collector: SocketAddr, protocol: Protocol) -> Service {
    let endpoint = format!("http://{collector}");
    let telemetry = telemetry(&endpoint, protocol, 1.0);
    let yaml = Outside::start().await.yaml(&Wish { telemetry: &telemetry, ..Wish::default() });
    Service::start(&yaml, &SOON).await
}

async fn calls_are_answered(service: &Service, calls: u64) {
    for customer in 1..=calls {
        let began = time::now();
        assert_eq!(service.status("customer-lookup", customer).await, 200);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

/// Ends it. What it has written is returned.
async fn ends_in_time(service: Service) -> String {
    let began = time::now();
    let ended = service.terminated().await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    assert!(began.elapsed() < END, "{:?}: {}", began.elapsed(), ended.out);
    assert!(ended.out.contains(r#""message":"stopped""#), "{}", ended.out);
    ended.out
}

async fn a_collector_that_is_gone_costs_its_spans_alone(protocol: Protocol) {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let service = start(gone, protocol).await;
    // What its start left may be lost by now.
    let dropped = service.metric(DROPPED).await;
    assert!(dropped.is_some_and(|dropped| dropped <= 3.0), "there before a call: {dropped:?}");
    calls_are_answered(&service, 20).await;
    eventually("spans counted as lost", async || {
        service.metric(DROPPED).await.filter(|dropped| *dropped >= 9.0)
    })
    .await;
    ends_in_time(service).await;
}

#[tokio::test]
async fn a_collector_that_is_gone_costs_its_spans_alone_over_http() {
    a_collector_that_is_gone_costs_its_spans_alone(Protocol::Http).await;
}

#[tokio::test]
async fn a_collector_that_is_gone_costs_its_spans_alone_over_grpc() {
    a_collector_that_is_gone_costs_its_spans_alone(Protocol::Grpc).await;
}

async fn a_collector_that_hangs_holds_neither_calls_nor_the_end(protocol: Protocol) {
    // The kernel accepts the connection, and nobody ever answers on it.
    let hung = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = start(hung.local_addr().unwrap(), protocol).await;
    // More spans than may be on their way.
    calls_are_answered(&service, 300).await;
    eventually("spans counted as lost", async || {
        service.metric(DROPPED).await.filter(|dropped| *dropped > 0.0)
    })
    .await;
    let log = ends_in_time(service).await;
    assert!(log.contains(r#""message":"spans were lost at the end""#), "{log}");
}

#[tokio::test]
async fn a_collector_that_hangs_holds_neither_calls_nor_the_end_over_http() {
    a_collector_that_hangs_holds_neither_calls_nor_the_end(Protocol::Http).await;
}

#[tokio::test]
async fn a_collector_that_hangs_holds_neither_calls_nor_the_end_over_grpc() {
    a_collector_that_hangs_holds_neither_calls_nor_the_end(Protocol::Grpc).await;
}
