//! Series out of the metric table: none can be named that does not exist, and no label of one.

use holdline::telemetry::metrics::{Definition, Kind};

use super::query::Query;

/// The labels that a scrape adds to each series. A Prometheus without Kubernetes adds no `namespace`.
pub(crate) const TARGET: [&str; 3] = ["job", "namespace", "instance"];

/// What chooses the replicas, in every query.
const CHOSEN: &str = r#"job=~"$job",namespace=~"$namespace",instance=~"$instance""#;

/// Metrics of others: name, labels that may be used, what chooses the replicas among them.
pub(crate) const FOREIGN: [(&str, &[&str], &str); 8] = [
    ("up", &TARGET, CHOSEN),
    ("scrape_duration_seconds", &TARGET, CHOSEN),
    ("scrape_samples_scraped", &TARGET, CHOSEN),
    ("ALERTS", &ALERT, ALERTS_CHOSEN),
    ("ALERTS_FOR_STATE", &ALERT, ALERTS_CHOSEN),
    ("kube_horizontalpodautoscaler_status_desired_replicas", &AUTOSCALER, AUTOSCALERS_CHOSEN),
    ("kube_horizontalpodautoscaler_spec_max_replicas", &AUTOSCALER, AUTOSCALERS_CHOSEN),
    ("container_cpu_cfs_throttled_periods_total", &CONTAINER, CONTAINERS_CHOSEN),
];
const ALERT: [&str; 7] =
    ["job", "namespace", "alertname", "alertstate", "severity", "upstream", "action"];
/// An alert that something is absent has neither job nor namespace, and is everybody's.
const ALERTS_CHOSEN: &str = r#"job=~"$job|",namespace=~"$namespace|",alertname=~"Holdline.+""#;
const AUTOSCALER: [&str; 2] = ["namespace", "horizontalpodautoscaler"];
const AUTOSCALERS_CHOSEN: &str =
    r#"namespace=~"$namespace",horizontalpodautoscaler=~".*holdline.*""#;
const CONTAINER: [&str; 3] = ["namespace", "pod", "container"];
const CONTAINERS_CHOSEN: &str = r#"namespace=~"$namespace",container=~".*holdline.*""#;

/// What the recording rules write that is shown here. All have the labels `namespace` and `job`.
pub(crate) const RECORDED: [&str; 6] = [
    "job:holdline_requests_failed:rate5m",
    "job:holdline_requests_valid:rate5m",
    "job:holdline_requests_slow:rate5m",
    "job:holdline_requests_answered:rate5m",
    "job:holdline_request_errors:ratio_rate1h",
    "job:holdline_request_errors:ratio_rate6h",
];

/// Some series of one metric.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    name: String,
    labels: Vec<&'static str>,
    matchers: String,
    counter: bool,
}

