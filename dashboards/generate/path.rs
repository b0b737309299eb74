//! The request path: what each stage does with calls, in the order in which they meet it.

use holdline::telemetry::metrics::{
    CACHE_AGE, CACHE_BYTES, CACHE_CAPACITY, CACHE_ENTRIES, CACHE_EVICTIONS, CACHE_LOOKUPS,
    CACHE_PURGES, CACHE_REFRESHES, CACHE_STORES, COALESCED, LIMIT_DECISIONS, LIMIT_KEYS,
    MAPPING_FAILURES, OVERHEAD, REQUEST_BYTES, REQUEST_DURATION, REQUESTS, RESPONSE_BYTES,
    SERVER_DURATION, STAGE_DURATION, TLS_HANDSHAKES, TOKEN_AUTHORITY_SUCCESS, TOKEN_REQUESTS,
    TOKEN_VALIDATIONS, UPSTREAM_CALLS,
};

use super::{
    dashboard::{Dashboard, to},
    kinds::{bars, heatmap, lines, quantiles, shares, stack},
    panel::Panel,
    parts::time_by_stage,
    query::{Query, Series, buckets_of, count_of, of, quantile},
    table::{Look, Table},
    theme::{self, FULL, limits},
};

/// Its file.
pub(crate) fn file() -> (String, String) {
    let board = Dashboard::new(
        "holdline-path",
        "Holdline / Request path",
        "What each stage does with calls, in the order in which they meet it: which stage is slow, and which one says no.",
    )
    .choosing("action", "Action", &of(&REQUESTS).values(), "Actions. What has no action as a label is shown for all of them.");
    let board = authenticate(whole(board));
    let board = cache(limit(board));
    answer(upstream(coalesce(board))).file("path.json")
}

fn calls() -> Series {
    of(&REQUESTS).chosen("action")
}

/// How long one stage takes.
fn stage_times(stage: &str, title: &str, description: &str) -> Panel {
    quantiles(title, description, &buckets_of(&STAGE_DURATION).is("stage", stage))
}

fn whole(board: Dashboard) -> Dashboard {
    let stages = quantile(0.95, &buckets_of(&STAGE_DURATION), &["stage"]);
    board
        .row("The whole path")
        .line(8, vec![
            stack("Calls by class", "How many calls of these actions come, and how do they end? A mark where it changes says what changed.")
                .unit("reqps")
                .colours(theme::CLASSES)
                .shows(&calls().rate().sum_by(&["class"]), "{{class}}"),
            quantiles("Latency", "How long do flows wait for these actions? The line is the promise of a second. All panels of this row but this and the one before are for all actions, where the variable cannot choose.", &buckets_of(&REQUEST_DURATION).chosen("action"))
                .limits_drawn(limits(1.0, f64::INFINITY)),
            quantiles("Own overhead", "How much of it is ours? What of a call was not spent waiting for an upstream or the token authority, for all actions. Above a few milliseconds: the processors are busy or throttled, see capacity.", &buckets_of(&OVERHEAD))
                .leads("Capacity", &to("holdline-capacity", "")),
        ])
        .line(8, vec![
            time_by_stage("Where a call's time goes, all actions"),
            lines("Stages, p95, all actions", "Which stage is slow for one call in twenty? upstream holds its attempts, flight the upstream, cache the flight: the innermost that is high is the cause.")
                .unit("s")
                .or_says("no calls")
                .colours(theme::STAGES)
                .shows(&stages, "{{stage}}"),
            funnel(),
        ])
}

/// Where calls leave the path: one line for each place, in order.
fn funnel() -> Panel {
    let outcome = |pattern: &str| calls().like("outcome", pattern).rate().sum_by(&["action"]);
    let source = |pattern: &str| calls().like("source", pattern).rate().sum_by(&["action"]);
    let look = || Look::unit("reqps").decimals(2);
    Table::new("Where calls leave the path", "At which stage does the path of calls end? Calls a second by action: turned away before anything was asked, answered out of the cache, by a shared fetch or by the upstream, or failed.", &[("action", Look::default())])
        .column("entered", &calls().rate().sum_by(&["action"]), look())
        .column("not accepted", &outcome("unauthenticated|forbidden|bad_request|payload_too_large"), look())
        .column("limited", &outcome("rate_limited"), look())
        .column("cache", &source("cache_.+"), look())
        .column("shared", &source("coalesced"), look())
        .column("upstream", &source("upstream"), look())
        .column("failed", &calls().is("class", "failure").rate().sum_by(&["action"]), look())
        .sorted("entered")
        .panel()
        .or_says("no action yet")
}

