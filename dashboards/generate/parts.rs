//! What several dashboards show alike.

use holdline::telemetry::metrics::{
    Definition, REQUEST_DURATION, REQUESTS, SLOT_SECONDS, STAGE_DURATION,
};

use super::{
    dashboard::to,
    kinds::{lanes, quantiles, stack},
    panel::Panel,
    query::Query,
    series::{Series, buckets_of, of, sum_of},
    table::Look,
    theme,
};

/// Errors of attempts that are the upstream's fault. A 404 is an answer, and so are a 409 and a 422;
/// who hangs up says nothing of it. The alerts have the same.
pub(crate) const FAULTS: &str =
    "timeout|connect|dns|tls|reset|protocol|body_too_large|401|403|408|429|5..";

/// Look-ups that found an answer, and all that could. A failure that is told again from memory is
/// neither. The alerts have the same.
pub(crate) const HITS: &str = "hit|stale";
/// See [`HITS`].
pub(crate) const LOOKED_UP: &str = "hit|stale|miss|expired";

/// The share of valid calls that fail.
pub(crate) fn failing(by: &[&'static str]) -> Query {
    let failed = of(&REQUESTS).is("class", "failure").rate().sum_by(by);
    let valid = of(&REQUESTS).other_than("class", "rejected").rate().sum_by(by);
    failed.share_of(&valid)
}

/// How many of the organisation's slots are held.
pub(crate) fn slots_held(by: &[&'static str]) -> Query {
    of(&SLOT_SECONDS).rate().sum_by(by)
}

/// The number of the worst state that a breaker is in on any replica. `breakers` are series of
/// `BREAKER_STATE`.
pub(crate) fn breaker_state(breakers: &Series, by: &[&'static str]) -> Query {
    let state = |(name, number, _): &(&str, u8, &str)| {
        breakers.clone().is("state", name).now().times(&number.to_string())
    };
    let states = theme::BREAKER.iter().map(state).reduce(|all, one| all.or(&one));
    states.expect("there are states").max_by(by)
}

/// A lane for each of the upstreams' breakers.
pub(crate) fn breaker_lanes(breakers: &Series) -> Panel {
    lanes(
        "Breakers",
        "Which upstream is cut off, and since when? The worst state of each breaker over all \
         replicas. Open: calls get old answers, fallbacks or a failure at once, and the upstream \
         is asked again by itself. Half open: a few attempts decide.",
    )
    .mapped(&theme::BREAKER)
    .or_says("no upstream yet")
    .leads("All upstreams", &to("holdline-upstreams", ""))
    .shows(&breaker_state(breakers, &["upstream"]), "{{upstream}}")
}

/// The parts of the mean time of a call. What is behind the limits is one part: the cache waits for
/// the upstream, and refreshes that nobody waits for are in the stages' own times.
pub(crate) fn time_by_stage(title: &str) -> Panel {
    let spent = |name: &str| sum_of(&STAGE_DURATION).is("stage", name).rate().sum();
    let calls = of(&REQUESTS).rate().sum();
    let all = sum_of(&REQUEST_DURATION).rate().sum();
    let first = ["authenticate", "validate", "rate_limit"];
    let before = first.iter().map(|name| spent(name)).reduce(|all, one| all.with("+", &one));
    let rest = all.with("-", &before.expect("there are stages")).called("clamp_min", "0");
    let panel = stack(
        title,
        "Which stage is slow? The mean time of a call, in parts that add up to it. Much in \
         authenticate: the token authority. Much in the last: an upstream; see how long its \
         attempts take. All low and calls still slow: the way to us.",
    )
    .unit("s")
    .or_says("no calls");
    let panel =
        first.iter().fold(panel, |panel, name| panel.shows(&spent(name).ratio_of(&calls), name));
    panel.colours(theme::STAGES).shows(&rest.ratio_of(&calls), "cache and upstream")
}

/// A name of an action that leads to its path.
pub(crate) fn to_path() -> Look {
    Look::default().leads("Stage by stage", &to("holdline-path", "var-action=${__value.text}"))
}

/// A name of an upstream that leads to all of it.
pub(crate) fn to_upstream() -> Look {
    let url = to("holdline-upstreams", "var-upstream=${__value.text}");
    Look::default().leads("This upstream", &url)
}

/// How long one stage takes.
pub(crate) fn stage_times(stage: &str, title: &str, description: &str) -> Panel {
    quantiles(title, description, &buckets_of(&STAGE_DURATION).is("stage", stage))
}

/// A gauge by replica.
pub(crate) fn each(metric: &Definition) -> Query {
    of(metric).now().sum_by(&["instance"])
}
