//! Meters of one upstream: its attempts by method, status and error, and what retries and the queue
//! for a turn did. Attempt series appear with their first use: most statuses never come.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::{Counter, Histogram};

use crate::telemetry::{
    meters::Words,
    metrics::{self as table, Registry},
};

/// The labels of methods.
pub(super) const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "_OTHER"];
/// The statuses that have a label of their own; others are counted by class.
const STATUSES: [(u16, &str); 13] = [
    (200, "200"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (408, "408"),
    (409, "409"),
    (422, "422"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The labels of all statuses.
pub(super) fn status_labels() -> impl Iterator<Item = &'static str> {
    STATUSES.iter().map(|(_, label)| *label).chain(CLASSES)
}

/// How many those are.
pub(super) const STATUS_LABELS: usize = STATUSES.len() + CLASSES.len();

/// The place of a status among them, and its label.
pub(super) fn status_place(status: u16) -> (usize, &'static str) {
    match STATUSES.iter().position(|(known, _)| *known == status) {
        Some(place) => (place, STATUSES[place].1),
        None => {
            // What is no status is the server's fault, as 5xx are.
            let class = match usize::from(status / 100) {
                class @ 1..=4 => class - 1,
                _ => CLASSES.len() - 1,
            };
            (STATUSES.len() + class, CLASSES[class])
        }
    }
}

/// The label of a status.
pub fn status_label(status: u16) -> &'static str {
    status_place(status).1
}

/// The label of a method.
pub fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "_OTHER",
    }
}

type Series = OnceLock<Histogram>;

