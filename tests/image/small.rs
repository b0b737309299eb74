//! The hard one: the demo in 64 MiB with everything else taken away, its cache filled to its bound, and
//! then a minute of calls.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::try_join_all;
use holdline::time;

use crate::{
    container::{Container, LIMIT, Order},
    form::Claim,
    image::Image,
    scrape::Scrape,
    wire::Line,
    world::{free, look_up, ready},
};

/// Calls a second that the demo makes by itself.
const RATE: u64 = 200;
/// Calls a second that fill the cache: with the demo's own, below the limit of its one caller.
const FILLING: f64 = 700.0;
/// Callers that fill it.
const FILLERS: u64 = 16;
/// More customers than its cache can hold.
const CUSTOMERS: u64 = 100_000;
/// How long a cache may take to fill.
const FULL: Duration = Duration::from_secs(150);

/// Runs it; `minute` is how long calls go on once the cache is full.
///
/// # Errors
/// It does not start, or what measures it fails.
pub(crate) async fn holds(image: &Image, minute: Duration) -> io::Result<Vec<Claim>> {
    let [calls, probes, admin, faults] = free()?;
    let addresses = [calls, probes, admin, faults].map(|it| it.to_string());
    let (rate, customers) = (format!("{RATE}/s"), CUSTOMERS.to_string());
    let args = ["demo", "--traffic", &rate, "--customers", &customers];
    let flags = ["--listen", "--probes", "--admin", "--faults"];
    let flags = flags.iter().zip(&addresses).flat_map(|(flag, it)| [*flag, it.as_str()]);
    let args: Vec<&str> = args.into_iter().chain(flags).collect();
    let env = [("HOLDLINE_PROBES", addresses[1].as_str())];
    let order = Order { args: &args, env: &env, ..Order::default() };
    let mut container = Container::start(image, &order)?;
    ready(&mut container, probes).await?;
    let process = container.process();

    let filled = fill(calls, probes).await?;
    let full = Scrape::of(probes).await?;
    let (bytes, bound) =
        (full.sum("holdline_cache_bytes", &[]), full.sum("holdline_cache_capacity_bytes", &[]));
    let dropped = full.sum("holdline_cache_evictions_total", &[r#"cause="size""#]);
    let mut claims = vec![Claim::new(
        bound > 0.0 && bound <= LIMIT as f64 / 4.0 && bytes >= 0.95 * bound && dropped > 0.0,
        format!(
            "its cache is full: {:.1} of {:.1} MiB in {:.0} entries, {dropped:.0} had to go, after \
             {:.0} s",
            bytes / MIB,
            bound / MIB,
            full.sum("holdline_cache_entries", &[]),
            filled.as_secs_f64()
        ),
    )];
    let before = container.memory()?;
    tokio::time::sleep(minute).await;
    let after = container.memory()?;
    let served = served(&Scrape::of(probes).await?, &full);
    let least = RATE as f64 * minute.as_secs_f64() * 0.95;
    claims.push(Claim::new(
        served.all >= least && served.failed == 0.0,
        format!(
            "then {:.0} calls in {:.0} s, {:.0} of them answered neither 200 nor 404",
            served.all,
            minute.as_secs_f64(),
            served.failed
        ),
    ));
    let healthy = container.within(&["/holdline", "probe", "--ready"])?;
    claims.push(Claim::new(healthy == Some(0), format!("its HEALTHCHECK ends with {healthy:?}")));
    let same = process.is_some() && container.process() == process;
    let most = after.most as f64 / MIB;
    claims.push(Claim::new(
        same && after.killed == 0 && after.most <= LIMIT,
        format!(
            "it had at most {most:.1} of {} MiB, pages of files among them; {:.1} MiB of its own \
             when the cache was full, {:.1} MiB at the end; {} met the limit, {} killed",
            LIMIT >> 20,
            before.anonymous as f64 / MIB,
            after.anonymous as f64 / MIB,
            after.met,
            after.killed
        ),
    ));
    let code = container.terminated().await?;
    let [out, err] = container.wrote();
    let last = out.lines().last().unwrap_or_default();
    claims.push(Claim::new(code == Some(0) && err.is_empty(), format!("SIGTERM: {code:?} {err}")));
    let line = line_is_clean(last);
    claims.push(Claim::new(line, format!("its callers say from first to last: {last}")));
    Ok(claims)
}

const MIB: f64 = (1 << 20) as f64;

/// Calls that were answered since, and those of them that were not answered as they should be.
struct Served {
    all: f64,
    failed: f64,
}

fn served(now: &Scrape, before: &Scrape) -> Served {
    let metric = "http_server_request_duration_seconds_count";
    let count = |labels: &[&str]| now.since(before, metric, labels);
    let status = |code| count(&[code]);
    let all = count(&[]);
    let good =
        status(r#"http_response_status_code="200""#) + status(r#"http_response_status_code="404""#);
    Served { all, failed: all - good }
}

/// Whether only 200 and 404 were answered, all calls were sent and all answered.
fn line_is_clean(line: &str) -> bool {
    let mut fields = line.split("  ").skip(1);
    line.starts_with(&format!("{RATE}/s  "))
        && fields.all(|field| {
            let (name, count) = field.rsplit_once(' ').unwrap_or((field, "0"));
            let fault = name.parse().is_ok_and(|status: u16| status != 200 && status != 404)
                || name == "no answer"
                || name == "not sent";
            !fault || count == "0"
        })
}

/// Asks for one customer after another until the cache drops some for want of room.
async fn fill(calls: SocketAddr, probes: SocketAddr) -> io::Result<Duration> {
    let began = time::now();
    let next = AtomicU64::new(0);
    let full = AtomicU64::new(0);
    let fillers = (0..FILLERS).map(async |_| {
        let mut line = Line::open(calls).await?;
        while full.load(Ordering::Relaxed) == 0 {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= CUSTOMERS {
                break;
            }
            let due = began + Duration::from_secs_f64(place as f64 / FILLING);
            tokio::time::sleep_until(due).await;
            // From the last one on: the demo's own callers begin with the first.
            let reply = look_up(&mut line, CUSTOMERS - place).await?;
            if reply.status() != 200 {
                let text = String::from_utf8_lossy(&reply.body).into_owned();
                return Err(io::Error::other(format!("filling: {} {text}", reply.status())));
            }
        }
        Ok(())
    });
    let watch = async {
        while began.elapsed() < FULL {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let seen = Scrape::of(probes).await?;
            if seen.sum("holdline_cache_evictions_total", &[r#"cause="size""#]) > 0.0 {
                break;
            }
        }
        full.store(1, Ordering::Relaxed);
        Ok(())
    };
    futures_util::future::try_join(try_join_all(fillers), watch).await?;
    Ok(began.elapsed())
}
