//! The request path: what each stage does with calls, in the order in which they meet it.

use holdline::telemetry::metrics::{
    CACHE_ENTRIES, LIMIT_DECISIONS, LIMIT_KEYS, OVERHEAD, REQUEST_DURATION, REQUESTS,
    STAGE_DURATION, TLS_HANDSHAKES, TOKEN_AUTHORITY_SUCCESS, TOKEN_REQUESTS, TOKEN_VALIDATIONS,
};

use super::{
    dashboard::{Dashboard, to},
    fetching::from_the_cache_on,
    kinds::{bars, lines, quantiles, stack},
    panel::Panel,
    parts::{stage_times, time_by_stage},
    query::quantile,
    series::{Series, buckets_of, of},
    table::{Look, Table},
    theme::{self, limits},
};

/// Its file.
pub(crate) fn file() -> (String, String) {
    let board = Dashboard::new(
        "holdline-path",
        "Holdline / Request path",
        "What each stage does with calls, in the order in which they meet it: which stage is slow, \
         and which one says no.",
    )
    .choosing(
        "action",
        "Action",
        &of(&REQUESTS).values(),
        "Actions. What has no action as a label is shown for all of them.",
    );
    let board = authenticate(whole(board));
    from_the_cache_on(limit(board)).file("path.json")
}

/// Calls to the chosen actions.
fn calls() -> Series {
    of(&REQUESTS).chosen("action")
}

fn whole(board: Dashboard) -> Dashboard {
    let stages = quantile(0.95, &buckets_of(&STAGE_DURATION), &["stage"]);
    board
        .row("The whole path")
        .line(
            8,
            vec![
                stack(
                    "Calls by class",
                    "How many calls of these actions come, and how do they end? A mark where it \
                     changes says what changed.",
                )
                .unit("reqps")
                .shows(&calls().rate().sum_by(&["class"]), "{{class}}"),
                quantiles(
                    "Latency",
                    "How long do flows wait for these actions? The line is the promise of a \
                     second. All panels of this row but this and the one before are for all \
                     actions, where the variable cannot choose.",
                    &buckets_of(&REQUEST_DURATION).chosen("action"),
                )
                .limits_drawn(limits(1.0, f64::INFINITY)),
                quantiles(
                    "Own overhead",
                    "How much of it is ours? What of a call was not spent waiting for an upstream \
                     or the token authority, for all actions. Above a few milliseconds: the \
                     processors are busy or throttled, see capacity.",
                    &buckets_of(&OVERHEAD),
                )
                .leads("Capacity", &to("holdline-capacity", "")),
            ],
        )
        .line(
            8,
            vec![
                time_by_stage("Where a call's time goes, all actions"),
                lines(
                    "Stages, p95, all actions",
                    "Which stage is slow for one call in twenty? upstream holds its attempts, \
                     flight the upstream, cache the flight: the innermost that is high is the \
                     cause.",
                )
                .unit("s")
                .or_says("no calls")
                .shows(&stages, "{{stage}}"),
            ],
        )
        .line(7, vec![funnel()])
}

/// Where calls leave the path: one line for each place, in order.
fn funnel() -> Panel {
    let outcome = |pattern: &str| calls().like("outcome", pattern).rate().sum_by(&["action"]);
    let source = |pattern: &str| calls().like("source", pattern).rate().sum_by(&["action"]);
    let look = || Look::unit("reqps").decimals(2);
    Table::new(
        "Where calls leave the path",
        "At which stage does the path of calls end? Calls a second by action: turned away before \
         anything was asked, answered out of the cache, by a shared fetch, by the upstream or by a \
         fallback, given up by the caller, or failed.",
        &[("action", Look::default())],
    )
    .column("entered", &calls().rate().sum_by(&["action"]), look())
    .column(
        "not accepted",
        &outcome("unauthenticated|forbidden|unknown_action|bad_request|payload_too_large"),
        look(),
    )
    .column("limited", &outcome("rate_limited"), look())
    .column("cache", &source("cache_.+"), look())
    .column("shared", &source("coalesced"), look())
    .column("upstream", &source("upstream"), look())
    .column("fallback", &source("fallback"), look())
    .column("canceled", &outcome("canceled"), look())
    .column("failed", &calls().is("class", "failure").rate().sum_by(&["action"]), look())
    .sorted("entered")
    .panel()
    .or_says("no action yet")
}

fn authenticate(board: Dashboard) -> Dashboard {
    board.row("1. Authenticate: who calls").line(7, verdicts()).line(6, authority())
}

