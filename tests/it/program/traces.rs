//! The traces that calls leave at a collector: which spans, below which, and what they say.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use holdline::demo::fault::{Fault, Standing};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind},
};

use crate::support::{
    otlp::{Collector, Protocol, attribute, hex, is_error, text},
    program::Ended,
    service::{CACHED, Outside, Service, Wish},
};

const ROOT: &str = "POST /data-action/{action}";
const QUESTION: &str = "POST introspection";
const ATTEMPT: &str = "GET /users/{customer_id}";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A service, what stands around it, and the collector of its traces.
struct Traced {
    outside: Outside,
    collector: Collector,
    service: Service,
}

impl Traced {
    /// All calls sampled, spoken to over HTTP.
    async fn start(wish: Wish<'_>) -> Self {
        Self::with(Protocol::Http, 1.0, wish).await
    }

    async fn with(protocol: Protocol, ratio: f64, wish: Wish<'_>) -> Self {
        let (outside, collector) = (Outside::start().await, Collector::start(protocol).await);
        let telemetry = collector.telemetry(protocol, ratio);
        let yaml = outside.yaml(&Wish { telemetry: &telemetry, ..wish });
        Self { service: Service::start(&yaml, &[]).await, outside, collector }
    }

    /// Ends the service, which sends what it has.
    async fn end(self) -> (Collector, Ended) {
        let ended = self.service.terminated().await;
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
        (self.collector, ended)
    }
}

/// The one span of that name.
fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} in {:?}", names(spans)));
    assert!(found.next().is_none(), "two {name} in {:?}", names(spans));
    span
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| &*span.name).collect()
}

/// The name of each span, and that of its parent.
fn parents(spans: &[Span]) -> BTreeMap<&str, &str> {
    let name = |id: &[u8]| {
        spans.iter().find(|span| span.span_id == id).map_or("", |span| span.name.as_str())
    };
    spans.iter().map(|span| (&*span.name, name(&span.parent_span_id))).collect()
}

async fn a_miss_leaves_a_span_for_every_stage(protocol: Protocol) {
    let traced = Traced::with(protocol, 1.0, Wish::default()).await;
    assert_eq!(traced.service.status("customer-lookup", 1).await, 200);
    let (collector, ended) = traced.end().await;

    let spans = collector.spans();
    let expected = [
        (ROOT, ""),
        ("authenticate", ROOT),
        ("validate", ROOT),
        ("rate_limit", ROOT),
        ("cache", ROOT),
        ("flight", ROOT),
        ("upstream", "flight"),
        ("map_output", "flight"),
        (ATTEMPT, "upstream"),
        (QUESTION, "authenticate"),
    ];
    assert_eq!(parents(&spans), expected.into(), "{:?}", names(&spans));
    assert_eq!(spans.len(), expected.len(), "one each: {:?}", names(&spans));
    let root = named(&spans, ROOT);
    assert!(spans.iter().all(|span| span.trace_id == root.trace_id), "one trace");
    assert!(!spans.iter().any(is_error), "all was well");
    for span in &spans {
        let kind = match &*span.name {
            ROOT => SpanKind::Server,
            ATTEMPT | QUESTION => SpanKind::Client,
            _ => SpanKind::Internal,
        };
        assert_eq!(span.kind, kind as i32, "{}", span.name);
        let within = root.start_time_unix_nano..=span.end_time_unix_nano;
        assert!(within.contains(&span.start_time_unix_nano), "{}", span.name);
    }
    the_root_says_how_the_call_ended(root);
    let attempt = named(&spans, ATTEMPT);
    assert_eq!(text(attempt, "url.template").as_deref(), Some("/users/{customer_id}"));
    assert_eq!(text(attempt, "server.address").as_deref(), Some("127.0.0.1"));
    assert!(matches!(attribute(attempt, "server.port"), Some(Value::IntValue(1..))));
    assert_eq!(attribute(attempt, "http.request.resend_count"), None, "the first");
    for span in [root, attempt] {
        let status = attribute(span, "http.response.status_code");
        assert_eq!(status, Some(Value::IntValue(200)), "a number: {}", span.name);
    }
    for (stage, decision) in [
        ("authenticate", "remote"),
        ("cache", "miss"),
        ("flight", "landed"),
        ("upstream", "answered"),
    ] {
        let decided = text(named(&spans, stage), "holdline.decision");
        assert_eq!(decided.as_deref(), Some(decision), "{stage}");
    }
    the_log_line_names(root, &ended);
}

