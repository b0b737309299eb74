//! How replicas live, and whether they are alike.

use holdline::telemetry::metrics::{
    ACTIVE_REQUESTS, ADMIN_ACTIONS, CERTIFICATE_EXPIRY, CONFIG_RELOAD_SUCCESSFUL, CONFIG_RELOADS,
    DRAINING, LOG_MESSAGES, PROCESS_CPU, PROCESS_MEMORY, PROCESS_START, READY, REQUEST_DURATION,
    REQUESTS, TELEMETRY_DROPPED,
};

use super::{
    dashboard::Dashboard,
    kinds::{bars, lanes, lines, stack},
    panel::Panel,
    parts::each,
    query::quantile,
    series::{buckets_of, foreign, of},
    table::{Look, Table},
    theme::{self, NONE, limits},
};

/// All of it.
pub(crate) fn how_they_live(board: Dashboard) -> Dashboard {
    spread(life(board))
}

fn life(board: Dashboard) -> Dashboard {
    board.row("Life").line(6, states()).line(6, complaints()).line(6, scrapes())
}

fn states() -> Vec<Panel> {
    let restarts = of(&PROCESS_START).gauge_over("changes", "$__rate_interval");
    let state = of(&READY).is("check", "lifecycle").now().min_by(&["instance"]);
    let draining = of(&DRAINING).now().max_by(&["instance"]);
    let state = state.with("+", &draining.times("2"));
    let reloads = of(&CONFIG_RELOADS).increase().sum_by(&["result"]).above("0");
    let refused = of(&CONFIG_RELOAD_SUCCESSFUL).now().min_by(&["instance"]);
    vec![
        lanes(
            "State of replicas",
            "Which replica serves? ready, not ready (starting or stopping), or draining. One that \
             is draining while nothing is rolled out is held by an operator.",
        )
        .mapped(&[
            ("not ready", 0, "red"),
            ("ready", 1, "green"),
            ("draining", 2, "orange"),
            ("draining", 3, "orange"),
        ])
        .shows(&state, "{{instance}}"),
        bars(
            "Restarts",
            "Do replicas start again and again? Starts of a process at the same address. Out of \
             memory, a liveness probe, a panic: the reason is in the pod's last state.",
        )
        .or_says("none")
        .shows(&restarts.sum_by(&["instance"]).above("0"), "{{instance}}"),
        lanes(
            "Configuration in force",
            "Did a replica refuse its configuration? It runs on with the one before, and its next \
             start would fail: holdline check names the line.",
        )
        .mapped(&[("refused", 0, "red"), ("as read", 1, "green")])
        .shows(&refused, "{{instance}}"),
        bars(
            "Reloads",
            "When was a configuration read anew, and what became of it? A mark on all panels says \
             when another came into force.",
        )
        .or_says("none")
        .colours(theme::RESULTS)
        .painted("unchanged", "text")
        .shows(&reloads, "{{result}}"),
    ]
}

fn complaints() -> Vec<Panel> {
    let certificates = of(&CERTIFICATE_EXPIRY).now().min_by(&["certificate"]).above("0");
    vec![
        stack(
            "Log lines by level",
            "Is anything complained of? Lines by level; errors and warnings rise before alerts do. \
             One line a call at info is usual.",
        )
        .unit("cps")
        .colours(theme::RESULTS)
        .shows(&of(&LOG_MESSAGES).rate().sum_by(&["level"]), "{{level}}"),
        bars(
            "Telemetry dropped",
            "Is our own telemetry whole? Spans and log lines that were dropped rather than waited \
             for. Calls are not touched: look at the collector, and at who reads standard output.",
        )
        .unit("cps")
        .or_says("nothing is dropped")
        .shows(&of(&TELEMETRY_DROPPED).rate().sum_by(&["signal"]).above("0"), "{{signal}}"),
        bars(
            "Operators",
            "Who touched it, and when? Changes on the admin listener by kind and result; the audit \
             log says who. refused many times: somebody tries tokens.",
        )
        .or_says("nobody")
        .shows(
            &of(&ADMIN_ACTIONS).increase().sum_by(&["action", "result"]).above("0"),
            "{{action}}: {{result}}",
        ),
        lines(
            "Certificates end in",
            "Which certificate ends first? Ours, by their place in the configuration. Below two \
             weeks: whatever renews them does not; a new file is read by a reload.",
        )
        .unit("s")
        .or_says("no certificate is configured")
        .limits_drawn(limits(1_209_600.0, 259_200.0))
        .shows(&certificates.left_seconds(), "{{certificate}}"),
    ]
}

