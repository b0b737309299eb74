//! The reference of all metrics, as a page.

use std::fmt::Write as _;

use holdline::telemetry::metrics::{self as table, Definition, Kind, TABLE};

use super::words::{Values, values};

/// Topics, each with its first metric, what it is about, and a word to those who read it.
const TOPICS: [(&str, Definition, &str); 12] = [
    (
        "Calls",
        table::REQUESTS,
        "Rate, errors and duration of what callers see: the promise is kept here.",
    ),
    (
        "Connections and bodies",
        table::REQUEST_BYTES,
        "What callers connect with, and what they send and get.",
    ),
    (
        "Stages",
        table::STAGE_DURATION,
        "A stage's time holds those it waits for: cache holds flight, flight holds upstream, upstream its attempts. Refreshes that nobody waits for are counted too.",
    ),
    (
        "Who calls",
        table::TOKEN_VALIDATIONS,
        "Verdicts about tokens and keys, and tokens that are issued here.",
    ),
    (
        "Rate limits",
        table::LIMIT_DECISIONS,
        "Each replica limits by itself: what a flow can get is the limit times the replicas.",
    ),
    (
        "Caches",
        table::CACHE_LOOKUPS,
        "Each replica has its own. Sum for the whole, and compare replicas.",
    ),
    (
        "Attempts, retries and hedges",
        table::ATTEMPT_DURATION,
        "What is sent to upstreams. An error that a retry or the cache healed is counted here, and nowhere above.",
    ),
    (
        "Limits of upstreams",
        table::RETRY_BUDGET,
        "What keeps us from asking: budgets, permits, quotas, marks, logins.",
    ),
    (
        "Breakers",
        table::BREAKER_STATE,
        "One for each upstream and replica. Openings that are shorter than a scrape are in the transitions alone.",
    ),
    ("Mapping", table::MAPPING_FAILURES, "Whether replies still fit."),
    (
        "Configuration and operation",
        table::BUILD,
        "What runs, on which configuration, and who touched it.",
    ),
    (
        "Process",
        table::EVENT_LOOP_LAG,
        "Processors, memory, descriptors, threads and our own telemetry.",
    ),
];

/// What holds for all of them.
const HEAD: &str = r#"# Metrics

What `GET /metrics` on the probes' listener tells, in the order of a call's path. Written by `make dashboards` from
`src/telemetry/metrics.rs`; nothing else is shown.

- Names end in their unit: seconds, bytes, ratios from 0 to 1. What ends in `_total` only grows: use `rate()`.
- Counters are there at zero before anything is counted; histograms appear with their first value.
- Values of labels are words of a closed list, or names in the configuration. Never a customer, a caller, a token, a path,
  an address of a caller, a cache key or the text of an error. What is not configured is `_unknown`.
- Statuses have a label of their own where they mean something of their own; all others are `2xx`, `4xx` and so on.
- Neither instance, pod, namespace nor version is a label: the scrape adds the first three, `holdline_build_info` has
  the last.
- Caches, limits, breakers and budgets are each replica's own.
- Prometheus 2 stores the bucket of one second as `le="1"`, Prometheus 3 as `le="1.0"`: match it by `le=~"1(\\.0)?"`.
"#;

/// The page.
pub(crate) fn page() -> String {
    let mut text = String::from(HEAD);
    for metric in TABLE {
        if let Some((title, _, about)) =
            TOPICS.iter().find(|(_, first, _)| first.name == metric.name)
        {
            let _ = write!(
                text,
                "\n## {title}\n\n{about}\n\n| name | type, unit | labels | answers \
                 |\n|---|---|---|---|\n"
            );
        }
        let (name, kind, labels) = (metric.name, kind(metric), labels(metric));
        let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {} |", metric.help);
    }
    text + &listed()
}

fn kind(metric: &Definition) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let name = metric.name.trim_end_matches("_total");
    let unit = match name.rsplit('_').next() {
        Some("seconds") if name.ends_with("_timestamp_seconds") => ", seconds since 1970",
        Some("seconds") => ", seconds",
        Some("bytes") => ", bytes",
        Some("ratio") => ", 0 to 1",
        _ => "",
    };
    format!("{kind}{unit}")
}

fn labels(metric: &Definition) -> String {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    labels.join(", ")
}

/// Values of labels, and buckets of histograms: long, so behind all others.
fn listed() -> String {
    let mut text =
        String::from("\n## Values of labels\n\n| label | of | values |\n|---|---|---|\n");
    let mut lines: Vec<(&str, Values, Vec<&str>)> = Vec::new();
    for metric in TABLE {
        for label in metric.labels {
            let values = values(metric, label);
            match lines.iter_mut().find(|(l, v, _)| (l, v) == (label, &values)) {
                Some((.., metrics)) => metrics.push(metric.name),
                None => lines.push((label, values, vec![metric.name])),
            }
        }
    }
    lines.sort_by_key(|(label, ..)| *label);
    for (label, values, metrics) in &lines {
        let alone = lines.iter().filter(|(other, ..)| other == label).count() == 1;
        let of = if alone { "all".to_owned() } else { coded(metrics) };
        let values = match values {
            Values::Open(what) => (*what).to_owned(),
            Values::Closed(words) => coded(words),
        };
        let _ = writeln!(text, "| `{label}` | {of} | {values} |");
    }
    text.push_str("\n## Buckets of histograms\n\n| name | upper bounds |\n|---|---|\n");
    for metric in TABLE {
        if let Kind::Histogram(bounds) = metric.kind {
            let bounds: Vec<String> = bounds.iter().map(f64::to_string).collect();
            let _ = writeln!(text, "| `{}` | {} |", metric.name, bounds.join(" "));
        }
    }
    text
}

fn coded(words: &[&str]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| if word.is_empty() { "empty".to_owned() } else { format!("`{word}`") })
        .collect();
    words.join(" ")
}
