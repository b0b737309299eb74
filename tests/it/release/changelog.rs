//! The news: of one form, each told once, and of the version that Cargo.toml says.

use std::collections::BTreeSet;

use super::read;

/// The kinds of news of Keep a Changelog, in their order.
const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

fn headings<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(mark)).collect()
}

#[test]
fn what_is_unreleased_stands_first_and_the_newest_release_is_that_of_cargo() {
    let text = read("CHANGELOG.md");
    let releases = headings(&text, "## ");
    assert_eq!(releases.first(), Some(&"[Unreleased]"));
    if let Some(newest) = releases.get(1) {
        let version = format!("[{}] - ", env!("CARGO_PKG_VERSION"));
        assert!(newest.starts_with(&version), "Cargo.toml says {version}, the news say {newest}");
    }
    let notes = headings(&read("deploy/UPGRADING.md"), "## ").contains(&env!("CARGO_PKG_VERSION"));
    assert!(notes, "deploy/UPGRADING.md has no notes for this version");
}

#[test]
fn each_release_has_known_kinds_of_news_in_their_order() {
    let text = read("CHANGELOG.md");
    for release in text.split("\n## ").skip(1) {
        let kinds = headings(release, "### ").into_iter().map(|kind| {
            let place = KINDS.iter().position(|known| *known == kind);
            place.unwrap_or_else(|| panic!("{kind} is none of {KINDS:?}"))
        });
        assert!(kinds.is_sorted_by(|one, next| one < next), "{release:.80}");
    }
}

#[test]
fn every_piece_of_news_is_a_sentence_and_stands_there_once() {
    let text = read("CHANGELOG.md");
    let mut seen = BTreeSet::new();
    for entry in text.split("\n- ").skip(1) {
        let entry = entry.split("\n\n").next().unwrap().replace("\n  ", " ");
        let entry = entry.trim();
        assert!(entry.ends_with('.'), "{entry}");
        // What it is about: its first words.
        let about: String = entry.split(' ').take(4).collect::<Vec<_>>().join(" ");
        assert!(seen.insert(about), "told twice: {entry}");
    }
    assert!(seen.len() > 30, "{}", seen.len());
}
