//! A table of faults: the good file with one thing changed, and every problem that must be told.
//!
//! The lines are those of the changed file.

use super::problems;

/// What is replaced, by what, and the problems, each without the file's name.
pub(super) type Fault = (&'static str, &'static str, &'static [&'static str]);

pub(super) fn check(faults: &[Fault]) {
    let mut wrong = String::new();
    for (from, to, expected) in faults {
        let told = problems(from, to);
        if told != *expected {
            wrong +=
                &format!("\n{from:?} -> {to:?}\n  told     {told:#?}\n  expected {expected:#?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn keys_that_nobody_knows_and_keys_that_are_not_built_yet() {
    check(KEYS);
}

pub(super) const KEYS: &[Fault] = &[
    ("version: 1\n", "version: 1\nservr: {}\n", &["2:1 servr: is not a key here; write `server`"]),
    (
        "timeout: 5s",
        "tiemout: 5s",
        &["37:5 actions.customer-lookup.tiemout: is not a key here; write `timeout`"],
    ),
    (
        "  max_body:",
        "  max_body_size:",
        &["4:3 server.max_body_size: is not a key here; write `max_body`"],
    ),
    (
        "minimum: 1",
        "minimun: 1",
        &[
            "40:52 actions.customer-lookup.input.customer_id.minimun: is not a key here; write `minimum`",
        ],
    ),
    (
        "ttl: 60s",
        "ttl: 60s\n      colour: red",
        &[
            "51:7 actions.customer-lookup.cache.colour: is not a key here; write one of `ttl`, `key`, `customer`, `shared_by`, `stale_while_revalidate`, `stale_if_error`, `stale_after`, `not_found`, `max_waiters`",
        ],
    ),
    (
        "version: 1\n",
        "version: 1\nshared: {redis: {url: x}}\n",
        &["2:1 shared: is not supported in this version; remove it"],
    ),
    (
        "version: 1",
        "version: 2",
        &["1:10 version: another version than 1 is not supported in this version; write 1"],
    ),
    (
        "type: api_key",
        "type: apikey",
        &["19:11 callers.portal.type: `apikey` is none of its words; write `api_key`"],
    ),
];

#[test]
fn values_of_the_wrong_form() {
    check(VALUES);
}

pub(super) const VALUES: &[Fault] = &[
    (
        "hedge: {enabled: false}",
        "hedge: {enabled: true, after: p100}",
        &[
            "32:35 upstreams.crm.hedge.after: `p100` is no percentile from p50 to p99; write p50 to p99, such as p95",
        ],
    ),
    (
        "breaker: {failure_ratio: 0.5}",
        "breaker: {slow: {after: 2s}}",
        &[
            "30:29 upstreams.crm.breaker.slow.after: is not below the attempt time-out, 2s: nothing would be slow; write a shorter time",
        ],
    ),
    (
        "{limit: 50, wait: 100ms}",
        "{limit: adaptive, min: 40, max: 30}",
        &[
            "31:41 upstreams.crm.concurrency.min: min, start and max must rise in this order; write min <= start <= max",
        ],
    ),
    (
        "{limit: 50, wait: 100ms}",
        "{limit: 50, min: 4}",
        &["31:30 upstreams.crm.concurrency.min: means nothing beside a fixed limit; remove it"],
    ),
    (
        "    timeouts: {",
        "    quota: {rate: 1/s}\n    timeouts: {",
        &["28:5 upstreams.crm.quota.burst: is missing; write how many may pass at once, like 100"],
    ),
    (
        "timeout: 5s",
        "timeout: 5",
        &["37:14 actions.customer-lookup.timeout: has no unit; write `5s` or `5ms`"],
    ),
    (
        "timeout: 5s",
        "timeout: 5sec",
        &["37:14 actions.customer-lookup.timeout: must be a duration; write `5s`"],
    ),
    (
        "timeout: 5s",
        "timeout: [5s]",
        &[
            "37:14 actions.customer-lookup.timeout: must be a duration; write a number and its unit, such as 250ms, 2s, 5m or 1h",
        ],
    ),
    (
        "timeout: 5s",
        "timeout: 0s",
        &[
            "37:14 actions.customer-lookup.timeout: must be longer than zero; write a longer duration",
        ],
    ),
    (
        "delay: 5s",
        "delay: 1000h",
        &["5:18 server.drain.delay: is longer than 30 days; write at most 720h"],
    ),
    (
        "256KiB\n  drain",
        "256kb\n  drain",
        &["4:13 server.max_body: must be a size; write `256KiB`"],
    ),
    (
        "256KiB\n  drain",
        "300MiB\n  drain",
        &[
            "4:13 server.max_body: one body of max_body does not fit into max_bytes_in_flight; write a larger max_bytes_in_flight",
        ],
    ),
    (
        "rate: 1000/s",
        "rate: 1000",
        &["22:35 limits.per_caller.rate: must be a rate; write `1000/s` or `1000/m`"],
    ),
    (
        "burst: 2000",
        "burst: 0",
        &[
            "22:50 limits.per_caller.burst: must be a whole number from 1 to 10000000; write at least 1",
        ],
    ),
    (
        "enforce: false",
        "enforce: no",
        &[
            "23:82 limits.per_customer.enforce: must be true or false; write true or false, without quotes",
        ],
    ),
    (
        "sample_ratio: 0.1",
        "sample_ratio: 10",
        &[
            "10:59 telemetry.traces.sample_ratio: must be a number from 0 to 1; write it with a point, such as 0.5",
        ],
    ),
    (
        "format: json",
        "format: jsn",
        &["9:17 telemetry.log.format: `jsn` is none of its words; write `json`"],
    ),
    (
        "0.0.0.0:8080",
        "localhost:8080",
        &[
            "3:11 server.listen: must be an IP address and a port; write it like 0.0.0.0:8080 or [::1]:8080",
        ],
    ),
    (
        "0.0.0.0:8080",
        "0.0.0.0:9090",
        &["3:11 server.listen: port 9090 is that of another listener; write another port"],
    ),
    (
        "https://crm.example.com/v2",
        "crm.example.com",
        &[
            "26:15 upstreams.crm.base_url: must be an address that begins with http:// or https://; write it like https://crm.example.com",
        ],
    ),
    (
        "https://crm.example.com/v2",
        "https://crm.example.com/?a=b",
        &[
            "26:15 upstreams.crm.base_url: has a query, and a path is added to it; remove the ? and what follows",
        ],
    ),
    (
        "org: $.organization.id",
        "org: organization",
        &[
            "16:19 callers.genesys.claims.org: is no JSONPath from its character 1 on; write `$.organization`",
        ],
    ),
    (
        "X-Tenant: acme",
        "Host: acme",
        &[
            "27:15 upstreams.crm.headers.Host: is a header that HTTP itself sets; write another name, or remove it",
        ],
    ),
    (
        "X-Tenant: acme",
        "X Tenant: acme",
        &[
            "27:15 upstreams.crm.headers.\"X Tenant\": is no name of a header; write another name, or remove it",
        ],
    ),
    (
        "X-Tenant: acme",
        "X-Tenant: acme, x-tenant: b",
        &["27:31 upstreams.crm.headers.x-tenant: is the same header as one above; keep one"],
    ),
    (
        "max_body: 256KiB",
        "max_header_bytes: 4KiB",
        &["4:21 server.max_header_bytes: must be from 8KiB to 64KiB; write a size between them"],
    ),
    (
        "max_body: 256KiB",
        "base_path: data-action/",
        &[
            "4:14 server.base_path: must be / and segments of letters, digits, -, _, . or ~ without a / at the end; write it like /data-action",
        ],
    ),
    (
        "endpoint: http://collector:4318",
        "endpoint: http://collector:4318/v1/traces",
        &[
            "10:22 telemetry.traces.endpoint: names the path of the signal; remove /v1/traces, which is added",
        ],
    ),
    (
        "memory: 64MiB",
        "memory: 64KiB",
        &["53:35 cache.max_entry: max_entry is above memory; write a smaller max_entry"],
    ),
    (
        "memory: 64MiB",
        "memory: \"${MEMORY}\"",
        &[
            "53:17 cache.memory: the environment variable MEMORY is not set; set it, or write ${MEMORY:-default}",
        ],
    ),
    (
        "memory: 64MiB",
        "memory: ${MEMORY}",
        &[
            "53:18: is not YAML: while parsing a flow mapping, did not find expected ',' or '}'; quote each ${...} that stands inside { } or [ ]",
        ],
    ),
    (
        "  crm:\n",
        "  crm/v2: {base_url: https://x.example}\n  crm:\n",
        &[
            "25:3 upstreams.\"crm/v2\": must be a letter followed by at most 63 letters, digits, - or _; write another name",
        ],
    ),
];
