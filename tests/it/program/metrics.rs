//! The scrape: what Prometheus' own programs make of it, and that nothing is missing before the first
//! call.

use std::{fs, io::Write, net::TcpListener, process::Command};

use holdline::telemetry::{
    metrics::{Kind, TABLE},
    outcome::Outcome,
};
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use url::Url;

use crate::support::{
    eventually,
    issuer::Issuer,
    papers::Papers,
    program::{Program, there_is},
    service::{Outside, Service, Wish, value},
};

/// A service that has met a hit, a miss, a failure and a refusal.
async fn busy() -> (Service, Outside) {
    let outside = Outside::start().await;
    let service = Service::start(&outside.yaml(&Wish::default()), &[]).await;
    for (customer, status) in [("1", 200), ("1", 200), ("900000", 404), ("x", 400)] {
        assert_eq!(service.status("customer-lookup", customer).await, status);
    }
    (service, outside)
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_scrape() {
    if !there_is("promtool") {
        return;
    }
    let (service, _outside) = busy().await;
    let mut scrape = tempfile::NamedTempFile::new().unwrap();
    scrape.write_all(service.metrics().await.as_bytes()).unwrap();
    let mut check = Command::new("sh");
    let command = format!("promtool check metrics < {}", scrape.path().display());
    check.args(["-c", &command]);
    let ended = Program::spawn(check, &[]).ended().await;
    assert_eq!((ended.code, &*ended.out, &*ended.err), (Some(0), "", ""));
}

#[tokio::test]
async fn a_prometheus_scrapes_the_service_and_knows_its_series() {
    if !there_is("prometheus") {
        return;
    }
    let (service, _outside) = busy().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs: [{{job_name: holdline, static_configs: [{{targets: ['{}']}}]}}]
",
        service.probes
    );
    fs::write(path("prometheus.yml"), config).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new("prometheus");
    command.args([
        format!("--config.file={}", path("prometheus.yml")),
        format!("--storage.tsdb.path={}", path("tsdb")),
        format!("--web.listen-address={free}"),
    ]);
    let prometheus = Program::spawn(command, &[]);

    let ask = async |query: &str| -> Option<Value> {
        let url =
            Url::parse_with_params(&format!("http://{free}/api/v1/query"), [("query", query)]);
        let response = service.client.get(url.unwrap()).send().await.ok()?;
        let answer: Value = response.json().await.ok()?;
        let result = answer["data"]["result"].get(0)?;
        Some(result["value"][1].clone())
    };
    for (query, expected) in [
        ("up{job=\"holdline\"}", "1"),
        ("holdline_requests_total{outcome=\"ok\",source=\"cache_fresh\",class=\"success\"}", "1"),
        ("sum(holdline_requests_total{action=\"customer-lookup\"})", "4"),
        ("sum(holdline_request_duration_seconds_count{source=\"upstream\"})", "2"),
        ("count(holdline_build_info)", "1"),
    ] {
        let what = format_args!("{query} to be {expected}: {}", prometheus.err()).to_string();
        eventually(what, async || ask(query).await.filter(|answer| answer == expected)).await;
    }
}

#[tokio::test]
async fn a_scrape_says_which_format_it_is() {
    let (service, _outside) = busy().await;
    let url = format!("http://{}/metrics", service.probes);
    let response = service.client.get(url).send().await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
}

#[tokio::test]
async fn every_counter_is_there_at_zero_before_the_first_call() {
    // What is counted only where it is switched on is switched on.
    let papers = Papers::new();
    let tls = papers.identity("server", &Issuer::new().issue(&["127.0.0.1"]));
    let server = format!("drain: {{delay: 0s}}, tls: {{{tls}}}");
    let upstream = "hedge: {enabled: true}, auth: {type: oauth2, token_url: http://127.0.0.1:9, \
                    client_id: us, client_secret: '${NO:-secret}'}";
    let wish = Wish { server: &server, upstream, ..Wish::default() };
    let oauth = "callers:
  oauth: {type: issued, clients: {ivr: a-long-enough-secret}, key: 0123456789abcdef0123456789abcdef}\n";
    let yaml = Outside::start().await.yaml(&wish).replace("callers:\n", oauth);
    let service = Service::start(&yaml, &[]).await;
    let scrape = service.metrics().await;
    for metric in TABLE.iter().filter(|metric| metric.kind == Kind::Counter) {
        let series = |line: &&str| {
            let rest = line.strip_prefix(metric.name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        let series: Vec<_> = scrape.lines().filter(series).collect();
        assert!(!series.is_empty(), "{} is not there", metric.name);
        for line in series {
            // The process has lived and said so before any call.
            let of_itself =
                metric.name.starts_with("process_") || metric.name.starts_with("tokio_");
            let said = metric.name == "holdline_log_messages_total";
            assert!(line.ends_with(" 0") || of_itself || said, "before any call: {line}");
        }
    }
    for outcome in Outcome::ALL {
        let action = if outcome == Outcome::UnknownAction { "_unknown" } else { "customer-lookup" };
        for source in outcome.sources() {
            let series = series(action, outcome, source.as_str());
            assert_eq!(value(&scrape, &series), Some(0.0), "{series}");
        }
    }
    assert_eq!(value(&scrape, r#"holdline_ready{check="lifecycle"}"#), Some(1.0));
}

/// The series of calls that ended so.
pub(super) fn series(action: &str, outcome: Outcome, source: &str) -> String {
    let (class, outcome) = (outcome.class().as_str(), outcome.as_str());
    format!(
        r#"holdline_requests_total{{action="{action}",class="{class}",outcome="{outcome}",source="{source}"}}"#
    )
}
