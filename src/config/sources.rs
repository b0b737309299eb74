//! The files that a configuration was made of, and whether they still hold what was read.
//!
//! What counts is the content, not the time at which it was written: Kubernetes changes the files of
//! a volume by renaming a symlink, whose target may be older than what it replaces. Each look
//! resolves the paths anew. Nothing of a file is kept but a keyed fingerprint.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::{
    config::{keyed, tree::MAX_BYTES},
    fingerprint::Fingerprint,
};

/// Files, each as it was when it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<PathBuf, Content>);

/// What a file held.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Bytes(Fingerprint),
    /// It is not there, cannot be read, or is no plain file.
    Nothing,
}

impl Content {
    fn of(read: &io::Result<Option<Vec<u8>>>) -> Self {
        match read {
            Ok(Some(bytes)) => Self::Bytes(keyed::fingerprint(bytes)),
            Ok(None) | Err(_) => Self::Nothing,
        }
    }
}

impl Sources {
    /// Their paths, as they are written.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// The same files as they are now.
    #[must_use]
    pub fn look(&self) -> Self {
        let now = |path: &PathBuf| (path.clone(), Content::of(&read(path)));
        Self(self.0.keys().map(now).collect())
    }

    /// Whether one of them holds something else now.
    pub fn changed(&self) -> bool {
        self.look() != *self
    }

    /// What stands for the content of `path`, where that was read.
    pub(super) fn content(&self, path: &Path) -> Option<Fingerprint> {
        match self.0.get(path)? {
            Content::Bytes(print) => Some(*print),
            Content::Nothing => None,
        }
    }

    /// Reads a plain file of at most `most` bytes and notes it, whatever comes of it: a file that is
    /// put right later is a change too. The error is the end of a sentence that begins with the
    /// file.
    pub(super) fn read(&mut self, path: &Path, most: u64) -> Result<Vec<u8>, String> {
        let content = read(path);
        // Of a file that is read twice the first is kept: if it changed meanwhile, the next look
        // sees that.
        self.0.entry(path.to_owned()).or_insert_with(|| Content::of(&content));
        match content {
            Ok(Some(bytes)) if bytes.len() as u64 <= most => Ok(bytes),
            Ok(_) => Err(format!("is no plain file of at most {} KiB", most / 1024)),
            Err(error) => Err(format!("cannot be read ({})", error.kind())),
        }
    }
}

/// All that is looked at of a file: a little more than anything that is read may have. `None` for
/// what is no plain file; a pipe would hang.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Looks at files again and again, and says when a change is finished.
///
/// A change counts once two looks in a row have seen the same: half a file, or one that is gone for
/// a moment while another takes its place, is passed over. What is still gone at the second look is
/// a change like any other.
#[derive(Debug, Default)]
pub struct Watch {
    known: Sources,
    /// What the last look saw, where it was not what is known.
    seen: Option<Sources>,
}

impl Watch {
    /// Watches these.
    pub fn new(sources: Sources) -> Self {
        Self { known: sources, seen: None }
    }

    /// Watches these from now on.
    pub fn follow(&mut self, sources: Sources) {
        *self = Self::new(sources);
    }

    /// The files that are watched.
    pub fn sources(&self) -> &Sources {
        &self.known
    }