fn scrapes() -> Vec<Panel> {
    vec![
        lines(
            "Time of scrapes",
            "Is Prometheus kept waiting? How long a scrape takes (scrape_duration_seconds, which \
             Prometheus makes). They have a thread of their own and do not delay calls.",
        )
        .unit("s")
        .shows(&foreign("scrape_duration_seconds").now().max_by(&["instance"]), "{{instance}}"),
        lines(
            "Series",
            "Do series grow without end? What each replica tells (scrape_samples_scraped, which \
             Prometheus makes). It follows the number of actions and upstreams, never that of \
             callers; above 6,000 at 30 actions: report it.",
        )
        .shows(&foreign("scrape_samples_scraped").now().max_by(&["instance"]), "{{instance}}"),
    ]
}

fn spread(board: Dashboard) -> Dashboard {
    let by: &[&'static str] = &["instance"];
    let calls = of(&REQUESTS).rate().sum_by(by);
    let slow = quantile(0.95, &buckets_of(&REQUEST_DURATION), by);
    let failed = of(&REQUESTS).is("class", "failure").rate().sum_by(by);
    let valid = of(&REQUESTS).other_than("class", "rejected").rate().sum_by(by);
    board.row("Are the replicas alike").line(
        8,
        vec![
            Table::new(
                "Replicas",
                "Is one unlike the others? Traffic, failures, times, processors, memory and age of \
                 each, now. One that differs: its node, its zone, its age; drain it and see.",
                &[("instance", Look::default())],
            )
            .column("calls", &calls, Look::unit("reqps").decimals(1))
            .column(
                "failing",
                &failed.share_of(&valid),
                Look::unit("percentunit").decimals(2).limits(theme::FAILING),
            )
            .column("p95", &slow, Look::unit("s").limits(limits(0.5, 1.0)))
            .column(
                "processors",
                &of(&PROCESS_CPU).rate().sum_by(by),
                Look::unit("short").decimals(2),
            )
            .column("memory", &each(&PROCESS_MEMORY), Look::unit("bytes"))
            .column("under way", &each(&ACTIVE_REQUESTS), Look::unit("short"))
            .column(
                "dropped",
                &of(&TELEMETRY_DROPPED).rate().sum_by(by),
                Look::unit("cps").limits(NONE),
            )
            .column(
                "runs for",
                &of(&PROCESS_START).now().max_by(by).ago_seconds(),
                Look::unit("dtdurations"),
            )
            .sorted("p95")
            .panel()
            .wide(16),
            fastest_and_slowest().wide(8),
        ],
    )
}

fn fastest_and_slowest() -> Panel {
    let slow = quantile(0.95, &buckets_of(&REQUEST_DURATION), &["instance"]);
    lines(
        "p95, the slowest and the fastest replica",
        "How far are the replicas apart, and since when? Both up: the upstream, or all of them are \
         full. The slowest alone: find it in the table.",
    )
    .unit("s")
    .or_says("no calls")
    .painted("slowest", "dark-purple")
    .painted("fastest", "light-blue")
    .limits_drawn(limits(1.0, f64::INFINITY))
    .shows(&slow.max_by(&[]), "slowest")
    .shows(&slow.min_by(&[]), "fastest")
}
