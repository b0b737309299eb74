//! The upstream is gone for a while: known customers are answered, the others told at once, and all
//! is well again as soon as the breaker has tried.

use std::{io, time::Duration};

use futures_util::future::try_join;
use holdline::time::{self, Instant};

use crate::{
    Form, Scenario,
    bed::{Bed, Glimpse, Wish},
    load::Ask,
    peer::Peer,
    report::{Report, Row, shown},
    tally::{Kind, Tally},
};

/// Calls a second.
const RATE: f64 = 200.0;
/// Customers whom the cache knows.
const KNOWN: u64 = 500;
/// What a glimpse may be late by, and the next call.
const SLACK: Duration = Duration::from_millis(250);
/// Calls go on this long after the upstream was reached again.
const AFTER: Duration = Duration::from_secs(3);
/// The longest that an open interval may be: 60 s and half of that.
const LONGEST_OPEN: Duration = Duration::from_secs(90);

pub(super) fn scenarios() -> [Scenario; 3] {
    [
        Scenario::new("down", "the upstream refuses connections for a while", |form| {
            Box::pin(gone("down", form, form.seconds(15, 60)))
        }),
        Scenario::new(
            "restart",
            "the upstream is gone for two seconds, and all connections",
            |form| Box::pin(gone("restart", form, Duration::from_secs(2))),
        ),
        Scenario::new("moved", "the upstream's name gets another address", |form| {
            Box::pin(moved(form))
        }),
    ]
}

/// Three calls in four are about customers whom the cache knows.
fn mixed(place: u64, dice: &mut fastrand::Rng) -> Ask {
    let action = if place % 4 == 3 { "lookup" } else { "known" };
    Ask { action, customer: dice.u64(1..=KNOWN) }
}

async fn gone(name: &str, form: Form, down: Duration) -> io::Result<Report> {
    let bed = Bed::start(form.seed, &Wish::default()).await?;
    bed.warm(KNOWN).await;
    let mark = bed.mark().await?;
    let most = down + LONGEST_OPEN + AFTER * 2;
    let calls = async { io::Result::Ok(bed.call(RATE, most, mixed).await) };
    let script = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bed.peer.shut().await?;
        let gone = time::now();
        let opened = bed.until_open(down).await;
        let from = bed.scrape().await?;
        tokio::time::sleep(down.saturating_sub(gone.elapsed())).await;
        let to = bed.scrape().await?;
        let back = time::now();
        let before = bed.peer.counts().requests;
        bed.peer.open().await?;
        while bed.peer.counts().requests == before && back.elapsed() < LONGEST_OPEN {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(AFTER).await;
        bed.callers.out_of_rotation.cancel();
        Ok((opened, from, to, back))
    };
    let (tally, (opened, from, to, back)) = try_join(calls, script).await?;

    let mut report = Report::default();
    let fresh = tally.first(back, Kind::Fresh);
    report.row(Row { recovery: fresh, ..bed.row(name, &mark, &tally).await? });
    report.claim(opened, "the breaker opens");
    known_are_answered(&mut report, &tally);
    let histogram = "holdline_request_duration_seconds";
    for (what, labels) in [
        ("stale answers", [r#"action="known""#, r#"source="cache_stale""#]),
        ("refusals", [r#"action="lookup""#, r#"source="none""#]),
    ] {
        let p99 = to.within(&from, histogram, &labels, 0.99);
        let holds = p99.is_some_and(|bound| bound <= 0.01);
        let p99 = p99.map_or("none seen".into(), |bound| format!("at most {} ms", bound * 1e3));
        report
            .claim(holds, format!("{what} while it is open: p99 in the service {p99}; wanted 10"));
    }
    let interval = open_interval(&bed.glimpses(), back);
    let holds = fresh.zip(interval).is_some_and(|(fresh, interval)| fresh <= interval + SLACK);
    report.claim(
        holds,
        format!(
            "first fresh answer after {}; the open interval is {}",
            shown(fresh),
            shown(interval)
        ),
    );
    bed.end(&mut report).await?;
    Ok(report)
}

fn known_are_answered(report: &mut Report, tally: &Tally) {
    let known = tally.of("known");
    let (answered, all) = (known.answered(), known.len());
    report.claim(
        answered == all,
        format!("{answered} of {all} known customers answered; wanted all"),
    );
    report.claim(tally.count(Kind::Lost) == 0, "every call has an answer");
}

/// How long the interval is in which the breaker is open at that instant.
fn open_interval(glimpses: &[Glimpse], at: Instant) -> Option<Duration> {
    let same = Duration::from_millis(300);
    let mut open = glimpses.iter().filter(|glimpse| glimpse.open);
    let after = open.clone().find(|glimpse| glimpse.at >= at);
    // It may have ended in this very moment, before anybody looked.
    let now = after.or_else(|| open.rfind(|glimpse| glimpse.at < at))?;
    let apart = |glimpse: &Glimpse| {
        let (a, b) = (glimpse.open_until, now.open_until);
        a.max(b).saturating_duration_since(a.min(b))
    };
    let first = glimpses.iter().find(|glimpse| glimpse.open && apart(glimpse) < same)?;
    Some(first.open_until.saturating_duration_since(first.at))
}

/// The old place goes when the new one stands and the name has changed, as in an orderly move.
async fn moved(form: Form) -> io::Result<Report> {
    let old = Peer::start(([127, 0, 0, 2], 0).into(), form.seed).await?;
    let port = old.address().port();
    let wish = Wish {
        base_url: Some(format!("http://crm.test:{port}")),
        hosts: Some("127.0.0.1 localhost\n127.0.0.2 crm.test\n"),
        ..Wish::default()
    };
    let bed = Bed::beside(old, form.seed, &wish).await?;
    bed.warm(KNOWN).await;
    let mark = bed.mark().await?;
    let calls = async { io::Result::Ok(bed.call(RATE, form.seconds(6, 20), mixed).await) };
    let script = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let new = Peer::start(([127, 0, 0, 3], port).into(), form.seed).await?;
        bed.service.rewrite_hosts("127.0.0.1 localhost\n127.0.0.3 crm.test\n")?;
        bed.peer.shut().await?;
        Ok((time::now(), new))
    };
    let (tally, (gone, new)) = try_join(calls, script).await?;

    let mut report = Report::default();
    let recovery = tally.settled(gone, Kind::is_answered);
    report.row(Row { recovery, ..bed.row("moved", &mark, &tally).await? });
    known_are_answered(&mut report, &tally);
    let share = tally.of("lookup").share();
    report.claim(
        share >= 0.99,
        format!("{:.2} % of the others answered; wanted 99 %", share * 100.0),
    );
    let asked = new.counts().requests;
    report.claim(asked > 0, format!("{asked} requests at the new address"));
    bed.end(&mut report).await?;
    Ok(report)
}
