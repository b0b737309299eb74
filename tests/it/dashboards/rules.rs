//! The rules: clean, doing what their tests say, and complete, each alert with its cases and its page.

#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use super::names::{metrics_in, unknown_metrics};
use crate::support::program::there_is;

/// The dashboards that alerts may lead to.
const BOARDS: [&str; 4] =
    ["holdline-overview", "holdline-path", "holdline-upstreams", "holdline-capacity"];

/// An alert as it is written.
#[derive(Debug, Default)]
struct Alert {
    name: String,
    expr: String,
    severity: String,
    annotations: BTreeMap<String, String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rules() -> String {
    fs::read_to_string(root().join("dashboards/rules/holdline.yaml")).unwrap()
}

/// The files with this ending in a folder, in order.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|it| it == ending)).collect();
    paths.sort();
    paths
}

fn promtool(args: &[&str]) -> Result<(), String> {
    let ended = Command::new("promtool").args(args).output().unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    if ended.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said).into_owned()) }
}

/// The text of each list item that begins with `- key:`, further lines included.
fn items<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let begin = format!("- {key}: ");
    let starts: Vec<usize> = text.match_indices(&begin).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(start, end)| &text[start + begin.len()..end]).collect()
}

/// What stands behind `key:` on its line.
fn value<'a>(item: &'a str, key: &str) -> Option<&'a str> {
    let begin = format!("{key}: ");
    let line = item.lines().find_map(|line| line.trim_start().strip_prefix(&begin))?;
    Some(line.trim_matches('\''))
}

/// The lines of the block behind `key:`, which end where something stands further left.
fn block(item: &str, key: &str) -> Option<String> {
    let mut lines = item.lines().skip_while(|line| !line.trim_start().starts_with(key)).peekable();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let outside = depth(lines.next()?);
    let lines: Vec<&str> = lines.take_while(|line| depth(line) > outside).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn alerts() -> Vec<Alert> {
    let text = rules();
    let read = |item: &str| Alert {
        name: item.lines().next().unwrap_or_default().to_owned(),
        expr: block(item, "expr:").unwrap(),
        severity: value(item, "severity").unwrap_or_default().to_owned(),
        annotations: ["summary", "runbook_url", "dashboard_url"]
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), value(item, key)?.to_owned())))
            .chain(block(item, "description:").map(|text| ("description".to_owned(), text)))
            .collect(),
    };
    items(&text, "alert").into_iter().map(read).collect()
}

fn names() -> BTreeSet<String> {
    alerts().into_iter().map(|alert| alert.name).collect()
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    if !there_is("promtool") {
        return;
    }
    let file = root().join("dashboards/rules/holdline.yaml");
    let file = file.to_str().unwrap();
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", file]).unwrap();
}

#[test]
fn the_rules_do_what_their_tests_say() {
    if !there_is("promtool") {
        return;
    }
    let running: Vec<_> = files("dashboards/rules/tests", "yaml")
        .into_iter()
        .map(|file| thread::spawn(move || promtool(&["test", "rules", file.to_str().unwrap()])))
        .collect();
    assert!(!running.is_empty());
    let failed: Vec<_> = running.into_iter().filter_map(|it| it.join().unwrap().err()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent() {
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for file in files("dashboards/rules/tests", "yaml") {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("\ngroup_eval_order: ["), "{}: in which order?", file.display());
        for case in items(&text, "name") {
            let mut seen: BTreeMap<String, Vec<bool>> = BTreeMap::new();
            for check in items(case, "eval_time") {
                let name = value(check, "alertname").unwrap().to_owned();
                seen.entry(name).or_default().push(!check.contains("exp_alerts: []"));
            }
            for (name, fired) in seen {
                let first = fired.iter().position(|fired| *fired);
                match first {
                    None => _ = silent.insert(name),
                    Some(0) if !name.ends_with("BudgetBurn") => {
                        panic!("{name}: no check before it fires in {case}")
                    }
                    Some(_) => _ = fires.insert(name),
                }
            }
        }
    }
    assert_eq!((&fires, &silent), (&names(), &names()));
}

#[test]
fn each_alert_says_what_it_is_and_where_to_look() {
    for Alert { name, severity, annotations, .. } in alerts() {
        assert!(["critical", "warning", "info"].contains(&&*severity), "{name}: {severity}");
        let of = |key: &str| {
            let text = annotations.get(key).map(String::as_str).unwrap_or_default();
            assert!(!text.is_empty(), "{name} has no {key}");
            text
        };
        assert!(of("summary").ends_with('.') && of("description").ends_with('.'), "{name}");
        assert_eq!(of("runbook_url"), format!("deploy/runbooks/{name}.md"));
        // Where a job may be missing, the variables stand in a condition.
        let link = of("dashboard_url").replace("{{ with $labels.job }}", "");
        let link = link.replace("{{ . }}{{ end }}", "{{ $labels.job }}");
        let board = link.strip_prefix("/d/").and_then(|path| path.split_once('?'));
        let (uid, set) = board.expect("a path with variables");
        assert!(BOARDS.contains(&uid), "{name}: {uid}");
        assert!(set.starts_with("var-namespace={{ $labels.namespace }}&var-job={{ $labels.job }}"));
    }
}

#[test]
fn each_alert_has_a_page_and_each_page_an_alert() {
    let pages = files("deploy/runbooks", "md").into_iter();
    let pages = pages.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let pages: BTreeSet<String> = pages.filter(|name| name != "README").collect();
    assert_eq!(pages, names());
}

#[test]
fn rules_name_only_metrics_that_there_are() {
    let text = rules();
    let recorded: BTreeSet<&str> =
        items(&text, "record").iter().filter_map(|item| item.lines().next()).collect();
    let exprs = items(&text, "record").into_iter().map(|item| block(item, "expr:").unwrap());
    for expr in exprs.chain(alerts().into_iter().map(|alert| alert.expr)) {
        let unknown = unknown_metrics(&expr, &recorded);
        assert!(unknown.is_empty(), "{unknown:?} in {expr}");
        let up = expr.contains("up == 0");
        assert!(up || !metrics_in(&expr).is_empty(), "no metric of ours in {expr}");
    }
    assert!(recorded.len() > 20, "{recorded:?}");
}
