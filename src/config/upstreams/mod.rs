//! `upstreams`: the systems behind us, and how they are treated.

mod auth;

use std::{num::NonZeroU32, time::Duration};

use http::{HeaderName, HeaderValue, header};
use url::Url;

use crate::{
    catalog::{
        credential::Credential,
        name::Name,
        policy::{
            BreakerPolicy, BudgetPolicy, ConcurrencyLimit, ConcurrencyPolicy, HedgePolicy,
            QuotaPolicy, RetryOn, RetryPolicy, SlowPolicy, Timeouts,
        },
        upstream::{Pool, Upstream, Way},
    },
    config::{
        hosts::warn_of_plain_http,
        nearest::write_one_of,
        secrets,
        section::{Section, Value},
        tls,
        values::{self, base_url, bytes, count, duration, flag, header_name, rate, ratio, span},
    },
};

/// More at once is no quota.
const LARGEST_BURST: u64 = 10_000_000;

/// One system behind us.
pub(super) fn upstream(name: Name, section: &Section<'_>) -> Option<Upstream> {
    let base_url = section.required("base_url", "write it like https://crm.example.com", |value| {
        let url = base_url(value)?;
        warn_of_plain_http(value, &url);
        Some(url)
    });
    let way = way(section, base_url.as_ref());
    let auth = section.read("auth", Credential::None, auth::auth);
    let headers = section.read("headers", Vec::new(), headers);
    let timeouts = timeouts(&section.section("timeouts"));
    let retry = retry(&section.section("retry"));
    let concurrency = concurrency(&section.section("concurrency"));
    let turn = concurrency.map(|concurrency| concurrency.wait);
    let breaker = breaker(&section.section("breaker"), timeouts, turn);
    let quota = section.optional("quota", |value| quota(&value.section()));
    let hedge = hedge(&section.section("hedge"), retry.as_ref());
    let pool = pool(&section.section("pool"));
    let max_reply = section.read("max_reply", 2 << 20, bytes);
    let propagate_trace = section.read("propagate_trace", false, flag);
    let header = auth.as_ref().and_then(Credential::header);
    if let (Some(header), Some(headers), Some(retry)) = (header, &headers, &retry) {
        auth::refuse_beside(section, header, headers, retry.idempotency_key.as_ref());
    }
    section.finish()?;
    Some(Upstream {
        name,
        base_url: base_url?,
        way: way?,
        headers: headers?,
        credential: auth?,
        timeouts: timeouts?,
        retry: retry?,
        breaker: breaker?,
        concurrency: concurrency?,
        quota: quota?,
        hedge: hedge?,
        pool: pool?,
        max_reply: max_reply?,
        propagate_trace: propagate_trace?,
    })
}

/// `tls` and `proxy`.
fn way(section: &Section<'_>, base_url: Option<&Url>) -> Option<Way> {
    let written = section.value("tls");
    let tls = written.as_ref().map_or(Some((None, None)), |value| tls::upstream(&value.section()));
    let proxy = section.optional("proxy", proxy);
    if let (Some(value), Some(url)) = (&written, base_url)
        && url.scheme() == "http"
    {
        let what = "means nothing: base_url is plain http";
        value.refuse_key(what, "write https:// in base_url, or remove it");
        return None;
    }
    let ((roots, identity), proxy) = (tls?, proxy?);
    Some(Way { roots, identity, proxy })
}

/// The address of an HTTP proxy, which is spoken to in clear text and without credentials.
fn proxy(value: &Value<'_>) -> Option<Url> {
    const INSTEAD: &str = "write it like http://egress:3128";
    let text = value.plain("must be the address of an HTTP proxy", INSTEAD)?;
    let url = Url::parse(text).ok().filter(|url| text.starts_with("http://") && url.has_host());
    let Some(url) = url else {
        value.refuse("must be an address that begins with http://", INSTEAD);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        let what = "has a user or password in it, which would be sent in the clear";
        value.refuse(what, "let the proxy know this machine by its address");
        return None;
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        value.refuse("has more than a host and a port", INSTEAD);
        return None;
    }
    Some(url)
}

