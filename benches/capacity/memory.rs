//! Memory: what the process holds, by how much of what it is made to hold. What is freed stays with the
//! process, so each round is a process of its own.

use std::{collections::BTreeMap, io, time::Duration};

use futures_util::future::try_join_all;
use holdline::{demo::fault::Latency, time};
use serde_json::Value;

use crate::{
    bed::{Kind, Outside, count},
    figures::Figures,
    service::Service,
    wire::{self, Line},
};

/// Calls after which the process holds what it always holds: the last 10,000 calls among it.
const FLOOR: u64 = 20_000;
const CONNECTIONS: usize = 1_000;
const TOKENS: u64 = 20_000;
const KEYS: u64 = 50_000;
/// How long what is in flight may take to get there.
const PATIENCE: Duration = Duration::from_secs(30);
const MIB: f64 = (1 << 20) as f64;

type Seen = BTreeMap<&'static str, Vec<f64>>;

pub(crate) async fn measure(
    outside: &Outside,
    figures: &mut Figures,
    rounds: usize,
) -> io::Result<()> {
    let mut seen = Seen::new();
    for _ in 0..rounds {
        answers(outside, &mut seen).await?;
        connections(outside, &mut seen).await?;
        keys(outside, &mut seen).await?;
    }
    for (name, values) in seen {
        figures.add(&format!("memory: {name}"), values);
    }
    Ok(())
}

/// Bytes held, once what was just done is done with.
async fn held(service: &Service) -> f64 {
    tokio::time::sleep(Duration::from_secs(2)).await;
    service.memory().now * MIB
}

/// A service that holds what it always holds, and how much that is.
async fn settled(outside: &Outside) -> io::Result<(Service, f64, f64)> {
    let service = outside.service("").await?;
    let bare = held(&service).await;
    count(service.calls, Kind::Hit, FLOOR).await?;
    let floor = held(&service).await;
    Ok((service, bare, floor))
}

async fn told(service: &Service, path: &str) -> io::Result<Value> {
    Ok(serde_json::from_slice(&wire::once(service.admin, path, None).await?.body)?)
}

async fn answers(outside: &Outside, seen: &mut Seen) -> io::Result<()> {
    let (service, bare, floor) = settled(outside).await?;
    seen.entry("just started").or_default().push(bare / MIB);
    seen.entry("after 20,000 calls").or_default().push(floor / MIB);
    let mut kept = 0;
    for (until, name) in [
        (10_000, "each of 10,000 answers"),
        (50_000, "each of 50,000 answers"),
        (100_000, "each of 100,000 answers"),
    ] {
        count(service.calls, Kind::Miss, until - kept).await?;
        kept = until;
        let each = (held(&service).await - floor) / until as f64;
        seen.entry(name).or_default().push(each);
    }
    let answers = &told(&service, "/caches").await?["answers"];
    let number = |key: &str| answers[key].as_f64().unwrap_or_default();
    let counted = number("bytes") / number("entries");
    seen.entry("an answer by the cache's own count").or_default().push(counted);
    Ok(())
}

async fn connections(outside: &Outside, seen: &mut Seen) -> io::Result<()> {
    let (service, _, floor) = settled(outside).await?;
    let mut lines = Vec::new();
    for nth in 0..CONNECTIONS {
        let mut line = Line::open(service.calls).await?;
        line.exchange(&Kind::Hit.request(nth as u64)).await?;
        lines.push(line);
    }
    let open = held(&service).await;
    let count = CONNECTIONS as f64;
    seen.entry("idle connection").or_default().push((open - floor) / count);
    let slowly = Latency { fixed: Duration::from_secs(20), ..Latency::NONE };
    outside.crm.site.set_usual_latency(slowly);
    let calls = lines.iter_mut().map(async |line| {
        let reply = line.exchange(&Kind::Slow.request(0)).await?;
        io::Result::Ok(reply.status())
    });
    let watch = async {
        let last = time::now() + PATIENCE;
        let mut under_way = 0;
        while under_way < CONNECTIONS as u64 && time::now() < last {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let limits = told(&service, "/limits").await?;
            under_way = limits["in_flight"]["calls"].as_u64().unwrap_or_default();
        }
        let busy = held(&service).await;
        io::Result::Ok((under_way, busy))
    };
    let (statuses, watched) = futures_util::future::join(try_join_all(calls), watch).await;
    outside.crm.site.set_usual_latency(Latency::NONE);
    let (under_way, busy) = watched?;
    let all = statuses?.into_iter().all(|status| status == 200);
    if under_way != CONNECTIONS as u64 || !all {
        return Err(io::Error::other(format!("{under_way} calls were under way at once")));
    }
    seen.entry("call under way").or_default().push((busy - open) / count);
    Ok(())
}

async fn keys(outside: &Outside, seen: &mut Seen) -> io::Result<()> {
    let (service, _, floor) = settled(outside).await?;
    count(service.calls, Kind::Token, TOKENS).await?;
    let remembered = held(&service).await;
    seen.entry("remembered token").or_default().push((remembered - floor) / TOKENS as f64);
    count(service.calls, Kind::Key, KEYS).await?;
    let limits = told(&service, "/limits").await?;
    let tracked = limits["limits"].as_array().into_iter().flatten();
    let tracked = tracked.filter_map(|limit| limit["tracked_keys"].as_u64()).max();
    if tracked != Some(KEYS) {
        return Err(io::Error::other(format!("{tracked:?} keys are counted, not {KEYS}")));
    }
    let counted = held(&service).await;
    seen.entry("limit key").or_default().push((counted - remembered) / KEYS as f64);
    Ok(())
}
