//! The notes after an installation: what is off, what would not work, and no word of what does.

use serde_json::{Value, json};

use super::driver::Chart;

/// The list at the end of the notes.
fn known(chart: &Chart, values: Value) -> String {
    let notes = chart.quickly("", values).unwrap().notes;
    notes.split_once("To know, and perhaps to mend:").map(|(_, list)| list.to_owned()).unwrap()
}

fn upstream(url: &str) -> Value {
    json!({"config": {"upstreams": {"crm": {"base_url": url}}}})
}

#[test]
fn an_address_that_the_network_policy_shuts_is_told_with_its_key() {
    let Some(chart) = Chart::ours() else { return };
    for url in [
        "http://crm.example.com",
        "https://crm.example.com:8443/x",
        "https://crm",
        "https://crm.backends.svc/x",
        "https://crm.backends.svc.cluster.local",
        "https://10.1.2.3",
        "https://172.31.0.1",
        "https://192.168.7.7",
        "https://100.64.0.1",
        "https://169.254.169.254",
        "https://[fd00::1]",
        "${CRM:-https://10.1.2.3}",
    ] {
        let list = known(&chart, upstream(url));
        assert!(list.contains("extraEgress: upstreams.crm.base_url (http"), "{url}: {list}");
        assert!(!list.contains("/x"), "{list}");
    }
    let list = known(&chart, upstream("https://crm.backends"));
    assert!(list.contains("a Service and its namespace") && list.contains("https://crm.backends"));
    for url in [
        "https://crm.example.com",
        "https://172.32.0.1",
        "https://100.128.0.1/v1",
        "https://[2606:4700::1]:443",
        "${CRM}",
        "${file:/etc/holdline/config/crm}",
    ] {
        assert!(!known(&chart, upstream(url)).contains("upstreams.crm"), "{url}");
    }
}

#[test]
fn every_address_of_the_configuration_is_looked_at() {
    let Some(chart) = Chart::ours() else { return };
    let config = json!({
        "upstreams": {
            "a": {"base_url": "https://a.example.com", "auth": {"token_url": "https://10.0.0.1/t"}},
            "b": {"base_url": "http://b.svc", "proxy": "http://egress:3128"},
            "c": {"base_url": "${C}"},
        },
        "callers": {
            "d": {"type": "introspection", "api_base": "https://10.0.0.2"},
            "e": {"type": "rfc7662", "url": "https://10.0.0.3/introspect"},
            "f": {"type": "jwt", "jwks": "https://10.0.0.4/jwks", "issuer": "https://10.0.0.5"},
        },
    });
    let env = json!([{"name": "C", "value": "http://c.svc"}]);
    for config in [json!(config.to_string()), config] {
        let list = known(&chart, json!({"config": config, "extraEnv": env}));
        for word in [
            "upstreams.a.auth.token_url (https://10.0.0.1)",
            "upstreams.b.proxy (http://egress:3128)",
            "upstreams.c.base_url (http://c.svc)",
            "callers.d.api_base (https://10.0.0.2)",
            "callers.e.url (https://10.0.0.3)",
            "callers.f.jwks (https://10.0.0.4)",
        ] {
            assert!(list.contains(word), "no {word} in {list}");
        }
        // An upstream with a proxy is reached by it; who issued a token is not asked.
        assert!(!list.contains("b.base_url") && !list.contains("10.0.0.5"), "{list}");
    }
}

#[test]
fn a_collector_that_cannot_be_reached_is_told() {
    let Some(chart) = Chart::ours() else { return };
    let config = json!({"telemetry": {"traces": {"endpoint": "http://otel.observability:4317"}}});
    let to = |port: u16| json!({"egress": {"otlp": {"to": [{"podSelector": {}}], "port": port}}});
    let list = known(&chart, json!({"config": config}));
    assert!(list.contains("http://otel.observability:4317, which"), "{list}");
    let list = known(&chart, json!({"config": config, "networkPolicy": to(4318)}));
    assert!(list.contains("to port 4318"), "{list}");
    let list = known(&chart, json!({"config": config, "networkPolicy": to(4317)}));
    assert!(!list.contains("Traces"), "{list}");
    let env = json!([{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel:4318"}]);
    let list = known(&chart, json!({"extraEnv": env}));
    assert!(list.contains("Traces go to http://otel:4318, which"), "{list}");
}

#[test]
fn what_is_half_done_is_told() {
    let Some(chart) = Chart::ours() else { return };
    let host = json!({"enabled": true, "hosts": [{"host": "actions.example.com"}]});
    for (values, word) in [
        (json!({"replicaCount": 1}), "replicaCount is 1"),
        (
            json!({"autoscaling": {"enabled": true, "minReplicas": 1}}),
            "autoscaling.minReplicas is 1",
        ),
        (json!({"strategy": {"type": "Recreate"}}), "every call is lost"),
        (json!({"ingress": host}), "ingress.tls"),
        (json!({"config": {"admin": {"token": "${file:/run/token}"}}}), "/run/token"),
        (
            json!({"config": "admin: {token: '${file:/etc/holdline/secrets/t}'}"}),
            "/etc/holdline/secrets/t",
        ),
        (json!({"metrics": {"prometheusRule": {"enabled": true}}}), "runbook_url is a path"),
        (json!({"metrics": {"dashboards": {"enabled": true}}}), "a placeholder"),
    ] {
        let list = known(&chart, values.clone());
        assert!(list.contains(word), "{values}: no {word} in {list}");
    }
    let mounted = json!({"config": {"admin": {"token": "${file:/etc/holdline/secrets/t}"}},
        "secrets": {"existingSecret": "mine"}});
    assert!(!known(&chart, mounted).contains("Nothing is mounted"));
    let comment = json!({"config": "# ${file:/run/token}\nversion: 1\n"});
    assert!(!known(&chart, comment).contains("Nothing is mounted"));
}
