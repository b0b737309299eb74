//! The request path from the cache on: where the answer comes from.

use holdline::telemetry::metrics::{
    CACHE_AGE, CACHE_BYTES, CACHE_CAPACITY, CACHE_EVICTIONS, CACHE_LOOKUPS, CACHE_PURGES,
    CACHE_REFRESHES, CACHE_STORES, COALESCED, MAPPING_FAILURES, REQUEST_BYTES, REQUEST_DURATION,
    RESPONSE_BYTES, SERVER_DURATION, UPSTREAM_CALLS,
};

use super::{
    dashboard::{Dashboard, to},
    kinds::{bars, heatmap, lines, shares, stack},
    panel::Panel,
    parts::{HITS, LOOKED_UP, stage_times},
    query::{Query, quantile},
    series::{Series, buckets_of, count_of, of},
    theme::{self, FULL},
};

/// All of it.
pub(crate) fn from_the_cache_on(board: Dashboard) -> Dashboard {
    answer(upstream(coalesce(cache(board))))
}

fn hit_ratio(lookups: impl Fn(Series) -> Query) -> Query {
    let of_responses = || of(&CACHE_LOOKUPS).chosen("action").is("cache", "response");
    let hits = lookups(of_responses().like("result", HITS)).sum();
    hits.ratio_of(&lookups(of_responses().like("result", LOOKED_UP)).sum())
}

fn cache(board: Dashboard) -> Dashboard {
    board
        .row("3. Cache: is the answer there")
        .line(7, look_ups())
        .line(6, contents())
        .line(5, room())
}

fn look_ups() -> Vec<Panel> {
    let looked = of(&CACHE_LOOKUPS).chosen("action").is("cache", "response");
    let age = |share: f64, result: &str| {
        quantile(share, &buckets_of(&CACHE_AGE).is("result", result), &[])
    };
    vec![
        shares(
            "Look-ups by result",
            "What does the cache know of these actions? expired: there was an answer, and it is \
             too old. bypass: the action is not cached. negative_hit: a failure or an absence that \
             is remembered.",
        )
        .or_says("no look-ups")
        .colours(theme::LOOKUPS)
        .shows(&looked.rate().sum_by(&["result"]), "{{result}}"),
        lines(
            "Answered by the cache",
            "Is the cache as good as it was a day before? At half of that an alert tells: a purge, \
             another key, or an upstream that forbids keeping.",
        )
        .unit("percentunit")
        .between(0.0, 1.0)
        .or_says("no look-ups")
        .colours(theme::RESULTS)
        .shows(&hit_ratio(|series| series.rate()), "now")
        .shows(&hit_ratio(|series| series.rate_before("1d")), "a day before"),
        lines(
            "Age of served answers",
            "How old is what callers get? Fresh answers are never older than their time to live. \
             Old stale ones: an upstream has been failing for so long. For all actions.",
        )
        .unit("s")
        .or_says("none is served yet")
        .painted("hit p95", "green")
        .painted("stale p50", "yellow")
        .painted("stale p95", "dark-yellow")
        .shows(&age(0.95, "hit"), "hit p95")
        .shows(&age(0.5, "stale"), "stale p50")
        .shows(&age(0.95, "stale"), "stale p95"),
    ]
}

fn contents() -> Vec<Panel> {
    let bytes = of(&CACHE_BYTES).is("cache", "response").now().sum();
    let room = of(&CACHE_CAPACITY).is("cache", "response").now().sum();
    let stores = of(&CACHE_STORES).is("cache", "response").rate().sum_by(&["result"]);
    let gone = of(&CACHE_EVICTIONS).is("cache", "response").rate().sum_by(&["cause"]);
    let refreshed = of(&CACHE_REFRESHES).chosen("action").rate().sum_by(&["result"]);
    vec![
        lines(
            "Fill",
            "Is the cache full? Its bytes and what it may hold, of all replicas together; each has \
             its own. Full is well, as long as evictions by size stay rare.",
        )
        .unit("bytes")
        .line("limit")
        .painted("held", "semi-dark-green")
        .shows(&bytes, "held")
        .shows(&room, "limit"),
        stack(
            "Evictions by cause",
            "Why do entries leave? size: the cache is too small; above half of what is stored an \
             alert warns. outdated: a newer configuration of the action. All actions.",
        )
        .unit("ops")
        .shows(&gone, "{{cause}}"),
        stack(
            "Stores by result",
            "Why is something not kept? too_large: above the limit of an entry. uncacheable: the \
             action's policy, or the upstream forbids it. All actions.",
        )
        .unit("ops")
        .colours(theme::RESULTS)
        .shows(&stores, "{{result}}"),
        stack(
            "Refreshes by result",
            "Do fetches behind stale answers keep up? failure: the upstream does not answer them \
             either. skipped: it must not be asked now.",
        )
        .unit("ops")
        .painted("success", "green")
        .painted("failure", "red")
        .painted("skipped", "text")
        .shows(&refreshed, "{{result}}"),
    ]
}

