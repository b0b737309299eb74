//! `check`: says everything that is wrong with a configuration, and what to write instead.

use std::{path::Path, process::ExitCode};

use crate::cli::load;

/// Checks it.
pub(super) fn run(file: Option<&Path>, strict: bool) -> ExitCode {
    let name = file.map_or_else(|| "the built-in action".to_owned(), |f| f.display().to_string());
    let loaded = match load::load(file) {
        Ok(loaded) => loaded,
        Err(report) => {
            eprintln!("{report}");
            return ExitCode::FAILURE;
        }
    };
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    let (actions, warnings) = (loaded.catalog.actions.len(), loaded.warnings.len());
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    println!("{name}: {actions} action{}, {warnings} warning{}", plural(actions), plural(warnings));
    if strict && warnings > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