/// What attempts at one upstream leave.
pub struct AttemptMeters {
    registry: Arc<Registry>,
    upstream: String,
    address: String,
    port: String,
    durations: Vec<(&'static str, &'static str, &'static str, Series)>,
    calls: Vec<(&'static str, Words)>,
    /// Repeats, by reason.
    pub retries: Words,
    /// Repeats that were not made, by reason.
    pub suppressed: Words,
    /// Attempts that were held back, by reason.
    pub held: Words,
    queue: Histogram,
    /// Refused by the breaker.
    pub short_circuited: Counter,
    /// Let through by a breaker that only observes.
    pub would_refuse: Counter,
}

impl fmt::Debug for AttemptMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptMeters").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

impl AttemptMeters {
    const ERRORS: [&str; 8] =
        ["timeout", "connect", "dns", "tls", "reset", "protocol", "body_too_large", "canceled"];
    /// How fetches end.
    pub const RESULTS: &[&str] = &["success", "failure", "short_circuited", "shed"];
    /// Why attempts are repeated.
    pub const REASONS: &[&str] =
        &["timeout", "connect", "reset", "status_4xx", "status_5xx", "retry_after"];
    /// Why they are not.
    pub const SUPPRESSED: &[&str] = &[
        "limit_reached",
        "budget_exhausted",
        "deadline",
        "not_idempotent",
        "breaker_open",
        "held",
    ];

    /// The series of one upstream at `address` and `port`.
    pub fn new(registry: &Arc<Registry>, upstream: &str, address: &str, port: u16) -> Self {
        let answered = status_labels().map(|status| match status.as_bytes()[0] {
            b'4' | b'5' => (status, status),
            _ => (status, ""),
        });
        let kinds: Vec<_> = answered.chain(Self::ERRORS.map(|error| ("", error))).collect();
        let durations = METHODS
            .iter()
            .flat_map(|method| {
                kinds.iter().map(|(status, error)| (*method, *status, *error, Series::new()))
            })
            .collect();
        let calls = ["false", "true"].map(|retried| {
            let words = Words::new(Self::RESULTS, |result| {
                registry.counter(&table::UPSTREAM_CALLS, &[upstream, result, retried])
            });
            (retried, words)
        });
        Self {
            registry: Arc::clone(registry),
            upstream: upstream.to_owned(),
            address: address.to_owned(),
            port: port.to_string(),
            durations,
            calls: calls.into(),
            retries: Words::new(Self::REASONS, |reason| {
                registry.counter(&table::RETRIES, &[upstream, reason])
            }),
            suppressed: Words::new(Self::SUPPRESSED, |reason| {
                registry.counter(&table::RETRIES_SUPPRESSED, &[upstream, reason])
            }),
            held: Words::new(&["quota", "not_before"], |reason| {
                registry.counter(&table::HELD, &[upstream, reason])
            }),
            queue: registry.histogram(&table::QUEUE_WAIT, &[upstream]),
            short_circuited: registry.counter(&table::BREAKER_SHORT_CIRCUITED, &[upstream]),
            would_refuse: registry.counter(&table::BREAKER_WOULD_REFUSE, &[upstream]),
        }
    }

    /// Counts an attempt that ended with a status, or with an error and no status.
    pub fn attempted(&self, method: &http::Method, ended: Ended, took: Duration) {
        let method = method_label(method);
        let (status, error) = match ended {
            Ended::Status(status) => {
                let label = status_label(status);
                (label, if status >= 400 { label } else { "" })
            }
            Ended::Error(error) => ("", error),
        };
        let wanted = (method, status, error);
        let series = self.durations.iter().find(|(m, s, e, _)| (*m, *s, *e) == wanted);
        let Some((.., series)) = series else {
            debug_assert!(false, "no series for {wanted:?}");
            return;
        };
        let histogram = series.get_or_init(|| {
            let labels = [&*self.upstream, method, status, error, &*self.address, &*self.port];
            self.registry.histogram(&table::ATTEMPT_DURATION, &labels)
        });
        histogram.record(took.as_secs_f64());
    }

    /// Counts a fetch with all its attempts.
    pub fn called(&self, result: &str, attempts: usize) {
        let retried = usize::from(attempts > 1);
        self.calls[retried].1.count(result);
    }

    /// Counts the time an attempt waited for its turn.
    pub fn queued(&self, waited: Duration) {
        self.queue.record(waited.as_secs_f64());
    }
}

/// What hedging leaves, where it is on.
#[derive(Debug)]
pub struct HedgeMeters {
    /// Second attempts that were sent, by how they ended.
    pub hedges: Words,
    /// Those that were not sent, by reason.
    pub suppressed: Words,
}

impl HedgeMeters {
    /// Why none is sent beside a late one.
    pub const SUPPRESSED: &[&str] = &[
        "limit_reached",
        "deadline",
        "breaker_open",
        "held",
        "saturated",
        "hedge_budget",
        "retry_budget",
    ];

    /// The series of one upstream.
    pub fn new(registry: &Registry, upstream: &str) -> Self {
        Self {
            hedges: Words::new(&["won", "lost", "canceled"], |result| {
                registry.counter(&table::HEDGES, &[upstream, result])
            }),
            suppressed: Words::new(Self::SUPPRESSED, |reason| {
                registry.counter(&table::HEDGES_SUPPRESSED, &[upstream, reason])
            }),
        }
    }
}

/// New connections to an upstream, by what came of them.
pub fn connect_meters(registry: &Registry, upstream: &str) -> Words {
    Words::new(&["success", "failure"], |result| {
        registry.counter(&table::UPSTREAM_CONNECTS, &[upstream, result])
    })
}

/// Tokens that are asked for to log in with, by what came of it.
pub fn refresh_meters(registry: &Registry, upstream: &str) -> Words {
    Words::new(&["success", "refused", "failure"], |result| {
        registry.counter(&table::CREDENTIAL_REFRESHES, &[upstream, result])
    })
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this status.
    Status(u16),
    /// With one of the words of `error_type`.
    Error(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_statuses_are_counted_by_class() {
        assert_eq!(status_label(404), "404");
        assert_eq!(status_label(418), "4xx");
        assert_eq!(status_label(204), "2xx");
        assert_eq!(status_label(599), "5xx");
    }

    #[test]
    fn an_attempt_appears_with_its_first_use_and_never_under_a_foreign_label() {
        let registry = Registry::new();
        let meters = AttemptMeters::new(&registry, "crm", "crm.example", 443);
        assert!(!registry.render().contains("http_client_request_duration_seconds_count"));
        meters.attempted(&http::Method::GET, Ended::Status(503), Duration::from_millis(3));
        meters.attempted(&http::Method::TRACE, Ended::Error("timeout"), Duration::from_secs(2));
        let text = registry.render();
        assert!(text.contains(r#"http_response_status_code="503",error_type="503""#), "{text}");
        assert!(text.contains(r#"http_request_method="_OTHER""#), "{text}");
    }
}
