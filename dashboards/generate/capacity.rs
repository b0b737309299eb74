//! Capacity and runtime: how full the replicas are, of what, and whether they are alike.

use holdline::telemetry::metrics::{
    ACTIVE_REQUESTS, CACHE_BYTES, CONNECTIONS, EVENT_LOOP_LAG, PANICS, PROCESS_CPU, PROCESS_FDS,
    PROCESS_FDS_MAX, PROCESS_MEMORY, PROCESS_START, PROCESS_THREADS, REQUEST_BYTES, REQUESTS,
    RESPONSE_BYTES, TOKIO_BUSY, TOKIO_QUEUE, TOKIO_TASKS, TOKIO_WORKERS, UPSTREAM_IN_FLIGHT,
    UPSTREAM_LIMIT,
};

use super::{
    dashboard::{Dashboard, to},
    kinds::{lines, number, quantiles},
    life::how_they_live,
    panel::Panel,
    parts::{each, slots_held},
    query::Query,
    rules::objectives,
    series::{buckets_of, foreign, of, sum_of},
    theme::{FULL, limits},
};

/// Its file.
pub(crate) fn file() -> (String, String) {
    let board = Dashboard::new(
        "holdline-capacity",
        "Holdline / Capacity and runtime",
        "How full the replicas are, of what, how they live, and whether one of them is unlike the \
         others.",
    )
    .with_starts()
    .number(
        "slots",
        "Slots",
        &objectives::SLOTS.to_string(),
        "How many data actions the Genesys Cloud organisation runs at once.",
    );
    let board = processors(capacity(board));
    how_they_live(network(memory(board))).file("capacity.json")
}

fn capacity(board: Dashboard) -> Dashboard {
    board.row("Capacity").line(4, headline()).line(7, room())
}

/// By upstream.
fn permits_in_use() -> Query {
    let busy = of(&UPSTREAM_IN_FLIGHT).now().sum_by(&["upstream"]);
    busy.ratio_of(&of(&UPSTREAM_LIMIT).now().sum_by(&["upstream"]))
}

fn headline() -> Vec<Panel> {
    let used = permits_in_use();
    let fullest = used.looked_at("quantile_over_time(0.95, ", "$__range", "1m").max_by(&[]);
    vec![
        number(
            "Slots filled",
            "How much of the organisation's data action slots do calls to Holdline hold? Above 70 \
             % flows begin to wait for each other: the overview says which action holds most.",
        )
        .unit("percentunit")
        .decimals(1)
        .limits(FULL)
        .with_history()
        .shows(&slots_held(&[]).and_number("/", "$slots"), "filled"),
        number(
            "Headroom at the upstreams",
            "How much more can come before calls wait for permits? What is left at the fullest \
             upstream, at the 95th percentile of the time shown. Below 30 %: more replicas do not \
             help if the upstream is what is slow.",
        )
        .unit("percentunit")
        .decimals(0)
        .limits(limits(0.3, 0.1))
        .or_says("no upstream yet")
        .tells(&fullest.rest_of_one(), "left"),
        number(
            "Processors used",
            "How many processors do all replicas take together? Compare it with what they request.",
        )
        .decimals(2)
        .plain()
        .with_history()
        .shows(&of(&PROCESS_CPU).rate().sum(), "processors"),
        number(
            "Replicas reached",
            "How many replicas does Prometheus reach? By up, which Prometheus itself makes.",
        )
        .decimals(0)
        .plain()
        .with_history()
        .shows(&foreign("up").now().sum(), "reached"),
        number(
            "Panics",
            "Has a bug ended a call or a task in the time shown? Any is one too many: the log line \
             has the place in the code. Please report it.",
        )
        .decimals(0)
        .limits(limits(0.5, f64::INFINITY))
        .tells(&of(&PANICS).increase_over("$__range").sum(), "panics"),
        number(
            "Oldest replica",
            "Since when does the oldest replica run? Young ones have a cold cache.",
        )
        .unit("dtdurations")
        .plain()
        .tells(&of(&PROCESS_START).now().min_by(&[]).ago_seconds(), "oldest"),
    ]
}

fn room() -> Vec<Panel> {
    let used = permits_in_use();
    let scaler = |what: &str| {
        foreign(&format!("kube_horizontalpodautoscaler_{what}_replicas")).now().max_by(&[])
    };
    vec![
        lines(
            "Calls by replica",
            "How many calls does each replica answer? Equal lines are well. One alone low: a new \
             replica, or a balancer that keeps connections.",
        )
        .unit("reqps")
        .shows(&of(&REQUESTS).rate().sum_by(&["instance"]), "{{instance}}"),
        lines(
            "Permits in use by upstream",
            "How near is each upstream to its limit? Attempts under way against what may be. Above \
             90 % for ten minutes an alert warns: a slow upstream, or too few replicas.",
        )
        .unit("percentunit")
        .limits_drawn(FULL)
        .or_says("no upstream yet")
        .leads("All upstreams", &to("holdline-upstreams", ""))
        .shows(&used, "{{upstream}}"),
        lines(
            "Replicas and the autoscaler",
            "Does the autoscaler have room left? Replicas that are reached (up), and from \
             kube-state-metrics (kube_horizontalpodautoscaler_*) what is wanted and the most there \
             may be. At the most: raise it, or find out what keeps calls long.",
        )
        .decimals(0)
        .painted("reached", "green")
        .painted("wanted", "blue")
        .line("at most")
        .shows(&foreign("up").now().sum(), "reached")
        .shows(&scaler("status_desired"), "wanted")
        .shows(&scaler("spec_max"), "at most"),
    ]
}

