//! Names of metrics in expressions and pages.

use std::collections::BTreeSet;

use holdline::telemetry::metrics::{Kind, TABLE};

/// How names of our metrics begin.
const BEGINNINGS: [&str; 5] = ["holdline_", "http_client_", "http_server_", "process_", "tokio_"];

/// The words of a text that look like metrics, those computed beforehand (`a:b:c`) included.
pub(super) fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let words = words.map(|word| word.trim_matches(':'));
    words.filter(|word| looks_like_one(word)).collect()
}

fn looks_like_one(word: &str) -> bool {
    let label = ["http_request_method", "http_response_status_code", "http_route"];
    !label.contains(&word)
        && (word.contains(":holdline_") || BEGINNINGS.iter().any(|it| word.starts_with(it)))
}

/// Those that are neither in the table nor computed beforehand. A histogram has only its parts.
pub(super) fn unknown_metrics<'a>(text: &'a str, recorded: &BTreeSet<&str>) -> Vec<&'a str> {
    let is_known = |word: &str| {
        TABLE.iter().any(|metric| match metric.kind {
            Kind::Histogram(_) => word
                .strip_prefix(metric.name)
                .is_some_and(|part| ["_bucket", "_count", "_sum"].contains(&part)),
            Kind::Counter | Kind::Gauge => word == metric.name,
        })
    };
    let words = metrics_in(text).into_iter();
    words.filter(|word| !recorded.contains(word) && !is_known(word)).collect()
}

#[test]
fn a_name_that_is_not_there_is_found() {
    let text = "rate(holdline_requests_total[5m]) / holdline_request_duration_seconds_count > job:holdline_x:y \
                and holdline_request_duration_seconds and holdline_requests";
    let unknown = unknown_metrics(text, &BTreeSet::new());
    let wanted = ["holdline_request_duration_seconds", "holdline_requests", "job:holdline_x:y"];
    assert_eq!(unknown, wanted);
}
