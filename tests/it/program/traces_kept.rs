//! Traces of calls that nobody picked: those that fail, degrade or are slow leave theirs whole.

use std::time::Duration;

use holdline::demo::fault::{Fault, Standing};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};

use crate::support::{
    otlp::{Collector, Protocol, hex, is_error, text},
    service::{CACHED, Outside, Service, Wish},
};

/// A service that samples none, with that below `keep`, and what stands around it.
async fn start(keep: &str, upstream: &str, action: &str) -> (Outside, Collector, Service) {
    let (outside, collector) = (Outside::start().await, Collector::start(Protocol::Http).await);
    let telemetry = collector.telemetry(Protocol::Http, 0.0);
    let telemetry = telemetry.replace("sample_ratio", &format!("keep: {{{keep}}}, sample_ratio"));
    let wish = Wish { telemetry: &telemetry, upstream, action, ..Wish::default() };
    let service = Service::start(&outside.yaml(&wish), &[]).await;
    (outside, collector, service)
}

/// Name, the name of what it lies in, and whether it is an error, in the order of their beginnings.
fn shape(spans: &[Span]) -> Vec<(&str, &str, bool)> {
    let mut spans: Vec<_> = spans.iter().collect();
    spans.sort_by_key(|span| {
        (span.start_time_unix_nano, std::cmp::Reverse(span.end_time_unix_nano))
    });
    let above = |span: &Span| {
        let found = spans.iter().find(|other| other.span_id == span.parent_span_id);
        found.map_or("", |found| &*found.name)
    };
    spans.iter().map(|span| (&*span.name, above(span), is_error(span))).collect()
}

#[tokio::test]
async fn a_call_that_failed_leaves_its_whole_trace_and_a_good_one_none() {
    let retries = "retry: {attempts: 2, backoff: {first: 1ms, max: 2ms}}";
    let (outside, collector, service) = start("failures: true", retries, CACHED).await;
    assert_eq!(service.status("customer-lookup", 1).await, 200);
    outside.crm.site.set(Standing::every(Fault::status(503))).await.unwrap();
    assert_eq!(service.status("customer-lookup", 2).await, 503);
    let ended = service.terminated().await;
    let spans = collector.spans();
    let (root, attempt) = ("POST /data-action/{action}", "GET /users/{customer_id}");
    assert_eq!(
        shape(&spans),
        [
            (root, "", true),
            ("authenticate", root, false),
            ("validate", root, false),
            ("rate_limit", root, false),
            ("cache", root, true),
            ("flight", root, true),
            ("upstream", "flight", true),
            (attempt, "upstream", true),
            (attempt, "upstream", true),
        ]
    );
    let span = spans.iter().find(|span| span.name == root).unwrap();
    assert_eq!(span.kind, SpanKind::Server as i32);
    assert_eq!(text(span, "holdline.outcome").as_deref(), Some("upstream_error"));
    // The log line of the call names the same trace and span.
    let line = ended.out.lines().find(|line| line.contains("upstream_error")).unwrap();
    assert!(line.contains(&hex(&span.trace_id)) && line.contains(&hex(&span.span_id)), "{line}");
    assert!(spans.iter().all(|other| other.trace_id == span.trace_id));
    let within = |other: &Span| {
        other.start_time_unix_nano >= span.start_time_unix_nano
            && other.end_time_unix_nano <= span.end_time_unix_nano
    };
    assert!(spans.iter().all(within), "{spans:?}");
}

#[tokio::test]
pub(crate) async fn failures_are_not_kept_where_that_is_switched_off() {
    let (outside, collector, service) =
        start("failures: false", "retry: {attempts: 1}", CACHED).await;
    outside.crm.site.set(Standing::every(Fault::status(503))).await.unwrap();
    assert_eq!(service.status("customer-lookup", 2).await, 503);
    service.terminated().await;
    assert_eq!(collector.spans(), []);
}

#[tokio::test]
pub(crate) async fn a_slow_call_leaves_its_trace_by_what_is_called_slow() {
    for (slower_than, kept) in [("50ms", true), ("30s", false)] {
        let keep = format!("failures: false, slower_than: {slower_than}");
        let (outside, collector, service) = start(&keep, "retry: {attempts: 1}", CACHED).await;
        let late = Fault::Latency(Duration::from_millis(120));
        outside.crm.site.set(Standing::every(late)).await.unwrap();
        assert_eq!(service.status("customer-lookup", 2).await, 200);
        service.terminated().await;
        assert_eq!(!collector.spans().is_empty(), kept, "{slower_than}");
    }
}
