//! The overview below its first screen: more of the same, by action, by dependency, by replica.

use holdline::telemetry::metrics::{
    ACTIVE_REQUESTS, ATTEMPT_DURATION, BREAKER_STATE, BUILD, CACHE_LOOKUPS, CONFIG, DRAINING,
    READY, REQUEST_DURATION, REQUESTS, RETRIES, SLOT_SECONDS, TOKEN_VALIDATIONS,
};

use super::{
    dashboard::{Dashboard, to},
    kinds::{bars, lanes, lines, shares, stack},
    panel::Panel,
    parts::{FAULTS, HITS, LOOKED_UP, slots_held, to_path, to_upstream},
    query::{constant, quantile},
    series::{buckets_of, count_of, foreign, of},
    table::{Look, Table},
    theme::{self, FAILING, limits},
};

/// All of it.
pub(crate) fn below(board: Dashboard) -> Dashboard {
    fleet(dependencies(actions(answers(board))))
}

fn answers(board: Dashboard) -> Dashboard {
    let answered = of(&REQUESTS).other_than("source", "none").rate().sum_by(&["source"]);
    let rejected = of(&REQUESTS).is("class", "rejected").rate().sum_by(&["outcome"]).above("0");
    let old = of(&REQUESTS).is("outcome", "stale").rate().sum_by(&["action"]);
    let valid = of(&REQUESTS).other_than("class", "rejected").rate().sum_by(&["action"]);
    let old = old.ratio_of(&valid).above("0").top(10);
    board.row("What answered").line(
        7,
        vec![
            shares(
                "Answers by source",
                "Who answers? The more out of the cache, the less an upstream's trouble is felt. \
                 More cache_stale and fallback than usual: an upstream fails and is covered for.",
            )
            .colours(theme::SOURCES)
            .shows(&answered, "{{source}}"),
            bars(
                "Rejected by outcome",
                "What do callers do wrong? unauthenticated and forbidden: a rotated credential, a \
                 clock, somebody probing. rate_limited: a flow in a loop, or a limit too low. \
                 canceled: the flow gave up before us.",
            )
            .unit("reqps")
            .or_says("no call is rejected")
            .shows(&rejected, "{{outcome}}"),
            lines(
                "Stale answers by action",
                "Which actions live on old answers? The share of valid calls that were answered \
                 from an entry past its time. It ends when the upstream is well again, or when \
                 stale_if_error runs out: then these calls fail.",
            )
            .unit("percentunit")
            .or_says("none is stale")
            .between(0.0, 1.0)
            .shows(&old, "{{action}}"),
        ],
    )
}

fn actions(board: Dashboard) -> Dashboard {
    let total = |class: &str| {
        let series = of(&REQUESTS).unlike("action", "_unknown");
        let series = if class.is_empty() { series } else { series.is("class", class) };
        series.rate().sum_by(&["action"])
    };
    let valid = of(&REQUESTS).other_than("class", "rejected").rate().sum_by(&["action"]);
    let lookups = of(&CACHE_LOOKUPS).is("cache", "response").like("result", LOOKED_UP);
    let hits = of(&CACHE_LOOKUPS).is("cache", "response").like("result", HITS);
    let slow = quantile(0.95, &buckets_of(&REQUEST_DURATION), &["action"]);
    let (ours, all) = (hits.rate().sum_by(&["action"]), lookups.rate().sum_by(&["action"]));
    let table = Table::new(
        "Actions",
        "Which action is it? Each with its traffic, what fails, what is degraded, how long it \
         takes, how much the cache answers and how many of the organisation's slots it holds. \
         Click on a name for its path, stage by stage.",
        &[("action", to_path())],
    )
    .column("calls", &total(""), Look::unit("reqps").decimals(1))
    .column(
        "failing",
        &total("failure").ratio_of(&valid),
        Look::unit("percentunit").decimals(2).limits(FAILING),
    )
    .column(
        "degraded",
        &total("degraded").ratio_of(&valid),
        Look::unit("percentunit").decimals(1).limits(limits(0.01, 0.2)),
    )
    .column("p95", &slow, Look::unit("s").limits(limits(0.5, 1.0)))
    .column("from cache", &ours.ratio_of(&all), Look::unit("percentunit").decimals(1))
    .column("slots held", &slots_held(&["action"]), Look::unit("short").decimals(2))
    .sorted("failing")
    .panel()
    .or_says("no action yet")
    .wide(24);
    let per_call = of(&SLOT_SECONDS).rate().sum_by(&["action"]);
    let ended = of(&REQUESTS).rate().sum_by(&["action"]);
    let slots = stack(
        "Slots held by action",
        "Which action fills the organisation's slots? Calls under way on average, as the flows see \
         them. The dashed line is what the organisation has (the variable Slots). Near it flows \
         wait for each other, whatever they call: make the action at the top faster, cache it, or \
         limit it.",
    )
    .unit("short")
    .line("slots of the organisation")
    .shows(&slots_held(&["action"]).top(10), "{{action}}")
    .shows(&constant("$slots"), "slots of the organisation")
    .wide(16);
    let held = lines(
        "Held for each call",
        "How long does a call of each action hold a slot? The mean, which is what slots are \
         counted by. An action that holds one for seconds takes more of them than a busy fast one.",
    )
    .unit("s")
    .or_says("no calls")
    .shows(&per_call.ratio_of(&ended).top(10), "{{action}}")
    .wide(8);
    board.row("Actions and slots").line(8, vec![table]).line(8, vec![slots, held])
}

