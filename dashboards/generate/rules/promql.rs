//! Small pieces of PromQL. Metrics are named by their definitions, and a label that a metric does not
//! have is a bug here.

use holdline::telemetry::metrics::{Definition, Kind};

/// What tells one installation from another. Where no namespace is known the label is empty, and
/// everything works without it.
const INSTALLATION: &str = "namespace, job";

/// A metric's series with these matchers.
pub(super) fn series(metric: &Definition, matchers: &str) -> String {
    assert!(!matches!(metric.kind, Kind::Histogram(_)), "{}: a histogram", metric.name);
    named(metric, "", matchers)
}

/// How often a histogram was recorded into.
pub(super) fn count(metric: &Definition, matchers: &str) -> String {
    assert!(matches!(metric.kind, Kind::Histogram(_)), "{}: no histogram", metric.name);
    named(metric, "_count", matchers)
}

/// A histogram's buckets.
pub(super) fn bucket(metric: &Definition, matchers: &str) -> String {
    assert!(matches!(metric.kind, Kind::Histogram(_)), "{}: no histogram", metric.name);
    named(metric, "_bucket", matchers)
}

/// The matcher of the bucket up to `bound`. Prometheus 2 keeps `1` as it is written, Prometheus 3
/// makes `1.0` of it.
pub(super) fn up_to(metric: &Definition, bound: f64) -> String {
    let Kind::Histogram(bounds) = metric.kind else { panic!("{}: no histogram", metric.name) };
    assert!(bounds.contains(&bound), "{} has no bucket up to {bound}", metric.name);
    if bound.fract() == 0.0 {
        format!(r#"le=~"{bound}(\\.0)?""#)
    } else {
        format!(r#"le="{bound}""#)
    }
}

/// How much a counter grows in a second.
pub(super) fn rate(series: &str, window: &str) -> String {
    format!("rate({series}[{window}])")
}

/// By how much a counter grew.
pub(super) fn increase(series: &str, window: &str) -> String {
    format!("increase({series}[{window}])")
}

/// The sum for each installation and, within it, by `more`.
pub(super) fn sum(more: &str, of: &str) -> String {
    over("sum", more, of)
}

/// Any such operator.
pub(super) fn over(operator: &str, more: &str, of: &str) -> String {
    format!("{operator} by ({}) ({of})", by(more))
}

/// A part of a whole; nothing where the whole is zero.
pub(super) fn share(part: &str, whole: &str) -> String {
    format!("{part}\n/\n({whole} > 0)")
}

/// `these`, where there is one of `those` with the same labels.
pub(super) fn where_too(these: &str, more: &str, those: &str) -> String {
    format!("{these}\nand on ({})\n{those}", by(more))
}

/// `these`, where there is none of `those` with the same labels.
pub(super) fn unless(these: &str, more: &str, those: &str) -> String {
    format!("{these}\nunless on ({})\n{those}", by(more))
}

/// The same two lines further in.
pub(super) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn by(more: &str) -> String {
    if more.is_empty() { INSTALLATION.to_owned() } else { format!("{INSTALLATION}, {more}") }
}

fn named(metric: &Definition, suffix: &str, matchers: &str) -> String {
    for label in labels(matchers) {
        let known = metric.labels.contains(&label) || (suffix == "_bucket" && label == "le");
        assert!(known, "{} has no label {label}", metric.name);
    }
    let name = metric.name;
    if matchers.is_empty() {
        format!("{name}{suffix}")
    } else {
        format!("{name}{suffix}{{{matchers}}}")
    }
}

/// The labels that stand before the operators of matchers.
fn labels(matchers: &str) -> Vec<&str> {
    let outside = matchers.split('"').step_by(2);
    let trimmed = outside.map(|text| text.trim_matches([' ', ',', '=', '!', '~']));
    trimmed.filter(|label| !label.is_empty()).collect()
}
