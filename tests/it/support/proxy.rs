//! The service in process, on free ports, with a fake world around it that tests steer.

use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use holdline::{
    client::{Script, Transport},
    config::{self, Loaded},
    demo::{
        crm::{CrmSettings, FakeCrm},
        fault::{Fault, Standing},
        genesys::{Claims, FakeGenesys, GenesysSettings},
    },
    pipeline::Pipeline,
    proxy::{Addresses, Proxy, Surroundings},
    server::admin::Desk,
    settings::{Drain, Settings},
};
use serde_json::{Value, json};

use super::{
    client::{Answer, Ask, Client, TOKEN},
    eventually,
    form::{Form, outputs_of},
    in_time,
    lines::Lines,
    raw::Wire,
    written::Written,
};

/// A port that the system picks.
const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// The secret of the caller `ivr` in the scheme `portal`.
pub(crate) const API_KEY: &str = "key-of-the-ivr";

/// How a [`TestProxy`] is configured. By itself: the tutorial's action in four forms, uncached, one
/// attempt each, no breaker, no limits.
#[derive(Clone)]
pub(crate) struct Setup {
    server: Lines,
    genesys: Lines,
    callers: Lines,
    limits: Lines,
    upstream: Lines,
    action: Lines,
    extra: Vec<(String, Lines)>,
    builtin: bool,
    settings: fn(&mut Settings),
    script: Option<Arc<dyn Script>>,
}

impl Setup {
    /// The configuration by itself.
    pub(crate) fn new() -> Self {
        Self {
            server: Lines::default(),
            genesys: Lines::of(["type: introspection", "api_base: ${GENESYS_API_BASE}"]),
            callers: Lines::default(),
            limits: Lines::default(),
            upstream: Lines::of([
                "base_url: ${EXTERNAL_API_BASE}",
                "retry: {attempts: 1}",
                "breaker: {enabled: false}",
            ]),
            action: Lines::of([
                "caller: genesys",
                "input: {customer_id: {type: integer, required: true}}",
                "request: {upstream: crm, method: GET, path: \"/users/{customer_id}\"}",
                "output: {full_name: {type: string, from: $.name, default: Unknown User}, \
                 email: {type: string, from: $.email, default: unknown@example.com}, \
                 phone: {type: string, from: $.phone, default: 000-000-0000}, \
                 is_premium_member: {type: boolean, value: false}}",
            ]),
            extra: Vec::new(),
            builtin: false,
            settings: |_| {},
            script: None,
        }
    }

    /// What `holdline serve` runs without a file.
    pub(crate) fn builtin() -> Self {
        Self { builtin: true, ..Self::new() }
    }

    /// A line below `server`.
    pub(crate) fn server(mut self, line: &str) -> Self {
        self.server = self.server.with(line);
        self
    }

    /// A line of the caller `genesys`.
    pub(crate) fn genesys(mut self, line: &str) -> Self {
        self.genesys = self.genesys.with(line);
        self
    }

    /// Another caller, on one line.
    pub(crate) fn caller(mut self, line: &str) -> Self {
        self.callers = self.callers.with(line);
        self
    }

    /// A limit, on one line.
    pub(crate) fn limit(mut self, line: &str) -> Self {
        self.limits = self.limits.with(line);
        self
    }

    /// A line of the upstream `crm`.
    pub(crate) fn upstream(mut self, line: &str) -> Self {
        self.upstream = self.upstream.with(line);
        self
    }

    /// A line of every action.
    pub(crate) fn action(mut self, line: &str) -> Self {
        self.action = self.action.with(line);
        self
    }

    /// One more action, like the tutorial's but for these lines.
    pub(crate) fn extra<const N: usize>(mut self, name: &str, lines: [&str; N]) -> Self {
        self.extra.push((name.to_owned(), Lines::of(lines)));
        self
    }

    /// Changes to the settings that no file can express.
    pub(crate) fn settings(mut self, change: fn(&mut Settings)) -> Self {
        self.settings = change;
        self
    }

    /// Exchanges go to `script` and not to the network.
    pub(crate) fn script(mut self, script: Arc<dyn Script>) -> Self {
        self.script = Some(script);
        self
    }

