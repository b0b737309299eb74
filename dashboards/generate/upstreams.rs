//! The upstreams: all of them in a table, then everything about each.

use holdline::telemetry::metrics::{
    ATTEMPT_DURATION, BREAKER_FAILURE_RATIO, BREAKER_SHORT_CIRCUITED, BREAKER_SLOW_RATIO,
    BREAKER_STATE, BREAKER_TRANSITIONS, BREAKER_WOULD_REFUSE, CREDENTIAL_EXPIRY,
    CREDENTIAL_REFRESHES, Definition, HEDGES, HEDGES_SUPPRESSED, HELD, HELD_SECONDS, QUEUE_WAIT,
    QUOTA_LEFT, RETRIES, RETRIES_SUPPRESSED, RETRY_BUDGET, UPSTREAM_CALLS, UPSTREAM_CONNECTS,
    UPSTREAM_IN_FLIGHT, UPSTREAM_LIMIT,
};

use super::{
    dashboard::Dashboard,
    kinds::{bars, heatmap, lines, quantiles, stack},
    panel::Panel,
    parts::{FAULTS, breaker_lanes, breaker_state, to_upstream},
    query::{Query, quantile},
    series::{Series, buckets_of, count_of, of},
    table::{Look, Table},
    theme::{self, FULL, limits},
};

/// Its file.
pub(crate) fn file() -> (String, String) {
    let board = Dashboard::new(
        "holdline-upstreams",
        "Holdline / Upstreams",
        "How the systems behind us fare, and what we do to them: attempts, retries, breakers, \
         queues, quotas and logins, each upstream by itself.",
    )
    .choosing(
        "upstream",
        "Upstream",
        &of(&BREAKER_STATE).values(),
        "Upstreams. Each chosen one has a row of its own.",
    );
    let board = board
        .row("All upstreams")
        .line(8, vec![summary()])
        .line(6, vec![breaker_lanes(&one(&BREAKER_STATE)).wide(16), fetches()]);
    one_by_one(board).file("upstreams.json")
}

fn one(metric: &Definition) -> Series {
    of(metric).chosen("upstream")
}

fn attempts() -> Series {
    count_of(&ATTEMPT_DURATION).chosen("upstream")
}

