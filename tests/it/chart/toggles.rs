//! What can be on or off: off it renders nothing of it, on just that and once.

use serde_json::{Value, json};

use super::{
    checks,
    driver::{Chart, FULLNAME, Rendered},
};

/// The kinds and names of what is only in `more`.
fn beyond(more: &Rendered, less: &Rendered) -> Vec<(String, String)> {
    let less = less.names();
    more.names().into_iter().filter(|it| !less.contains(it)).collect()
}

/// With `on` the chart renders these kinds, so many of each, beyond what it renders with `off`, and
/// loses nothing.
#[track_caller]
fn toggles(off: Value, on: Value, expected: &[&str]) {
    let Some(chart) = Chart::ours() else { return };
    let (without, with) = (chart.with(off), chart.with(on));
    let kinds: Vec<_> = beyond(&with, &without).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, expected);
    assert_eq!(beyond(&without, &with), vec![]);
    for rendered in [&without, &with] {
        assert_eq!(checks::faults(rendered), Vec::<String>::new());
    }
    for kind in expected {
        assert_eq!(
            without.all(kind).len() + expected.iter().filter(|it| it == &kind).count(),
            with.all(kind).len()
        );
    }
}

#[test]
fn a_configuration_is_a_config_map() {
    toggles(json!({}), json!({"config": "version: 1\n"}), &["ConfigMap"]);
    toggles(json!({}), json!({"config": {"version": 1}}), &["ConfigMap"]);
    toggles(json!({}), json!({"existingConfigMap": "mine"}), &[]);
}

#[test]
fn secrets_written_down_are_a_secret() {
    toggles(json!({}), json!({"secrets": {"values": {"admin-token": "x"}}}), &["Secret"]);
    toggles(json!({}), json!({"secrets": {"existingSecret": "mine"}}), &[]);
}

#[test]
fn an_external_secret_is_rendered_on_demand() {
    let on = json!({"externalSecret": {"enabled": true, "storeRef": {"name": "vault"},
        "data": [{"secretKey": "admin-token", "remoteRef": {"key": "holdline/admin"}}]}});
    toggles(json!({}), on, &["ExternalSecret"]);
}

#[test]
fn ways_in_are_rendered_on_demand() {
    let hosts = json!([{"host": "actions.example.com"}]);
    toggles(json!({}), json!({"ingress": {"enabled": true, "hosts": hosts}}), &["Ingress"]);
    let route = json!({"enabled": true, "parentRefs": [{"name": "public"}]});
    toggles(json!({}), json!({"httpRoute": route}), &["HTTPRoute"]);
}

#[test]
fn a_service_account_is_made_unless_it_is_elsewhere() {
    let off = json!({"serviceAccount": {"create": false, "name": "mine"}});
    toggles(off, json!({}), &["ServiceAccount"]);
    let Some(chart) = Chart::ours() else { return };
    for (values, name) in [
        (json!({}), FULLNAME),
        (json!({"serviceAccount": {"create": false, "name": "mine"}}), "mine"),
        (json!({"serviceAccount": {"create": false}}), "default"),
    ] {
        assert_eq!(chart.with(values).pod()["serviceAccountName"], name);
    }
}

#[test]
fn an_autoscaler_is_rendered_on_demand_and_then_sets_the_replicas() {
    toggles(json!({}), json!({"autoscaling": {"enabled": true}}), &["HorizontalPodAutoscaler"]);
    let Some(chart) = Chart::ours() else { return };
    assert_eq!(chart.with(json!({"replicaCount": 3})).the("Deployment")["spec"]["replicas"], 3);
    let scaled = chart.with(json!({"replicaCount": 3, "autoscaling": {"enabled": true}}));
    assert!(scaled.the("Deployment")["spec"]["replicas"].is_null());
}

#[test]
fn an_autoscaler_goes_by_cpu_by_calls_in_flight_or_by_both() {
    let Some(chart) = Chart::ours() else { return };
    for (scaling, kinds) in [
        (json!({"enabled": true}), vec!["ContainerResource"]),
        (
            json!({"enabled": true, "inFlight": {"enabled": true}}),
            vec!["ContainerResource", "Pods"],
        ),
        (json!({"enabled": true, "cpu": 0, "inFlight": {"enabled": true}}), vec!["Pods"]),
    ] {
        let rendered = chart.with(json!({"autoscaling": scaling}));
        let spec = &rendered.the("HorizontalPodAutoscaler")["spec"];
        let mut found: Vec<_> = super::driver::list(&spec["metrics"])
            .iter()
            .map(|it| it["type"].as_str().unwrap())
            .collect();
        found.sort_unstable();
        assert_eq!(found, kinds);
        assert_eq!(spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"], 300);
    }
    let behavior = json!({"scaleDown": {"stabilizationWindowSeconds": 60}});
    let rendered = chart.with(json!({"autoscaling": {"enabled": true, "behavior": behavior}}));
    assert_eq!(rendered.the("HorizontalPodAutoscaler")["spec"]["behavior"], behavior);
}

#[test]
fn a_disruption_budget_is_there_unless_it_is_off_or_would_block_a_drain() {
    let off = json!({"podDisruptionBudget": {"enabled": false}});
    toggles(off, json!({}), &["PodDisruptionBudget"]);
    let Some(chart) = Chart::ours() else { return };
    for one in
        [json!({"replicaCount": 1}), json!({"autoscaling": {"enabled": true, "minReplicas": 1}})]
    {
        assert_eq!(chart.with(one).all("PodDisruptionBudget").len(), 0);
    }
}

#[test]
fn a_network_policy_is_there_unless_it_is_off() {
    let Some(chart) = Chart::ours() else { return };
    let off = chart.with(json!({"networkPolicy": {"enabled": false}}));
    assert_eq!(off.all("NetworkPolicy").len(), 0);
    let added = beyond(&chart.with(json!({})), &off);
    assert!(
        !added.is_empty() && added.iter().all(|(kind, _)| kind == "NetworkPolicy"),
        "{added:?}"
    );
}

#[test]
fn what_prometheus_and_grafana_need_is_rendered_on_demand() {
    for (key, kinds) in [
        ("serviceMonitor", vec!["ServiceMonitor"]),
        ("podMonitor", vec!["PodMonitor"]),
        ("prometheusRule", vec!["PrometheusRule"]),
        ("dashboards", vec!["ConfigMap"; 4]),
    ] {
        toggles(json!({}), json!({"metrics": {key: {"enabled": true}}}), &kinds);
    }
}

#[test]
fn tests_are_there_unless_they_are_off() {
    let Some(chart) = Chart::ours() else { return };
    let off = chart.with(json!({"tests": {"enabled": false}}));
    assert_eq!(off.all("Pod").len(), 0);
    let on = chart.with(json!({}));
    assert!(!on.all("Pod").is_empty());
    for pod in on.all("Pod") {
        assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
        assert_eq!(pod["spec"]["restartPolicy"], "Never");
    }
    let all = on.all("Pod").len();
    let called = chart.with(
        json!({"tests": {"action": {"name": "customer-lookup", "inputs": ["customer_id=1"]}}}),
    );
    assert_eq!(called.all("Pod").len(), all + 1);
}

#[test]
fn further_objects_are_rendered_as_maps_or_as_templates() {
    let Some(chart) = Chart::ours() else { return };
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-two\n";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "{{ .Release.Name }}-one"}});
    let rendered = chart.with(json!({"extraObjects": [map, text]}));
    let names: Vec<_> =
        rendered.all("ConfigMap").iter().map(|it| it["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["shop-one", "shop-two"]);
    assert_eq!(checks::faults(&rendered), Vec::<String>::new());
}
