//! By hand: five minutes without an upstream, at the pace of a real stack. When the alerts came and
//! went, against what their rules say, and what the dashboards showed meanwhile.

use std::{io, time::Duration};

use futures_util::future::join_all;
use holdline::{demo::fault::Standing, time};
use serde_json::Value;

use crate::{
    draw::Easel,
    judge,
    load::Ask,
    prometheus::{Span, has_points},
    stack::Stack,
    tally::{Kind, Tally},
};

/// How often Prometheus scrapes, as in many a stack.
pub(crate) const INTERVAL: Duration = Duration::from_secs(15);
/// Calls a second, of all replicas together; a tenth of them is not cached.
const RATE: f64 = 200.0;
/// All is well.
const BEFORE: Duration = Duration::from_secs(150);
/// Nothing listens at the upstream.
const OUTAGE: Duration = Duration::from_secs(300);
/// So long before its end the dashboards are asked and drawn.
const DRAWING: Duration = Duration::from_secs(30);
/// How long the alerts may take to clear.
const AFTER: Duration = Duration::from_secs(900);

/// An alert, how long its condition must hold, and how long it goes on when that does not any more.
const ALERTS: [(&str, &str, f64); 2] = [
    ("HoldlineBreakerOpen", r#"alertname="HoldlineBreakerOpen",upstream="billing""#, 120.0),
    (
        "HoldlineAvailabilityBudgetBurn 1h/5m",
        r#"alertname="HoldlineAvailabilityBudgetBurn",long="1h""#,
        120.0,
    ),
];

/// In a tenth of the calls any customer, uncached; else one of whom a cache knows. Two tenths go to the
/// upstream that is well.
fn ask(_: u64, dice: &mut fastrand::Rng) -> Ask {
    match dice.u32(0..10) {
        0 => Ask { action: "balance", customer: dice.u64(1..=5_000) },
        1..3 => Ask { action: "card", customer: dice.u64(1..=400) },
        _ => Ask { action: "invoices", customer: dice.u64(1..=400) },
    }
}

/// Runs it, prints what came of it, and tells what is not as the rules say.
///
/// # Errors
/// Prometheus does not answer, or the browser does not draw.
pub(crate) async fn run(stack: &Stack, easel: Option<&Easel>) -> io::Result<Vec<String>> {
    let lasts = BEFORE + OUTAGE + AFTER + Duration::from_secs(60);
    let each = RATE / stack.callers.len() as f64;
    let calls = stack.callers.iter().map(|callers| callers.call(each, lasts, ask));
    let story = async {
        let told = story(stack, easel).await;
        for callers in &stack.callers {
            callers.out_of_rotation.cancel();
        }
        told
    };
    let (tallies, told) = tokio::join!(join_all(calls), story);
    let Story { down, began, ended, mut broken } = told?;
    for (place, tally) in tallies.iter().enumerate() {
        let during = tally.from(down);
        let during = during.only(|sample| sample.due < down + OUTAGE);
        println!("replica {place} during the outage, as its callers saw it: {}", shares(&during));
    }
    report(stack, began, ended, &mut broken).await?;
    Ok(broken)
}

fn shares(tally: &Tally) -> String {
    let share = |kind| tally.count(kind) as f64 / tally.len().max(1) as f64 * 100.0;
    format!(
        "{} calls, {:.1} % fresh, {:.1} % stale, {:.1} % refused, {:.1} % failed, {:.1} % lost",
        tally.len(),
        share(Kind::Fresh),
        share(Kind::Stale),
        share(Kind::Refused),
        share(Kind::Failed),
        share(Kind::Lost)
    )
}

/// What has happened.
struct Story {
    /// When the upstream went away.
    down: time::Instant,
    /// From when to when it was away, in Prometheus' seconds.
    began: f64,
    ended: f64,
    broken: Vec<String>,
}

async fn story(stack: &Stack, easel: Option<&Easel>) -> io::Result<Story> {
    println!("well for {BEFORE:?}, then nothing at billing for {OUTAGE:?}");
    tokio::time::sleep(BEFORE).await;
    let (down, began) = (time::now(), stack.clock().await?);
    stack.billing.site.set(Standing::Down).await?;
    tokio::time::sleep_until(down + OUTAGE - DRAWING).await;
    let mut broken = judge(stack, easel, "-during").await?;
    tokio::time::sleep_until(down + OUTAGE).await;
    broken.retain(|text| !text.contains(" empty ") && !text.contains("may be empty"));
    let ended = stack.clock().await?;
    stack.billing.site.set(Standing::ok()).await?;
    println!("billing is back after {:.0} s", ended - began);
    let last = time::now() + AFTER;
    while time::now() < last && is_firing(stack).await? {
        tokio::time::sleep(INTERVAL).await;
    }
    let after = judge(stack, easel, "-after").await?;
    broken.extend(after.into_iter().filter(|text| text.contains("ERROR")));
    Ok(Story { down, began, ended, broken })
}

async fn is_firing(stack: &Stack) -> io::Result<bool> {
    for (_, of, _) in ALERTS {
        let query = format!(r#"ALERTS{{alertstate="firing",{of}}}"#);
        if has_points(&stack.prometheus.now(&query).await?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// When things were seen, in seconds from the beginning of the outage.
async fn report(stack: &Stack, began: f64, ended: f64, broken: &mut Vec<String>) -> io::Result<()> {
    let prometheus = &stack.prometheus;
    let now = stack.clock().await?;
    // A condition may have held before: a breaker opens where the machine is busy, too.
    let span = Span { start: stack.began, end: now, step: 5.0 };
    let opened = r#"min(holdline_breaker_last_opened_timestamp_seconds{upstream="billing"} > 0)"#;
    let opened = prometheus.over(opened, span).await?;
    let opened = values(&opened).map(|(_, value)| value).find(|value| *value >= began - 1.0);
    println!("the breaker opened after {} s", opened.map_or(f64::NAN, |at| at - began).round());
    for (name, of, holds) in ALERTS {
        let seen = async |state: &str| {
            let query = format!(r#"max(ALERTS{{alertstate="{state}",{of}}})"#);
            let found = prometheus.over(&query, span).await?;
            let times: Vec<f64> = values(&found).map(|(at, _)| at).collect();
            io::Result::Ok(times.first().copied().zip(times.last().copied()))
        };
        let (pending, firing) = (seen("pending").await?, seen("firing").await?);
        let (Some((pending, _)), Some((fired, last))) = (pending, firing) else {
            broken.push(format!("{name} did not fire: pending {pending:?}, firing {firing:?}"));
            continue;
        };
        let from = |at: f64| at - began;
        println!(
            "{name}: pending after {:.0} s, firing after {:.0} s ({:.0} s later, its rule says {holds}), \
             until {:.0} s ({:.0} s after the end of the outage)",
            from(pending),
            from(fired),
            fired - pending,
            from(last),
            last - ended
        );
        // A point is seen up to a step late, at both ends.
        let slack = INTERVAL.as_secs_f64() + span.step;
        if (fired - pending - holds).abs() > slack {
            broken.push(format!("{name} fired {} s after pending, not {holds}", fired - pending));
        }
        if last > now - INTERVAL.as_secs_f64() {
            broken.push(format!("{name} has not cleared"));
        }
    }
    let during = Span { start: began, end: ended, step: 15.0 };
    for (what, query) in SHOWN {
        let found = prometheus.over(query, during).await?;
        let shown: Vec<String> =
            values(&found).step_by(2).map(|(_, value)| format!("{value:.3}")).collect();
        println!("{what}, every 30 s of the outage: {}", shown.join(" "));
    }
    Ok(())
}

/// What the dashboards show of it.
const SHOWN: [(&str, &str); 4] = [
    (
        "overview, share that fails",
        r#"sum(rate(holdline_requests_total{class="failure"}[1m])) / sum(rate(holdline_requests_total{class!="rejected"}[1m]))"#,
    ),
    (
        "overview, share that is stale",
        r#"sum(rate(holdline_requests_total{outcome="stale"}[1m])) / sum(rate(holdline_requests_total{class!="rejected"}[1m]))"#,
    ),
    (
        "upstreams, replicas with an open breaker",
        r#"avg(holdline_breaker_state{upstream="billing",state="open"})"#,
    ),
    ("rules, failures in 1 h", "max(job:holdline_request_errors:ratio_rate1h)"),
];

/// The points of the first series.
fn values(result: &Value) -> impl Iterator<Item = (f64, f64)> {
    let points = result["result"][0]["values"].as_array().into_iter().flatten();
    points.filter_map(|point| Some((point[0].as_f64()?, point[1].as_str()?.parse().ok()?)))
}
