//! More calls than the upstream can take: what it can do is done, the others are told at once.

use std::{io, time::Duration};

use holdline::time;

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    load::anyone,
    peer::manner::{Capacity, Manner},
    report::{Report, Row, shown},
    tally::Kind,
};

/// What the upstream can do: 50 at once, 50 ms each.
const UPSTREAM: Capacity = Capacity { at_once: 50, takes: Duration::from_millis(50), line: 1_000 };
/// That in calls a second.
const RATE: f64 = 1_000.0;
/// Customers: nobody is cached.
const CUSTOMERS: u64 = 100_000;
/// MiB by which memory may grow.
const GROWTH: f64 = 64.0;
/// Where callers and upstream get so little of the machine, what is measured is the machine.
const LATE: Duration = Duration::from_millis(100);

pub(super) fn scenario() -> Scenario {
    let about = "an upstream that takes 1,000 calls/s is offered 1, 2, 5 and 10 times that";
    Scenario::new("capacity", about, |form| Box::pin(run(form))).alone()
}

async fn run(form: Form) -> io::Result<Report> {
    let wish = Wish::default();
    let bed = Bed::start(form.seed, &wish).await?;
    bed.peer.behave(Manner { capacity: Some(UPSTREAM), ..Manner::default() });
    let mut report = Report::default();
    let ask = || anyone("lookup", CUSTOMERS);
    bed.call(RATE / 2.0, Duration::from_secs(2), ask()).await;

    let lasts = form.seconds(6, 20);
    let (mut usual, mut calm) = (0.0, None);
    for times in [1, 2, 5, 10] {
        let mark = bed.mark().await?;
        let tally = bed.call(RATE * f64::from(times), lasts, ask()).await;
        let answered = tally.only(|sample| sample.kind.is_answered());
        let goodput = answered.len() as f64 / lasts.as_secs_f64();
        let row = bed.row(&format!("capacity-{times}x"), &mark, &tally).await?;
        let before = *calm.get_or_insert(row.memory[1]);
        let growth = row.memory[1] - before;
        report.row(row);
        if times == 1 {
            usual = goodput;
            // Or the others could be held against nothing.
            report.claim(
                goodput >= RATE * 0.9,
                format!("1x: {goodput:.0} answered a second of {RATE} that the upstream can take"),
            );
        }
        report.claim(
            goodput >= usual * 0.9,
            format!("{times}x: {goodput:.0} answered a second; wanted 90 % of {usual:.0}"),
        );
        let late = tally.lateness(0.99);
        report.claim(
            late <= LATE,
            format!(
                "{times}x: 99 % of calls left at most {late:.1?} late; wanted {LATE:?}, or the \
                 machine is too busy to judge"
            ),
        );
        let p99 = answered.latency(0.99);
        report.claim(p99 <= wish.timeout, format!("{times}x: p99 of answered calls {p99:.2?}"));
        report.claim(growth <= GROWTH, format!("{times}x: {growth:.0} MiB more; wanted {GROWTH}"));
        let told = tally.len() - answered.len();
        let refused = tally.count(Kind::Refused);
        report.claim(
            refused == told,
            format!("{times}x: {refused} of {told} not answered are 503 with Retry-After"),
        );
    }

    let mark = bed.mark().await?;
    let over = time::now();
    let tally = bed.call(RATE / 2.0, Duration::from_secs(8), ask()).await;
    let recovery = tally.settled(over, Kind::is_answered);
    report.row(Row { recovery, ..bed.row("capacity-after", &mark, &tally).await? });
    let back = recovery.is_some_and(|time| time <= Duration::from_secs(5));
    report.claim(
        back,
        format!("99 % answered from {} after it is over; wanted 5 s", shown(recovery)),
    );
    bed.end(&mut report).await?;
    Ok(report)
}
