//! The workflows: what GitHub takes, no more rights than are used, nothing that is not pinned, and nothing
//! called that is not there.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
};

use super::{read, root};
use crate::support::program::from_pypi;

/// Each workflow's path and text.
fn workflows() -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join(".github/workflows")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let paths = names.map(|name| format!(".github/workflows/{name}"));
    let found: Vec<_> = paths.map(|path| (path.clone(), read(&path))).collect();
    assert!(found.len() >= 2, "{found:?}");
    found
}

/// Each job's name and lines.
fn jobs(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines().skip_while(|line| *line != "jobs:").skip(1) {
        let is_job = line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':');
        match found.last_mut() {
            _ if is_job => found.push((line.trim().trim_end_matches(':'), Vec::new())),
            Some((_, lines)) => lines.push(line),
            None => {}
        }
    }
    found
}

/// What `uses:` names, and the comment behind it.
fn uses(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (_, named) = line.split_once("uses: ")?;
        Some(named.split_once(" # ").unwrap_or((named, "")))
    })
}

fn is_version(text: &str) -> bool {
    let Some(numbers) = text.strip_prefix('v') else { return false };
    let numbers: Vec<_> = numbers.split('.').collect();
    numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}

fn expect_success(program: &str, ended: &Output) {
    let (out, err) =
        (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{program}: {out}\n{err}");
}

#[test]
fn workflows_and_dependabot_fit_the_schemas_of_github() {
    let Some(checks) = from_pypi("check-jsonschema") else { return };
    let paths: Vec<String> = workflows().into_iter().map(|(path, _)| path).collect();
    for (schema, files) in [
        ("vendor.github-workflows", paths),
        ("vendor.dependabot", vec![".github/dependabot.yml".to_owned()]),
    ] {
        let mut command = Command::new(&checks);
        command.args(["--builtin-schema", schema]).args(files).current_dir(root());
        expect_success(schema, &command.output().unwrap());
    }
}

#[test]
fn zizmor_finds_nothing_unsafe() {
    let Some(zizmor) = from_pypi("zizmor") else { return };
    let mut command = Command::new(zizmor);
    command.args(["--offline", "--no-progress", "--color=never", ".github"]).current_dir(root());
    expect_success("zizmor", &command.output().unwrap());
}

#[test]
fn every_action_is_pinned_by_its_commit_and_says_which_version_that_is() {
    let mut pins = std::collections::BTreeMap::new();
    for (path, text) in workflows() {
        for (named, comment) in uses(&text) {
            if let Some(local) = named.strip_prefix("./") {
                assert!(root().join(local).is_file(), "{path}: {named}");
                continue;
            }
            let (action, commit) = named.split_once('@').unwrap();
            let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(is_commit, "{path}: {named} is not pinned");
            assert!(is_version(comment), "{path}: {named}: no version behind it: {comment:?}");
            // One version of each everywhere.
            let before = pins.insert(action.to_owned(), commit.to_owned());
            assert!(before.is_none_or(|before| before == commit), "{path}: {named}: two versions");
        }
    }
    assert!(pins.len() > 5, "{pins:?}");
}

#[test]
fn a_workflow_may_read_and_only_jobs_of_a_release_may_do_more() {
    for (path, text) in workflows() {
        let head = text.split("\njobs:").next().unwrap();
        assert!(head.contains("\npermissions:\n  contents: read\n\n"), "{path}: {head}");
        let writes = text.lines().filter(|line| line.contains(": write"));
        for line in writes {
            assert!(path.ends_with("release.yaml"), "{path}: {line}");
            assert!(line.contains(" # "), "{path}: {line} does not say what for");
        }
        assert!(!text.contains("pull_request_target"), "{path}");
    }
}

#[test]
fn every_job_ends_in_time_and_leaves_no_credentials_behind() {
    for (path, text) in workflows() {
        let jobs = jobs(&text);
        assert!(!jobs.is_empty(), "{path}");
        for (name, lines) in jobs {
            // A job that is another workflow has the times of that.
            let is_workflow = lines.iter().any(|line| line.starts_with("    uses: "));
            let has_end = lines.iter().any(|line| line.starts_with("    timeout-minutes: "));
            assert!(is_workflow || has_end, "{path}: {name} has no timeout-minutes");
            let count = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
            assert_eq!(count("actions/checkout@"), count("persist-credentials: false"), "{name}");
        }
    }
}

#[test]
fn what_a_job_takes_of_another_is_named() {
    for (path, text) in workflows() {
        for step in text.split("\n      - ").filter(|step| step.contains("/download-artifact@")) {
            let named = |key: &str| step.contains(&format!("\n          {key}: "));
            assert!(named("name") || named("pattern"), "{path}: {step}");
        }
    }
}

#[test]
fn only_what_is_on_main_is_published_and_somebody_agrees() {
    let text = read(".github/workflows/release.yaml");
    let jobs = jobs(&text);
    let of = |name: &str| jobs.iter().find(|job| job.0 == name).map(|job| job.1.join("\n"));
    let first = of("version").unwrap();
    assert!(first.contains("fetch-depth: 0"), "{first}");
    assert!(first.contains("git merge-base --is-ancestor \"$GITHUB_SHA\" origin/main"), "{first}");
    for (name, lines) in &jobs {
        let lines = lines.join("\n");
        let is_guarded = lines.contains("\n    environment: release\n");
        assert_eq!(lines.contains(": write"), is_guarded, "{name}");
    }
}

#[test]
fn what_workflows_call_is_there() {
    let makefile = read("Makefile");
    let mut called = 0;
    for (path, text) in workflows() {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for line in lines {
            for word in line.split([' ', '(', ')', '"', '\'']) {
                if ![".ci/", "tests/", "deploy/"].iter().any(|at| word.starts_with(at)) {
                    continue;
                }
                called += 1;
                let file = fs::metadata(root().join(word)).expect(word);
                let is_run = !word.starts_with("deploy/");
                let can_be = file.permissions().mode() & 0o111 != 0;
                assert!(!is_run || can_be, "{path}: {word} cannot be run");
            }
            if let Some((_, target)) = line.split_once("run: make ") {
                let target = target.split(' ').next().unwrap();
                assert!(makefile.contains(&format!("\n{target}:")), "{path}: make {target}");
            }
        }
    }
    assert!(called >= 5, "{called}");
}

#[test]
fn what_the_image_is_told_is_what_its_dockerfile_asks() {
    let (workflow, dockerfile) =
        (read(".github/workflows/release.yaml"), read("deploy/Dockerfile"));
    let told = workflow.split("          build-args: |\n").nth(1).unwrap();
    let told = told.lines().map_while(|line| line.strip_prefix("            "));
    let told: Vec<&str> = told.map(|line| line.split('=').next().unwrap()).collect();
    assert_eq!(told, ["VERSION", "REVISION", "CREATED", "SOURCE"]);
    for name in told {
        assert!(dockerfile.contains(&format!("\nARG {name}=")), "the Dockerfile has no {name}");
    }
    let target = workflow.split("          target: ").nth(1).unwrap().lines().next().unwrap();
    assert!(dockerfile.contains(&format!(" AS {target}\n")), "the Dockerfile has no {target}");
}

#[test]
fn dependabot_looks_where_there_are_dependencies() {
    let text = read(".github/dependabot.yml");
    let folders = text.lines().filter_map(|line| line.trim().strip_prefix("directory: /"));
    let mut found: Vec<&str> = folders.collect();
    found.dedup();
    assert_eq!(found, ["", "deploy", "tests/observe/draw", "tests"]);
    assert!(found.iter().all(|folder| root().join(folder).is_dir()));
}

#[test]
fn the_compiler_of_the_workflows_is_ours() {
    let ours = read("rust-toolchain.toml");
    let ours = ours.split("channel = \"").nth(1).unwrap().split('"').next().unwrap();
    let text = read(".github/workflows/ci.yaml");
    assert!(text.contains(&format!("\n      image: rust:{ours}-bookworm\n")), "{ours}");
}
