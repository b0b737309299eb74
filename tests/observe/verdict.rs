//! Every query of every dashboard, asked; what brings nothing though it should; rules that fail.

use std::{fmt, io};

use serde_json::Value;

use crate::{
    board::{Board, Target},
    prometheus::{Prometheus, count},
};

/// What may stay empty here, and why: the dashboard, the panel (or the mark, or the variable).
const EMPTY: [(&str, &str, &str); 0] = [];

/// One query, and what it brought.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The dashboard.
    pub(crate) board: String,
    /// The panel and the query's letter; or the mark, or the variable.
    pub(crate) place: String,
    /// As it was asked.
    pub(crate) query: String,
    /// How many series, or what is wrong.
    pub(crate) series: Result<usize, String>,
    /// Why it may bring nothing, where it may.
    pub(crate) excuse: Option<&'static str>,
}

impl Line {
    fn new(
        board: &str,
        (place, letter): (&str, &str),
        query: &str,
        series: Result<usize, String>,
    ) -> Self {
        Self {
            board: board.to_owned(),
            place: format!("{place} {letter}").trim_end().to_owned(),
            query: query.split_whitespace().collect::<Vec<_>>().join(" "),
            series,
            excuse: excuse(board, place),
        }
    }

    /// Whether it is as it should be.
    pub(crate) fn is_well(&self) -> bool {
        match &self.series {
            Ok(0) => self.excuse.is_some(),
            Ok(_) => true,
            Err(_) => false,
        }
    }
}

/// Why this panel may say that there is no data.
pub(crate) fn excuse(board: &str, panel: &str) -> Option<&'static str> {
    let found = EMPTY.iter().find(|(of, name, _)| *of == board && *name == panel);
    found.map(|(_, _, why)| *why)
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, place, query, .. } = self;
        let verdict = match (&self.series, self.excuse) {
            (Err(error), _) => format!("ERROR {error}"),
            (Ok(0), None) => "EMPTY".to_owned(),
            (Ok(0), Some(why)) => format!("empty: {why}"),
            (Ok(series), _) => format!("{series} series"),
        };
        write!(f, "{board:20} {place:50} {verdict:12} {query}")
    }
}

/// A dashboard with what its panels' queries brought, panel by panel.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The dashboard.
    pub(crate) board: Board,
    /// For each panel, for each query.
    pub(crate) results: Vec<Vec<Value>>,
    /// For each mark.
    pub(crate) marks: Vec<Value>,
    /// For each query, variables and marks among them.
    pub(crate) lines: Vec<Line>,
}

/// Asks all that a dashboard asks.
pub(crate) async fn ask(board: Board, prometheus: &Prometheus) -> Answered {
    let (mut results, mut lines) = (Vec::new(), Vec::new());
    for listed in &board.listed {
        let place = (listed.name.as_str(), "");
        lines.push(Line::new(&board.uid, place, &listed.query, listed.values.clone()));
    }
    let mut marks = Vec::new();
    for mark in &board.marks {
        let found = prometheus.over(&mark.query, board.span).await;
        let series = found.as_ref().map(count).map_err(ToString::to_string);
        lines.push(Line::new(&board.uid, (&mark.name, ""), &mark.query, series));
        marks.push(found.unwrap_or_default());
    }
    for panel in &board.panels {
        let mut brought = Vec::new();
        for target in &panel.targets {
            let found = one(target, &board, prometheus).await;
            let series = found.as_ref().map(count).map_err(ToString::to_string);
            let place = (panel.title.as_str(), target.letter.as_str());
            lines.push(Line::new(&board.uid, place, &target.query, series));
            brought.push(found.unwrap_or_default());
        }
        results.push(brought);
    }
    Answered { board, results, marks, lines }
}

async fn one(target: &Target, board: &Board, prometheus: &Prometheus) -> io::Result<Value> {
    if target.instant {
        prometheus.at(&target.query, board.span.end).await
    } else {
        prometheus.over(&target.query, board.span).await
    }
}

/// How many rules were evaluated, and what is wrong with each that could not be.
///
/// # Errors
/// Prometheus does not answer.
pub(crate) async fn rules(prometheus: &Prometheus) -> io::Result<(usize, Vec<String>)> {
    let told = prometheus.rules().await?;
    let groups = told["groups"].as_array().into_iter().flatten();
    let rules: Vec<&Value> =
        groups.filter_map(|group| group["rules"].as_array()).flatten().collect();
    let broken = rules.iter().filter(|rule| rule["health"] != "ok");
    let broken =
        broken.map(|rule| format!("{} is {}: {}", rule["name"], rule["health"], rule["lastError"]));
    Ok((rules.len(), broken.collect()))
}
