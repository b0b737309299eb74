//! Strangers, up to a million: whoever asks, for whatever, in whatever way, adds no series.

use std::env;

use axum::{body::Body, extract::Request};
use holdline::client::WireError;
use http::header::HOST;
use proptest::test_runner::Config;
use serde_json::json;

use super::Scene;
use crate::support::scripted::{Line, Seen};

const YAML: &str = "version: 1
server: {max_body: 1KiB, max_in_flight_per_org: 50}
callers:
  genesys: {type: introspection, url: 'https://authority.test/introspect'}
  oauth: {type: issued, clients: {ivr: a-long-enough-secret}, key: 0123456789abcdef0123456789abcdef}
limits:
  each: {key: [org, input.id], rate: 1000/s, burst: 1000}
upstreams:
  crm: {base_url: 'https://crm.test', breaker: {enabled: false}, retry: {attempts: 2, budget: {ratio: 1}}}
actions:
  plain:
    caller: genesys
    limits: [each]
    input: {id: {type: string, required: true}}
    request: {upstream: crm, path: '/users/{id}'}
    output: {name: {type: string, from: $.name}}
  remembers:
    caller: genesys
    input: {id: {type: string, required: true}}
    request: {upstream: crm, path: '/users/{id}'}
    output: {name: {type: string, from: $.name}}
    cache: {ttl: 60s, stale_if_error: 5m, customer: id}
";

/// Kinds of strangers.
const KINDS: u64 = 10;
/// What the upstream says, by the last digits of the customer.
const STATUSES: [u16; 16] =
    [200, 200, 204, 206, 299, 302, 400, 404, 418, 429, 451, 499, 500, 503, 599, 999];

/// How many come: ten for each case of a property, of which there are 10,000. `PROPTEST_CASES=100000`
/// makes it a million, which takes minutes.
fn strangers() -> u64 {
    let cases = match env::var_os("PROPTEST_CASES") {
        Some(_) => Config::default().cases,
        None => 10_000,
    };
    u64::from(cases) * 10
}

/// The stranger of that number: of its own customer, token, organisation and host, and in its own way.
fn stranger(number: u64) -> Request {
    let (kind, own) = (number % KINDS, number / KINDS);
    let (method, path) = match kind {
        0..=3 => ("POST".to_owned(), "/data-action/plain".to_owned()),
        4..=5 => ("POST".to_owned(), "/data-action/remembers".to_owned()),
        6 => ("POST".to_owned(), format!("/data-action/planted-{own}")),
        7 => ("POST".to_owned(), format!("/planted/{own}")),
        8 => (format!("PLANTED-{own}"), "/data-action/plain".to_owned()),
        _ => ("POST".to_owned(), "/oauth/token".to_owned()),
    };
    let body = match kind {
        9 => format!("grant_type=client_credentials&client_id=planted-{own}&client_secret={own}"),
        _ => format!(r#"{{"data":{{"id":"planted-{own}"}}}}"#),
    };
    let token = if kind == 3 { format!("bad-planted-{own}") } else { format!("planted-{own}") };
    let request = Request::builder().method(&*method).uri(path);
    let request = request.header(HOST, format!("planted-{own}.example"));
    let request = request.header("x-genesys-auth-token", token);
    request.body(Body::from(body)).expect("a request")
}

fn judge(seen: &Seen) -> Line {
    if seen.body.contains("bad-") {
        return Line::json(&json!({"active": false}));
    }
    let own = &seen.body;
    Line::active(&format!("org-{own}"), &format!("client-{own}"))
}

fn reply(seen: &Seen) -> Line {
    let own: usize = seen.path.rsplit('-').next().and_then(|own| own.parse().ok()).unwrap_or(0);
    match own % (STATUSES.len() + 2) {
        16 => Line::fails(WireError::Reset),
        17 => Line::status(200).body(format!("planted-{own}")),
        at => Line::status(STATUSES[at]).body(r#"{"name": "Ada"}"#),
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_add_no_series_however_many_come() {
    let scene = Scene::of(YAML);
    scene.rig.authority().rule(judge);
    scene.rig.upstream().rule(reply);
    // The first of each kind bring the series that come with their first use.
    let first = 4_000;
    let mut known = None;
    for number in 0..first + strangers() {
        if number == first {
            known = Some(scene.series());
        }
        scene.send(stranger(number)).await;
        if number % 10_000 == 0 {
            scene.rig.forget();
        }
    }
    let (known, now) = (known.expect("there were more"), scene.series());
    let new: Vec<_> = now.difference(&known).collect();
    assert!(new.is_empty(), "{new:#?}");
    assert!(!scene.rig.scrape().contains("planted"), "a value of theirs is in a label");
    assert!(known.len() < 2_000, "{} series of two actions", known.len());
}
