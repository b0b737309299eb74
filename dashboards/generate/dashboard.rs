//! A dashboard: variables, links, marks, and panels in lines one below the other.

use serde_json::{Value, json};

use holdline::telemetry::metrics::{
    BREAKER_OPENED, BUILD, CONFIG, CONFIG_RELOAD_SUCCESS, PROCESS_START,
};

use super::{
    panel::{Panel, datasource},
    query::Query,
    series::{foreign, of},
    theme,
};

/// Where the runbooks are, unless the variable `RUNBOOKS` says so: nobody knows but who serves them.
const RUNBOOKS: &str = "https://holdline.example.com/runbooks";
/// What the links between dashboards hand on.
const HANDED_ON: &str = "${__url_time_range}&${datasource:queryparam}&${namespace:queryparam}&${job:queryparam}&${instance:queryparam}";

/// A link to the dashboard `uid` as it stands, with these variables on top.
pub(crate) fn to(uid: &str, variables: &str) -> String {
    let more = if variables.is_empty() { "" } else { "&" };
    format!("/d/{uid}?{HANDED_ON}{more}{variables}")
}

/// A dashboard that is being filled, from the top.
#[derive(Debug)]
pub(crate) struct Dashboard {
    uid: &'static str,
    title: &'static str,
    description: &'static str,
    variables: Vec<Value>,
    starts_shown: bool,
    panels: Vec<Value>,
    bottom: u64,
    ids: u64,
}

/// A variable of several values out of a label; `every` is what `All` stands for.
fn choice(name: &str, label: &str, every: &str, source: &str, description: &str) -> Value {
    let query = json!({"qryType": 1, "query": source, "refId": "PrometheusVariableQueryEditor-VariableQuery"});
    json!({
        "name": name, "label": label, "type": "query", "datasource": datasource(),
        "definition": source, "query": query, "description": description,
        "multi": true, "includeAll": true, "allValue": every,
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        "options": [], "regex": "", "sort": 1, "refresh": 2, "hide": 0, "skipUrlSync": false,
    })
}

fn labels_of(query: &Query, label: &str) -> String {
    assert!(query.labels().contains(label), "{} has no label {label}", query.text());
    format!("label_values({}, {label})", query.text())
}

