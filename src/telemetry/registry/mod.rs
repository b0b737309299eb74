//! Where series are kept, and what of them a scrape shows: those that somebody can still count with,
//! and what is told of the moment.
//!
//! A handle is the series itself: to count with it takes an atomic step or two, and asks nobody. What
//! only the registry knows any more is left out of the text: an action, an upstream or a limit that is
//! no longer configured. Where it comes back, it goes on from its old value.
//!
//! The text is the exporter's. Its own store is not used: that keeps each sample of a histogram until
//! the next scrape, forgets no series, and measures the processor's clock when it starts.

mod buckets;

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, Key, Label};
use metrics_exporter_prometheus::{
    LabelSet,
    formatting::{write_help_line, write_metric_line, write_type_line},
};

use crate::telemetry::metrics::{Definition, Kind};

use buckets::Buckets;

/// Where metrics are kept. One per running service, so that two in one process never mix.
pub struct Registry {
    counters: Given<AtomicU64>,
    /// The bits of floats.
    gauges: Given<AtomicU64>,
    /// Microseconds.
    seconds: Given<AtomicU64>,
    histograms: Given<Buckets>,
    on: bool,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry(..)")
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Arc<Self> {
        Self::make(true)
    }

    /// A registry that keeps nothing: every handle counts into the void.
    pub fn switched_off() -> Arc<Self> {
        Self::make(false)
    }

    fn make(on: bool) -> Arc<Self> {
        Arc::new(Self {
            counters: Given::default(),
            gauges: Given::default(),
            seconds: Given::default(),
            histograms: Given::default(),
            on,
        })
    }

    /// The handle of a counter's series, which exists at zero from now on, as long as the handle does.
    pub fn counter(&self, metric: &Definition, values: &[&str]) -> Counter {
        debug_assert!(matches!(metric.kind, Kind::Counter));
        if !self.on {
            return Counter::noop();
        }
        Counter::from_arc(self.counters.give(metric, values, AtomicU64::default))
    }

    /// The handle of a gauge's series, for what is told when it happens and not when it is asked for.
    pub fn gauge(&self, metric: &Definition, values: &[&str]) -> Gauge {
        debug_assert!(matches!(metric.kind, Kind::Gauge));
        if !self.on {
            return Gauge::noop();
        }
        Gauge::from_arc(self.gauges.give(metric, values, AtomicU64::default))
    }

    /// The handle of a histogram's series.
    pub fn histogram(&self, metric: &Definition, values: &[&str]) -> Histogram {
        match metric.kind {
            Kind::Histogram(bounds) if self.on => {
                Histogram::from_arc(self.histograms.give(metric, values, || Buckets::new(bounds)))
            }
            kind => {
                debug_assert!(matches!(kind, Kind::Histogram(_)));
                Histogram::noop()
            }
        }
    }

    /// The handle of a counter that counts parts of seconds too.
    pub fn seconds(&self, metric: &Definition, values: &[&str]) -> Seconds {
        debug_assert!(matches!(metric.kind, Kind::Counter));
        Seconds(self.seconds.give(metric, values, AtomicU64::default))
    }

    /// What is shown now: all series that are kept here, and what is still to be put beside them.
    pub fn scrape(&self) -> Scrape<'_> {
        Scrape { registry: self, shown: BTreeMap::new() }
    }

    /// What is kept here, in the Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        self.scrape().render()
    }
}

/// Series that were given out, by name and values of labels. Who asks for the same one gets the same one.
struct Given<T>(Mutex<BTreeMap<Identity, Series<T>>>);

/// The name of a metric, and the values of its labels.
type Identity = (&'static str, Vec<String>);

/// One of them.
struct Series<T> {
    metric: Definition,
    labels: LabelSet,
    kept: Arc<T>,
}

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Given<T> {
    fn give(&self, metric: &Definition, values: &[&str], make: impl FnOnce() -> T) -> Arc<T> {
        let key = (metric.name, values.iter().map(|value| (*value).to_owned()).collect());
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let series = given.entry(key).or_insert_with(|| Series {
            metric: *metric,
            labels: labels(metric, values),
            kept: Arc::new(make()),
        });
        Arc::clone(&series.kept)
    }

    /// Has those shown that anybody but the registry holds.
    fn each(&self, mut show: impl FnMut(&Definition, &LabelSet, &T)) {
        let given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Series { metric, labels, kept } in given.values() {
            if Arc::strong_count(kept) > 1 {
                show(metric, labels, kept);
            }
        }
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
    /// Lines, by the name of their metric.
    shown: BTreeMap<&'static str, (Definition, String)>,
}

impl Scrape<'_> {
    /// Shows one series of a counter or a gauge that is not kept in the registry.
    pub fn show(&mut self, metric: &Definition, values: &[&str], value: f64) {
        if matches!(metric.kind, Kind::Histogram(_)) {
            debug_assert!(false, "{} is no single number", metric.name);
            return;
        }
        self.line(metric, &labels(metric, values), value);
    }

    /// Everything, in the Prometheus text format 0.0.4.
    pub fn render(mut self) -> String {
        let Registry { counters, gauges, seconds, histograms, on } = self.registry;
        if !on {
            return String::new();
        }
        let load = |series: &AtomicU64| series.load(Ordering::Relaxed);
        counters.each(|metric, labels, count| self.line(metric, labels, load(count)));
        gauges.each(|metric, labels, bits| {
            self.line(metric, labels, f64::from_bits(load(bits)));
        });
        seconds.each(|metric, labels, micros| {
            self.line(metric, labels, load(micros) as f64 / 1e6);
        });
        histograms.each(|metric, labels, buckets| self.histogram(metric, labels, buckets));
        let mut text = String::new();
        for (name, (metric, lines)) in self.shown {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            write_help_line(&mut text, name, None, None, metric.help);
            write_type_line(&mut text, name, None, None, kind);
            text += &lines;
            text.push('\n');
        }
        text
    }

    fn line(&mut self, metric: &Definition, labels: &LabelSet, value: impl Display) {
        let (name, lines) = self.lines(metric);
        write_metric_line(lines, name, None, labels, None::<(_, f64)>, value, None);
    }

    fn histogram(&mut self, metric: &Definition, labels: &LabelSet, buckets: &Buckets) {
        let (name, lines) = self.lines(metric);
        let seen = buckets.seen();
        for (bound, samples) in seen.up_to {
            let up_to = Some(("le", bound));
            write_metric_line(lines, name, Some("bucket"), labels, up_to, samples, None);
        }
        let all = Some(("le", "+Inf"));
        write_metric_line(lines, name, Some("bucket"), labels, all, seen.count, None);
        write_metric_line(lines, name, Some("sum"), labels, None::<(_, f64)>, seen.sum, None);
        write_metric_line(lines, name, Some("count"), labels, None::<(_, f64)>, seen.count, None);
    }

    /// The lines of that metric so far, and its name.
    fn lines(&mut self, metric: &Definition) -> (&'static str, &mut String) {
        let shown = self.shown.entry(metric.name).or_insert_with(|| (*metric, String::new()));
        (metric.name, &mut shown.1)
    }
}

/// The labels of a series, in the order of their metric.
fn labels(metric: &Definition, values: &[&str]) -> LabelSet {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let labels = metric.labels.iter().zip(values);
    let labels: Vec<_> =
        labels.map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    LabelSet::from_key_and_global(&Key::from_parts(metric.name, labels), &Default::default())
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
