//! The trace of a call that was kept is the trace that it would have left had it been picked: the same
//! calls of two services, one that picks all and one that picks none.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join;
use holdline::demo::fault::{Fault, Standing};
use opentelemetry_proto::tonic::{common::v1::any_value::Value, trace::v1::Span};
use reqwest::RequestBuilder;
use serde_json::json;

use crate::support::{
    otlp::{Collector, Protocol, is_error, text},
    service::{CACHED, Outside, Service, TOKEN_HEADER, Wish},
};

/// Longer than it takes a good call, shorter than a slow one.
const SLOW: Duration = Duration::from_millis(200);
/// How late a slow reply is.
const LATE: Duration = Duration::from_millis(300);

/// One service, and the calls made of it so far that leave a trace in any case.
struct Told<'a> {
    outside: &'a Outside,
    service: Service,
    collector: Collector,
    /// Each with what it is, and its request id.
    calls: Vec<(String, String)>,
}

impl<'a> Told<'a> {
    async fn start(outside: &'a Outside, ratio: f64) -> Self {
        let collector = Collector::start(Protocol::Http).await;
        let keep =
            format!("keep: {{failures: true, slower_than: {}ms}}, sample_ratio", SLOW.as_millis());
        let telemetry = collector.telemetry(Protocol::Http, ratio).replace("sample_ratio", &keep);
        let input = "input: {customer_id: {type: integer, required: true}}
    output: {name: {type: string, from: $.name}}
    caller: genesys";
        let path = "method: GET, path: '/users/{customer_id}'";
        let more = format!(
            "
  plain:
    {input}
    request: {{upstream: crm, {path}}}
    fallback: {{name: Nobody}}
  hedged:
    {input}
    request: {{upstream: late, {path}}}
  aging:
    {input}
    request: {{upstream: crm, {path}}}
    cache: {{ttl: 1ms, key: [customer_id], stale_while_revalidate: 1h}}
  aged:
    {input}
    request: {{upstream: crm, {path}}}
    cache: {{ttl: 1ms, key: [customer_id], stale_if_error: 1h}}"
        );
        let wish = Wish {
            telemetry: &telemetry,
            upstream: "timeouts: {connect: 400ms, attempt: 800ms}, \
                       retry: {attempts: 2, backoff: {first: 1ms, max: 2ms}, on: [503, reset], budget: {per_second: 100}}, breaker: {run: 50, min_attempts: 50}",
            action: CACHED,
            more: &more,
            ..Wish::default()
        };
        let crm = outside.crm.site.url();
        let hedging = format!(
            "upstreams:\n  late: {{base_url: \"{crm}\", hedge: {{enabled: true, after: p50, budget: 1}}, retry: {{budget: {{per_second: 100}}}}}}\n"
        );
        let yaml = outside.yaml(&wish).replace("upstreams:\n", &hedging);
        let service = Service::start(&yaml, &[]).await;
        Self { outside, service, collector, calls: Vec::new() }
    }

    fn ask(&self, action: &str, customer: u64, token: &str) -> RequestBuilder {
        let body = json!({"data": {"customer_id": customer}});
        self.service.client.post(self.service.url(action)).header(TOKEN_HEADER, token).json(&body)
    }

    /// The request id of that call, which ends so.
    async fn ends(&self, call: RequestBuilder, status: u16) -> String {
        let response = call.send().await.unwrap();
        assert_eq!(response.status(), status, "{:?}", response.text().await);
        response.headers()["x-request-id"].to_str().unwrap().to_owned()
    }

    async fn good(&self, action: &str, customer: u64) {
        self.ends(self.ask(action, customer, "good"), 200).await;
    }

    /// The same of one whose trace is wanted.
    async fn told(&mut self, what: &str, (action, customer): (&str, u64), status: u16) {
        let id = self.ends(self.ask(action, customer, "good"), status).await;
        self.calls.push((what.into(), id));
    }

    async fn crm(&self, fault: Fault) {
        self.outside.crm.site.set(Standing::every(fault)).await.unwrap();
    }

    fn script<const N: usize>(&self, faults: [Fault; N]) {
        self.outside.crm.site.script(faults);
    }

