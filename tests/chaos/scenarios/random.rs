//! Attempts that fail at random: what retries make of it, what they cost, and what more would buy.

use std::io;

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    load::anyone,
    peer::manner::Manner,
    report::Report,
};

/// Calls a second.
const RATE: f64 = 200.0;
/// Customers, each of whom is called about once in a few seconds.
const CUSTOMERS: u64 = 500;

/// One share of failures, and what is promised.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    /// The share of attempts that fails.
    failing: f64,
    action: &'static str,
    upstream: &'static str,
    /// Whether the breaker only observes: seven failures in a row, which open it, happen by chance.
    observed: bool,
    /// The least share of answered calls, and the most attempts a call; absent: only shown.
    promised: Option<(f64, f64)>,
}

const FIVE: Case = Case {
    name: "random-5",
    failing: 0.05,
    action: "lookup",
    upstream: "",
    observed: false,
    promised: Some((0.999, 1.1)),
};
const TWENTY: Case = Case {
    name: "random-20",
    failing: 0.2,
    action: "lookup",
    upstream: "",
    observed: true,
    promised: Some((0.96, 1.22)),
};
const STALE: Case = Case {
    name: "random-20-stale",
    failing: 0.2,
    action: "known",
    upstream: "",
    observed: false,
    promised: Some((0.999, 1.22)),
};

/// The same failures under larger budgets.
const BUDGETS: [Case; 4] = [
    Case {
        name: "random-20-ratio-0.3",
        upstream: "retry: {budget: {ratio: 0.3}}",
        promised: None,
        ..TWENTY
    },
    Case {
        name: "random-20-ratio-0.5",
        upstream: "retry: {budget: {ratio: 0.5}}",
        promised: None,
        ..TWENTY
    },
    Case {
        name: "random-20-ratio-1.0",
        upstream: "retry: {budget: {ratio: 1.0}}",
        promised: None,
        ..TWENTY
    },
    Case {
        name: "random-20-attempts-5",
        upstream: "retry: {attempts: 5, budget: {ratio: 0.5}}",
        promised: None,
        ..TWENTY
    },
];

pub(super) fn scenarios() -> impl Iterator<Item = Scenario> {
    let about = "attempts fail at random (503, reset, close); retries within their budget mend it";
    let all = [FIVE, TWENTY, STALE].into_iter().chain(BUDGETS);
    all.map(move |case| Scenario::new(case.name, about, move |form| Box::pin(run(form, case))))
}

async fn run(form: Form, case: Case) -> io::Result<Report> {
    let wish = Wish { upstream: case.upstream, ..Wish::default() };
    let bed = Bed::start(form.seed, &wish).await?;
    if case.action == "known" {
        bed.warm(CUSTOMERS).await;
    }
    if case.observed {
        bed.observe().await?;
    }
    bed.peer.behave(Manner::failing(case.failing));
    let mark = bed.mark().await?;
    let lasts = form.seconds(if case.promised.is_some() { 15 } else { 6 }, 60);
    let tally = bed.call(RATE, lasts, anyone(case.action, CUSTOMERS)).await;

    let mut report = Report::default();
    let row = bed.row(case.name, &mark, &tally).await?;
    let (share, attempts) = (tally.share(), row.attempts);
    let longest = tally.longest();
    report.row(row);
    if let Some((least, most)) = case.promised {
        report.claim(
            share >= least,
            format!("{:.2} % answered; wanted {} %", share * 100.0, least * 100.0),
        );
        let attempts = attempts.unwrap_or(f64::INFINITY);
        report.claim(attempts <= most, format!("{attempts:.3} attempts a call; wanted {most}"));
        report.claim(
            longest <= wish.timeout,
            format!("none took longer than {longest:.2?}; wanted {:.0?}", wish.timeout),
        );
    }
    bed.end(&mut report).await?;
    Ok(report)
}
