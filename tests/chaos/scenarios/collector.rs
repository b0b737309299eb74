//! The collector of traces is gone, hangs, is slow or refuses: calls notice nothing, what is lost is
//! counted, and the end is not delayed.
//!
//! Every call is traced, at a rate that fills the queue of spans in less than half a second. The rate is
//! fixed and must be held: how fast a busy machine could go at most would say more of the machine.

use std::{io, time::Duration};

use holdline::time;

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    collector::{Collector, Mood, Protocol},
    load::{anyone, in_turn},
    report::{Report, Row},
};

/// Calls a second.
const RATE: f64 = 2_000.0;
/// Customers, all of them in the cache.
const CUSTOMERS: u64 = 100;
/// Spans that may be on their way at once.
const QUEUE: f64 = 2_048.0;
/// MiB by which memory may grow.
const GROWTH: f64 = 16.0;
/// How much longer than without a collector the end may take.
const DELAY: Duration = Duration::from_secs(2);
/// How long the exporter waits for a batch to fill, and a little.
const BATCH: Duration = Duration::from_millis(5_500);
/// How long until all spans have left.
const LEFT: Duration = Duration::from_secs(15);

const DROPPED: (&str, [&str; 1]) = ("holdline_telemetry_dropped_total", ["signal=\"spans\""]);

/// What is wrong with the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Nothing.
    None,
    /// Connections to it are refused.
    Stopped,
    /// It takes exports as it should not.
    Mood(Mood),
}

/// In the order of the table; what the others are compared with comes first.
const TROUBLES: [(&str, Trouble); 6] = [
    ("well", Trouble::None),
    ("stopped", Trouble::Stopped),
    ("hung", Trouble::Mood(Mood::Hung)),
    ("late", Trouble::Mood(Mood::Late(Duration::from_secs(5)))),
    ("503", Trouble::Mood(Mood::Refusing(503))),
    ("400", Trouble::Mood(Mood::Refusing(400))),
];

/// What is the same over either protocol, since no answer is read: the short form has it in HTTP alone.
const ALIKE: [&str; 2] = ["stopped", "late"];

pub(super) fn scenarios() -> Vec<Scenario> {
    let about = "the collector of traces is stopped, hangs, is slow, refuses; each call is traced";
    let scenario = |name, protocol| {
        Scenario::new(name, about, move |form| Box::pin(run(form, protocol))).alone()
    };
    vec![scenario("collector-http", Protocol::Http), scenario("collector-grpc", Protocol::Grpc)]
}

async fn run(form: Form, protocol: Protocol) -> io::Result<Report> {
    let mut report = Report::default();
    let (_, without) = Bed::start(form.seed, &Wish::default()).await?.end(&mut report).await?;
    let (spans, mut usual) = (Spans::count(form, protocol).await?, None);
    let left_out = match protocol {
        Protocol::Http => [].as_slice(),
        Protocol::Grpc => form.either([ALIKE.as_slice(), &[]]),
    };
    for (name, trouble) in TROUBLES {
        if left_out.contains(&name) {
            continue;
        }
        let label = format!("{}-{name}", protocol.word().split('/').next().unwrap_or_default());
        let met = meet(form, protocol, (&label, trouble, spans), &mut report).await?;
        let usual = *usual.get_or_insert(met.throughput);
        report.claim(
            met.throughput >= usual * 0.95,
            format!("{label}: {:.0} answered a second; wanted 95 % of {usual:.0}", met.throughput),
        );
        let (grown, end) = (met.row.growth(), met.end);
        report.claim(grown <= GROWTH, format!("{label}: {grown:.1} MiB more; wanted {GROWTH}"));
        report.claim(
            end <= without + DELAY,
            format!("{label}: ended after {end:.2?}; wanted {without:.2?} and {DELAY:?} at most"),
        );
        report.row(met.row);
    }
    Ok(report)
}

/// What came of one trouble.
struct Met {
    row: Row,
    /// Calls answered a second.
    throughput: f64,
    /// From SIGTERM to the exit.
    end: Duration,
}