    fn yaml(&self) -> String {
        let mut text = "version: 1\n".to_owned();
        let mut section = |name: &str, lines: String| {
            if !lines.is_empty() {
                text.push_str(&format!("{name}:\n{lines}"));
            }
        };
        section("server", self.server.text("  "));
        let callers = self.callers.text("  ");
        section("callers", format!("  genesys:\n{}{callers}", self.genesys.text("    ")));
        section("limits", self.limits.text("  "));
        section("upstreams", format!("  crm:\n{}", self.upstream.text("    ")));
        let forms = Form::ALL.into_iter().map(|form| {
            let keys = form.keys().map(|(key, value)| format!("{key}: {value}"));
            (form.action().to_owned(), Lines::of([&keys[0], &keys[1]]))
        });
        let actions = forms.chain(self.extra.iter().cloned()).map(|(name, own)| {
            let all = own.0.iter().fold(self.action.clone(), |all, (key, value)| {
                all.with(&format!("{key}: {value}"))
            });
            format!("  {name}:\n{}", all.text("    "))
        });
        section("actions", actions.collect());
        text
    }

    pub(super) fn load(&self, crm: &FakeCrm, genesys: &FakeGenesys) -> Loaded {
        let env = |name: &str| match name {
            "EXTERNAL_API_BASE" => Some(crm.site.url()),
            "GENESYS_API_BASE" => Some(genesys.site.url()),
            "IVR_KEY" => Some(API_KEY.to_owned()),
            _ => None,
        };
        let loaded = if self.builtin {
            config::builtin(&env)
        } else {
            config::parse("test.yaml", &self.yaml(), &env)
        };
        let mut loaded = loaded.unwrap_or_else(|report| panic!("{report}\n{}", self.yaml()));
        let settings = &mut loaded.settings;
        settings.server.listen = ANY_PORT;
        settings.probes = ANY_PORT;
        settings.admin.listen = ANY_PORT;
        settings.server.drain = Drain { delay: Duration::ZERO, timeout: Duration::from_secs(10) };
        (self.settings)(settings);
        loaded
    }

    /// Starts the world and the service.
    pub(crate) async fn start(self) -> TestProxy {
        let crm = FakeCrm::start(ANY_PORT, CrmSettings::default()).await.expect("a free port");
        let genesys = FakeGenesys::start(ANY_PORT, GenesysSettings::default()).await;
        let genesys = genesys.expect("a free port");
        genesys.know(TOKEN, Claims::default());
        let Loaded { catalog, settings, .. } = self.load(&crm, &genesys);
        let written = Written::new(&crm, &genesys);
        let reader = Some(written.reader());
        let base_path = settings.server.base_path.clone();
        let transport = self.script.map_or(Transport::Network, Transport::Scripted);
        let around = Surroundings { transport, reader, ..Surroundings::default() };
        let proxy = Proxy::start(catalog, settings, around).await.expect("the service starts");
        let addresses = proxy.addresses();
        let client = Client::new(format!("http://{}{base_path}", addresses.public));
        TestProxy { proxy: Some(proxy), addresses, crm, genesys, client, written }
    }
}

/// A running service with its world. Whoever starts one ends it with [`Self::stop`].
pub(crate) struct TestProxy {
    proxy: Option<Proxy>,
    addresses: Addresses,
    /// The system behind it.
    pub(crate) crm: FakeCrm,
    /// The authority over its tokens.
    pub(crate) genesys: FakeGenesys,
    /// A caller.
    pub(crate) client: Client,
    written: Written,
}

impl TestProxy {
    /// A request for a customer to the action that talks in `form`.
    pub(crate) fn ask(&self, form: Form, customer: u64) -> Ask {
        self.client.ask(form.action(), &form.wrap(json!({ "customer_id": customer })))
    }

    /// A request with these inputs, which need not be JSON.
    pub(crate) fn ask_text(&self, form: Form, inputs: &str) -> Ask {
        self.client.ask(form.action(), &Value::Null).body(form.wrap_text(inputs))
    }

    /// Calls for a customer in the tutorial's form.
    pub(crate) async fn call(&self, customer: u64) -> Answer {
        self.ask(Form::TUTORIAL, customer).send().await
    }

    /// The outputs for a customer of the CRM.
    pub(crate) fn outputs(&self, customer: u64) -> Value {
        outputs_of(&self.crm.customer(customer).expect("the CRM has that customer"))
    }

    /// Asserts that a call is answered: whatever was wrong before is over.
    pub(crate) async fn works(&self) {
        Form::TUTORIAL.answered(&self.call(1).await, &self.outputs(1));
    }

