//! The upstream accepts and never answers: calls must not pile up behind it.

use std::{io, time::Duration};

use futures_util::future::join;
use holdline::time;

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    load::anyone,
    peer::manner::{Fault, Manner},
    report::{Report, Row, shown},
    tally::Kind,
};

pub(super) fn scenario() -> Scenario {
    let about = "the upstream accepts and never answers; nothing piles up behind it";
    Scenario::new("hang", about, |form| Box::pin(run(form)))
}

async fn run(form: Form) -> io::Result<Report> {
    let wish = Wish::default();
    let bed = Bed::start(form.seed, &wish).await?;
    let mark = bed.mark().await?;
    let calls = bed.call(200.0, form.seconds(20, 62), anyone("lookup", 500));
    let script = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        bed.peer.behave(Manner::always(Fault::Silence));
        time::now()
    };
    let (tally, hung) = join(calls, script).await;

    let glimpses = bed.glimpses();
    let peak = glimpses.iter().map(|glimpse| glimpse.calls).max().unwrap_or_default();
    let at_peak = glimpses.iter().position(|glimpse| glimpse.calls == peak).unwrap_or_default();
    let fell = glimpses[at_peak..].iter().find(|glimpse| glimpse.calls * 10 <= peak);
    let fell = fell.map(|glimpse| glimpse.at.saturating_duration_since(hung));

    let mut report = Report::default();
    report.row(Row { recovery: fell, ..bed.row("hang", &mark, &tally).await? });
    let (longest, most) = (tally.longest(), wish.timeout + Duration::from_millis(50));
    report
        .claim(longest <= most, format!("no call held longer than {longest:.2?}; wanted {most:?}"));
    report.claim(tally.count(Kind::Lost) == 0, "every call has an answer");
    report.claim(glimpses.iter().any(|glimpse| glimpse.open), "the breaker opens");
    let in_time = fell.is_some_and(|fell| fell <= Duration::from_secs(15));
    report.claim(
        in_time,
        format!("held calls, {peak}, fall to a tenth {} after it hung; wanted 15 s", shown(fell)),
    );
    bed.end(&mut report).await?;
    Ok(report)
}
