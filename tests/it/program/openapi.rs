//! The running service against its own OpenAPI document: schemathesis makes up calls that the document
//! allows, and calls that it does not, and checks every answer.

use std::{net::SocketAddr, process::Command};

use holdline::demo::{
    crm::{CrmSettings, FakeCrm},
    genesys::{FakeGenesys, GenesysSettings, Strangers},
};

use crate::{
    export::{RICH, RICH_KEY, RICH_PASSWORD, RICH_SECRET},
    support::{program::from_pypi, service::Service},
};

/// Where its configuration and our own checks are.
const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis");

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing() {
    let Some(schemathesis) = from_pypi("schemathesis") else { return };
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let crm = FakeCrm::start(anywhere, CrmSettings::default()).await.unwrap();
    let settings = GenesysSettings { strangers: Strangers::Refused, ..GenesysSettings::default() };
    let genesys = FakeGenesys::start(anywhere, settings).await.unwrap();
    let (crm, genesys) = (crm.site.url(), genesys.site.url());
    let service = Service::start(RICH, &[("CRM", &*crm), ("AUTHORITY", &*genesys)]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(schemathesis);
    command
        .args(["--config-file", &format!("{HERE}/schemathesis.toml"), "--no-color", "run"])
        .arg(format!("http://{}/openapi.json", service.admin))
        .args(["--url", &format!("http://{}", service.calls)])
        .env("HOLDLINE_KEY", RICH_KEY)
        .env("HOLDLINE_PASSWORD", RICH_PASSWORD)
        .env("HOLDLINE_SECRET", RICH_SECRET)
        .env("SCHEMATHESIS_HOOKS", format!("{HERE}/hooks.py"))
        // It leaves folders where it runs.
        .current_dir(folder.path());
    let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    // It was not content because it had nothing to do, or came past no door.
    assert!(out.contains("8 selected / 8 total"), "{out}");
    let scrape = service.metrics().await;
    for (action, outcome) in [
        ("by_name", "not_found"),
        ("customer-lookup", "ok"),
        ("open-ticket", "ok"),
        ("opening-hours", "ok"),
        ("ping", "ok"),
        ("queue", "ok"),
        ("told-card", "ok"),
        ("told-number", "ok"),
    ] {
        let labels = [format!("action=\"{action}\""), format!("outcome=\"{outcome}\"")];
        let counted = scrape.lines().any(|line| {
            line.starts_with("holdline_requests_total{")
                && labels.iter().all(|label| line.contains(label))
                && !line.ends_with(" 0")
        });
        assert!(counted, "{action} never ended {outcome}");
    }
    service.terminated().await;
}
