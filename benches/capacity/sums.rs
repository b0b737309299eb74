//! What the page reckons out of its figures: the bench writes it there, a test reckons it anew.

use std::fmt::Write as _;

use super::figures::{Figures, grouped};

/// Lines of `what`, `how`, and the `result`.
#[derive(Debug, Default)]
struct Sheet(String);

impl Sheet {
    fn title(&mut self, title: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.0, "{gap}{title}");
    }

    /// Writes `result` with that many digits, and gives it as it is written.
    fn line(&mut self, what: &str, how: &str, result: f64, digits: usize, unit: &str) -> f64 {
        let told = grouped(result, digits);
        let line = format!("  {what:38} {how:52} {told:>12} {unit}");
        let _ = writeln!(self.0, "{}", line.trim_end());
        told.replace(',', "").parse().unwrap_or(result)
    }
}

/// How long the tutorial's answer is kept: `ttl: 60s` and `stale_if_error: 5m`.
const KEPT: f64 = 360.0;
/// How long an upstream takes, in the examples.
const UPSTREAM: f64 = 0.3;
/// What of a requested core is to be used, as the chart's HPA has it.
const SHARE: f64 = 0.7;
/// What a call may cost more than here: TLS, a network, a slower core. A guess, not a measurement.
const RESERVE: f64 = 2.0;
/// The executions a minute that Genesys Cloud gives an organisation, and those at once.
const A_MINUTE: f64 = 2_500.0;
const SLOTS: f64 = 50.0;
/// What a replica of 30 actions and 12 upstreams may show at most: `tests/it/series/budget.rs`.
const SERIES: f64 = 6_000.0;
/// Calls a second in the large example, and look-ups of a customer in one conversation.
const CALLS: f64 = 50_000.0;
const LOOKS: f64 = 4.0;
/// Bytes.
const MIB: f64 = 1_048_576.0;
/// Seconds between two scrapes.
const SCRAPES: f64 = 15.0;

/// One contact centre on the chart's defaults.
pub(crate) fn contact_centre(figures: &Figures) -> String {
    let mut sheet = Sheet::default();
    let (calls, cpu) = (50.0, 250.0);
    let [idle, miss] = ["idle replica", "miss"].map(|n| figures.get(&format!("processor: {n}")));
    sheet.title("Processor, one of two replicas gone, and not one hit");
    let how = format!("{calls:.0}/s x {miss} us x {RESERVE} + {idle} ms/s");
    let busy = sheet.line("busy", &how, calls * miss * RESERVE / 1e3 + idle, 1, "ms/s");
    sheet.line("of the request", &format!("{busy} / {cpu:.0} ms/s"), busy / cpu * 100.0, 0, "%");
    let how = format!("({cpu:.0} ms/s x {SHARE} - {idle}) / ({miss} us x {RESERVE})");
    let most = (cpu * SHARE - idle) * 1e3 / (miss * RESERVE);
    let most = sheet.line("calls/s at 70 % of the request", &how, most, 0, "/s each");
    let how = format!("2 x {most}/s");
    let both = sheet.line("two replicas carry", &how, 2.0 * most, 0, "/s");
    sheet.line(
        "  against what is wanted",
        &format!("{both} / {calls:.0}"),
        both / calls,
        0,
        "times",
    );
    sheet.title("Memory of that replica");
    let floor = figures.get("memory: after 20,000 calls");
    let each = figures.get("memory: each of 10,000 answers");
    let counted = figures.get("memory: an answer by the cache's own count");
    let kept = sheet.line("answers kept", &format!("{calls:.0}/s x {KEPT} s"), calls * KEPT, 0, "");
    let how = format!("{kept} x {each} B + {floor} MiB");
    let held = sheet.line("held", &how, kept * each / MIB + floor, 1, "MiB");
    sheet.line("of the request", &format!("{held} / 128 MiB"), held / 1.28, 0, "%");
    let how = format!("64 MiB / {counted} B");
    let room =
        sheet.line("answers that fit into `cache.memory`", &how, 67_108_864.0 / counted, 0, "");
    let each = figures.get("memory: each of 100,000 answers");
    let how = format!("{room} x {each} B + {floor} MiB");
    sheet.line("held when it is full", &how, room * each / MIB + floor, 1, "MiB");
    sheet.title("Everything else");
    let how = format!("{calls:.0}/s x {UPSTREAM} s");
    sheet.line("calls under way, all misses", &how, calls * UPSTREAM, 0, "");
    let how = format!("{calls:.0}/s x {UPSTREAM} s of {SLOTS} slots");
    sheet.line("slots of Genesys Cloud", &how, calls * UPSTREAM / SLOTS * 100.0, 0, "%");
    let series = figures.get("series: 1 action, 1 upstream");
    sheet.line("series of two replicas", &format!("2 x {series}"), 2.0 * series, 0, "");
    let log = figures.get("log: miss");
    let how = format!("{calls:.0}/s x {log} B x 86,400 s");
    sheet.line("log, all misses", &how, calls * log * 86_400.0 / 1e9, 1, "GB/day");
    sheet.0
}