fn authenticate(board: Dashboard) -> Dashboard {
    let verdicts = || of(&TOKEN_VALIDATIONS);
    let authority = of(&TOKEN_AUTHORITY_SUCCESS).now().max_by(&["caller"]).above("0");
    let refused = verdicts().is_not("result", "valid").rate().sum_by(&["result"]).above("0");
    let handshakes = of(&TLS_HANDSHAKES).is_not("result", "ok").rate().sum_by(&["result"]);
    let issued = of(&TOKEN_REQUESTS).rate().sum_by(&["result"]).above("0");
    board
        .row("1. Authenticate: who calls")
        .line(7, vec![
            stack("Verdicts by where they came from", "Who says that callers are who they are? cache and local cost nothing, remote and coalesced wait for the authority, stale means that it did not answer in time and an aged verdict stood in.")
                .unit("reqps")
                .colours(theme::VERDICTS)
                .shows(&verdicts().rate().sum_by(&["source"]), "{{source}}"),
            bars("Verdicts that are no", "Why are callers turned away? error: the authority cannot be asked. expired and early: a clock. missing and malformed: the integration's credentials are not set. All others: somebody said no.")
                .unit("reqps")
                .or_says("every caller is accepted")
                .colours(theme::RESULTS)
                .painted("error", "dark-red")
                .shows(&refused, "{{result}}"),
            stage_times("authenticate", "Time of authenticate", "Does proving who calls slow calls down? What is remembered takes microseconds, a question to the authority its round trip. If p95 rises, more verdicts are asked for: see the first panel of this row."),
        ])
        .line(6, vec![
            lines("Since the authority last answered", "For how long have we lived on remembered verdicts? It grows while nobody new calls, too; beside errors it says when the authority went away.")
                .unit("s")
                .or_says("no authority is asked")
                .shows(&authority.ago_seconds(), "{{caller}}"),
            bars("Tokens issued here", "Do flows get their tokens? Requests for a token that is issued here, by what came of them. Refused ones: a client's id or secret is wrong.")
                .unit("reqps")
                .or_says("none is asked for")
                .shows(&issued, "{{result}}"),
            bars("Handshakes that failed", "Do callers get through TLS? no_certificate and bad_certificate: the client's. timeout and closed: scanners, or a balancer that only connects. error: no common version, or our certificate is not trusted.")
                .unit("reqps")
                .or_says("none failed")
                .colours(theme::RESULTS)
                .shows(&handshakes.above("0"), "{{result}}"),
            lines("Remembered verdicts", "How many callers are known? Verdicts in memory; at zero every call asks the authority.")
                .shows(&of(&CACHE_ENTRIES).is("cache", "token").now().sum(), "verdicts"),
        ])
}

fn limit(board: Dashboard) -> Dashboard {
    let decided = || of(&LIMIT_DECISIONS);
    let limited = decided().is("decision", "limited").rate().sum_by(&["limit"]);
    let all = decided().rate().sum_by(&["limit"]);
    let wrong = calls().like("outcome", "bad_request|payload_too_large|unknown_action");
    board.row("2. Validate and rate limit: may this pass").line(7, vec![
        bars("Inputs that are refused", "Do flows send what the contracts ask for? bad_request: the problem document names the fields. unknown_action: a path that is not configured, counted under _unknown.")
            .unit("reqps")
            .or_says("every input fits")
            .colours(theme::OUTCOMES)
            .shows(&wrong.rate().sum_by(&["outcome"]).above("0"), "{{outcome}}"),
        stack("Decisions of limits", "What do rate limits do? shadow_limited is what a limit that does not act yet would have refused. Limits are per replica: what a flow really gets is the limit times the replicas.")
            .unit("reqps")
            .or_says("no limit is configured")
            .colours(theme::RESULTS)
            .shows(&decided().rate().sum_by(&["decision"]), "{{decision}}"),
        lines("Refused by limit", "Which limit bites? The share of its decisions that were a no. Above 5 % an alert warns: a flow in a loop, or a limit that is too low for the season.")
            .unit("percentunit")
            .or_says("no limit is configured")
            .limits_drawn(limits(0.05, f64::INFINITY))
            .shows(&limited.share_of(&all), "{{limit}}"),
        lines("Keys that limits track", "Does the table of keys grow without end? It forgets full buckets; steady growth with steady traffic: keys that never come back, such as one for each conversation.")
            .or_says("no limit is configured")
            .shows(&of(&LIMIT_KEYS).now().sum_by(&["limit"]), "{{limit}}"),
    ])
}

