//! None is picked, and still every call that fails, degrades or is slow leaves its whole trace, while
//! those that are well leave none.

use std::{collections::HashMap, io, time::Duration};

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use serde_json::Value;

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    load::Ask,
    otlp::{Collector, Protocol, hex, text},
    peer::manner::{Fault, Manner},
    report::Report,
    tally::Kind,
};

/// Calls a second.
const RATE: f64 = 200.0;
/// Customers.
const KNOWN: u64 = 300;
/// What is slow, in milliseconds.
const SLOW: f64 = 150.0;
/// The stages that a log line has the decision of.
const STAGES: [&str; 6] =
    ["authenticate", "rate_limit", "cache", "flight", "upstream", "map_output"];

pub(super) fn scenario() -> Scenario {
    let about = "errors, stale answers and slow replies leave their whole traces, good calls none";
    Scenario::new("traces", about, |form| Box::pin(run(form)))
}

async fn run(form: Form) -> io::Result<Report> {
    let collector = Collector::start(Protocol::Http).await;
    let keep = format!("keep: {{failures: true, slower_than: {SLOW}ms}}, sample_ratio");
    let telemetry = collector.telemetry(Protocol::Http, 0.0).replace("sample_ratio", &keep);
    let bed = Bed::start(form.seed, &Wish {
        telemetry,
        upstream: "timeouts: {connect: 500ms, attempt: 800ms}, retry: {attempts: 2}, breaker: {open: {first: 500ms, max: 1s}, ramp: 1s}",
        cache: "ttl: 1s, stale_while_revalidate: 500ms, stale_if_error: 10m",
        ..Wish::default()
    })
    .await?;
    let unavailable = Fault::Status { code: 503, retry_after: None };
    let late = Fault::Slow(Duration::from_millis(3));
    let faults = vec![(0.12, unavailable), (0.08, Fault::ResetBeforeHead), (0.03, late)];
    bed.peer.behave(Manner { faults, ..Manner::default() });
    let mark = bed.mark().await?;
    let ask = |place: u64, dice: &mut fastrand::Rng| Ask {
        action: if place.is_multiple_of(2) { "known" } else { "lookup" },
        customer: dice.u64(1..=KNOWN),
    };
    let tally = bed.call(RATE, form.seconds(5, 50), ask).await;

    let mut report = Report::default();
    report.row(bed.row("traces", &mark, &tally).await?);
    let dropped = bed.scrape().await?.sum("holdline_telemetry_dropped_total", &[]);
    let (service, _) = bed.end(&mut report).await?;
    report.claim(dropped == 0.0, format!("{dropped} spans or lines were dropped; wanted none"));
    let log = service.log();
    let ended: Vec<Value> = log
        .lines()
        .filter(|line| line.contains(r#""message":"call ended""#))
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let (calls, told) = (tally.len(), ended.len());
    report.claim(calls == told, format!("{told} of {calls} calls have a log line; wanted all"));
    let answered = |line: &&Value| line["status"] == 200;
    let (heard, told) = (tally.answered(), ended.iter().filter(answered).count());
    report.claim(heard == told, format!("{heard} answers came, {told} are told; wanted as many"));
    let (heard, told) =
        (tally.count(Kind::Stale), ended.iter().filter(|l| l["outcome"] == "stale").count());
    report.claim(
        heard == told,
        format!("{heard} stale answers came, {told} are told; wanted as many"),
    );
    judge(&mut report, &ended, &collector.spans());
    Ok(report)
}

/// Holds what was received to what the log says.
fn judge(report: &mut Report, ended: &[Value], spans: &[Span]) {
    let received = Received::new(spans);
    let (wanted, others): (Vec<_>, Vec<_>) = ended.iter().partition(|line| {
        matches!(line["class"].as_str(), Some("failure" | "degraded"))
            || line["duration_ms"].as_f64() > Some(SLOW)
    });
    let wrong: Vec<_> = wanted
        .iter()
        .filter_map(|line| Some(format!("{}: {line}", received.lacks(line)?)))
        .collect();
    let (all, whole) = (wanted.len(), wanted.len() - wrong.len());
    report.claim(
        wrong.is_empty(),
        format!("{whole} of {all} failed, stale or slow calls left a whole trace; wanted all"),
    );
    for text in wrong.iter().take(5) {
        report.claim(false, text.clone());
    }
    for outcome in ["ok", "stale", "upstream_error", "upstream_unreachable"] {
        let some = wanted.iter().any(|line| line["outcome"] == outcome);
        report.claim(some, format!("`{outcome}` is among them"));
    }
    let told = |line: &&&Value| {
        received.roots.contains_key(line["request_id"].as_str().unwrap_or_default())
    };
    let (healthy, left) = (others.len(), others.iter().filter(told).count());
    report.claim(
        left == 0 && healthy > 0 && received.roots.len() == all,
        format!("{left} of {healthy} healthy calls left a trace; wanted none"),
    );
    let (behind, alone) = received.refreshes();
    report.claim(
        behind > 0 && alone == 0,
        format!("{behind} refreshes left a trace, {alone} without need; wanted some, and none"),
    );
}

/// All spans, to be found.
struct Received<'a> {
    /// The calls, by request id.
    roots: HashMap<String, &'a Span>,
    /// By trace and span.
    spans: HashMap<(&'a [u8], &'a [u8]), &'a Span>,
    /// By trace.
    traces: HashMap<&'a [u8], Vec<&'a Span>>,
}

impl<'a> Received<'a> {
    fn new(all: &'a [Span]) -> Self {
        let mut traces: HashMap<_, Vec<_>> = HashMap::new();
        for span in all {
            traces.entry(&*span.trace_id).or_default().push(span);
        }
        let spans = all.iter().map(|span| ((&*span.trace_id, &*span.span_id), span)).collect();
        let calls = all.iter().filter(|span| span.kind == SpanKind::Server as i32);
        let roots = calls.filter_map(|span| Some((text(span, "holdline.request_id")?, span)));
        Self { roots: roots.collect(), spans, traces }
    }

    /// What the trace of a call lacks of what its log line says.
    fn lacks(&self, line: &Value) -> Option<&'static str> {
        let said = |key: &str| line[key].as_str();
        let Some(root) = said("request_id").and_then(|id| self.roots.get(id)) else {
            return Some("no trace");
        };
        let ids = (hex(&root.trace_id), hex(&root.span_id));
        if (Some(&*ids.0), Some(&*ids.1)) != (said("trace_id"), said("span_id")) {
            return Some("another trace than the log line says");
        }
        let Some(trace) = self.traces.get(&*root.trace_id) else { return Some("no spans") };
        // Its flight goes on when the call has ended.
        let left = said("flight") == Some("left");
        for stage in STAGES {
            let here = trace.iter().any(|span| {
                span.name == stage
                    && (text(span, "holdline.decision").as_deref() == said(stage) || left)
            });
            if said(stage).is_some() && !here {
                return Some("a stage is missing, or decided otherwise");
            }
        }
        if line["validate_ms"].is_number() && !trace.iter().any(|span| span.name == "validate") {
            return Some("validate is missing");
        }
        let attempts = trace.iter().filter(|span| span.kind == SpanKind::Client as i32).count();
        if !left && Some(attempts as u64) != line["attempts"].as_u64() {
            return Some("not every attempt is there");
        }
        self.stands_wrong(root, trace, left).or_else(|| self.has_no_leader(trace, said("flight")))
    }

    /// What is wrong with where and when its spans are.
    fn stands_wrong(&self, root: &Span, trace: &[&Span], left: bool) -> Option<&'static str> {
        for span in trace.iter().filter(|span| span.span_id != root.span_id) {
            let Some(above) = self.spans.get(&(&*span.trace_id, &*span.parent_span_id)) else {
                return Some("a parent is missing");
            };
            if span.start_time_unix_nano < above.start_time_unix_nano {
                return Some("a span begins before what it lies in");
            }
            let later = span.end_time_unix_nano > above.end_time_unix_nano;
            if later && !(left && above.span_id == root.span_id) {
                return Some("a span ends after what it lies in");
            }
        }
        None
    }

    fn has_no_leader(&self, trace: &[&Span], flight: Option<&str>) -> Option<&'static str> {
        if flight != Some("joined") {
            return None;
        }
        let leads = trace
            .iter()
            .flat_map(|span| &span.links)
            .filter(|link| self.spans.contains_key(&(&*link.trace_id, &*link.span_id)));
        (leads.count() != 1).then_some("no link to the call whose flight it waited for")
    }

    /// How many refreshes left a trace, and how many of them set off by a call that left none, though
    /// they went well and fast.
    fn refreshes(&self) -> (usize, usize) {
        let is_one = |span: &&&Span| span.name == "flight" && span.parent_span_id.is_empty();
        let refreshes: Vec<_> = self.spans.values().filter(is_one).collect();
        let without_need = refreshes.iter().filter(|span| {
            let took = span.end_time_unix_nano - span.start_time_unix_nano;
            let well = text(span, "holdline.decision").as_deref() == Some("landed");
            let set_off = span
                .links
                .iter()
                .any(|link| self.spans.contains_key(&(&*link.trace_id, &*link.span_id)));
            !set_off && well && took as f64 <= SLOW * 1e6
        });
        (refreshes.len(), without_need.count())
    }
}
