//! Panels: what a dashboard says of one question, as Grafana's classic JSON has it.

use serde_json::{Map, Value, json};

use super::{
    query::Query,
    theme::{self, Colours, Limits},
};

/// Each name has a colour, the same on all panels.
const BY_NAME: &str = "palette-classic-by-name";

/// A panel, not yet in its place.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    kind: &'static str,
    title: String,
    description: String,
    pub(super) width: Option<u64>,
    pub(super) targets: Vec<Value>,
    pub(super) defaults: Map<String, Value>,
    pub(super) custom: Map<String, Value>,
    pub(super) overrides: Vec<Value>,
    pub(super) options: Map<String, Value>,
    pub(super) transformations: Vec<Value>,
    links: Vec<Value>,
}

/// A JSON object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => unreachable!("{other} is no object"),
    }
}

/// The data source that the dashboard's variable names.
pub(super) fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// Steps of colours between those limits.
pub(super) fn thresholds(limits: Limits) -> Value {
    let Limits { warning, bad } = limits;
    let (first, second, third) = if warning < bad {
        (theme::GOOD, (theme::WARNING, warning), (theme::BAD, bad))
    } else {
        (theme::BAD, (theme::WARNING, bad), (theme::GOOD, warning))
    };
    let steps = [second, third].into_iter().filter(|(_, at)| at.is_finite());
    let steps = steps.map(|(color, at)| json!({"color": color, "value": at}));
    let all: Vec<Value> =
        std::iter::once(json!({"color": first, "value": null})).chain(steps).collect();
    json!({"mode": "absolute", "steps": all})
}

/// One colour for whatever the number is.
pub(super) fn no_thresholds(color: &str) -> Value {
    json!({"mode": "absolute", "steps": [{"color": color, "value": null}]})
}

impl Panel {
    pub(super) fn new(kind: &'static str, title: &str, description: &str, options: Value) -> Self {
        let defaults = json!({
            "color": {"mode": BY_NAME},
            "mappings": [],
            "noValue": "nothing yet",
            "thresholds": no_thresholds(theme::GOOD),
            "unit": "short",
        });
        Self {
            kind,
            title: title.to_owned(),
            description: description.to_owned(),
            width: None,
            targets: Vec::new(),
            defaults: object(defaults),
            custom: Map::new(),
            overrides: Vec::new(),
            options: object(options),
            transformations: Vec::new(),
            links: Vec::new(),
        }
    }

    /// How many of 24 columns it takes; else all of a line are equally wide.
    pub(crate) fn wide(mut self, columns: u64) -> Self {
        self.width = Some(columns);
        self
    }

    /// The unit of its numbers.
    pub(crate) fn unit(mut self, unit: &str) -> Self {
        self.defaults.insert("unit".to_owned(), unit.into());
        // How high an axis is where all is zero.
        if self.custom.contains_key("drawStyle") {
            let height = match unit {
                "percentunit" => Some(0.05),
                "reqps" | "ops" | "cps" => Some(0.1),
                _ => None,
            };
            self.custom.insert("axisSoftMax".to_owned(), json!(height));
        }
        self
    }

    /// Places behind the point.
    pub(crate) fn decimals(mut self, places: u64) -> Self {
        self.defaults.insert("decimals".to_owned(), places.into());
        self
    }

    /// What it says where there is nothing to show.
    pub(crate) fn or_says(mut self, text: &str) -> Self {
        self.defaults.insert("noValue".to_owned(), text.into());
        self
    }

    /// The ends of its axis or gauge.
    pub(crate) fn between(mut self, least: f64, most: f64) -> Self {
        self.defaults.insert("min".to_owned(), least.into());
        self.defaults.insert("max".to_owned(), most.into());
        self
    }

    /// Its least value.
    pub(crate) fn zero_based(mut self) -> Self {
        self.defaults.insert("min".to_owned(), 0.into());
        self
    }

    /// From where on it is bad.
    pub(crate) fn limits(mut self, limits: Limits) -> Self {
        self.defaults.insert("thresholds".to_owned(), thresholds(limits));
        self
    }

    /// The same, drawn as a line.
    pub(crate) fn limits_drawn(mut self, limits: Limits) -> Self {
        self.custom.insert("thresholdsStyle".to_owned(), json!({"mode": "dashed"}));
        self.limits(limits)
    }

