//! Nobody reads the log: the pipe fills up, lines are lost and counted, and calls notice nothing.

use std::{io, time::Duration};

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    load::anyone,
    report::Report,
    service::Log,
};

/// Calls a second, a line each.
const RATE: f64 = 2_000.0;
/// Lines that may wait to be written.
const WAITING: f64 = 8_192.0;
/// Lines that a pipe takes, and more.
const PIPE: f64 = 300.0;
/// MiB by which memory may grow.
const GROWTH: f64 = 32.0;
/// How much longer than with a log that is read the end may take.
const DELAY: Duration = Duration::from_secs(2);

pub(super) fn scenario() -> Scenario {
    let about = "the log goes into a pipe that nobody reads";
    Scenario::new("unread", about, |form| Box::pin(run(form))).alone()
}

async fn run(form: Form) -> io::Result<Report> {
    let mut report = Report::default();
    let (_, usual) = Bed::start(form.seed, &Wish::default()).await?.end(&mut report).await?;
    let cache = "ttl: 1h, stale_if_error: 2h";
    let bed = Bed::start(form.seed, &Wish { log: Log::Unread, cache, ..Wish::default() }).await?;
    let mark = bed.mark().await?;
    let tally = bed.call(RATE, form.seconds(8, 20), anyone("known", 100)).await;
    let row = bed.row("unread", &mark, &tally).await?;
    let (calls, grown) = (tally.len(), row.growth());
    let p99 = row.server_p99.unwrap_or(f64::INFINITY) * 1e3;
    report.row(row);
    let answered = tally.answered();
    report.claim(answered == calls, format!("{answered} of {calls} answered; wanted all"));
    report.claim(p99 <= 10.0, format!("p99 in the service at most {p99} ms"));
    let lost = ["signal=\"logs\""];
    let dropped =
        bed.scrape().await?.since(&mark.scrape, "holdline_telemetry_dropped_total", &lost);
    let least = calls as f64 - WAITING - PIPE;
    report.claim(
        (least..=calls as f64).contains(&dropped),
        format!("{dropped} of {calls} lines counted as lost; wanted {least} at least"),
    );
    report.claim(grown <= GROWTH, format!("{grown:.1} MiB more; wanted {GROWTH}"));
    let (_, end) = bed.end(&mut report).await?;
    report.claim(
        end <= usual + DELAY,
        format!("ended after {end:.2?}; wanted {usual:.2?} and {DELAY:?} at most"),
    );
    Ok(report)
}
