//! Finds the configuration and reads it with this process's environment.

use std::path::Path;

use crate::config::{self, Loaded, problem::Report};

/// The configuration in `file`, or the tutorial's action.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn load(file: Option<&Path>) -> Result<Loaded, Report> {
    let env = |name: &str| std::env::var(name).ok();
    match given(file) {
        Some(file) => config::load(file, &env),
        None => config::builtin(&env),
    }
}

/// The file, where there is one: an empty variable counts as not set.
pub(super) fn given(file: Option<&Path>) -> Option<&Path> {
    file.filter(|file| !file.as_os_str().is_empty())
}
