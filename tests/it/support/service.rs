//! The service as a process over a configuration of the test's own, with the fakes for the outside,
//! and a client for it.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use holdline::{
    catalog::upstream::Pool,
    client::{Client, Transport},
    demo::{
        crm::{CrmSettings, FakeCrm},
        genesys::{Claims, FakeGenesys, GenesysSettings, Strangers},
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::program::{Ended, Program};

/// What a configuration is called in its folder.
pub(crate) const FILE: &str = "holdline.yaml";
/// A token that the fake authority takes.
pub(crate) const TOKEN: &str = "good-token";
/// The header that carries it.
pub(crate) const TOKEN_HEADER: &str = "X-Genesys-Auth-Token";

/// A CRM and a token authority inside the test.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) crm: FakeCrm,
    pub(crate) genesys: FakeGenesys,
}

impl Outside {
    /// Both, in order; any token but `bad-token` is good.
    pub(crate) async fn start() -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let strangers = Strangers::Welcome(Claims::default());
        let genesys = GenesysSettings { strangers, ..GenesysSettings::default() };
        Self {
            crm: FakeCrm::start(anywhere, CrmSettings::default()).await.unwrap(),
            genesys: FakeGenesys::start(anywhere, genesys).await.unwrap(),
        }
    }

    /// The tutorial's action against these two, with what a test wants otherwise.
    pub(crate) fn yaml(&self, wish: &Wish<'_>) -> String {
        let (crm, genesys) = (self.crm.site.url(), self.genesys.site.url());
        let Wish { server, telemetry, upstream, action, more } = wish;
        format!(
            r#"version: 1
server: {{listen: "127.0.0.1:0", {server}}}
probes: {{listen: "127.0.0.1:0"}}
admin: {{listen: "127.0.0.1:0"}}
telemetry: {{{telemetry}}}
callers:
  genesys: {{type: introspection, api_base: "{genesys}"}}
limits:
  per_caller: {{key: caller, rate: 100000/s, burst: 100000}}
upstreams:
  crm: {{base_url: "{crm}", {upstream}}}
actions:
  customer-lookup:
    caller: genesys
    limits: [per_caller]
    input: {{customer_id: {{type: integer, required: true}}}}
    request: {{upstream: crm, method: GET, path: "/users/{{customer_id}}"}}
    output:
      full_name: {{type: string, from: $.name, default: Unknown User}}
      phone: {{type: string, from: $.phone, default: 000-000-0000}}
{action}
{more}
"#
        )
    }
}

/// What a test wants otherwise, in YAML.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// Members of `server`.
    pub(crate) server: &'a str,
    /// Members of `telemetry`.
    pub(crate) telemetry: &'a str,
    /// Members of the upstream.
    pub(crate) upstream: &'a str,
    /// Lines of the action, with their indentation of four.
    pub(crate) action: &'a str,
    /// Lines behind the action: others, with their indentation of two.
    pub(crate) more: &'a str,
}

/// The cache of the built-in action.
pub(crate) const CACHED: &str =
    "    cache: {ttl: 60s, key: [customer_id], customer: customer_id, stale_if_error: 5m}";

impl Default for Wish<'_> {
    fn default() -> Self {
        Self {
            server: "drain: {delay: 0s, timeout: 5s}",
            telemetry: "log: {level: info}",
            upstream: "retry: {backoff: {first: 1ms, max: 2ms}}",
            action: CACHED,
            more: "",
        }
    }
}

/// A service that is ready.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) program: Program,
    pub(crate) calls: SocketAddr,
    pub(crate) probes: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) client: reqwest::Client,
    folder: TempDir,
}

impl Service {
    /// Starts one over this configuration, which must log at `info` or below.
    pub(crate) async fn start(yaml: &str, env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), yaml).unwrap();
        Self::serve(folder, env).await
    }

    /// Starts one over the configuration that this folder holds.
    pub(crate) async fn serve(folder: TempDir, env: &[(&str, &str)]) -> Self {
        let file = folder.path().join(FILE);
        let program = Program::start(&["serve", "--config", file.to_str().unwrap()], env);
        let line = program.line(|line| line.contains(r#""message":"ready""#)).await;
        let line: Value = serde_json::from_str(&line).unwrap();
        let address = |key: &str| line[key].as_str().unwrap().parse().unwrap();
        Self {
            calls: address("calls"),
            probes: address("probes"),
            admin: address("admin"),
            client: client(),
            program,
            folder,
        }
    }

    /// Writes another configuration in place of the one it was started over, as an editor does.
    pub(crate) fn write(&self, yaml: &str) {
        fs::write(self.path(FILE), yaml).unwrap();
    }

    /// A file beside its configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where an action is called.
    pub(crate) fn url(&self, action: &str) -> String {
        format!("http://{}/data-action/{action}", self.calls)
    }

    /// A call about a customer, to be changed and sent.
    pub(crate) fn call(&self, action: &str, customer: impl Into<Value>) -> reqwest::RequestBuilder {
        let body = json!({"data": {"customer_id": customer.into()}});
        self.client.post(self.url(action)).header(TOKEN_HEADER, TOKEN).json(&body)
    }

    /// The status of a call about a customer.
    pub(crate) async fn status(&self, action: &str, customer: impl Into<Value>) -> u16 {
        self.call(action, customer).send().await.unwrap().status().as_u16()
    }

    /// What `GET` answers: status and text.
    pub(crate) async fn get(&self, address: SocketAddr, path: &str) -> (u16, String) {
        let response = self.client.get(format!("http://{address}{path}")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// All metrics.
    pub(crate) async fn metrics(&self) -> String {
        self.get(self.probes, "/metrics").await.1
    }

    /// The value of one series, as `name{labels}`.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        value(&self.metrics().await, series)
    }

    /// Ends it as an orchestrator does, and waits.
    pub(crate) async fn terminated(self) -> Ended {
        self.program.terminated().await
    }
}

/// The value of one series in a scrape.
pub(crate) fn value(scrape: &str, series: &str) -> Option<f64> {
    scrape.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

/// A client that follows no redirects and knows no proxy.
pub(crate) fn client() -> reqwest::Client {
    let pool = Pool { idle: 64, idle_timeout: Duration::from_secs(4) };
    let client = Client::new(Duration::from_secs(2), pool, &Transport::Network);
    client.unwrap().network().clone()
}
