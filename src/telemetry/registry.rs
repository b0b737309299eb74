//! Where series are kept, and what of them a scrape shows: those that somebody can still count with,
//! and what is told of the moment.
//!
//! The exporter forgets no series. So each handle that is given out is known here, and what only it
//! knows is left out of the text: an action, an upstream or a limit that is no longer configured. Where
//! it comes back, it goes on from its old value.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::{self, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, Label, Metadata, Recorder,
    SharedString,
};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::telemetry::metrics::{Definition, Kind, TABLE};

/// Where metrics are kept. One per running service, so that two in one process never mix.
pub struct Registry {
    exporter: PrometheusRecorder,
    render: PrometheusHandle,
    counters: Given<Counter>,
    gauges: Given<Gauge>,
    histograms: Given<Histogram>,
    seconds: Mutex<HashMap<Key, Arc<AtomicU64>>>,
    on: bool,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry(..)")
    }
}

const METADATA: Metadata<'static> =
    Metadata::new("holdline", metrics::Level::INFO, Some(module_path!()));

impl Registry {
    /// An empty registry that knows every definition's help text and buckets.
    pub fn new() -> Arc<Self> {
        Self::make(true)
    }

    /// A registry that keeps nothing: every handle counts into the void.
    pub fn switched_off() -> Arc<Self> {
        Self::make(false)
    }

    fn make(on: bool) -> Arc<Self> {
        let builder = TABLE.iter().fold(PrometheusBuilder::new(), |builder, metric| {
            let Kind::Histogram(buckets) = metric.kind else { return builder };
            builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
                .expect("the table's bucket lists are not empty")
        });
        let exporter = builder.build_recorder();
        for metric in TABLE {
            let (name, help): (_, SharedString) = (metric.name.into(), metric.help.into());
            match metric.kind {
                Kind::Counter => exporter.describe_counter(name, None, help),
                Kind::Gauge => exporter.describe_gauge(name, None, help),
                Kind::Histogram(_) => exporter.describe_histogram(name, None, help),
            }
        }
        Arc::new(Self {
            render: exporter.handle(),
            exporter,
            counters: Given::default(),
            gauges: Given::default(),
            histograms: Given::default(),
            seconds: Mutex::default(),
            on,
        })
    }

    /// The handle of a counter's series, which exists at zero from now on, as long as the handle does.
    pub fn counter(&self, metric: &Definition, values: &[&str]) -> Counter {
        debug_assert!(matches!(metric.kind, Kind::Counter));
        if !self.on {
            return Counter::noop();
        }
        let make = |key: &Key| self.exporter.register_counter(key, &METADATA);
        Counter::from_arc(self.counters.give(key(metric, values), make))
    }

    /// The handle of a gauge's series, for what is told when it happens and not when it is asked for.
    pub fn gauge(&self, metric: &Definition, values: &[&str]) -> Gauge {
        debug_assert!(matches!(metric.kind, Kind::Gauge));
        if !self.on {
            return Gauge::noop();
        }
        let make = |key: &Key| self.exporter.register_gauge(key, &METADATA);
        Gauge::from_arc(self.gauges.give(key(metric, values), make))
    }

    /// The handle of a histogram's series.
    pub fn histogram(&self, metric: &Definition, values: &[&str]) -> Histogram {
        debug_assert!(matches!(metric.kind, Kind::Histogram(_)));
        if !self.on {
            return Histogram::noop();
        }
        let make = |key: &Key| self.exporter.register_histogram(key, &METADATA);
        Histogram::from_arc(self.histograms.give(key(metric, values), make))
    }

    /// The handle of a counter that counts parts of seconds too: the exporter's count whole ones.
    pub fn seconds(&self, metric: &Definition, values: &[&str]) -> Seconds {
        debug_assert!(matches!(metric.kind, Kind::Counter));
        let key = key(metric, values);
        Seconds(Arc::clone(lock(&self.seconds).entry(key).or_default()))
    }

    /// What is shown now: all series that are kept here, and what is still to be put beside them.
    pub fn scrape(&self) -> Scrape<'_> {
        let mut scrape = Scrape { registry: self, beside: BTreeMap::new() };
        for (key, micros) in lock(&self.seconds).iter().filter(|(_, micros)| is_in_use(micros)) {
            let values: Vec<_> = key.labels().map(Label::value).collect();
            if let Some(metric) = TABLE.iter().find(|metric| metric.name == key.name()) {
                scrape.show(metric, &values, micros.load(Ordering::Relaxed) as f64 / 1e6);
            }
        }
        scrape
    }

    /// What is kept here, in the Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        self.scrape().render()
    }

    /// Moves samples from where calls leave them to where they are counted. Without it, memory grows
    /// between scrapes.
    pub fn upkeep(&self) {
        self.render.run_upkeep();
    }

    /// The names and labels of lines with which nobody counts any more.
    fn left_behind(&self) -> HashSet<(String, String)> {
        let mut left = HashSet::new();
        for key in self.counters.left_behind().into_iter().chain(self.gauges.left_behind()) {
            left.insert((key.name().to_owned(), labels_of(&key)));
        }
        for key in self.histograms.left_behind() {
            for part in ["bucket", "sum", "count"] {
                left.insert((format!("{}_{part}", key.name()), labels_of(&key)));
            }
        }
        left
    }
}

