//! Every other fault once: whatever it is, calls end in time, known customers are answered, memory
//! stays, and it is over soon after the fault is.

use std::{io, time::Duration};

use futures_util::future::{BoxFuture, try_join};
use holdline::time;

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    load::Ask,
    peer::{
        Peer,
        manner::{Fault, Manner},
    },
    report::{Report, Row, shown},
    tally::Kind,
};

/// Calls a second, half of them about customers whom the cache knows.
const RATE: f64 = 150.0;
/// Customers whom the cache knows.
const KNOWN: u64 = 200;
/// How long after the fault all must be well.
const RECOVERY: Duration = Duration::from_secs(5);
/// MiB by which memory may grow.
const GROWTH: f64 = 64.0;
/// Seconds that a 429 asks for.
const ASKED: u64 = 2;

/// Short times, so that a fault runs its course in seconds.
const UPSTREAM: &str = "timeouts: {connect: 500ms, attempt: 800ms}, max_reply: 256KiB, \
    breaker: {open: {first: 500ms, max: 1s}, ramp: 1s}";

/// How a fault begins; it must be over, or ended by good manners, when this many seconds are.
type Begin = for<'a> fn(&'a Peer, Duration) -> BoxFuture<'a, io::Result<()>>;

const FAULTS: [(&str, &str, Begin); 13] = [
    ("reset-before-head", "reset before a byte of the response", |peer, lasts| {
        Box::pin(always(peer, lasts, Fault::ResetBeforeHead))
    }),
    ("reset-after-head", "reset in the middle of the body", |peer, lasts| {
        Box::pin(always(peer, lasts, Fault::ResetAfterHead))
    }),
    ("close", "connections closed without a response", |peer, lasts| {
        Box::pin(always(peer, lasts, Fault::Close))
    }),
    ("half-open", "accepts no connection, reads and says nothing", |peer, lasts| {
        Box::pin(async move {
            peer.deaf(true);
            tokio::time::sleep(lasts).await;
            peer.deaf(false);
            Ok(())
        })
    }),
    ("slow-bytes", "a byte in a tenth of a second", |peer, lasts| {
        Box::pin(always(peer, lasts, Fault::Slow(Duration::from_millis(100))))
    }),
    ("truncated", "half of the body that was announced", |peer, lasts| {
        Box::pin(always(peer, lasts, Fault::Truncate))
    }),
    ("endless", "a body that never ends", |peer, lasts| {
        Box::pin(always(peer, lasts, Fault::Endless))
    }),
    ("garbage", "no HTTP", |peer, lasts| Box::pin(always(peer, lasts, Fault::Garbage))),
    ("status-500", "500, which is not repeated", |peer, lasts| {
        Box::pin(always(peer, lasts, Fault::Status { code: 500, retry_after: None }))
    }),
    ("storm", "seven of ten fail, in turns 503, reset and close", |peer, lasts| {
        Box::pin(async move {
            peer.behave(Manner::failing(0.7));
            tokio::time::sleep(lasts).await;
            Ok(())
        })
    }),
    ("latency-steps", "50 ms, 300 ms, 700 ms", |peer, lasts| {
        Box::pin(async move {
            for latency in [50, 300, 700] {
                peer.behave(Manner::late(Duration::from_millis(latency)));
                tokio::time::sleep(lasts / 3).await;
            }
            Ok(())
        })
    }),
    ("flapping", "gone and back, half a second each", |peer, lasts| {
        Box::pin(async move {
            let end = time::now() + lasts;
            while time::now() < end {
                peer.shut().await?;
                tokio::time::sleep(Duration::from_millis(500)).await;
                peer.open().await?;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Ok(())
        })
    }),
    ("too-many", "429 with Retry-After: hardly anything is sent before", |peer, lasts| {
        let fault = Fault::Status { code: 429, retry_after: Some(ASKED) };
        Box::pin(always(peer, lasts, fault))
    }),
];

async fn always(peer: &Peer, lasts: Duration, fault: Fault) -> io::Result<()> {
    peer.behave(Manner::always(fault));
    tokio::time::sleep(lasts).await;
    Ok(())
}

pub(super) fn scenarios() -> impl Iterator<Item = Scenario> {
    FAULTS.into_iter().map(|(name, about, begin)| {
        Scenario::new(name, about, move |form| Box::pin(run(form, name, begin)))
    })
}

fn mixed(place: u64, dice: &mut fastrand::Rng) -> Ask {
    let action = if place.is_multiple_of(2) { "lookup" } else { "known" };
    Ask { action, customer: dice.u64(1..=KNOWN) }
}

async fn run(form: Form, name: &'static str, begin: Begin) -> io::Result<Report> {
    let timeout = Duration::from_secs(2);
    let bed =
        Bed::start(form.seed, &Wish { upstream: UPSTREAM, timeout, ..Wish::default() }).await?;
    bed.warm(KNOWN).await;
    let mark = bed.mark().await?;
    let trouble = form.seconds(4, 12);
    let lasts = trouble + RECOVERY + Duration::from_secs(2);
    let calls = async { io::Result::Ok(bed.call(RATE, lasts, mixed).await) };
    let script = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = bed.peer.counts().requests;
        begin(&bed.peer, trouble).await?;
        let during = bed.peer.counts().requests - before;
        bed.peer.behave(Manner::default());
        Ok((time::now(), during))
    };
    let (tally, (over, during)) = try_join(calls, script).await?;

    let mut report = Report::default();
    let recovery = tally.settled(over, Kind::is_answered);
    let row = Row { recovery, ..bed.row(name, &mark, &tally).await? };
    let growth = row.growth();
    report.row(row);
    let known = tally.of("known");
    let (answered, all, lost) = (known.answered(), known.len(), tally.count(Kind::Lost));
    report.claim(
        answered == all,
        format!("{answered} of {all} known customers answered; wanted all"),
    );
    let (longest, most) = (tally.longest(), timeout + Duration::from_millis(50));
    report.claim(
        lost == 0 && longest <= most,
        format!(
            "{lost} calls without an answer, none held longer than {longest:.2?}; wanted {most:?}"
        ),
    );
    report.claim(growth <= GROWTH, format!("{growth:.0} MiB more; wanted at most {GROWTH}"));
    report.claim(
        recovery.is_some_and(|time| time <= RECOVERY),
        format!("99 % answered from {} after it is over; wanted {RECOVERY:?}", shown(recovery)),
    );
    if name == "too-many" {
        // One volley before the first 429 is known, and one each time the wait is over: those that
        // waited for its last tenth of a second, and those that come until the next 429 is known.
        let volleys = trouble.as_secs() / ASKED + 1;
        let most = volleys * 20;
        report.claim(during <= most, format!("{during} requests while it said 429; wanted {most}"));
    }
    bed.end(&mut report).await?;
    Ok(report)
}
