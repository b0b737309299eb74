//! The overview: are callers happy, since when, which stage, which upstream, what to press. All of that
//! without scrolling; what is below tells more of the same.

use holdline::telemetry::metrics::{
    ACTIVE_REQUESTS, ATTEMPT_DURATION, BREAKER_FAILURE_RATIO, BREAKER_OPENED, BREAKER_STATE, BUILD,
    CACHE_LOOKUPS, CONFIG, DRAINING, READY, REQUEST_DURATION, REQUESTS, RETRIES, SLOT_SECONDS,
    TOKEN_VALIDATIONS,
};

use super::{
    dashboard::{Dashboard, to},
    kinds::{bars, lanes, lines, number, quantiles, shares, stack, text},
    panel::Panel,
    parts::{
        breaker_lanes, breaker_state, failing, slots_held, time_by_stage, to_path, to_upstream,
    },
    query::{Query, Series, buckets_of, constant, count_of, foreign, of, quantile, recorded},
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
        "50",
        "How many data actions the Genesys Cloud organisation runs at once.",
    );
    let board = first_screen(board);
    let board = answers(board);
    let board = actions(board);
    let board = dependencies(board);
    fleet(board).file("overview.json")
}

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
        .line(6, vec![calls(), failing_over_time(), latency()])
        .line(
            6,
            vec![
                breaker_lanes(),
                failures(),
                time_by_stage("Where a call's time goes")
                    .leads("Stage by stage", &to("holdline-path", "")),
            ],
        )
        .line(5, vec![worst_upstreams(), alerts_since(), what_to_press()])
}

fn failing_now() -> Panel {
    number("Failing now", "Do callers get failures now? The share of valid calls that fail, the caller's own mistakes left out. Where it is red, a month's budget is gone in two days: look at the failures below, by outcome.")
        .unit("percentunit")
        .decimals(2)
        .limits(FAILING)
        .with_history()
        .shows(&failing(&[]), "failing")
}

fn valid_over_month() -> (Query, Query) {
    let month = |series: Series| series.gauge_over("sum_over_time", "30d").sum();
    let recorded = || recorded("action_class:holdline_requests:rate5m");
    (month(recorded().is("class", "failure")), month(recorded().is_not("class", "rejected")))
}

fn availability() -> Panel {
    let (failed, valid) = valid_over_month();
    number("Availability, 30 days", "Is the promise of 99.9 % kept? Valid calls of 30 days that did not fail, out of the recording rules. Below 99.9 %, changes that can wait should wait.")
        .unit("percentunit")
        .decimals(3)
        .limits(limits(0.9995, theme::AVAILABILITY))
        .or_says("needs the rules")
        .tells(&failed.ratio_of(&valid).rest_of_one(), "availability")
}

fn budget_left() -> Panel {
    let (failed, valid) = valid_over_month();
    let spent = failed.ratio_of(&valid).and_number("/", &format!("(1 - {})", theme::AVAILABILITY));
    number("Error budget left", "How much may still fail in these 30 days? What is left of the 0.1 % of valid calls that may fail, out of the recording rules. Below zero the promise is broken: find out what spent it before anything new is rolled out.")
        .unit("percentunit")
        .decimals(1)
        .limits(limits(0.5, 0.1))
        .or_says("needs the rules")
        .tells(&spent.rest_of_one(), "left")
}

fn burn_rate() -> Panel {
    let burn = |window: &str| {
        let failed = of(&REQUESTS).is("class", "failure").rate_over(window).sum();
        let valid = of(&REQUESTS).is_not("class", "rejected").rate_over(window).sum();
        failed.share_of(&valid).and_number("/", &format!("(1 - {})", theme::AVAILABILITY))
    };
    number("Budget burn rate", "How fast is the error budget spent? 1 spends it in exactly 30 days, 14.4 in two. Both windows above 14.4 or 6 is what pages; a high hour beside a low six hours began not long ago.")
        .unit("short")
        .decimals(1)
        .limits(BURNING)
        .tells(&burn("1h"), "1 h")
        .tells(&burn("6h"), "6 h")
}

