//! What is planted is never shown: tokens, keys, customers and their telephone numbers, in everything
//! that leaves the process but the answers of that very customer.

mod talkative;

use std::fs;

use holdline::demo::record::Seen;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::support::{otlp::is_error, program::Program};

use talkative::Talkative;

const PLANTED_TOKEN: &str = "planted-token-5c1f0a77e2";
const REFUSED_TOKEN: &str = "refused-token-91b3dd20c4";
const API_KEY: &str = "planted-key-b87e42fa10";
const ADMIN_TOKEN: &str = "planted-admin-d03c96e8f5";
const PASSWORD: &str = "planted-password-4e1b7709cc";
const CLIENT_SECRET: &str = "planted-secret-0d9f31b2a6";
const SIGNING_KEY: &str = "planted-signing-7a30c1e5b84d92f6";
const CREDENTIAL: &str = "planted-credential-6612aa";
const PATH_KEY: &str = "planted-path-27e5d0c913";
const CUSTOMER: u64 = 918_273_645_546_372_819;
const MISSING: u64 = 918_273_645_000_000_404;
const PHONE: &str = "4915123456789";

/// Everything that must stay inside.
fn planted() -> Vec<String> {
    let keys = [API_KEY, ADMIN_TOKEN, PASSWORD, CLIENT_SECRET, SIGNING_KEY, CREDENTIAL];
    let texts = [&keys[..], &[PLANTED_TOKEN, REFUSED_TOKEN, PATH_KEY, PHONE]].concat();
    let customers = [CUSTOMER, MISSING].map(|customer| customer.to_string());
    texts.iter().map(|text| (*text).to_owned()).chain(customers).collect()
}

#[track_caller]
fn shows_nothing(what: &str, shown: &[u8]) {
    for secret in planted() {
        let found = shown.windows(secret.len()).position(|part| part == secret.as_bytes());
        if let Some(at) = found {
            let around = &shown[at.saturating_sub(300)..shown.len().min(at + 300)];
            panic!("{what} shows {secret}: {}", String::from_utf8_lossy(around));
        }
    }
}

#[tokio::test]
async fn nothing_planted_is_shown_in_log_lines_spans_metrics_or_failures() {
    nothing_planted_is_shown("sample_ratio: 1", 100).await;
}

#[tokio::test]
async fn nothing_planted_is_shown_in_the_traces_that_are_kept() {
    let kept = "keep: {failures: true, slower_than: 1ms}, sample_ratio: 0";
    nothing_planted_is_shown(kept, 60).await;
}

async fn nothing_planted_is_shown(telemetry: &str, least: usize) {
    let folder = tempfile::tempdir().unwrap();
    let talkative = Talkative::start(folder.path(), telemetry).await;
    talkative.answers_and_refusals().await;
    let issued = talkative.own_proofs().await;
    talkative.failures().await;
    talkative.operators().await;

    let ended = talkative.service.terminated().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    shows_nothing("standard output", ended.out.as_bytes());
    shows_nothing("standard error", ended.err.as_bytes());
    for shown in [&ended.out, &ended.err] {
        assert!(!shown.contains(&issued), "a token that was issued is shown");
    }
    assert!(ended.out.contains("token request ended") && ended.out.contains("tokens revoked"));
    let seen = talkative.outside.crm.site.seen();
    let asked = |seen: &Seen| {
        let credential = seen.request.header("authorization").unwrap_or_default();
        seen.request.path() == format!("/users/{CUSTOMER}") && credential.ends_with(CREDENTIAL)
    };
    assert!(seen.iter().any(asked), "what was planted went through");
    let spans = talkative.collector.spans();
    assert!(spans.len() > least, "everything was traced: {}", spans.len());
    for (what, is_there) in [
        ("a question to the authority that failed", |span: &Span| {
            span.name == "POST introspection" && is_error(span)
        }),
        ("a refresh that failed", |span| {
            span.name == "flight" && span.parent_span_id.is_empty() && is_error(span)
        }),
        ("an attempt that failed", |span| span.name.starts_with("GET /users") && is_error(span)),
    ] as [(_, fn(&Span) -> bool); 3]
    {
        assert!(spans.iter().any(is_there), "{what} is among the spans");
    }
    shows_nothing("an exported span", &talkative.collector.bytes());
    let lines = ended.out.lines().filter(|line| line.contains("call ended")).count();
    assert!(lines > 35, "everything was logged: {lines}");
}

#[tokio::test]
async fn a_configuration_that_is_refused_shows_none_of_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = file("key", &format!("{API_KEY}\nsecond line"));
    let yaml = file(
        "holdline.yaml",
        &format!(
            "version: 1
admin: {{token: '${{file:{key}}}', listen: '${{file:{key}}}'}}
callers: {{portal: {{type: api_key, keys: {{ivr: '${{file:{key}}}'}}, header: '${{file:{key}}}'}}}}
upstreams: {{crm: {{base_url: '${{file:{key}}}', headers: {{Authorization: 'Bearer {CREDENTIAL}'}}}}}}
"
        ),
    );
    for command in ["check", "serve"] {
        let ended = Program::run(&[command, "-c", &yaml], &[]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("problem"), "{ended:?}");
        shows_nothing("a report", ended.err.as_bytes());
        shows_nothing("standard output", ended.out.as_bytes());
    }
}
