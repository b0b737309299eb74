//! Who calls whom in the compose file: ports, addresses, data sources.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{Stack, root, texts};
use crate::support::program::from_pypi;

/// Ports that no configuration here says: images and Holdline have them by themselves.
const BY_DEFAULT: [(&str, &str); 4] =
    [("holdline", "8080"), ("holdline", "9090"), ("prometheus", "9090"), ("grafana", "3000")];

/// The four dashboards.
const BOARDS: [&str; 4] = ["overview", "path", "upstreams", "capacity"];

impl Stack {
    /// Which service listens on which ports.
    fn listening(&self) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::from(BY_DEFAULT.map(|(name, port)| (name.into(), port.into())));
        let mut add = |service: &str, address: &str| {
            let (host, port) = address.rsplit_once(':').unwrap();
            assert_eq!(
                host, "0.0.0.0",
                "{service}: nobody outside its container reaches {address}"
            );
            found.insert((service.to_owned(), port.to_owned()));
        };
        add("holdline", self.holdline["admin"]["listen"].as_str().unwrap());
        for word in texts(&self.services()["fakes"]["command"]) {
            if let Some((_, port)) = word.split_once("=0.0.0.0:") {
                add("fakes", &format!("0.0.0.0:{port}"));
            }
        }
        add("tempo", &format!("0.0.0.0:{}", self.tempo["server"]["http_listen_port"]));
        for (service, receivers) in [
            ("tempo", &self.tempo["distributor"]["receivers"]),
            ("otel-collector", &self.collector["receivers"]),
        ] {
            for protocol in receivers["otlp"]["protocols"].as_object().unwrap().values() {
                add(service, protocol["endpoint"].as_str().unwrap());
            }
        }
        found
    }

    /// The configurations, with the compose file.
    fn all(&self) -> [&Value; 7] {
        let Self { compose, holdline, prometheus, collector, tempo, sources, dashboards } = self;
        [compose, holdline, prometheus, collector, tempo, sources, dashboards]
    }
}

/// Adds every `name:port` among the texts of a document.
fn addresses(document: &Value, found: &mut BTreeSet<(String, String)>) {
    match document {
        Value::String(text) => {
            let part =
                |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c));
            for word in text.split(part) {
                let Some((name, port)) = word.split_once(':') else { continue };
                if name.starts_with(|c: char| c.is_ascii_lowercase()) && port.parse::<u16>().is_ok()
                {
                    found.insert((name.to_owned(), port.to_owned()));
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| addresses(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| addresses(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Adds the uid of every data source that a dashboard names.
fn sources(document: &Value, found: &mut BTreeSet<String>) {
    if let Some(uid) = document["datasource"]["uid"].as_str() {
        found.insert(uid.to_owned());
    }
    match document {
        Value::Array(items) => items.iter().for_each(|item| sources(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| sources(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn ports_are_published_on_loopback_alone_and_somebody_listens_there() {
    let Some(stack) = Stack::read() else { return };
    let (listening, mut published) = (stack.listening(), BTreeSet::new());
    for (name, service) in stack.services() {
        for port in texts(&service["ports"]) {
            let parts: Vec<_> = port.split(':').collect();
            let ["127.0.0.1", outside, inside] = parts[..] else { panic!("{name}: {port}") };
            assert!(listening.contains(&(name.clone(), inside.to_owned())), "{name}: {port}");
            assert!(published.insert(outside.to_owned()), "{name}: {port} is published twice");
        }
    }
    let page = fs::read_to_string(root().join("deploy/compose/README.md")).unwrap();
    for port in &published {
        assert!(page.contains(&format!("127.0.0.1:{port}")), "README.md does not tell of {port}");
    }
}

#[test]
fn every_address_is_that_of_a_service_which_listens_there() {
    let Some(stack) = Stack::read() else { return };
    let (listening, mut named) = (stack.listening(), BTreeSet::new());
    stack.all().into_iter().for_each(|document| addresses(document, &mut named));
    let lost: Vec<_> = named.difference(&listening).collect();
    assert!(lost.is_empty(), "nobody listens at {lost:?}");
    for (service, port) in [
        ("holdline", "8080"),
        ("holdline", "9090"),
        ("fakes", "9903"),
        ("fakes", "9904"),
        ("otel-collector", "4318"),
        ("tempo", "4317"),
        ("tempo", "3200"),
        ("prometheus", "9090"),
    ] {
        assert!(named.contains(&(service.into(), port.into())), "nobody calls {service}:{port}");
    }
}

#[test]
fn prometheus_scrapes_by_the_name_that_the_dashboards_open_with() {
    let Some(stack) = Stack::read() else { return };
    let job = &stack.prometheus["scrape_configs"][0]["job_name"];
    for board in BOARDS {
        let board = dashboard(&root().join(format!("dashboards/{board}.json")));
        let variables = board["templating"]["list"].as_array().unwrap();
        let variable = variables.iter().find(|variable| variable["name"] == "job").unwrap();
        assert_eq!(&variable["current"]["value"][0], job);
    }
}

#[test]
fn grafana_has_the_dashboards_and_every_data_source_that_they_name() {
    let Some(stack) = Stack::read() else { return };
    let path = stack.dashboards["providers"][0]["options"]["path"].as_str().unwrap();
    let folder = stack.mounted("grafana", path);
    let provisioned = stack.sources["datasources"].as_array().unwrap();
    let has = |key: &str, value: &str| provisioned.iter().any(|source| source[key] == value);
    assert!(has("type", "tempo"), "traces");
    for board in BOARDS {
        let board = dashboard(&folder.join(format!("{board}.json")));
        let variables = board["templating"]["list"].as_array().unwrap();
        let mut named = BTreeSet::new();
        sources(&board, &mut named);
        assert!(!named.is_empty());
        for uid in named {
            let Some(name) = uid.strip_prefix("${").and_then(|uid| uid.strip_suffix('}')) else {
                assert!(uid == "-- Grafana --" || has("uid", &uid), "{uid}");
                continue;
            };
            // A variable begins with the default source of its type.
            let variable = variables.iter().find(|it| it["name"] == name).unwrap();
            assert_eq!(variable["type"], "datasource", "{name}");
            let fits = |it: &&Value| it["type"] == variable["query"] && it["isDefault"] == true;
            assert_eq!(provisioned.iter().filter(fits).count(), 1, "{name}");
        }
    }
    let variables = stack.variables("grafana");
    let home = "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH";
    let (_, home) = variables.iter().find(|(name, _)| name == home).unwrap();
    dashboard(&stack.mounted("grafana", home));
}

#[test]
fn an_address_of_nobody_is_found() {
    if from_pypi("python").is_none() {
        return;
    }
    let mut stack = Stack::read().unwrap();
    stack.holdline["upstreams"]["crm"]["base_url"] =
        "${EXTERNAL_API_BASE:-http://fake:9903}".into();
    let mut named = BTreeSet::new();
    stack.all().into_iter().for_each(|document| addresses(document, &mut named));
    let lost: Vec<_> = named.difference(&stack.listening()).cloned().collect();
    assert_eq!(lost, [("fake".to_owned(), "9903".to_owned())]);
}

fn dashboard(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}