fn fast_enough() -> Panel {
    let valid = recorded("action_class:holdline_requests:rate5m").is_not("class", "rejected");
    let valid = valid.now().sum_by(&["job"]);
    // A ratio of nothing is left out, or it would make the whole sum nothing.
    let slow = recorded("job:holdline_request_slow:ratio_rate5m").now().and_number(">=", "0");
    let sum = |query: &Query| query.looked_at("sum_over_time(", "30d", "5m").sum();
    let share = sum(&slow.with("*", &valid)).ratio_of(&sum(&valid));
    number("Within 1 s, 30 days", "Is the promise kept that 99 % of answers take a second at most? Weighted by traffic, out of the recording rules. Where it is not, the request path shows which stage is slow.")
        .unit("percentunit")
        .decimals(2)
        .limits(limits(0.995, theme::FAST))
        .or_says("needs the rules")
        .tells(&share.rest_of_one(), "within 1 s")
}

fn slots_filled() -> Panel {
    let held = slots_held(&[]).and_number("/", "$slots");
    number("Slots filled", "How near are we to filling the organisation's data action slots? What calls to Holdline hold of them, by their own time; flows call other actions too. Above 70 % flows begin to wait for each other: find the action that holds most, below.")
        .unit("percentunit")
        .decimals(1)
        .limits(FULL)
        .with_history()
        .shows(&held, "filled")
}

fn alerts_firing() -> Panel {
    let firing = foreign("ALERTS").is("alertstate", "firing").now().count_by(&[]);
    number("Alerts firing", "Does anything fire? Alerts of this job, of whatever severity, as Prometheus itself tells (ALERTS). The table below names them.")
        .decimals(0)
        .limits(limits(1.0, f64::INFINITY))
        .tells(&firing.or(&constant("0")), "firing")
}

fn replicas_ready() -> Panel {
    let ready = of(&READY).is("check", "lifecycle").now().sum();
    let known = foreign("up").now().count_by(&[]);
    number("Replicas ready", "Are all replicas in rotation? Those that say they are ready, of all that Prometheus scrapes (up). Where one lacks for more than a rollout takes, the fleet below says which.")
        .unit("percentunit")
        .decimals(0)
        .limits(limits(1.0, 0.5))
        .or_says("nothing is scraped")
        .tells(&ready.share_of(&known), "ready")
}

fn calls() -> Panel {
    stack("Calls by class", "How many calls come, and how do they end? Degraded ones were answered from an old entry or a fallback; rejected ones are the caller's own doing. None at all: look at the flow, the ingress and DNS before the service.")
        .unit("reqps")
        .colours(theme::CLASSES)
        .shows(&of(&REQUESTS).rate().sum_by(&["class"]), "{{class}}")
}

fn failing_over_time() -> Panel {
    let stale = of(&REQUESTS).is("class", "degraded").rate().sum();
    let valid = of(&REQUESTS).is_not("class", "rejected").rate().sum();
    lines("Failing and degraded", "Since when do calls fail? The share of valid calls that fail or are answered degraded. The lines are what a month allows and what pages; a mark where it begins says what changed.")
        .unit("percentunit")
        .limits_drawn(FAILING)
        .painted("failing", "red")
        .painted("degraded", "yellow")
        .shows(&failing(&[]), "failing")
        .shows(&stale.share_of(&valid), "degraded")
}

fn latency() -> Panel {
    let waited = buckets_of(&REQUEST_DURATION).is_not("source", "none");
    quantiles("Latency of answers", "How long do flows wait? Times of calls that were answered; the line is the promise of a second. Where p99 alone is up, it is a part of the traffic: see the actions below.", &waited)
        .limits_drawn(limits(1.0, f64::INFINITY))
}

