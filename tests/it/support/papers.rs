//! Certificates and keys as files, for a configuration to name.

use std::fs;

use tempfile::TempDir;

use super::authority::{Authority, Issued};

/// A folder of files in PEM; it goes with the test.
#[derive(Debug)]
pub(crate) struct Papers(TempDir);

impl Papers {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    /// Writes a file, in the place of any of that name, and tells its path.
    pub(crate) fn put(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, text).expect("a file can be written");
        path.display().to_string()
    }

    /// Writes a certificate and its key, and tells the members that name them.
    pub(crate) fn identity(&self, name: &str, issued: &Issued) -> String {
        let certificate = self.put(&format!("{name}.pem"), &issued.chain);
        let key = self.put(&format!("{name}.key"), &issued.key);
        format!("certificate: {certificate}, key: {key}")
    }

    /// Writes the certificate of an authority, and tells its path.
    pub(crate) fn authority(&self, name: &str, authority: &Authority) -> String {
        self.put(&format!("{name}.pem"), &authority.pem)
    }
}
