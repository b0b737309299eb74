//! What it shows of itself: series and scrapes, spans of a traced call.

use std::{fmt::Write as _, io, time::Duration};

use holdline::demo::fault::{Fault, Rule, Standing};

use crate::{
    bed::{self, Kind, Outside, count},
    figures::Figures,
    scrape::Scrape,
    service::Service,
    wire::{self, Line},
};

/// Scrapes whose processor time is one value.
const SCRAPES: u32 = 100;
/// Calls that are all traced.
const TRACED: u64 = 2_000;
/// By how many actions and upstreams a service is larger than another.
const MORE: usize = 10;

/// A service of so many actions over so many upstreams; four of five actions keep their answers.
fn yaml(outside: &Outside, actions: usize, upstreams: usize) -> String {
    let mut yaml = "version: 1
server: {listen: '127.0.0.1:0', drain: {delay: 0s}}
probes: {listen: '127.0.0.1:0'}
admin: {listen: '127.0.0.1:0'}
callers: {desk: {type: api_key, keys: {ivr: a-key-that-is-long-enough-for-a-bench}}}
limits: {caller: {key: caller, rate: 100000/s, burst: 100000}}
upstreams:
"
    .to_owned();
    for at in 0..upstreams {
        let url = outside.crm.site.url();
        let _ = writeln!(yaml, "  system-{at}: {{base_url: '{url}', retry: {{attempts: 2}}}}");
    }
    yaml.push_str("actions:\n");
    for at in 0..actions {
        let upstream = at % upstreams;
        let keeps = if at % 5 == 4 { "" } else { "\n    cache: {ttl: 200ms, stale_if_error: 1h}" };
        let _ = writeln!(
            yaml,
            "  action-{at}:
    caller: desk
    limits: [caller]
    input: {{id: {{type: integer, required: true}}}}
    output: {{name: {{type: string, from: $.name}}}}
    request: {{upstream: system-{upstream}, path: '/users/{{id}}'}}{keeps}"
        );
    }
    yaml
}

