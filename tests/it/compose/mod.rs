//! `deploy/compose.yaml` and what it mounts: as compose and Prometheus want it, with each name, port and
//! path leading to something that is there.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

mod wiring;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Map, Value};

use crate::support::program::{Program, from_pypi, there_is};

/// The file, seen from the repository's root.
const COMPOSE: &str = "deploy/compose.yaml";

/// What is started, and the configurations that it mounts.
#[derive(Debug)]
struct Stack {
    compose: Value,
    holdline: Value,
    prometheus: Value,
    collector: Value,
    tempo: Value,
    sources: Value,
    dashboards: Value,
}

impl Stack {
    /// All of it; `None` where YAML cannot be read on this machine.
    fn read() -> Option<Self> {
        let python = from_pypi("python")?;
        let read = |file: &str| {
            let script = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
            let file = fs::File::open(root().join(file)).unwrap();
            let ended = Command::new(&python).args(["-c", script]).stdin(file).output().unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
            serde_json::from_slice::<Value>(&ended.stdout).unwrap()
        };
        Some(Self {
            compose: read(COMPOSE),
            holdline: read("deploy/compose/holdline.yaml"),
            prometheus: read("deploy/compose/prometheus.yml"),
            collector: read("deploy/compose/otel-collector.yaml"),
            tempo: read("deploy/compose/tempo.yaml"),
            sources: read("deploy/compose/grafana/datasources.yaml"),
            dashboards: read("deploy/compose/grafana/dashboards.yaml"),
        })
    }

    fn services(&self) -> &Map<String, Value> {
        self.compose["services"].as_object().unwrap()
    }

    /// What stands in the place of `path` in the container of a service.
    fn mounted(&self, service: &str, path: &str) -> PathBuf {
        let mounts = self.mounts(service);
        let found = mounts.iter().find_map(|mount| {
            let below = Path::new(path).strip_prefix(&mount.target).ok()?;
            Some(if below == Path::new("") { mount.file()? } else { mount.file()?.join(below) })
        });
        found.unwrap_or_else(|| panic!("{service} mounts nothing at {path}"))
    }

    fn mounts(&self, service: &str) -> Vec<Mount> {
        texts(&self.services()[service]["volumes"])
            .map(|text| {
                let mut parts = text.split(':').map(str::to_owned);
                let (source, target) = (parts.next().unwrap(), parts.next().unwrap());
                Mount { source, target, read_only: parts.next().as_deref() == Some("ro") }
            })
            .collect()
    }

    /// The variables that compose sets, where nobody sets them for it.
    fn variables(&self, service: &str) -> Vec<(String, String)> {
        let set = self.services()[service]["environment"].as_object().unwrap();
        let default = |text: &str| match text.strip_prefix("${").and_then(|t| t.strip_suffix('}')) {
            Some(variable) => variable.split_once(":-").unwrap().1.to_owned(),
            None => text.to_owned(),
        };
        set.iter().map(|(name, value)| (name.clone(), default(value.as_str().unwrap()))).collect()
    }
}

/// A line of `volumes`.
#[derive(Debug)]
struct Mount {
    source: String,
    target: String,
    read_only: bool,
}

impl Mount {
    /// The file or folder of this repository, if it is none of the volumes.
    fn file(&self) -> Option<PathBuf> {
        self.source.starts_with('.').then(|| root().join("deploy").join(&self.source))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The texts of a list, which may be missing.
fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap())
}

