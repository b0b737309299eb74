//! What is measured, and who calls it: services over one configuration, a CRM, an authority and a
//! collector on loopback.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use futures_util::future::{join_all, try_join_all};
use holdline::{
    demo::{
        crm::{CrmSettings, FakeCrm},
        genesys::{BAD_TOKEN, Claims, FakeGenesys, GenesysSettings, Strangers},
    },
    time,
};

use crate::{
    service::{Log, Service},
    sink::Sink,
    wire::{self, Line},
};

/// Callers with a connection each.
pub(crate) const CALLERS: u64 = 16;
/// Customers that are in the cache before anything is measured: as many as that each is asked for
/// less than once in the second for which a failed fetch is remembered.
pub(crate) const KNOWN: u64 = 5_000;
/// Customers from here on have not been asked for yet.
static NEXT: AtomicU64 = AtomicU64::new(1_000_000);

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Hit,
    Miss,
    /// A miss that is not answered: whatever it comes to is as it should be.
    Unknown,
    Stale,
    Limited,
    Refused,
    /// Waits for an upstream that takes long.
    Slow,
    /// A hit by a token that nobody has shown before.
    Token,
    /// A hit that is counted under a key of its own.
    Key,
}

impl Kind {
    /// Those whose processor time is measured.
    pub(crate) const MEASURED: [Self; 5] =
        [Self::Hit, Self::Miss, Self::Stale, Self::Limited, Self::Refused];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale, breaker open",
            Self::Limited => "429 by a limit",
            Self::Refused => "403, refused token",
            Self::Unknown | Self::Slow | Self::Token | Self::Key => "not compared",
        }
    }

    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Limited => 429,
            Self::Refused => 403,
            _ => 200,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Stale => "aged",
            Self::Limited => "tight",
            Self::Slow => "slow",
            Self::Key => "keyed",
            _ => "customer-lookup",
        }
    }

    /// The request that is this kind's `nth`.
    pub(crate) fn request(self, nth: u64) -> Vec<u8> {
        let id = match self {
            Self::Miss | Self::Unknown | Self::Slow | Self::Key => NEXT.fetch_add(1, Relaxed),
            _ => nth % KNOWN + 1,
        };
        let token = match self {
            Self::Refused => BAD_TOKEN.to_owned(),
            Self::Token => {
                format!("a-token-of-the-usual-length-{:015}", NEXT.fetch_add(1, Relaxed))
            }
            _ => "a-token-of-the-usual-forty-three-characters".to_owned(),
        };
        let group = if self == Self::Key { r#","group":1"# } else { "" };
        let body = format!(r#"{{"data":{{"customer_id":{id}{group}}}}}"#);
        let token = format!("X-Genesys-Auth-Token: {token}\r\n");
        wire::post(&format!("/data-action/{}", self.action()), &token, &body).into_bytes()
    }
}

/// The outside of all services.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) crm: FakeCrm,
    genesys: FakeGenesys,
    pub(crate) sink: Sink,
}

impl Outside {
    pub(crate) async fn start() -> io::Result<Self> {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let claims = Claims {
            organization: Some("3f1d5c0e-7a52-4f0e-9c51-5a9b8f2d7e10".into()),
            client: Some("b7e0d2c4-1b7f-4c55-8a1e-6d0f9e3c2a41".into()),
            expires: None,
        };
        let strangers = Strangers::Welcome(claims);
        let genesys = GenesysSettings { strangers, ..GenesysSettings::default() };
        let crm = CrmSettings { customers: 1 << 40, ..CrmSettings::default() };
        Ok(Self {
            crm: FakeCrm::start(anywhere, crm).await?,
            genesys: FakeGenesys::start(anywhere, genesys).await?,
            sink: Sink::start().await?,
        })
    }