fn failures() -> Panel {
    let failed = of(&REQUESTS).is("class", "failure").rate().sum_by(&["outcome"]).above("0");
    bars("Failures by outcome", "Why do calls fail? upstream_* and breaker_open are the system behind us, auth_unavailable is the token authority, deadline_exceeded is slowness, mapping_error a changed reply, overloaded a lack of replicas.")
        .unit("reqps")
        .or_says("no call fails")
        .colours(theme::OUTCOMES)
        .shows(&failed, "{{outcome}}")
}

fn worst_upstreams() -> Panel {
    let failed = of(&BREAKER_FAILURE_RATIO).now().max_by(&["upstream"]);
    let opened = of(&BREAKER_OPENED).now().max_by(&["upstream"]).above("0").times("1000");
    let retried = of(&RETRIES).rate().sum_by(&["upstream"]);
    let tried = count_of(&ATTEMPT_DURATION).rate().sum_by(&["upstream"]);
    Table::new("Upstreams, the worst first", "Which upstream is it? What its breaker says, what share of recent attempts failed as the breaker saw it, when it last opened and how many attempts a second are repeats. Click on a name for all of it.", &[("upstream", to_upstream())])
        .column("breaker", &breaker_state(&["upstream"]), Look::words(&theme::BREAKER).wide(110))
        .column("failing", &failed, Look::unit("percentunit").decimals(1).limits(limits(0.05, 0.25)).wide(80))
        .column("attempts", &tried, Look::unit("reqps").decimals(1).wide(95))
        .column("retries", &retried, Look::unit("reqps").decimals(1).wide(85))
        .column("last opened", &opened, Look::unit("dateTimeFromNow").wide(130))
        .sorted("breaker")
        .panel()
        .or_says("no upstream yet")
        .wide(10)
}

fn alerts_since() -> Panel {
    let firing = foreign("ALERTS").is("alertstate", "firing").now();
    let since = foreign("ALERTS_FOR_STATE").now();
    let labels = ["alertname", "severity", "upstream", "action"];
    let since = since.matched("*", "ignoring (alertstate)", &firing).max_by(&labels);
    let runbook = "${runbooks}/${__value.text}.md";
    Table::new("Firing alerts", "What fires, and since when? As Prometheus itself tells (ALERTS and ALERTS_FOR_STATE). A click on the name opens its runbook: what callers notice, what to look at, what to press, how to tell that it is over.", &[
        ("alertname", Look::default().leads("Runbook", runbook)),
        ("severity", Look::default().wide(80)),
        ("upstream", to_upstream().wide(90)),
        ("action", to_path().wide(90)),
    ])
        .column("since", &since.times("1000"), Look::unit("dateTimeFromNow").wide(120))
        .sorted("since")
        .panel()
        .or_says("nothing fires")
        .wide(7)
}

fn what_to_press() -> Panel {
    let content = "\
| it says | press |\n|---|---|\n\
| `upstream_*`, `breaker_open` | nothing yet: the breaker protects you. Half dead upstream: `POST /breakers/{upstream}` `forced_open`, old answers and fallbacks stand in |\n\
| `auth_unavailable` | restore the token authority; known callers go on for a while |\n\
| `mapping_error` | the reply has changed: roll back the configuration, `POST /reload` |\n\
| `overloaded`, slots full | add replicas; find the slow upstream |\n\
| began at a mark | roll back what the mark names |\n\
| one replica alone | `POST /drain` on it |\n\n\
On the admin listener, each with an end. More: [runbooks](${runbooks}).\n";
    text("What to press", "What can be done right now? From what the failures are called to the first thing that helps; each is undone by itself after a while.", content)
        .wide(7)
}

