//! What a scrape may hold: metrics of the table with their labels, and values out of closed lists or
//! the configuration.

use std::collections::BTreeSet;

use holdline::{
    demo::fault::Fault,
    telemetry::{
        metrics::{Kind, TABLE},
        outcome::{Outcome, Source},
        stage::Stage,
    },
};
use serde_json::json;

use crate::support::{
    issuer::Issuer,
    papers::Papers,
    service::{Outside, Service, Wish},
};

const STATUSES: &str = "200 400 401 403 404 408 409 422 429 500 502 503 504 1xx 2xx 3xx 4xx 5xx";
const STATES: &str = "closed open half_open forced_open forced_closed observing disabled";

/// The values of a label, split at spaces; where a metric has others than the rest, by its name.
const CLOSED: &[(&str, &str, &str)] = &[
    (
        "holdline_admin_actions_total",
        "action",
        "breaker drain log_level page purge reload revoke token undrain",
    ),
    ("", "action", "customer-lookup _unknown"),
    ("", "class", "success degraded rejected failure"),
    ("holdline_token_validations_total", "source", "cache remote coalesced stale local"),
    ("", "http_request_method", "GET POST PUT PATCH DELETE _OTHER"),
    ("", "http_route", "/data-action/{action} /oauth/token"),
    ("", "http_response_status_code", STATUSES),
    ("http_server_request_duration_seconds", "error_type", "500 502 503 504 5xx canceled"),
    ("", "error_type", "timeout connect dns tls reset protocol body_too_large canceled"),
    ("", "limit", "per_caller"),
    ("", "decision", "allowed limited shadow_limited"),
    ("", "cache", "response token"),
    ("holdline_cache_lookups_total", "result", "hit stale negative_hit miss expired"),
    ("holdline_cache_stores_total", "result", "stored too_large uncacheable"),
    ("holdline_cache_served_age_seconds", "result", "hit stale"),
    ("holdline_cache_refreshes_total", "result", "success failure skipped"),
    ("holdline_upstream_calls_total", "result", "success failure short_circuited shed"),
    ("holdline_upstream_connects_total", "result", "success failure"),
    ("holdline_upstream_credential_refreshes_total", "result", "success refused failure"),
    ("holdline_upstream_hedges_total", "result", "won lost canceled"),
    ("holdline_config_reloads_total", "result", "applied unchanged refused"),
    ("holdline_admin_actions_total", "result", "done refused"),
    (
        "holdline_token_requests_total",
        "result",
        "issued invalid_client throttled invalid_request unavailable",
    ),
    (
        "holdline_token_validations_total",
        "result",
        "valid missing malformed expired early revoked invalid forbidden error",
    ),
    (
        "holdline_tls_handshakes_total",
        "result",
        "ok timeout closed no_certificate bad_certificate error",
    ),
    (
        "holdline_upstream_retries_total",
        "reason",
        "timeout connect reset status_4xx status_5xx retry_after",
    ),
    (
        "holdline_upstream_retries_suppressed_total",
        "reason",
        "limit_reached budget_exhausted deadline not_idempotent breaker_open held",
    ),
    (
        "holdline_upstream_hedges_suppressed_total",
        "reason",
        "limit_reached deadline breaker_open held saturated hedge_budget retry_budget",
    ),
    ("holdline_upstream_held_total", "reason", "quota not_before"),
    ("holdline_mapping_failures_total", "reason", "not_json missing_field wrong_type too_large"),
    ("", "phase", "response"),
    ("", "cause", "size expired purged replaced outdated"),
    ("", "scope", "customer action all"),
    ("", "manner", "hard soft"),
    ("", "role", "leader follower abandoned"),
    ("", "upstream", "crm"),
    ("", "server_address", "127.0.0.1"),
    ("", "retried", "true false"),
    ("", "state", STATES),
    ("", "from", STATES),
    ("", "to", STATES),
    ("", "caller", "genesys oauth"),
    ("", "certificate", "server.tls upstreams.crm.tls"),
    ("", "check", "lifecycle"),
    ("", "level", "error warn info debug trace"),
    ("", "signal", "spans logs"),
    ("", "version", env!("CARGO_PKG_VERSION")),
];

fn is_allowed(metric: &str, label: &str, value: &str) -> bool {
    let one_of = |words: &[&str]| words.contains(&value);
    match label {
        "outcome" => one_of(&Outcome::ALL.map(Outcome::as_str)),
        "stage" => one_of(&Stage::ALL.map(Stage::as_str)),
        "source" if metric != "holdline_token_validations_total" => {
            one_of(&Source::ALL.map(Source::as_str))
        }
        "server_port" => value.parse::<u16>().is_ok(),
        "hash" => value.bytes().all(|c| c.is_ascii_hexdigit()),
        "revision" => value == option_env!("HOLDLINE_REVISION").unwrap_or("unknown"),
        "http_response_status_code" | "error_type" | "http_route" if value.is_empty() => true,
        "error_type" if STATUSES.split(' ').any(|status| status == value) => {
            value.starts_with(['4', '5'])
        }
        _ => {
            let of = |name: &str| CLOSED.iter().find(|(m, l, _)| *m == name && *l == label);
            let closed = of(metric).or_else(|| of(""));
            closed.is_some_and(|(.., words)| words.split(' ').any(|word| word == value))
        }
    }
}