fn dependencies(board: Dashboard) -> Dashboard {
    let all = count_of(&ATTEMPT_DURATION).rate().sum_by(&["upstream"]);
    let failed =
        count_of(&ATTEMPT_DURATION).like("error_type", FAULTS).rate().sum_by(&["upstream"]);
    let retried = of(&RETRIES).rate().sum_by(&["upstream"]);
    let refused = of(&TOKEN_VALIDATIONS).other_than("result", "valid");
    let refused = refused.rate().sum_by(&["result"]).above("0");
    board.row("Dependencies").line(
        7,
        vec![
            lines(
                "Attempts that fail",
                "Which upstream fails? The share of attempts that ended with an error or a status \
                 that is its fault (no 404), before retries and the cache healed anything. Above a \
                 quarter, an alert warns.",
            )
            .unit("percentunit")
            .or_says("no attempts")
            .limits_drawn(limits(0.25, f64::INFINITY))
            .leads("All upstreams", &to("holdline-upstreams", ""))
            .shows(&failed.or_none_of(&all).ratio_of(&all), "{{upstream}}"),
            lines(
                "Attempts that are retries",
                "How much load do retries add? Their share of all attempts. Above a tenth an \
                 alert warns: they make it worse for an upstream that is in trouble. Let its \
                 breaker open, or lower its retries.",
            )
            .unit("percentunit")
            .or_says("no attempts")
            .limits_drawn(limits(0.1, f64::INFINITY))
            .shows(&retried.with("/", &all.above("0")), "{{upstream}}"),
            bars(
                "Tokens that are not accepted",
                "Are callers turned away, and by whom? error: the authority cannot be asked, \
                 cached verdicts hide that until they end. All others: the authority or we said \
                 no; a new credential or a clock that is off.",
            )
            .unit("reqps")
            .or_says("every token is accepted")
            .colours(theme::RESULTS)
            .shows(&refused, "{{result}}"),
        ],
    )
}

fn fleet(board: Dashboard) -> Dashboard {
    board.row("Fleet").line(6, replicas()).line(5, versions())
}

fn replicas() -> Vec<Panel> {
    let ready = of(&READY).is("check", "lifecycle").now().sum();
    let draining = of(&DRAINING).now().max_by(&["instance"]);
    vec![
        lines(
            "Replicas",
            "How many replicas serve? Those that are scraped (up), those that say they are ready, \
             and those that are leaving. A gap between the first two for longer than a rollout: \
             look at their logs.",
        )
        .decimals(0)
        .painted("ready", "green")
        .painted("scraped", "blue")
        .painted("draining", "super-light-orange")
        .shows(&foreign("up").now().count_by(&[]), "scraped")
        .shows(&ready, "ready")
        .shows(&of(&DRAINING).now().sum(), "draining"),
        stack(
            "Calls under way by replica",
            "Is the load spread evenly? Calls under way on each replica, when it was scraped. One \
             far above the others: a slow node, or a balancer that keeps connections.",
        )
        .shows(&of(&ACTIVE_REQUESTS).now().sum_by(&["instance"]), "{{instance}}"),
        lanes(
            "Leaving or held out of rotation",
            "Is a replica draining? A lane for each; one that drains while nothing is rolled out \
             is held by an operator until its time is over.",
        )
        .mapped(&[("serving", 0, "green"), ("draining", 1, "orange")])
        .shows(&draining, "{{instance}}"),
    ]
}

fn versions() -> Vec<Panel> {
    let versions = of(&BUILD).now().count_by(&["version", "revision"]);
    let hashes = of(&CONFIG).now().count_by(&["hash"]);
    let forced = of(&BREAKER_STATE).like("state", "forced_.+|observing").now();
    let forced = forced.max_by(&["upstream", "state"]).above("0");
    vec![
        Table::new(
            "Versions",
            "What runs where? More than one version for longer than a rollout takes: it is stuck.",
            &[("version", Look::default()), ("revision", Look::default())],
        )
        .column("replicas", &versions, Look::default())
        .panel(),
        Table::new(
            "Configurations",
            "Is every replica on the same configuration? More than one hash for longer than a \
             reload takes: one refused it, or never got it.",
            &[("hash", Look::default())],
        )
        .column("replicas", &hashes, Look::default())
        .panel(),
        Table::new(
            "Forced by an operator",
            "What has somebody forced? Breakers that do not follow their own rules; each ends by \
             itself. To end it now: POST /breakers/{upstream}.",
            &[("upstream", to_upstream()), ("state", Look::default())],
        )
        .column("forced", &forced, Look::words(&[("yes", 1, "purple")]))
        .panel()
        .or_says("nothing is forced"),
    ]
}
