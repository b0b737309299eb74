//! The overview: are callers happy, since when, which stage, which upstream, what to press. All of that
//! without scrolling; what is below tells more of the same.

use holdline::telemetry::metrics::{
    ATTEMPT_DURATION, BREAKER_OPENED, BREAKER_STATE, READY, REQUEST_DURATION, REQUESTS, RETRIES,
    UPSTREAM_CALLS,
};

use super::{
    dashboard::{Dashboard, to},
    details::below,
    kinds::{bars, lines, number, quantiles, stack, text},
    panel::Panel,
    parts::{breaker_lanes, breaker_state, failing, slots_held, time_by_stage, to_upstream},
    query::{Query, constant},
    rules::objectives,
    series::{buckets_of, count_of, foreign, of, recorded},
    table::{Look, Table},
    theme::{self, BURNING, FAILING, FULL, limits},
};

/// Its file.
pub(crate) fn file() -> (String, String) {
    let board = Dashboard::new(
        "holdline-overview",
        "Holdline / Overview",
        "Are callers happy, since when, which stage, which upstream, and what to press.",
    )
    .number(
        "slots",
        "Slots",
        &objectives::SLOTS.to_string(),
        "How many data actions the Genesys Cloud organisation runs at once.",
    );
    below(first_screen(board)).file("overview.json")
}

/// 23 units of 38 pixels: with 190 for Grafana's own head, variables and marks in two lines, it fits
/// into the height of 1080.
fn first_screen(board: Dashboard) -> Dashboard {
    board
        .line(
            4,
            vec![
                failing_now(),
                availability(),
                budget_left(),
                burn_rate(),
                fast_enough(),
                slots_filled(),
                alerts_firing(),
                replicas_ready(),
            ],
        )
        .line(5, vec![calls(), failing_over_time(), latency()])
        .line(
            6,
            vec![
                breaker_lanes(&of(&BREAKER_STATE)),
                failures(),
                time_by_stage("Where a call's time goes")
                    .leads("Stage by stage", &to("holdline-path", "")),
            ],
        )
        .line(8, vec![worst_upstreams(), alerts_since(), what_to_press()])
}

fn failing_now() -> Panel {
    number(
        "Failing now",
        "Do callers get failures now? The share of valid calls that fail, the caller's own \
         mistakes left out. Where it is red, a month's budget is gone in two days: look at the \
         failures below, by outcome.",
    )
    .unit("percentunit")
    .decimals(2)
    .limits(FAILING)
    .with_history()
    .shows(&failing(&[]), "failing")
}

/// The share of `part` in `whole` over the 30 days of a promise. Over so long a time only what was
/// recorded is summed up: all series of calls of a month are more than can be read each half minute.
fn over_month(part: &str, whole: &str) -> Query {
    let month = |name| recorded(name).gauge_over("sum_over_time", "30d").sum();
    month(part).ratio_of(&month(whole))
}

fn failed_over_month() -> Query {
    over_month("job:holdline_requests_failed:rate5m", "job:holdline_requests_valid:rate5m")
}

fn availability() -> Panel {
    number(
        "Availability, 30 days",
        "Is the promise of 99.9 % kept? Valid calls of 30 days that did not fail, out of the \
         recording rules. Below 99.9 %, changes that can wait should wait.",
    )
    .unit("percentunit")
    .decimals(3)
    .limits(limits(0.9995, objectives::AVAILABILITY))
    .or_says("no calls, or no rules")
    .tells(&failed_over_month().rest_of_one(), "availability")
}

fn budget_left() -> Panel {
    let spent = failed_over_month().and_number("/", &format!("(1 - {})", objectives::AVAILABILITY));
    number(
        "Error budget left",
        "How much may still fail in these 30 days? What is left of the 0.1 % of valid calls that \
         may fail, out of the recording rules. Below zero the promise is broken: find out what \
         spent it before anything new is rolled out.",
    )
    .unit("percentunit")
    .decimals(0)
    .limits(limits(0.5, 0.1))
    .or_says("no calls, or no rules")
    .tells(&spent.rest_of_one(), "left")
}

