//! What labels may say: words of a list that is closed in the code, or names in the configuration. A
//! test compares them with what a running service shows.

use holdline::telemetry::{
    attempts::{AttemptMeters, HedgeMeters, status_label},
    meters::{ActionCacheMeters, CacheMeters},
    metrics as table,
    outcome::{Outcome, Source},
    stage::Stage,
    tokens::TokenMeters,
};

use super::theme;

/// Where the values of a label come from.
#[derive(Debug, PartialEq)]
pub(crate) enum Values {
    /// These and no others; empty is one of them where it is here.
    Closed(Vec<&'static str>),
    /// As many as the configuration, the release or the machine has: of what.
    Open(&'static str),
}

/// The values of a metric's label.
///
/// # Panics
/// Where nobody has said: whoever adds a label says so here.
pub(crate) fn values(metric: &table::Definition, label: &str) -> Values {
    use Values::{Closed, Open};
    let words = |words: &[&'static str]| Closed(words.to_vec());
    match label {
        "action" if metric.name == table::ADMIN_ACTIONS.name => words(&[
            "purge",
            "revoke",
            "breaker",
            "drain",
            "undrain",
            "reload",
            "log_level",
            "token",
            "page",
        ]),
        "action" => Open("an action, by name; `_unknown` for all that are not configured"),
        "upstream" => Open("an upstream, by name"),
        "limit" => Open("a rate limit, by name"),
        "caller" => Open("a scheme of `callers`, by name"),
        "certificate" => Open("a place in the configuration: `server.tls`, `upstreams.NAME.tls`"),
        "server_address" => Open("the host of the upstream's `url`"),
        "server_port" => Open("its port"),
        "http_route" => Open("the template of the path; empty for what is no route"),
        "version" => Open("the release"),
        "revision" => Open("the commit it was built from"),
        "hash" => Open("a digest of the configuration"),
        "class" => Closed(theme::CLASSES.iter().map(|(word, _)| *word).collect()),
        "outcome" => Closed(Outcome::ALL.map(Outcome::as_str).to_vec()),
        "source" if metric.name == table::TOKEN_VALIDATIONS.name => {
            Closed(theme::VERDICTS.iter().map(|(word, _)| *word).collect())
        }
        "source" => Closed(Source::ALL.map(Source::as_str).to_vec()),
        "stage" => Closed(Stage::ALL.map(Stage::as_str).to_vec()),
        "state" | "from" | "to" => Closed(theme::BREAKER.map(|(word, ..)| word).to_vec()),
        "http_request_method" => words(&["GET", "POST", "PUT", "PATCH", "DELETE", "_OTHER"]),
        "http_response_status_code" => Closed(statuses(100)),
        "error_type" => Closed(errors(metric)),
        "result" => words(results(metric.name)),
        "reason" => words(reasons(metric.name)),
        "decision" => words(&["allowed", "limited", "shadow_limited"]),
        "cache" => words(&["response", "token"]),
        "cause" => words(&["size", "expired", "purged", "replaced", "outdated"]),
        "scope" => words(&["customer", "action", "all"]),
        "manner" => words(&["hard", "soft"]),
        "role" => words(&["leader", "follower", "abandoned"]),
        "retried" => words(&["false", "true"]),
        "phase" => words(&["response"]),
        "check" => words(&["lifecycle"]),
        "level" => words(&["error", "warn", "info", "debug", "trace"]),
        "signal" => words(&["spans", "logs"]),
        other => panic!("nobody has said which values {other} of {} may have", metric.name),
    }
}

/// Statuses from `least` on that have a label of their own, and the classes of all others.
fn statuses(least: u16) -> Vec<&'static str> {
    let mut labels: Vec<&'static str> = (least..600).map(status_label).collect();
    labels.sort_unstable();
    labels.dedup();
    labels.insert(0, "");
    labels
}

fn errors(metric: &table::Definition) -> Vec<&'static str> {
    // What a caller did wrong is no error of ours; what an upstream says is one of the attempt.
    let (least, words): (u16, &[&str]) = if metric.name == table::ATTEMPT_DURATION.name {
        let kinds = &[
            "timeout",
            "connect",
            "dns",
            "tls",
            "reset",
            "protocol",
            "body_too_large",
            "canceled",
        ];
        (400, kinds)
    } else {
        (500, &["canceled"])
    };
    statuses(least).into_iter().chain(words.iter().copied()).collect()
}

fn results(metric: &str) -> &'static [&'static str] {
    let known: &[(table::Definition, &[&str])] = &[
        (
            table::TLS_HANDSHAKES,
            &["ok", "timeout", "closed", "no_certificate", "bad_certificate", "error"],
        ),
        (table::TOKEN_VALIDATIONS, TokenMeters::RESULTS),
        (
            table::TOKEN_REQUESTS,
            &["issued", "invalid_client", "throttled", "invalid_request", "unavailable"],
        ),
        (table::CACHE_LOOKUPS, ActionCacheMeters::RESULTS),
        (table::CACHE_STORES, CacheMeters::STORES),
        (table::CACHE_AGE, &["hit", "stale"]),
        (table::CACHE_REFRESHES, &["success", "failure", "skipped"]),
        (table::UPSTREAM_CALLS, AttemptMeters::RESULTS),
        (table::HEDGES, &["won", "lost", "canceled"]),
        (table::UPSTREAM_CONNECTS, &["success", "failure"]),
        (table::CREDENTIAL_REFRESHES, &["success", "refused", "failure"]),
        (table::CONFIG_RELOADS, &["applied", "unchanged", "refused"]),
        (table::ADMIN_ACTIONS, &["done", "refused"]),
    ];
    of(metric, known)
}

fn reasons(metric: &str) -> &'static [&'static str] {
    let known: &[(table::Definition, &[&str])] = &[
        (table::RETRIES, AttemptMeters::REASONS),
        (table::RETRIES_SUPPRESSED, AttemptMeters::SUPPRESSED),
        (table::HEDGES_SUPPRESSED, HedgeMeters::SUPPRESSED),
        (table::HELD, &["quota", "not_before"]),
        (table::MAPPING_FAILURES, &["not_json", "missing_field", "wrong_type", "too_large"]),
    ];
    of(metric, known)
}

fn of(
    metric: &str,
    known: &[(table::Definition, &'static [&'static str])],
) -> &'static [&'static str] {
    let found = known.iter().find(|(definition, _)| definition.name == metric);
    found.map(|(_, words)| *words).expect("each metric with such a label is in the list")
}
