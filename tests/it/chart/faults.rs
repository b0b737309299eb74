//! Faults planted in a copy of the chart: each is found by the check that is there for it.

use serde_json::{Value, json};

use super::{checks, driver::Chart, monitoring, written};

/// Plants a fault; the check of that name finds it, in words that have this in them.
#[track_caller]
fn found(file: &str, from: &str, to: &str, check: &str, word: &str) {
    found_with(json!({}), file, from, to, check, word);
}

#[track_caller]
fn found_with(values: Value, file: &str, from: &str, to: &str, check: &str, word: &str) {
    let Some(chart) = Chart::ours() else { return };
    let faults = checks::faults(&chart.edited(file, from, to).with(values));
    let by_check =
        faults.iter().any(|it| it.starts_with(&format!("{check}: ")) && it.contains(word));
    assert!(by_check, "{check} says nothing of {word}: {faults:?}");
}

#[test]
fn a_misspelt_key_in_a_template() {
    found(
        "templates/deployment.yaml",
        "minReadySeconds:",
        "minReadySecond:",
        "schema",
        "minReadySecond",
    );
    found("templates/service.yaml", "targetPort", "targetport", "schema", "targetport");
    found("templates/networkpolicy.yaml", "policyTypes", "policyType", "schema", "policyType");
}

#[test]
fn a_missing_run_as_non_root() {
    found(
        "values.yaml",
        "runAsNonRoot: true\n",
        "runAsGroup: 65532\n",
        "restricted",
        "runAsNonRoot",
    );
    found(
        "values.yaml",
        "allowPrivilegeEscalation: false",
        "allowPrivilegeEscalation: true",
        "restricted",
        "allowPrivilegeEscalation",
    );
    found("values.yaml", "drop: [ALL]", "drop: []", "restricted", "ALL");
    found("values.yaml", "RuntimeDefault", "Unconfined", "restricted", "seccomp");
    found(
        "values.yaml",
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
        "pods",
        "writable",
    );
}

#[test]
fn grace_shorter_than_the_drain() {
    let Some(chart) = Chart::ours() else { return };
    // The template's own check has been lost.
    let values = "terminationGracePeriodSeconds: 60";
    let careless = "{{ .Values.terminationGracePeriodSeconds | int }}";
    assert!(
        chart
            .edited("values.yaml", values, "terminationGracePeriodSeconds: 30")
            .try_with("", json!({}))
            .is_err()
    );
    found("templates/deployment.yaml", careless, "30", "grace", "45 s are needed");
}

#[test]
fn a_dashboard_edited_in_one_place() {
    let Some(chart) = Chart::ours() else { return };
    let edited = chart.edited("files/dashboards/overview.json", "Holdline", "Hotline");
    assert_eq!(monitoring::dashboards_that_differ(&edited), ["overview.json"]);
    assert_eq!(written::not_as_written(edited.folder()), ["files/dashboards/overview.json"]);
}

#[test]
fn values_edited_by_hand() {
    let Some(chart) = Chart::ours() else { return };
    let edited = chart.edited("values.yaml", "replicaCount: 2", "replicaCount: 3");
    assert_eq!(written::not_as_written(edited.folder()), ["values.yaml"]);
    let edited = chart.edited("README.md", "| `replicaCount` | `2` |", "| `replicaCount` | `3` |");
    assert_eq!(written::not_as_written(edited.folder()), ["README.md"]);
}

#[test]
fn an_unknown_value() {
    let Some(chart) = Chart::ours() else { return };
    let edited = chart.edited("values.yaml", "\nreplicaCount: 2", "\nreplicaCount: 2\nreplicas: 2");
    assert!(edited.refusal(json!({})).contains("replicas"));
    let open = chart.edited(
        "values.schema.json",
        "\"additionalProperties\": false",
        "\"additionalProperties\": true",
    );
    assert!(!written::open(open.folder()).is_empty());
}

#[test]
fn a_selector_that_changes_with_the_version() {
    let line = "app.kubernetes.io/instance: {{ .Release.Name | quote }}";
    let more = format!("{line}\napp.kubernetes.io/version: {{{{ .Chart.AppVersion | quote }}}}");
    found("templates/_helpers.tpl", line, &more, "selectors", "version");
}

#[test]
fn a_cpu_limit() {
    found(
        "values.yaml",
        "limits: {memory: 512Mi}",
        "limits: {cpu: 1, memory: 512Mi}",
        "pods",
        "CPU limit",
    );
}

#[test]
fn a_token_in_the_pod() {
    let key = "automountServiceAccountToken: false";
    found("templates/deployment.yaml", key, "automountServiceAccountToken: true", "pods", "token");
}

#[test]
fn a_port_name_that_nothing_has() {
    found("templates/service.yaml", "targetPort: http", "targetPort: htpp", "ports", "htpp");
}

#[test]
fn a_probe_that_asks_elsewhere() {
    found("templates/deployment.yaml", "path: /livez", "path: /readyz", "ports", "livenessProbe");
}

#[test]
fn a_volume_of_an_object_that_is_not_rendered() {
    let values = json!({"config": "version: 1"});
    let file = "templates/configmap.yaml";
    let Some(chart) = Chart::ours() else { return };
    let edited = chart.edited(file, "kind: ConfigMap", "kind: ConfigMap # {{- /* renamed */ -}}\n");
    let text = std::fs::read_to_string(edited.folder().join(file)).unwrap();
    std::fs::write(
        edited.folder().join(file),
        format!("{{{{- if false }}}}\n{text}\n{{{{- end }}}}\n"),
    )
    .unwrap();
    let faults = checks::faults(&edited.with(values));
    assert!(
        faults.iter().any(|it| it == "references: there is no ConfigMap shop-holdline"),
        "{faults:?}"
    );
}

#[test]
fn a_variable_that_is_there_twice() {
    let twice = json!({"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]});
    let (file, check) =
        ("templates/values/refused.yaml", "{{- include \"holdline.validate\" . -}}");
    found_with(twice, file, check, "", "pods", "twice");
}
