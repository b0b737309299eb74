//! Variables of a dashboard, and texts with their values put in: as Grafana's data source for
//! Prometheus does it.

use serde_json::Value;

use crate::prometheus::{Prometheus, Span};

/// A variable and what is chosen.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    name: String,
    /// Whether several may be chosen, which makes a regular expression of it.
    many: bool,
    /// What may be chosen.
    pub(crate) options: Vec<String>,
    chosen: Chosen,
}

#[derive(Debug, Clone)]
enum Chosen {
    /// All, by an expression of the dashboard's own.
    Everything(String),
    /// These.
    These(Vec<String>),
}

impl Variable {
    /// What a repeated row says of the one that it is repeated for.
    fn one(name: &str, value: &str) -> Self {
        let chosen = Chosen::These(vec![value.to_owned()]);
        Self { name: name.to_owned(), many: true, options: vec![value.to_owned()], chosen }
    }

    /// With what is chosen when the dashboard is opened: all where that can be, else what is written
    /// there, else the first.
    fn open(json: &Value, options: Vec<String>) -> Self {
        let is = |member: &str| json[member].as_bool() == Some(true);
        let all = json["allValue"].as_str().filter(|text| !text.is_empty());
        let written = json["current"]["value"].as_str().map(str::to_owned);
        let chosen = match (is("includeAll"), all) {
            (true, Some(all)) => Chosen::Everything(all.to_owned()),
            (true, None) => Chosen::These(options.clone()),
            (false, _) => {
                let written = written.filter(|value| options.contains(value));
                Chosen::These(written.or(options.first().cloned()).into_iter().collect())
            }
        };
        let name = json["name"].as_str().unwrap_or_default().to_owned();
        Self { name, many: is("includeAll") || is("multi"), options, chosen }
    }

    /// For a query.
    fn in_query(&self) -> String {
        let escape: fn(&str) -> String = if self.many { escaped } else { quoted };
        match &self.chosen {
            Chosen::Everything(all) => all.clone(),
            Chosen::These(values) => match values.as_slice() {
                [one] => escape(one),
                many => {
                    let many: Vec<String> = many.iter().map(|value| escape(value)).collect();
                    format!("({})", many.join("|"))
                }
            },
        }
    }

    /// For people.
    fn in_words(&self) -> String {
        match &self.chosen {
            Chosen::Everything(_) => "All".to_owned(),
            Chosen::These(values) => values.join(" + "),
        }
    }
}

/// Inside a string of PromQL that is a regular expression.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for letter in value.chars() {
        if "\\^$*+?.()|[]{}".contains(letter) {
            text.push_str("\\\\");
        }
        text.push(letter);
    }
    text.replace('"', "\\\"")
}

/// Inside a string of PromQL.
fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

/// All variables of a dashboard, and the times that Grafana knows.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    /// In the order of the dashboard.
    pub(crate) variables: Vec<Variable>,
    span: Span,
    /// Seconds from scrape to scrape.
    scrape: f64,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a query.
    Query,
    /// In a title or a text for people.
    Words,
}

/// A query of a variable's, and how many values it brought.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The name of the variable.
    pub(crate) name: String,
    /// As it was asked.
    pub(crate) query: String,
    /// How many values, or what is wrong.
    pub(crate) values: Result<usize, String>,
}

impl Values {
    /// None yet.
    pub(crate) fn new(span: Span, scrape: f64) -> Self {
        Self { variables: Vec::new(), span, scrape }
    }

    /// Asks for the values of every variable, in order: a query may name those before it.
    pub(crate) async fn list(&mut self, json: &Value, prometheus: &Prometheus) -> Vec<Listed> {
        let mut listed = Vec::new();
        for variable in json["templating"]["list"].as_array().into_iter().flatten() {
            let (kind, written) = (variable["type"].as_str(), &variable["query"]);
            let written = written.as_str().or_else(|| written["query"].as_str());
            let written = written.unwrap_or_default();
            let options = match kind {
                Some("query") => {
                    let query = self.fill(written, Place::Query);
                    let found = options(&query, prometheus).await;
                    let values = found.as_ref().map(Vec::len).map_err(Clone::clone);
                    let name = variable["name"].as_str().unwrap_or_default().to_owned();
                    listed.push(Listed { name, query, values });
                    found.unwrap_or_default()
                }
                Some("datasource") => vec!["prometheus".to_owned()],
                _ => written.split(',').map(|option| option.trim().to_owned()).collect(),
            };
            self.variables.push(Variable::open(variable, options));
        }
        listed
    }

    /// What a row is repeated for: the values that are chosen.
    pub(crate) fn chosen(&self, name: &str) -> Vec<String> {
        let found = self.variables.iter().find(|variable| variable.name == name);
        found.map_or_else(Vec::new, |variable| match &variable.chosen {
            Chosen::Everything(_) => variable.options.clone(),
            Chosen::These(values) => values.clone(),
        })
    }

    /// The same with this one chosen, as inside a repeated row.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let others = self.variables.iter().filter(|variable| variable.name != name);
        let variables = others.cloned().chain([Variable::one(name, value)]).collect();
        Self { variables, ..self.clone() }
    }

    /// The text with every value put in. A name that is not known stays as it is.
    pub(crate) fn fill(&self, text: &str, place: Place) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            filled.push_str(&rest[..at]);
            let (name, end) = name_at(&rest[at..]);
            match self.value(name, place) {
                Some(value) => filled.push_str(&value),
                None => filled.push_str(&rest[at..at + end]),
            }
            rest = &rest[at + end..];
        }
        filled + rest
    }

    fn value(&self, name: &str, place: Place) -> Option<String> {
        let Span { start, end, step } = self.span;
        let range = (end - start).round();
        let known = match name {
            "__rate_interval" => format!("{}s", (step + self.scrape).max(4.0 * self.scrape)),
            "__interval" => format!("{step}s"),
            "__range" => format!("{range}s"),
            "__range_s" => range.to_string(),
            _ => {
                let variable = self.variables.iter().find(|variable| variable.name == name)?;
                match place {
                    Place::Query => variable.in_query(),
                    Place::Words => variable.in_words(),
                }
            }
        };
        Some(known)
    }
}

/// The name behind a `$`, bare or in braces, and where it ends.
fn name_at(text: &str) -> (&str, usize) {
    if let Some(inner) = text.strip_prefix("${")
        && let Some(end) = inner.find('}')
    {
        let name = inner[..end].split([':', '.']).next().unwrap_or_default();
        return (name, end + 3);
    }
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let name = text[1..].find(|letter| !is_part(letter)).unwrap_or(text.len() - 1);
    (&text[1..=name], name + 1)
}

/// The values that the query of a variable brings, in Grafana's own form.
async fn options(query: &str, prometheus: &Prometheus) -> Result<Vec<String>, String> {
    let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let Some(inner) = inner else {
        return Err("only label_values() is known here".to_owned());
    };
    // A selector has commas of its own; the label stands behind the last one.
    let found = match inner.rsplit_once(',') {
        Some((selector, label)) => prometheus.values(label.trim(), Some(selector.trim())).await,
        None => prometheus.values(inner.trim(), None).await,
    };
    found.map_err(|error| error.to_string())
}
