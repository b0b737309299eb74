//! A rolling update under load: SIGTERM, a balancer that notices after a while, and no call lost.

use std::{io, time::Duration};

use futures_util::future::try_join;
use holdline::time;

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    load::anyone,
    peer::manner::Manner,
    report::{Report, Row},
    tally::Tally,
    wire,
};

/// How often the balancer asks whether the service is ready.
const PROBE: Duration = Duration::from_millis(500);

pub(super) fn scenario() -> Scenario {
    let about = "SIGTERM during 500 calls/s: no call fails, the program ends by itself with 0";
    Scenario::new("drain", about, |form| Box::pin(run(form))).alone()
}

async fn run(form: Form) -> io::Result<Report> {
    let server = "drain: {delay: 2s, timeout: 10s}";
    // The whole load from the first instant: not the time to find out what the upstream takes.
    let upstream = "concurrency: {limit: 400}";
    let mut bed = Bed::start(form.seed, &Wish { server, upstream, ..Wish::default() }).await?;
    // So that much is under way at any time.
    bed.peer.behave(Manner::late(Duration::from_millis(400)));
    let mark = bed.mark().await?;
    let calls = async {
        io::Result::Ok(bed.call(500.0, form.seconds(10, 30), anyone("lookup", 1_000)).await)
    };
    let script = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        bed.service.terminate()?;
        let told = time::now();
        while wire::once(bed.service.probes, "/readyz", None).await?.status() == 200 {
            tokio::time::sleep(PROBE).await;
        }
        // Readiness is off at once; balancers ask now and then, and believe the second answer.
        tokio::time::sleep(PROBE * 2).await;
        bed.callers.out_of_rotation.cancel();
        let so_far = bed.row("drain", &mark, &Tally::new(Vec::new())).await?;
        Ok((told, so_far))
    };
    let (tally, (told, so_far)) = try_join(calls, script).await?;
    let code = bed.service.ended(Duration::from_secs(15)).await?;

    let mut report = Report::default();
    report.row(Row {
        server_p99: so_far.server_p99,
        memory: so_far.memory,
        cores: so_far.cores,
        ..Row::of("drain", &tally)
    });
    let (answered, all) = (tally.answered(), tally.len());
    let after = tally.from(told).len();
    report.claim(
        answered == all,
        format!("{answered} of {all} answered, {after} of them after SIGTERM; wanted all"),
    );
    report.claim(after > 100, format!("{after} calls came after SIGTERM"));
    let last = bed.service.last_line();
    let order = code == Some(0) && last.contains(r#""message":"stopped","cut":0"#);
    report.claim(order, format!("exit code {code:?}; last line {last}"));
    Ok(report)
}