async fn meet(
    form: Form,
    protocol: Protocol,
    (label, trouble, spans): (&str, Trouble, Spans),
    report: &mut Report,
) -> io::Result<Met> {
    let (collector, bed) = begin(form, protocol).await?;
    let mark = bed.mark().await?;
    match trouble {
        Trouble::None => {}
        Trouble::Stopped => collector.stop().await,
        Trouble::Mood(mood) => collector.be(mood),
    }
    let lasts = form.seconds(3, 20);
    let began = time::now();
    let tally = bed.call(RATE, lasts, anyone("known", CUSTOMERS)).await;
    let took = began.elapsed().max(lasts);
    let row = bed.row(label, &mark, &tally).await?;
    let sent = spans.before + tally.len() as f64 * spans.call;
    let accounted = async || {
        let dropped = bed.scrape().await?.sum(DROPPED.0, &DROPPED.1);
        io::Result::Ok((dropped, collector.taken() as f64))
    };
    // An export that hangs keeps what is behind it on its way for longer than anybody waits here.
    let slow = matches!(trouble, Trouble::Mood(Mood::Hung | Mood::Late(_)));
    let (on_their_way, last) = if slow { (QUEUE, time::now()) } else { (0.0, time::now() + LEFT) };
    let (mut dropped, mut arrived) = accounted().await?;
    while dropped + arrived < sent - on_their_way && time::now() < last {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (dropped, arrived) = accounted().await?;
    }
    report.claim(
        (sent - on_their_way..=sent).contains(&(dropped + arrived)),
        format!(
            "{label}: {sent} spans, {arrived} arrived and {dropped} counted as dropped; wanted all \
             but {on_their_way} on their way"
        ),
    );
    let answered = tally.answered();
    report
        .claim(answered == tally.len(), format!("{label}: {answered} of {} answered", tally.len()));
    let throughput = answered as f64 / took.as_secs_f64();
    let (_, end) = bed.end(report).await?;
    collector.stop().await;
    Ok(Met { row, throughput, end })
}

/// A collector that is well, and a service that has all customers in its cache.
async fn begin(form: Form, protocol: Protocol) -> io::Result<(Collector, Bed)> {
    let collector = Collector::start(protocol).await?;
    let telemetry = format!(
        r#"traces: {{endpoint: "{}", protocol: {}, sample_ratio: 1.0}}"#,
        collector.endpoint(),
        protocol.word()
    );
    let cache = "ttl: 1h, stale_if_error: 2h";
    let bed = Bed::start(form.seed, &Wish { telemetry, cache, ..Wish::default() }).await?;
    let all = Duration::from_secs_f64(CUSTOMERS as f64 / 500.0);
    bed.callers.call(500.0, all, in_turn("known")).await;
    Ok((collector, bed))
}

/// How many spans there are.
#[derive(Debug, Clone, Copy)]
struct Spans {
    /// Those of the start and of filling the cache.
    before: f64,
    /// Those of a call that is answered out of the cache.
    call: f64,
}

impl Spans {
    /// Counts them, with a collector that is well.
    async fn count(form: Form, protocol: Protocol) -> io::Result<Self> {
        let (collector, bed) = begin(form, protocol).await?;
        let settled = async || {
            let (last, mut before) = (time::now() + LEFT, f64::NAN);
            loop {
                // Whatever there is leaves within that time.
                tokio::time::sleep(BATCH).await;
                let dropped = bed.scrape().await?.sum(DROPPED.0, &DROPPED.1);
                let now = collector.taken() as f64 + dropped;
                if now == before || time::now() > last {
                    return io::Result::Ok(now);
                }
                before = now;
            }
        };
        let before = settled().await?;
        let calls = bed.call(RATE, Duration::from_secs(1), anyone("known", CUSTOMERS)).await.len();
        let call = (settled().await? - before) / calls as f64;
        bed.end(&mut Report::default()).await?;
        collector.stop().await;
        if call.fract() == 0.0 && call > 0.0 {
            Ok(Self { before, call })
        } else {
            Err(io::Error::other(format!("{calls} calls left {call} spans each")))
        }
    }
}
