//! The keys of a process beside `server`: `version`, `probes`, `admin`, `telemetry`, `cache`.

use std::net::TcpListener;

use holdline::config;

use super::keys;
use crate::support::{
    eventually,
    program::Program,
    service::{FILE, Outside, Service, Wish, client},
};

keys! {
    "version" => keys::service::a_file_of_another_version_is_refused,
    "probes.listen" | "admin.listen"
        => program::cli::a_port_in_use_is_said_with_the_key_and_the_address,
    "admin.token" => keys::service::the_operator_shows_the_token_that_is_written,
    "telemetry.log.format" => keys::service::log_lines_have_the_form_that_is_written,
    "telemetry.log.level" => keys::service::what_is_below_the_level_is_not_logged,
    "telemetry.metrics" => keys::service::metrics_are_told_unless_that_is_switched_off,
    "telemetry.traces.endpoint" => program::traces::a_miss_leaves_a_span_for_every_stage_over_http,
    "telemetry.traces.protocol" => program::traces::a_miss_leaves_a_span_for_every_stage_over_grpc,
    "telemetry.traces.sample_ratio" => program::traces::no_call_leaves_a_span_where_none_is_sampled,
    "telemetry.traces.keep.failures" => program::traces_kept::failures_are_not_kept_where_that_is_switched_off,
    "telemetry.traces.keep.slower_than" => program::traces_kept::a_slow_call_leaves_its_trace_by_what_is_called_slow,
    "cache.memory" => keys::service::answers_take_no_more_memory_than_is_written,
    "cache.max_entry" => keys::service::an_answer_larger_than_an_entry_may_be_is_not_kept,
}

#[test]
pub(crate) fn a_file_of_another_version_is_refused() {
    let read = |version: u8| {
        let text = format!(
            "version: {version}\nupstreams: {{crm: {{base_url: https://crm.test}}}}\nactions: \
             {{a: {{caller: none, request: {{upstream: crm, path: /}}, \
             output: {{done: {{type: boolean, value: true}}}}}}}}"
        );
        config::parse("test", &text, &|_| None).map_err(|report| report.to_string())
    };
    read(1).expect("a good file");
    let report = read(2).expect_err("no such version");
    assert!(report.contains("version"), "{report}");
}

#[tokio::test]
pub(crate) async fn the_operator_shows_the_token_that_is_written() {
    let yaml = Outside::start().await.yaml(&Wish::default());
    for (token, expected) in [("", [200, 200]), ("token: operators-token, ", [401, 200])] {
        let service =
            Service::start(&yaml.replace("admin: {", &format!("admin: {{{token}")), &[]).await;
        let url = format!("http://{}/info", service.admin);
        let (bare, shown) = (service.client.get(&url), service.client.get(&url));
        let shown = shown.bearer_auth("operators-token");
        for (request, expected) in [bare, shown].into_iter().zip(expected) {
            assert_eq!(request.send().await.unwrap().status(), expected, "{token}");
        }
        service.terminated().await;
    }
}

#[tokio::test]
pub(crate) async fn log_lines_have_the_form_that_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    for (format, json) in [("json", true), ("text", false)] {
        let telemetry = format!("log: {{format: {format}}}");
        let yaml = Outside::start().await.yaml(&Wish { telemetry: &telemetry, ..Wish::default() });
        std::fs::write(&file, yaml).unwrap();
        let program = Program::start(&["serve", "--config", file.to_str().unwrap()], &[]);
        let line = program.line(|line| line.contains("ready")).await;
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), json, "{line}");
        program.terminated().await;
    }
}

#[tokio::test]
pub(crate) async fn what_is_below_the_level_is_not_logged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    for (level, logs) in [("info", true), ("error", false)] {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let telemetry = format!("log: {{level: {level}}}");
        let yaml = Outside::start().await.yaml(&Wish { telemetry: &telemetry, ..Wish::default() });
        let probes = yaml
            .replace("probes: {listen: \"127.0.0.1:0\"", &format!("probes: {{listen: \"{free}\""));
        std::fs::write(&file, probes).unwrap();
        let program = Program::start(&["serve", "--config", file.to_str().unwrap()], &[]);
        let ready = async || {
            let asked = client().get(format!("http://{free}/readyz")).send().await;
            asked.is_ok_and(|answer| answer.status() == 200).then_some(())
        };
        eventually("it is ready", ready).await;
        let ended = program.terminated().await;
        assert_eq!(!ended.out.is_empty(), logs, "{ended:?}");
    }
}

#[tokio::test]
pub(crate) async fn metrics_are_told_unless_that_is_switched_off() {
    for metrics in [true, false] {
        let telemetry = format!("metrics: {metrics}");
        let yaml = Outside::start().await.yaml(&Wish { telemetry: &telemetry, ..Wish::default() });
        let service = Service::start(&yaml, &[]).await;
        assert_eq!(service.metrics().await.contains("holdline_ready"), metrics);
        service.terminated().await;
    }
}

/// A service with these keys of `cache`, and its outside.
async fn keeping(cache: &str) -> (Outside, Service) {
    let outside = Outside::start().await;
    let more = format!("cache: {{{cache}}}");
    let action = "    cache: {ttl: 1h}";
    let yaml = outside.yaml(&Wish { action, more: &more, ..Wish::default() });
    (outside, Service::start(&yaml, &[]).await)
}

#[tokio::test]
pub(crate) async fn answers_take_no_more_memory_than_is_written() {
    for (memory, few) in [("memory: 4KiB, max_entry: 1KiB", true), ("memory: 64MiB", false)] {
        let (_outside, service) = keeping(memory).await;
        for customer in 1..=60 {
            assert_eq!(service.status("customer-lookup", customer).await, 200);
        }
        let kept = eventually("what does not fit is gone", async || {
            let (_, text) = service.get(service.admin, "/caches").await;
            let told: serde_json::Value = serde_json::from_str(&text).unwrap();
            let kept = told["answers"]["entries"].as_u64().unwrap();
            (few == (kept < 60)).then_some(kept)
        });
        assert!(kept.await > 0, "{memory}");
        service.terminated().await;
    }
}

#[tokio::test]
pub(crate) async fn an_answer_larger_than_an_entry_may_be_is_not_kept() {
    for (room, requests) in [("max_entry: 10B", 2), ("max_entry: 256KiB", 1)] {
        let (outside, service) = keeping(room).await;
        for _ in 0..2 {
            assert_eq!(service.status("customer-lookup", 1).await, 200);
        }
        assert_eq!(outside.crm.site.requests_for("/users/1"), requests, "{room}");
        service.terminated().await;
    }
}
