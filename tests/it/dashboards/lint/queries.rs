//! Rules about queries: what they name exists, what they count is a counter, and who reads the
//! dashboard chooses the replicas.

use std::{fs, path::Path};

use holdline::telemetry::metrics::{Kind, TABLE};

use super::{
    super::files::series::{FOREIGN, RECORDED, TARGET},
    Findings,
    promql::{Selector, read},
};

/// Where a query stands, and what is said there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// In words.
    pub(super) name: &'a str,
    /// What is said of it.
    pub(super) description: &'a str,
    /// The names of its series.
    pub(super) legend: &'a str,
}

/// Functions of counters.
const OF_COUNTERS: [&str; 2] = ["rate", "increase"];
/// Functions that say nothing right here: of counters that restart, of single moments.
const REFUSED: [&str; 4] = ["irate", "delta", "idelta", "deriv"];

/// What is known of a metric: its labels, whether it is a counter, and who makes it.
struct Known {
    labels: Vec<&'static str>,
    counter: bool,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Ours,
    Foreign,
    Recorded,
}

fn known(name: &str) -> Option<Known> {
    let parts = [("", None), ("_count", Some(())), ("_sum", Some(())), ("_bucket", Some(()))];
    for metric in TABLE {
        let histogram = matches!(metric.kind, Kind::Histogram(_));
        for (suffix, of_histogram) in parts {
            if name.strip_suffix(suffix) == Some(metric.name) && of_histogram.is_some() == histogram
            {
                let le: &[&str] = if suffix == "_bucket" { &["le"] } else { &[] };
                let labels = TARGET.iter().chain(metric.labels).chain(le).copied().collect();
                let counter = histogram || metric.kind == Kind::Counter;
                return Some(Known { labels, counter, origin: Origin::Ours });
            }
        }
    }
    if let Some((name, labels, _)) = FOREIGN.iter().find(|(known, ..)| *known == name) {
        let (labels, counter) = (labels.to_vec(), name.ends_with("_total"));
        return Some(Known { labels, counter, origin: Origin::Foreign });
    }
    let recorded =
        || Known { labels: vec!["namespace", "job"], counter: false, origin: Origin::Recorded };
    RECORDED.contains(&name).then(recorded)
}

/// Looks at one expression.
pub(super) fn check(expression: &str, place: Place<'_>, found: &mut Findings) {
    let named = read(expression);
    for word in &named.bare {
        found.add(place.name, format!("{word} is named without choosing the replicas"));
    }
    let mut labels = Vec::new();
    for selector in &named.selectors {
        let Some(known) = known(&selector.name) else {
            found.add(place.name, format!("there is no metric {}", selector.name));
            continue;
        };
        check_selector(selector, &known, place, found);
        labels.extend(known.labels);
    }
    let legend = place.legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    let legend = legend.map(|(label, _)| label.trim().to_owned());
    let spoken_of = named.labels.iter().map(|(_, label)| label.clone()).chain(legend);
    for label in spoken_of.filter(|label| !labels.contains(&label.as_str())) {
        found.add(place.name, format!("no metric of it has a label {label}"));
    }
    let buckets = named.selectors.iter().any(|selector| selector.name.ends_with("_bucket"));
    let by_bucket = named.labels.iter().any(|(word, label)| word == "by" && label == "le");
    if expression.contains("histogram_quantile") && !(buckets && by_bucket) {
        found.add(place.name, "histogram_quantile is of buckets, summed by le".into());
    }
    if expression.contains("histogram_quantile(1,") || expression.contains("histogram_quantile(0,")
    {
        found.add(place.name, "the largest and smallest are not in a histogram".into());
    }
}

fn check_selector(selector: &Selector, known: &Known, place: Place<'_>, found: &mut Findings) {
    let name = &selector.name;
    for (label, ..) in
        selector.matchers.iter().filter(|(label, ..)| !known.labels.contains(&&**label))
    {
        found.add(place.name, format!("{name} has no label {label}"));
    }
    let chosen: &[&str] = match known.origin {
        Origin::Ours => &TARGET,
        Origin::Foreign if known.labels.contains(&"instance") => &TARGET,
        Origin::Foreign if known.labels.contains(&"job") => &["job"],
        Origin::Foreign => &["namespace"],
        Origin::Recorded => &["namespace", "job"],
    };
    for label in chosen {
        // An alert that something is absent has no such label: `|` lets it pass.
        let or_none = if name.starts_with("ALERTS") { "|" } else { "" };
        let wanted = ((*label).to_owned(), "=~".to_owned(), format!("${label}{or_none}"));
        if !selector.matchers.contains(&wanted) {
            found.add(place.name, format!("{name} is not chosen by ${label}"));
        }
    }
    check_function(selector, known, place, found);
    let said = match known.origin {
        Origin::Ours => None,
        // One name may stand for its family.
        Origin::Foreign => Some(name.split('_').take(2).collect::<Vec<_>>().join("_")),
        Origin::Recorded => Some("rule".to_owned()),
    };
    let says_so = |said: &String| {
        place.description.contains(said.as_str())
            || (known.origin == Origin::Recorded && place.description.contains("alerts"))
    };
    if said.as_ref().is_some_and(|said| !place.description.is_empty() && !says_so(said)) {
        found.add(place.name, format!("it does not say where {name} comes from"));
    }
    if known.origin == Origin::Recorded && !is_recorded(name) {
        found.add(place.name, format!("no rule records {name}"));
    }
}

fn check_function(selector: &Selector, known: &Known, place: Place<'_>, found: &mut Findings) {
    let name = &selector.name;
    let function = selector.within.last().map(String::as_str).unwrap_or_default();
    if let Some(refused) = selector.within.iter().find(|word| REFUSED.contains(&&***word)) {
        found.add(place.name, format!("{refused} is misleading"));
    }
    let counts = OF_COUNTERS.contains(&function);
    if known.counter && !counts {
        found.add(place.name, format!("the counter {name} is neither in rate nor in increase"));
    }
    if !known.counter && counts {
        found.add(place.name, format!("the gauge {name} is in {function}"));
    }
    let range = selector.range.as_deref();
    if counts && !matches!(range, Some("$__rate_interval" | "$__range")) {
        let range = range.unwrap_or("no time");
        found.add(place.name, format!("{function} of {name} over {range}, not $__rate_interval"));
    }
}

/// Whether a rule of ours writes that.
fn is_recorded(name: &str) -> bool {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/rules/holdline.yaml");
    fs::read_to_string(rules).is_ok_and(|text| text.contains(&format!("record: {name}\n")))
}
