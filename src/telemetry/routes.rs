//! What requests to the data plane leave, by what HTTP knows of them: the standard view, for those who
//! look at every service in the same way.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::Histogram;

use crate::telemetry::{
    attempts::{METHODS, STATUS_LABELS, status_place},
    metrics::{self as table, Registry},
};

/// The error of a request whose caller hung up.
const CANCELED: &str = "canceled";

/// Requests to one route. Their series appear with their first use: most statuses never come.
pub struct RouteMeters {
    registry: Arc<Registry>,
    route: String,
    /// By method, then by status, that of nobody's last.
    durations: [[OnceLock<Histogram>; STATUS_LABELS + 1]; METHODS.len()],
}

impl fmt::Debug for RouteMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteMeters").field("route", &self.route).finish_non_exhaustive()
    }
}

impl RouteMeters {
    /// The series of that route, which is a template; empty: of what is no route.
    pub fn new(registry: &Arc<Registry>, route: &str) -> Arc<Self> {
        Arc::new(Self {
            registry: Arc::clone(registry),
            route: route.to_owned(),
            durations: Default::default(),
        })
    }

    /// Counts a request of that method that was answered with `status`; 0: its caller hung up before.
    pub fn ended(&self, method: &'static str, status: u16, took: Duration) {
        let (place, status, error) = match (status, status_place(status)) {
            (0, _) => (STATUS_LABELS, "", CANCELED),
            // What the caller did wrong is no error of the server.
            (..500, (place, label)) => (place, label, ""),
            (500.., (place, label)) => (place, label, label),
        };
        let by_status = METHODS.iter().zip(&self.durations).find(|(known, _)| **known == method);
        let Some((_, by_status)) = by_status else {
            debug_assert!(false, "no series for {method}");
            return;
        };
        let series = &by_status[place];
        let histogram = series.get_or_init(|| {
            let labels = [method, &*self.route, status, error];
            self.registry.histogram(&table::SERVER_DURATION, &labels)
        });
        histogram.record(took.as_secs_f64());
    }
}

/// What was read of a request, and what was sent.
pub struct BodyMeters {
    read: Histogram,
    sent: Histogram,
}

impl fmt::Debug for BodyMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyMeters(..)")
    }
}

impl BodyMeters {
    /// The series.
    pub fn new(registry: &Registry) -> Self {
        Self {
            read: registry.histogram(&table::REQUEST_BYTES, &[]),
            sent: registry.histogram(&table::RESPONSE_BYTES, &[]),
        }
    }

    /// A body was read whole.
    pub fn read(&self, bytes: usize) {
        self.read.record(bytes as f64);
    }

    /// A body is sent.
    pub fn sent(&self, bytes: usize) {
        self.sent.record(bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::attempts::method_label;

    #[test]
    fn any_status_and_any_method_have_their_series_at_their_first_use() {
        let registry = Registry::new();
        let meters = RouteMeters::new(&registry, "/data-action/{action}");
        assert!(!registry.render().contains("http_server_request_duration_seconds"));
        let took = Duration::from_millis(3);
        for method in ["GET", "POST", "PURGE", "get"] {
            let method = method_label(&method.parse().unwrap());
            for status in (100..=999).chain([0]) {
                meters.ended(method, status, took);
            }
        }
        let text = registry.render();
        let count = |labels: &str| {
            let start = format!(
                "http_server_request_duration_seconds_count{{http_request_method={labels}}} "
            );
            let line = text.lines().find_map(|line| line.strip_prefix(&*start));
            line.unwrap_or_else(|| panic!("{start} in\n{text}")).parse::<u64>().unwrap()
        };
        let route = r#"http_route="/data-action/{action}",http_response_status_code"#;
        assert_eq!(count(&format!(r#""POST",{route}="503",error_type="503""#)), 1);
        assert_eq!(count(&format!(r#""POST",{route}="",error_type="canceled""#)), 1);
        assert_eq!(count(&format!(r#""_OTHER",{route}="404",error_type="""#)), 2);
        assert_eq!(count(&format!(r#""GET",{route}="2xx",error_type="""#)), 99);
        let series = text.lines().filter(|line| line.contains("_seconds_count{"));
        assert_eq!(series.count(), 3 * 19);
    }
}
