//! Tables: one line for each name, one column for each question, links to where the answer is.

use serde_json::{Map, Value, json};

use super::{
    kinds::mappings,
    panel::{Panel, object, thresholds},
    query::Query,
    theme::Limits,
};

/// A table of lines that are told apart by labels.
#[derive(Debug)]
pub(crate) struct Table {
    panel: Panel,
    order: Vec<String>,
    renamed: Map<String, Value>,
}

/// How a column is shown.
#[derive(Debug, Default)]
pub(crate) struct Look {
    properties: Vec<Value>,
}

impl Look {
    /// Numbers of that unit.
    pub(crate) fn unit(unit: &str) -> Self {
        Self::default().and("unit", json!(unit))
    }

    /// Words and colours for numbers.
    pub(crate) fn words(words: &[(&str, u8, &str)]) -> Self {
        Self::default().and("mappings", mappings(words)).painted()
    }

    fn and(mut self, id: &str, value: Value) -> Self {
        self.properties.push(json!({"id": id, "value": value}));
        self
    }

    fn painted(self) -> Self {
        self.and("custom.cellOptions", json!({"type": "color-background", "mode": "basic"}))
            .and("color", json!({"mode": "thresholds"}))
    }

    /// Coloured by these limits.
    pub(crate) fn limits(self, limits: Limits) -> Self {
        self.painted().and("thresholds", thresholds(limits))
    }

    /// So many pixels wide.
    pub(crate) fn wide(self, pixels: u64) -> Self {
        self.and("custom.width", json!(pixels))
    }

    /// So many places behind the point.
    pub(crate) fn decimals(self, places: u64) -> Self {
        self.and("decimals", json!(places))
    }

    /// A link of each cell.
    pub(crate) fn leads(self, title: &str, url: &str) -> Self {
        self.and("links", json!([{"title": title, "url": url, "targetBlank": false}]))
    }
}

impl Table {
    /// Lines told apart by `keys`, which are labels of every query.
    pub(crate) fn new(title: &str, description: &str, keys: &[(&str, Look)]) -> Self {
        let options = json!({
            "cellHeight": "sm",
            "footer": {"show": false, "reducer": ["sum"], "countRows": false, "fields": ""},
            "showHeader": true,
        });
        let mut panel = Panel::new("table", title, description, options);
        panel.custom = object(json!({
            "align": "auto", "cellOptions": {"type": "auto"}, "filterable": false, "inspect": false,
        }));
        panel.defaults.insert("color".to_owned(), json!({"mode": "thresholds"}));
        // What a line lacks is not nothing: it has no number and no colour.
        let lacking = json!({"text": "–", "color": "transparent", "index": 99});
        let lacking = json!({"match": "null+nan", "result": lacking});
        let lacking = json!([{"type": "special", "options": lacking}]);
        panel.defaults.insert("mappings".to_owned(), lacking);
        let mut table = Self { panel, order: Vec::new(), renamed: Map::new() };
        for (key, look) in keys {
            table.order.push((*key).to_owned());
            table.panel = table.panel.only(key, look.properties.clone());
        }
        table
    }

    /// Another column.
    pub(crate) fn column(mut self, name: &str, query: &Query, look: Look) -> Self {
        let at = self.panel.targets.len();
        self.panel = self.panel.target(query, "", json!({"format": "table", "instant": true}));
        let id = ('A'..='Z').nth(at).expect("the panel has counted them");
        self.order.push(format!("Value #{id}"));
        self.renamed.insert(format!("Value #{id}"), json!(name));
        if !look.properties.is_empty() {
            self.panel = self.panel.only(name, look.properties);
        }
        self
    }

    /// The worst comes first.
    pub(crate) fn sorted(mut self, column: &str) -> Self {
        let by = json!([{"displayName": column, "desc": true}]);
        self.panel.options.insert("sortBy".to_owned(), by);
        self
    }

    /// The panel.
    pub(crate) fn panel(mut self) -> Panel {
        // With one query the column is not numbered.
        if self.panel.targets.len() == 1
            && let Some(name) = self.renamed.get("Value #A").cloned()
        {
            self.renamed.insert("Value".to_owned(), name);
            self.order.push("Value".to_owned());
        }
        let order = self.order.iter().enumerate().map(|(at, name)| (name.clone(), json!(at)));
        let order: Map<String, Value> = order.collect();
        let organized = json!({
            "excludeByName": {"Time": true},
            "indexByName": order,
            "renameByName": self.renamed,
        });
        self.panel.transformations = vec![
            json!({"id": "merge", "options": {}}),
            json!({"id": "organize", "options": organized}),
        ];
        self.panel
    }
}
