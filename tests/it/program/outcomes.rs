//! Each way a call can end moves exactly its own series of `holdline_requests_total`, by one.

use std::{collections::BTreeMap, future::Future, time::Duration};

use futures_util::future::join;
use holdline::{
    demo::fault::{Fault, Standing},
    telemetry::outcome::Outcome::{
        self, AuthUnavailable, BadRequest, BreakerOpen, Canceled, DeadlineExceeded, Fallback,
        Forbidden, MappingError, NotFound, Overloaded, PayloadTooLarge, RateLimited, Stale,
        Unauthenticated, UnknownAction, UpstreamError, UpstreamRejected, UpstreamTimeout,
        UpstreamUnreachable,
    },
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::metrics::series;
use crate::support::{
    eventually,
    service::{Outside, Service, TOKEN, TOKEN_HEADER, Wish},
};

/// Actions over the same CRM that differ in what they make of it.
const ACTIONS: [(&str, &str, &str); 7] = [
    ("plain", "crm", "timeout: 5s"),
    ("remembers", "crm", "cache: {ttl: 60s, not_found: 60s}"),
    // Its answers are past their time at once, and stand in for failures from then on.
    ("forgets", "crm", "cache: {ttl: 1ms, stale_if_error: 1h, stale_after: 5s}"),
    ("declares", "crm", "fallback: {full_name: Unknown User}"),
    ("limited", "crm", "limits: [seldom]"),
    ("narrow", "narrow", "timeout: 5s"),
    ("frail", "frail", "timeout: 5s"),
];

struct Scene {
    service: Service,
    outside: Outside,
}

impl Scene {
    async fn start() -> Self {
        let outside = Outside::start().await;
        let crm = outside.crm.site.url();
        let once = "retry: {attempts: 1}, timeouts: {attempt: 1s}";
        let action = |(name, upstream, more): &(&str, &str, &str)| {
            format!(
                "
  {name}:
    caller: genesys
    input: {{customer_id: {{type: integer, required: true}}}}
    request: {{upstream: {upstream}, method: GET, path: '/users/{{customer_id}}'}}
    output: {{full_name: {{type: string, from: $.name}}}}
    {more}"
            )
        };
        let yaml = outside.yaml(&Wish {
            server: "max_body: 1KiB, drain: {delay: 0s}",
            upstream: &format!("{once}, breaker: {{enabled: false}}"),
            more: &ACTIONS.iter().map(action).collect::<String>(),
            ..Wish::default()
        });
        let upstreams = format!(
            "upstreams:
  narrow: {{base_url: '{crm}', {once}, concurrency: {{limit: 1, wait: 0s}}}}
  frail: {{base_url: '{crm}', {once}, breaker: {{run: 1, open: {{first: 60s}}}}}}
"
        );
        let yaml = yaml.replace("upstreams:\n", &upstreams);
        let yaml =
            yaml.replace("limits:\n", "limits:\n  seldom: {key: all, rate: 1/m, burst: 1}\n");
        let service = Service::start(&yaml, &[]).await;
        // The token's verdict, so that no row is about it.
        assert_eq!(service.status("plain", 4_000).await, 200);
        Self { service, outside }
    }

    async fn counted(&self) -> BTreeMap<String, f64> {
        let scrape = self.service.metrics().await;
        let lines = scrape.lines().filter(|line| line.starts_with("holdline_requests_total{"));
        let split = lines.map(|line| line.rsplit_once(' ').unwrap());
        split.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
    }

    /// Whether `what` ends calls in exactly these ways, one each.
    async fn moves<T>(
        &self,
        action: &str,
        expected: &[(Outcome, &str)],
        what: impl Future<Output = T>,
    ) -> T {
        let before = self.counted().await;
        let result = what.await;
        let expected: BTreeMap<String, f64> = expected
            .iter()
            .map(|(outcome, source)| (series(action, *outcome, source), 1.0))
            .collect();
        eventually(format_args!("{expected:?}"), async || {
            let after = self.counted().await;
            let moved: BTreeMap<String, f64> = after
                .into_iter()
                .map(|(series, value)| {
                    let grown = value - before.get(&series).copied().unwrap_or_default();
                    (series, grown)
                })
                .filter(|(_, grown)| *grown != 0.0)
                .collect();
            let known = moved.iter().all(|(series, n)| expected.get(series) >= Some(n));
            assert!(known, "{moved:?}\nand not {expected:?}");
            (moved == expected).then_some(())
        })
        .await;
        result
    }

    /// Whether one call about `customer` ends so, with this status.
    async fn ends(&self, action: &str, customer: u64, status: u16, how: (Outcome, &str)) {
        let call = self.service.status(action, customer);
        assert_eq!(self.moves(action, &[how], call).await, status, "{action} {how:?}");
    }

    async fn crm(&self, standing: Standing) {
        self.outside.crm.site.set(standing).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_is_counted_by_who_gave_it() {
    let scene = Scene::start().await;
    scene.ends("remembers", 1, 200, (Outcome::Ok, "upstream")).await;
    scene.ends("remembers", 1, 200, (Outcome::Ok, "cache_fresh")).await;
    scene.ends("remembers", 900_000, 404, (NotFound, "upstream")).await;
    scene.ends("remembers", 900_000, 404, (NotFound, "cache_fresh")).await;
    scene.ends("plain", 900_000, 404, (NotFound, "upstream")).await;
    scene.ends("forgets", 1, 200, (Outcome::Ok, "upstream")).await;

    scene.crm(Standing::late(Duration::from_millis(300))).await;
    let both = [(Outcome::Ok, "upstream"), (Outcome::Ok, "coalesced")];
    let call = || scene.service.status("remembers", 2);
    assert_eq!(scene.moves("remembers", &both, join(call(), call())).await, (200, 200));

    scene.crm(Standing::Down).await;
    scene.ends("forgets", 1, 200, (Stale, "cache_stale")).await;
    scene.ends("declares", 1, 200, (Fallback, "fallback")).await;
}

#[tokio::test]
async fn a_refusal_is_counted_by_what_was_wrong() {
    let scene = Scene::start().await;
    let service = &scene.service;
    let send = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status();
    let post = |action: &str| service.client.post(service.url(action));
    let asked = |token: &str| {
        post("plain").header(TOKEN_HEADER, token).json(&json!({"data": {"customer_id": 1}}))
    };

    for (request, status, outcome) in [
        (post("plain").json(&json!({"data": {"customer_id": 1}})), 401, Unauthenticated),
        (asked("bad-token"), 403, Forbidden),
        (service.call("plain", "x"), 400, BadRequest),
        (post("plain").header(TOKEN_HEADER, TOKEN).body("{"), 400, BadRequest),
        (service.client.get(service.url("plain")), 405, BadRequest),
        (asked(TOKEN).header("content-encoding", "br"), 415, BadRequest),
        (post("plain").body(vec![b' '; 2_000]), 413, PayloadTooLarge),
    ] {
        let ended = scene.moves("plain", &[(outcome, "none")], send(request)).await;
        assert_eq!(ended, status, "{outcome:?}");
    }
    let unknown = scene.moves("_unknown", &[(UnknownAction, "none")], send(post("4711"))).await;
    assert_eq!(unknown, 404);
    scene.ends("limited", 1, 200, (Outcome::Ok, "upstream")).await;
    scene.ends("limited", 1, 429, (RateLimited, "none")).await;
    scene.outside.genesys.site.set(Standing::Down).await.unwrap();
    let call = send(asked("another-token"));
    assert_eq!(scene.moves("plain", &[(AuthUnavailable, "none")], call).await, 503);
}

#[tokio::test]
async fn a_failure_is_counted_by_what_the_upstream_did() {
    let scene = Scene::start().await;
    for (fault, status, outcome) in [
        (Fault::status(500), 500, UpstreamError),
        (Fault::status(409), 409, UpstreamRejected),
        (Fault::status(401), 502, UpstreamRejected),
        (Fault::Html, 502, MappingError),
        (Fault::WrongTypes, 502, MappingError),
        (Fault::Hang, 504, UpstreamTimeout),
        (Fault::Reset, 502, UpstreamUnreachable),
    ] {
        scene.outside.crm.site.script([fault]);
        scene.ends("plain", 1, status, (outcome, "none")).await;
    }
    scene.outside.crm.site.script([Fault::status(500)]);
    scene.ends("frail", 1, 500, (UpstreamError, "none")).await;
    scene.ends("frail", 1, 503, (BreakerOpen, "none")).await;
    scene.crm(Standing::Down).await;
    scene.ends("plain", 1, 502, (UpstreamUnreachable, "none")).await;
}

#[tokio::test]
async fn a_call_without_time_place_or_caller_is_counted() {
    let scene = Scene::start().await;
    let (service, crm) = (&scene.service, &scene.outside.crm.site);
    scene.crm(Standing::late(Duration::from_millis(700))).await;
    let hurried = service.call("remembers", 3).header("X-Deadline-Ms", "300").send();
    let ended = scene.moves("remembers", &[(DeadlineExceeded, "none")], hurried).await;
    assert_eq!(ended.unwrap().status(), 504);

    crm.until(|counts| counts.in_flight == 0).await;
    let second = async {
        crm.until(|counts| counts.in_flight == 1).await;
        service.status("narrow", 2).await
    };
    let both = [(Outcome::Ok, "upstream"), (Overloaded, "none")];
    let ended = scene.moves("narrow", &both, join(service.status("narrow", 1), second)).await;
    assert_eq!(ended, (200, 503));

    let hang_up = async {
        let mut caller = TcpStream::connect(service.calls).await.unwrap();
        let body = r#"{"data":{"customer_id":5}}"#;
        let length = body.len();
        let request = format!(
            "POST /data-action/plain HTTP/1.1\r\nHost: a\r\n{TOKEN_HEADER}: {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        caller.write_all(request.as_bytes()).await.unwrap();
        crm.until(|counts| counts.in_flight == 1).await;
    };
    scene.moves("plain", &[(Canceled, "none")], hang_up).await;
}
