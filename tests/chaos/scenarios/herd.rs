//! A thousand entries that expire in the same second, all of them wanted.

use std::{io, time::Duration};

use holdline::time;

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    load::anyone,
    peer::manner::Manner,
    report::Report,
};

/// How long the upstream takes.
const FETCH: Duration = Duration::from_millis(50);
/// Customers whose entries expire together.
const KEYS: u64 = 1_000;

pub(super) fn scenario() -> Scenario {
    let about = "1,000 hot entries expire in the same second: one refresh each, and nobody waits";
    Scenario::new("herd", about, |form| Box::pin(run(form))).alone()
}

async fn run(form: Form) -> io::Result<Report> {
    // All expire between 5.4 s and 6.6 s after they were kept, and not again before 10.8 s.
    let cache = "ttl: 6s, stale_while_revalidate: 5m";
    let bed = Bed::start(form.seed, &Wish { cache, ..Wish::default() }).await?;
    bed.peer.behave(Manner::late(FETCH));
    let began = time::now();
    bed.warm(KEYS).await;
    tokio::time::sleep_until(began + Duration::from_millis(5_000)).await;
    let mark = bed.mark().await?;
    let before = bed.peer.counts().requests;
    let tally = bed.call(1_000.0, Duration::from_secs(5), anyone("known", KEYS)).await;
    let fetched = bed.peer.counts().requests - before;

    let mut report = Report::default();
    let row = bed.row("herd", &mark, &tally).await?;
    let p99 = row.server_p99.unwrap_or(f64::INFINITY) * 1e3;
    report.row(row);
    report.claim(
        (KEYS / 2..=KEYS).contains(&fetched),
        format!("{fetched} refreshes; wanted one for each of {KEYS} at the most"),
    );
    let (answered, all) = (tally.answered(), tally.len());
    report.claim(answered == all, format!("{answered} of {all} answered; wanted all"));
    report.claim(
        p99 <= 10.0,
        format!("p99 in the service at most {p99} ms; a fetch takes {FETCH:?}"),
    );
    let p99 = tally.latency(0.99);
    report.claim(p99 < FETCH, format!("p99 at the callers {p99:.1?}"));
    bed.end(&mut report).await?;
    Ok(report)
}
