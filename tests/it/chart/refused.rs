//! What cannot work is refused, with a sentence that says what to write.

use serde_json::{Value, json};

use super::driver::Chart;

/// Each is refused in words that have all of these in them.
#[track_caller]
fn refused(cases: &[(Value, &[&str])]) {
    let Some(chart) = Chart::ours() else { return };
    for (values, words) in cases {
        let refusal = chart.refusal(values.clone());
        for word in *words {
            assert!(refusal.contains(word), "{values}: no {word} in: {refusal}");
        }
    }
}

#[test]
fn an_unknown_value_is_refused_by_name() {
    refused(&[
        (json!({"replicas": 3}), &["replicas", "not allowed"]),
        (json!({"image": {"registry": "x"}}), &["/image", "registry", "not allowed"]),
        (
            json!({"metrics": {"serviceMonitor": {"intervall": "5s"}}}),
            &["serviceMonitor", "intervall"],
        ),
        (json!({"networkPolicy": {"egress": {"http": true}}}), &["/networkPolicy/egress", "http"]),
        (
            json!({"ingress": {"hosts": [{"host": "x", "path": "/"}]}}),
            &["/ingress/hosts/0", "path"],
        ),
    ]);
}

#[test]
fn a_value_of_the_wrong_form_is_refused_by_name() {
    refused(&[
        (json!({"replicaCount": "two"}), &["/replicaCount", "integer"]),
        (json!({"config": ["version: 1"]}), &["/config"]),
        (json!({"image": {"digest": 12}}), &["/image/digest", "string"]),
        (json!({"image": {"pullPolicy": "Sometimes"}}), &["/image/pullPolicy", "IfNotPresent"]),
        (json!({"service": {"port": 0}}), &["/service/port"]),
        (
            json!({"externalSecret": {"refreshInterval": "hourly"}}),
            &["/externalSecret/refreshInterval"],
        ),
        (json!({"extraEnv": [{"value": "x"}]}), &["/extraEnv/0", "name"]),
        (json!({"extraEnv": [{"name": "N", "value": 1}]}), &["/extraEnv/0/value", "string"]),
        (json!({"extraEnv": [{"name": "N", "valeu": "1"}]}), &["/extraEnv/0", "valeu"]),
        (
            json!({"podDisruptionBudget": {"maxUnavailable": "half"}}),
            &["/podDisruptionBudget/maxUnavailable"],
        ),
        (
            json!({"networkPolicy": {"egress": {"https": {"except": ["metadata"]}}}}),
            &["/networkPolicy/egress/https/except/0"],
        ),
        (json!({"configReload": "cold"}), &["/configReload", "hot", "restart"]),
    ]);
}

#[test]
fn grace_shorter_than_the_drain_is_refused_with_the_sum() {
    refused(&[
        (
            json!({"terminationGracePeriodSeconds": 44}),
            &["`terminationGracePeriodSeconds` is 44", "5 s", "30 s", "45"],
        ),
        (
            json!({"config": "server: {drain: {delay: 15s, timeout: 1m}}"}),
            &["`terminationGracePeriodSeconds` is 60", "15 s", "60 s", "85"],
        ),
    ]);
    let Some(chart) = Chart::ours() else { return };
    chart.with(json!({"terminationGracePeriodSeconds": 45}));
}

#[test]
fn a_listener_that_nobody_can_reach_is_refused() {
    refused(&[
        (
            json!({"config": {"server": {"listen": "127.0.0.1:8080"}}}),
            &["`server.listen`", "loopback"],
        ),
        (json!({"config": {"probes": {"listen": "[::1]:9090"}}}), &["`probes.listen`", "loopback"]),
        (json!({"config": {"server": {"listen": "0.0.0.0:9090"}}}), &["three different ports"]),
        (
            json!({"config": {"server": {"listen": "${LISTEN}"}}}),
            &["`server.listen`", "${NAME:-default}"],
        ),
        (json!({"config": {"server": {"listen": "8080"}}}), &["`server.listen`", "0.0.0.0:8080"]),
    ]);
}

#[test]
fn a_configuration_that_cannot_be_read_is_refused() {
    refused(&[
        (json!({"config": "server: {listen: ["}), &["`config`", "no YAML"]),
        (json!({"config": "just words"}), &["`config`"]),
        (json!({"config": {"server": "x"}}), &["`server` in `config`", "mapping"]),
        (
            json!({"config": {"server": {"drain": {"delay": "soon"}}}}),
            &["`server.drain.delay`", "duration"],
        ),
        (
            json!({"config": "version: 1", "existingConfigMap": "mine"}),
            &["`existingConfigMap`", "`config`"],
        ),
    ]);
}