fn burn_rate() -> Panel {
    let burn = |window: &str| {
        let failing = recorded(&format!("job:holdline_request_errors:ratio_rate{window}"));
        failing.now().max_by(&[]).and_number("/", &format!("(1 - {})", objectives::AVAILABILITY))
    };
    number(
        "Budget burn rate",
        "How fast is the error budget spent? 1 spends it in exactly 30 days, 14.4 in two. The same \
         figures as in the alerts: above 14.4 in the last hour or 6 in the last six somebody is \
         called. A high hour beside low six began not long ago.",
    )
    .unit("short")
    .decimals(1)
    .limits(BURNING)
    .or_says("no calls, or no rules")
    .tells(&burn("1h"), "1 h")
    .tells(&burn("6h"), "6 h")
}

fn fast_enough() -> Panel {
    let slow =
        over_month("job:holdline_requests_slow:rate5m", "job:holdline_requests_answered:rate5m");
    number(
        "Within 1 s, 30 days",
        "Is the promise kept that 99 % of answers take a second at most? Out of the recording \
         rules. Where it is not, the request path shows which stage is slow.",
    )
    .unit("percentunit")
    .decimals(2)
    .limits(limits(0.995, objectives::LATENCY))
    .or_says("no calls, or no rules")
    .tells(&slow.rest_of_one(), "within 1 s")
}

fn slots_filled() -> Panel {
    let held = slots_held(&[]).and_number("/", "$slots");
    number(
        "Slots filled",
        "How near are we to filling the organisation's data action slots? What calls to Holdline \
         hold of them, by their own time; flows call other actions too. Above 70 % flows begin to \
         wait for each other: find the action that holds most, below.",
    )
    .unit("percentunit")
    .decimals(1)
    .limits(FULL)
    .with_history()
    .shows(&held, "filled")
}

fn alerts_firing() -> Panel {
    let firing = foreign("ALERTS").is("alertstate", "firing").now().count_by(&[]);
    number(
        "Alerts firing",
        "Does anything fire? Alerts of this job, of whatever severity, as Prometheus itself tells \
         (ALERTS). The table below names them.",
    )
    .decimals(0)
    .limits(limits(1.0, f64::INFINITY))
    .tells(&firing.or(&constant("0")), "firing")
}

fn replicas_ready() -> Panel {
    let ready = of(&READY).is("check", "lifecycle").now().sum().or(&constant("0"));
    let known = foreign("up").now().count_by(&[]);
    number(
        "Replicas ready",
        "Are all replicas in rotation? Those that say they are ready, of all that Prometheus \
         scrapes (up). Where one lacks for more than a rollout takes, the fleet below says which.",
    )
    .unit("percentunit")
    .decimals(0)
    .limits(limits(1.0, 0.5))
    .or_says("nothing is scraped")
    .tells(&ready.share_of(&known), "ready")
}

fn calls() -> Panel {
    stack(
        "Calls by class",
        "How many calls come, and how do they end? Degraded ones were answered from an old entry \
         or a fallback; rejected ones are the caller's own doing. None at all: look at the flow, \
         the ingress and DNS before the service.",
    )
    .unit("reqps")
    .shows(&of(&REQUESTS).rate().sum_by(&["class"]), "{{class}}")
}

fn failing_over_time() -> Panel {
    let stale = of(&REQUESTS).is("class", "degraded").rate().sum();
    let valid = of(&REQUESTS).other_than("class", "rejected").rate().sum();
    lines(
        "Failing and degraded",
        "Since when do calls fail? The share of valid calls that fail or are answered degraded. \
         The lines are what a month allows and what pages; a mark where it begins says what \
         changed.",
    )
    .unit("percentunit")
    .limits_drawn(FAILING)
    .painted("failing", "red")
    .painted("degraded", "yellow")
    .shows(&failing(&[]), "failing")
    .shows(&stale.share_of(&valid), "degraded")
}

