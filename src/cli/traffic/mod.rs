//! Traffic for the demo: calls that arrive at a constant rate, whether or not earlier ones have been
//! answered, as callers of a contact centre do. A client that waited for each answer before the next
//! call would slow down together with the service and hide that it is slow.

pub(crate) mod rate;
pub(crate) mod screen;
mod tally;

use std::{
    future::Future,
    io::{self, IsTerminal, Write},
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::Context;
use futures_util::{StreamExt, stream::FuturesUnordered};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    catalog::upstream::Pool,
    chance::Chance,
    cli::{OutsideArgs, serve::Signals},
    client::{Client, Transport},
    time,
};

use self::{
    rate::Rate,
    screen::{End, Screen, show, write_line},
    tally::{Outcome, Source, Tally},
};

/// The token of the calls, and of the lines to try. The fake takes any but `bad-token`.
pub(super) const TOKEN: &str = "demo-token";

/// Calls that may be unanswered at once; arrivals beyond are counted and not sent.
const MAX_WAITING: usize = 10_000;

/// How long a caller listens: longer than any action may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many calls in a thousand are about a customer whom nobody has asked for before.
const NEVER_SEEN_PER_MILLE: u64 = 10;

/// Calls the tutorial's action of the service at `origin` as often as `outside` says, if it says so, and
/// writes the status line to standard output, until SIGTERM or SIGINT.
///
/// # Errors
/// `origin` makes no URL, or the line cannot be written.
pub(super) async fn until(
    signals: &mut Signals,
    outside: &OutsideArgs,
    origin: &str,
) -> anyhow::Result<()> {
    let Some(rate) = outside.traffic else {
        signals.next().await;
        return Ok(());
    };
    let pool = Pool { idle: 256, idle_timeout: Duration::from_secs(4) };
    let client = Client::new(Duration::from_secs(1), pool, &Transport::Network)?;
    let target = format!("{origin}/data-action/customer-lookup");
    let settings = TrafficSettings {
        target: target.parse().context("the address makes no URL")?,
        header: "X-Genesys-Auth-Token".to_owned(),
        token: TOKEN.to_owned().into(),
        rate,
        customers: outside.customers,
        chance: Chance::Random,
    };
    let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let screen =
        if io::stdout().is_terminal() { Screen::Terminal { width } } else { Screen::Plain };
    let traffic = Traffic::new(client.network().clone(), settings);
    let (stop, mut out) = (CancellationToken::new(), io::stdout());
    let mut running = pin!(traffic.run(stop.clone(), &mut out, screen));
    let ended = tokio::select! {
        () = signals.next() => {
            stop.cancel();
            // Its last line is still to come.
            running.await
        }
        ended = &mut running => ended,
    };
    ended.context("could not write the status line")
}

/// Whom to call, as whom, how often and about whom.
#[derive(Debug)]
pub(crate) struct TrafficSettings {
    /// The action's address, such as `http://127.0.0.1:8080/data-action/customer-lookup`.
    pub(crate) target: Url,
    /// The header that carries the token, such as `X-Genesys-Auth-Token`.
    pub(crate) header: String,
    /// The token.
    pub(crate) token: SecretString,
    /// How often.
    pub(crate) rate: Rate,
    /// Customers have the numbers from 1 to this one; the small ones call most.
    pub(crate) customers: u64,
    /// What decides who calls.
    pub(crate) chance: Chance,
}

/// A source of calls, and what became of them.
#[derive(Debug)]
pub(crate) struct Traffic {
    client: reqwest::Client,
    settings: TrafficSettings,
    tally: Tally,
    never_seen: AtomicU64,
}

impl Traffic {
    /// Traffic that has not begun. `client` needs a pool and a connect time-out, no retries.
    pub(crate) fn new(client: reqwest::Client, settings: TrafficSettings) -> Self {
        Self { client, settings, tally: Tally::default(), never_seen: AtomicU64::new(0) }
    }

