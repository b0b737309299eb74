//! Kinds of panels: lines, stacks, bars, numbers, heatmaps, lanes of states and texts.

use serde_json::{Value, json};

use super::{
    panel::{Panel, no_thresholds, object},
    query::{Query, quantile},
    series::Series,
    theme,
};

/// Lines over time.
pub(crate) fn lines(title: &str, description: &str) -> Panel {
    let options = json!({
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    });
    let mut panel = Panel::new("timeseries", title, description, options).zero_based();
    panel.custom = object(json!({
        "axisPlacement": "auto",
        "axisSoftMax": 1,
        "drawStyle": "line",
        "fillOpacity": 8,
        "gradientMode": "none",
        "lineInterpolation": "linear",
        "lineWidth": 2,
        "pointSize": 5,
        "showPoints": "auto",
        "spanNulls": false,
        "stacking": {"mode": "none", "group": "A"},
        "thresholdsStyle": {"mode": "off"},
    }));
    panel
}

fn stacked(mut panel: Panel, mode: &str) -> Panel {
    for (key, value) in [
        ("stacking", json!({"mode": mode, "group": "A"})),
        ("fillOpacity", json!(60)),
        ("lineWidth", json!(1)),
        ("showPoints", json!("never")),
    ] {
        panel.custom.insert(key.to_owned(), value);
    }
    panel
}

/// Areas upon each other: parts of a sum.
pub(crate) fn stack(title: &str, description: &str) -> Panel {
    stacked(lines(title, description), "normal")
}

/// Areas upon each other that fill the whole height: shares.
pub(crate) fn shares(title: &str, description: &str) -> Panel {
    stacked(lines(title, description), "percent").unit("percentunit")
}

/// Bars upon each other: what should not happen, and is shown only where it does.
pub(crate) fn bars(title: &str, description: &str) -> Panel {
    let mut panel = stacked(lines(title, description), "normal").or_says("none");
    for (key, value) in [("drawStyle", json!("bars")), ("fillOpacity", json!(80))] {
        panel.custom.insert(key.to_owned(), value);
    }
    panel
}

/// p50, p95 and p99 of a histogram in seconds.
pub(crate) fn quantiles(title: &str, description: &str, buckets: &Series) -> Panel {
    let parts = [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")];
    let panel = lines(title, description).unit("s").colours(theme::QUANTILES).or_says("no calls");
    parts
        .into_iter()
        .fold(panel, |panel, (share, legend)| panel.shows(&quantile(share, buckets, &[]), legend))
}

/// One number, or a few, and how it came to that.
pub(crate) fn number(title: &str, description: &str) -> Panel {
    let options = json!({
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "center",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
        "showPercentChange": false,
        "textMode": "auto",
        "wideLayout": true,
    });
    let mut panel = Panel::new("stat", title, description, options);
    panel.defaults.insert("color".to_owned(), json!({"mode": "thresholds"}));
    panel
}

impl Panel {
    /// A number that is looked up once, not over time.
    pub(crate) fn tells(self, query: &Query, legend: &str) -> Self {
        self.target(query, legend, json!({"format": "time_series", "instant": true}))
    }

    /// Few strong colours on a dark wall: only the number is coloured.
    fn quiet(mut self) -> Self {
        self.options.insert("colorMode".to_owned(), json!("value"));
        self
    }

    /// A number that is neither good nor bad.
    pub(crate) fn plain(mut self) -> Self {
        self.defaults.insert("thresholds".to_owned(), no_thresholds(theme::PLAIN));
        self.quiet()
    }

    /// With the line of how it came to that.
    pub(crate) fn with_history(mut self) -> Self {
        self.options.insert("graphMode".to_owned(), json!("area"));
        self
    }

    /// Each word and colour for a number.
    pub(crate) fn mapped(mut self, words: &[(&str, u8, &str)]) -> Self {
        self.defaults.insert("mappings".to_owned(), mappings(words));
        self
    }
}

/// Value mappings of numbers to words and colours.
pub(super) fn mappings(words: &[(&str, u8, &str)]) -> Value {
    let options = words.iter().map(|(text, number, color)| {
        (number.to_string(), json!({"text": text, "color": color, "index": number}))
    });
    let options: serde_json::Map<String, Value> = options.collect();
    json!([{"type": "value", "options": options}])
}

/// Where values lie over time.
pub(crate) fn heatmap(title: &str, description: &str, buckets: &Series, unit: &str) -> Panel {
    let options = json!({
        "calculate": false,
        "cellGap": 1,
        "color": {
            "mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5,
            "fill": "dark-orange", "steps": 64, "reverse": false,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": false},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "showColorScale": false, "yHistogram": true},
        "yAxis": {"axisPlacement": "left", "reverse": false, "unit": unit},
    });
    let panel =
        Panel::new("heatmap", title, description, options).unit("short").or_says("no calls");
    let counted = buckets.increase().sum_by(&["le"]);
    panel.target(&counted, "{{le}}", json!({"format": "heatmap", "range": true}))
}

/// One lane for each series, coloured by its state.
pub(crate) fn lanes(title: &str, description: &str) -> Panel {
    let options = json!({
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": false},
        "mergeValues": true,
        "rowHeight": 0.8,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    });
    let mut panel = Panel::new("state-timeline", title, description, options);
    panel.defaults.insert("color".to_owned(), json!({"mode": "thresholds"}));
    panel.custom = object(json!({"fillOpacity": 80, "lineWidth": 0, "spanNulls": false}));
    panel
}

/// A text in Markdown.
pub(crate) fn text(title: &str, description: &str, content: &str) -> Panel {
    let code = json!({"language": "plaintext", "showLineNumbers": false, "showMiniMap": false});
    let options = json!({"mode": "markdown", "content": content, "code": code});
    Panel::new("text", title, description, options)
}