/// Has every action answer in all the ways that an upstream and a caller can bring about here.
async fn lived(outside: &Outside, actions: usize, upstreams: usize) -> io::Result<Service> {
    let service = bed::start(&yaml(outside, actions, upstreams)).await?;
    let site = &outside.crm.site;
    let key = "X-Api-Key: a-key-that-is-long-enough-for-a-bench\r\n";
    let mut line = Line::open(service.calls).await?;
    for (round, fault) in [
        Fault::Ok,
        Fault::Ok,
        Fault::status(404),
        Fault::status(503),
        Fault::status(500),
        Fault::Html,
        Fault::Reset,
        Fault::Ok,
    ]
    .into_iter()
    .enumerate()
    {
        // The first customer is known from the first round on; the others are new.
        site.set(Standing::Up(Rule { fault, ..Rule::default() })).await?;
        tokio::time::sleep(Duration::from_millis(250)).await;
        for at in 0..actions {
            let path = format!("/data-action/action-{at}");
            for id in [1, 1, 10 + round] {
                let body = format!(r#"{{"data":{{"id":{id}}}}}"#);
                line.exchange(wire::post(&path, key, &body).as_bytes()).await?;
            }
            for (key, body) in [("", r#"{"data":{"id":1}}"#), (key, "{}")] {
                line.exchange(wire::post(&path, key, body).as_bytes()).await?;
            }
        }
    }
    Ok(service)
}

/// Series, KiB and milliseconds of processor time of a scrape.
async fn scraped(service: &Service) -> io::Result<[f64; 3]> {
    let body = wire::once(service.probes, "/metrics", None).await?.body;
    let text = String::from_utf8_lossy(&body);
    let series = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    let before = service.worked();
    for _ in 0..SCRAPES {
        wire::once(service.probes, "/metrics", None).await?;
    }
    let took = (service.worked() - before) * 1e3 / f64::from(SCRAPES);
    Ok([series as f64, body.len() as f64 / 1024.0, took])
}

/// Measures what Prometheus gets.
pub(crate) async fn series(
    outside: &Outside,
    figures: &mut Figures,
    rounds: usize,
) -> io::Result<()> {
    let mut seen: [Vec<f64>; 8] = Default::default();
    for _ in 0..rounds {
        let small = lived(outside, 1, 1).await?;
        let one = scraped(&small).await?;
        let actions = scraped(&lived(outside, 1 + MORE, 1).await?).await?;
        let upstreams = scraped(&lived(outside, 1 + MORE, 1 + MORE).await?).await?;
        let large = scraped(&lived(outside, 30, 12).await?).await?;
        let more = MORE as f64;
        let grown = [(actions[0] - one[0]) / more, (upstreams[0] - actions[0]) / more];
        let all = [one[0], grown[0], grown[1], large[0], one[1], large[1], one[2], large[2]];
        seen.iter_mut().zip(all).for_each(|(values, value)| values.push(value));
    }
    let names = [
        "series: 1 action, 1 upstream",
        "series: each further action",
        "series: each further upstream",
        "series: 30 actions, 12 upstreams",
        "scrape: 1 action, 1 upstream",
        "scrape: 30 actions, 12 upstreams",
        "scrape, processor: 1 action, 1 upstream",
        "scrape, processor: 30 actions, 12 upstreams",
    ];
    names.into_iter().zip(seen).for_each(|(name, values)| figures.add(name, values));
    Ok(())
}

/// Measures what a traced call sends.
pub(crate) async fn traces(
    outside: &Outside,
    figures: &mut Figures,
    rounds: usize,
) -> io::Result<()> {
    for (kind, name) in [(Kind::Hit, "hit"), (Kind::Miss, "miss")] {
        let (mut spans, mut bytes) = (Vec::new(), Vec::new());
        let service = outside.warm(", sample_ratio: 1.0").await?;
        let mut before = settled(outside).await;
        for _ in 0..rounds {
            count(service.calls, kind, TRACED).await?;
            let after = settled(outside).await;
            let [more, weight] = [0, 1].map(|at| (after[at] - before[at]) as f64 / TRACED as f64);
            spans.push(more);
            bytes.push(weight);
            before = after;
        }
        let lost = Scrape::of(service.probes).await?.sum("holdline_telemetry_dropped_total", &[]);
        if lost > 0.0 {
            return Err(io::Error::other(format!("{lost} spans or lines were dropped")));
        }
        figures.add(&format!("spans: traced {name}"), spans);
        figures.add(&format!("OTLP: traced {name}"), bytes);
    }
    Ok(())
}

/// What the collector has, once no more comes.
async fn settled(outside: &Outside) -> [u64; 2] {
    let mut taken = outside.sink.taken();
    loop {
        tokio::time::sleep(Duration::from_secs(7)).await;
        let now = outside.sink.taken();
        if now == taken {
            return now;
        }
        taken = now;
    }
}

/// Measures how often an upstream that fails is asked for each call of customers that nobody knows.
pub(crate) async fn attempts(
    outside: &Outside,
    figures: &mut Figures,
    (rate, rounds): (u64, usize),
) -> io::Result<()> {
    let lasts = Duration::from_secs(15);
    let fails = Rule { fault: Fault::status(503), ..Rule::default() };
    for (state, name) in [
        ("closed", "attempts: upstream says 503, breaker held closed"),
        ("auto", "attempts: upstream says 503, breaker at its defaults"),
    ] {
        let mut seen = Vec::new();
        for _ in 0..rounds {
            // Not one call before: what those would have left in the retry budget is not steady.
            let service = outside.service("").await?;
            let wish = if state == "auto" { "" } else { r#","for":"2h""# };
            bed::force(&service, "crm", &format!(r#"{{"state":"{state}"{wish}}}"#)).await?;
            outside.crm.site.set(Standing::Up(fails.clone())).await?;
            let before = outside.crm.site.counts().requests;
            let calls = bed::evenly(service.calls, Kind::Unknown, (rate, lasts), 0).await;
            let asked = outside.crm.site.counts().requests - before;
            outside.crm.site.set(Standing::Up(Rule::default())).await?;
            // Probes are no more where calls are more: they are told by the second.
            let calls = calls? as f64;
            let by = if state == "auto" { lasts.as_secs_f64() } else { calls };
            seen.push(asked as f64 / by);
        }
        figures.add(name, seen);
    }
    Ok(())
}
