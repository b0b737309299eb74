//! What changed is told, and no secret is.

use std::{cell::RefCell, collections::BTreeMap, fs};

use crate::config::{Loaded, parse, problem::Findings, tests::GOOD, tree};

use super::*;

fn loaded(yaml: &str, env: &dyn Fn(&str) -> Option<String>) -> Loaded {
    parse("f", yaml, env).unwrap_or_else(|report| panic!("{report}\n{yaml}"))
}

/// The good file with each of `edits` made.
fn good_but(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(GOOD.to_owned(), |yaml, (from, to)| {
        assert_eq!(yaml.matches(from).count(), 1, "{from:?} is not there once");
        yaml.replacen(from, to, 1)
    })
}

/// The changes from `before` to `after`, whose revisions must differ exactly where there are any.
fn changes(before: &str, after: &str) -> Vec<String> {
    let [before, after] = [before, after].map(|yaml| loaded(yaml, &|_| None));
    let changes: Vec<_> = before.outline.changes_to(&after.outline);
    let lines: Vec<_> = changes.iter().map(ToString::to_string).collect();
    let secret = |line: &String| line.ends_with("(secret)");
    if !lines.iter().any(secret) {
        let same = before.settings.revision == after.settings.revision;
        assert_eq!(lines.is_empty(), same, "{lines:?}");
    }
    lines
}

fn change(from: &str, to: &str) -> Vec<String> {
    changes(GOOD, &good_but(&[(from, to)]))
}

#[test]
fn a_value_is_told_as_it_was_and_as_it_is() {
    for (from, to, line) in [
        ("attempt: 2s", "attempt: 1s", "upstreams.crm.timeouts.attempt: 2s -> 1s"),
        ("[connect, 503]", "[connect, 502]", "upstreams.crm.retry.on[1]: 503 -> 502"),
        ("[connect, 503]", "[connect]", "upstreams.crm.retry.on[1]: removed (was 503)"),
        ("[connect, 503]", "[connect, 503, 502]", "upstreams.crm.retry.on[2]: added (502)"),
        (
            "path: /users/{customer_id}",
            "path: \"/people/{customer_id}\"",
            "actions.customer-lookup.request.path: /users/{customer_id} -> \"/people/{customer_id}\"",
        ),
        (
            "ttl: 60s",
            "ttl: 60s\n      not_found: 1s",
            "actions.customer-lookup.cache.not_found: added (1s)",
        ),
        (
            "    genesys_timeout: 10s\n",
            "",
            "actions.customer-lookup.genesys_timeout: removed (was 10s)",
        ),
        (
            "method: GET",
            "method: !!str GET",
            "actions.customer-lookup.request.method: GET -> \"GET\"",
        ),
    ] {
        assert_eq!(change(from, to), [line]);
    }
}

#[test]
fn a_part_that_comes_or_goes_is_one_line() {
    let orders = "  orders:
    caller: none
    request: {upstream: crm, path: /orders}
    output: {n: {type: integer, from: $.n, default: 0}}
";
    let with = good_but(&[("cache: {memory", &format!("{orders}cache: {{memory"))]);
    assert_eq!(changes(GOOD, &with), ["actions.orders: added"]);
    assert_eq!(changes(&with, GOOD), ["actions.orders: removed"]);
    let renamed = with.replace("  orders:", "  bills:");
    assert_eq!(changes(&with, &renamed), ["actions.orders: removed", "actions.bills: added"]);
    assert_eq!(
        change("caller: [genesys, portal]", "caller: genesys"),
        ["actions.customer-lookup.caller: changed"]
    );
}

#[test]
fn comments_indentation_and_the_order_of_keys_change_nothing() {
    for (from, to) in [
        ("version: 1\n", "# a comment\nversion: 1\n\n"),
        ("{connect: 1s, attempt: 2s}", "{attempt: 2s, connect: 1s}"),
        ("{connect: 1s, attempt: 2s}", "\n      connect: 1s\n      attempt: 2s"),
    ] {
        assert_eq!(change(from, to), [""; 0], "{to}");
    }
}

#[test]
fn another_order_of_outputs_is_another_answer() {
    let (name, premium) = (
        "      name: {type: string, from: $.name, default: Unknown}\n",
        "      premium: {type: boolean, value: false}\n",
    );
    let both = format!("{name}{premium}");
    assert_eq!(
        change(&both, &format!("{premium}{name}")),
        ["actions.customer-lookup.output: in another order"]
    );
    assert_eq!(change(premium, ""), ["actions.customer-lookup.output.premium: removed"]);
}

