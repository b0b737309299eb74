//! Every file that is generated. All names of metrics in them come from the one table: a panel or a
//! rule cannot name one that does not exist.

#[path = "rules/mod.rs"]
mod rules;

use std::fmt::Write as _;

use holdline::telemetry::metrics::{Kind, TABLE};

/// Each file's name below `dashboards/`, and its text.
pub(crate) fn all() -> Vec<(String, String)> {
    vec![("METRICS.md".to_owned(), page()), ("rules/holdline.yaml".to_owned(), rules::text())]
}

/// The reference of all metrics.
fn page() -> String {
    let mut text = String::from(
        "# Metrics\n\nWhat `GET /metrics` on the probes' listener tells, in the order of a call's path. \
         Written by `make dashboards` from `src/telemetry/metrics.rs`.\n\n\
         | name | type | labels | answers |\n|---|---|---|---|\n",
    );
    for metric in TABLE {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, labels, help) = (metric.name, labels.join(", "), metric.help);
        let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help} |");
    }
    text
}
