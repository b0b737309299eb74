//! Every file of the chart that is written by rule: the values and their table from the schema, and what
//! Prometheus and Grafana are given from `dashboards/`.

#[path = "key.rs"]
pub(crate) mod key;
#[path = "page.rs"]
mod page;
#[path = "values.rs"]
mod values;

use std::{fs, path::Path};

/// The dashboards that go with the chart.
pub(crate) const DASHBOARDS: [&str; 4] =
    ["capacity.json", "overview.json", "path.json", "upstreams.json"];

/// Each file's name below the chart's folder, and its text.
pub(crate) fn all(project: &Path) -> Vec<(String, String)> {
    let chart = project.join("deploy/helm/holdline");
    let keys = key::read(&text(&chart.join("values.schema.json")));
    let mut files = vec![
        ("values.yaml".to_owned(), values::text(&keys)),
        ("README.md".to_owned(), page::with_table(&text(&chart.join("README.md")), &keys)),
        (
            "files/rules/holdline.yaml".to_owned(),
            text(&project.join("dashboards/rules/holdline.yaml")),
        ),
    ];
    for name in DASHBOARDS {
        let path = project.join("dashboards").join(name);
        files.push((format!("files/dashboards/{name}"), text(&path)));
    }
    files
}

fn text(path: &Path) -> String {
    match fs::read_to_string(path) {
        Ok(text) => text,
        Err(problem) => panic!("{}: {problem}", path.display()),
    }
}