#[test]
fn a_secret_is_compared_and_never_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "s3cr3t-1").unwrap();
    let written = format!("ivr: \"${{file:{}}}\"", file.path().display());
    let yaml = good_but(&[("ivr: a-key", &written)]);
    let before = loaded(&yaml, &|_| None);
    let same = loaded(&yaml, &|_| None);
    assert_eq!(before.outline.changes_to(&same.outline), []);
    fs::write(file.path(), "s3cr3t-2").unwrap();
    let after = loaded(&yaml, &|_| None);
    let changes = before.outline.changes_to(&after.outline);
    let lines: Vec<_> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["callers.portal.keys.ivr: changed (secret)"]);

    let literal = good_but(&[("ivr: a-key", "ivr: s3cr3t-3")]);
    assert_eq!(
        self::changes(GOOD, &literal),
        ["callers.portal.keys.ivr: changed (secret)"],
        "written out, it is a secret all the same"
    );
    assert_eq!(
        self::changes(&literal, &good_but(&[("ivr: a-key, ", "")])),
        ["callers.portal.keys.ivr: removed (secret)"]
    );
    let literal = loaded(&literal, &|_| None);
    for outline in [&before.outline, &after.outline, &literal.outline] {
        let lines = outline.lines();
        assert!(lines.contains(&("callers.portal.keys.ivr".to_owned(), "(secret)".to_owned())));
        let seen = format!("{lines:?} {outline:?} {changes:?}");
        assert!(!seen.contains("s3cr3t"), "{seen}");
    }
}

#[test]
fn a_path_to_a_file_is_a_change_when_the_file_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tls.crt");
    let outline = |content: &str| {
        fs::write(&path, content).unwrap();
        let findings = Findings::of("f");
        let yaml = format!("server: {{certificate: {}}}", path.display());
        let root = tree::read(&yaml, &findings).unwrap();
        findings.read_file(&path, 1024).unwrap();
        Outline::of(&root, &findings.sources())
    };
    let (first, same, other) = (outline("one"), outline("one"), outline("two"));
    assert_eq!(first.changes_to(&same), []);
    let changes: Vec<_> = first.changes_to(&other).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["server.certificate: the file has changed"]);
}

#[test]
fn headers_are_not_shown_since_any_may_be_a_credential() {
    assert_eq!(
        change("X-Tenant: acme", "X-Tenant: other"),
        ["upstreams.crm.headers.X-Tenant: changed (not shown)"]
    );
    assert_eq!(
        change("X-Tenant: acme", "X-Vendor: s3cr3t"),
        [
            "upstreams.crm.headers.X-Tenant: removed (not shown)",
            "upstreams.crm.headers.X-Vendor: added (not shown)"
        ]
    );
    assert_eq!(
        change("X-Tenant: acme", "X-Key: s3cr3t")[1],
        "upstreams.crm.headers.X-Key: added (secret)"
    );
}

#[test]
fn what_a_variable_holds_is_not_shown_but_how_it_is_written() {
    let held = RefCell::new(BTreeMap::from([("URL", "https://one.example.com")]));
    let env = |name: &str| held.borrow().get(name).map(|text| (*text).to_owned());
    let read = |to: &str| loaded(&good_but(&[("https://crm.example.com/v2", to)]), &env).outline;
    let lines = |before: &Outline, after: &Outline| -> Vec<String> {
        before.changes_to(after).iter().map(ToString::to_string).collect()
    };
    let (first, literal) = (read("${URL}"), read("https://two.example.com"));
    held.borrow_mut().insert("URL", "https://two.example.com");
    let second = read("${URL}");
    assert_eq!(lines(&first, &second), ["upstreams.crm.base_url: changed"]);
    assert_eq!(
        lines(&first, &literal),
        ["upstreams.crm.base_url: ${URL} -> https://two.example.com"]
    );
    assert_eq!(lines(&second, &literal), [""; 0], "the same is in force");
    let seen = format!("{first:?} {second:?}");
    assert!(seen.contains("${URL}") && !seen.contains("example.com\""), "{seen}");
}

#[test]
fn what_is_long_or_odd_stays_short_and_on_one_line() {
    let long = |last: &str| format!("description: \"{}{last}\"\n    caller: [", "x".repeat(100));
    let [a, b] = ["a", "b"].map(|last| good_but(&[("caller: [", &long(last))]));
    assert_eq!(changes(&a, &b), ["actions.customer-lookup.description: changed"]);
    let odd = change("caller: [", "description: \"a\\nb\\e[31m\"\n    caller: [");
    assert_eq!(odd, ["actions.customer-lookup.description: added (\"a\\nb\\u{1b}[31m\")"]);
}

#[test]
fn every_value_has_its_line_in_the_order_of_the_file() {
    let lines = loaded(GOOD, &|_| None).outline.lines();
    assert_eq!(lines[0], ("version".to_owned(), "1".to_owned()));
    assert_eq!(lines[1], ("server.listen".to_owned(), "0.0.0.0:8080".to_owned()));
    let text = |path: &str| lines.iter().find(|(known, _)| known == path).map(|(_, text)| &**text);
    assert_eq!(text("actions.customer-lookup.caller[1]"), Some("portal"));
    assert_eq!(text("upstreams.crm.headers.X-Tenant"), Some("(not shown)"));
    assert_eq!(text("callers.portal.keys.web"), Some("(secret)"));
}
