//! The reference of all metrics, as a page.

use std::fmt::Write as _;

use holdline::telemetry::metrics::{Kind, TABLE};

/// The reference of all metrics.
pub(crate) fn page() -> String {
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