    async fn failures(&mut self) {
        let failures = [
            ("retried in vain", 101, vec![Fault::status(503), Fault::status(503)], 503),
            ("rejected", 102, vec![Fault::status(409)], 409),
            ("no JSON", 103, vec![Fault::Html], 502),
            ("timed out", 104, vec![Fault::Hang], 504),
            ("broke off", 105, vec![Fault::Reset, Fault::Reset], 502),
        ];
        for (what, customer, faults, status) in failures {
            self.outside.crm.site.script(faults);
            self.told(what, ("customer-lookup", customer), status).await;
        }
        self.script([Fault::status(500)]);
        self.told("fell back", ("plain", 106), 200).await;
        self.outside.crm.site.set(Standing::Down).await.unwrap();
        self.told("unreachable", ("customer-lookup", 107), 502).await;
        self.outside.crm.site.set(Standing::ok()).await.unwrap();

        // Its flight goes on, and ends when the call has left its trace already.
        self.script([Fault::Latency(LATE)]);
        let short = self.ask("customer-lookup", 108, "good").header("X-Deadline-Ms", "120");
        let id = self.ends(short, 504).await;
        self.calls.push(("deadline".into(), id));
    }

    async fn slow_ones(&mut self) {
        self.script([Fault::status(503), Fault::Latency(LATE)]);
        self.told("retried and slow", ("customer-lookup", 121), 200).await;
        self.script([Fault::Latency(LATE)]);
        self.told("slow and not there", ("customer-lookup", 999_999), 404).await;
        self.script([Fault::Latency(LATE)]);
        let ask = || self.ask("customer-lookup", 122, "good");
        let both = join(self.ends(ask(), 200), self.ends(ask(), 200)).await;
        // Which of the two leads is chance.
        self.calls.push(("leader or follower".into(), both.0));
        self.calls.push(("leader or follower".into(), both.1));
        for customer in 1..=20 {
            self.good("hedged", customer).await;
        }
        self.script([Fault::Hang, Fault::Latency(LATE)]);
        self.told("hedged", ("hedged", 123), 200).await;
    }

    async fn stale_ones(&mut self) {
        for (action, customer) in [("aging", 131), ("aging", 132), ("aged", 133)] {
            self.good(action, customer).await;
        }
        let seen = self.outside.crm.site.counts().requests;
        self.told("stale, refreshed", ("aging", 131), 200).await;
        self.outside.crm.site.until(|counts| counts.requests > seen).await;
        self.crm(Fault::status(500)).await;
        self.told("stale, refreshed in vain", ("aging", 132), 200).await;
        self.outside.crm.site.until(|counts| counts.requests > seen + 1).await;
        self.told("stale after an error", ("aged", 133), 200).await;
        self.outside.crm.site.set(Standing::ok()).await.unwrap();
    }

    async fn authority(&mut self) {
        let genesys = &self.outside.genesys.site;
        genesys.script([Fault::Latency(LATE)]);
        let asked = self.ends(self.ask("customer-lookup", 1, "slow-one"), 200).await;
        genesys.script([Fault::status(500)]);
        let failed = self.ends(self.ask("customer-lookup", 1, "another"), 503).await;
        genesys.set(Standing::Down).await.unwrap();
        let down = self.ends(self.ask("customer-lookup", 1, "a-third"), 503).await;
        genesys.set(Standing::ok()).await.unwrap();
        for (what, id) in [("asked", asked), ("failed", failed), ("down", down)] {
            self.calls.push((format!("authority {what}"), id));
        }
    }

    /// The last: it takes a while until a breaker that was forced is what it was.
    async fn breaker(&mut self) {
        let url = format!("http://{}/breakers/crm", self.service.admin);
        let wish = json!({"state": "open", "for": "1m"});
        let forced = self.service.client.post(url).json(&wish).send().await.unwrap();
        assert_eq!(forced.status(), 200);
        let open = self.ends(self.ask("customer-lookup", 109, "good"), 503).await;
        self.calls.push(("breaker open".into(), open));
    }

    /// The traces of these calls, and all names of outcomes.
    async fn traces(mut self) -> (Vec<(String, String)>, BTreeSet<String>) {
        self.good("customer-lookup", 1).await;
        self.failures().await;
        self.slow_ones().await;
        self.stale_ones().await;
        self.authority().await;
        self.breaker().await;
        let Self { service, collector, calls, .. } = self;
        let ended = service.terminated().await;
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
        let spans = collector.spans();
        let mut outcomes = BTreeSet::new();
        let mut traces: Vec<_> = calls
            .into_iter()
            .map(|(what, id)| {
                let named = |span: &&Span| text(span, "holdline.request_id").as_ref() == Some(&id);
                let root = spans.iter().find(named);
                let root = root.unwrap_or_else(|| panic!("{what}: no trace of {id}"));
                outcomes.insert(text(root, "holdline.outcome").unwrap());
                (what, Tree { spans: &spans }.shown(root))
            })
            .collect();
        traces.sort();
        (traces, outcomes)
    }
}