/// What the large example rests on.
#[derive(Debug, Clone, Copy)]
struct Large {
    calls: f64,
    /// The share of them that are hits.
    hits: f64,
    replicas: f64,
    misses: f64,
}

/// 50,000 calls a second.
pub(crate) fn internet(figures: &Figures) -> String {
    let mut sheet = Sheet::default();
    sheet.title("Each customer's look-ups reach one replica");
    let how = format!("({LOOKS} - 1) / {LOOKS}");
    let hits = sheet.line("hits, 4 look-ups a conversation", &how, (LOOKS - 1.0) / LOOKS, 3, "");
    let near = replicas(&mut sheet, figures, CALLS, hits);
    let far = at_random(&mut sheet, figures, near);
    each_replica(&mut sheet, figures, near, None);
    each_replica(&mut sheet, figures, far, Some(LOOKS));
    let all = "All verdicts and keys that a replica may remember, in either case";
    sheet.title(all);
    for (name, figure) in
        [("verdicts about tokens", "remembered token"), ("keys of a limit", "limit key")]
    {
        let each = figures.get(&format!("memory: {figure}"));
        sheet.line(name, &format!("100,000 x {each} B"), 1e5 * each / MIB, 0, "MiB");
    }
    attempts(&mut sheet, figures, near);
    quota(&mut sheet, near);
    watched(&mut sheet, figures, near);
    organisations(&mut sheet, near);
    sheet.0
}

/// Misses in the place of one, where so many look-ups fall at random on so many replicas.
fn spread(replicas: f64, looks: f64) -> f64 {
    replicas * (1.0 - (1.0 - 1.0 / replicas).powf(looks))
}

/// The shape without affinity. More misses take more replicas, and those make more misses: until that settles.
fn at_random(sheet: &mut Sheet, figures: &Figures, near: Large) -> Large {
    let mut over = near.replicas;
    for _ in 0..10 {
        let hits = 1.0 - spread(over, LOOKS) / LOOKS;
        over = replicas(&mut Sheet::default(), figures, CALLS, hits).replicas;
    }
    sheet.title(&format!("The same look-ups at random over {over} replicas"));
    let how = format!("{over} x (1 - (1 - 1/{over})^{LOOKS})");
    let misses =
        sheet.line("misses a conversation, instead of 1", &how, spread(over, LOOKS), 2, "");
    let how = format!("1 - {misses} / {LOOKS}");
    let hits = sheet.line("hits", &how, 1.0 - misses / LOOKS, 3, "");
    replicas(sheet, figures, CALLS, hits)
}

fn replicas(sheet: &mut Sheet, figures: &Figures, calls: f64, hits: f64) -> Large {
    let [idle, hit, miss] =
        ["idle replica", "hit", "miss"].map(|name| figures.get(&format!("processor: {name}")));
    let misses = sheet.line("misses", &format!("1 - {hits}"), 1.0 - hits, 3, "");
    let how = format!("{hits} x {hit} us + {misses} x {miss} us");
    let cost = sheet.line("processor a call", &how, hits * hit + misses * miss, 1, "us");
    let how = format!("{}/s x {cost} us x {RESERVE}", grouped(calls, 0));
    let cores = sheet.line("cores busy", &how, calls * cost * RESERVE / 1e6, 1, "");
    let how = format!("1 core x {SHARE} - {idle} ms/s");
    let each = sheet.line("cores of use in a replica of one core", &how, SHARE - idle / 1e3, 3, "");
    let how = format!("{cores} / {each}, rounded up");
    let least = sheet.line("replicas", &how, (cores / each).ceil(), 0, "");
    let how = format!("{least} x 3 / 2, rounded up");
    let replicas = (least * 1.5).ceil();
    let replicas = sheet.line("replicas, one of three zones to spare", &how, replicas, 0, "");
    let how = format!("{}/s x {misses}", grouped(calls, 0));
    let misses = sheet.line("upstream attempts in good times", &how, calls * misses, 0, "/s");
    Large { calls, hits, replicas, misses }
}

/// What is left where a zone of three is gone.
fn left(sheet: &mut Sheet, replicas: f64) -> f64 {
    let left = (replicas * 2.0 / 3.0).floor();
    sheet.line("replicas", &format!("{replicas} x 2 / 3"), left, 0, "")
}

