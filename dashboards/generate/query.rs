//! PromQL out of the metric table: a query cannot name a metric, or a label of one, that does not exist.

use std::collections::BTreeSet;

use holdline::telemetry::metrics::{Definition, Kind};

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
const ALERT: [&str; 6] = ["job", "alertname", "alertstate", "severity", "upstream", "action"];
const ALERTS_CHOSEN: &str = r#"job=~"$job",alertname=~"Holdline.+""#;
const AUTOSCALER: [&str; 2] = ["namespace", "horizontalpodautoscaler"];
const AUTOSCALERS_CHOSEN: &str =
    r#"namespace=~"$namespace",horizontalpodautoscaler=~".*holdline.*""#;
const CONTAINER: [&str; 3] = ["namespace", "pod", "container"];
const CONTAINERS_CHOSEN: &str = r#"namespace=~"$namespace",container=~".*holdline.*""#;

/// What the recording rules write: name and labels.
pub(crate) const RECORDED: [(&str, &[&str]); 2] = [
    ("action_class:holdline_requests:rate5m", &["job", "action", "class"]),
    ("job:holdline_request_slow:ratio_rate5m", &["job"]),
];

/// Some series of one metric.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    name: String,
    labels: Vec<&'static str>,
    matchers: String,
    counter: bool,
}

