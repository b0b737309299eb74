//! The closed lists of traces: which names spans have, and which attributes. Nothing else leaves this
//! process in a span, and the table in `deploy/traces.md` is held to this one.

use opentelemetry::{Key, KeyValue, Value};

use crate::telemetry::{stage::Stage, work::Work};

/// An attribute of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described in the table below")]
pub enum Attribute {
    Method,
    Route,
    Scheme,
    Version,
    Status,
    ErrorType,
    Address,
    Port,
    Template,
    Resent,
    Action,
    RequestId,
    Outcome,
    Class,
    Source,
    Age,
    Deadline,
    Decision,
    Limit,
    Upstream,
    Attempts,
    Breaker,
    Suppressed,
    Cause,
    Change,
    Result,
    Changes,
    Cut,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::Method,
        Self::Route,
        Self::Scheme,
        Self::Version,
        Self::Status,
        Self::ErrorType,
        Self::Address,
        Self::Port,
        Self::Template,
        Self::Resent,
        Self::Action,
        Self::RequestId,
        Self::Outcome,
        Self::Class,
        Self::Source,
        Self::Age,
        Self::Deadline,
        Self::Decision,
        Self::Limit,
        Self::Upstream,
        Self::Attempts,
        Self::Breaker,
        Self::Suppressed,
        Self::Cause,
        Self::Change,
        Self::Result,
        Self::Changes,
        Self::Cut,
    ];

    /// Its name, and what it says on which spans.
    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Method => {
                ("http.request.method", "call, exchanges: one of those known, or `_OTHER`")
            }
            Self::Route => ("http.route", "call: the template of its path"),
            Self::Scheme => ("url.scheme", "call: `http`, or `https` where the listener has TLS"),
            Self::Version => ("network.protocol.version", "call: `1.0` or `1.1`"),
            Self::Status => ("http.response.status_code", "call, exchanges: where there was one"),
            Self::ErrorType => (
                "error.type",
                "call: its outcome; exchanges: the status or what broke; only on errors",
            ),
            Self::Address => ("server.address", "exchanges: the host asked"),
            Self::Port => ("server.port", "exchanges: its port"),
            Self::Template => (
                "url.template",
                "attempts: the path with its placeholders, never what stands in them",
            ),
            Self::Resent => {
                ("http.request.resend_count", "exchanges: 1 on the first that repeats another")
            }
            Self::Action => ("holdline.action", "call, refresh: the action, or `_unknown`"),
            Self::RequestId => {
                ("holdline.request_id", "call: as in its log line and `X-Request-Id`")
            }
            Self::Outcome => ("holdline.outcome", "call: how it ended"),
            Self::Class => ("holdline.class", "call: `success degraded rejected failure`"),
            Self::Source => ("holdline.source", "call: who answered"),
            Self::Age => {
                ("holdline.age_s", "call: how old the answer was, where it came out of the cache")
            }
            Self::Deadline => {
                ("holdline.deadline_ms", "call: how long it may take, once it was read")
            }
            Self::Decision => {
                ("holdline.decision", "stages, exchanges: what came of it, in one word")
            }
            Self::Limit => {
                ("holdline.limit", "`rate_limit`: the limit that refused, or would have")
            }
            Self::Upstream => ("holdline.upstream", "`upstream`: which one"),
            Self::Attempts => ("holdline.attempts", "`upstream`: how many were made"),
            Self::Breaker => ("holdline.breaker.state", "`upstream`: as the fetch met it"),
            Self::Suppressed => (
                "holdline.retry.suppressed_reason",
                "`upstream`: why it was not repeated once more",
            ),
            Self::Cause => ("holdline.cause", "`reload`: `file signal operator`"),
            Self::Change => (
                "holdline.change",
                "`change`: `purge revoke breaker drain undrain reload log_level`",
            ),
            Self::Result => (
                "holdline.result",
                "`start`: `ready`; `reload`: `applied unchanged refused`; `change`: `done refused`",
            ),
            Self::Changes => ("holdline.changes", "`reload`: how many, where it was applied"),
            Self::Cut => ("holdline.cut", "`calls`: how many did not end in their time"),
        }
    }

    /// Its name.
    pub const fn key(self) -> &'static str {
        self.row().0
    }

    /// What it says on which spans.
    pub const fn says(self) -> &'static str {
        self.row().1
    }

    pub(super) fn is(self, value: impl Into<Value>) -> KeyValue {
        KeyValue::new(Key::from_static_str(self.key()), value)
    }
}

/// The name of a span that is an HTTP exchange: its method, and a template or a word for what is
/// asked.
pub(super) fn http_name(method: &str, target: &str) -> String {
    format!("{method} {target}")
}

/// Whether a span may have that name, where `targets` are the templates that are configured.
pub fn is_name(name: &str, targets: &[&str]) -> bool {
    let is_stage =
        Stage::ALL.iter().any(|stage| stage.as_str() == name && *stage != Stage::Attempt);
    let is_work = Work::ALL.iter().any(|work| work.as_str() == name);
    let questions = ["introspection", "tokens/me", "keys", "token"];
    is_stage
        || is_work
        || name.split_once(' ').is_some_and(|(method, target)| {
            ["GET", "POST", "PUT", "PATCH", "DELETE", "_OTHER"].contains(&method)
                && (questions.contains(&target) || targets.contains(&target))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_traces_has_each_attribute_and_no_other() {
        let page = include_str!("../../../deploy/traces.md");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let row = |one: Attribute| format!("| `{}` | {} |", one.key(), one.says());
        assert_eq!(rows.collect::<Vec<_>>(), Attribute::ALL.map(row));
    }

    #[test]
    fn no_two_attributes_have_one_name() {
        let mut keys = Attribute::ALL.map(Attribute::key);
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
    }
}