/// The share of attempts that fail by its fault; nothing where the breaker lets none pass.
fn failing(by: &[&'static str]) -> Query {
    let all = attempts().rate().sum_by(by);
    attempts().like("error_type", FAULTS).rate().sum_by(by).or_none_of(&all).ratio_of(&all)
}

fn summary() -> Panel {
    let by: &[&'static str] = &["upstream"];
    let slow = quantile(0.95, &buckets_of(&ATTEMPT_DURATION).chosen("upstream"), by);
    let retried = one(&RETRIES).rate().sum_by(by).ratio_of(&attempts().rate().sum_by(by));
    let busy = one(&UPSTREAM_IN_FLIGHT).now().sum_by(by);
    let full = busy.ratio_of(&one(&UPSTREAM_LIMIT).now().sum_by(by));
    let held = one(&HELD_SECONDS).now().max_by(by);
    let expiry = one(&CREDENTIAL_EXPIRY).now().min_by(by).above("0").left_seconds();
    Table::new(
        "Upstreams",
        "Which upstream is in trouble, and of what kind? Failing and slow are its own doing; \
         permits that are all in use, a mark not to ask and a login that ends are what keeps us \
         from asking it. A click on a name shows that one alone.",
        &[("upstream", to_upstream())],
    )
    .column("breaker", &breaker_state(&one(&BREAKER_STATE), by), Look::words(&theme::BREAKER))
    .column("attempts", &attempts().rate().sum_by(by), Look::unit("reqps").decimals(1))
    .column(
        "failing",
        &failing(by),
        Look::unit("percentunit").decimals(1).limits(limits(0.05, 0.25)),
    )
    .column("p95", &slow, Look::unit("s").limits(limits(0.5, 1.0)))
    .column("retries", &retried, Look::unit("percentunit").decimals(1).limits(limits(0.1, 0.2)))
    .column("permits used", &full, Look::unit("percentunit").decimals(0).limits(FULL))
    .column("not before", &held, Look::unit("s").limits(theme::NONE))
    .column("login ends in", &expiry, Look::unit("s"))
    .sorted("breaker")
    .panel()
    .or_says("no upstream yet")
    .wide(24)
}

fn fetches() -> Panel {
    let failed = one(&UPSTREAM_CALLS).other_than("result", "success").rate().sum_by(&["upstream"]);
    let all = one(&UPSTREAM_CALLS).rate().sum_by(&["upstream"]);
    lines(
        "Fetches that fail",
        "Which upstream do callers feel? The share of fetches that failed with all their attempts. \
         Before old answers and fallbacks: what is left over is on the overview.",
    )
    .unit("percentunit")
    .limits_drawn(limits(0.05, f64::INFINITY))
    .or_says("no fetches")
    .shows(&failed.ratio_of(&all), "{{upstream}}")
    .wide(8)
}

fn one_by_one(board: Dashboard) -> Dashboard {
    let board = board.row_for_each("upstream", "$upstream");
    let board = board.line(7, vec![by_status(), success(), latency()]);
    let board = board.line(7, vec![spread(), breaker(), ratios()]);
    let board = board.line(7, vec![transitions(), refused(), by_replica()]);
    let board = board.line(6, vec![retries(), suppressed(), budget(), hedges()]);
    let board = board.line(6, vec![in_flight(), queue(), held(), quota()]);
    board.line(6, vec![connects(), expiry(), refreshes()])
}

fn by_status() -> Panel {
    let answered = attempts().other_than("http_response_status_code", "").rate();
    let broken = attempts().is("http_response_status_code", "").rate();
    stack(
        "Attempts by status or error",
        "What does it answer? Statuses, and errors of attempts that got none. connect and dns: it \
         is gone. timeout: it hangs. reset: it breaks off. 401 and 403: our login.",
    )
    .unit("reqps")
    .or_says("no attempts")
    .shows(&answered.sum_by(&["http_response_status_code"]), "{{http_response_status_code}}")
    .shows(&broken.sum_by(&["error_type"]), "{{error_type}}")
}

fn success() -> Panel {
    let fetched = one(&UPSTREAM_CALLS).is("result", "success").rate().sum();
    let all = one(&UPSTREAM_CALLS).rate().sum();
    let first = one(&UPSTREAM_CALLS).is("result", "success").is("retried", "false").rate().sum();
    lines(
        "What retries buy",
        "Do retries help? The share of fetches that succeeded at once, and with retries. Far \
         apart: they heal much, and cost as much load. Together and low: they only add load, so \
         lower them.",
    )
    .unit("percentunit")
    .between(0.0, 1.0)
    .or_says("no fetches")
    .painted("first attempt", "light-blue")
    .painted("with retries", "green")
    .shows(&first.ratio_of(&all), "first attempt")
    .shows(&fetched.ratio_of(&all), "with retries")
}

fn latency() -> Panel {
    quantiles(
        "Latency of attempts",
        "How long does it take? Whole attempts, body included. p50 up: all of it is slow. p99 \
         alone: a part of it, or a full pool; a flat line at the top is the time-out of the \
         configuration.",
        &buckets_of(&ATTEMPT_DURATION).chosen("upstream"),
    )
    .or_says("no attempts")
}

fn spread() -> Panel {
    heatmap(
        "Latency of attempts, spread",
        "Does it have two speeds? A second band above the usual one: one of its nodes, or a cold \
         cache of its own.",
        &buckets_of(&ATTEMPT_DURATION).chosen("upstream"),
        "s",
    )
}

fn breaker() -> Panel {
    let states = one(&BREAKER_STATE).now().avg_by(&["state"]).above("0");
    stack(
        "Breaker, share of replicas",
        "On how many replicas is it cut off? Each replica has a breaker of its own. One alone \
         open: that replica's way to it, not the upstream. forced_*: an operator.",
    )
    .unit("percentunit")
    .between(0.0, 1.0)
    .or_says("no breaker")
    .shows(&states, "{{state}}")
}

fn ratios() -> Panel {
    lines(
        "How near to opening",
        "How far is the breaker from opening? What its window sees, on the worst replica. The \
         thresholds are in the configuration (breaker.failure_ratio, breaker.slow); GET /upstreams \
         shows them beside what it sees.",
    )
    .unit("percentunit")
    .between(0.0, 1.0)
    .painted("failures", "red")
    .painted("slow", "orange")
    .shows(&one(&BREAKER_FAILURE_RATIO).now().max_by(&[]), "failures")
    .shows(&one(&BREAKER_SLOW_RATIO).now().max_by(&[]), "slow")
}

fn transitions() -> Panel {
    let changed = one(&BREAKER_TRANSITIONS).increase().sum_by(&["to"]).above("0");
    bars(
        "Changes of the breaker",
        "Does it flap? Changes by the state they led to. Open and half open in turn: the upstream \
         lives and dies, or the thresholds are too tight; force it open for a while.",
    )
    .or_says("no change")
    .shows(&changed, "{{to}}")
}

fn refused() -> Panel {
    let refused = one(&BREAKER_SHORT_CIRCUITED).rate().sum();
    let would = one(&BREAKER_WOULD_REFUSE).rate().sum();
    lines(
        "Refused by the breaker",
        "What does the open breaker keep from it? Attempts that were not made. would refuse: those \
         that passed because an operator has it observe only.",
    )
    .unit("reqps")
    .painted("refused", "red")
    .painted("would refuse", "blue")
    .shows(&refused, "refused")
    .shows(&would, "would refuse")
}

fn by_replica() -> Panel {
    lines(
        "Failing by replica",
        "Is it the upstream, or one of us? The share of attempts that fail on each replica. One \
         alone: its network, its DNS, its node; drain it.",
    )
    .unit("percentunit")
    .or_says("no attempts")
    .shows(&failing(&["instance"]), "{{instance}}")
}

fn retries() -> Panel {
    bars(
        "Retries by reason",
        "Why is it asked again? Repeats, and what went wrong before. retry_after: it said when to \
         come back.",
    )
    .unit("reqps")
    .or_says("no retries")
    .shows(&one(&RETRIES).rate().sum_by(&["reason"]).above("0"), "{{reason}}")
}

fn suppressed() -> Panel {
    bars(
        "Not repeated, by reason",
        "Why is it not asked again? budget_exhausted: too much fails to repeat it all. deadline: \
         no time was left. limit_reached: it was, and failed each time. not_idempotent: it must \
         not be.",
    )
    .unit("reqps")
    .or_says("nothing was held back")
    .shows(&one(&RETRIES_SUPPRESSED).rate().sum_by(&["reason"]).above("0"), "{{reason}}")
}

fn budget() -> Panel {
    lines(
        "Retry budget left",
        "May anything be repeated? What is left of the budget of all repeats, on the worst \
         replica. At zero failures go straight to callers or old answers.",
    )
    .unit("percentunit")
    .between(0.0, 1.0)
    .painted("left", "green")
    .shows(&one(&RETRY_BUDGET).now().min_by(&[]), "left")
}

fn hedges() -> Panel {
    let sent = one(&HEDGES).rate().sum_by(&["result"]).above("0");
    let not = one(&HEDGES_SUPPRESSED).rate().sum_by(&["reason"]).above("0");
    bars(
        "Hedges",
        "Do second attempts beside late ones help? won: the second was first. not: why none was \
         sent. Many lost ones are load for nothing: hedge later.",
    )
    .unit("reqps")
    .or_says("none is due")
    .shows(&sent, "{{result}}")
    .shows(&not, "not: {{reason}}")
}

fn in_flight() -> Panel {
    lines(
        "Attempts under way",
        "Is there room? Attempts under way against how many may be, of all replicas together. At \
         the line calls wait, and then are refused. A line that falls was measured: the upstream \
         became slower.",
    )
    .line("limit")
    .painted("under way", "semi-dark-blue")
    .shows(&one(&UPSTREAM_IN_FLIGHT).now().sum(), "under way")
    .shows(&one(&UPSTREAM_LIMIT).now().sum(), "limit")
}

fn queue() -> Panel {
    quantiles(
        "Wait for a permit",
        "Do attempts stand in line? How long they wait for one of the places. Not zero: the \
         upstream is slower than what comes, or there are too few replicas.",
        &buckets_of(&QUEUE_WAIT).chosen("upstream"),
    )
    .or_says("no attempts")
}

fn held() -> Panel {
    bars(
        "Held back",
        "May it be asked at all? Attempts that were not sent: not_before is its own Retry-After, \
         quota is what we agreed to. Then old answers and fallbacks stand in.",
    )
    .unit("reqps")
    .or_says("it may be asked")
    .painted("quota", "purple")
    .painted("not_before", "orange")
    .shows(&one(&HELD).rate().sum_by(&["reason"]).above("0"), "{{reason}}")
}

fn quota() -> Panel {
    lines(
        "Quota left",
        "How much of its quota is left? The part of the burst, on the worst replica. Often at \
         zero: ask for a larger quota, cache longer, or spread the calls.",
    )
    .unit("percentunit")
    .between(0.0, 1.0)
    .or_says("it has no quota")
    .painted("left", "green")
    .shows(&one(&QUOTA_LEFT).now().min_by(&[]), "left")
}

fn connects() -> Panel {
    let made = one(&UPSTREAM_CONNECTS).rate().sum_by(&["result"]);
    stack(
        "New connections",
        "Are connections kept? Few new ones for many attempts is well. As many as attempts: it \
         closes each, which costs a handshake every time. Failed ones: it is gone, or its \
         certificate is not trusted.",
    )
    .unit("cps")
    .or_says("no connection yet")
    .shows(&made, "{{result}}")
}

fn expiry() -> Panel {
    let left = one(&CREDENTIAL_EXPIRY).now().min_by(&["upstream"]).above("0").left_seconds();
    lines(
        "Our login ends in",
        "Will our own login run out? Seconds until the token ends, on the worst replica; it is \
         renewed behind four fifths of its time, by the first call. An alert fires when tokens are \
         asked for in vain, not by this line: a token that nobody needs is let expire.",
    )
    .unit("s")
    .or_says("it needs no token")
    .shows(&left, "{{upstream}}")
}

fn refreshes() -> Panel {
    let asked = one(&CREDENTIAL_REFRESHES).increase().sum_by(&["result"]).above("0");
    bars(
        "Tokens asked for",
        "Does the issuer give us tokens? refused: our own credentials are wrong or rotated. \
         failure: it did not answer.",
    )
    .or_says("none was asked for")
    .painted("success", "green")
    .painted("refused", "red")
    .painted("failure", "red")
    .shows(&asked, "{{result}}")
}
