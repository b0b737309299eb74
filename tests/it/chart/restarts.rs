//! Which changes of the configuration replace the pods: those that no running process takes up, as the
//! program itself lists them.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::driver::Chart;

/// The program's own list.
fn fixed() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/proxy/fixed.rs");
    let text = fs::read_to_string(file).unwrap();
    let words = text.split('"').skip(1).step_by(2);
    let is_key = |it: &&str| {
        it.contains('.') && it.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c))
    };
    let mut keys: Vec<_> = words.filter(is_key).map(str::to_owned).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// What the pods are marked with, for a configuration in which a key has this value.
fn mark(chart: &Chart, key: &str, value: Value) -> Value {
    let config = key.rsplit('.').fold(value, |below, key| json!({key: below}));
    let mut config = config.as_object().unwrap().clone();
    config.insert("version".to_owned(), json!(1));
    let rendered = chart.quickly("", json!({"config": config})).unwrap();
    let pods = &rendered.the("Deployment")["spec"]["template"];
    pods["metadata"]["annotations"]["checksum/takes-a-restart"].clone()
}

#[test]
fn what_no_running_process_takes_up_replaces_the_pods() {
    let Some(chart) = Chart::ours() else { return };
    let keys = fixed();
    assert!(keys.len() > 15 && keys.contains(&"server.tls".to_owned()), "{keys:?}");
    let before = mark(&chart, "version", json!(1));
    assert!(before.is_string());
    for key in keys {
        let value = match &*key {
            listen if listen.ends_with(".listen") => json!("0.0.0.0:7777"),
            "server.tls" => json!({"certificate": "/tls.crt", "key": "/tls.key"}),
            _ => json!("another"),
        };
        assert_ne!(mark(&chart, &key, value), before, "{key}");
    }
}

#[test]
fn what_it_takes_up_leaves_them_alone() {
    let Some(chart) = Chart::ours() else { return };
    let before = mark(&chart, "version", json!(1));
    for (key, value) in [
        ("actions.orders.timeout", json!("3s")),
        ("upstreams.crm.base_url", json!("https://crm.example.com")),
        ("callers.portal.type", json!("api_key")),
        ("limits.all.rate", json!("5/s")),
        ("server.drain.delay", json!("6s")),
        ("server.max_in_flight", json!(7)),
        ("server.max_body", json!("1MiB")),
        ("admin.token", json!("${ADMIN_TOKEN}")),
        ("telemetry.log.level", json!("warn")),
    ] {
        assert_eq!(mark(&chart, key, value), before, "{key}");
    }
}

#[test]
fn another_certificate_leaves_them_alone() {
    let Some(chart) = Chart::ours() else { return };
    let of = |name: &str| {
        let files = json!({"certificate": format!("/{name}.crt"), "key": format!("/{name}.key")});
        mark(&chart, "server.tls", files)
    };
    assert_eq!(of("one"), of("another"));
}
