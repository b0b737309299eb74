//! The upstream of an action: how it is treated, and what its troubles cost.

use crate::{
    catalog::{
        credential::Credential,
        policy::{BreakerPolicy, ConcurrencyLimit, ConcurrencyPolicy, RetryOn},
        worst_case::{self, Course, Trouble},
    },
    cli::explain::{
        View,
        page::Page,
        words::{count, host, list, number, percent, rate, span, tenths},
    },
};

/// Data actions that Genesys Cloud runs at once for one organisation.
const SLOTS: f64 = 50.0;
/// Calls a second by which slots are told: what a busy line makes.
pub(super) const CALLS: f64 = 10.0;
/// Calls a second by which budgets are told.
const MANY_CALLS: f64 = 200.0;

/// How it is treated.
pub(super) fn explain(view: &View<'_>, page: &mut Page) {
    let upstream = view.upstream;
    let url = &upstream.base_url;
    let (scheme, host) = (url.scheme(), host(url));
    page.heading(&format!("THE UPSTREAM {} ({scheme}://{host})", upstream.name));
    page.row("Credential", &credential(view));
    let timeouts = upstream.timeouts;
    page.row(
        "One attempt",
        &format!(
            "At most {}, of which {} to connect.",
            span(timeouts.attempt),
            span(timeouts.connect)
        ),
    );
    repeats(view, page);
    page.row("Hedging", &hedging(view));
    page.row("At once", &at_once(upstream.concurrency));
    page.row(
        "Quota",
        &upstream.quota.map_or_else(
            || "None: every attempt may be sent.".to_owned(),
            |quota| {
                let attempts = rate(quota.period, "attempts");
                format!("{attempts}, {} at once; what is beyond is not sent.", quota.burst)
            },
        ),
    );
    page.row("Breaker", &breaker(&upstream.breaker));
}

/// By what it knows us. Names of users and clients are left out: they may stand in secret files.
fn credential(view: &View<'_>) -> String {
    let upstream = view.upstream;
    match &upstream.credential {
        Credential::None if upstream.headers.iter().any(|(_, value)| value.is_sensitive()) => {
            "Whatever its `headers` hold: one of them is secret.".to_owned()
        }
        Credential::None => "None: it is asked as anybody may ask.".to_owned(),
        Credential::Bearer { .. } => "A token in Authorization, always the same.".to_owned(),
        Credential::Basic { .. } => "A user and a password in Authorization (Basic).".to_owned(),
        Credential::Header { name, .. } => format!("A secret in the header {name}."),
        Credential::OAuth2(ours) => {
            let host = host(&ours.token_url);
            let scope =
                ours.scope.as_ref().map_or_else(String::new, |it| format!(", scope `{it}`"));
            format!(
                "A token that {host} issues to us (OAuth 2, client credentials{scope}): asked for \
                 with the first call, renewed when four fifths of its time are over. One that is \
                 answered with 401 is dropped, and the attempt is made once more with another."
            )
        }
    }
}

fn repeats(view: &View<'_>, page: &mut Page) {
    let (retry, safe) = (&view.upstream.retry, view.action.safe);
    if retry.attempts <= 1 {
        return page.row("Repeats", "Never: one attempt a call.");
    }
    let mut causes: Vec<String> = retry.on.iter().map(|cause| cause_text(*cause)).collect();
    causes.push("429 with a Retry-After".to_owned());
    let mut text = format!(
        "Up to {} in all: again after {}.",
        count(retry.attempts, "attempt"),
        list(&causes, "or"),
    );
    if !safe {
        text.push_str(match &retry.idempotency_key {
            Some(_) => {
                " It changes something; each request carries a key by which repeats are known."
            }
            None => " It changes something, so only what provably was not sent is repeated.",
        });
    }
    page.row("Repeats", &text);
    let pauses: Vec<String> =
        (1..retry.attempts.min(4)).map(|attempt| span(retry.ceiling(attempt))).collect();
    let mut text = format!("A random part of {}", pauses.join(", then of "));
    if retry.attempts > 4 {
        text.push_str(&format!(", doubling up to {}", span(retry.max)));
    }
    page.row("Pauses", &format!("{text}."));
    let budget = retry.budget;
    let repeats = number(budget.ratio * MANY_CALLS + budget.per_second);
    page.row(
        "Budget",
        &format!(
            "All calls to {} together: {} of their number and {} a second, counted over {}. At \
             {MANY_CALLS} calls/s at most {repeats} repeats a second.",
            view.upstream.name,
            percent(budget.ratio),
            number(budget.per_second),
            span(budget.window),
        ),
    );
}

fn cause_text(cause: RetryOn) -> String {
    match cause {
        RetryOn::Connect => "no connection".to_owned(),
        RetryOn::Reset => "a broken connection".to_owned(),
        RetryOn::Timeout => "a time-out".to_owned(),
        RetryOn::Status(status) => status.to_string(),
    }
}

fn hedging(view: &View<'_>) -> String {
    match view.upstream.hedge {
        None => "Off: no second attempt beside one that is late.".to_owned(),
        Some(_) if !view.action.safe => "Never: it changes something.".to_owned(),
        Some(_) if !view.fetch.hedged => "Never: it would be a second attempt.".to_owned(),
        Some(policy) => format!(
            "A second attempt beside one that is later than {} of the recent ones; at most {} of \
             all, out of the budget of repeats. It is one of the {} of a call.",
            percent(policy.quantile),
            percent(policy.budget),
            count(view.upstream.retry.attempts, "attempt"),
        ),
    }
}

