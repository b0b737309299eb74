//! The spans of what is no call: what the service does on its own, and what its operator changes.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind},
};
use serde_json::{Value as Json, json};

use crate::support::{
    eventually,
    otlp::{Collector, Protocol, attribute, hex, is_error, text},
    program::Ended,
    service::{Outside, Service, Wish},
};

/// In whatever an operator writes.
const PLANTED: &str = "planted-4711";

/// A service that samples no call, and the collector of its traces.
struct Working {
    outside: Outside,
    collector: Collector,
    service: Service,
}

impl Working {
    async fn start(protocol: Protocol) -> Self {
        let (outside, collector) = (Outside::start().await, Collector::start(protocol).await);
        let yaml = yaml(&outside, &collector.telemetry(protocol, 0.0), "$.name");
        Self { service: Service::start(&yaml, &[]).await, outside, collector }
    }

    /// Writes another configuration.
    fn write(&self, full_name: &str) {
        let telemetry = self.collector.telemetry(Protocol::Http, 0.0);
        self.service.write(&yaml(&self.outside, &telemetry, full_name));
    }

    async fn post(&self, path: &str, wish: &Json) -> u16 {
        let url = format!("http://{}{path}", self.service.admin);
        self.service.client.post(url).json(wish).send().await.unwrap().status().as_u16()
    }

    /// Ends the service: the spans of its work, and what it wrote.
    async fn end(self) -> (Vec<Span>, Collector, Ended) {
        let ended = self.service.terminated().await;
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
        (self.collector.work(), self.collector, ended)
    }
}

fn yaml(outside: &Outside, telemetry: &str, full_name: &str) -> String {
    let yaml = outside.yaml(&Wish { telemetry, ..Wish::default() });
    yaml.replace("from: $.name", &format!("from: {full_name}"))
}

/// Each span as the names from its root down to it.
fn ways(spans: &[Span]) -> BTreeSet<String> {
    let above = |span: &Span| spans.iter().find(|other| other.span_id == span.parent_span_id);
    let way = |span: &Span| {
        let mut way = span.name.clone();
        let mut at = above(span);
        while let Some(span) = at {
            way = format!("{}/{way}", span.name);
            at = above(span);
        }
        way
    };
    spans.iter().map(way).collect()
}

/// Those of that name.
fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// All lines of the log with that message.
fn lines(ended: &Ended, message: &str) -> Vec<Json> {
    let lines = ended.out.lines().map(|line| serde_json::from_str(line).unwrap_or_default());
    lines.filter(|line: &Json| line["message"] == message).collect()
}

/// The lines name the trace of the work, and the span.
fn named_by(lines: &[Json], span: &Span) -> bool {
    let ids = (hex(&span.trace_id), hex(&span.span_id));
    lines.iter().any(|line| line["trace_id"] == ids.0 && line["span_id"] == ids.1)
}

async fn start_and_end_leave_their_phases(protocol: Protocol) {
    let working = Working::start(protocol).await;
    assert_eq!(working.service.status("customer-lookup", 1).await, 200);
    let (spans, collector, ended) = working.end().await;
    let expected = ["start", "start/wire", "start/listen", "stop", "stop/pause", "stop/calls"];
    assert_eq!(ways(&spans), expected.map(str::to_owned).into(), "{spans:?}");
    assert_eq!(spans.len(), expected.len(), "one each");
    for span in &spans {
        assert_eq!((span.kind, is_error(span)), (SpanKind::Internal as i32, false), "{span:?}");
        let told = match &*span.name {
            "start" | "calls" => 1,
            _ => 0,
        };
        assert_eq!(span.attributes.len(), told, "nothing else: {span:?}");
    }
    assert_eq!(text(named(&spans, "start")[0], "holdline.result").as_deref(), Some("ready"));
    let cut = attribute(named(&spans, "calls")[0], "holdline.cut");
    assert_eq!(cut, Some(Value::IntValue(0)));
    assert!(named_by(&lines(&ended, "draining"), named(&spans, "stop")[0]), "{}", ended.out);
    let calls = lines(&ended, "call ended");
    let traces: Vec<_> = spans.iter().map(|span| hex(&span.trace_id)).collect();
    assert!(calls.iter().all(|line| !traces.iter().any(|trace| line["trace_id"] == **trace)));
    assert_eq!(collector.spans(), [], "no call was picked");
}

#[tokio::test]
async fn start_and_end_leave_their_phases_over_http() {
    start_and_end_leave_their_phases(Protocol::Http).await;
}

#[tokio::test]
async fn start_and_end_leave_their_phases_over_grpc() {
    start_and_end_leave_their_phases(Protocol::Grpc).await;
}