fn ours(metric: &Definition, suffix: &str, more: &[&'static str], counter: bool) -> Series {
    let labels = TARGET.iter().chain(metric.labels).chain(more).copied().collect();
    Series {
        name: format!("{}{suffix}", metric.name),
        labels,
        matchers: CHOSEN.to_owned(),
        counter,
    }
}

/// The series of a counter or a gauge.
pub(crate) fn of(metric: &Definition) -> Series {
    assert!(!matches!(metric.kind, Kind::Histogram(_)), "{} is a histogram", metric.name);
    ours(metric, "", &[], metric.kind == Kind::Counter)
}

fn part(metric: &Definition, suffix: &str, more: &[&'static str]) -> Series {
    assert!(matches!(metric.kind, Kind::Histogram(_)), "{} is no histogram", metric.name);
    ours(metric, suffix, more, true)
}

/// How many a histogram has counted.
pub(crate) fn count_of(metric: &Definition) -> Series {
    part(metric, "_count", &[])
}

/// What a histogram has added up.
pub(crate) fn sum_of(metric: &Definition) -> Series {
    part(metric, "_sum", &[])
}

/// The buckets of a histogram.
pub(crate) fn buckets_of(metric: &Definition) -> Series {
    part(metric, "_bucket", &["le"])
}

/// The series of a metric that is not ours.
pub(crate) fn foreign(name: &str) -> Series {
    let known = FOREIGN.iter().find(|(known, ..)| *known == name);
    let (name, labels, chosen) = known.expect("the list of foreign metrics has it");
    Series {
        name: (*name).to_owned(),
        labels: labels.to_vec(),
        matchers: (*chosen).to_owned(),
        counter: name.ends_with("_total"),
    }
}

/// What a recording rule has written.
pub(crate) fn recorded(name: &str) -> Series {
    assert!(RECORDED.contains(&name), "the list of recording rules lacks {name}");
    let matchers = r#"job=~"$job",namespace=~"$namespace""#.to_owned();
    let labels = vec!["namespace", "job"];
    Series { name: name.to_owned(), labels, matchers, counter: false }
}

impl Series {
    fn with(mut self, label: &str, operator: &str, value: &str) -> Self {
        assert!(self.labels.contains(&label), "{} has no label {label}", self.name);
        self.matchers += &format!(r#",{label}{operator}"{value}""#);
        self
    }

    /// Those where `label` is `value`.
    pub(crate) fn is(self, label: &str, value: &str) -> Self {
        self.with(label, "=", value)
    }

    /// Those where `label` is not `value`.
    pub(crate) fn other_than(self, label: &str, value: &str) -> Self {
        self.with(label, "!=", value)
    }

    /// Those whose `label` is one of `pattern`.
    pub(crate) fn like(self, label: &str, pattern: &str) -> Self {
        self.with(label, "=~", pattern)
    }

    /// Those whose `label` is none of `pattern`.
    pub(crate) fn unlike(self, label: &str, pattern: &str) -> Self {
        self.with(label, "!~", pattern)
    }

    /// Those that the dashboard's variable of the same name as `label` chooses.
    pub(crate) fn chosen(self, label: &str) -> Self {
        self.like(label, &format!("${label}"))
    }

    fn selector(&self) -> String {
        format!("{}{{{}}}", self.name, self.matchers)
    }

    fn query(&self, text: String) -> Query {
        Query::new(text, &self.labels)
    }

    /// Per second, of a counter.
    pub(crate) fn rate(&self) -> Query {
        self.rate_over("$__rate_interval")
    }

    /// Per second over a fixed time: for windows of objectives, which do not follow the dashboard's.
    pub(crate) fn rate_over(&self, window: &str) -> Query {
        self.over_time("rate", window)
    }

    /// The same, so long ago.
    pub(crate) fn rate_before(&self, time: &str) -> Query {
        assert!(self.counter, "{} is no counter", self.name);
        self.query(format!("rate({}[$__rate_interval] offset {time})", self.selector()))
    }

    /// The series themselves, for a variable to choose from.
    pub(crate) fn values(&self) -> Query {
        self.query(self.selector())
    }

    /// How many came in each interval.
    pub(crate) fn increase(&self) -> Query {
        self.over_time("increase", "$__rate_interval")
    }

    fn over_time(&self, function: &str, window: &str) -> Query {
        assert!(self.counter, "{} is no counter", self.name);
        self.query(format!("{function}({}[{window}])", self.selector()))
    }

    /// How many came over a fixed time.
    pub(crate) fn increase_over(&self, window: &str) -> Query {
        self.over_time("increase", window)
    }

    /// As it is now, of a gauge.
    pub(crate) fn now(&self) -> Query {
        assert!(!self.counter, "{} is a counter", self.name);
        self.query(self.selector())
    }

    /// As it was so long ago.
    pub(crate) fn ago(&self, time: &str) -> Query {
        assert!(!self.counter, "{} is a counter", self.name);
        self.query(format!("{} offset {time}", self.selector()))
    }

    /// A gauge's function over a time: `sum_over_time`, `changes`.
    pub(crate) fn gauge_over(&self, function: &str, window: &str) -> Query {
        assert!(!self.counter, "{} is a counter", self.name);
        self.query(format!("{function}({}[{window}])", self.selector()))
    }
}
