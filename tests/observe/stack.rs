//! All that runs: two replicas of the program, what they ask and what asks them, Prometheus and a
//! receiver of traces.

use std::{io, net::SocketAddr, path::Path, time::Duration};

use holdline::{
    chance::Chance,
    demo::{
        crm::{CrmSettings, FakeCrm},
        fault::Latency,
        genesys::{Claims, FakeGenesys, GenesysSettings, Strangers},
    },
};

use crate::{
    load::{Callers, KEY},
    otlp::{Collector, Protocol},
    prometheus::{Prometheus, Span},
    service::{Log, Service},
    token_endpoint::{Issuer, Known},
    wire,
};

/// The configuration, with names for what is known only when all runs.
const WORLD: &str = include_str!("world.yaml");

/// A secret that is long enough for all that want one.
pub(crate) const SECRET: &str = "a-secret-of-the-client-that-is-long";

/// Replicas of the program.
const REPLICAS: usize = 2;

/// How long a replica may take to end.
const END: Duration = Duration::from_secs(20);

/// Everything.
#[derive(Debug)]
pub(crate) struct Stack {
    /// The program.
    pub(crate) replicas: Vec<Service>,
    /// The callers of each replica.
    pub(crate) callers: Vec<Callers>,
    /// The upstream that is well most of the time.
    pub(crate) crm: FakeCrm,
    /// The upstream that has all the troubles.
    pub(crate) billing: FakeCrm,
    /// Whom callers' tokens are shown to.
    pub(crate) authority: FakeGenesys,
    /// The receiver of traces.
    pub(crate) collector: Collector,
    /// What scrapes the replicas.
    pub(crate) prometheus: Prometheus,
    /// When all of it ran, in seconds since 1970.
    pub(crate) began: f64,
    yaml: String,
}

impl Stack {
    /// Starts all of it, scraped this often; `breaker` is that of billing.
    ///
    /// # Errors
    /// A part does not start.
    pub(crate) async fn start(
        rules: &Path,
        interval: Duration,
        breaker: &str,
        seed: u64,
    ) -> io::Result<Self> {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let strangers = Strangers::Welcome(Claims::default());
        let authority =
            FakeGenesys::start(anywhere, GenesysSettings { strangers, ..Default::default() });
        let ms = Duration::from_millis;
        let latency = Latency { fixed: ms(15), jitter: ms(20) };
        let settings = CrmSettings { latency, chance: Chance::Random, ..Default::default() };
        let crm = FakeCrm::start(anywhere, settings.clone()).await?;
        let billing = FakeCrm::start(anywhere, settings).await?;
        let authority = authority.await?;
        let known = Known { id: "holdline", secret: SECRET, scope: "" };
        let issuer = Issuer::start(known, "a-token-of-billing").await;
        let collector = Collector::start(Protocol::Http).await;
        let mut yaml = WORLD.replace("${KEY}", KEY).replace("${SECRET}", SECRET);
        for (name, text) in [
            ("${CRM}", crm.site.url()),
            ("${BILLING}", billing.site.url()),
            ("${AUTHORITY}", authority.site.url()),
            ("${TOKENS}", issuer.url),
            ("${COLLECTOR}", collector.endpoint.clone()),
            ("${BREAKER}", breaker.to_owned()),
        ] {
            yaml = yaml.replace(name, &text);
        }
        let program = Path::new(env!("CARGO_BIN_EXE_holdline"));
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            replicas.push(Service::start(program, &yaml, None, Log::Kept).await?);
        }
        let callers = (seed..).zip(&replicas);
        let callers = callers.map(|(seed, replica)| Callers::new(replica.calls, seed)).collect();
        let probes: Vec<_> = replicas.iter().map(|replica| replica.probes).collect();
        let prometheus = Prometheus::start(&probes, rules, interval).await?;
        let mut stack = Self {
            replicas,
            callers,
            crm,
            billing,
            authority,
            collector,
            prometheus,
            began: 0.0,
            yaml,
        };
        stack.began = stack.clock().await?;
        Ok(stack)
    }

    /// What Prometheus takes for now, in seconds since 1970.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn clock(&self) -> io::Result<f64> {
        let now = self.prometheus.now("time()").await?;
        let text = now["result"][1].as_str().unwrap_or_default();
        text.parse().map_err(io::Error::other)
    }

    /// From the start until now, in points as far apart as scrapes, or farther.
    ///
    /// # Errors
    /// Prometheus does not answer.
    pub(crate) async fn span(&self) -> io::Result<Span> {
        let (start, end) = (self.began, self.clock().await?);
        let step = self.prometheus.interval.as_secs_f64();
        Ok(Span { start, end, step: ((end - start) / 400.0).ceil().max(step) })
    }

    /// Has an operator ask the replica for this.
    ///
    /// # Errors
    /// It does not answer, or not with this status.
    pub(crate) async fn operate(
        &self,
        replica: usize,
        path: &str,
        json: &str,
        status: u16,
    ) -> io::Result<()> {
        let reply = wire::once(self.replicas[replica].admin, path, Some(json)).await?;
        if reply.status() == status {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&reply.body);
        Err(io::Error::other(format!("{path} {json}: {} {said}", reply.status())))
    }

    /// Gives a replica its configuration with one text in the place of another, and has it read that.
    ///
    /// # Errors
    /// The replica does not answer with this status.
    pub(crate) async fn rewrite(
        &self,
        replica: usize,
        [old, new]: [&str; 2],
        status: u16,
    ) -> io::Result<()> {
        self.replicas[replica].rewrite(&self.yaml.replace(old, new))?;
        self.operate(replica, "/reload", "{}", status).await
    }

    /// Ends all of it in order.
    ///
    /// # Errors
    /// A replica cannot be waited for, or has met a bug.
    pub(crate) async fn end(mut self) -> io::Result<()> {
        for replica in &self.replicas {
            replica.terminate()?;
        }
        for replica in &mut self.replicas {
            let code = replica.ended(END).await?;
            if code != Some(0) {
                return Err(io::Error::other(format!("a replica ended with {code:?}")));
            }
        }
        for site in [&self.crm.site, &self.billing.site, &self.authority.site] {
            site.stop().await;
        }
        Ok(())
    }
}
