//! Changes under resets: half of a change is bad, a change made twice is worse.

use std::io;

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    load::in_turn,
    peer::manner::{Fault, Manner},
    report::Report,
};

pub(super) fn scenario() -> Scenario {
    let about = "an unsafe action under resets: no body is read twice by the upstream";
    Scenario::new("twice", about, |form| Box::pin(run(form)))
}

async fn run(form: Form) -> io::Result<Report> {
    let upstream = "breaker: {enabled: false}, retry: {attempts: 5, budget: {ratio: 1.0}}";
    let bed = Bed::start(form.seed, &Wish { upstream, ..Wish::default() }).await?;
    let faults = [
        Fault::ResetUnread,
        Fault::ResetBeforeHead,
        Fault::ResetAfterHead,
        Fault::Close,
        Fault::Truncate,
        Fault::Status { code: 503, retry_after: None },
    ];
    bed.peer
        .behave(Manner { faults: faults.map(|fault| (0.08, fault)).into(), ..Manner::default() });
    let mark = bed.mark().await?;
    let tally = bed.call(150.0, form.seconds(8, 60), in_turn("change")).await;

    let mut report = Report::default();
    report.row(bed.row("twice", &mark, &tally).await?);
    let counts = bed.peer.counts();
    report.claim(
        counts.most_repeated == 1,
        format!(
            "of {} bodies read none {} times; wanted once",
            counts.bodies, counts.most_repeated
        ),
    );
    bed.end(&mut report).await?;
    Ok(report)
}