fn headers(value: &Value<'_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let section = value.section();
    let mut names: Vec<HeaderName> = Vec::new();
    let mut read = Vec::new();
    for (text, value) in section.entries() {
        let name = header_name(text).map_err(|what| {
            value.refuse_key(what, "write another name, or remove it");
        });
        let name = name.ok().filter(|name| {
            let first = !names.contains(name);
            if !first {
                value.refuse_key("is the same header as one above", "keep one");
            }
            first
        });
        names.extend(name.clone());
        let content = header_value(&value, name.as_ref());
        read.push(name.zip(content));
    }
    section.finish_open()?;
    read.into_iter().collect()
}

/// Where credentials stand by the standards: never fingerprinted, never written out in the file.
pub(super) fn holds_credentials(name: &HeaderName) -> bool {
    [header::AUTHORIZATION, header::COOKIE].contains(name)
}

fn header_value(value: &Value<'_>, name: Option<&HeaderName>) -> Option<HeaderValue> {
    let scalar = value.scalar("must be the value of a header", "write one line of text")?;
    if name.is_some_and(|name| holds_credentials(name) || secrets::is_name_of_one(name.as_str())) {
        secrets::marked(value, scalar);
    }
    let visible = scalar.text.bytes().all(|c| c == b' ' || c.is_ascii_graphic());
    let content = HeaderValue::from_str(&scalar.text).ok().filter(|_| visible);
    let Some(mut content) = content else {
        value.refuse("must be visible ASCII on one line", "write another value");
        return None;
    };
    content.set_sensitive(scalar.secret.get() || scalar.expanded);
    Some(content)
}

/// How long it may take. What is told of them is told once, however often they are read.
pub(super) fn timeouts(section: &Section<'_>) -> Option<Timeouts> {
    let connect = section.read("connect", Duration::from_secs(1), span);
    let attempt = section.read("attempt", Duration::from_secs(2), span);
    section.finish()?;
    let (connect, attempt) = (connect?, attempt?);
    if connect > attempt {
        let at = section.value("connect").or_else(|| section.value("attempt"))?;
        let what = format!(
            "connecting may take {}, the whole attempt only {}",
            humantime::format_duration(connect),
            humantime::format_duration(attempt)
        );
        at.refuse(what, "write a connect that is not above attempt");
    }
    Some(Timeouts { connect, attempt })
}

fn retry(section: &Section<'_>) -> Option<RetryPolicy> {
    let attempts = section.read("attempts", 3, |value| count(value, 1, 10));
    let usual = [RetryOn::Connect, RetryOn::Reset, RetryOn::Timeout];
    let usual = usual.into_iter().chain([408, 502, 503, 504].map(RetryOn::Status)).collect();
    let on = section.read("on", usual, |value| value.list("write a list of causes", retry_on));
    let backoff = section.section("backoff");
    let wait = rising(&backoff, Duration::from_millis(50), Duration::from_secs(1));
    let wait = backoff.finish().and(wait);
    let budget = budget(&section.section("budget"));
    let idempotency_key = section.optional("idempotency_key", |value| {
        let (name, _) = values::header(value)?;
        Some(name)
    });
    section.finish()?;
    let (first, max) = wait?;
    Some(RetryPolicy {
        attempts: attempts?,
        on: on?,
        first,
        max,
        budget: budget?,
        idempotency_key: idempotency_key?,
    })
}