/// Spans as a text without ids and times.
struct Tree<'a> {
    spans: &'a [Span],
}

impl Tree<'_> {
    /// A whole trace, and those that it has set off.
    fn shown(&self, root: &Span) -> String {
        let of_root = self.spans.iter().filter(|span| {
            span.trace_id != root.trace_id
                && span.links.iter().any(|link| link.span_id == root.span_id)
                && span.parent_span_id.is_empty()
        });
        let behind: String = of_root.map(|span| self.below(span, 1)).collect();
        format!("{}{behind}", self.below(root, 0))
    }

    fn below(&self, span: &Span, depth: usize) -> String {
        let inside = self.spans.iter().filter(|other| {
            other.trace_id == span.trace_id && other.parent_span_id == span.span_id
        });
        let mut inside: Vec<_> = inside.map(|other| self.below(other, depth + 1)).collect();
        inside.sort();
        let mut attributes: Vec<_> = span
            .attributes
            .iter()
            .filter(|one| one.key != "holdline.request_id")
            .map(|one| match one.value.clone().unwrap().value.unwrap() {
                Value::StringValue(text) => format!("{}={text}", one.key),
                Value::IntValue(number) => format!("{}={number}", one.key),
                other => panic!("{other:?}"),
            })
            .collect();
        attributes.sort();
        let links: Vec<_> = span
            .links
            .iter()
            .map(|link| {
                let target = self.spans.iter().find(|other| other.span_id == link.span_id);
                target.map_or("elsewhere", |target| &*target.name)
            })
            .collect();
        let wrong = if is_error(span) { " ERROR" } else { "" };
        format!(
            "{:depth$}{} kind={}{wrong} {attributes:?} links={links:?} flags={}\n{}",
            "",
            span.name,
            span.kind,
            span.flags,
            inside.concat()
        )
    }
}

#[tokio::test]
async fn a_kept_trace_is_the_one_that_a_picked_call_leaves() {
    let outside = Outside::start().await;
    let (picked, outcomes) = Told::start(&outside, 1.0).await.traces().await;
    let (kept, _) = Told::start(&outside, 0.0).await.traces().await;
    for (picked, kept) in picked.iter().zip(&kept) {
        assert_eq!(picked.0, kept.0);
        assert_eq!(picked.1, kept.1, "{}", picked.0);
    }
    assert_eq!(picked.len(), kept.len());
    let all = [
        "auth_unavailable",
        "breaker_open",
        "deadline_exceeded",
        "fallback",
        "mapping_error",
        "not_found",
        "ok",
        "stale",
        "upstream_error",
        "upstream_rejected",
        "upstream_timeout",
        "upstream_unreachable",
    ];
    assert_eq!(outcomes, all.map(str::to_owned).into());

    let of = |what: &str| {
        let found = kept.iter().find(|(known, _)| known == what);
        &found.unwrap_or_else(|| panic!("no {what}")).1
    };
    for (what, said) in [
        ("retried in vain", "http.request.resend_count=1"),
        ("retried in vain", "holdline.retry.suppressed_reason=limit_reached"),
        ("retried in vain", "holdline.attempts=2"),
        ("fell back", "holdline.outcome=fallback"),
        ("breaker open", "holdline.breaker.state=forced_open"),
        ("deadline", "holdline.deadline_ms=108"),
        ("deadline", "holdline.decision=landed"),
        ("hedged", "holdline.decision=canceled"),
        ("stale, refreshed in vain", "flight kind=1 ERROR"),
        ("stale, refreshed", r#"links=["POST /data-action/{action}"]"#),
        ("stale after an error", "holdline.age_s=0"),
        ("authority asked", "POST introspection kind=3 ["),
        ("authority failed", "POST introspection kind=3 ERROR"),
        ("authority down", "http.request.resend_count=1"),
    ] {
        assert!(of(what).contains(said), "{what} has no {said}:\n{}", of(what));
    }
    let shown: String = kept.iter().map(|(_, trace)| &**trace).collect();
    assert_eq!(shown.matches(r#"links=["POST /data-action/{action}"]"#).count(), 3);
    assert!(!shown.contains("elsewhere"));
}