    /// Takes what a look has seen. Whether that is a finished change; it is told once.
    pub fn saw(&mut self, now: Sources) -> bool {
        // Whoever read them since has more files or fewer, and newer.
        if !now.0.keys().eq(self.known.0.keys()) || now == self.known {
            self.seen = None;
            return false;
        }
        if self.seen.as_ref() == Some(&now) {
            self.follow(now);
            return true;
        }
        self.seen = Some(now);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with one file, which has been read.
    fn read_one(text: &str) -> (tempfile::TempDir, PathBuf, Sources) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, text).unwrap();
        let mut sources = Sources::default();
        assert_eq!(sources.read(&path, 1024).as_deref(), Ok(text.as_bytes()));
        (folder, path, sources)
    }

    fn look(watch: &mut Watch) -> bool {
        let now = watch.sources().look();
        watch.saw(now)
    }

    #[test]
    fn what_counts_is_the_content() {
        let (_folder, path, sources) = read_one("one");
        fs::write(&path, "one").unwrap();
        assert!(!sources.changed(), "written again with the same in it");
        fs::write(&path, "two").unwrap();
        assert!(sources.changed());
        fs::remove_file(&path).unwrap();
        assert!(sources.changed());
        fs::write(&path, "one").unwrap();
        assert!(!sources.changed());
    }

    #[test]
    fn a_symlink_on_the_way_is_resolved_at_each_look() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("1", "one"), ("2", "two")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("file"), text).unwrap();
        }
        symlink("1", at("..data")).unwrap();
        symlink("..data/file", at("file")).unwrap();
        let mut sources = Sources::default();
        assert_eq!(sources.read(&at("file"), 1024).unwrap(), b"one");
        assert!(!sources.changed());
        symlink("2", at("..tmp")).unwrap();
        fs::rename(at("..tmp"), at("..data")).unwrap();
        assert!(sources.changed());
    }

    #[test]
    fn a_change_counts_once_two_looks_have_seen_the_same() {
        let (_folder, path, sources) = read_one("one");
        let mut watch = Watch::new(sources);
        assert!(!look(&mut watch));
        fs::write(&path, "tw").unwrap();
        assert!(!look(&mut watch), "it may be half of it");
        fs::write(&path, "two").unwrap();
        assert!(!look(&mut watch), "another one than at the last look");
        assert!(look(&mut watch));
        assert!(!look(&mut watch), "it is told once");
        fs::write(&path, "one").unwrap();
        assert!(!look(&mut watch));
        fs::write(&path, "two").unwrap();
        assert!(!look(&mut watch) && !look(&mut watch), "it was taken back");
    }

    #[test]
    fn what_is_gone_for_a_moment_is_no_change_and_what_stays_away_is_one() {
        let (_folder, path, sources) = read_one("one");
        let mut watch = Watch::new(sources);
        fs::remove_file(&path).unwrap();
        assert!(!look(&mut watch));
        fs::write(&path, "one").unwrap();
        assert!(!look(&mut watch) && !look(&mut watch));
        fs::remove_file(&path).unwrap();
        assert!(!look(&mut watch));
        assert!(look(&mut watch));
        assert!(!look(&mut watch));
        fs::write(&path, "one").unwrap();
        assert!(!look(&mut watch));
        assert!(look(&mut watch), "back again is a change too");
    }

    #[test]
    fn what_was_missing_when_it_was_read_is_a_change_when_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut sources = Sources::default();
        let told = sources.read(&path, 1024).unwrap_err();
        assert_eq!(told, "cannot be read (entity not found)");
        assert!(!sources.changed());
        fs::write(&path, "one").unwrap();
        assert!(sources.changed());
    }

    #[test]
    fn a_look_that_is_older_than_the_last_reading_says_nothing() {
        let (_folder, _path, first) = read_one("one");
        let (_other, _, second) = read_one("one");
        let mut watch = Watch::new(first.clone());
        watch.follow(second);
        assert!(!watch.saw(first.clone()) && !watch.saw(first));
    }

    #[test]
    fn a_file_that_is_no_plain_one_or_too_large_is_refused_and_never_changes() {
        let (_folder, path, _) = read_one(&"x".repeat(1024));
        fs::write(&path, "x".repeat(1025)).unwrap();
        let mut sources = Sources::default();
        let told = sources.read(&path, 1024).unwrap_err();
        assert_eq!(told, "is no plain file of at most 1 KiB");
        assert!(sources.read(Path::new("/dev/zero"), 64 * 1024).unwrap_err().ends_with("64 KiB"));
        assert!(!sources.changed());
    }

    #[test]
    fn nothing_of_a_file_is_kept() {
        let (_folder, _path, sources) = read_one("s3cr3t");
        assert!(!format!("{sources:?}").contains("s3cr3t"), "{sources:?}");
    }
}