fn retry_on(value: &Value<'_>) -> Option<RetryOn> {
    const CAUSES: [&str; 8] = ["connect", "reset", "timeout", "408", "500", "502", "503", "504"];
    let text = value.plain("must be one cause", &write_one_of("", CAUSES))?;
    match text {
        "connect" => Some(RetryOn::Connect),
        "reset" => Some(RetryOn::Reset),
        "timeout" => Some(RetryOn::Timeout),
        "408" | "500" | "502" | "503" | "504" => text.parse().ok().map(RetryOn::Status),
        "429" => {
            value.refuse("429 is repeated by its Retry-After only", "remove it");
            None
        }
        _ => {
            value.refuse(
                format!("{} is no cause to repeat", value.shown(text)),
                value.one_of(text, CAUSES),
            );
            None
        }
    }
}

/// `first` and `max` of something that doubles.
fn rising(section: &Section<'_>, first: Duration, max: Duration) -> Option<(Duration, Duration)> {
    let first = section.read("first", first, span);
    let max = section.read("max", max, span);
    let (first, max) = (first?, max?);
    if first > max {
        let at = section.value("first").or_else(|| section.value("max"))?;
        at.refuse("first is above max", "write a first that is not above max");
    }
    Some((first, max))
}

fn budget(section: &Section<'_>) -> Option<BudgetPolicy> {
    let share = section.read("ratio", 0.2, |value| ratio(value, 0.0, 1.0));
    let per_second = section.read("per_second", 1.0, |value| ratio(value, 0.0, 1000.0));
    let window = section.read("window", Duration::from_secs(10), span);
    section.finish()?;
    Some(BudgetPolicy { ratio: share?, per_second: per_second?, window: window? })
}

fn breaker(
    section: &Section<'_>,
    timeouts: Option<Timeouts>,
    turn: Option<Duration>,
) -> Option<BreakerPolicy> {
    const MOST: u64 = 1_000_000;
    let runs = |value: &Value<'_>| count(value, 1, MOST);
    let enabled = section.read("enabled", true, flag);
    let failure_ratio = section.read("failure_ratio", 0.5, |value| ratio(value, 0.01, 1.0));
    let min_attempts = section.read("min_attempts", 20, runs);
    let window = section.read("window", Duration::from_secs(10), span);
    let run = section.read("run", 7, runs);
    let connect_run = section.read("connect_run", 5, runs);
    let open = section.section("open");
    let rest = rising(&open, Duration::from_secs(2), Duration::from_secs(60));
    let rest = open.finish().and(rest);
    let close_after = section.read("close_after", 3, runs);
    let ramp = section.read("ramp", Duration::from_secs(10), duration);
    let slow = section.optional("slow", |value| slow(value, timeouts));
    section.finish()?;
    let (timeouts, turn) = (timeouts?, turn?);
    let (open_first, open_max) = rest?;
    Some(BreakerPolicy {
        enabled: enabled?,
        failure_ratio: failure_ratio?,
        min_attempts: min_attempts?,
        window: window?,
        run: run?,
        connect_run: connect_run?,
        open_first,
        open_max,
        close_after: close_after?,
        ramp: ramp?,
        slow: slow?,
        // A probe waits until its upstream may be asked, then for its turn, then makes its attempt.
        // One that is still silent a second after that must have ended is lost.
        lease: turn * 2 + timeouts.attempt + Duration::from_secs(1),
    })
}

/// When slowness counts as failing.
fn slow(value: &Value<'_>, timeouts: Option<Timeouts>) -> Option<SlowPolicy> {
    let section = value.section();
    let after = section.required("after", "write what is slow, such as 1s", span);
    let share = section.read("ratio", 0.8, |value| ratio(value, 0.01, 1.0));
    section.finish()?;
    let (after, share) = (after?, share?);
    if let Some(timeouts) = timeouts
        && after >= timeouts.attempt
    {
        let at = section.value("after")?;
        let attempt = humantime::format_duration(timeouts.attempt);
        let what = format!("is not below the attempt time-out, {attempt}: nothing would be slow");
        at.refuse(what, "write a shorter time");
        return None;
    }
    Some(SlowPolicy { after, ratio: share })
}

