//! `.ci/release`: tried on a copy of what it changes.

use std::{fs, process::Command};

use tempfile::TempDir;

use super::{read, root};

const CHART: &str = "deploy/helm/holdline/Chart.yaml";
const CHART_PAGE: &str = "deploy/helm/holdline/README.md";
const CHART_CASE: &str = "deploy/helm/holdline/ci/everything-values.yaml";
const SNAPSHOTS: &str = "tests/it/export/snapshots";

/// A tree with all that has a version, at 0.1.0, of which nothing is released.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        let package = "[package]\nname = \"holdline\"\nversion = \"0.1.0\"\nrust-version = \"1.95\"\n\n\
                       [dependencies]\nurl = \"2\"\nother = { version = \"0.1.0\" }\n\n\
                       [dependencies.third]\nversion = \"0.1.0\"\n";
        let lock = "[[package]]\nname = \"holder\"\nversion = \"0.1.0\"\n\n\
                    [[package]]\nname = \"holdline\"\nversion = \"0.1.0\"\n";
        let chart = "apiVersion: v2\nname: holdline\nversion: 0.1.0\nappVersion: \"0.1.0\"\n\
                     kubeVersion: \">=1.27.0-0\"\n# image: ghcr.io/holdline/holdline:0.1.0\n";
        for (path, text) in [
            ("Cargo.toml", package),
            ("Cargo.lock", lock),
            (CHART, chart),
            ("README.md", "run ghcr.io/holdline/holdline:0.1.0\n"),
            ("deploy/Dockerfile", "FROM scratch\nARG VERSION=0.1.0\n"),
            (".github/SECURITY.md", "$ VERSION=0.1.0 ME=https://example.com\n"),
            (CHART_PAGE, "$ docker push registry.example.com/holdline:0.1.0\n"),
            (CHART_CASE, "image: ghcr.io/holdline/holdline:0.1.0\n"),
            ("deploy/UPGRADING.md", "# Notes\n\n## 0.1.0\n\nThe first.\n"),
            ("tests/it/export/snapshots/a.snap", "  \"version\": \"0.1.0\",\n"),
            ("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n"),
        ] {
            tree.write(path, text);
        }
        tree
    }

    /// The real one, but for what is made and for the tests, which name versions of their own.
    fn real() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for path in texts(|path| !["target", "dist", ".git", ".venv", "tests"].contains(&path)) {
            tree.write(&path, &read(&path));
        }
        for path in texts(|path| SNAPSHOTS.starts_with(path) || path.starts_with(SNAPSHOTS)) {
            tree.write(&path, &read(&path));
        }
        tree
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.path().join(path)).unwrap()
    }

    /// What it says on standard output, or else its complaint.
    fn release(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new(root().join(".ci/release"));
        let ended = command.args(args).env("HOLDLINE_TREE", self.0.path()).output().unwrap();
        if ended.status.success() {
            return Ok(String::from_utf8(ended.stdout).unwrap());
        }
        Err(String::from_utf8(ended.stderr).unwrap())
    }
}

/// The files of ours that are text, in folders and by names that are `wanted`.
fn texts(wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let within = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            if !wanted(&within) || path.is_symlink() {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else if fs::read_to_string(&path).is_ok() {
                found.push(within);
            }
        }
    }
    found
}

#[test]
fn after_a_cut_nothing_of_ours_has_the_version_before() {
    let before = env!("CARGO_PKG_VERSION");
    let numbers: Vec<u32> = before.split('.').map(|it| it.parse().unwrap()).collect();
    let next = format!("{}.{}.0", numbers[0], numbers[1] + 1);
    let tree = Tree::real();
    let add = |path: &str, below: &str, text: &str| {
        let page = tree.read(path);
        assert!(page.contains(below), "{path} has no {below}");
        tree.write(path, &page.replacen(below, &format!("{below}{text}"), 1));
    };
    add("CHANGELOG.md", "## [Unreleased]\n", "\n### Fixed\n\n- It.\n");
    add("deploy/UPGRADING.md", "# Notes for each version\n", &format!("\n## {next}\n\nNone.\n"));
    tree.release(&["cut", &next]).unwrap();
    assert_eq!(tree.release(&["check", &format!("v{next}")]).unwrap(), format!("{next}\n"));

    // History, versions of others, and series that are made up.
    let may = |path: &str| {
        ["CHANGELOG.md", "deploy/UPGRADING.md", "Cargo.lock", "benches/peers/Cargo.lock"]
            .contains(&path)
            || path.starts_with("dashboards/rules/tests/")
    };
    let mut changed = 0;
    let folder = tree.0.path();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let within = path.strip_prefix(folder).unwrap().to_str().unwrap();
            let text = tree.read(within);
            changed += usize::from(says(&text, &next));
            assert!(may(within) || !says(&text, before), "{within} still says {before}");
        }
    }
    assert!(changed > 10, "{changed}");
    let lock = tree.read("Cargo.lock");
    assert!(lock.contains(&format!("name = \"holdline\"\nversion = \"{next}\"\n")));
}

/// Whether this version stands there, and not as a part of other numbers.
fn says(text: &str, version: &str) -> bool {
    let number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    text.match_indices(version).any(|(at, _)| {
        let (before, behind) = (&text.as_bytes()[..at], &text.as_bytes()[at + version.len()..]);
        !before.last().is_some_and(number) && !behind.first().is_some_and(u8::is_ascii_digit)
    })
}