/// The variables that all dashboards have.
fn variables() -> Vec<Value> {
    let name = BUILD.name;
    // Where nothing has the label, `.*` still finds what lacks it; `.+` would not.
    let namespace = choice(
        "namespace",
        "Namespace",
        ".*",
        &format!("label_values({name}, namespace)"),
        "Namespaces of Kubernetes; where there are none, All finds everything.",
    );
    let mut job = choice(
        "job",
        "Job",
        ".+",
        &format!(r#"label_values({name}{{namespace=~"$namespace"}}, job)"#),
        "Scrape jobs of Prometheus that have replicas of Holdline.",
    );
    job["current"] = json!({"selected": true, "text": ["holdline"], "value": ["holdline"]});
    let instance = choice(
        "instance",
        "Instance",
        ".+",
        &format!(r#"label_values({name}{{namespace=~"$namespace",job=~"$job"}}, instance)"#),
        "Replicas, by the address that is scraped.",
    );
    let datasource = json!({
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        "description": "The Prometheus that scrapes the replicas.", "regex": "", "refresh": 1,
        "multi": false, "includeAll": false, "current": {}, "options": [], "hide": 0,
        "skipUrlSync": false,
    });
    let folder = std::env::var("RUNBOOKS").unwrap_or_else(|_| RUNBOOKS.to_owned());
    let folder = folder.trim_end_matches('/');
    let runbooks = json!({
        "name": "runbooks", "label": "Runbooks", "type": "constant", "query": folder,
        "description": "Where the pages of deploy/runbooks are served.", "hide": 2,
        "current": {"selected": false, "text": folder, "value": folder}, "options": [],
        "skipUrlSync": true,
    });
    vec![datasource, namespace, job, instance, runbooks]
}

fn mark(name: &str, color: &str, query: &str, (title, text): (&str, &str), shown: bool) -> Value {
    json!({
        "name": name, "datasource": datasource(), "enable": shown, "hide": false, "iconColor": color,
        "expr": query, "titleFormat": title, "textFormat": text, "tagKeys": "", "step": "60s",
        "useValueForTime": true,
        "target": {"expr": query, "refId": "Anno", "interval": "60s", "legendFormat": ""},
    })
}

/// The marks. All but the alerts stand at the very instant, which is the value of their query.
fn marks(starts_shown: bool) -> Vec<Value> {
    let from_start = of(&PROCESS_START).now();
    let on = |label: &str| format!("on (job, instance) group_left ({label})");
    // A release may be built twice: what tells then is the revision.
    let release = ["version", "revision"];
    let built = of(&BUILD).now();
    let running = from_start.matched("*", &on("version, revision"), &built).min_by(&release);
    let known = of(&BUILD).ago("5m").count_by(&release);
    let deployed = running.times("1000").with("unless", &known);
    let read = of(&CONFIG_RELOAD_SUCCESS).now();
    let in_force = read.matched("*", &on("hash"), &of(&CONFIG).now()).max_by(&["hash"]);
    let before = of(&CONFIG).ago("5m").count_by(&["hash"]);
    let configured = in_force.times("1000").with("unless", &before);
    let opened = of(&BREAKER_OPENED).now().max_by(&["upstream"]).above("0").times("1000");
    let started = from_start.max_by(&["instance"]).times("1000");
    let alerts = foreign("ALERTS").is("alertstate", "firing").is("severity", "critical");
    let alerts = alerts.now().count_by(&["alertname"]);
    let mut critical = mark(
        "Critical alerts",
        theme::CRITICAL,
        alerts.text(),
        ("Critical alert", "{{alertname}}"),
        true,
    );
    critical["useValueForTime"] = json!(false);
    let deployed = mark(
        "Deployments",
        theme::DEPLOYED,
        deployed.text(),
        ("New version", "{{version}} {{revision}}"),
        true,
    );
    let configured = mark(
        "Configurations",
        theme::CONFIGURED,
        configured.text(),
        ("Configuration changed", "{{hash}}"),
        true,
    );
    let opened =
        mark("Breakers", theme::OPENED, opened.text(), ("Breaker opened", "{{upstream}}"), true);
    let started = mark(
        "Starts",
        theme::STARTED,
        started.text(),
        ("Replica started", "{{instance}}"),
        starts_shown,
    );
    vec![deployed, configured, opened, critical, started]
}

impl Dashboard {
    /// An empty one, with the variables and marks that all have.
    pub(crate) fn new(uid: &'static str, title: &'static str, description: &'static str) -> Self {
        let (variables, panels) = (variables(), Vec::new());
        Self { uid, title, description, variables, starts_shown: false, panels, bottom: 0, ids: 0 }
    }

    /// With a mark where a replica started, which is too much where deployments are shown already.
    pub(crate) fn with_starts(mut self) -> Self {
        self.starts_shown = true;
        self
    }

    /// With a choice of the values of `label` in `query`.
    pub(crate) fn choosing(mut self, label: &str, title: &str, query: &Query, says: &str) -> Self {
        let source = labels_of(query, label);
        self.variables.push(choice(label, title, ".+", &source, says));
        self
    }

    /// With a number that its reader may change.
    pub(crate) fn number(mut self, name: &str, title: &str, value: &str, says: &str) -> Self {
        self.variables.push(json!({
            "name": name, "label": title, "type": "textbox", "query": value, "description": says,
            "current": {"selected": true, "text": value, "value": value},
            "options": [{"selected": true, "text": value, "value": value}],
            "hide": 0, "skipUrlSync": false,
        }));
        self
    }

    /// Panels side by side. Those without a width share what is left.
    ///
    /// # Panics
    /// Where they do not fill the 24 columns.
    pub(crate) fn line(mut self, height: u64, panels: Vec<Panel>) -> Self {
        let given: u64 = panels.iter().filter_map(|panel| panel.width).sum();
        let open = panels.iter().filter(|panel| panel.width.is_none()).count() as u64;
        let width = (24 - given).checked_div(open).unwrap_or_default();
        let mut x = 0;
        for panel in panels {
            let w = panel.width.unwrap_or(width);
            self.ids += 1;
            let place = json!({"h": height, "w": w, "x": x, "y": self.bottom});
            self.panels.push(panel.placed(self.ids, place));
            x += w;
        }
        assert_eq!(x, 24, "{}: a line at {} is not full", self.title, self.bottom);
        self.bottom += height;
        self
    }

    /// The head of a row.
    pub(crate) fn row(self, title: &str) -> Self {
        self.head(title, &json!({}))
    }

    /// The head of a row that is there once for each chosen value of a variable.
    pub(crate) fn row_for_each(self, variable: &str, title: &str) -> Self {
        self.head(title, &json!({"repeat": variable, "repeatDirection": "h"}))
    }

    fn head(mut self, title: &str, more: &Value) -> Self {
        self.ids += 1;
        let mut row = json!({
            "id": self.ids, "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": {"h": 1, "w": 24, "x": 0, "y": self.bottom},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            row[key] = value.clone();
        }
        self.panels.push(row);
        self.bottom += 1;
        self
    }

    /// The file's name and text.
    pub(crate) fn file(&self, name: &str) -> (String, String) {
        let sisters = json!({
            "type": "dashboards", "title": "Holdline", "tags": ["holdline"], "asDropdown": true,
            "includeVars": true, "keepTime": true, "targetBlank": false, "icon": "external link",
            "tooltip": "The other dashboards, at the same time and with the same variables", "url": "",
        });
        let runbooks = json!({
            "type": "link", "title": "Runbooks", "url": "${runbooks}", "tags": [], "asDropdown": false,
            "includeVars": false, "keepTime": false, "targetBlank": true, "icon": "doc",
            "tooltip": "One page for each alert: what to look at, what to press",
        });
        let model = json!({
            "id": null, "uid": self.uid, "title": self.title, "description": self.description,
            "tags": ["holdline"], "schemaVersion": 39, "version": 1, "editable": false,
            "graphTooltip": 1, "refresh": "30s", "timezone": "browser", "weekStart": "",
            "fiscalYearStartMonth": 0, "liveNow": false,
            "time": {"from": "now-1h", "to": "now"},
            "timepicker": {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m"]},
            "links": [sisters, runbooks],
            "templating": {"list": self.variables},
            "annotations": {"list": marks(self.starts_shown)},
            "panels": self.panels,
        });
        let text = format!("{model:#}\n");
        (name.to_owned(), text)
    }
}
