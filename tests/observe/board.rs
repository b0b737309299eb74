//! A dashboard as it looks when it is opened: variables have values, rows that are repeated are there
//! once for each, every panel has its place and its queries.

use std::{fs, io, path::Path};

use serde_json::Value;

use crate::{
    fill::{Listed, Place, Values},
    prometheus::{Prometheus, Span},
};

/// One query of a panel.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its letter.
    pub(crate) letter: String,
    /// The query, with values for variables.
    pub(crate) query: String,
    /// Whether it asks for one instant only.
    pub(crate) instant: bool,
    /// As it stands in the dashboard: legend, format.
    pub(crate) json: Value,
}

/// A panel, or the head of a row.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    /// Its title, with values for variables.
    pub(crate) title: String,
    /// Its kind.
    pub(crate) kind: String,
    /// As it stands in the dashboard.
    pub(crate) json: Value,
    /// Its place: from the left and from above, width and height, 24 columns wide.
    pub(crate) place: [u64; 4],
    /// What it asks.
    pub(crate) targets: Vec<Target>,
}

/// What a dashboard marks in all of its graphs.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    /// Its name.
    pub(crate) name: String,
    /// The query: a mark wherever it brings a point.
    pub(crate) query: String,
    /// Its colour.
    pub(crate) color: String,
}

/// A dashboard that is open.
#[derive(Debug)]
pub(crate) struct Board {
    /// Its fixed name.
    pub(crate) uid: String,
    /// Its title.
    pub(crate) title: String,
    /// The queries of its variables.
    pub(crate) listed: Vec<Listed>,
    /// All panels.
    pub(crate) panels: Vec<Panel>,
    /// Its marks.
    pub(crate) marks: Vec<Mark>,
    /// What was asked over this time.
    pub(crate) span: Span,
}

impl Board {
    /// Opens every dashboard of a folder, in the order of their names.
    ///
    /// # Errors
    /// A file is no dashboard.
    pub(crate) async fn all(
        folder: &Path,
        prometheus: &Prometheus,
        span: Span,
    ) -> io::Result<Vec<Self>> {
        let files = fs::read_dir(folder)?.map(|file| file.map(|file| file.path()));
        let mut files = files.collect::<io::Result<Vec<_>>>()?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        let mut boards = Vec::new();
        for file in files {
            let json = serde_json::from_str(&fs::read_to_string(file)?)?;
            boards.push(Self::open(&json, prometheus, span).await);
        }
        Ok(boards)
    }

    async fn open(json: &Value, prometheus: &Prometheus, span: Span) -> Self {
        let mut values = Values::new(span, prometheus.interval.as_secs_f64());
        let listed = values.list(json, prometheus).await;
        let text = |member: &str| json[member].as_str().unwrap_or_default().to_owned();
        let marks = json["annotations"]["list"].as_array().into_iter().flatten();
        let marks = marks.filter(|mark| mark["builtIn"] != 1).map(|mark| {
            let text = |member: &str| mark[member].as_str().unwrap_or_default().to_owned();
            let query = mark["expr"].as_str().or_else(|| mark["target"]["expr"].as_str());
            let query = values.fill(query.unwrap_or_default(), Place::Query);
            Mark { name: text("name"), query, color: text("iconColor") }
        });
        let marks = marks.collect();
        let panels = laid_out(json, &values);
        Self { uid: text("uid"), title: text("title"), listed, panels, marks, span }
    }

    /// How many lines of the grid it is high.
    pub(crate) fn lines(&self) -> u64 {
        self.panels.iter().map(|panel| panel.place[1] + panel.place[3]).max().unwrap_or_default()
    }
}

/// A row and what stands below it; what stands above the first row has none.
#[derive(Default)]
struct Section<'a> {
    row: Option<&'a Value>,
    panels: Vec<&'a Value>,
}

fn sections(json: &Value) -> Vec<Section<'_>> {
    let mut sections = vec![Section::default()];
    for panel in json["panels"].as_array().into_iter().flatten() {
        if panel["type"] == "row" {
            // What is folded up is inside.
            let panels = panel["panels"].as_array().into_iter().flatten().collect();
            sections.push(Section { row: Some(panel), panels });
        } else if let Some(section) = sections.last_mut() {
            section.panels.push(panel);
        }
    }
    sections
}

/// All panels with rows open and repeated, one section below the other.
fn laid_out(json: &Value, values: &Values) -> Vec<Panel> {
    let (mut panels, mut top) = (Vec::new(), 0);
    for section in sections(json) {
        let repeat = section.row.and_then(|row| row["repeat"].as_str());
        let rounds: Vec<Values> = match repeat {
            None => vec![values.clone()],
            Some(name) => {
                values.chosen(name).iter().map(|value| values.with(name, value)).collect()
            }
        };
        for values in rounds {
            if let Some(row) = section.row {
                panels.push(Panel { place: [0, top, 24, 1], ..panel(row, &values) });
                top += 1;
            }
            let first = section.panels.iter().map(|json| side(json, "y")).min().unwrap_or_default();
            let mut end = top;
            for json in &section.panels {
                let mut panel = panel(json, &values);
                panel.place[1] = panel.place[1] - first + top;
                end = end.max(panel.place[1] + panel.place[3]);
                panels.push(panel);
            }
            top = end;
        }
    }
    panels
}

fn side(json: &Value, name: &str) -> u64 {
    json["gridPos"][name].as_u64().unwrap_or_default()
}

fn panel(json: &Value, values: &Values) -> Panel {
    let targets = json["targets"].as_array().into_iter().flatten();
    let targets = targets.filter(|target| target["hide"] != true).map(|target| Target {
        letter: target["refId"].as_str().unwrap_or_default().to_owned(),
        query: values.fill(target["expr"].as_str().unwrap_or_default(), Place::Query),
        instant: target["instant"] == true,
        json: target.clone(),
    });
    let targets = targets.collect();
    let mut json = json.clone();
    if let Some(Value::String(content)) = json.pointer_mut("/options/content") {
        *content = values.fill(content, Place::Words);
    }
    Panel {
        title: values.fill(json["title"].as_str().unwrap_or_default(), Place::Words),
        kind: json["type"].as_str().unwrap_or_default().to_owned(),
        place: ["x", "y", "w", "h"].map(|name| side(&json, name)),
        targets,
        json,
    }
}