fn answers(board: Dashboard) -> Dashboard {
    let answered = of(&REQUESTS).is_not("source", "none").rate().sum_by(&["source"]);
    let rejected = of(&REQUESTS).is("class", "rejected").rate().sum_by(&["outcome"]).above("0");
    let old = of(&REQUESTS).is("outcome", "stale").rate().sum_by(&["action"]);
    let valid = of(&REQUESTS).is_not("class", "rejected").rate().sum_by(&["action"]);
    let old = old.ratio_of(&valid).above("0").top(10);
    board.row("What answered").line(7, vec![
        shares("Answers by source", "Who answers? The more out of the cache, the less an upstream's trouble is felt. More cache_stale and fallback than usual: an upstream fails and is covered for.")
            .colours(theme::SOURCES)
            .shows(&answered, "{{source}}"),
        bars("Rejected by outcome", "What do callers do wrong? unauthenticated and forbidden: a rotated credential, a clock, somebody probing. rate_limited: a flow in a loop, or a limit too low. canceled: the flow gave up before us.")
            .unit("reqps")
            .or_says("no call is rejected")
            .colours(theme::OUTCOMES)
            .shows(&rejected, "{{outcome}}"),
        lines("Stale answers by action", "Which actions live on old answers? The share of valid calls that were answered from an entry past its time. It ends when the upstream is well again, or when stale_if_error runs out: then these calls fail.")
            .unit("percentunit")
            .or_says("none is stale")
            .between(0.0, 1.0)
            .shows(&old, "{{action}}"),
    ])
}

fn actions(board: Dashboard) -> Dashboard {
    let total = |class: &str| {
        let series = of(&REQUESTS).unlike("action", "_unknown");
        let series = if class.is_empty() { series } else { series.is("class", class) };
        series.rate().sum_by(&["action"])
    };
    let valid = of(&REQUESTS).is_not("class", "rejected").rate().sum_by(&["action"]);
    let lookups = of(&CACHE_LOOKUPS).is("cache", "response").is_not("result", "bypass");
    let hits = of(&CACHE_LOOKUPS).is("cache", "response").like("result", "hit|stale|negative_hit");
    let slow = quantile(0.95, &buckets_of(&REQUEST_DURATION), &["action"]);
    let (ours, all) = (hits.rate().sum_by(&["action"]), lookups.rate().sum_by(&["action"]));
    let table = Table::new("Actions", "Which action is it? Each with its traffic, what fails, what is degraded, how long it takes, how much the cache answers and how many of the organisation's slots it holds. Click on a name for its path, stage by stage.", &[("action", to_path())])
        .column("calls", &total(""), Look::unit("reqps").decimals(1))
        .column("failing", &total("failure").ratio_of(&valid), Look::unit("percentunit").decimals(2).limits(FAILING))
        .column("degraded", &total("degraded").ratio_of(&valid), Look::unit("percentunit").decimals(1).limits(limits(0.01, 0.2)))
        .column("p95", &slow, Look::unit("s").limits(limits(0.5, 1.0)))
        .column("from cache", &ours.ratio_of(&all), Look::unit("percentunit").decimals(1))
        .column("slots held", &slots_held(&["action"]), Look::unit("short").decimals(2))
        .sorted("failing")
        .panel()
        .or_says("no action yet")
        .wide(24);
    let per_call = of(&SLOT_SECONDS).rate().sum_by(&["action"]);
    let ended = of(&REQUESTS).rate().sum_by(&["action"]);
    let slots = stack("Slots held by action", "Which action fills the organisation's slots? Calls under way on average, as the flows see them. The dashed line is what the organisation has (the variable Slots). Near it flows wait for each other, whatever they call: make the action at the top faster, cache it, or limit it.")
        .unit("short")
        .line("slots of the organisation")
        .shows(&slots_held(&["action"]).top(10), "{{action}}")
        .shows(&constant("$slots"), "slots of the organisation")
        .wide(16);
    let held = lines("Held for each call", "How long does a call of each action hold a slot? The mean, which is what slots are counted by. An action that holds one for seconds takes more of them than a busy fast one.")
        .unit("s")
        .or_says("no calls")
        .shows(&per_call.ratio_of(&ended).top(10), "{{action}}")
        .wide(8);
    board.row("Actions and slots").line(8, vec![table]).line(8, vec![slots, held])
}