fn verdicts() -> Vec<Panel> {
    let verdicts = || of(&TOKEN_VALIDATIONS);
    let refused = verdicts().other_than("result", "valid").rate().sum_by(&["result"]).above("0");
    vec![
        stack(
            "Verdicts by where they came from",
            "Who says that callers are who they are? cache and local cost nothing, remote and \
             coalesced wait for the authority, stale means that it did not answer in time and an \
             aged verdict stood in.",
        )
        .unit("reqps")
        .colours(theme::VERDICTS)
        .shows(&verdicts().rate().sum_by(&["source"]), "{{source}}"),
        bars(
            "Verdicts that are no",
            "Why are callers turned away? error: the authority cannot be asked. expired and early: \
             a clock. missing and malformed: the integration's credentials are not set. All \
             others: somebody said no.",
        )
        .unit("reqps")
        .or_says("every caller is accepted")
        .colours(theme::RESULTS)
        .shows(&refused, "{{result}}"),
        stage_times(
            "authenticate",
            "Time of authenticate",
            "Does proving who calls slow calls down? What is remembered takes microseconds, a \
             question to the authority its round trip. If p95 rises, more verdicts are asked for: \
             see the first panel of this row.",
        ),
    ]
}

fn authority() -> Vec<Panel> {
    let authority = of(&TOKEN_AUTHORITY_SUCCESS).now().max_by(&["caller"]).above("0");
    let handshakes = of(&TLS_HANDSHAKES).other_than("result", "ok").rate().sum_by(&["result"]);
    let issued = of(&TOKEN_REQUESTS).rate().sum_by(&["result"]).above("0");
    vec![
        lines(
            "Since the authority last answered",
            "For how long have we lived on remembered verdicts? It grows while nobody new calls, \
             too; beside errors it says when the authority went away.",
        )
        .unit("s")
        .or_says("no authority is asked")
        .shows(&authority.ago_seconds(), "{{caller}}"),
        bars(
            "Tokens issued here",
            "Do flows get their tokens? Requests for a token that is issued here, by what came of \
             them. Refused ones: a client's id or secret is wrong.",
        )
        .unit("reqps")
        .or_says("none is asked for")
        .shows(&issued, "{{result}}"),
        bars(
            "Handshakes that failed",
            "Do callers get through TLS? no_certificate and bad_certificate: the client's. timeout \
             and closed: scanners, or a balancer that only connects. error: no common version, or \
             our certificate is not trusted.",
        )
        .unit("reqps")
        .or_says("none failed")
        .colours(theme::RESULTS)
        .shows(&handshakes.above("0"), "{{result}}"),
        lines(
            "Remembered verdicts",
            "How many callers are known? Verdicts in memory; at zero every call asks the \
             authority.",
        )
        .shows(&of(&CACHE_ENTRIES).is("cache", "token").now().sum(), "verdicts"),
    ]
}

fn limit(board: Dashboard) -> Dashboard {
    let decided = || of(&LIMIT_DECISIONS);
    let limited = decided().is("decision", "limited").rate().sum_by(&["limit"]);
    let all = decided().rate().sum_by(&["limit"]);
    let wrong = calls().like("outcome", "bad_request|payload_too_large|unknown_action");
    board.row("2. Validate and rate limit: may this pass").line(
        7,
        vec![
            bars(
                "Inputs that are refused",
                "Do flows send what the contracts ask for? bad_request: the problem document names \
                 the fields. unknown_action: a path that is not configured, counted under \
                 _unknown.",
            )
            .unit("reqps")
            .or_says("every input fits")
            .shows(&wrong.rate().sum_by(&["outcome"]).above("0"), "{{outcome}}"),
            stack(
                "Decisions of limits",
                "What do rate limits do? shadow_limited is what a limit that does not act yet \
                 would have refused. Limits are per replica: what a flow really gets is the limit \
                 times the replicas.",
            )
            .unit("reqps")
            .or_says("no limit is configured")
            .colours(theme::RESULTS)
            .shows(&decided().rate().sum_by(&["decision"]), "{{decision}}"),
            lines(
                "Refused by limit",
                "Which limit bites? The share of its decisions that were a no. Above 5 % an alert \
                 warns: a flow in a loop, or a limit that is too low for the season.",
            )
            .unit("percentunit")
            .or_says("no limit is configured")
            .limits_drawn(limits(0.05, f64::INFINITY))
            .shows(&limited.share_of(&all), "{{limit}}"),
            lines(
                "Keys that limits track",
                "Does the table of keys grow without end? It forgets full buckets; steady growth \
                 with steady traffic: keys that never come back, such as one for each \
                 conversation.",
            )
            .or_says("no limit is configured")
            .shows(&of(&LIMIT_KEYS).now().sum_by(&["limit"]), "{{limit}}"),
        ],
    )
}
