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
/// How long until all spans have left: the exporter waits 5 s for a batch to fill.
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
    let mut usual = None;
    for (name, trouble) in TROUBLES {
        let label = format!("{}-{name}", protocol.word().split('/').next().unwrap_or_default());
        let met = meet(form, protocol, (&label, trouble), &mut report).await?;
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
    (label, trouble): (&str, Trouble),
    report: &mut Report,
) -> io::Result<Met> {
    let collector = Collector::start(protocol).await?;
    let telemetry = format!(
        r#"traces: {{endpoint: "{}", protocol: {}, sample_ratio: 1.0}}"#,
        collector.endpoint(),
        protocol.word()
    );
    let cache = "ttl: 1h, stale_if_error: 2h";
    let bed = Bed::start(form.seed, &Wish { telemetry, cache, ..Wish::default() }).await?;
    bed.callers.call(500.0, Duration::from_millis(200), in_turn("known")).await;
    let spans = spans_of_a_call(&bed, &collector).await?;

    let mark = bed.mark().await?;
    let taken = collector.taken();
    match trouble {
        Trouble::None => {}
        Trouble::Stopped => collector.stop().await,
        Trouble::Mood(mood) => collector.be(mood),
    }
    let lasts = form.seconds(6, 20);
    let began = time::now();
    let tally = bed.call(RATE, lasts, anyone("known", CUSTOMERS)).await;
    let took = began.elapsed().max(lasts);
    let row = bed.row(label, &mark, &tally).await?;
    let sent = tally.len() as f64 * spans;
    let accounted = async || {
        let dropped = bed.scrape().await?.since(&mark.scrape, DROPPED.0, &DROPPED.1);
        io::Result::Ok((dropped, (collector.taken() - taken) as f64))
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

/// How many spans a call leaves that is answered out of the cache; the collector is well, and all that
/// came before has arrived when this returns.
async fn spans_of_a_call(bed: &Bed, collector: &Collector) -> io::Result<f64> {
    let settled = async || {
        let (last, mut before) = (time::now() + LEFT, f64::NAN);
        loop {
            let dropped = bed.scrape().await?.sum(DROPPED.0, &DROPPED.1);
            let now = collector.taken() as f64 + dropped;
            if now == before || time::now() > last {
                return io::Result::Ok(now);
            }
            before = now;
            tokio::time::sleep(Duration::from_millis(5_500)).await;
        }
    };
    let before = settled().await?;
    let calls = bed.call(RATE, Duration::from_secs(1), anyone("known", CUSTOMERS)).await.len();
    let spans = (settled().await? - before) / calls as f64;
    if spans.fract() == 0.0 && spans > 0.0 {
        Ok(spans)
    } else {
        Err(io::Error::other(format!("{calls} calls left {spans} spans each")))
    }
}
