//! Capacity and runtime: how full the replicas are, of what, and whether they are alike.

use holdline::telemetry::metrics::{
    ACTIVE_REQUESTS, ADMIN_ACTIONS, CACHE_BYTES, CERTIFICATE_EXPIRY, CONFIG_RELOAD_SUCCESSFUL,
    CONFIG_RELOADS, CONNECTIONS, DRAINING, Definition, EVENT_LOOP_LAG, LOG_MESSAGES, PANICS,
    PROCESS_CPU, PROCESS_FDS, PROCESS_FDS_MAX, PROCESS_MEMORY, PROCESS_START, PROCESS_THREADS,
    READY, REQUEST_BYTES, REQUEST_DURATION, REQUESTS, RESPONSE_BYTES, TELEMETRY_DROPPED,
    TOKIO_BUSY, TOKIO_QUEUE, TOKIO_TASKS, TOKIO_WORKERS, UPSTREAM_IN_FLIGHT, UPSTREAM_LIMIT,
};

use super::{
    dashboard::{Dashboard, to},
    kinds::{bars, lanes, lines, number, quantiles, stack},
    panel::Panel,
    parts::slots_held,
    query::{Query, buckets_of, constant, foreign, of, quantile, sum_of},
    table::{Look, Table},
    theme::{self, FULL, NONE, limits},
};

/// Its file.
pub(crate) fn file() -> (String, String) {
    let board = Dashboard::new(
        "holdline-capacity",
        "Holdline / Capacity and runtime",
        "How full the replicas are, of what, how they live, and whether one of them is unlike the others.",
    )
    .with_starts()
    .number("slots", "Slots", "50", "How many data actions the Genesys Cloud organisation runs at once.");
    let board = processors(capacity(board));
    let board = life(network(memory(board)));
    spread(board).file("capacity.json")
}

/// By replica.
fn each(metric: &Definition) -> Query {
    of(metric).now().sum_by(&["instance"])
}

fn capacity(board: Dashboard) -> Dashboard {
    let busy = of(&UPSTREAM_IN_FLIGHT).now().sum_by(&["upstream"]);
    let may = of(&UPSTREAM_LIMIT).now().sum_by(&["upstream"]);
    let used = busy.ratio_of(&may);
    let fullest = used.looked_at("quantile_over_time(0.95, ", "$__range", "1m").max_by(&[]);
    let scaler = |what: &str| {
        foreign(&format!("kube_horizontalpodautoscaler_{what}_replicas")).now().max_by(&[])
    };
    board
        .row("Capacity")
        .line(4, vec![
            number("Slots filled", "How much of the organisation's data action slots do calls to Holdline hold? Above 70 % flows begin to wait for each other: the overview says which action holds most.")
                .unit("percentunit")
                .decimals(1)
                .limits(FULL)
                .with_history()
                .shows(&slots_held(&[]).and_number("/", "$slots"), "filled"),
            number("Headroom at the upstreams", "How much more can come before calls wait for permits? What is left at the fullest upstream, at the 95th percentile of the time shown. Below 30 %: more replicas do not help if the upstream is what is slow.")
                .unit("percentunit")
                .decimals(0)
                .limits(limits(0.3, 0.1))
                .or_says("no upstream yet")
                .tells(&fullest.rest_of_one(), "left"),
            number("Processors used", "How many processors do all replicas take together? Compare it with what they request.")
                .decimals(2)
                .limits(limits(f64::INFINITY, f64::INFINITY))
                .quiet()
                .with_history()
                .shows(&of(&PROCESS_CPU).rate().sum(), "processors"),
            number("Replicas", "How many replicas does Prometheus reach? By up, which Prometheus itself makes.")
                .decimals(0)
                .limits(limits(f64::INFINITY, f64::INFINITY))
                .quiet()
                .with_history()
                .shows(&foreign("up").now().sum(), "reached"),
            number("Panics", "Has a bug ended a call or a task in the time shown? Any is one too many: the log line has the place in the code. Please report it.")
                .decimals(0)
                .limits(limits(0.5, f64::INFINITY))
                .tells(&of(&PANICS).increase_over("$__range").sum(), "panics"),
            number("Oldest replica", "Since when does the oldest replica run? Young ones have a cold cache.")
                .unit("dtdurations")
                .limits(limits(f64::INFINITY, f64::INFINITY))
                .quiet()
                .tells(&of(&PROCESS_START).now().min_by(&[]).ago_seconds(), "oldest"),
        ])
        .line(7, vec![
            lines("Calls by replica", "How many calls does each replica answer? Equal lines are well. One alone low: a new replica, or a balancer that keeps connections.")
                .unit("reqps")
                .shows(&of(&REQUESTS).rate().sum_by(&["instance"]), "{{instance}}"),
            lines("Permits in use by upstream", "How near is each upstream to its limit? Attempts under way against what may be. Above 90 % for ten minutes an alert warns: a slow upstream, or too few replicas.")
                .unit("percentunit")
                .limits_drawn(FULL)
                .or_says("no upstream yet")
                .leads("All upstreams", &to("holdline-upstreams", ""))
                .shows(&used, "{{upstream}}"),
            lines("Replicas and the autoscaler", "Does the autoscaler have room left? Replicas that are reached (up), and from kube-state-metrics (kube_horizontalpodautoscaler_*) what is wanted and the most there may be. At the most: raise it, or find out what keeps calls long.")
                .decimals(0)
                .painted("reached", "green")
                .painted("wanted", "blue")
                .line("at most")
                .shows(&foreign("up").now().sum(), "reached")
                .shows(&scaler("status_desired"), "wanted")
                .shows(&scaler("spec_max"), "at most"),
        ])
}