/// The metrics in that text, each line of which is as it may be.
fn metrics_of(text: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let name = comment.split(' ').nth(1).expect("of a metric");
            assert!(TABLE.iter().any(|metric| metric.name == name), "not in the table: {line}");
            continue;
        }
        let (series, _) = line.rsplit_once(' ').expect("a series and its value");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let is = |metric: &&holdline::telemetry::metrics::Definition| match metric.kind {
            Kind::Histogram(_) => ["_bucket", "_sum", "_count"]
                .iter()
                .any(|part| name.strip_suffix(part) == Some(metric.name)),
            Kind::Counter | Kind::Gauge => name == metric.name,
        };
        let metric = TABLE.iter().find(is).unwrap_or_else(|| panic!("not in the table: {line}"));
        found.insert(metric.name);
        let labels = labels.strip_suffix("\"}").unwrap_or_default();
        let pairs = labels.split("\",").filter_map(|pair| pair.split_once("=\""));
        let pairs: Vec<_> = pairs.filter(|(label, _)| *label != "le").collect();
        let labels: Vec<_> = pairs.iter().map(|(label, _)| *label).collect();
        assert_eq!(labels, metric.labels, "{line}");
        for (label, value) in pairs {
            assert!(is_allowed(metric.name, label, value), "{label} is {value:?} in {line}");
        }
    }
    found
}

/// Asks for much, in odd ways.
async fn busy(service: &Service, outside: &Outside) {
    for (customer, status) in [("1", 200), ("1", 200), ("900000", 404), ("planted", 400)] {
        assert_eq!(service.status("customer-lookup", customer).await, status);
    }
    let crm = &outside.crm.site;
    crm.script([Fault::status(599), Fault::status(299), Fault::Html, Fault::Reset]);
    for customer in 10..14 {
        service.status("customer-lookup", customer).await;
    }
    for (method, path) in [
        ("PLANTED", "/data-action/customer-lookup"),
        ("OPTIONS", "/planted/4711"),
        ("POST", "/data-action/planted"),
        ("POST", "/oauth/token"),
        ("DELETE", "/"),
    ] {
        let url = format!("http://{}{path}", service.calls);
        let request = service.client.request(method.parse().expect("a method"), url);
        let request = request.header("host", "planted.example").header("traceparent", "planted");
        assert!(request.send().await.expect("an answer").status().is_client_error());
    }
    for (path, body) in [
        ("/cache/purge", json!({"all": true})),
        ("/breakers/crm", json!({"state": "open", "for": "1m"})),
        ("/breakers/planted", json!({"state": "open", "for": "1m"})),
        ("/reload", json!({})),
        ("/planted", json!({})),
    ] {
        let url = format!("http://{}{path}", service.admin);
        service.client.post(url).body(body.to_string()).send().await.expect("an answer");
    }
    service.status("customer-lookup", 20).await;
}

#[tokio::test]
async fn every_metric_is_met_and_none_beside_the_table_nor_a_value_of_a_strangers() {
    let papers = Papers::new();
    let oauth = "callers:
  oauth: {type: issued, clients: {ivr: a-long-enough-secret}, key: 0123456789abcdef0123456789abcdef}\n";
    let outside = Outside::start().await;
    let plain = outside.yaml(&Wish::default()).replace("callers:\n", oauth);
    let service = Service::start(&plain, &[]).await;
    busy(&service, &outside).await;
    let mut met = metrics_of(&service.metrics().await);

    // What is there only where it is switched on.
    let tls = papers.identity("server", &Issuer::new().issue(&["127.0.0.1"]));
    let server = format!("drain: {{delay: 0s}}, tls: {{{tls}}}");
    let upstream = "hedge: {enabled: true}, quota: {rate: 10/s, burst: 10}, auth: {type: oauth2, \
                    token_url: http://127.0.0.1:9, client_id: us, client_secret: '${NO:-secret}'}";
    let wish = Wish { server: &server, upstream, ..Wish::default() };
    let service = Service::start(&outside.yaml(&wish), &[]).await;
    met.extend(metrics_of(&service.metrics().await));
    let all: BTreeSet<_> = TABLE.iter().map(|metric| metric.name).collect();
    assert_eq!(met, all);
}