#[tokio::test]
async fn a_reload_leaves_why_it_was_and_what_came_of_it() {
    let working = Working::start(Protocol::Http).await;
    let reloaded = async |result: &str| {
        let series = format!("holdline_config_reloads_total{{result=\"{result}\"}}");
        eventually(format_args!("{series}"), async || {
            (working.service.metric(&series).await? >= 1.0).then_some(())
        })
        .await;
    };
    working.write("$.email");
    reloaded("applied").await;
    working.write(&format!("$.email, {PLANTED}: 1"));
    reloaded("refused").await;
    let (spans, collector, ended) = working.end().await;

    let reloads = named(&spans, "reload");
    let result = |result: &str| {
        let mut found =
            reloads.iter().filter(|span| text(span, "holdline.result").as_deref() == Some(result));
        let span = *found.next().unwrap_or_else(|| panic!("no {result} in {reloads:?}"));
        assert_eq!(text(span, "holdline.cause").as_deref(), Some("file"), "{span:?}");
        let below = |child: &&Span| child.parent_span_id == span.span_id;
        let below: BTreeSet<_> = spans.iter().filter(below).map(|span| &*span.name).collect();
        (span, below)
    };
    let (applied, below) = result("applied");
    assert_eq!(below, ["read", "build", "apply"].into());
    assert_eq!(attribute(applied, "holdline.changes"), Some(Value::IntValue(1)));
    assert!(!is_error(applied));
    assert!(named_by(&lines(&ended, "configuration replaced"), applied), "{}", ended.out);
    let (refused, below) = result("refused");
    assert_eq!(below, ["read"].into());
    assert!(is_error(refused), "somebody has to mend it");
    assert!(ended.out.contains(PLANTED), "the log says what is wrong: {}", ended.out);
    holds_no_word_of_theirs(&collector);
}

#[tokio::test]
async fn each_change_by_an_operator_leaves_its_name_and_what_came_of_it() {
    let working = Working::start(Protocol::Http).await;
    let why = json!({"reason": PLANTED});
    for (path, wish, status) in [
        ("/cache/purge", json!({"customer": 987_654_321}), 200),
        ("/cache/purge", json!({"action": PLANTED}), 400),
        ("/tokens/revoke", json!({"token": PLANTED}), 200),
        ("/breakers/crm", json!({"state": "open", "reason": PLANTED}), 200),
        ("/breakers/planted-4711", json!({"state": "auto"}), 404),
        ("/drain", why.clone(), 200),
        ("/undrain", why.clone(), 200),
        ("/log-level", json!({"level": "info", "reason": PLANTED}), 200),
        ("/reload", why, 200),
    ] {
        assert_eq!(working.post(path, &wish).await, status, "{path} {wish}");
    }
    let page = working.service.client.post(format!("http://{}/drain", working.service.admin));
    let page = page.header("origin", "https://planted-4711.example").send().await.unwrap();
    assert_eq!(page.status(), 403, "who is turned away at the door leaves none");
    assert_eq!(working.service.get(working.service.admin, "/drain").await.0, 405, "nor this");
    let (spans, collector, ended) = working.end().await;

    let mut changes = named(&spans, "change");
    changes.sort_by_key(|span| span.start_time_unix_nano);
    let said = |span: &&Span| {
        assert!(span.parent_span_id.is_empty() && !is_error(span), "{span:?}");
        assert_eq!(span.attributes.len(), 2, "nothing else: {span:?}");
        let said = ["holdline.change", "holdline.result"].map(|key| text(span, key).unwrap());
        said.join(" ")
    };
    assert_eq!(
        changes.iter().map(said).collect::<Vec<_>>(),
        [
            "purge done",
            "purge refused",
            "revoke done",
            "breaker done",
            "breaker refused",
            "drain done",
            "undrain done",
            "log_level done",
            "reload done",
        ]
    );
    let [reload] = named(&spans, "reload")[..] else { panic!("one: {spans:?}") };
    assert_eq!(reload.parent_span_id, changes[8].span_id, "it lies in what was asked for");
    let told = ["holdline.cause", "holdline.result"].map(|key| text(reload, key).unwrap());
    assert_eq!(told, ["operator", "unchanged"]);
    for (message, span) in
        [("cache purged", 0), ("change refused", 1), ("breaker set", 3), ("drained by hand", 5)]
    {
        let lines = lines(&ended, message);
        assert!(named_by(&lines, changes[span]), "{message}: {lines:#?}");
    }
    assert!(ended.out.contains(PLANTED), "the log has the reasons");
    holds_no_word_of_theirs(&collector);
}

fn holds_no_word_of_theirs(collector: &Collector) {
    let bytes = collector.bytes();
    let all = String::from_utf8_lossy(&bytes);
    for word in [PLANTED, "987654321", "127.0.0.1", "holdline.yaml", "customer-lookup"] {
        assert!(!all.contains(word), "{word} in {all}");
    }
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_different() {
    let service = Service::start(&Outside::start().await.yaml(&Wish::default()), &[]).await;
    let drain = service.client.post(format!("http://{}/drain", service.admin));
    assert_eq!(drain.json(&json!({"reason": "why"})).send().await.unwrap().status(), 200);
    let ended = service.terminated().await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    for message in ["ready", "drained by hand", "draining", "stopped"] {
        let lines = lines(&ended, message);
        let [line] = &lines[..] else { panic!("one {message}: {}", ended.out) };
        assert_eq!((line.get("trace_id"), line.get("span_id")), (None, None), "{line}");
    }
}
