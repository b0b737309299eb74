//! How many series a large service has after a day on which all went wrong that does.

use std::{fmt::Write as _, time::Duration};

use axum::{body::Body, extract::Request};
use futures_util::future::join;
use holdline::client::WireError;

use super::{Scene, call, series_of};
use crate::support::{scripted::Line, service::Service};

/// What a replica may show, so that a hundred of them are no burden to a Prometheus.
const BUDGET: usize = 6_000;
/// What stands beside the pipeline and the data plane: the process, its listeners and its operators.
const BESIDE: usize = 100;
const UPSTREAMS: usize = 12;
/// Actions that look something up, whose answers are kept, and such that change something.
const LOOKUPS: usize = 24;
const CHANGES: usize = 6;

fn yaml() -> String {
    let mut yaml = "version: 1
server: {listen: '127.0.0.1:0', drain: {delay: 0s}}
probes: {listen: '127.0.0.1:0'}
admin: {listen: '127.0.0.1:0'}
callers:
  genesys: {type: introspection, url: 'https://authority.test/introspect'}
  oauth: {type: issued, clients: {ivr: a-long-enough-secret}, key: 0123456789abcdef0123456789abcdef}
limits:
  org: {key: org, rate: 100000/s, burst: 100000}
  caller: {key: caller, rate: 100000/s, burst: 100000}
  customer: {key: [org, input.id], rate: 100000/s, burst: 100000}
  all: {key: all, rate: 100000/s, burst: 100000}
upstreams:
"
    .to_owned();
    for at in 0..UPSTREAMS {
        let _ = writeln!(
            yaml,
            "  system-{at}:
    base_url: 'https://system-{at}.test'
    timeouts: {{attempt: 1s}}
    hedge: {{enabled: true}}
    quota: {{rate: 100000/s, burst: 100000}}
    retry: {{budget: {{ratio: 1}}}}
    auth:
      type: oauth2
      token_url: 'https://login.test/t'
      client_id: us
      client_secret: '${{NO:-secret}}'"
        );
    }
    yaml.push_str("actions:\n");
    let lookup = "path: '/users/{id}'}\n    cache: {ttl: 60s, stale_if_error: 1h, \
                  stale_after: 900ms, not_found: 60s}";
    let change = "path: '/users/{id}', method: POST}";
    for at in 0..LOOKUPS + CHANGES {
        let (upstream, rest) = (at % UPSTREAMS, if at < LOOKUPS { lookup } else { change });
        let _ = writeln!(
            yaml,
            "  action-{at}:
    caller: [genesys, oauth]
    limits: [org, caller, customer, all]
    input: {{id: {{type: integer, required: true}}}}
    output: {{name: {{type: string, from: $.name}}}}
    request: {{upstream: system-{upstream}, {rest}"
        );
    }
    yaml
}

/// A call of the action of that number.
fn ask(action: usize, id: u64) -> Request {
    call(&format!("action-{action}"), id)
}

#[tokio::test(start_paused = true)]
async fn a_large_service_stays_within_its_budget_of_series() {
    let scene = Scene::of(&yaml());
    let crm = scene.rig.upstream();
    let ada = Line::status(200).body(r#"{"name":"Ada"}"#);
    for at in 0..LOOKUPS + CHANGES {
        crm.always(ada.clone());
        assert_eq!((scene.send(ask(at, 1)).await, scene.send(ask(at, 1)).await), (200, 200));
        crm.next(ada.clone().after(50));
        let two = || scene.send(ask(at, 2));
        assert_eq!(join(two(), two()).await, (200, 200));
        let bare = Request::post(format!("/data-action/action-{at}")).body(Body::empty());
        assert_eq!(scene.send(bare.expect("a request")).await, 401);
        crm.next(Line::status(404));
        assert_eq!(scene.send(ask(at, 3)).await, 404);
        crm.next(Line::status(200).body("<html>"));
        assert_eq!(scene.send(ask(at, 4)).await, 502);
    }
    // Everything behind it fails in every usual way, and who was there before has a stale answer.
    for (id, line) in [
        (10, Line::status(500)),
        (11, Line::status(503)),
        (12, Line::fails(WireError::Connect)),
        (13, Line::hangs()),
    ] {
        tokio::time::advance(Duration::from_secs(120)).await;
        crm.always(line);
        for at in 0..LOOKUPS + CHANGES {
            let known = scene.send(ask(at, 1)).await;
            assert!(if at < LOOKUPS { known == 200 } else { known >= 500 }, "{at}: {known}");
            assert!(scene.send(ask(at, id)).await >= 500);
        }
    }
    for path in ["/data-action/planted", "/planted", "/oauth/token"] {
        for method in ["POST", "GET"] {
            let request = Request::builder().method(method).uri(path).body(Body::empty());
            scene.send(request.expect("a request")).await;
        }
    }
    let series = scene.series().len();
    println!("{series} series of {LOOKUPS} + {CHANGES} actions and {UPSTREAMS} upstreams");
    assert!(series + BESIDE <= BUDGET, "{series} series");
}

#[tokio::test]
async fn what_stands_beside_the_pipeline_is_little() {
    let service = Service::start(&yaml(), &[]).await;
    let shown = series_of(&service.metrics().await).len();
    let pipeline = Scene::of(&yaml()).series().len();
    println!("{shown} series of the process, {pipeline} of them of its pipeline");
    assert!(shown - pipeline <= BESIDE, "{shown} and {pipeline}");
}
