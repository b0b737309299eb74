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
/// The part of the limit that its own memory may come to: the kernel would keep it below the whole in any case.
const OWN: f64 = 0.9;
/// How long a cache may take to fill.
const FULL: Duration = Duration::from_secs(150);

/// Runs it; `minute` is how long calls go on once the cache is full.
///
/// # Errors
/// It does not start, or what measures it fails.
pub(crate) async fn holds(image: &Image, minute: Duration) -> io::Result<Vec<Claim>> {
    let (mut container, calls, probes) = start(image)?;
    ready(&mut container, probes).await?;
    let pid = container.pid();
    let took = fill(calls, probes).await?;
    let full = Scrape::of(probes).await?;
    let before = container.memory()?;
    tokio::time::sleep(minute).await;
    let after = container.memory()?;
    let later = Scrape::of(probes).await?;
    let healthy = container.within(&["/holdline", "probe", "--ready"])?;
    let same = pid.is_some() && container.pid() == pid;
    let code = container.terminated().await?;
    let [out, err] = container.wrote();
    let last = out.lines().last().unwrap_or_default();
    let own = before.anonymous.max(after.anonymous);
    Ok(vec![
        is_full(&full, took),
        was_answered(&full, &later, minute),
        Claim::new(healthy == Some(0), format!("its HEALTHCHECK ends with {healthy:?}")),
        Claim::new(
            same && after.killed == 0 && own as f64 <= OWN * LIMIT as f64,
            format!(
                "it had at most {:.1} of {} MiB, files among them; {:.1} MiB of its own when the cache \
                 was full, {:.1} MiB at the end, wanted {OWN} of the limit; {} times it met the limit, {} processes were killed",
                after.most as f64 / MIB,
                LIMIT >> 20,
                before.anonymous as f64 / MIB,
                after.anonymous as f64 / MIB,
                after.met,
                after.killed
            ),
        ),
        Claim::new(
            code == Some(0) && err.is_empty(),
            format!("SIGTERM ends it with {code:?} {err}"),
        ),
        Claim::new(line_is_clean(last), format!("its callers say from first to last: {last}")),
    ])
}

/// The demo with its own callers, where it is called and where it is probed.
fn start(image: &Image) -> io::Result<(Container, SocketAddr, SocketAddr)> {
    let [calls, probes, admin, faults] = free()?;
    let addresses = [calls, probes, admin, faults].map(|it| it.to_string());
    let (rate, customers) = (format!("{RATE}/s"), CUSTOMERS.to_string());
    let flags = ["--listen", "--probes", "--admin", "--faults"];
    let flags = flags.iter().zip(&addresses).flat_map(|(flag, it)| [*flag, it.as_str()]);
    let args = ["demo", "--traffic", &rate, "--customers", &customers];
    let args: Vec<&str> = args.into_iter().chain(flags).collect();
    // For the HEALTHCHECK.
    let env = [("HOLDLINE_PROBES", addresses[1].as_str())];
    let order = Order { args: &args, env: &env, ..Order::default() };
    Ok((Container::start(image, &order)?, calls, probes))
}

fn is_full(seen: &Scrape, took: Duration) -> Claim {
    let bytes = seen.sum("holdline_cache_bytes", &[]);
    let bound = seen.sum("holdline_cache_capacity_bytes", &[]);
    let dropped = seen.sum("holdline_cache_evictions_total", &[r#"cause="size""#]);
    Claim::new(
        bound > 0.0 && bound <= LIMIT as f64 / 4.0 && bytes >= 0.95 * bound && dropped > 0.0,
        format!(
            "its cache is full after {:.0} s: {:.1} of {:.1} MiB in {:.0} entries, {dropped:.0} had to go",
            took.as_secs_f64(),
            bytes / MIB,
            bound / MIB,
            seen.sum("holdline_cache_entries", &[])
        ),
    )
}

fn was_answered(before: &Scrape, after: &Scrape, minute: Duration) -> Claim {
    let metric = "http_server_request_duration_seconds_count";
    let with = |status: u16| {
        let label = format!("http_response_status_code=\"{status}\"");
        after.since(before, metric, &[&label])
    };
    let all = after.since(before, metric, &[]);
    let other = all - with(200) - with(404);
    let (minute, least) = (minute.as_secs_f64(), RATE as f64 * minute.as_secs_f64() * 0.95);
    Claim::new(
        all >= least && other == 0.0,
        format!("then {all:.0} calls in {minute:.0} s, {other:.0} of them not answered 200 or 404"),
    )
}

const MIB: f64 = (1 << 20) as f64;

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
