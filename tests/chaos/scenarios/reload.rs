//! One configuration after the other, many times, under load: nobody notices.

use std::{io, time::Duration};

use holdline::time;

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    load::anyone,
    report::Report,
};

/// Calls a second.
const RATE: f64 = 500.0;
/// Customers whose answers are known.
const KEYS: u64 = 500;
/// The time from one reload to the next, at least.
const BETWEEN: Duration = Duration::from_millis(50);
/// Reloads in the whole form, and those after which memory is first looked at.
const RELOADS: [usize; 2] = [1_000, 50];
/// MiB by which memory may grow after those.
const GROWTH: f64 = 16.0;

pub(super) fn scenario() -> Scenario {
    let about = "a reload every 50 ms under 500 calls/s: no call fails, breaker and cache stay";
    Scenario::new("reload", about, |form| Box::pin(run(form))).alone()
}

/// The same but for the time that an action has.
fn wish(round: usize) -> Wish {
    let timeout = Duration::from_millis(5_000 - 100 * (round as u64 % 2));
    Wish { cache: "ttl: 30m", timeout, ..Wish::default() }
}

async fn run(form: Form) -> io::Result<Report> {
    let bed = Bed::start(form.seed, &wish(0)).await?;
    bed.warm(KEYS).await;
    // What is not known any more is refused from here on, and never fetched.
    bed.force("open").await?;
    let mark = bed.mark().await?;
    let fetched = bed.peer.counts().requests;
    let lasts = form.seconds(8, 60);
    let (tally, reloaded) =
        tokio::join!(bed.call(RATE, lasts, anyone("known", KEYS)), reload(&bed, lasts));
    let (reloads, warmed_up) = reloaded?;

    let mut report = Report::default();
    let row = bed.row("reload", &mark, &tally).await?;
    let (growth, p99) = (row.memory[1] - warmed_up, row.server_p99.unwrap_or(f64::INFINITY) * 1e3);
    report.row(row);
    let (answered, all) = (tally.answered(), tally.len());
    report.claim(answered == all, format!("{answered} of {all} answered; wanted all"));
    report.claim(p99 <= 10.0, format!("p99 in the service at most {p99} ms; wanted 10"));
    let now = bed.scrape().await?;
    let count = |result: &str| {
        let result = format!("result=\"{result}\"");
        now.since(&mark.scrape, "holdline_config_reloads_total", &[&result])
    };
    let (applied, refused) = (count("applied"), count("refused"));
    report.claim(
        applied == reloads as f64 && refused == 0.0 && reloads >= RELOADS[1],
        format!("{applied} of {reloads} reloads applied, {refused} refused; wanted all, none"),
    );
    report.claim(growth <= GROWTH, format!("{growth:.1} MiB more; wanted {GROWTH}"));
    let fetched = bed.peer.counts().requests - fetched;
    let breaker = bed.breaker().await?;
    report.claim(
        fetched == 0 && breaker == "forced_open",
        format!("{fetched} fetches, breaker {breaker}; wanted 0 and forced_open"),
    );
    bed.end(&mut report).await?;
    Ok(report)
}

/// Reloads for so long, or as often as is wanted. Returns how often, and how much memory was held
/// after the first of them, in MiB.
async fn reload(bed: &Bed, lasts: Duration) -> io::Result<(usize, f64)> {
    let (last, mut warmed_up) = (time::now() + lasts, 0.0);
    let mut next = time::now();
    let mut round = 0;
    while round < RELOADS[0] && next < last {
        tokio::time::sleep_until(next).await;
        round += 1;
        bed.reload(&wish(round)).await?;
        if round == RELOADS[1] {
            warmed_up = bed.service.memory().now;
        }
        next = time::now().max(next + BETWEEN);
    }
    Ok((round, warmed_up))
}
