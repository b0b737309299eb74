//! What the page of metrics says of labels is what a service shows.

use holdline::telemetry::metrics::{Kind, TABLE};

use super::files::words::{Values, values};
use crate::support::service::{Outside, Service, Wish};

/// The labels of a line of a scrape. No value here has a comma or a quote.
fn labels(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let inner = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
    let pairs = inner.map_or("", |(inner, _)| inner).split(',');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .map(|(label, value)| (label, value.trim_matches('"')))
}

#[tokio::test]
async fn every_value_of_a_closed_label_is_in_its_list() {
    let outside = Outside::start().await;
    let service = Service::start(&outside.yaml(&Wish::default()), &[]).await;
    for (customer, status) in [("1", 200), ("1", 200), ("900000", 404), ("x", 400)] {
        assert_eq!(service.status("customer-lookup", customer).await, status);
    }
    let scrape = service.metrics().await;
    let mut seen = 0;
    for line in scrape.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let metric = TABLE.iter().find(|metric| match metric.kind {
            Kind::Histogram(_) => {
                name.rsplit_once('_').is_some_and(|(name, _)| name == metric.name)
            }
            Kind::Counter | Kind::Gauge => name == metric.name,
        });
        let metric = metric.unwrap_or_else(|| panic!("no metric of the table: {line}"));
        for (label, value) in labels(line).filter(|(label, _)| *label != "le") {
            if let Values::Closed(words) = values(metric, label) {
                assert!(words.contains(&value), "{label} of {name}: {value} is not in its list");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen}");
}
