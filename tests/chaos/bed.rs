//! What a scenario stands on: the service over a configuration of the scenario's own, an upstream
//! that goes wrong on demand, callers, and a watch over the service.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use holdline::{
    background::Background,
    time::{self, Instant},
};
use serde_json::Value;

use crate::{
    load::{Ask, Callers, KEY},
    peer::Peer,
    report::{Report, Row},
    scrape::Scrape,
    service::{self, Log, Service},
    tally::Tally,
    wire,
};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_holdline");

/// How often the watch looks.
const LOOK: Duration = Duration::from_millis(100);

/// How long the service may take to end.
const END: Duration = Duration::from_secs(20);

/// What a scenario wants otherwise, in YAML.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// Members of `server`.
    pub(crate) server: &'static str,
    /// Members of `telemetry`.
    pub(crate) telemetry: String,
    /// How callers prove themselves; they send a key in `X-Api-Key`.
    pub(crate) caller: String,
    /// Where the upstream is; absent: where the peer is.
    pub(crate) base_url: Option<String>,
    /// What names stand for, as in `/etc/hosts`; absent: as on this machine.
    pub(crate) hosts: Option<&'static str>,
    /// Members of the upstream.
    pub(crate) upstream: &'static str,
    /// The timeout of all actions.
    pub(crate) timeout: Duration,
    /// Members of the cache of `known`.
    pub(crate) cache: &'static str,
    /// What becomes of the log.
    pub(crate) log: Log,
    /// The ports for calls, probes and the operator; 0: any.
    pub(crate) ports: [u16; 3],
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            server: "drain: {delay: 0s, timeout: 10s}",
            caller: format!("{{type: api_key, keys: {{chaos: {KEY}}}}}"),
            base_url: None,
            hosts: None,
            upstream: "",
            timeout: Duration::from_secs(5),
            cache: "ttl: 100ms, stale_if_error: 10m",
            telemetry: String::new(),
            log: Log::Kept,
            ports: [0; 3],
        }
    }
}

impl Wish {
    /// Three actions over one upstream: `lookup` without a cache, `known` with one, and `change`,
    /// which is not safe and sends the customer as its body.
    pub(crate) fn yaml(&self, peer: SocketAddr) -> String {
        let Self {
            server, telemetry, caller, upstream, cache, ports: [calls, probes, admin], ..
        } = self;
        let base_url = self.base_url.clone().unwrap_or_else(|| format!("http://{peer}"));
        let action = |name: &str, request: &str, more: &str| {
            format!(
                "  {name}:
    caller: desk
    timeout: {}ms
    debug_headers: true
    input: {{customer_id: {{type: integer, required: true}}}}
    request: {{upstream: crm, {request}}}
    output: {{name: {{type: string, from: $.name}}, phone: {{type: string, from: $.phone}}}}
{more}",
                self.timeout.as_millis()
            )
        };
        let get = r#"path: "/users/{customer_id}""#;
        let post = r#"method: POST, path: /changes, body: {customer: "{customer_id}"}"#;
        let cached = format!("    cache: {{key: [customer_id], {cache}}}\n");
        let (lookup, known) = (action("lookup", get, ""), action("known", get, &cached));
        let change = action("change", post, "");
        format!(
            r#"version: 1
server: {{listen: "127.0.0.1:{calls}", max_connections: 10000, {server}}}
probes: {{listen: "127.0.0.1:{probes}"}}
admin: {{listen: "127.0.0.1:{admin}"}}
telemetry: {{{telemetry}}}
callers: {{desk: {caller}}}
upstreams: {{crm: {{base_url: "{base_url}", {upstream}}}}}
actions:
{lookup}{known}{change}"#
        )
    }
}

/// How the service stood at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Glimpse {
    /// When.
    pub(crate) at: Instant,
    /// Whether the breaker was open.
    pub(crate) open: bool,
    /// Until when it would be.
    pub(crate) open_until: Instant,
    /// Calls under way.
    pub(crate) calls: u64,
}

/// A point from which a row counts.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) scrape: Scrape,
    memory: f64,
    at: Instant,
    /// Seconds of processor time: the service, and this process.
    worked: [f64; 2],
}

/// A service, its upstream and its callers.
#[derive(Debug)]
pub(crate) struct Bed {
    /// The service.
    pub(crate) service: Service,
    /// The upstream.
    pub(crate) peer: Peer,
    /// The callers.
    pub(crate) callers: Callers,
    glimpses: Arc<Mutex<Vec<Glimpse>>>,
    watch: Background,
}

impl Bed {
    /// Starts all of it.
    ///
    /// # Errors
    /// The service does not start.
    pub(crate) async fn start(seed: u64, wish: &Wish) -> io::Result<Self> {
        Self::beside(Peer::start(([127, 0, 0, 1], 0).into(), seed).await?, seed, wish).await
    }