/// An expression, and the labels of what it comes to.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    text: String,
    labels: BTreeSet<&'static str>,
    /// Whether it must stand in parentheses to be an operand.
    compound: bool,
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
    let known = RECORDED.iter().find(|(known, _)| *known == name);
    let (name, labels) = known.expect("the list of recording rules has it");
    let matchers = r#"job=~"$job""#.to_owned();
    Series { name: (*name).to_owned(), labels: labels.to_vec(), matchers, counter: false }
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
    pub(crate) fn is_not(self, label: &str, value: &str) -> Self {
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
        Query { text, labels: self.labels.iter().copied().collect(), compound: false }
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
        let rate = self.rate();
        let text = rate.text.replace("])", &format!("] offset {time})"));
        Query { text, ..rate }
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

/// Below which value `share` of what a histogram counts lies, by `labels`; nothing where it counted
/// nothing.
pub(crate) fn quantile(share: f64, buckets: &Series, labels: &[&'static str]) -> Query {
    let by: Vec<&'static str> = ["le"].iter().chain(labels).copied().collect();
    let counted = buckets.rate().sum_by(&by);
    let text = format!("histogram_quantile({share}, {}) >= 0", counted.text);
    Query { text, labels: labels.iter().copied().collect(), compound: true }
}

/// A number, or a variable that holds one.
pub(crate) fn constant(value: &str) -> Query {
    Query { text: format!("vector({value})"), labels: BTreeSet::new(), compound: false }
}

impl Query {
    /// The PromQL.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The labels of what it comes to.
    pub(crate) fn labels(&self) -> &BTreeSet<&'static str> {
        &self.labels
    }

    fn operand(&self) -> String {
        if self.compound { format!("({})", self.text) } else { self.text.clone() }
    }

    fn aggregated(&self, how: &str, by: &[&'static str]) -> Self {
        for label in by {
            assert!(self.labels.contains(label), "{} has no label {label}", self.text);
        }
        let clause =
            if by.is_empty() { String::new() } else { format!(" by ({}) ", by.join(", ")) };
        let text = format!("{how}{clause}({})", self.text);
        Self { text, labels: by.iter().copied().collect(), compound: false }
    }

    /// All of them together.
    pub(crate) fn sum(&self) -> Self {
        self.aggregated("sum", &[])
    }

    /// Together, for each of these labels.
    pub(crate) fn sum_by(&self, by: &[&'static str]) -> Self {
        self.aggregated("sum", by)
    }

    /// The largest, for each of these labels.
    pub(crate) fn max_by(&self, by: &[&'static str]) -> Self {
        self.aggregated("max", by)
    }

    /// The smallest, for each of these labels.
    pub(crate) fn min_by(&self, by: &[&'static str]) -> Self {
        self.aggregated("min", by)
    }

    /// The mean, for each of these labels.
    pub(crate) fn avg_by(&self, by: &[&'static str]) -> Self {
        self.aggregated("avg", by)
    }

    /// How many series there are, for each of these labels.
    pub(crate) fn count_by(&self, by: &[&'static str]) -> Self {
        self.aggregated("count", by)
    }

    fn joined(&self, operator: &str, other: &Self) -> Self {
        let text = format!("{} {operator} {}", self.operand(), other.operand());
        let labels = self.labels.union(&other.labels).copied().collect();
        Self { text, labels, compound: true }
    }

    /// An operation between series of the same labels.
    pub(crate) fn with(&self, operator: &str, other: &Self) -> Self {
        assert_eq!(self.labels, other.labels, "{} {operator} {}", self.text, other.text);
        self.joined(operator, other)
    }

    /// The same, where one side has more labels: `matching` says how they find each other.
    pub(crate) fn matched(&self, operator: &str, matching: &str, other: &Self) -> Self {
        self.joined(&format!("{operator} {matching}"), other)
    }

    /// All series of both sides.
    pub(crate) fn or(&self, other: &Self) -> Self {
        self.joined("or", other)
    }

    /// An operation with a number.
    pub(crate) fn and_number(&self, operator: &str, number: &str) -> Self {
        let text = format!("{} {operator} {number}", self.operand());
        Self { text, labels: self.labels.clone(), compound: true }
    }

    /// That many times.
    pub(crate) fn times(&self, number: &str) -> Self {
        self.and_number("*", number)
    }

    /// What is more than that; nothing where nothing is.
    pub(crate) fn above(&self, number: &str) -> Self {
        self.and_number(">", number)
    }

    /// What is left of a whole.
    pub(crate) fn rest_of_one(&self) -> Self {
        let text = format!("1 - {}", self.operand());
        Self { text, labels: self.labels.clone(), compound: true }
    }

    /// Its share of `total`; 0 where there was nothing at all.
    pub(crate) fn share_of(&self, total: &Self) -> Self {
        self.with("/", &total.called("clamp_min", "1e-9"))
    }

    /// Its share of `total`; nothing where there was nothing at all.
    pub(crate) fn ratio_of(&self, total: &Self) -> Self {
        self.with("/", &total.above("0"))
    }

    /// 0 for each series of `all` that it lacks.
    pub(crate) fn or_none_of(&self, all: &Self) -> Self {
        assert_eq!(self.labels, all.labels, "{} or {}", self.text, all.text);
        self.or(&all.times("0"))
    }

    /// Another function of it, with one argument behind.
    pub(crate) fn called(&self, function: &str, argument: &str) -> Self {
        let text = format!("{function}({}, {argument})", self.text);
        Self { text, labels: self.labels.clone(), compound: false }
    }

    /// The same over a time, looked at anew in each `step`. `function` is a name, and what stands
    /// before its range: `sum_over_time(`, `quantile_over_time(0.95, `.
    pub(crate) fn looked_at(&self, function: &str, window: &str, step: &str) -> Self {
        let text = format!("{function}{}[{window}:{step}])", self.operand());
        Self { text, labels: self.labels.clone(), compound: false }
    }

    /// The highest ones.
    pub(crate) fn top(&self, most: usize) -> Self {
        let text = format!("topk({most}, {})", self.text);
        Self { text, labels: self.labels.clone(), compound: false }
    }

    /// The lowest ones.
    pub(crate) fn bottom(&self, most: usize) -> Self {
        let text = format!("bottomk({most}, {})", self.text);
        Self { text, labels: self.labels.clone(), compound: false }
    }

    /// Seconds that have gone by since the instant it tells.
    pub(crate) fn ago_seconds(&self) -> Self {
        let text = format!("time() - {}", self.operand());
        Self { text, labels: self.labels.clone(), compound: true }
    }

    /// Seconds that are left until the instant it tells.
    pub(crate) fn left_seconds(&self) -> Self {
        self.and_number("-", "time()")
    }
}