fn processors(board: Dashboard) -> Dashboard {
    let throttled = foreign("container_cpu_cfs_throttled_periods_total").rate();
    let busy = of(&TOKIO_BUSY).rate().sum_by(&["instance"]).ratio_of(&each(&TOKIO_WORKERS));
    board
        .row("Processors")
        .line(7, vec![
            lines("Processors by replica", "How much does each replica take? Rising with the same calls: a new version, or payloads that grew.")
                .shows(&of(&PROCESS_CPU).rate().sum_by(&["instance"]), "{{instance}}"),
            lines("Throttled periods", "Does a CPU limit hold us up? Periods a second in which a container was stopped, from cAdvisor (container_cpu_cfs_throttled_periods_total). Any at all spoils p99: take the limit away, keep the request.")
                .unit("ops")
                .or_says("none, or no cAdvisor is scraped")
                .shows(&throttled.sum_by(&["pod"]), "{{pod}}"),
            quantiles("Event loop lag", "Do calls wait for a thread? How late a task wakes up that waits for a time. Above 100 ms an alert warns: throttling, or code that blocks; see the throttled periods beside it.", &buckets_of(&EVENT_LOOP_LAG))
                .or_says("nothing yet")
                .limits_drawn(limits(0.05, 0.1)),
        ])
        .line(6, vec![
            lines("Threads busy", "How much of the time are the threads that serve calls busy? Near 100 % calls queue: more replicas, or more threads for each.")
                .unit("percentunit")
                .between(0.0, 1.0)
                .limits_drawn(FULL)
                .shows(&busy, "{{instance}}"),
            lines("Tasks in the queue", "Do tasks wait for a thread? Those that no thread has taken up yet; more than a few for longer than a moment: the processors are full.")
                .shows(&each(&TOKIO_QUEUE), "{{instance}}"),
            lines("Tasks alive", "Does anything pile up? Tasks of the threads that serve calls. They follow connections and calls; growing without more of these: report it.")
                .shows(&each(&TOKIO_TASKS), "{{instance}}"),
        ])
}

