//! The image as buildah keeps it, opened: its account and its files.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::form::Entry;

/// An image that is mounted; unmounted when it is dropped.
#[derive(Debug)]
pub(crate) struct Image {
    container: String,
    /// Docker's `config` of it.
    pub(crate) config: Value,
    /// Where its files are.
    pub(crate) root: PathBuf,
}

/// The folder of `deploy/build-image.sh`.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("image")
}

/// Runs a program to its end and brings what it wrote.
///
/// # Errors
/// It cannot be run, or fails: then with what it said.
pub(crate) fn said(command: &mut Command) -> io::Result<String> {
    let ended = command.output()?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).trim().to_owned());
    }
    let error = String::from_utf8_lossy(&ended.stderr).into_owned();
    Err(io::Error::other(format!("{command:?}: {} {error}", ended.status)))
}

fn buildah() -> Command {
    let mut command = Command::new("buildah");
    command.arg("--root").arg(folder().join("storage"));
    command.arg("--runroot").arg(folder().join("run")).args(["--storage-driver", "vfs"]);
    command
}

impl Image {
    /// Opens the one of this version.
    ///
    /// # Errors
    /// It has not been built.
    pub(crate) fn open() -> io::Result<Self> {
        let name = concat!("localhost/holdline:", env!("CARGO_PKG_VERSION"));
        let shown = said(buildah().args(["inspect", "--type", "image", name]))?;
        let shown: Value = serde_json::from_str(&shown)?;
        let config = shown["Docker"]["config"].clone();
        let container = said(buildah().args(["from", "--pull-never", name]))?;
        let mut image = Self { container, config, root: PathBuf::new() };
        image.root = said(buildah().args(["mount", &image.container]))?.into();
        Ok(image)
    }

    /// All that is in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn entries(&self) -> io::Result<Vec<Entry>> {
        let (mut entries, mut folders) = (Vec::new(), vec![self.root.clone()]);
        while let Some(folder) = folders.pop() {
            for file in fs::read_dir(folder)? {
                let path = file?.path();
                let about = fs::symlink_metadata(&path)?;
                let bytes = if about.is_dir() { 0 } else { about.len() };
                let within = path.strip_prefix(&self.root).map_err(io::Error::other)?;
                let path_within = format!("/{}", within.display());
                let mode = about.mode() & 0o7777;
                entries.push(Entry { path: path_within, mode, owner: about.uid(), bytes });
                if about.is_dir() {
                    folders.push(path);
                }
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // What is left behind is removed by hand: `buildah rm`.
        let _ = said(buildah().args(["rm", &self.container]));
    }
}
