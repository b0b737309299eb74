//! Every YAML block of the pages is a configuration, or a part of one, and is in order.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use super::Copied;
use crate::support::program::Program;

const PAGES: [(&str, &str); 7] = [
    ("README.md", include_str!("../../../README.md")),
    (".github/SECURITY.md", include_str!("../../../.github/SECURITY.md")),
    ("deploy/UPGRADING.md", include_str!("../../../deploy/UPGRADING.md")),
    ("deploy/configuration.md", include_str!("../../../deploy/configuration.md")),
    ("deploy/examples/README.md", include_str!("../../../deploy/examples/README.md")),
    (
        "deploy/from-the-tutorial-to-production.md",
        include_str!("../../../deploy/from-the-tutorial-to-production.md"),
    ),
    ("deploy/operations.md", include_str!("../../../deploy/operations.md")),
];
/// What is put behind a part that declares none.
const UPSTREAMS: &str = "\nupstreams: {crm: {base_url: https://crm.example.com}}\n";
const ACTIONS: &str = "\nactions:\n  card:\n    caller: none\n    request: {upstream: crm, path: /card}\n    \
                       output: {name: {type: string, from: $.name}}\n";
/// The variables that pages name.
const VARIABLES: [(&str, &str); 4] = [
    ("IVR_KEY", "a-key-of-the-ivr-that-is-long-enough-9f2c"),
    ("CRM_URL", "https://crm.example.com"),
    ("SHOP_URL", "https://shop.example.com"),
    ("EXTERNAL_API_BASE", "https://crm.example.com"),
];

/// The blocks of YAML in a page.
fn blocks(page: &str) -> impl Iterator<Item = &str> {
    page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap())
}

#[tokio::test]
async fn every_block_of_yaml_passes_check() {
    for (name, page) in PAGES {
        for block in blocks(page) {
            let has = |section: &str| block.lines().any(|line| line.starts_with(section));
            // A caller or an upstream of a part is one that nothing uses yet.
            let whole = has("actions:");
            let mut text = block.to_owned();
            if !has("upstreams:") {
                text.push_str(UPSTREAMS);
            }
            if !whole {
                text.push_str(ACTIONS);
            }
            let copied = Copied::of(&text);
            let file = copied.file();
            let mut args = vec!["check", "-c", file.to_str().unwrap()];
            if whole {
                args.push("--strict");
            }
            let ended = Program::run(&args, &VARIABLES).await;
            assert_eq!(ended.code, Some(0), "{name}: {}\n{text}", ended.err);
        }
    }
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

#[test]
fn every_page_and_heading_that_is_linked_to_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, page) in PAGES {
        let folder = root.join(name);
        let links = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let to = folder.parent().unwrap().join(path);
            let to = if path.is_empty() { folder.clone() } else { to };
            assert!(to.exists(), "{name} links to {link}");
            if !heading.is_empty() {
                let text = std::fs::read_to_string(to).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                assert!(headings.any(|it| anchor(it) == heading), "{name} links to {link}");
            }
        }
    }
}

#[test]
fn the_page_of_the_examples_names_every_file_and_variable_that_they_want() {
    let (_, page) =
        PAGES.into_iter().find(|(name, _)| *name == "deploy/examples/README.md").unwrap();
    for example in [super::crm::TEXT, super::tickets::TEXT, super::bank::TEXT] {
        let files = example.split("/etc/holdline/").skip(1).map(|rest| {
            let path = rest.split(['}', '"', '\n']).next().unwrap();
            path.rsplit('/').next().unwrap()
        });
        let variables = example.split("${").skip(1).map(|rest| rest.split([':', '}']).next());
        let variables = variables.map(Option::unwrap).filter(|name| *name != "file");
        for name in files.chain(variables) {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }
}
