//! Every file of values that the chart is tested with: linted strictly, rendered, valid, and all that
//! must hold of everything.

use serde_json::{Value, json};

use super::{checks, driver::Chart};

#[test]
fn every_shape_is_valid_for_the_oldest_and_the_newest_kubernetes_and_holds_all_rules() {
    let Some(chart) = Chart::ours() else { return };
    let shapes = chart.shapes();
    assert!(shapes.len() > 5, "{shapes:?}");
    for shape in shapes {
        let rendered = chart.try_with(&shape, json!({}));
        let rendered = rendered.unwrap_or_else(|refused| panic!("{shape}: {refused}"));
        assert_eq!(checks::faults(&rendered), Vec::<String>::new(), "{shape}");
        assert!(!rendered.notes.trim().is_empty(), "{shape}: no notes");
    }
}

#[test]
fn without_any_values_it_holds_all_rules() {
    let Some(chart) = Chart::ours() else { return };
    assert_eq!(checks::faults(&chart.with(json!({}))), Vec::<String>::new());
}

#[test]
fn all_shapes_together_render_every_kind_and_every_template() {
    let Some(chart) = Chart::ours() else { return };
    let mut templates = std::collections::BTreeSet::new();
    for shape in chart.shapes() {
        let rendered = chart.try_with(&shape, json!({})).unwrap();
        templates.extend(rendered.objects.into_iter().map(|(template, _)| template));
    }
    let mut written = Vec::new();
    for folder in ["templates", "templates/tests"] {
        for entry in std::fs::read_dir(chart.folder().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().to_str().unwrap().to_owned();
            written.extend(name.ends_with(".yaml").then(|| format!("holdline/{folder}/{name}")));
        }
    }
    let never: Vec<_> = written.iter().filter(|it| !templates.contains(*it)).collect();
    assert!(never.is_empty(), "no shape renders {never:?}");
}

#[test]
fn as_a_part_of_another_chart_it_takes_what_helm_hands_in() {
    let Some(chart) = Chart::ours() else { return };
    let rendered = chart.with(json!({"global": {"imageRegistry": "registry.example.com"}}));
    assert_eq!(rendered.names(), chart.with(json!({})).names());
}

#[test]
fn names_that_look_like_numbers_are_texts_wherever_they_stand() {
    let Some(chart) = Chart::ours() else { return };
    let named = |more: Value| {
        let mut values = json!({"fullnameOverride": "holdline", "nameOverride": "1"});
        values.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        values
    };
    for (file, values) in [
        ("", json!({"priorityClassName": "3", "caBundle": {"existingConfigMap": "6"}})),
        ("", json!({"serviceAccount": {"name": "5"}, "existingConfigMap": "6"})),
        ("", json!({"metrics": {"serviceMonitor": {"enabled": true}}})),
        ("ci/everything-values.yaml", json!({"ingress": {"className": "8"}})),
        ("ci/external-secrets-values.yaml", json!({"metrics": {"dashboards": {"namespace": "4"}}})),
    ]
    .map(|(file, values)| (file, named(values)))
    {
        let rendered = chart.released("123", "456", file, values).unwrap();
        assert_eq!(rendered.wrong, Vec::<String>::new(), "{file}");
        for (template, object) in &rendered.objects {
            numbers(template, "", object);
        }
    }
}

/// No name is a number.
fn numbers(template: &str, key: &str, of: &Value) {
    let names = ["name", "namespace", "matchNames", "replacement", "serviceAccountName"];
    match of {
        Value::Object(map) => map.iter().for_each(|(key, it)| numbers(template, key, it)),
        Value::Array(all) => all.iter().for_each(|it| numbers(template, key, it)),
        it => assert!(!names.contains(&key) || it.is_string(), "{template}: {key} is {it}"),
    }
}