fn hit_ratio(lookups: impl Fn(Series) -> Query) -> Query {
    let of_responses = || of(&CACHE_LOOKUPS).chosen("action").is("cache", "response");
    let hits = lookups(of_responses().like("result", "hit|stale|negative_hit")).sum();
    hits.ratio_of(&lookups(of_responses().is_not("result", "bypass")).sum())
}

fn cache(board: Dashboard) -> Dashboard {
    let looked = of(&CACHE_LOOKUPS).chosen("action").is("cache", "response");
    let bytes = of(&CACHE_BYTES).is("cache", "response").now().sum();
    let room = of(&CACHE_CAPACITY).is("cache", "response").now().sum();
    let stores = of(&CACHE_STORES).is("cache", "response").rate().sum_by(&["result"]);
    let gone = of(&CACHE_EVICTIONS).is("cache", "response").rate().sum_by(&["cause"]);
    let refreshed = of(&CACHE_REFRESHES).chosen("action").rate().sum_by(&["result"]);
    let age = |share: f64, result: &str| {
        quantile(share, &buckets_of(&CACHE_AGE).is("result", result), &[])
    };
    board
        .row("3. Cache: is the answer there")
        .line(7, vec![
            shares("Look-ups by result", "What does the cache know of these actions? expired: there was an answer, and it is too old. bypass: the action is not cached. negative_hit: a failure or an absence that is remembered.")
                .or_says("no look-ups")
                .colours(theme::LOOKUPS)
                .shows(&looked.rate().sum_by(&["result"]), "{{result}}"),
            lines("Answered by the cache", "Is the cache as good as it was a day before? At half of that an alert tells: a purge, another key, or an upstream that forbids keeping.")
                .unit("percentunit")
                .between(0.0, 1.0)
                .or_says("no look-ups")
                .colours(theme::RESULTS)
                .shows(&hit_ratio(|series| series.rate()), "now")
                .shows(&hit_ratio(|series| series.rate_before("1d")), "a day before"),
            lines("Age of served answers", "How old is what callers get? Fresh answers are never older than their time to live. Old stale ones: an upstream has been failing for so long. For all actions.")
                .unit("s")
                .or_says("none is served yet")
                .painted("hit p95", "green")
                .painted("stale p50", "yellow")
                .painted("stale p95", "dark-yellow")
                .shows(&age(0.95, "hit"), "hit p95")
                .shows(&age(0.5, "stale"), "stale p50")
                .shows(&age(0.95, "stale"), "stale p95"),
        ])
        .line(6, vec![
            lines("Fill", "Is the cache full? Its bytes and what it may hold, of all replicas together; each has its own. Full is well, as long as evictions by size stay rare.")
                .unit("bytes")
                .line("limit")
                .painted("held", "semi-dark-green")
                .shows(&bytes, "held")
                .shows(&room, "limit"),
            stack("Evictions by cause", "Why do entries leave? size: the cache is too small; above half of what is stored an alert warns. outdated: a newer configuration of the action. All actions.")
                .unit("ops")
                .shows(&gone, "{{cause}}"),
            stack("Stores by result", "Why is something not kept? too_large: above the limit of an entry. uncacheable: the action's policy, or the upstream forbids it. All actions.")
                .unit("ops")
                .colours(theme::RESULTS)
                .painted("error", "dark-red")
                .shows(&stores, "{{result}}"),
            stack("Refreshes by result", "Do fetches behind stale answers keep up? failure: the upstream does not answer them either. skipped: it must not be asked now.")
                .unit("ops")
                .painted("success", "green")
                .painted("failure", "red")
                .painted("skipped", "text")
                .shows(&refreshed, "{{result}}"),
        ])
        .line(5, vec![
            lines("Share of the room used", "How near is the cache to its bound? Each replica's own share; unequal ones: callers are not spread evenly.")
                .unit("percentunit")
                .limits(FULL)
                .between(0.0, 1.0)
                .shows(&of(&CACHE_BYTES).is("cache", "response").now().sum_by(&["instance"]).share_of(&of(&CACHE_CAPACITY).is("cache", "response").now().sum_by(&["instance"])), "{{instance}}"),
            bars("Purges", "Who emptied the cache? Purges by an operator; soft ones leave old answers to stand in. After a hard one of all, the upstreams get every call for a while.")
                .or_says("none")
                .shows(&of(&CACHE_PURGES).increase().sum_by(&["scope", "manner"]).above("0"), "{{manner}}, {{scope}}"),
        ])
}