fn latency() -> Panel {
    let waited = buckets_of(&REQUEST_DURATION).other_than("source", "none");
    quantiles(
        "Latency of answers",
        "How long do flows wait? Times of calls that were answered; the line is the promise of a \
         second. Where p99 alone is up, it is a part of the traffic: see the actions below.",
        &waited,
    )
    .limits_drawn(limits(1.0, f64::INFINITY))
}

fn failures() -> Panel {
    let failed = of(&REQUESTS).is("class", "failure").rate().sum_by(&["outcome"]).above("0");
    bars(
        "Failures by outcome",
        "Why do calls fail? upstream_* and breaker_open are the system behind us, auth_unavailable \
         is the token authority, deadline_exceeded is slowness, mapping_error a changed reply, \
         overloaded a lack of replicas.",
    )
    .unit("reqps")
    .or_says("no call fails")
    .shows(&failed, "{{outcome}}")
}

fn worst_upstreams() -> Panel {
    // Of fetches, not of attempts: an open breaker lets no attempt pass, and its window is empty.
    let failed = of(&UPSTREAM_CALLS).other_than("result", "success").rate().sum_by(&["upstream"]);
    let fetched = of(&UPSTREAM_CALLS).rate().sum_by(&["upstream"]);
    let opened = of(&BREAKER_OPENED).now().max_by(&["upstream"]).above("0").times("1000");
    let retried = of(&RETRIES).rate().sum_by(&["upstream"]);
    let tried = count_of(&ATTEMPT_DURATION).rate().sum_by(&["upstream"]);
    Table::new(
        "Upstreams, the worst first",
        "Which upstream is it? What its breaker says, what share of recent fetches failed or was \
         refused, when it last opened and how many attempts a second are repeats. Click on a name \
         for all of it.",
        &[("upstream", to_upstream())],
    )
    .column(
        "breaker",
        &breaker_state(&of(&BREAKER_STATE), &["upstream"]),
        Look::words(&theme::BREAKER).wide(100),
    )
    .column(
        "failing",
        &failed.ratio_of(&fetched),
        Look::unit("percentunit").decimals(1).limits(limits(0.05, 0.25)).wide(75),
    )
    .column("attempts", &tried, Look::unit("reqps").decimals(1).wide(90))
    .column("retries", &retried, Look::unit("reqps").decimals(1).wide(80))
    .column("last opened", &opened, Look::unit("dateTimeFromNow").wide(125))
    .sorted("breaker")
    .panel()
    .or_says("no upstream yet")
    .wide(8)
}

fn alerts_since() -> Panel {
    let firing = foreign("ALERTS").is("alertstate", "firing").now();
    let since = foreign("ALERTS_FOR_STATE").now();
    let labels = ["alertname", "severity", "upstream"];
    let since = since.matched("*", "ignoring (alertstate)", &firing).max_by(&labels);
    let runbook = "${runbooks}/${__value.text}.md";
    Table::new(
        "Firing alerts",
        "What fires, and since when? As Prometheus itself tells (ALERTS and ALERTS_FOR_STATE). A \
         click on the name opens its runbook: what callers notice, what to look at, what to press, \
         how to tell that it is over.",
        &[
            ("alertname", Look::default().leads("Runbook", runbook)),
            ("severity", Look::default().wide(80)),
            ("upstream", to_upstream().wide(130)),
        ],
    )
    .column("since", &since.times("1000"), Look::unit("dateTimeFromNow").wide(140))
    .sorted("since")
    .panel()
    .or_says("nothing fires")
    .wide(9)
}

fn what_to_press() -> Panel {
    // A line each: 60 characters are what the panel has room for.
    let content = "\
- `upstream_*`, `breaker_open`: wait; half dead: force it open
- `auth_unavailable`: get the token authority back
- `mapping_error`: roll the configuration back, reload
- `overloaded`, slots full: more replicas
- began at a mark: roll back what it names
- one replica alone: drain it

[Runbooks](${runbooks}) have the commands.
";
    text(
        "What to press",
        "What can be done right now? From what the failures are called to the first thing that \
         helps. What is forced (breaker, drain) ends by itself; a rollback does not.",
        content,
    )
    .wide(7)
}