    /// Calls in every form while the CRM answers so, and asserts that each fails like this.
    pub(crate) async fn fails_when_crm(&self, fault: Fault, status: u16, code: &str, detail: &str) {
        self.crm_stands(Standing::every(fault)).await;
        for form in Form::ALL {
            form.failed(&self.ask(form, 1).send().await, status, code, detail);
        }
        self.crm_stands(Standing::ok()).await;
    }

    /// How the CRM behaves from now on.
    pub(crate) async fn crm_stands(&self, standing: Standing) {
        self.crm.site.set(standing).await.expect("its port can be had again");
    }

    /// How the authority behaves from now on.
    pub(crate) async fn genesys_stands(&self, standing: Standing) {
        self.genesys.site.set(standing).await.expect("its port can be had again");
    }

    /// Where it takes calls.
    pub(crate) fn calls(&self) -> SocketAddr {
        self.addresses.public
    }

    /// A bare connection to the data plane.
    pub(crate) async fn wire(&self) -> Wire {
        Wire::to(self.addresses.public).await
    }

    /// What operators look at.
    pub(crate) fn desk(&self) -> &Arc<Desk> {
        self.proxy().desk()
    }

    /// Writes another configuration, with what differs in it, or something that is none.
    pub(crate) fn write(&self, written: Result<(Setup, &[&str]), &[&str]>) {
        self.written.write(written);
    }

    /// Who puts configurations in force.
    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("it runs until it is stopped")
    }

    /// Waits until that many calls are under way.
    pub(crate) async fn until_in_flight(&self, calls: usize) {
        let reached = async || (self.desk().data_plane.in_flight() == calls).then_some(());
        eventually("calls under way", reached).await;
    }

    /// The text of `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        let (status, text) = self.probe("/metrics").await;
        assert_eq!(status, 200);
        text
    }

    /// The sum of a metric's samples that have all these labels, each as `name="value"`.
    pub(crate) async fn metric<const N: usize>(&self, name: &str, labels: [&str; N]) -> f64 {
        let text = self.metrics().await;
        let samples = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (found, value) = rest.rsplit_once(' ')?;
            let its = found.is_empty() || found.starts_with('{');
            (its && labels.iter().all(|label| found.contains(label))).then_some(value)
        });
        samples.map(|value| value.parse::<f64>().expect("a sample is a number")).sum()
    }

    /// An address on the listener of calls.
    pub(crate) fn public_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addresses.public)
    }

    /// An address on the listener of probes.
    pub(crate) fn probes_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addresses.probes)
    }

    /// An address on the operator's listener.
    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addresses.admin)
    }

    /// Status and text of a probe.
    pub(crate) async fn probe(&self, path: &str) -> (u16, String) {
        self.fetch(self.client.network().get(self.probes_url(path))).await
    }

    /// Status and text of a change by the operator.
    pub(crate) async fn operate(&self, path: &str, body: &Value) -> (u16, String) {
        let url = self.admin_url(path);
        self.fetch(self.client.network().post(url).body(body.to_string())).await
    }

    /// Status and text of the answer to that request.
    pub(crate) async fn fetch(&self, request: reqwest::RequestBuilder) -> (u16, String) {
        let fetched = in_time("an answer for operators", async {
            let response = request.send().await.expect("the listener answers");
            (response.status().as_u16(), response.text().await.expect("the answer is whole"))
        });
        fetched.await
    }

    /// Stops the service and then its world, and asserts that all calls were finished and that
    /// nothing is left: no task, no connection, no listener.
    pub(crate) async fn stop(mut self) {
        let proxy = self.proxy.take().expect("it is stopped once");
        let (desk, pipeline): (Weak<Desk>, Weak<Pipeline>) =
            (Arc::downgrade(proxy.desk()), Arc::downgrade(&proxy.desk().pipeline()));
        let stopped = in_time("the end of the service", proxy.stop()).await;
        assert_eq!(stopped.cut, 0, "calls or tasks were cut");
        // Each listener holds it. Whether a port still accepts tells nothing: another test may have it.
        eventually("nobody holds the service any more", async || {
            (desk.strong_count() + pipeline.strong_count() == 0).then_some(())
        })
        .await;
        for site in [&self.crm.site, &self.genesys.site] {
            in_time("connections to the world close", site.until(|seen| seen.open == 0)).await;
            site.stop().await;
        }
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        assert!(self.proxy.is_none() || thread::panicking(), "the service was not stopped");
    }
}

#[tokio::test]
#[should_panic(expected = "the service was not stopped")]
async fn a_test_that_leaves_its_service_running_fails() {
    drop(Setup::new().start().await);
}
