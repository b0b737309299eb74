//! Dashboards and rules: byte for byte those of `dashboards/`, and so is what is rendered of them.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    driver::{Chart, list},
    written::DASHBOARDS,
};

fn committed(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards").join(name)).unwrap()
}

/// What of the rendered dashboards is not as it is committed.
pub(super) fn dashboards_that_differ(chart: &Chart) -> Vec<String> {
    let rendered = chart.with(json!({"metrics": {"dashboards": {"enabled": true}}}));
    let mut texts = Vec::new();
    for map in rendered.all("ConfigMap") {
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        assert_eq!(map["metadata"]["annotations"]["grafana_folder"], "Holdline");
        assert!(map.to_string().len() < 1_000_000, "more than a ConfigMap holds");
        let data = map["data"].as_object().unwrap();
        texts.extend(data.values().map(|it| it.as_str().unwrap().trim_end().to_owned()));
    }
    assert_eq!(texts.len(), DASHBOARDS.len());
    let differ =
        DASHBOARDS.iter().filter(|name| !texts.contains(&committed(name).trim_end().to_owned()));
    differ.map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_dashboards_are_rendered_byte_for_byte() {
    let Some(chart) = Chart::ours() else { return };
    assert_eq!(dashboards_that_differ(&chart), Vec::<String>::new());
}

#[test]
fn the_dashboards_go_where_grafana_looks_for_them() {
    let Some(chart) = Chart::ours() else { return };
    let rendered = chart.with(json!({"metrics": {"dashboards": {"enabled": true, "label": "find-me",
        "labelValue": "yes", "folderAnnotation": "folder", "folder": "", "namespace": "grafana"}}}));
    for map in rendered.all("ConfigMap") {
        assert_eq!(map["metadata"]["namespace"], "grafana");
        assert_eq!(map["metadata"]["labels"]["find-me"], "yes");
        assert!(map["metadata"]["annotations"]["folder"].is_null());
    }
}

/// The rendered groups of rules, with these values.
fn groups(chart: &Chart, values: Value) -> Value {
    let mut rule = json!({"enabled": true});
    rule.as_object_mut().unwrap().extend(values.as_object().unwrap().clone());
    let rendered = chart.with(json!({"metrics": {"prometheusRule": rule}}));
    rendered.the("PrometheusRule")["spec"]["groups"].clone()
}

/// The groups as they are committed: read by the same engine, out of a configuration.
fn committed_groups(chart: &Chart) -> Value {
    let text = committed("rules/holdline.yaml");
    let read = chart.with(json!({"extraObjects": [format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n  holdline.yaml: |\n{}",
        text.lines().map(|line| format!("    {{{{ {} }}}}\n", json!(line))).collect::<String>(),
    )]}));
    read.config.unwrap()["groups"].clone()
}

#[test]
fn the_rules_are_rendered_as_they_are_committed() {
    let Some(chart) = Chart::ours() else { return };
    assert_eq!(groups(&chart, json!({})), committed_groups(&chart));
}

#[test]
fn a_disabled_alert_is_left_out_and_no_other() {
    let Some(chart) = Chart::ours() else { return };
    let alerts = |groups: &Value| {
        let rules = list(groups).iter().flat_map(|group| list(&group["rules"]));
        rules.filter_map(|rule| rule["alert"].as_str()).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut expected = alerts(&groups(&chart, json!({})));
    assert!(expected.iter().any(|it| it == "HoldlineNoTraffic"));
    expected.retain(|it| it != "HoldlineNoTraffic");
    assert_eq!(alerts(&groups(&chart, json!({"disabled": ["HoldlineNoTraffic"]}))), expected);
}

#[test]
fn a_group_whose_alerts_are_all_disabled_is_not_rendered_empty() {
    let Some(chart) = Chart::ours() else { return };
    let all = groups(&chart, json!({}));
    let of_alerts = list(&all)
        .iter()
        .filter(|group| list(&group["rules"]).iter().all(|it| it["alert"].is_string()));
    for group in of_alerts {
        let names: Vec<_> = list(&group["rules"]).iter().map(|it| it["alert"].clone()).collect();
        let left = groups(&chart, json!({"disabled": names}));
        assert_eq!(list(&left).len(), list(&all).len() - 1, "{}", group["name"]);
    }
}

#[test]
fn runbooks_are_where_they_are_said_to_be() {
    let Some(chart) = Chart::ours() else { return };
    let groups = groups(&chart, json!({"runbookBaseUrl": "https://wiki.example.com/holdline"}));
    for rule in list(&groups).iter().flat_map(|group| list(&group["rules"])) {
        if let Some(alert) = rule["alert"].as_str() {
            let url = rule["annotations"]["runbook_url"].as_str().unwrap();
            assert!(
                url.starts_with("https://wiki.example.com/holdline/") && url.contains(alert),
                "{url}"
            );
        }
    }
}

#[test]
fn monitors_scrape_the_metrics_of_every_pod_once() {
    let Some(chart) = Chart::ours() else { return };
    for (key, kind, endpoints) in [
        ("serviceMonitor", "ServiceMonitor", "endpoints"),
        ("podMonitor", "PodMonitor", "podMetricsEndpoints"),
    ] {
        let monitor =
            json!({"enabled": true, "interval": "30s", "labels": {"release": "prometheus"}});
        let rendered = chart.with(json!({"metrics": {key: monitor}}));
        let monitor = rendered.the(kind);
        assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
        let endpoints = list(&monitor["spec"][endpoints]);
        assert_eq!(endpoints.len(), 1);
        assert_eq!(
            (&endpoints[0]["path"], &endpoints[0]["interval"]),
            (&json!("/metrics"), &json!("30s"))
        );
    }
}