/// Handles that were given out. Who asks for the same series gets the same one.
struct Given<T>(Mutex<HashMap<Key, Arc<Held<T>>>>);

/// The exporter's handle, of which it can be told whether somebody holds it.
struct Held<T>(T);

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Given<T> {
    fn give(&self, key: Key, make: impl FnOnce(&Key) -> T) -> Arc<Held<T>> {
        let mut given = lock(&self.0);
        let held = match given.get(&key) {
            Some(held) => held,
            None => {
                let made = Arc::new(Held(make(&key)));
                given.entry(key).or_insert(made)
            }
        };
        Arc::clone(held)
    }

    /// The series that nobody holds any more.
    fn left_behind(&self) -> Vec<Key> {
        let given = lock(&self.0);
        let left = given.iter().filter(|(_, held)| !is_in_use(held));
        left.map(|(key, _)| key.clone()).collect()
    }
}

/// Whether anybody but the registry holds it.
fn is_in_use<T>(held: &Arc<T>) -> bool {
    Arc::strong_count(held) > 1
}

impl CounterFn for Held<Counter> {
    fn increment(&self, value: u64) {
        self.0.increment(value);
    }

    fn absolute(&self, value: u64) {
        self.0.absolute(value);
    }
}

impl GaugeFn for Held<Gauge> {
    fn increment(&self, value: f64) {
        self.0.increment(value);
    }

    fn decrement(&self, value: f64) {
        self.0.decrement(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }
}

impl HistogramFn for Held<Histogram> {
    fn record(&self, value: f64) {
        self.0.record(value);
    }
}

/// A counter of seconds.
#[derive(Debug)]
pub struct Seconds(Arc<AtomicU64>);

impl Seconds {
    /// So much more, to the microsecond.
    pub fn add(&self, time: Duration) {
        let micros = (time + Duration::from_nanos(500)).as_micros();
        self.0.fetch_add(u64::try_from(micros).unwrap_or_default(), Ordering::Relaxed);
    }
}

/// One look at everything. What is a state and not an event is put in by those who know it, and is
/// gone with the scrape: of what is no longer there, nothing is left.
#[derive(Debug)]
pub struct Scrape<'a> {
    registry: &'a Registry,
    beside: BTreeMap<&'static str, (&'static str, &'static str, String)>,
}

impl Scrape<'_> {
    /// Shows one series of a counter or a gauge that is not kept in the registry.
    pub fn show(&mut self, metric: &Definition, values: &[&str], value: f64) {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => {
                debug_assert!(false, "{} is no single number", metric.name);
                return;
            }
        };
        let (.., lines) =
            self.beside.entry(metric.name).or_insert_with(|| (kind, metric.help, String::new()));
        let labels = labels(metric.labels.iter().copied().zip(values.iter().copied()));
        let _ = match &*labels {
            "" => writeln!(lines, "{} {value}", metric.name),
            labels => writeln!(lines, "{}{{{labels}}} {value}", metric.name),
        };
    }

    /// Everything, in the Prometheus text format 0.0.4.
    pub fn render(self) -> String {
        if !self.registry.on {
            return String::new();
        }
        let mut text = without(&self.registry.left_behind(), self.registry.render.render());
        for (name, (kind, help, lines)) in self.beside {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}\n");
        }
        text
    }
}