fn memory(board: Dashboard) -> Dashboard {
    let cache = of(&CACHE_BYTES).is("cache", "response").now().sum_by(&["instance"]);
    board.row("Memory").line(7, vec![
        lines("Memory by replica", "How much memory does each replica take? Compare it with the container's limit. Steady growth that is not the cache's beside it: report it.")
            .unit("bytes")
            .shows(&each(&PROCESS_MEMORY), "{{instance}}"),
        lines("Held by the cache", "How much of that is the cache? Keys and overhead counted; it stays below the configured bound.")
            .unit("bytes")
            .shows(&cache, "{{instance}}"),
        lines("Threads", "Are there more threads than there should be? The number is fixed at the start, but for blocking work that comes and goes.")
            .shows(&each(&PROCESS_THREADS), "{{instance}}"),
    ])
}

fn network(board: Dashboard) -> Dashboard {
    let files = each(&PROCESS_FDS).ratio_of(&each(&PROCESS_FDS_MAX));
    board.row("Network").line(7, vec![
        lines("Connections of callers", "Is keep-alive working? Open connections to the data plane. As many new ones as calls would show as a restless line: the balancer closes them.")
            .shows(&each(&CONNECTIONS), "{{instance}}"),
        lines("Calls under way", "How full are we? Calls under way on each replica, when it was scraped. More of them with the same rate: something became slow.")
            .shows(&each(&ACTIVE_REQUESTS), "{{instance}}"),
        lines("Open files", "Will we run out of descriptors? The share in use of what may be open; connections are most of them.")
            .unit("percentunit")
            .limits_drawn(FULL)
            .shows(&files, "{{instance}}"),
        lines("Bytes", "How much goes through? Bodies that callers send and get, all replicas together.")
            .unit("Bps")
            .painted("received", "semi-dark-purple")
            .painted("sent", "light-blue")
            .shows(&sum_of(&REQUEST_BYTES).rate().sum(), "received")
            .shows(&sum_of(&RESPONSE_BYTES).rate().sum(), "sent"),
    ])
}

fn life(board: Dashboard) -> Dashboard {
    let restarts = of(&PROCESS_START).gauge_over("changes", "$__rate_interval");
    let state = of(&READY).is("check", "lifecycle").now().min_by(&["instance"]);
    let draining = of(&DRAINING).now().max_by(&["instance"]);
    let state = state.with("+", &draining.times("2"));
    let reloads = of(&CONFIG_RELOADS).increase().sum_by(&["result"]).above("0");
    let refused = of(&CONFIG_RELOAD_SUCCESSFUL).now().min_by(&["instance"]);
    let certificates = of(&CERTIFICATE_EXPIRY).now().min_by(&["certificate"]).above("0");
    board
        .row("Life")
        .line(6, vec![
            lanes("State of replicas", "Which replica serves? ready, not ready (starting or stopping), or draining. One that is draining while nothing is rolled out is held by an operator.")
                .mapped(&[("not ready", 0, "red"), ("ready", 1, "green"), ("draining", 2, "orange"), ("draining", 3, "orange")])
                .shows(&state, "{{instance}}"),
            bars("Restarts", "Do replicas start again and again? Starts of a process at the same address. Out of memory, a liveness probe, a panic: the reason is in the pod's last state.")
                .or_says("none")
                .shows(&restarts.sum_by(&["instance"]).above("0"), "{{instance}}"),
            lanes("Configuration in force", "Did a replica refuse its configuration? It runs on with the one before, and its next start would fail: holdline check names the line.")
                .mapped(&[("refused", 0, "red"), ("as read", 1, "green")])
                .shows(&refused, "{{instance}}"),
            bars("Reloads", "When was a configuration read anew, and what became of it? A mark on all panels says when another came into force.")
                .or_says("none")
                .colours(theme::RESULTS)
                .painted("unchanged", "text")
                .shows(&reloads, "{{result}}"),
        ])
        .line(6, vec![
            stack("Log lines by level", "Is anything complained of? Lines by level; errors and warnings rise before alerts do. One line a call at info is usual.")
                .unit("cps")
                .colours(theme::RESULTS)
                .painted("error", "dark-red")
                .shows(&of(&LOG_MESSAGES).rate().sum_by(&["level"]), "{{level}}"),
            bars("Telemetry dropped", "Is our own telemetry whole? Spans and log lines that were dropped rather than waited for. Calls are not touched: look at the collector, and at who reads standard output.")
                .unit("cps")
                .or_says("nothing is dropped")
                .shows(&of(&TELEMETRY_DROPPED).rate().sum_by(&["signal"]).above("0"), "{{signal}}"),
            bars("Operators", "Who touched it, and when? Changes on the admin listener by kind and result; the audit log says who. refused many times: somebody tries tokens.")
                .or_says("nobody")
                .shows(&of(&ADMIN_ACTIONS).increase().sum_by(&["action", "result"]).above("0"), "{{action}}: {{result}}"),
            lines("Certificates end in", "Which certificate ends first? Ours, by their place in the configuration. Below two weeks: whatever renews them does not; a new file is read by a reload.")
                .unit("s")
                .or_says("no certificate is configured")
                .limits_drawn(limits(1_209_600.0, 259_200.0))
                .shows(&certificates.left_seconds(), "{{certificate}}"),
        ])
        .line(6, vec![
            lines("Time of scrapes", "Is Prometheus kept waiting? How long a scrape takes (scrape_duration_seconds, which Prometheus makes). They have a thread of their own and do not delay calls.")
                .unit("s")
                .shows(&foreign("scrape_duration_seconds").now().max_by(&["instance"]), "{{instance}}"),
            lines("Series", "Do series grow without end? What each replica tells (scrape_samples_scraped, which Prometheus makes). It follows the number of actions and upstreams, never that of callers; above 6,000 at 30 actions: report it.")
                .shows(&foreign("scrape_samples_scraped").now().max_by(&["instance"]), "{{instance}}"),
        ])
}