    /// Calls until `stop`, writing the status line to `out`; then writes it once more, for good.
    /// Calls that are unanswered then are dropped.
    ///
    /// # Errors
    /// `out` takes no more.
    pub(crate) async fn run(
        &self,
        stop: CancellationToken,
        out: &mut (impl Write + Send),
        screen: Screen,
    ) -> io::Result<()> {
        let calls = drive(self.settings.rate, &self.tally, |place| self.call(place));
        let shown = show(out, screen, || self.status_line());
        let result = tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = calls => Ok(()),
            result = shown => result,
        };
        result.and_then(|()| write_line(out, screen, &self.status_line(), End::Newline))
    }

    /// The counts so far: `200/s  200 1,234  404 3  503 0  p50 1.2 ms  p99 8 ms`.
    pub(crate) fn status_line(&self) -> String {
        self.tally.line(self.settings.rate)
    }

    /// One call, and what came of it.
    async fn call(&self, place: u64) -> Outcome {
        let customer = self.customer(place);
        let request = self
            .client
            .post(self.settings.target.clone())
            .header(&self.settings.header, self.settings.token.expose_secret())
            .json(&serde_json::json!({"data": {"customer_id": customer}}));
        let exchange = async {
            let response = request.send().await.ok()?;
            let status = response.status().as_u16();
            let source = response.headers().get("cache-status").and_then(|v| v.to_str().ok());
            let source = source.map(Source::of);
            response.bytes().await.ok()?;
            Some(Outcome::Answered { status, source })
        };
        let answered = tokio::time::timeout(PATIENCE, exchange).await;
        answered.ok().flatten().unwrap_or(Outcome::Unanswered)
    }

    /// Whom call number `place` is about.
    fn customer(&self, place: u64) -> u64 {
        // Spread evenly, so that the share is kept in every second.
        if (place + 1) * NEVER_SEEN_PER_MILLE % 1000 < NEVER_SEEN_PER_MILLE {
            let unseen = self.never_seen.fetch_add(1, Ordering::Relaxed);
            return self.settings.customers + 1 + unseen;
        }
        popular(self.settings.customers, self.settings.chance.roll())
    }
}

/// A customer from 1 to `customers` by Zipf's law: the n-th is asked for 1/n as often as the first.
/// The logarithm is the inverse of that law's sum, near enough.
fn popular(customers: u64, roll: f64) -> u64 {
    let rank = ((customers as f64 + 1.0).ln() * roll).exp();
    (rank as u64).clamp(1, customers.max(1))
}

