//! The one list of all metrics: name, type, labels and help text. Nothing else in the crate names a
//! metric; `/metrics`, its help texts and the reference page come from here.

pub use crate::telemetry::registry::Registry;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Its name, unit and `_total` included.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels. Their values come from closed sets or the configuration.
    pub labels: &'static [&'static str],
    /// The question it answers.
    pub help: &'static str,
}

/// Buckets for whole calls, in seconds: OpenTelemetry's, with a finer one for hits, and without those
/// that stand closest to others: each one costs a large service a hundred series or two.
const CALL: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets for attempts, in seconds: the same, but that nobody is reached over a network in one
/// millisecond.
const ATTEMPT: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets for stages, in seconds: most take microseconds, some as long as an attempt.
const STAGE: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets for what should take next to no time, in seconds.
const BRIEF: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets for bodies, in bytes: most fit into a packet, none is larger than what may be read.
const SIZE: &[f64] = &[256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0];
/// Buckets for ages of answers, in seconds.
const AGE: &[f64] = &[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0];

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Definition {
    Definition { name, kind: Kind::Counter, labels, help }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Definition {
    Definition { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(
    name: &'static str,
    buckets: &'static [f64],
    labels: &'static [&'static str],
    help: &'static str,
) -> Definition {
    Definition { name, kind: Kind::Histogram(buckets), labels, help }
}

macro_rules! catalogue {
    ($($id:ident = $definition:expr;)*) => {
        $(#[doc = concat!("See its help text in [`TABLE`].")] pub const $id: Definition = $definition;)*
        /// Every metric, in the order of a call's path.
        pub const TABLE: &[Definition] = &[$($id),*];
    };
}

catalogue! {
    REQUESTS = counter("holdline_requests_total", &["action", "class", "outcome", "source"],
        "Calls that ended, by how they ended and who answered.");
    REQUEST_DURATION = histogram("holdline_request_duration_seconds", CALL, &["action", "source"],
        "How long a flow waits for an answer.");
    OVERHEAD = histogram("holdline_overhead_duration_seconds", BRIEF, &[],
        "The part of a call that was not spent waiting for an upstream or the token authority.");
    SLOT_SECONDS = counter("holdline_slot_seconds_total", &["action"],
        "Seconds for which callers were kept waiting: its rate is the number of the organisation's action slots that an action holds.");
    SERVER_DURATION = histogram("http_server_request_duration_seconds", CALL,
        &["http_request_method", "http_route", "http_response_status_code", "error_type"],
        "How long each request to the data plane takes, by what HTTP knows of it.");
    REQUEST_BYTES = histogram("holdline_request_body_bytes", SIZE, &[],
        "Bytes of what callers send.");
    RESPONSE_BYTES = histogram("holdline_response_body_bytes", SIZE, &[],
        "Bytes of what callers are sent.");
    ACTIVE_REQUESTS = gauge("http_server_active_requests", &["http_request_method"],
        "Calls under way.");
    CONNECTIONS = gauge("holdline_server_connections", &[], "Open connections to the data plane.");
    TLS_HANDSHAKES = counter("holdline_tls_handshakes_total", &["result"],
        "TLS handshakes of callers, by how they ended.");
    CERTIFICATE_EXPIRY = gauge("holdline_tls_certificate_expiry_timestamp_seconds",
        &["certificate"], "When the first certificate of a chain of ours expires, by its place in the configuration.");
    STAGE_DURATION = histogram("holdline_stage_duration_seconds", STAGE, &["stage"],
        "How long each stage of a call takes.");
    TOKEN_VALIDATIONS = counter("holdline_token_validations_total", &["result", "source"],
        "Verdicts about callers' tokens and keys, and where each verdict came from.");
    TOKEN_AUTHORITY_SUCCESS = gauge("holdline_token_authority_last_success_timestamp_seconds",
        &["caller"], "When the token authority last gave a verdict; 0: not since the start.");
    TOKEN_REQUESTS = counter("holdline_token_requests_total", &["caller", "result"],
        "Requests for a token that is issued here, and what they came to.");
    LIMIT_DECISIONS = counter("holdline_ratelimit_decisions_total", &["limit", "decision"],
        "What each rate limit decided, or would have decided.");
    LIMIT_KEYS = gauge("holdline_ratelimit_tracked_keys", &["limit"],
        "Keys that a rate limit keeps count of.");
    CACHE_LOOKUPS = counter("holdline_cache_lookups_total", &["cache", "action", "result"],
        "Look-ups in the answer cache.");
    CACHE_STORES = counter("holdline_cache_stores_total", &["cache", "result"],
        "Answers offered to the cache, and what became of them.");
    CACHE_EVICTIONS = counter("holdline_cache_evictions_total", &["cache", "cause"],
        "Entries that left a cache.");
    CACHE_ENTRIES = gauge("holdline_cache_entries", &["cache"], "Entries in a cache.");
    CACHE_BYTES = gauge("holdline_cache_bytes", &["cache"],
        "Bytes that a cache holds, keys and overhead counted.");
    CACHE_CAPACITY = gauge("holdline_cache_capacity_bytes", &["cache"],
        "Bytes that a cache may hold.");
    CACHE_AGE = histogram("holdline_cache_served_age_seconds", AGE, &["result"],
        "How old answers out of the cache are.");
    CACHE_REFRESHES = counter("holdline_cache_refreshes_total", &["action", "result"],
        "Fetches behind an answer that was served stale.");
    CACHE_PURGES = counter("holdline_cache_purges_total", &["scope", "manner"],
        "Purges by an operator: hard ones remove, soft ones mark stale.");
    CACHE_PURGED = counter("holdline_cache_purged_entries_total", &["scope", "manner"],
        "Entries that purges removed or marked stale.");
    COALESCED = counter("holdline_coalesced_requests_total", &["action", "role"],
        "Calls that shared a fetch: who led, who followed, who was turned away.");
    ATTEMPT_DURATION = histogram("http_client_request_duration_seconds", ATTEMPT,
        &["upstream", "http_request_method", "http_response_status_code", "error_type",
          "server_address", "server_port"],
        "How long each attempt at an upstream takes, whole body included.");
    UPSTREAM_CALLS = counter("holdline_upstream_calls_total", &["upstream", "result", "retried"],
        "Fetches from an upstream, each with all its attempts, by how they ended.");
    RETRIES = counter("holdline_upstream_retries_total", &["upstream", "reason"],
        "Attempts that were repeated, and why.");
    RETRIES_SUPPRESSED = counter("holdline_upstream_retries_suppressed_total",
        &["upstream", "reason"], "Attempts that failed and were not repeated, and why not.");
    HEDGES = counter("holdline_upstream_hedges_total", &["upstream", "result"],
        "Attempts that were sent beside a late one, by which of the two answered first.");
    HEDGES_SUPPRESSED = counter("holdline_upstream_hedges_suppressed_total",
        &["upstream", "reason"], "Late attempts beside which none was sent, and why not.");
    RETRY_BUDGET = gauge("holdline_upstream_retry_budget_ratio", &["upstream"],
        "The part of the retry budget that is left.");
    UPSTREAM_IN_FLIGHT = gauge("holdline_upstream_inflight_requests", &["upstream"],
        "Attempts under way.");
    UPSTREAM_LIMIT = gauge("holdline_upstream_concurrency_limit", &["upstream"],
        "Attempts that may be under way.");
    QUEUE_WAIT = histogram("holdline_upstream_queue_wait_seconds", BRIEF, &["upstream"],
        "How long attempts wait for their turn.");
    HELD = counter("holdline_upstream_held_total", &["upstream", "reason"],
        "Attempts that were not sent because the upstream may not be asked yet.");
    HELD_SECONDS = gauge("holdline_upstream_held_seconds", &["upstream"],
        "For how long yet an upstream does not want to be asked.");
    QUOTA_LEFT = gauge("holdline_upstream_quota_left_ratio", &["upstream"],
        "The part of the quota's burst that is left.");
    UPSTREAM_CONNECTS = counter("holdline_upstream_connects_total", &["upstream", "result"],
        "New connections to an upstream: few where connections are kept.");
    CREDENTIAL_REFRESHES = counter("holdline_upstream_credential_refreshes_total",
        &["upstream", "result"], "Tokens that were asked for to log in with, and what came of it.");
    CREDENTIAL_EXPIRY = gauge("holdline_upstream_credential_expiry_timestamp_seconds",
        &["upstream"], "When the token expires with which an upstream is asked; 0: there is none.");
    BREAKER_STATE = gauge("holdline_breaker_state", &["upstream", "state"],
        "1 for the state that the breaker is in, forced ones included; 0 for all others.");
    BREAKER_TRANSITIONS = counter("holdline_breaker_transitions_total",
        &["upstream", "from", "to"], "Changes of a breaker's state.");
    BREAKER_SHORT_CIRCUITED = counter("holdline_breaker_short_circuited_total", &["upstream"],
        "Attempts that an open breaker refused.");
    BREAKER_WOULD_REFUSE = counter("holdline_breaker_would_refuse_total", &["upstream"],
        "Attempts that passed only because an operator has the breaker observe.");
    BREAKER_FAILURE_RATIO = gauge("holdline_breaker_failure_ratio", &["upstream"],
        "The share of failures that the breaker sees in its window.");
    BREAKER_SLOW_RATIO = gauge("holdline_breaker_slow_ratio", &["upstream"],
        "The share of slow attempts that the breaker sees in its window.");
    BREAKER_OPENED = gauge("holdline_breaker_last_opened_timestamp_seconds", &["upstream"],
        "When the breaker last opened, or was forced open, a probe that failed not counted; 0: not since the start.");
    MAPPING_FAILURES = counter("holdline_mapping_failures_total", &["action", "phase", "reason"],
        "Replies that did not fit the action's outputs.");
    BUILD = gauge("holdline_build_info", &["version", "revision"], "1, for what runs here.");
    CONFIG = gauge("holdline_config_info", &["hash"], "1, for the configuration in force.");
    CONFIG_RELOADS = counter("holdline_config_reloads_total", &["result"],
        "Configurations that were read while this process ran, and what became of them.");
    CONFIG_RELOAD_SUCCESSFUL = gauge("holdline_config_last_reload_successful", &[],
        "1 where the configuration that was read last is in force, 0 where it was refused.");
    CONFIG_RELOAD_SUCCESS = gauge("holdline_config_last_reload_success_timestamp_seconds", &[],
        "When a configuration was last read and found good.");
    READY = gauge("holdline_ready", &["check"], "1 where this process may be sent calls.");
    DRAINING = gauge("holdline_draining", &[], "1 while this process is leaving, or kept out of rotation by its operator.");
    ADMIN_ACTIONS = counter("holdline_admin_actions_total", &["action", "result"],
        "What operators did on the admin listener.");
    LOG_MESSAGES = counter("holdline_log_messages_total", &["level"],
        "Log lines, by their level.");
    EVENT_LOOP_LAG = histogram("holdline_event_loop_lag_seconds", BRIEF, &[],
        "How late the threads that serve calls wake up a task that waits for a time, beyond the millisecond in which time is counted.");
    TOKIO_WORKERS = gauge("tokio_workers", &[], "Threads that serve calls.");
    TOKIO_TASKS = gauge("tokio_alive_tasks", &[], "Tasks of the threads that serve calls.");
    TOKIO_QUEUE = gauge("tokio_global_queue_depth", &[],
        "Tasks that no thread has taken up yet.");
    TOKIO_BUSY = counter("tokio_worker_busy_seconds_total", &[],
        "Seconds for which the threads that serve calls were busy, all of them together.");
    PROCESS_CPU = counter("process_cpu_seconds_total", &[],
        "Seconds of CPU time that this process took, its own and the system's for it.");
    PROCESS_MEMORY = gauge("process_resident_memory_bytes", &[], "Bytes of memory in use.");
    PROCESS_VIRTUAL_MEMORY = gauge("process_virtual_memory_bytes", &[],
        "Bytes of memory that are set aside, used or not.");
    PROCESS_VIRTUAL_MEMORY_MAX = gauge("process_virtual_memory_max_bytes", &[],
        "Bytes of memory that may be set aside.");
    PROCESS_FDS = gauge("process_open_fds", &[], "Open files and connections.");
    PROCESS_FDS_MAX = gauge("process_max_fds", &[], "Files and connections that may be open.");
    PROCESS_THREADS = gauge("process_threads", &[], "Threads of this process.");
    PROCESS_START = gauge("process_start_time_seconds", &[], "When this process started.");
    PANICS = counter("holdline_panics_total", &[], "Bugs that ended a call or a task.");
    TELEMETRY_DROPPED = counter("holdline_telemetry_dropped_total", &["signal"],
        "Spans and log lines that were dropped rather than waited for.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        for metric in TABLE {
            assert_eq!(
                metric.name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{}",
                metric.name
            );
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            if matches!(metric.kind, Kind::Histogram(_)) {
                assert!(metric.name.ends_with("_seconds") || metric.name.ends_with("_bytes"));
            }
        }
    }
}