/// One of them; `looks` says how many look-ups of a customer fall at random on all, where they do.
fn each_replica(sheet: &mut Sheet, figures: &Figures, large: Large, looks: Option<f64>) {
    let Large { calls, replicas, misses, .. } = large;
    let how = if looks.is_some() { "at random" } else { "by affinity" };
    sheet.title(&format!("Each replica, {how}, while a zone is gone"));
    let left = left(sheet, replicas);
    sheet.line("calls", &format!("{}/s / {left}", grouped(calls, 0)), calls / left, 0, "/s");
    let how = format!("{}/s / {left}", grouped(misses, 0));
    let misses = sheet.line("misses", &how, misses / left, 0, "/s");
    let beside = under_way(sheet, figures, misses);
    let counted = figures.get("memory: an answer by the cache's own count");
    let each = figures.get("memory: each of 100,000 answers");
    for (kept, words) in [(KEPT, "6 min"), (3_660.0, "61 min")] {
        let how = format!("{}/s x {} s", grouped(misses, 0), grouped(kept, 0));
        let name = format!("answers kept for {words}");
        let answers = sheet.line(&name, &how, misses * kept, 0, "");
        let how = format!("{} x {counted} B", grouped(answers, 0));
        let memory = sheet.line("  `cache.memory`", &how, answers * counted / MIB, 0, "MiB");
        let how = format!("{} x {each} B + {beside} MiB", grouped(answers, 0));
        sheet.line("  held", &how, answers * each / MIB + beside, 0, "MiB");
        let how = format!("4 x {} MiB", grouped(memory, 0));
        sheet.line("  container's limit", &how, 4.0 * memory, 0, "MiB");
    }
    let mut copies = 1.0;
    if let Some(looks) = looks {
        let how = format!("{left} x (1 - (1 - 1/{left})^{looks})");
        copies = sheet.line("replicas that keep a customer", &how, spread(left, looks), 2, "");
    }
    let how = format!("10,000,000 x {copies} / {left} x {each} B");
    sheet.line("10 million customers", &how, 1e7 * copies / left * each / MIB, 0, "MiB");
}

/// Calls under way at so many misses a second, and what they ask of the settings; gives the memory beside
/// the cache.
fn under_way(sheet: &mut Sheet, figures: &Figures, misses: f64) -> f64 {
    let told = grouped(misses, 0);
    let how = format!("{told}/s x {UPSTREAM} s");
    let usual = sheet.line("calls under way, upstream of 0.3 s", &how, misses * UPSTREAM, 0, "");
    let how = format!("2 x {usual}, to the next hundred");
    let most = (2.0 * usual / 100.0).ceil() * 100.0;
    let most = sheet.line("  `concurrency.max` to write", &how, most, 0, "");
    let how = format!("{} + {told}/s x 0.1 s", grouped(most, 0));
    let outage = sheet.line("  under way in an outage", &how, most + misses * 0.1, 0, "");
    let how = format!("4,096 + 12 x {} + 100", grouped(most, 0));
    sheet.line("files, 12 such upstreams", &how, 4_196.0 + 12.0 * most, 0, "");
    let connections = sheet.line("connections of callers", "say", 2_000.0, 0, "");
    let floor = figures.get("memory: after 20,000 calls");
    let [connection, call] =
        ["idle connection", "call under way"].map(|name| figures.get(&format!("memory: {name}")));
    let how = format!(
        "{floor} MiB + {} x {connection} B + {} x {call} B",
        grouped(connections, 0),
        grouped(outage, 0)
    );
    let used = floor + (connections * connection + outage * call) / MIB;
    sheet.line("memory beside the cache", &how, used, 0, "MiB")
}

fn attempts(sheet: &mut Sheet, figures: &Figures, large: Large) {
    let Large { calls, hits, replicas, misses } = large;
    sheet.title("Attempts at the upstream, by affinity");
    let well = figures.get("attempts: miss, all well");
    let told = format!("{}/s", grouped(misses, 0));
    sheet.line("all well", &format!("{told} x {well}"), misses * well, 0, "/s");
    let how = format!("{told} x 3");
    sheet.line("failing, the first second, at most", &how, misses * 3.0, 0, "/s");
    let how = format!("{told} x 1.2 + {replicas} x 1/s");
    sheet.line("failing, breakers held closed, at most", &how, misses * 1.2 + replicas, 0, "/s");
    let open = figures.get("attempts: upstream says 503, breaker at its defaults");
    let how = format!("{replicas} x {open}/s");
    sheet.line("failing, breakers at their defaults", &how, replicas * open, 0, "/s");
    let how = format!("{}/s x (0.75 x {:.3} + 0.25)", grouped(calls, 0), 1.0 - hits);
    let cold = calls * (0.75 * (1.0 - hits) + 0.25);
    let cold = sheet.line("a rollout, a quarter of replicas cold", &how, cold, 0, "/s");
    let how = format!("{} / {}", grouped(cold, 0), grouped(misses, 0));
    sheet.line("  against good times", &how, cold / misses, 2, "times");
    sheet.line("all replicas cold at once", "every call", calls, 0, "/s");
}