/// Starts a call at each due instant and tallies the outcomes; never ends. Calls run inside this
/// future, so dropping it drops them.
async fn drive<F: Future<Output = Outcome>>(rate: Rate, tally: &Tally, call: impl Fn(u64) -> F) {
    let start = time::now();
    let mut waiting = FuturesUnordered::new();
    for place in 0.. {
        let mut due = pin!(tokio::time::sleep_until(start + rate.due(place)));
        loop {
            tokio::select! {
                biased;
                () = &mut due => break,
                Some(()) = waiting.next() => {}
            }
        }
        if waiting.len() >= MAX_WAITING {
            tally.skipped();
            continue;
        }
        tally.sent();
        let call = call(place);
        waiting.push(async move {
            // From now, not from when it was due: the timer ticks in milliseconds, and this future
            // waits for nothing but its own turn.
            let sent = time::now();
            let outcome = call.await;
            tally.finished(outcome, sent.elapsed());
        });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::demo::crm::{CrmSettings, FakeCrm};

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    fn traffic() -> Traffic {
        let settings = TrafficSettings {
            target: "http://127.0.0.1:1/data-action/customer-lookup".parse().unwrap(),
            header: "X-Genesys-Auth-Token".into(),
            token: "s3cret".into(),
            rate: rate("200/s"),
            customers: 5_000,
            chance: Chance::Random,
        };
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        #[expect(clippy::disallowed_methods, reason = "a stranger's client, which is never called")]
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build();
        Traffic::new(client.unwrap(), settings)
    }

    const OK: Outcome = Outcome::Answered { status: 200, source: None };

    #[tokio::test(start_paused = true)]
    async fn calls_arrive_on_time_although_none_is_ever_answered() {
        let (start, arrivals, tally) = (time::now(), RefCell::new(vec![]), Tally::default());
        let call = |place| {
            arrivals.borrow_mut().push((place, start.elapsed()));
            std::future::pending()
        };
        let calls = drive(rate("200/s"), &tally, call);
        let _ = tokio::time::timeout(Duration::from_millis(999), calls).await;
        let expected: Vec<_> = (0..200).map(|n| (n, Duration::from_millis(5 * n))).collect();
        assert_eq!(*arrivals.borrow(), expected);
        assert!(tally.line(rate("200/s")).ends_with("waiting 200"));
    }

    #[tokio::test(start_paused = true)]
    async fn arrivals_beyond_the_cap_are_counted_and_not_sent() {
        let tally = Tally::default();
        let calls = drive(rate("12000/s"), &tally, |_| std::future::pending());
        let _ = tokio::time::timeout(Duration::from_millis(1_000), calls).await;
        let line = tally.line(rate("12000/s"));
        assert!(line.contains("  not sent ") && line.ends_with("  waiting 10,000"), "{line}");
    }

    #[tokio::test(start_paused = true)]
    async fn percentiles_look_back_one_second() {
        let tally = Tally::default();
        let call = |place| async move {
            tokio::time::sleep(Duration::from_millis(if place < 100 { 900 } else { 20 })).await;
            OK
        };
        let calls = drive(rate("100/s"), &tally, call);
        let _ = tokio::time::timeout(Duration::from_millis(1_855), calls).await;
        assert_eq!(
            tally.line(rate("100/s")),
            "100/s  200 180  404 0  503 0  p50 900 ms  p99 900 ms  waiting 6"
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(tally.line(rate("100/s")).contains("p50 -  p99 -"));
    }

    #[test]
    fn few_customers_call_often_and_a_few_were_never_seen() {
        let traffic = traffic();
        let asked: Vec<_> = (0..10_000).map(|place| traffic.customer(place)).collect();
        let unseen: Vec<_> = asked.iter().filter(|id| **id > 5_000).copied().collect();
        assert_eq!(unseen, (5_001..=5_100).collect::<Vec<_>>());
        let first_ten = asked.iter().filter(|id| **id <= 10).count();
        assert!((2_300..3_300).contains(&first_ten), "{first_ten}");
        assert_eq!((popular(5_000, 0.0), popular(5_000, 0.999_999)), (1, 5_000));
    }

    #[tokio::test]
    async fn a_call_carries_the_token_and_a_customer() {
        let any = "127.0.0.1:0".parse().unwrap();
        let crm = FakeCrm::start(any, CrmSettings::default()).await.unwrap();
        let mut traffic = traffic();
        traffic.settings.target = format!("{}/calls", crm.site.url()).parse().unwrap();
        let (stop, mut out) = (CancellationToken::new(), Vec::new());
        let run = traffic.run(stop.clone(), &mut out, Screen::Plain);
        let watch = async {
            crm.site.until(|counts| counts.requests >= 3).await;
            stop.cancel();
        };
        let (result, ()) = tokio::join!(run, watch);
        result.unwrap();
        let request = &crm.site.seen()[0].request;
        assert_eq!(request.header("x-genesys-auth-token"), Some("s3cret"));
        assert!(request.json().unwrap()["data"]["customer_id"].is_u64());
        assert!(String::from_utf8(out).unwrap().starts_with("200/s  200 0  "));
        crm.site.stop().await;
    }

    #[test]
    fn the_token_is_not_shown() {
        assert!(!format!("{:?}", traffic()).contains("s3cret"));
    }
}