fn room() -> Vec<Panel> {
    vec![
        lines(
            "Share of the room used",
            "How near is the cache to its bound? Each replica's own share; unequal ones: callers \
             are not spread evenly.",
        )
        .unit("percentunit")
        .limits(FULL)
        .between(0.0, 1.0)
        .shows(
            &of(&CACHE_BYTES)
                .is("cache", "response")
                .now()
                .sum_by(&["instance"])
                .share_of(&of(&CACHE_CAPACITY).is("cache", "response").now().sum_by(&["instance"])),
            "{{instance}}",
        ),
        bars(
            "Purges",
            "Who emptied the cache? Purges by an operator; soft ones leave old answers to stand \
             in. After a hard one of all, the upstreams get every call for a while.",
        )
        .or_says("none")
        .shows(
            &of(&CACHE_PURGES).increase().sum_by(&["scope", "manner"]).above("0"),
            "{{manner}}, {{scope}}",
        ),
    ]
}

fn coalesce(board: Dashboard) -> Dashboard {
    let role = |role: &str| of(&COALESCED).chosen("action").is("role", role).rate().sum();
    let all = of(&COALESCED).chosen("action").rate().sum();
    board.row("4. Flight: one fetch for all who ask the same").line(
        7,
        vec![
            stack(
                "Who leads, who follows",
                "How often do calls share a fetch? abandoned: too many waited for the same one \
                 already, and the call was turned away; the upstream is too slow for that key.",
            )
            .unit("reqps")
            .colours(theme::RESULTS)
            .shows(&of(&COALESCED).chosen("action").rate().sum_by(&["role"]), "{{role}}"),
            lines(
                "Fetches saved",
                "How many upstream calls does sharing save? The share of calls for a fetch that \
                 another had begun.",
            )
            .unit("percentunit")
            .between(0.0, 1.0)
            .or_says("no fetches")
            .shows(&role("follower").ratio_of(&all), "saved"),
            stage_times(
                "flight",
                "Time of waiting for a fetch",
                "How long do calls wait for a fetch, their own or another's? For all actions. High \
                 with attempts that are fast: the attempts wait, see the upstream's queue and \
                 quota.",
            ),
        ],
    )
}

fn upstream(board: Dashboard) -> Dashboard {
    let fetches = of(&UPSTREAM_CALLS).rate().sum_by(&["result"]);
    let failures = of(&MAPPING_FAILURES).chosen("action").rate();
    let failures = failures.sum_by(&["action", "reason"]).above("0");
    board.row("5. Upstream and mapping: the answer itself").line(
        7,
        vec![
            stack(
                "Fetches by result",
                "How do fetches end, each with all its attempts? short_circuited: a breaker \
                 refused. shed: no permit, no quota, or no time was left. For all actions; each \
                 upstream has a dashboard of its own.",
            )
            .unit("reqps")
            .painted("success", "green")
            .painted("failure", "red")
            .colours(theme::RESULTS)
            .leads("All upstreams", &to("holdline-upstreams", ""))
            .shows(&fetches, "{{result}}"),
            stage_times(
                "upstream",
                "Time of fetches",
                "How long do fetches take, with all their attempts and waits? For all actions.",
            ),
            bars(
                "Replies that did not fit",
                "Did an upstream's contract change? Replies by action and what was wrong with \
                 them. After a deploy mark of ours: the mapping. Without one: theirs. To see it: \
                 holdline dry-run ACTION --reply FILE.",
            )
            .unit("reqps")
            .or_says("every reply fits")
            .shows(&failures, "{{action}}: {{reason}}"),
            stage_times(
                "map_output",
                "Time of mapping",
                "Do mappings cost? Microseconds are usual; milliseconds come from large replies. \
                 For all actions.",
            ),
        ],
    )
}

fn answer(board: Dashboard) -> Dashboard {
    let statuses = count_of(&SERVER_DURATION).rate().sum_by(&["http_response_status_code"]);
    let sizes = |metric| quantile(0.95, &buckets_of(metric), &[]);
    board.row("6. Answer: what callers get").line(
        8,
        vec![
            stack(
                "Statuses",
                "What does HTTP say? A 200 may still be a failure where the action tells outcomes \
                 in its answer: the classes above count. For all actions.",
            )
            .unit("reqps")
            .or_says("no calls")
            .shows(&statuses, "{{http_response_status_code}}"),
            lines(
                "Bodies, p95",
                "Did payloads grow? What callers send and what they get. Large answers fill the \
                 cache and the connections. For all actions.",
            )
            .unit("bytes")
            .or_says("no calls")
            .painted("sent by callers", "semi-dark-purple")
            .painted("answered", "light-blue")
            .shows(&sizes(&REQUEST_BYTES), "sent by callers")
            .shows(&sizes(&RESPONSE_BYTES), "answered"),
            heatmap(
                "Latency, spread",
                "Are there two kinds of calls? Hits lie at the bottom, misses above them; a third \
                 band is what is wrong.",
                &buckets_of(&REQUEST_DURATION).chosen("action"),
                "s",
            ),
        ],
    )
}
