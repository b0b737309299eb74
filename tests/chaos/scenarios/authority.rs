//! The token authority goes away while calls come: who was known stays known.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::future::try_join;
use holdline::demo::{
    fault::Standing,
    genesys::{Claims, FakeGenesys, GenesysSettings, Strangers},
};

use crate::{
    Form, Scenario,
    bed::{Bed, Wish},
    load::{KEY_HEADER, anyone},
    report::Report,
};

pub(super) fn scenario() -> Scenario {
    let about = "the token authority is down; verdicts past their time stand in";
    Scenario::new("authority", about, |form| Box::pin(run(form)))
}

async fn run(form: Form) -> io::Result<Report> {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let strangers = Strangers::Welcome(Claims::default());
    let settings = GenesysSettings { strangers, ..GenesysSettings::default() };
    let genesys = FakeGenesys::start(anywhere, settings).await?;
    let caller = format!(
        r#"{{type: introspection, header: {KEY_HEADER}, api_base: "{}",
             cache: {{ttl: 1s, stale_on_outage: 5m}}}}"#,
        genesys.site.url()
    );
    let bed = Bed::start(form.seed, &Wish { caller, ..Wish::default() }).await?;
    let mark = bed.mark().await?;
    let down = form.seconds(4, 15);
    let calls = async {
        let lasts = down + Duration::from_secs(3);
        io::Result::Ok(bed.call(200.0, lasts, anyone("lookup", 500)).await)
    };
    let script = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        genesys.site.set(Standing::Down).await?;
        tokio::time::sleep(down).await;
        genesys.site.set(Standing::ok()).await
    };
    let (tally, ()) = try_join(calls, script).await?;

    let mut report = Report::default();
    report.row(bed.row("authority", &mark, &tally).await?);
    let (answered, all) = (tally.answered(), tally.len());
    report.claim(answered == all, format!("{answered} of {all} answered; wanted all"));
    bed.end(&mut report).await?;
    genesys.site.stop().await;
    Ok(report)
}
