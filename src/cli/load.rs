//! Finds the configuration and reads it with this process's environment.

use std::path::Path;

use crate::config::{self, Loaded, problem::Report};

/// The configuration in `file`, or the tutorial's action.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn load(file: Option<&Path>) -> Result<Loaded, Report> {
    let env = |name: &str| std::env::var(name).ok();
    // An empty variable counts as not set.
    match file.filter(|file| !file.as_os_str().is_empty()) {
        Some(file) => config::load(file, &env),
        None => config::builtin(&env),
    }
}
