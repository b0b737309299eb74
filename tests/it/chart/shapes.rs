//! Every file of values that the chart is tested with: linted strictly, rendered, valid, and all that
//! must hold of everything.

use serde_json::json;

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
