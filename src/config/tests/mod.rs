//! What is accepted, what is refused and in which words, and that nothing at all makes it panic.

mod accepted;
mod auth;
mod callers;
mod faults;
mod issued;
mod ladder;
mod nothing;
mod pairs;
mod parts;
mod properties;
mod secrets;
mod tls;
mod unknown;
mod whole;
mod wrong;

use serde_json::Value as Json;

use super::{
    Loaded,
    json::json,
    parse,
    problem::{Findings, Problem, Report},
    section::Value,
    tree,
};

/// A file with every part, without a fault.
pub(super) const GOOD: &str = r#"version: 1
server:
  listen: 0.0.0.0:8080
  max_body: 256KiB
  drain: {delay: 5s, timeout: 30s}
admin:
  listen: 127.0.0.1:9901
telemetry:
  log: {format: json, level: info}
  traces: {endpoint: http://collector:4318, sample_ratio: 0.1}
callers:
  genesys:
    type: introspection
    region: eu-west-1
    clients: [11111111-1111-1111-1111-111111111111]
    claims: {org: $.organization.id}
    cache: {ttl: 1h}
  portal:
    type: api_key
    keys: {ivr: a-key, web: another-key}
limits:
  per_caller: {key: caller, rate: 1000/s, burst: 2000}
  per_customer: {key: [org, input.customer_id], rate: 300/m, burst: 10, enforce: false}
upstreams:
  crm:
    base_url: https://crm.example.com/v2
    headers: {X-Tenant: acme}
    timeouts: {connect: 1s, attempt: 2s}
    retry: {attempts: 3, on: [connect, 503]}
    breaker: {failure_ratio: 0.5}
    concurrency: {limit: 50, wait: 100ms}
    hedge: {enabled: false}
actions:
  customer-lookup:
    caller: [genesys, portal]
    limits: [per_caller, per_customer]
    timeout: 5s
    genesys_timeout: 10s
    input:
      customer_id: {type: integer, required: true, minimum: 1}
      lang: {type: string}
    request:
      upstream: crm
      method: GET
      path: /users/{customer_id}
    output:
      name: {type: string, from: $.name, default: Unknown}
      premium: {type: boolean, value: false}
    cache:
      ttl: 60s
      key: [customer_id]
      customer: customer_id
cache: {memory: 64MiB, max_entry: 256KiB}
"#;

fn no_env(_: &str) -> Option<String> {
    None
}

/// The configuration of `yaml`, which must be without a fault.
fn accepted(yaml: &str) -> Loaded {
    match parse("f", yaml, &no_env) {
        Ok(loaded) => loaded,
        Err(report) => panic!("{report}"),
    }
}

/// `yaml` as an editor sees it: nothing is expanded.
pub(super) fn json_of(yaml: &str) -> Json {
    let findings = Findings::of("f");
    let root = tree::read(yaml, &findings).unwrap();
    json(&Value::root(&root, &findings)).unwrap()
}

/// The warnings about `yaml` that are not about the good file itself, each without the file's name: it
/// has keys in the clear and an input for nothing, for the tests' sake.
fn warnings(yaml: &str) -> Vec<String> {
    unusual(&accepted(yaml))
}

/// The same of what has been read.
fn unusual(loaded: &Loaded) -> Vec<String> {
    let usual = accepted(GOOD).warnings;
    let is_usual = |warning: &Problem| {
        usual.iter().any(|usual| usual.path == warning.path && usual.what == warning.what)
    };
    let told = loaded.warnings.iter();
    told.filter(|warning| !is_usual(warning))
        .map(|warning| warning.to_string()[2..].to_owned())
        .collect()
}

/// The report on `yaml`, which must be at fault.
fn refused(yaml: &str) -> Report {
    match parse("f", yaml, &no_env) {
        Ok(_) => panic!("accepted:\n{yaml}"),
        Err(report) => report,
    }
}

/// The good file with `from` replaced by `to`.
fn good_but(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from:?} is not there once");
    GOOD.replacen(from, to, 1)
}

/// The problems of the good file with `from` replaced by `to`, each without the file's name.
fn problems(from: &str, to: &str) -> Vec<String> {
    let report = refused(&good_but(from, to));
    report.problems().iter().map(|problem| problem.to_string()[2..].to_owned()).collect()
}