#[test]
fn a_release_that_was_cut_has_one_version_everywhere() {
    let tree = Tree::new();
    let refused = tree.release(&["check", "v0.1.0"]).unwrap_err();
    assert!(refused.contains("CHANGELOG.md has no heading"), "{refused}");

    tree.release(&["cut", "0.1.0"]).unwrap();
    assert_eq!(tree.release(&["check", "v0.1.0"]).unwrap(), "0.1.0\n");
    assert_eq!(tree.release(&["notes", "0.1.0"]).unwrap(), "### Added\n\n- A thing.\n");

    // The next one.
    let news =
        tree.read("CHANGELOG.md").replace("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n\n- It.\n");
    tree.write("CHANGELOG.md", &news);
    let refused = tree.release(&["cut", "0.2.0"]).unwrap_err();
    assert!(refused.contains("UPGRADING.md has no heading `## 0.2.0`"), "{refused}");
    tree.write("deploy/UPGRADING.md", "## 0.2.0\n\nNothing to do.\n\n## 0.1.0\n");
    tree.release(&["cut", "0.2.0"]).unwrap();
    assert_eq!(tree.release(&["check", "v0.2.0"]).unwrap(), "0.2.0\n");
    assert_eq!(tree.release(&["notes", "0.2.0"]).unwrap(), "### Fixed\n\n- It.\n");
    assert_eq!(tree.release(&["notes", "0.1.0"]).unwrap(), "### Added\n\n- A thing.\n");

    // Nothing else has changed.
    let package = tree.read("Cargo.toml");
    assert_eq!(package.matches("0.1.0").count(), 2, "{package}");
    assert!(package.contains("rust-version = \"1.95\"\n"), "{package}");
    assert_eq!(tree.read("Cargo.lock").matches("0.2.0").count(), 1);
    assert!(
        tree.read(CHART)
            .contains("\nversion: 0.2.0\nappVersion: \"0.2.0\"\nkubeVersion: \">=1.27.0-0\"\n")
    );
    let security = ".github/SECURITY.md";
    let snapshot = "tests/it/export/snapshots/a.snap";
    for path in ["README.md", "deploy/Dockerfile", security, CHART_PAGE, CHART_CASE, snapshot] {
        let text = tree.read(path);
        assert!(text.contains("0.2.0") && !text.contains("0.1.0"), "{path}: {text}");
    }
}

#[test]
fn a_version_that_is_another_anywhere_is_no_release() {
    for (path, text, said) in [
        ("Cargo.toml", "[package]\nversion = \"0.1.1\"\n", "Cargo.toml says 0.1.1, not 0.1.0"),
        ("Cargo.lock", "name = \"holdline\"\nversion = \"0.0.9\"\n", "Cargo.lock says 0.0.9"),
        (CHART, "version: 0.3.0\nappVersion: \"0.1.0\"\n", "says version 0.3.0, not 0.1.0"),
        (CHART, "version: 0.1.0\nappVersion: \"0.3.0\"\n", "says appVersion 0.3.0, not 0.1.0"),
        ("README.md", "run ghcr.io/holdline/holdline:0.0.9\n", "README.md says /holdline:0.0.9"),
        (".github/SECURITY.md", "$ VERSION=0.1.1 ME=https://example.com\n", "says VERSION=0.1.1"),
        (CHART_PAGE, "push registry.example.com/holdline:0.2.0\n", "says /holdline:0.2.0"),
        ("CHANGELOG.md", "## [0.1.0] - 2026-12-01\n\n## [0.0.9] - 2026-11-01\n", "says nothing"),
        ("CHANGELOG.md", "## [0.1.0]\n\n- A thing.\n", "has no heading"),
        ("deploy/UPGRADING.md", "## 0.1\n", "has no heading `## 0.1.0`"),
    ] {
        let tree = Tree::new();
        tree.release(&["cut", "0.1.0"]).unwrap();
        tree.write(path, text);
        let refused = tree.release(&["check", "v0.1.0"]).unwrap_err();
        assert!(refused.contains(said), "{path}: {refused}");
    }
}

#[test]
fn what_cannot_be_cut_is_left_as_it_is() {
    let tree = Tree::new();
    let before = tree.read("Cargo.toml");
    for (version, said) in [
        ("0.0.9", "is older than 0.1.0"),
        ("1.2", "is no version"),
        ("v0.1.0", "is no version"),
        ("0.2.0", "UPGRADING.md has no heading"),
    ] {
        let refused = tree.release(&["cut", version]).unwrap_err();
        assert!(refused.contains(said), "{version}: {refused}");
    }
    let tree_of_nothing = Tree::new();
    tree_of_nothing.write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n");
    let refused = tree_of_nothing.release(&["cut", "0.1.0"]).unwrap_err();
    assert!(refused.contains("nothing that is unreleased"), "{refused}");
    assert_eq!(tree.read("Cargo.toml"), before);
    assert!(tree.release(&["check", "0.1.0"]).unwrap_err().contains("is no tag"));
}

#[test]
fn without_a_command_it_says_what_it_takes() {
    let said = Tree::new().release(&[]).unwrap_err();
    for part in [".ci/release cut 0.2.0", "check v0.2.0", "notes 0.2.0", "git push origin v0.2.0"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(read("deploy/UPGRADING.md").contains("`.ci/release cut X.Y.Z`"));
}
