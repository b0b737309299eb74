//! Every query of every dashboard, asked; what brings nothing though it should; rules that fail.

use std::{fmt, io};

use serde_json::Value;

use crate::{
    board::{Board, Target},
    prometheus::{Prometheus, count},
};

/// What may stay empty here, and why: the panel and the letter of its query, or the mark.
const EMPTY: [(&str, &str); 9] = [
    ("Critical alerts", "none fires within a minute"),
    ("Replicas and the autoscaler B", "there is no kube-state-metrics"),
    ("Replicas and the autoscaler C", "there is no kube-state-metrics"),
    ("Throttled periods A", "there is no cAdvisor"),
    ("Restarts A", "no replica starts again"),
    ("Telemetry dropped A", "the receiver takes all of it"),
    ("Certificates end in A", "nothing here has a certificate"),
    ("Handshakes that failed A", "calls come in clear text"),
    ("Answered by the cache B", "it compares with the day before"),
];

/// One query, and what it brought.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The dashboard.
    pub(crate) board: String,
    /// The panel and the query's letter; or the mark, or the variable.
    pub(crate) place: String,
    /// The same as it is written: what is repeated has one of these.
    written: String,
    /// As it was asked.
    pub(crate) query: String,
    /// How many series, or what is wrong.
    pub(crate) series: Result<usize, String>,
    /// Why it may bring nothing, where it may.
    pub(crate) excuse: Option<&'static str>,
}

impl Line {
    fn new(board: &str, place: String, query: &str, series: Result<usize, String>) -> Self {
        let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = EMPTY.iter().find(|(name, _)| *name == place);
        let excuse = found.map(|(_, why)| *why);
        Self { board: board.to_owned(), written: place.clone(), place, query, series, excuse }
    }

    /// Whether something is wrong with it, given all lines. What is repeated for several upstreams
    /// must bring something for one of them.
    pub(crate) fn is_broken(&self, all: &[Self]) -> bool {
        let brings = |line: &Self| {
            line.written == self.written && line.series.as_ref().is_ok_and(|series| *series > 0)
        };
        self.series.is_err() || (self.excuse.is_none() && !all.iter().any(brings))
    }
}

/// The excuses for what does not exist.
pub(crate) fn idle_excuses(lines: &[Line]) -> impl Iterator<Item = String> {
    let idle = EMPTY.iter().filter(|(name, _)| !lines.iter().any(|line| line.place == *name));
    idle.map(|(name, _)| format!("`{name}` may be empty, and there is no such query"))
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, place, query, .. } = self;
        let verdict = match (&self.series, self.excuse) {
            (Err(error), _) => format!("ERROR {error}"),
            (Ok(0), None) => "empty".to_owned(),
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
        let place = format!("${}", listed.name);
        lines.push(Line::new(&board.uid, place, &listed.query, listed.values.clone()));
    }
    let mut marks = Vec::new();
    for mark in &board.marks {
        let found = prometheus.over(&mark.query, board.span).await;
        let series = found.as_ref().map(count).map_err(ToString::to_string);
        lines.push(Line::new(&board.uid, mark.name.clone(), &mark.query, series));
        marks.push(found.unwrap_or_default());
    }
    for panel in &board.panels {
        let mut brought = Vec::new();
        for target in &panel.targets {
            let found = one(target, &board, prometheus).await;
            let series = found.as_ref().map(count).map_err(ToString::to_string);
            let place = format!("{} {}", panel.title, target.letter);
            let written = format!("{} {} {}", board.uid, panel.json["id"], target.letter);
            let line = Line::new(&board.uid, place, &target.query, series);
            lines.push(Line { written, ..line });
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