fn processors(board: Dashboard) -> Dashboard {
    let throttled = foreign("container_cpu_cfs_throttled_periods_total").rate();
    let busy = of(&TOKIO_BUSY).rate().sum_by(&["instance"]).ratio_of(&each(&TOKIO_WORKERS));
    board
        .row("Processors")
        .line(
            7,
            vec![
                lines(
                    "Processors by replica",
                    "How much does each replica take? Rising with the same calls: a new version, \
                     or payloads that grew.",
                )
                .shows(&of(&PROCESS_CPU).rate().sum_by(&["instance"]), "{{instance}}"),
                lines(
                    "Throttled periods",
                    "Does a CPU limit hold us up? Periods a second in which a container was \
                     stopped, from cAdvisor (container_cpu_cfs_throttled_periods_total). Any at \
                     all spoils p99: take the limit away, keep the request.",
                )
                .unit("ops")
                .or_says("none, or no cAdvisor is scraped")
                .shows(&throttled.sum_by(&["pod"]), "{{pod}}"),
                quantiles(
                    "Event loop lag",
                    "Do calls wait for a thread? How late a task wakes up that waits for a time. \
                     Above 100 ms an alert warns: throttling, or code that blocks; see the \
                     throttled periods beside it.",
                    &buckets_of(&EVENT_LOOP_LAG),
                )
                .or_says("nothing yet")
                .limits_drawn(limits(0.05, 0.1)),
            ],
        )
        .line(
            6,
            vec![
                lines(
                    "Threads busy",
                    "How much of the time are the threads that serve calls busy? Near 100 % calls \
                     queue: more replicas, or more threads for each.",
                )
                .unit("percentunit")
                .between(0.0, 1.0)
                .limits_drawn(FULL)
                .shows(&busy, "{{instance}}"),
                lines(
                    "Tasks in the queue",
                    "Do tasks wait for a thread? Those that no thread has taken up yet; more than \
                     a few for longer than a moment: the processors are full.",
                )
                .shows(&each(&TOKIO_QUEUE), "{{instance}}"),
                lines(
                    "Tasks alive",
                    "Does anything pile up? Tasks of the threads that serve calls. They follow \
                     connections and calls; growing without more of these: report it.",
                )
                .shows(&each(&TOKIO_TASKS), "{{instance}}"),
            ],
        )
}

fn memory(board: Dashboard) -> Dashboard {
    let cache = of(&CACHE_BYTES).is("cache", "response").now().sum_by(&["instance"]);
    board.row("Memory").line(
        7,
        vec![
            lines(
                "Memory by replica",
                "How much memory does each replica take? Compare it with the container's limit. \
                 Steady growth that is not the cache's beside it: report it.",
            )
            .unit("bytes")
            .shows(&each(&PROCESS_MEMORY), "{{instance}}"),
            lines(
                "Held by the cache",
                "How much of that is the cache? Keys and overhead counted; it stays below the \
                 configured bound.",
            )
            .unit("bytes")
            .shows(&cache, "{{instance}}"),
            lines(
                "Threads",
                "Are there more threads than there should be? The number is fixed at the start, \
                 but for blocking work that comes and goes.",
            )
            .shows(&each(&PROCESS_THREADS), "{{instance}}"),
        ],
    )
}

fn network(board: Dashboard) -> Dashboard {
    let files = each(&PROCESS_FDS).ratio_of(&each(&PROCESS_FDS_MAX));
    board.row("Network").line(
        7,
        vec![
            lines(
                "Connections of callers",
                "Is keep-alive working? Open connections to the data plane. As many new ones as \
                 calls would show as a restless line: the balancer closes them.",
            )
            .shows(&each(&CONNECTIONS), "{{instance}}"),
            lines(
                "Calls under way",
                "How full are we? Calls under way on each replica, when it was scraped. More of \
                 them with the same rate: something became slow.",
            )
            .shows(&each(&ACTIVE_REQUESTS), "{{instance}}"),
            lines(
                "Open files",
                "Will we run out of descriptors? The share in use of what may be open; connections \
                 are most of them.",
            )
            .unit("percentunit")
            .limits_drawn(FULL)
            .shows(&files, "{{instance}}"),
            lines(
                "Bytes",
                "How much goes through? Bodies that callers send and get, all replicas together.",
            )
            .unit("Bps")
            .painted("received", "semi-dark-purple")
            .painted("sent", "light-blue")
            .shows(&sum_of(&REQUEST_BYTES).rate().sum(), "received")
            .shows(&sum_of(&RESPONSE_BYTES).rate().sum(), "sent"),
        ],
    )
}