#[test]
fn it_is_what_the_compose_specification_has() {
    let Some(checker) = from_pypi("check-jsonschema") else { return };
    let file = root().join(COMPOSE);
    let mut command = Command::new(checker);
    command.args(["--builtin-schema", "vendor.compose-spec"]).arg(file);
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

#[test]
fn every_service_is_locked_in_and_bounded() {
    let Some(stack) = Stack::read() else { return };
    for (name, service) in stack.services() {
        // As compose reads them: YAML's own merges are done.
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert!(texts(&service["security_opt"]).eq(["no-new-privileges:true"]), "{name}");
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        assert!(service["mem_limit"].is_string(), "{name} may take all memory");
        for key in ["privileged", "cap_add", "network_mode", "pid", "devices"] {
            assert!(service.get(key).is_none(), "{name}: {key}");
        }
    }
    for name in ["holdline", "fakes"] {
        assert_eq!(stack.services()[name]["user"], "65532:65532", "{name}");
    }
}

#[test]
fn our_image_is_built_by_one_service_and_fetched_by_none() {
    let Some(stack) = Stack::read() else { return };
    let [holdline, fakes] = ["holdline", "fakes"].map(|name| &stack.services()[name]);
    let building = stack.services().values().filter(|service| service.get("build").is_some());
    assert_eq!(building.count(), 1, "two builds of one name are in each other's way");
    let context = root().join("deploy").join(holdline["build"]["context"].as_str().unwrap());
    assert!(context.join("Cargo.toml").is_file());
    assert_eq!(holdline["build"]["dockerfile"], "deploy/Dockerfile");
    assert_eq!(holdline["image"], fakes["image"]);
    assert_eq!([&holdline["pull_policy"], &fakes["pull_policy"]], ["build", "never"]);
}

#[test]
fn every_image_that_is_not_built_here_has_an_exact_version() {
    let Some(stack) = Stack::read() else { return };
    let ours = &stack.services()["holdline"]["image"];
    for (name, service) in stack.services() {
        if service["image"] == *ours {
            continue;
        }
        let (_, tag) = service["image"].as_str().unwrap().rsplit_once(':').unwrap();
        let numbers: Vec<_> = tag.trim_start_matches('v').split('.').collect();
        let exact = numbers.len() == 3 && numbers.iter().all(|it| it.parse::<u32>().is_ok());
        assert!(exact, "{name}: {tag}");
    }
}

#[test]
fn every_mount_is_there_and_what_is_ours_is_read_only() {
    let Some(stack) = Stack::read() else { return };
    let volumes = stack.compose["volumes"].as_object().unwrap();
    let mut used = Vec::new();
    for name in stack.services().keys() {
        for mount in stack.mounts(name) {
            match mount.file() {
                Some(file) => {
                    assert!(file.exists(), "{name}: {} is not there", mount.source);
                    assert!(mount.read_only, "{name}: {}", mount.source);
                }
                None => used.push(mount.source),
            }
        }
    }
    used.sort();
    let mut declared: Vec<_> = volumes.keys().cloned().collect();
    declared.sort();
    assert_eq!(used, declared);
}

#[tokio::test]
async fn holdlines_configuration_passes_a_strict_check() {
    let Some(stack) = Stack::read() else { return };
    let command: Vec<_> = texts(&stack.services()["holdline"]["command"]).collect();
    let ["serve", "--config", path] = command[..] else { panic!("{command:?}") };
    let file = stack.mounted("holdline", path);
    let variables = stack.variables("holdline");
    let variables: Vec<_> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
    let ended =
        Program::run(&["check", "--strict", "-c", file.to_str().unwrap()], &variables).await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
}

#[tokio::test]
async fn the_fakes_take_the_command_that_they_are_given() {
    let Some(stack) = Stack::read() else { return };
    let command: Vec<String> = texts(&stack.services()["fakes"]["command"])
        .map(|word| match word.split_once("=0.0.0.0:") {
            Some((flag, _)) => format!("{flag}=127.0.0.1:0"),
            // That of a service that is not there.
            None => word.replace("holdline:8080", "127.0.0.1:9"),
        })
        .collect();
    let program = Program::start(&command.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    program.line(|line| line == "Ctrl-C ends it.").await;
    let ended = program.terminated().await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
}

#[test]
fn prometheus_takes_its_configuration_with_the_rules() {
    let Some(stack) = Stack::read() else { return };
    if !there_is("promtool") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut here = fs::read_to_string(root().join("deploy/compose/prometheus.yml")).unwrap();
    for pattern in texts(&stack.prometheus["rule_files"]) {
        let rules = stack.mounted("prometheus", &pattern.replace("*.yaml", "holdline.yaml"));
        here = here.replace(pattern, rules.to_str().unwrap());
    }
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, here).unwrap();
    let ended = Command::new("promtool").args(["check", "config"]).arg(file).output().unwrap();
    let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert!(ended.status.success(), "{said}");
    assert!(said.contains("1 rule files found") && said.contains("rules found"), "{said}");
}
