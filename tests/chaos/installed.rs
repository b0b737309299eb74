//! Programs that a machine may have.

use std::{env, path::PathBuf};

/// Where a program is, if this machine has it. Debian has some in a folder that only root has in its PATH.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}
