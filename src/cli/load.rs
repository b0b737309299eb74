//! Finds the configuration and reads it with this process's environment.

use std::{path::Path, sync::Arc};

use anyhow::anyhow;

use crate::{
    catalog::{Catalog, action::Action, name::Name},
    config::{self, Loaded, nearest::by_distance, problem::Report},
};

/// The configuration in `file`, or the tutorial's action.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn load(file: Option<&Path>) -> Result<Loaded, Report> {
    let env = |name: &str| std::env::var(name).ok();
    match named(file) {
        Some(file) => config::load(file, &env),
        None => config::builtin(&env),
    }
}

/// The same, for whom any other end than this is in vain.
///
/// # Errors
/// Everything that is wrong with it, in one error.
pub(super) fn valid(file: Option<&Path>) -> anyhow::Result<Loaded> {
    load(file).map_err(|report| anyhow!("the configuration is wrong\n{report}"))
}

/// The action of that name.
///
/// # Errors
/// There is none; the nearest come first.
pub(super) fn action<'c>(catalog: &'c Catalog, name: &str) -> anyhow::Result<&'c Arc<Action>> {
    catalog.action(name).ok_or_else(|| {
        let known = by_distance(name, catalog.actions.keys().map(Name::as_str));
        let known: Vec<String> = known.iter().map(|(_, known)| format!("`{known}`")).collect();
        anyhow!("there is no action of that name; there are: {}", known.join(", "))
    })
}

/// The file where one is named: an empty variable counts as not set.
pub(super) fn named(file: Option<&Path>) -> Option<&Path> {
    file.filter(|file| !file.as_os_str().is_empty())
}