fn dependencies(board: Dashboard) -> Dashboard {
    let all = count_of(&ATTEMPT_DURATION).rate().sum_by(&["upstream"]);
    let failed = count_of(&ATTEMPT_DURATION).is_not("error_type", "").rate().sum_by(&["upstream"]);
    let retried = of(&RETRIES).rate().sum_by(&["upstream"]);
    let refused = of(&TOKEN_VALIDATIONS).is_not("result", "valid");
    let refused = refused.rate().sum_by(&["result"]).above("0");
    board.row("Dependencies").line(7, vec![
        lines("Attempts that fail", "Which upstream fails? The share of attempts that ended with an error or a bad status, before retries and the cache healed anything. Above a quarter, an alert warns.")
            .unit("percentunit")
            .or_says("no attempts")
            .limits_drawn(limits(0.25, f64::INFINITY))
            .leads("All upstreams", &to("holdline-upstreams", ""))
            .shows(&failed.or_none_of(&all).share_of(&all), "{{upstream}}"),
        lines("Attempts that are retries", "How much load do retries add? Their share of all attempts. Above a fifth they make it worse for an upstream that is in trouble: let its breaker open, or lower its retries.")
            .unit("percentunit")
            .or_says("no attempts")
            .limits_drawn(limits(0.2, f64::INFINITY))
            .shows(&retried.with("/", &all.above("0")), "{{upstream}}"),
        bars("Tokens that are not accepted", "Are callers turned away, and by whom? error: the authority cannot be asked, cached verdicts hide that until they end. All others: the authority or we said no; a new credential or a clock that is off.")
            .unit("reqps")
            .or_says("every token is accepted")
            .colours(theme::RESULTS)
            .painted("error", "dark-red")
            .shows(&refused, "{{result}}"),
    ])
}

fn fleet(board: Dashboard) -> Dashboard {
    let ready = of(&READY).is("check", "lifecycle").now().sum();
    let versions = of(&BUILD).now().count_by(&["version", "revision"]);
    let hashes = of(&CONFIG).now().count_by(&["hash"]);
    let forced = of(&BREAKER_STATE).like("state", "forced_.+|observing").now();
    let forced = forced.max_by(&["upstream", "state"]).above("0");
    let draining = of(&DRAINING).now().max_by(&["instance"]);
    board
        .row("Fleet")
        .line(6, vec![
            lines("Replicas", "How many replicas serve? Those that are scraped (up), those that say they are ready, and those that are leaving. A gap between the first two for longer than a rollout: look at their logs.")
                .decimals(0)
                .painted("ready", "green")
                .painted("scraped", "blue")
                .painted("draining", "orange")
                .shows(&foreign("up").now().count_by(&[]), "scraped")
                .shows(&ready, "ready")
                .shows(&of(&DRAINING).now().sum(), "draining"),
            stack("Calls under way by replica", "Is the load spread evenly? Calls under way on each replica, when it was scraped. One far above the others: a slow node, or a balancer that keeps connections.")
                .shows(&of(&ACTIVE_REQUESTS).now().sum_by(&["instance"]), "{{instance}}"),
            lanes("Leaving or held out of rotation", "Is a replica draining? A lane for each; one that drains while nothing is rolled out is held by an operator until its time is over.")
                .mapped(&[("serving", 0, "green"), ("draining", 1, "orange")])
                .shows(&draining, "{{instance}}"),
        ])
        .line(5, vec![
            Table::new("Versions", "What runs where? More than one version for longer than a rollout takes: it is stuck.", &[("version", Look::default()), ("revision", Look::default())])
                .column("replicas", &versions, Look::default())
                .panel(),
            Table::new("Configurations", "Is every replica on the same configuration? More than one hash for longer than a reload takes: one refused it, or never got it.", &[("hash", Look::default())])
                .column("replicas", &hashes, Look::default())
                .panel(),
            Table::new("Forced by an operator", "What has somebody forced? Breakers that do not follow their own rules; each ends by itself. To end it now: POST /breakers/{upstream}.", &[("upstream", to_upstream()), ("state", Look::default())])
                .column("forced", &forced, Look::words(&[("yes", 1, "purple")]))
                .panel()
                .or_says("nothing is forced"),
        ])
}
