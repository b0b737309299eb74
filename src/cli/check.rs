//! `check`: says everything that is wrong with a configuration, and what to write instead.

use std::{path::Path, process::ExitCode};

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    cli::{load, out},
    config::{self, problem::Problem},
};

/// Who reads it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// A line for each problem
    Human,
    /// One JSON object on standard output, for editors and CI
    Json,
}

/// What was found. Its JSON is for programs: keys are added, none is renamed or removed.
#[derive(Debug, Serialize)]
struct Findings<'a> {
    file: &'a str,
    /// Whether the exit code is 0.
    ok: bool,
    problems: Vec<Finding<'a>>,
    /// How many actions the file has; 0 where it is refused.
    actions: usize,
}

#[derive(Debug, Serialize)]
struct Finding<'a> {
    severity: &'static str,
    file: &'a str,
    line: usize,
    column: usize,
    path: &'a str,
    what: &'a str,
    instead: &'a str,
}

impl<'a> Finding<'a> {
    fn of(severity: &'static str, problem: &'a Problem) -> Self {
        let Problem { file, line, column, path, what, instead } = problem;
        Self { severity, file, line: *line, column: *column, path, what, instead }
    }
}

/// Checks it.
pub(super) fn run(file: Option<&Path>, strict: bool, format: Format) -> anyhow::Result<ExitCode> {
    let file = load::named(file);
    let (problems, warnings, actions, report) = match load::load(file) {
        Ok(loaded) => (Vec::new(), loaded.warnings, loaded.catalog.actions.len(), None),
        Err(report) => {
            (report.problems().to_vec(), report.warnings().to_vec(), 0, Some(report.to_string()))
        }
    };
    let ok = problems.is_empty() && (warnings.is_empty() || !strict);
    match format {
        Format::Json => {
            let name = file.map_or_else(|| config::BUILTIN.to_owned(), |f| f.display().to_string());
            let errors = problems.iter().map(|problem| Finding::of("error", problem));
            let warnings = warnings.iter().map(|problem| Finding::of("warning", problem));
            let mut problems: Vec<_> = errors.chain(warnings).collect();
            problems.sort_by_key(|finding| (finding.line, finding.column));
            let findings = Findings { file: &name, ok, problems, actions };
            let json = serde_json::to_string_pretty(&findings);
            out::line(json.expect("texts and numbers make JSON"))?;
        }
        Format::Human => match report {
            Some(report) => eprintln!("{report}"),
            None => tell(file, &warnings, actions)?,
        },
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says that it is accepted, in words.
fn tell(file: Option<&Path>, warnings: &[Problem], actions: usize) -> anyhow::Result<()> {
    let name = file.map_or_else(|| "the built-in action".to_owned(), |f| f.display().to_string());
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    let warnings = warnings.len();
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let (actions_end, warnings_end) = (plural(actions), plural(warnings));
    out::line(format_args!(
        "{name}: {actions} action{actions_end}, {warnings} warning{warnings_end}"
    ))
}