#[test]
fn a_wrong_image_is_refused_with_where_its_parts_belong() {
    refused(&[
        (json!({"image": {"repository": "a/b:0.1.0"}}), &["`image.repository`", "`image.tag`"]),
        (
            json!({"image": {"repository": "a/b@sha256:1"}}),
            &["`image.repository`", "`image.digest`"],
        ),
        (json!({"image": {"repository": ""}}), &["`image.repository`"]),
        (
            json!({"image": {"tag": "0.1.0@sha256:1"}}),
            &["`image.tag`", "write that in `image.digest`"],
        ),
        (json!({"image": {"tag": "a b"}}), &["`image.tag`", "1.2.3"]),
        (json!({"image": {"digest": "sha256:12"}}), &["`image.digest`", "64 hexadecimal"]),
    ]);
}

#[test]
fn a_name_that_no_service_can_have_is_refused() {
    refused(&[
        (json!({"fullnameOverride": "2"}), &["called `2`", "`fullnameOverride`"]),
        (json!({"fullnameOverride": "a.b"}), &["called `a.b`"]),
    ]);
    let Some(chart) = Chart::ours() else { return };
    let refusal = chart.released("123", "456", "", json!({})).unwrap_err();
    assert!(refusal.contains("called `123-holdline`"), "{refusal}");
}

#[test]
fn a_variable_that_is_there_twice_is_refused_by_name() {
    let one = json!({"name": "A", "value": "1"});
    refused(&[(json!({"extraEnv": [one, one, {"name": "B"}]}), &["`extraEnv` names A more than"])]);
}

#[test]
fn what_is_refused_is_said_by_a_template_whose_name_says_so() {
    let place = "templates/values/refused.yaml";
    refused(&[
        (json!({"image": {"digest": "sha256:12"}}), &[place]),
        (json!({"config": "just words"}), &[place]),
    ]);
}

#[test]
fn what_is_half_said_is_refused_with_what_is_missing() {
    let store = json!({"enabled": true, "storeRef": {"name": "vault"}});
    refused(&[
        (json!({"ingress": {"enabled": true}}), &["`ingress.hosts`"]),
        (json!({"httpRoute": {"enabled": true}}), &["`httpRoute.parentRefs`"]),
        (json!({"externalSecret": {"enabled": true}}), &["`externalSecret.storeRef.name`"]),
        (json!({"externalSecret": store}), &["`externalSecret.data`"]),
        (
            json!({"secrets": {"existingSecret": "a", "values": {"b": "c"}}}),
            &["`secrets.existingSecret`", "choose one"],
        ),
        (json!({"secrets": {"mountPath": "/etc/holdline"}}), &["`secrets.mountPath`"]),
    ]);
}

#[test]
fn what_would_stand_still_or_count_twice_is_refused() {
    let both = json!({"serviceMonitor": {"enabled": true}, "podMonitor": {"enabled": true}});
    refused(&[
        (json!({"strategy": {"rollingUpdate": {"maxSurge": 0}}}), &["maxSurge"]),
        (
            json!({"podDisruptionBudget": {"maxUnavailable": 0}}),
            &["`podDisruptionBudget.maxUnavailable`"],
        ),
        (
            json!({"autoscaling": {"enabled": true, "minReplicas": 20}}),
            &["`autoscaling.minReplicas` (20)"],
        ),
        (json!({"autoscaling": {"enabled": true, "cpu": 0}}), &["nothing to scale by"]),
        (
            json!({"autoscaling": {"enabled": true}, "resources": {"requests": {"cpu": null}}}),
            &["`resources.requests.cpu`"],
        ),
        (
            json!({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}),
            &["`lifecycle.preStop`", "`server.drain.delay`"],
        ),
        (json!({"metrics": both}), &["twice"]),
        (
            json!({"metrics": {"podMonitor": {"enabled": true}}, "config": {"telemetry": {"metrics": false}}}),
            &["nothing to scrape"],
        ),
        (
            json!({"tests": {"action": {"name": "a"}}, "config": {"server": {"tls": {"key": "/k"}}}}),
            &["`tests.action` calls https://shop-holdline:80", "`server.tls`"],
        ),
        (
            json!({"metrics": {"prometheusRule": {"enabled": true, "disabled": ["HoldlineNothing"]}}}),
            &["HoldlineNothing", "no such alert"],
        ),
    ]);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    refused(&[(
        json!({"terminationGracePeriodSeconds": 5, "ingress": {"enabled": true}}),
        &["`terminationGracePeriodSeconds` is 5", "`ingress.hosts`"],
    )]);
}