fn concurrency(section: &Section<'_>) -> Option<ConcurrencyPolicy> {
    let fixed = section.read("limit", None, |value| {
        if value.plain("must be adaptive or a number", "write adaptive or a number")? == "adaptive"
        {
            return Some(None);
        }
        attempts(value).map(Some)
    });
    let bounds = ["start", "min", "max"].map(|key| section.optional(key, attempts));
    let wait = section.read("wait", Duration::from_millis(100), duration);
    let written = ["start", "min", "max"].map(|key| section.value(key));
    section.finish()?;
    let limit = match fixed? {
        Some(fixed) => {
            for value in written.iter().flatten() {
                value.refuse_key("means nothing beside a fixed limit", "remove it");
            }
            written.iter().all(Option::is_none).then_some(ConcurrencyLimit::Fixed(fixed))
        }
        None => adaptive(bounds, &written),
    };
    Some(ConcurrencyPolicy { limit: limit?, wait: wait? })
}

/// `start`, `min` and `max`; one that is not written keeps to those that are.
fn adaptive(
    [start, min, max]: [Option<Option<u32>>; 3],
    written: &[Option<Value<'_>>; 3],
) -> Option<ConcurrencyLimit> {
    let (start, min, max) = (start?, min?, max?);
    let most = max.unwrap_or_else(|| 200.max(min.unwrap_or(0)).max(start.unwrap_or(0)));
    let least = min.unwrap_or_else(|| 4.min(most).min(start.unwrap_or(4)));
    let begin = start.unwrap_or_else(|| 20.clamp(least.min(most), most));
    if least <= begin && begin <= most {
        return Some(ConcurrencyLimit::Adaptive { start: begin, min: least, max: most });
    }
    let at = written.iter().flatten().next()?;
    at.refuse("min, start and max must rise in this order", "write min <= start <= max");
    None
}

fn attempts(value: &Value<'_>) -> Option<u32> {
    count(value, 1, 100_000)
}

fn quota(section: &Section<'_>) -> Option<QuotaPolicy> {
    let period = section.required("rate", "write attempts per second or minute, like 100/s", rate);
    let burst = section.required("burst", "write how many may pass at once, like 100", |value| {
        count(value, 1, LARGEST_BURST).and_then(NonZeroU32::new)
    });
    section.finish()?;
    Some(QuotaPolicy { period: period?, burst: burst? })
}

fn hedge(section: &Section<'_>, retry: Option<&RetryPolicy>) -> Option<Option<HedgePolicy>> {
    let enabled = section.read("enabled", false, flag);
    let quantile = section.read("after", 0.95, |value| {
        const INSTEAD: &str = "write p50 to p99, such as p95";
        let text = value.plain("must be a percentile", INSTEAD)?;
        let percent = text.strip_prefix('p').and_then(|digits| digits.parse::<u8>().ok());
        let Some(percent) = percent.filter(|percent| (50..=99).contains(percent)) else {
            let what = format!("{} is no percentile from p50 to p99", value.shown(text));
            value.refuse(what, INSTEAD);
            return None;
        };
        Some(f64::from(percent) / 100.0)
    });
    let budget = section.read("budget", 0.02, |value| ratio(value, 0.001, 1.0));
    if enabled == Some(true) && retry.is_some_and(|retry| retry.attempts == 1) {
        let at = section.value("enabled");
        let what = "no hedge is ever sent: hedges count among retry.attempts, which is 1";
        at.iter().for_each(|at| at.warn(what, "write `retry.attempts: 2` or more, or remove it"));
    }
    section.finish()?;
    let policy = HedgePolicy { quantile: quantile?, budget: budget? };
    Some(enabled?.then_some(policy))
}

fn pool(section: &Section<'_>) -> Option<Pool> {
    let idle = section.read("idle", 64, |value| count(value, 0, 10_000));
    let idle_timeout = section.read("idle_timeout", Duration::from_secs(4), span);
    section.finish()?;
    Some(Pool { idle: idle?, idle_timeout: idle_timeout? })
}