fn spread(board: Dashboard) -> Dashboard {
    let by: &[&'static str] = &["instance"];
    let calls = of(&REQUESTS).rate().sum_by(by);
    let slow = quantile(0.95, &buckets_of(&REQUEST_DURATION), by);
    let failed = of(&REQUESTS).is("class", "failure").rate().sum_by(by);
    let valid = of(&REQUESTS).is_not("class", "rejected").rate().sum_by(by);
    board.row("Are the replicas alike").line(8, vec![
        Table::new("Replicas", "Is one unlike the others? Traffic, failures, times, processors, memory and age of each, now. One that differs: its node, its zone, its age; drain it and see.", &[("instance", Look::default())])
            .column("calls", &calls, Look::unit("reqps").decimals(1))
            .column("failing", &failed.share_of(&valid), Look::unit("percentunit").decimals(2).limits(theme::FAILING))
            .column("p95", &slow, Look::unit("s").limits(limits(0.5, 1.0)))
            .column("processors", &of(&PROCESS_CPU).rate().sum_by(by), Look::unit("short").decimals(2))
            .column("memory", &each(&PROCESS_MEMORY), Look::unit("bytes"))
            .column("under way", &each(&ACTIVE_REQUESTS), Look::unit("short"))
            .column("dropped", &of(&TELEMETRY_DROPPED).rate().sum_by(by), Look::unit("cps").limits(NONE))
            .column("runs for", &of(&PROCESS_START).now().max_by(by).ago_seconds(), Look::unit("dtdurations"))
            .sorted("p95")
            .panel()
            .wide(16),
        fastest_and_slowest().wide(8),
    ])
}

fn fastest_and_slowest() -> Panel {
    let slow = quantile(0.95, &buckets_of(&REQUEST_DURATION), &["instance"]);
    lines("p95, the slowest and the fastest replica", "How far are they apart, and since when? The slowest three and the fastest of all; far apart: one of them, not the upstream.")
        .unit("s")
        .or_says("no calls")
        .shows(&slow.top(3), "{{instance}}")
        .shows(&slow.bottom(1), "fastest: {{instance}}")
        .shows(&constant("1"), "promise")
        .line("promise")
}
