//! What proves to upstreams who we are is planted, and shown nowhere: not in log lines at their most
//! talkative, spans, metrics, answers, or what operators are told.

use std::{fs, path::Path};

use holdline::demo::fault::{Fault, Standing};
use serde_json::json;

use crate::support::{
    otlp::{Collector, Protocol},
    service::{Outside, Service, Wish},
    token_endpoint::{Issuer, Known},
};

const PLANTED: [&str; 7] = [
    "planted-bearer-04c1",
    "planted-password-77ab",
    "planted-value-e210",
    "planted-client-secret-19d3",
    "planted-token",
    // The password and the client's secret behind their users, as they go over the wire.
    "dXM6cGxhbnRlZC1wYXNzd29yZC03N2Fi",
    "dXM6cGxhbnRlZC1jbGllbnQtc2VjcmV0LTE5ZDM",
];
const KNOWN: Known = Known { id: "us", secret: PLANTED[3], scope: "read" };

#[track_caller]
fn shows_nothing(what: &str, shown: &[u8]) {
    for secret in PLANTED {
        let found = shown.windows(secret.len()).position(|part| part == secret.as_bytes());
        if let Some(at) = found {
            let around = &shown[at.saturating_sub(300)..shown.len().min(at + 300)];
            panic!("{what} shows {secret}: {}", String::from_utf8_lossy(around));
        }
    }
}

/// An upstream for each kind of credential, and an action for each upstream.
fn yaml(outside: &Outside, telemetry: &str, issuer: &Issuer, folder: &Path) -> String {
    let crm = outside.crm.site.url();
    let secret = |number: usize| {
        let file = folder.join(number.to_string());
        fs::write(&file, format!("{}\n", PLANTED[number])).unwrap();
        format!("'${{file:{}}}'", file.display())
    };
    let oauth2 = |url: &str| {
        let secret = secret(3);
        format!(
            "{{type: oauth2, token_url: '{url}', client_id: us, client_secret: {secret}, scope: read}}"
        )
    };
    let auths = [
        ("bearer", format!("{{type: bearer, token: {}}}", secret(0))),
        ("basic", format!("{{type: basic, user: us, password: {}}}", secret(1))),
        ("header", format!("{{type: header, name: X-Key, value: {}}}", secret(2))),
        ("oauth2", oauth2(&issuer.url)),
        // One whose issuer answers 404, and with what it was sent.
        ("lost", oauth2(&format!("{}/not-here", issuer.url))),
    ];
    let mut upstreams = "upstreams:\n".to_owned();
    let mut more = String::new();
    for (name, auth) in &auths {
        upstreams.push_str(&format!(
            "  {name}: {{base_url: '{crm}', auth: {auth}, timeouts: {{connect: 400ms, attempt: 400ms}}, retry: {{attempts: 1}}}}\n"
        ));
        more.push_str(&format!(
            "  by-{name}:
    caller: none
    debug_headers: true
    input: {{customer_id: {{type: string, required: true}}}}
    request: {{upstream: {name}, path: '/users/{{customer_id}}'}}
    output: {{name: {{type: string, from: $.name}}}}\n"
        ));
    }
    let telemetry = format!("log: {{level: trace}}, {telemetry}");
    let wish = Wish { telemetry: &telemetry, more: &more, ..Wish::default() };
    outside.yaml(&wish).replace("upstreams:\n", &upstreams)
}

#[tokio::test]
async fn none_of_our_credentials_is_shown_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (outside, collector) = (Outside::start().await, Collector::start(Protocol::Http).await);
    let issuer = Issuer::start(KNOWN, "planted-token").await;
    let telemetry = collector.telemetry(Protocol::Http, 1.0);
    let yaml = yaml(&outside, &telemetry, &issuer, folder.path());
    let service = Service::start(&yaml, &[("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")]).await;

    let faults = [Fault::Ok, Fault::status(401), Fault::status(500), Fault::Garbage, Fault::Hang];
    for fault in faults {
        outside.crm.site.set(Standing::every(fault)).await.unwrap();
        for name in ["bearer", "basic", "header", "oauth2", "lost"] {
            let request = service.client.post(service.url(&format!("by-{name}")));
            let response =
                request.json(&json!({"data": {"customer_id": "1"}})).send().await.unwrap();
            shows_nothing("a header of an answer", format!("{:?}", response.headers()).as_bytes());
            shows_nothing("an answer", &response.bytes().await.unwrap());
        }
    }
    for path in ["/upstreams", "/info", "/caches"] {
        shows_nothing(path, service.get(service.admin, path).await.1.as_bytes());
    }
    shows_nothing("/metrics", service.metrics().await.as_bytes());
    let ended = service.terminated().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    shows_nothing("standard output", ended.out.as_bytes());
    shows_nothing("standard error", ended.err.as_bytes());
    assert!(ended.out.contains(r#""reason":"refused","status":404"#), "what is wrong is told");
    shows_nothing("an exported span", &collector.bytes());

    // All of it went where it belongs.
    let seen = outside.crm.site.seen();
    let came = |header: &str, value: &str| {
        seen.iter().any(|seen| seen.request.header(header).is_some_and(|it| it == value))
    };
    assert!(came("authorization", "Bearer planted-bearer-04c1"));
    assert!(came("authorization", "Basic dXM6cGxhbnRlZC1wYXNzd29yZC03N2Fi"));
    assert!(came("x-key", PLANTED[2]));
    assert!(came("authorization", "Bearer planted-token-1"));
    assert!(came("authorization", "Bearer planted-token-3"), "after a 401: {:?}", issuer.said());
    let asked = collector.spans();
    let asked: Vec<_> = asked.iter().filter(|span| span.name == "POST token").collect();
    assert_eq!(asked.len(), issuer.said().len(), "each question leaves a span");
}