fn the_root_says_how_the_call_ended(root: &Span) {
    for (key, expected) in [
        ("http.request.method", "POST"),
        ("http.route", "/data-action/{action}"),
        ("holdline.action", "customer-lookup"),
        ("holdline.outcome", "ok"),
        ("holdline.class", "success"),
        ("holdline.source", "upstream"),
    ] {
        assert_eq!(text(root, key).as_deref(), Some(expected), "{key}");
    }
}

/// The log line and the span of a call are found by one another.
fn the_log_line_names(root: &Span, ended: &Ended) {
    let lines = ended.out.lines().filter(|line| line.contains(r#""message":"call ended""#));
    let lines: Vec<serde_json::Value> =
        lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = lines.iter().find(|line| line["trace_id"] == hex(&root.trace_id));
    let line = line.unwrap_or_else(|| panic!("no line of that trace: {lines:#?}"));
    assert_eq!(line["span_id"], hex(&root.span_id));
    assert_eq!(line["request_id"].as_str(), text(root, "holdline.request_id").as_deref());
}

#[tokio::test]
pub(crate) async fn a_miss_leaves_a_span_for_every_stage_over_http() {
    a_miss_leaves_a_span_for_every_stage(Protocol::Http).await;
}

#[tokio::test]
pub(crate) async fn a_miss_leaves_a_span_for_every_stage_over_grpc() {
    a_miss_leaves_a_span_for_every_stage(Protocol::Grpc).await;
}

#[tokio::test]
async fn a_repeated_attempt_has_a_span_of_its_own_that_says_how_often_it_was_sent() {
    let traced = Traced::start(Wish::default()).await;
    traced.outside.crm.site.script([Fault::status(503)]);
    assert_eq!(traced.service.status("customer-lookup", 1).await, 200);
    let (collector, _) = traced.end().await;

    let spans = collector.spans();
    let mut attempts: Vec<_> = spans.iter().filter(|span| span.name == ATTEMPT).collect();
    attempts.sort_by_key(|span| span.start_time_unix_nano);
    let [first, second] = attempts[..] else { panic!("two: {:?}", names(&spans)) };
    let status = |span: &Span| attribute(span, "http.response.status_code");
    assert_eq!(status(first), Some(Value::IntValue(503)));
    assert_eq!(text(first, "error.type").as_deref(), Some("503"));
    assert_eq!(attribute(first, "http.request.resend_count"), None);
    assert_eq!(status(second), Some(Value::IntValue(200)));
    assert_eq!(attribute(second, "http.request.resend_count"), Some(Value::IntValue(1)));
    assert_eq!(text(second, "error.type"), None);
    assert_eq!(first.parent_span_id, second.parent_span_id);
    // What a repeat healed is the attempt's failure, and nobody else's.
    let failed: Vec<_> = spans.iter().filter(|span| is_error(span)).collect();
    assert_eq!(failed, [first], "{:?}", names(&spans));
    let decided = text(named(&spans, "upstream"), "holdline.decision");
    assert_eq!(decided.as_deref(), Some("retried"));
}

#[tokio::test]
async fn a_hit_leaves_no_span_behind_the_cache() {
    let traced = Traced::start(Wish::default()).await;
    for _ in 0..2 {
        assert_eq!(traced.service.status("customer-lookup", 1).await, 200);
    }
    let (collector, _) = traced.end().await;
    let roots = collector.roots();
    let hit = roots.iter().find(|root| text(root, "holdline.source").unwrap() == "cache_fresh");
    let trace = collector.trace(hit.expect("one of the two"));
    let mut stages = names(&trace);
    stages.sort_unstable();
    assert_eq!(stages, [ROOT, "authenticate", "cache", "rate_limit", "validate"]);
    let decided = |stage| text(named(&trace, stage), "holdline.decision").unwrap();
    assert_eq!((&*decided("authenticate"), &*decided("cache")), ("cache", "hit"));
}

#[tokio::test]
async fn only_failures_of_ours_or_the_upstreams_are_errors() {
    let upstream = "retry: {attempts: 1}, breaker: {enabled: false}";
    let traced = Traced::start(Wish { upstream, ..Wish::default() }).await;
    let (service, crm) = (&traced.service, &traced.outside.crm.site);
    assert_eq!(service.status("customer-lookup", 900_000).await, 404);
    assert_eq!(service.status("customer-lookup", "x").await, 400);
    let bad = service.call("customer-lookup", 1).header("X-Genesys-Auth-Token", "bad-token");
    assert_eq!(bad.send().await.unwrap().status(), 401, "two headers");
    crm.script([Fault::status(500), Fault::Html, Fault::status(409)]);
    for (customer, expected) in [(2, 500), (4, 502), (5, 409)] {
        assert_eq!(service.status("customer-lookup", customer).await, expected);
    }
    crm.set(Standing::Down).await.unwrap();
    assert_eq!(service.status("customer-lookup", 3).await, 502);
    let (collector, _) = traced.end().await;

    let mut ended: Vec<_> = collector
        .roots()
        .iter()
        .map(|root| {
            let Some(Value::IntValue(status)) = attribute(root, "http.response.status_code") else {
                panic!("a status is a number: {root:?}")
            };
            // Of the spans below, an attempt follows the rule for clients: any 4xx is an error.
            let below = collector.trace(root);
            let below = below.iter().filter(|span| span.kind == SpanKind::Internal as i32);
            let stages = below.filter(|span| is_error(span)).count();
            (status, is_error(root), text(root, "error.type"), stages > 0)
        })
        .collect();
    ended.sort();
    let error = |word: &str| Some(word.to_owned());
    let expected = [
        (400, false, None, false),
        (401, false, None, false),
        (404, false, None, false),
        // A 4xx is the caller's to mend, whoever began it.
        (409, false, None, false),
        (500, true, error("upstream_error"), true),
        (502, true, error("mapping_error"), true),
        (502, true, error("upstream_unreachable"), true),
    ];
    assert_eq!(ended, expected);
}

#[tokio::test]
async fn a_call_that_waits_for_anothers_flight_is_linked_to_it() {
    let traced = Traced::start(Wish::default()).await;
    let (service, crm) = (&traced.service, &traced.outside.crm);
    // The token's verdict first, so that all three meet at the flight.
    assert_eq!(service.status("customer-lookup", 1).await, 200);
    crm.site.set(Standing::late(std::time::Duration::from_millis(300))).await.unwrap();
    let calls = (0..3).map(|_| service.status("customer-lookup", 2));
    assert_eq!(join_all(calls).await, [200; 3]);
    assert_eq!(crm.site.requests_for("/users/2"), 1);
    let (collector, _) = traced.end().await;

    let source = |root: &Span| text(root, "holdline.source").unwrap();
    let (followers, others): (Vec<_>, Vec<_>) =
        collector.roots().into_iter().partition(|root| source(root) == "coalesced");
    assert_eq!((followers.len(), others.len()), (2, 2));
    for follower in followers {
        let trace = collector.trace(&follower);
        let waiting = named(&trace, "flight");
        assert_eq!(waiting.parent_span_id, follower.span_id);
        let [link] = &waiting.links[..] else { panic!("one link: {waiting:?}") };
        let leader = others.iter().find(|root| root.trace_id == link.trace_id);
        let leader = leader.expect("the link leads to a call");
        assert_eq!(link.span_id, leader.span_id, "to the leader's own span");
        assert_eq!(source(leader), "upstream");
        assert!(!trace.iter().any(|span| span.name == ATTEMPT), "the leader's alone");
    }
}

#[tokio::test]
async fn a_refresh_behind_a_stale_answer_is_a_trace_of_its_own_linked_to_the_call() {
    let action = "    cache: {ttl: 1ms, stale_while_revalidate: 1h}";
    let traced = Traced::start(Wish { action, ..Wish::default() }).await;
    for _ in 0..2 {
        assert_eq!(traced.service.status("customer-lookup", 1).await, 200);
    }
    traced.outside.crm.site.until(|counts| counts.requests == 2).await;
    let (collector, _) = traced.end().await;

    let source = |root: &&Span| text(root, "holdline.source").unwrap() == "cache_stale";
    let roots = collector.roots();
    let stale = roots.iter().find(source).expect("the second was answered stale");
    let spans = collector.spans();
    let linked = |span: &&Span| span.links.iter().any(|link| link.span_id == stale.span_id);
    let refresh = spans.iter().find(linked).expect("something is linked to the call");
    assert_eq!((&*refresh.name, &*refresh.parent_span_id), ("flight", &[][..]));
    assert_ne!(refresh.trace_id, stale.trace_id);
    let expected =
        [("flight", ""), ("upstream", "flight"), (ATTEMPT, "upstream"), ("map_output", "flight")];
    assert_eq!(parents(&collector.trace(refresh)), expected.into());
}

#[tokio::test]
pub(crate) async fn a_trusted_callers_trace_is_continued() {
    let server = "drain: {delay: 0s}, trust_trace_context: true";
    // The caller's word stands over the ratio, both ways.
    let traced = Traced::with(Protocol::Http, 0.0, Wish { server, ..Wish::default() }).await;
    let call =
        |parent: &str| traced.service.call("customer-lookup", 1).header("traceparent", parent);
    let unsampled = PARENT.replace("-01", "-00");
    for parent in [PARENT, &unsampled] {
        assert_eq!(call(parent).send().await.unwrap().status(), 200);
    }
    let (collector, ended) = traced.end().await;
    let roots = collector.roots();
    let [root] = &roots[..] else { panic!("one is sampled: {roots:?}") };
    assert_eq!(hex(&root.trace_id), PARENT[3..35]);
    assert_eq!(hex(&root.parent_span_id), PARENT[36..52]);
    assert!(root.links.is_empty());
    the_log_line_names(root, &ended);
}

#[tokio::test]
async fn a_strangers_trace_is_linked_and_not_continued() {
    let traced = Traced::start(Wish::default()).await;
    let call = traced.service.call("customer-lookup", 1).header("traceparent", PARENT);
    let call = call.header("tracestate", "vendor=49-151-1234567");
    assert_eq!(call.send().await.unwrap().status(), 200);
    let (collector, _) = traced.end().await;
    let roots = collector.roots();
    let [root] = &roots[..] else { panic!("one: {roots:?}") };
    assert_ne!(hex(&root.trace_id), PARENT[3..35]);
    assert!(root.parent_span_id.is_empty(), "a root");
    let [link] = &root.links[..] else { panic!("one link: {root:?}") };
    assert_eq!(
        (hex(&link.trace_id), hex(&link.span_id)),
        (PARENT[3..35].into(), PARENT[36..52].into())
    );
    assert_eq!(link.trace_state, "", "free text of a stranger stays outside");
}

#[tokio::test]
async fn an_upstream_is_sent_the_trace_where_it_shall_be() {
    for (propagate, ratio) in [(true, 1.0), (true, 0.0), (false, 1.0)] {
        let upstream = format!("propagate_trace: {propagate}");
        let wish = Wish { upstream: &upstream, action: CACHED, ..Wish::default() };
        let traced = Traced::with(Protocol::Http, ratio, wish).await;
        assert_eq!(traced.service.status("customer-lookup", 1).await, 200);
        let seen = traced.outside.crm.site.seen();
        let sent = seen[0].request.header("traceparent").map(str::to_owned);
        let asked = traced.outside.genesys.site.seen();
        assert_eq!(asked[0].request.header("traceparent"), None, "the authority never is");
        let (collector, _) = traced.end().await;
        let spans = collector.spans();
        let expected = spans
            .iter()
            .find(|span| span.name == ATTEMPT)
            .map(|attempt| format!("00-{}-{}-", hex(&attempt.trace_id), hex(&attempt.span_id)));
        match (sent, expected) {
            (None, _) => assert!(!propagate),
            (Some(sent), Some(attempt)) => {
                assert!(sent.starts_with(&attempt), "{sent} is not {attempt}..");
                assert!(sent.ends_with("01") || sent.ends_with("03"), "sampled: {sent}");
            }
            (Some(sent), None) => {
                assert_eq!(spans, [], "nobody records it");
                assert!(sent.ends_with("00") || sent.ends_with("02"), "not sampled: {sent}");
            }
        }
    }
}

#[tokio::test]
pub(crate) async fn no_call_leaves_a_span_where_none_is_sampled() {
    let traced = Traced::with(Protocol::Http, 0.0, Wish::default()).await;
    for customer in 1..=20 {
        assert_eq!(traced.service.status("customer-lookup", customer).await, 200);
    }
    let (collector, ended) = traced.end().await;
    assert_eq!(collector.spans(), []);
    let lines = ended.out.lines().filter(|line| line.contains("call ended"));
    for line in lines {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["trace_id"].as_str().map(str::len), Some(32), "{line}");
    }
}
