//! What telemetry costs: processor time per cached call of the real program, with its telemetry off,
//! at its defaults, and with every call traced.
//!
//! All stages are on: a verdict that is remembered, a limit out of reach, an answer out of the cache.
//! One service for each variant runs over the same minutes; they are called in turn, a quarter of a second each,
//! at a rate at which nothing is lost, so that what the machine does meanwhile hits all alike. What a
//! service does while others are called is its own cost too: most spans leave then. All are scraped as
//! often as Prometheus does. What callers and collector use is not counted.
//!
//! Options behind `--`: `--rate` in calls a second, `--rounds` of such turns, and `--binary` of
//! another build to be compared with.
#![expect(clippy::print_stdout, reason = "the table is for a person to read")]

#[path = "../tests/chaos/collector.rs"]
#[expect(dead_code, reason = "here it is always well")]
mod collector;
#[path = "../tests/chaos/scrape.rs"]
#[expect(dead_code, reason = "one counter is read")]
mod scrape;
#[path = "../tests/chaos/service.rs"]
#[expect(dead_code, reason = "it is started and watched, and goes with its drop")]
mod service;
#[path = "../tests/chaos/wire.rs"]
#[expect(dead_code, reason = "every connection is kept")]
mod wire;

use std::{
    fs, io,
    net::SocketAddr,
    num::NonZero,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Parser;
use holdline::{
    background::Background,
    demo::{
        crm::{CrmSettings, FakeCrm},
        genesys::{Claims, FakeGenesys, GenesysSettings, Strangers},
    },
    time,
};
use tokio::sync::mpsc;

use collector::{Collector, Protocol};
use scrape::Scrape;
use service::{Log, Service};
use wire::Line;

/// Callers with a connection each.
const CALLERS: u32 = 16;
/// Customers, all of them in the cache before it begins.
const CUSTOMERS: u64 = 100;
/// How long each is called before it is the next one's turn.
const TURN: Duration = Duration::from_millis(250);
/// Rounds that make one value of those that are compared: several, since processor time is told in
/// hundredths of a second.
const BLOCK: usize = 20;
/// How often Prometheus comes, when nobody tells it otherwise.
const SCRAPE: Duration = Duration::from_secs(15);

/// Measures what telemetry costs.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Calls a second
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// Turns of each variant
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Another build of the program, to be compared with
    #[arg(long)]
    binary: Option<PathBuf>,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// One way of running the service.
struct Variant {
    name: &'static str,
    /// What it may cost against the first.
    at_most: Option<f64>,
    service: Service,
    /// Seconds of processor time, and calls, by the end of each block.
    marks: Vec<(f64, u64)>,
    calls: u64,
}

/// The outside of all services.
struct Outside {
    crm: FakeCrm,
    genesys: FakeGenesys,
    collector: Collector,
}

impl Outside {
    async fn start() -> io::Result<Self> {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let strangers = Strangers::Welcome(Claims::default());
        let genesys = GenesysSettings { strangers, ..GenesysSettings::default() };
        Ok(Self {
            crm: FakeCrm::start(anywhere, CrmSettings::default()).await?,
            genesys: FakeGenesys::start(anywhere, genesys).await?,
            collector: Collector::start(Protocol::Http).await?,
        })
    }

    fn yaml(&self, telemetry: &str) -> String {
        format!(
            r#"version: 1
server: {{listen: "127.0.0.1:0", drain: {{delay: 0s, timeout: 1s}}}}
probes: {{listen: "127.0.0.1:0"}}
admin: {{listen: "127.0.0.1:0"}}
telemetry: {{{telemetry}}}
callers: {{genesys: {{type: introspection, api_base: "{genesys}", cache: {{ttl: 1h}}}}}}
limits: {{per_caller: {{key: caller, rate: 100000/s, burst: 100000}}}}
upstreams: {{crm: {{base_url: "{crm}"}}}}
actions:
  customer-lookup:
    caller: genesys
    limits: [per_caller]
    input: {{customer_id: {{type: integer, required: true}}}}
    request: {{upstream: crm, method: GET, path: "/users/{{customer_id}}"}}
    output:
      full_name: {{type: string, from: $.name, default: Unknown User}}
      email: {{type: string, from: $.email, default: unknown@example.com}}
      phone: {{type: string, from: $.phone, default: 000-000-0000}}
    cache: {{ttl: 1h, key: [customer_id], customer: customer_id, stale_if_error: 2h}}
"#,
            genesys = self.genesys.site.url(),
            crm = self.crm.site.url(),
        )
    }

    /// A service with this telemetry, and all customers in its cache.
    async fn variant(
        &self,
        (name, at_most): (&'static str, Option<f64>),
        telemetry: &str,
        program: &Path,
    ) -> io::Result<Variant> {
        // Without a log nobody is told where it listens: the log is switched off when it is known.
        let quiet = telemetry.contains("level: off");
        let yaml = self.yaml(&telemetry.replace("level: off", "level: info"));
        let service = Service::start(program, &yaml, None, Log::Kept).await?;
        if quiet {
            service.rewrite(&self.yaml(telemetry))?;
            let reply = wire::once(service.admin, "/reload", Some("{}")).await?;
            assert_eq!(reply.status(), 200, "a reload is refused");
        }
        let mut line = Line::open(service.calls).await?;
        for customer in 1..=CUSTOMERS {
            let reply = line.exchange(&request(customer)).await?;
            assert_eq!(reply.status(), 200, "{}", String::from_utf8_lossy(&reply.body));
        }
        Ok(Variant { name, at_most, service, marks: Vec::new(), calls: 0 })
    }
}

fn request(customer: u64) -> Vec<u8> {
    let body = format!(r#"{{"data":{{"customer_id":{customer}}}}}"#);
    let token = "X-Genesys-Auth-Token: a-token-of-the-usual-forty-three-characters\r\n";
    wire::post("/data-action/customer-lookup", token, &body).into_bytes()
}

/// Calls the service evenly from all callers; gives the number of calls.
async fn call(to: SocketAddr, rate: u32) -> u64 {
    let (count, mut counts) = mpsc::channel(CALLERS as usize);
    let callers = Background::new();
    let pause = Duration::from_secs(CALLERS.into()) / rate;
    let start = time::now();
    let end = start + TURN;
    for caller in 0..CALLERS {
        let count = count.clone();
        callers.finish(async move {
            let mut line = Line::open(to).await.expect("the service takes connections");
            let (mut due, mut calls) = (start + pause * caller / CALLERS, 0_u64);
            while due < end {
                tokio::time::sleep_until(due).await;
                let customer = (calls + u64::from(caller)) % CUSTOMERS + 1;
                let reply = line.exchange(&request(customer)).await;
                assert_eq!(reply.expect("every call is answered").status(), 200);
                due += pause;
                calls += 1;
            }
            count.send(calls).await.expect("the sum is waited for");
        });
    }
    drop(count);
    let mut calls = 0;
    while let Some(more) = counts.recv().await {
        calls += more;
    }
    calls
}

impl Variant {
    fn mark(&mut self) {
        self.marks.push((self.service.worked(), self.calls));
    }

    /// Microseconds of processor time for each call, block by block.
    fn costs(&self) -> Vec<f64> {
        let blocks = self.marks.windows(2);
        blocks.map(|two| (two[1].0 - two[0].0) * 1e6 / (two[1].1 - two[0].1) as f64).collect()
    }
}

/// Calls all in turn, as often as there are rounds.
async fn rounds(variants: &mut [Variant], arguments: &Arguments) -> io::Result<()> {
    let mut scraped = time::now();
    for round in 0..=arguments.rounds {
        if round % BLOCK == 0 {
            variants.iter_mut().for_each(Variant::mark);
        }
        if scraped.elapsed() >= SCRAPE {
            scraped = time::now();
            for variant in &*variants {
                Scrape::of(variant.service.probes).await?;
            }
        }
        for variant in &mut *variants {
            variant.calls += call(variant.service.calls, arguments.rate).await;
        }
    }
    Ok(())
}

/// The one in the middle; sorts them.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn machine() -> String {
    let described = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = described.lines().find_map(|line| line.strip_prefix("model name\t: "));
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    format!("{}, {cores} cores", model.unwrap_or("unknown processor"))
}

/// Prints a row for each variant; tells whether each costs no more than it may.
fn told(variants: &[Variant]) -> bool {
    println!("{:26} {:>12}  {:>8}  {:>13}", "telemetry", "us per call", "ratio", "least, most");
    let mut good = true;
    for variant in variants {
        let mut costs = variant.costs();
        let pairs = costs.iter().zip(variants[0].costs());
        let mut ratios: Vec<_> = pairs.map(|(cost, off)| cost / off).collect();
        let (cost, ratio) = (median(&mut costs), median(&mut ratios));
        let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
        let verdict = variant.at_most.map_or(String::new(), |at_most| {
            good &= ratio <= at_most;
            let holds = if ratio <= at_most { "holds" } else { "BROKEN" };
            format!("  wanted at most {at_most:.2}: {holds}")
        });
        println!("{:26} {cost:12.1}  {ratio:8.3}  {least:5.2}, {most:5.2}{verdict}", variant.name);
    }
    good
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let outside = Outside::start().await?;
    let traces =
        |ratio: &str| format!(r#"traces: {{endpoint: "{}"{ratio}}}"#, outside.collector.endpoint());
    let (some, all) = (traces(""), traces(", sample_ratio: 1.0"));
    let off = "log: {level: off}, metrics: false";
    let ours = Path::new(env!("CARGO_BIN_EXE_holdline"));
    let mut variants = vec![
        outside.variant(("off", None), off, ours).await?,
        outside.variant(("metrics alone", None), "log: {level: off}", ours).await?,
        outside.variant(("metrics and log", None), "metrics: true", ours).await?,
        outside.variant(("defaults, a tenth traced", Some(1.15)), &some, ours).await?,
        outside.variant(("every call traced", Some(2.0)), &all, ours).await?,
    ];
    if let Some(other) = &arguments.binary {
        variants.push(outside.variant(("other, off", None), off, other).await?);
        variants.push(outside.variant(("other, log", None), "metrics: true", other).await?);
        variants.push(outside.variant(("other, defaults", None), &some, other).await?);
        variants.push(outside.variant(("other, every call", None), &all, other).await?);
    }
    println!("{}; {} calls/s; {} rounds", machine(), arguments.rate, arguments.rounds);
    rounds(&mut variants, &arguments).await?;
    let good = told(&variants);
    for variant in &variants {
        let dropped = Scrape::of(variant.service.probes).await?;
        let dropped = dropped.sum("holdline_telemetry_dropped_total", &[]);
        assert!(dropped == 0.0, "{}: {dropped} spans or lines were dropped", variant.name);
    }
    if good { Ok(()) } else { Err(io::Error::other("telemetry costs more than it may")) }
}
