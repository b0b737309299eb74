//! Standard output. Whoever reads it may have read enough and gone, as `head` does.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write as _},
};

use anyhow::Context as _;

/// Writes `text` and a newline. That nobody reads it any more is no failure.
///
/// # Errors
/// It cannot be written for another reason, such as a full disk.
pub(super) fn line(text: impl Display) -> anyhow::Result<()> {
    whole(&format!("{text}\n"))
}

/// Writes `text` as it is, otherwise like [`line()`].
///
/// # Errors
/// As there.
pub(super) fn whole(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("could not write to standard output"),
    }
}