fn at_once(policy: ConcurrencyPolicy) -> String {
    let wait = span(policy.wait);
    match policy.limit {
        ConcurrencyLimit::Fixed(most) => {
            format!("At most {}. One waits at most {wait} for its turn.", count(most, "attempt"))
        }
        ConcurrencyLimit::Adaptive { start, min, max } => format!(
            "{} at first, then between {min} and {max}: as many as it takes without slowing \
             down. One waits at most {wait} for its turn.",
            count(start, "attempt"),
        ),
    }
}

fn breaker(policy: &BreakerPolicy) -> String {
    if !policy.enabled {
        return "Off: it is asked however often it fails.".to_owned();
    }
    let slow = policy.slow.map_or_else(String::new, |slow| {
        format!(", or {} were slower than {}", percent(slow.ratio), span(slow.after))
    });
    let ramp = if policy.ramp.is_zero() {
        String::new()
    } else {
        format!(", and lets all through {} after that", span(policy.ramp))
    };
    format!(
        "Opens after {} in a row, {} to connect in a row, or when {} of at least {} within {} \
         have failed{slow}. Rests {}, then twice as long each time, up to {} (± 50 %). Closes after \
         {}{ramp}.",
        count(policy.run, "failure"),
        count(policy.connect_run, "failure"),
        percent(policy.failure_ratio),
        count(policy.min_attempts, "attempt"),
        span(policy.window),
        span(policy.open_first),
        span(policy.open_max),
        count(policy.close_after, "good probe"),
    )
}

/// What its troubles cost.
pub(super) fn when_it_is_broken(view: &View<'_>, page: &mut Page) {
    let (name, fetch) = (&view.upstream.name, &view.fetch);
    page.heading(&format!(
        "WHEN {name} IS BROKEN (no answer is kept, the breaker has not opened yet)"
    ));
    let slots = format!("slots at {CALLS} calls/s");
    page.columns(["it", "attempts", "answered within", &slots]);
    for trouble in Trouble::ALL {
        let worst = fetch.worst(trouble);
        let least = fetch.course(trouble, 1.0).attempts;
        let most = worst.attempts;
        let attempts = if least == most { most.to_string() } else { format!("{least} to {most}") };
        let held = tenths(worst_case::held(CALLS, worst.takes));
        let held = format!("{held} of {SLOTS}");
        page.columns([trouble_text(trouble), &attempts, &span(worst.takes), &held]);
    }
    if view.upstream.breaker.enabled {
        page.columns(["rests (breaker open)", "0", "at once", "0"]);
    }
    page.row("These are", &these_are(view));
    let issued = matches!(view.upstream.credential, Credential::OAuth2(_));
    page.row(
        "Left out",
        &format!(
            "A Retry-After that is waited for, {}and the check of a token that is not yet known. \
             They too are part of the {} that a call takes at most.",
            if issued { "a token of ours where there is none, " } else { "" },
            span(fetch.patience),
        ),
    );
    let Course { takes, .. } = fetch.worst(Trouble::Hangs);
    let full = SLOTS / takes.as_secs_f64().max(f64::MIN_POSITIVE);
    page.row(
        "Slots",
        &format!(
            "Genesys Cloud runs {SLOTS} data actions at once for an organisation. While {name} \
             hangs, {} calls/s hold them all.",
            tenths(full),
        ),
    );
    page.row("Noticed", &noticed(view));
    let retry = &view.upstream.retry;
    let all = if retry.attempts > 1 {
        let (ratio, per_second) = (number(1.0 + retry.budget.ratio), retry.budget.per_second);
        format!("{ratio} for each and {} a second", number(per_second))
    } else {
        "one for each".to_owned()
    };
    page.row(
        "Load on it",
        &format!(
            "At most {} for one call{}; over all calls at most {all}.",
            count(fetch.most_attempts(), "attempt"),
            if issued { ", one more behind a 401" } else { "" },
        ),
    );
}

fn these_are(view: &View<'_>) -> String {
    let lines = if view.upstream.quota.is_some() { "for quota and turn" } else { "for a turn" };
    let hedges = if view.fetch.hedged { ", hedges among them" } else { "" };
    format!(
        "Attempts: how many fit with the longest and with the shortest pauses{hedges}. Times: \
         the longest, waits {lines} included.",
    )
}

fn trouble_text(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Refuses => "refuses connections",
        Trouble::Unavailable => "answers 503 at once",
        Trouble::Silent => "cannot be reached",
        Trouble::Hangs => "never answers",
    }
}

fn noticed(view: &View<'_>) -> String {
    let upstream = view.upstream;
    let at_once = match upstream.concurrency.limit {
        ConcurrencyLimit::Fixed(most) => most,
        ConcurrencyLimit::Adaptive { min, .. } => min,
    };
    let after = |trouble| {
        let failures = worst_case::failures_that_open(&upstream.breaker, trouble)?;
        worst_case::noticed_after(&view.fetch, trouble, failures, CALLS, at_once).map(span)
    };
    let (Some(refuses), Some(unavailable)) = (after(Trouble::Refuses), after(Trouble::Unavailable))
    else {
        return "Never: the breaker is off, and every call pays the whole time.".to_owned();
    };
    let open = format!(
        "At {CALLS} calls/s the breaker is open at the latest {refuses} after connections are \
         refused, {unavailable} after the first 503"
    );
    match after(Trouble::Hangs) {
        Some(hangs) => format!(
            "{open}, {hangs} after {} falls silent. From then on no call waits.",
            upstream.name
        ),
        None => format!(
            "{open}. From then on no call waits. When it falls silent there is no such bound: an \
             attempt that stood in line is cut short, which says nothing about {}.",
            upstream.name
        ),
    }
}