fn coalesce(board: Dashboard) -> Dashboard {
    let role = |role: &str| of(&COALESCED).chosen("action").is("role", role).rate().sum();
    let all = of(&COALESCED).chosen("action").rate().sum();
    board.row("4. Flight: one fetch for all who ask the same").line(7, vec![
        stack("Who leads, who follows", "How often do calls share a fetch? abandoned: too many waited for the same one already, and the call was turned away; the upstream is too slow for that key.")
            .unit("reqps")
            .colours(theme::RESULTS)
            .shows(&of(&COALESCED).chosen("action").rate().sum_by(&["role"]), "{{role}}"),
        lines("Fetches saved", "How many upstream calls does sharing save? The share of calls for a fetch that another had begun.")
            .unit("percentunit")
            .between(0.0, 1.0)
            .or_says("no fetches")
            .shows(&role("follower").ratio_of(&all), "saved"),
        stage_times("flight", "Time of waiting for a fetch", "How long do calls wait for a fetch, their own or another's? For all actions. High with attempts that are fast: the attempts wait, see the upstream's queue and quota."),
    ])
}

fn upstream(board: Dashboard) -> Dashboard {
    let fetches = of(&UPSTREAM_CALLS).rate().sum_by(&["result"]);
    let failures = of(&MAPPING_FAILURES).chosen("action").rate();
    let failures = failures.sum_by(&["action", "reason"]).above("0");
    board
        .row("5. Upstream and mapping: the answer itself")
        .line(7, vec![
            stack("Fetches by result", "How do fetches end, each with all its attempts? short_circuited: a breaker refused. shed: no permit, no quota, or no time was left. For all actions; each upstream has a dashboard of its own.")
                .unit("reqps")
                .painted("success", "green")
                .painted("failure", "red")
                .colours(theme::RESULTS)
                .leads("All upstreams", &to("holdline-upstreams", ""))
                .shows(&fetches, "{{result}}"),
            stage_times("upstream", "Time of fetches", "How long do fetches take, with all their attempts and waits? For all actions."),
            bars("Replies that did not fit", "Did an upstream's contract change? Replies by action and what was wrong with them. After a deploy mark of ours: the mapping. Without one: theirs. Try holdline call with a reply to see it.")
                .unit("reqps")
                .or_says("every reply fits")
                .shows(&failures, "{{action}}: {{reason}}"),
            stage_times("map_output", "Time of mapping", "Do mappings cost? Microseconds are usual; milliseconds come from large replies. For all actions."),
        ])
}

fn answer(board: Dashboard) -> Dashboard {
    let statuses = count_of(&SERVER_DURATION).rate().sum_by(&["http_response_status_code"]);
    let sizes = |metric| quantile(0.95, &buckets_of(metric), &[]);
    board.row("6. Answer: what callers get").line(8, vec![
        stack("Statuses", "What does HTTP say? A 200 may still be a failure where the action tells outcomes in its answer: the classes above count. For all actions.")
            .unit("reqps")
            .or_says("no calls")
            .shows(&statuses, "{{http_response_status_code}}"),
        lines("Bodies, p95", "Did payloads grow? What callers send and what they get. Large answers fill the cache and the connections. For all actions.")
            .unit("bytes")
            .or_says("no calls")
            .painted("sent by callers", "semi-dark-purple")
            .painted("answered", "light-blue")
            .shows(&sizes(&REQUEST_BYTES), "sent by callers")
            .shows(&sizes(&RESPONSE_BYTES), "answered"),
        heatmap("Latency", "Are there two kinds of calls? Hits lie at the bottom, misses above them; a third band is what is wrong.", &buckets_of(&REQUEST_DURATION).chosen("action"), "s"),
    ])
}