    /// The tutorial's action with its answers kept long, and others that differ from it in what is
    /// measured.
    fn yaml(&self, traces: &str) -> String {
        let action = |name: &str, upstream: &str, more: &str| {
            format!(
                "  {name}:
    caller: genesys
    timeout: 50s
    input: {{customer_id: {{type: integer, required: true}}}}
    request: {{upstream: {upstream}, method: GET, path: \"/users/{{customer_id}}\"}}
    output:
      full_name: {{type: string, from: $.name, default: Unknown User}}
      email: {{type: string, from: $.email, default: unknown@example.com}}
      phone: {{type: string, from: $.phone, default: 000-000-0000}}
      is_premium_member: {{type: boolean, value: false}}
{more}\n"
            )
        };
        let cache =
            "    cache: {ttl: 1h, key: [customer_id], customer: customer_id, stale_if_error: 2h}";
        let usual = format!("    limits: [per_caller]\n{cache}");
        let aged = usual.replace("1h", "100ms");
        let actions = [
            action("customer-lookup", "crm", &usual),
            action("aged", "sick", &aged),
            action("tight", "crm", &format!("    limits: [tight]\n{cache}")),
            action("slow", "slow", &usual),
            // One answer for all; each customer has a bucket.
            action(
                "keyed",
                "crm",
                "    limits: [per_customer]\n    cache: {ttl: 1h, key: [group]}",
            )
            .replace("{customer_id: {", "{group: {type: integer, required: true}, customer_id: {")
            .replace("/users/{customer_id}", "/users/{group}"),
        ];
        format!(
            r#"version: 1
server: {{listen: "127.0.0.1:0", max_connections: 10000, drain: {{delay: 0s, timeout: 1s}}}}
probes: {{listen: "127.0.0.1:0"}}
admin: {{listen: "127.0.0.1:0"}}
cache: {{memory: 1024MiB}}
telemetry: {{traces: {{endpoint: "{sink}"{traces}}}}}
callers: {{genesys: {{type: introspection, api_base: "{genesys}", cache: {{ttl: 1h}}}}}}
limits:
  per_caller: {{key: caller, rate: 100000/s, burst: 100000}}
  tight: {{key: caller, rate: 1/m, burst: 1}}
  per_customer: {{key: [org, input.customer_id], rate: 1/m, burst: 60}}
upstreams:
  crm: {{base_url: "{crm}"}}
  sick: {{base_url: "{crm}"}}
  slow: {{base_url: "{crm}", timeouts: {{attempt: 40s}}, concurrency: {{limit: 2000}}}}
actions:
{actions}"#,
            sink = self.sink.endpoint(),
            genesys = self.genesys.site.url(),
            crm = self.crm.site.url(),
            actions = actions.concat(),
        )
    }

    /// A service with its telemetry at the defaults, and `traces` among those of traces.
    pub(crate) async fn service(&self, traces: &str) -> io::Result<Service> {
        let yaml = self.yaml(traces);
        start(&yaml).await
    }

    /// The same with all it takes to answer each kind: what is known is in the cache, and the breaker of the
    /// upstream that is sick is open.
    pub(crate) async fn warm(&self, traces: &str) -> io::Result<Service> {
        let service = self.service(traces).await?;
        for kind in [Kind::Hit, Kind::Stale] {
            count(service.calls, kind, KNOWN).await?;
        }
        let open = r#"{"state":"open","for":"2h"}"#;
        force(&service, "sick", open).await?;
        // The one call that its limit lets through.
        Line::open(service.calls).await?.exchange(&Kind::Limited.request(0)).await?;
        Ok(service)
    }
}

pub(crate) async fn start(yaml: &str) -> io::Result<Service> {
    Service::start(Path::new(env!("CARGO_BIN_EXE_holdline")), yaml, None, Log::Kept).await
}

/// Forces a breaker.
pub(crate) async fn force(service: &Service, upstream: &str, wish: &str) -> io::Result<()> {
    let reply = wire::once(service.admin, &format!("/breakers/{upstream}"), Some(wish)).await?;
    if reply.status() == 200 { Ok(()) } else { Err(io::Error::other("a breaker is not forced")) }
}

/// Refuses what came to something else than it was meant to.
fn lost(kind: Kind, reply: &wire::Reply) -> io::Result<()> {
    // A limit lets one call a minute through.
    let through = kind == Kind::Limited && reply.status() == 200;
    if kind == Kind::Unknown || through || reply.status() == kind.status() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&reply.body);
    Err(io::Error::other(format!("{}: {} {said}", kind.name(), reply.status())))
}

/// Makes so many calls, as fast as they are answered.
pub(crate) async fn count(to: SocketAddr, kind: Kind, calls: u64) -> io::Result<()> {
    let callers = (0..CALLERS).map(async |caller| {
        let mut line = Line::open(to).await?;
        for nth in (caller..calls).step_by(CALLERS as usize) {
            lost(kind, &line.exchange(&kind.request(nth)).await?)?;
        }
        io::Result::Ok(())
    });
    try_join_all(callers).await.map(|_| ())
}

/// Calls evenly from all callers, beginning with the `nth`; gives the number of calls, all of them answered as
/// they should be.
pub(crate) async fn evenly(
    to: SocketAddr,
    kind: Kind,
    (rate, lasts): (u64, Duration),
    nth: u64,
) -> io::Result<u64> {
    let all = (rate as f64 * lasts.as_secs_f64()) as u64;
    let start = time::now();
    let callers = (0..CALLERS).map(async |caller| {
        let mut line = Line::open(to).await?;
        for call in (caller..all).step_by(CALLERS as usize) {
            tokio::time::sleep_until(start + Duration::from_secs_f64(call as f64 / rate as f64))
                .await;
            lost(kind, &line.exchange(&kind.request(nth + call)).await?)?;
        }
        io::Result::Ok(())
    });
    for done in join_all(callers).await {
        done?;
    }
    Ok(all)
}