/// `text` without those lines, and without the heads of metrics of which none remains.
fn without(left: &HashSet<(String, String)>, text: String) -> String {
    if left.is_empty() {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    for metric in text.split_inclusive("\n\n") {
        let (start, mut remains) = (kept.len(), false);
        for line in metric.split_inclusive('\n') {
            let is_series = !line.starts_with(['#', '\n']);
            if is_series && left.contains(&series_of(line)) {
                continue;
            }
            remains |= is_series;
            kept.push_str(line);
        }
        if !remains {
            kept.truncate(start);
        }
    }
    kept
}

/// The name and the labels of a line, but for the bound of a bucket.
fn series_of(line: &str) -> (String, String) {
    let series = line.rsplit_once(' ').map_or(line, |(series, _)| series);
    let Some((name, labels)) = series.split_once('{') else {
        return (series.to_owned(), String::new());
    };
    let labels = labels.strip_suffix('}').unwrap_or(labels);
    let labels = match labels.rsplit_once("le=\"") {
        Some((labels, _)) if name.ends_with("_bucket") => labels.trim_end_matches(','),
        _ => labels,
    };
    (name.to_owned(), labels.to_owned())
}

fn key(metric: &Definition, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let labels = metric.labels.iter().zip(values);
    let labels = labels.map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(metric.name, labels.collect::<Vec<_>>())
}

fn labels_of(key: &Key) -> String {
    labels(key.labels().map(|label| (label.key(), label.value())))
}

/// Labels as they are written between the braces.
fn labels<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics as table;

    fn lines(text: &str, name: &str) -> Vec<String> {
        let of = |line: &&str| line.starts_with(name) || line.contains(&format!(" {name} "));
        text.lines().filter(of).map(str::to_owned).collect()
    }

    #[test]
    fn a_counter_is_there_at_zero_before_anything_is_counted() {
        let registry = Registry::new();
        let _held = registry.counter(&table::RETRIES, &["crm", "timeout"]);
        let text = registry.render();
        assert!(
            text.contains(r#"holdline_upstream_retries_total{upstream="crm",reason="timeout"} 0"#),
            "{text}"
        );
    }

    #[test]
    fn what_nobody_counts_with_any_more_is_not_shown_and_goes_on_from_its_old_value() {
        let registry = Registry::new();
        let metric = &table::RETRIES;
        let (crm, erp) = (&["crm", "timeout"], &["erp", "timeout"]);
        let kept = registry.counter(metric, crm);
        let gone = registry.counter(metric, erp);
        gone.increment(3);
        let clone = gone.clone();
        drop(gone);
        assert_eq!(lines(&registry.render(), metric.name).len(), 4, "a clone is a handle too");
        drop(clone);
        let text = registry.render();
        assert_eq!(lines(&text, metric.name).len(), 3, "{text}");
        assert!(!text.contains("erp"), "{text}");

        drop(kept);
        assert_eq!(lines(&registry.render(), metric.name), Vec::<String>::new());

        let back = registry.counter(metric, erp);
        back.increment(1);
        registry.counter(metric, erp).increment(1);
        let expected = r#"holdline_upstream_retries_total{upstream="erp",reason="timeout"} 5"#;
        assert!(registry.render().contains(expected), "{}", registry.render());
    }

    #[test]
    fn of_a_histogram_every_line_goes_with_its_handle() {
        let registry = Registry::new();
        for (metric, values) in [(&table::QUEUE_WAIT, &["crm"][..]), (&table::OVERHEAD, &[][..])] {
            let gone = registry.histogram(metric, values);
            gone.record(0.25);
            assert!(lines(&registry.render(), metric.name).len() > 10);
            drop(gone);
            assert_eq!(lines(&registry.render(), metric.name), Vec::<String>::new());
            let _back = registry.histogram(metric, values);
            let count = lines(&registry.render(), &format!("{}_count", metric.name));
            assert!(count[0].ends_with(" 1"), "{count:?}");
        }
    }

    #[test]
    fn seconds_keep_their_parts() {
        let registry = Registry::new();
        let seconds = registry.seconds(&table::SLOT_SECONDS, &["lookup"]);
        for micros in [400_000, 700_000, 150] {
            seconds.add(Duration::from_micros(micros));
        }
        let expected = r#"holdline_slot_seconds_total{action="lookup"} 1.10015"#;
        assert!(registry.render().contains(&format!("{expected}\n")), "{}", registry.render());
        drop(seconds);
        assert!(!registry.render().contains("lookup"));
    }

    #[test]
    fn what_is_shown_is_gone_with_the_scrape() {
        let registry = Registry::new();
        let mut scrape = registry.scrape();
        scrape.show(&table::CONFIG, &["a1"], 1.0);
        scrape.show(&table::UPSTREAM_LIMIT, &["a\"b\\c"], 0.5);
        scrape.show(&table::UPSTREAM_LIMIT, &["crm"], 12.0);
        let text = scrape.render();
        assert!(text.ends_with(
            "# HELP holdline_config_info 1, for the configuration in force.\n\
             # TYPE holdline_config_info gauge\n\
             holdline_config_info{hash=\"a1\"} 1\n\n\
             # HELP holdline_upstream_concurrency_limit Attempts that may be under way.\n\
             # TYPE holdline_upstream_concurrency_limit gauge\n\
             holdline_upstream_concurrency_limit{upstream=\"a\\\"b\\\\c\"} 0.5\n\
             holdline_upstream_concurrency_limit{upstream=\"crm\"} 12\n\n"
        ));
        assert_eq!(registry.render(), "");
    }

    #[test]
    fn switched_off_it_shows_nothing() {
        let registry = Registry::switched_off();
        let _held = registry.counter(&table::RETRIES, &["crm", "timeout"]);
        let mut scrape = registry.scrape();
        scrape.show(&table::CONFIG, &["a1"], 1.0);
        assert_eq!(scrape.render(), "");
    }
}