/// What a vendor allows all of them, divided among as many as there may be.
fn quota(sheet: &mut Sheet, large: Large) {
    let Large { replicas, misses, .. } = large;
    sheet.title("A vendor's 15,000 requests a second as `quota`, by affinity");
    let how = format!("{replicas} x 4 / 3, rounded up");
    let most =
        sheet.line("`maxReplicas`, a third more, say", &how, (replicas * 4.0 / 3.0).ceil(), 0, "");
    let how = format!("15,000/s / {most}, rounded down");
    let each = sheet.line("`quota` to write", &how, (15_000.0 / most).floor(), 0, "/s each");
    let how = format!("{replicas} x {each}/s");
    sheet.line("  all may ask", &how, replicas * each, 0, "/s");
    let left = (replicas * 2.0 / 3.0).floor();
    sheet.line("  while a zone is gone", &format!("{left} x {each}/s"), left * each, 0, "/s");
    sheet.line("  wanted then", "the misses", misses, 0, "/s");
    let how = format!("{}/s / {left} x {most}", grouped(misses, 0));
    sheet.line("  so the vendor should allow", &how, misses / left * most, 0, "/s");
}

fn watched(sheet: &mut Sheet, figures: &Figures, large: Large) {
    let Large { calls, hits, replicas, .. } = large;
    sheet.title("What watches it");
    let series = SERIES;
    let kib = figures.get("scrape: 30 actions, 12 upstreams");
    let how = format!("{replicas} x {}", grouped(series, 0));
    let all = sheet.line("series, at most 6,000 each", &how, replicas * series, 0, "");
    let how = format!("{} / {SCRAPES} s", grouped(all, 0));
    sheet.line("samples, a scrape every 15 s", &how, all / SCRAPES, 0, "/s");
    let how = format!("{replicas} x {} KiB / {SCRAPES} s", grouped(kib, 1));
    sheet.line("scraped", &how, replicas * kib / SCRAPES, 0, "KiB/s");
    let of = |kind: &str| figures.get(kind);
    let (hit, miss) = (of("log: hit"), of("log: miss"));
    let lost = 1.0 - hits;
    let how = format!("{hits} x {hit} B + {lost:.3} x {miss} B");
    let line = sheet.line("log of a call", &how, hits * hit + lost * miss, 0, "B");
    let how = format!("{}/s x {line} B", grouped(calls, 0));
    let log = sheet.line("log", &how, calls * line / 1e6, 1, "MB/s");
    sheet.line("  a day", &format!("{log} MB/s x 86,400 s"), log * 86_400.0 / 1e6, 2, "TB");
    let (hit, miss) = (of("spans: traced hit"), of("spans: traced miss"));
    let how = format!("{hits} x {hit} + {lost:.3} x {miss}");
    let spans = sheet.line("spans of a traced call", &how, hits * hit + lost * miss, 2, "");
    let (hit, miss) = (of("OTLP: traced hit"), of("OTLP: traced miss"));
    let how = format!("{hits} x {hit} B + {lost:.3} x {miss} B");
    let bytes = sheet.line("bytes of a traced call", &how, hits * hit + lost * miss, 0, "B");
    for ratio in [0.1, 0.001] {
        let how = format!("{}/s x {ratio} x {spans}", grouped(calls, 0));
        let name = format!("spans at `sample_ratio: {ratio}`");
        sheet.line(&name, &how, calls * ratio * spans, 0, "/s");
        let how = format!("{}/s x {ratio} x {} B", grouped(calls, 0), grouped(bytes, 0));
        sheet.line("  to the collector", &how, calls * ratio * bytes / 1e6, 2, "MB/s");
    }
}

fn organisations(sheet: &mut Sheet, large: Large) {
    let Large { calls, misses, replicas, .. } = large;
    sheet.title("Organisations of Genesys Cloud");
    let how = format!("{A_MINUTE} a minute / 60");
    let each = sheet.line("calls of one organisation, at most", &how, A_MINUTE / 60.0, 1, "/s");
    let how = format!("{}/s x 60 / {A_MINUTE}", grouped(calls, 0));
    sheet.line("organisations, at least", &how, calls * 60.0 / A_MINUTE, 0, "");
    let how = format!("{}/s x {UPSTREAM} s", grouped(misses, 0));
    let slots = sheet.line("slots held by misses", &how, misses * UPSTREAM, 0, "");
    let how = format!("{} / {SLOTS}", grouped(slots, 0));
    sheet.line("  organisations that takes, at least", &how, slots / SLOTS, 0, "");
    let how = format!("{each}/s / {replicas}");
    sheet.line("a limit by organisation, at random", &how, each / replicas, 2, "/s each");
}