    /// Fixed colours for these names. Those that do not occur are left out by Grafana.
    pub(crate) fn colours(mut self, colours: Colours) -> Self {
        for (name, color) in colours {
            self = self.painted(name, color);
        }
        self
    }

    /// A fixed colour for one name.
    ///
    /// # Panics
    /// Where the theme has another for it.
    pub(crate) fn painted(self, name: &str, color: &str) -> Self {
        let mut meanings = theme::ALL.iter().flat_map(|all| all.iter()).filter(|(n, _)| *n == name);
        let known = meanings.clone().next().is_some();
        assert!(!known || meanings.any(|(_, own)| *own == color), "{name} is {color} here alone");
        let color = json!({"id": "color", "value": {"mode": "fixed", "fixedColor": color}});
        self.only(name, vec![color])
    }

    /// Properties of one series, by name.
    pub(crate) fn only(mut self, name: &str, properties: Vec<Value>) -> Self {
        let matcher = json!({"id": "byName", "options": name});
        self.overrides.push(json!({"matcher": matcher, "properties": properties}));
        self
    }

    /// A series that is a line to compare with: dashed, and no area below it.
    pub(crate) fn line(self, name: &str) -> Self {
        let properties = vec![
            json!({"id": "color", "value": {"mode": "fixed", "fixedColor": theme::LINE}}),
            json!({"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}}),
            json!({"id": "custom.fillOpacity", "value": 0}),
            json!({"id": "custom.stacking", "value": {"mode": "none", "group": "A"}}),
        ];
        self.only(name, properties)
    }

    /// Another query, and what its series are called. Values of labels whose meaning is fixed get
    /// their colours.
    ///
    /// # Panics
    /// Where the legend names a label that the query does not leave.
    pub(crate) fn shows(self, query: &Query, legend: &str) -> Self {
        for named in legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")) {
            assert!(query.labels().contains(named.0), "{} leaves no {}", query.text(), named.0);
        }
        let label = legend.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let own = theme::BY_LABEL.iter().find(|(known, _)| Some(*known) == label);
        let mut panel = match own {
            Some((_, colours)) => self.colours(colours),
            None => self,
        };
        // By name, replicas and upstreams that are called alike get colours that are alike.
        let by_name = panel.defaults["color"]["mode"] == BY_NAME;
        if by_name && ["{{instance}}", "{{upstream}}"].contains(&legend) {
            panel.defaults.insert("color".to_owned(), json!({"mode": "palette-classic"}));
        }
        panel.target(query, legend, json!({"format": "time_series", "range": true}))
    }

    pub(super) fn target(mut self, query: &Query, legend: &str, form: Value) -> Self {
        let id = ('A'..='Z').nth(self.targets.len()).expect("a panel has at most 26 queries");
        let mut target = object(json!({
            "datasource": datasource(),
            "editorMode": "code",
            "expr": query.text(),
            "legendFormat": legend,
            "refId": id.to_string(),
        }));
        target.extend(object(form));
        self.targets.push(target.into());
        self
    }

    /// A link of the panel's head.
    pub(crate) fn leads(mut self, title: &str, url: &str) -> Self {
        self.links.push(json!({"title": title, "url": url, "targetBlank": false}));
        self
    }

    /// Its JSON, in its place.
    pub(super) fn placed(&self, id: u64, place: Value) -> Value {
        let mut panel = object(json!({
            "id": id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "gridPos": place,
        }));
        if self.kind == "text" {
            panel.insert("options".to_owned(), self.options.clone().into());
            return panel.into();
        }
        let mut defaults = self.defaults.clone();
        defaults.insert("custom".to_owned(), self.custom.clone().into());
        let config = json!({"defaults": defaults, "overrides": self.overrides});
        panel.insert("datasource".to_owned(), datasource());
        panel.insert("fieldConfig".to_owned(), config);
        panel.insert("options".to_owned(), self.options.clone().into());
        panel.insert("targets".to_owned(), self.targets.clone().into());
        if !self.transformations.is_empty() {
            panel.insert("transformations".to_owned(), self.transformations.clone().into());
        }
        if !self.links.is_empty() {
            panel.insert("links".to_owned(), self.links.clone().into());
        }
        panel.into()
    }
}