    /// Starts it beside an upstream that runs.
    ///
    /// # Errors
    /// The service does not start.
    pub(crate) async fn beside(peer: Peer, seed: u64, wish: &Wish) -> io::Result<Self> {
        let yaml = wish.yaml(peer.address());
        let service = Service::start(Path::new(PROGRAM), &yaml, wish.hosts, wish.log).await?;
        let callers = Callers::new(service.calls, seed);
        let (glimpses, watch) = (Arc::<Mutex<Vec<_>>>::default(), Background::new());
        let (seen, admin) = (glimpses.clone(), service.admin);
        watch.until_stopped(async move {
            loop {
                // It may have ended, which is for the scenario to judge.
                if let Ok(glimpse) = glimpse(admin).await {
                    seen.lock().expect("no panic holds it").push(glimpse);
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Ok(Self { service, peer, callers, glimpses, watch })
    }

    /// Makes the first `customers` known to the cache, and waits until what is kept of them is past
    /// a time of 100 ms.
    pub(crate) async fn warm(&self, customers: u64) {
        let lasts = Duration::from_secs_f64(customers as f64 / 500.0);
        self.callers.call(500.0, lasts, crate::load::in_turn("known")).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }

    /// Calls the service at a constant rate; see [`Callers::call`].
    pub(crate) async fn call(
        &self,
        rate: f64,
        lasts: Duration,
        ask: impl Fn(u64, &mut fastrand::Rng) -> Ask,
    ) -> Tally {
        self.callers.call(rate, lasts, ask).await
    }

    /// What the watch has seen, oldest first.
    pub(crate) fn glimpses(&self) -> Vec<Glimpse> {
        self.glimpses.lock().expect("no panic holds it").clone()
    }

    /// Waits until the breaker is open, as long as `patience`; tells whether it is.
    pub(crate) async fn until_open(&self, patience: Duration) -> bool {
        let last = time::now() + patience;
        while time::now() < last {
            if self.glimpses().last().is_some_and(|glimpse| glimpse.open) {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }

    /// Has the breaker only observe, as an operator does, for longer than a scenario lasts.
    ///
    /// # Errors
    /// The operator is refused.
    pub(crate) async fn observe(&self) -> io::Result<()> {
        self.force("observe").await
    }

    /// Forces the breaker, for longer than a scenario lasts.
    ///
    /// # Errors
    /// The operator is refused.
    pub(crate) async fn force(&self, state: &str) -> io::Result<()> {
        let wish = format!(r#"{{"state":"{state}","for":"30m"}}"#);
        let reply = wire::once(self.service.admin, "/breakers/crm", Some(&wish)).await?;
        match reply.status() {
            200 => Ok(()),
            code => Err(io::Error::other(format!("the breaker cannot be told to {state}: {code}"))),
        }
    }

    /// The state of the breaker.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn breaker(&self) -> io::Result<String> {
        let reply = wire::once(self.service.admin, "/upstreams", None).await?;
        let told = serde_json::from_slice::<Value>(&reply.body)?;
        let state = &told["upstreams"][0]["breaker"]["state"];
        Ok(state.as_str().unwrap_or_default().to_owned())
    }

    /// Puts that configuration in force, over the same upstream.
    ///
    /// # Errors
    /// It is refused; then with what was said.
    pub(crate) async fn reload(&self, wish: &Wish) -> io::Result<()> {
        self.service.rewrite(&wish.yaml(self.peer.address()))?;
        let reply = wire::once(self.service.admin, "/reload", Some("{}")).await?;
        match reply.status() {
            200 => Ok(()),
            code => {
                let said = String::from_utf8_lossy(&reply.body);
                Err(io::Error::other(format!("a reload was refused: {code} {said}")))
            }
        }
    }

    /// What the service counts now.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn scrape(&self) -> io::Result<Scrape> {
        Scrape::of(self.service.probes).await
    }

    /// Begins what a row tells.
    ///
    /// # Errors
    /// The service does not answer.
    pub(crate) async fn mark(&self) -> io::Result<Mark> {
        self.service.forget_peak();
        let (scrape, memory) = (self.scrape().await?, self.service.memory().now);
        Ok(Mark { scrape, memory, at: time::now(), worked: self.worked() })
    }

    fn worked(&self) -> [f64; 2] {
        [self.service.worked(), service::worked("self")]
    }

    /// The row of these calls, all of them made since `mark`.
    ///
    /// # Errors
    /// The service does not answer.
    pub(crate) async fn row(&self, label: &str, mark: &Mark, tally: &Tally) -> io::Result<Row> {
        let now = self.scrape().await?;
        let (memory, worked) = (self.service.memory(), self.worked());
        let attempts = now.since(&mark.scrape, "http_client_request_duration_seconds_count", &[]);
        let calls = "holdline_request_duration_seconds";
        Ok(Row {
            server_p99: now.within(&mark.scrape, calls, &[], 0.99),
            attempts: (tally.len() > 0).then(|| attempts / tally.len() as f64),
            memory: [mark.memory, memory.most, memory.now],
            cores: [0, 1]
                .map(|of| (worked[of] - mark.worked[of]) / mark.at.elapsed().as_secs_f64()),
            ..Row::of(label, tally)
        })
    }

    /// Ends the service, and claims that it has met no bug and ends in order. Returns what is left of it,
    /// and how long that took.
    ///
    /// # Errors
    /// It does not answer any more.
    pub(crate) async fn end(mut self, report: &mut Report) -> io::Result<(Service, Duration)> {
        let panics = self.scrape().await?.sum("holdline_panics_total", &[]);
        self.watch.stop(END).await;
        let began = time::now();
        self.service.terminate()?;
        let code = self.service.ended(END).await?;
        let took = began.elapsed();
        let order = panics == 0.0 && code == Some(0);
        report.claim(order, format!("{panics} panics, exit code {code:?}; wanted none and 0"));
        Ok((self.service, took))
    }
}

async fn glimpse(admin: SocketAddr) -> io::Result<Glimpse> {
    let told = async |path| {
        let reply = wire::once(admin, path, None).await?;
        io::Result::Ok(serde_json::from_slice::<Value>(&reply.body)?)
    };
    let info = told("/info").await?;
    let breaker = &told("/upstreams").await?["upstreams"][0]["breaker"];
    let at = time::now();
    let left = breaker["open_seconds_left"].as_f64().unwrap_or_default();
    Ok(Glimpse {
        at,
        open: breaker["state"] == "open",
        open_until: at + Duration::from_secs_f64(left),
        calls: info["calls_in_flight"].as_u64().unwrap_or_default(),
    })
}
