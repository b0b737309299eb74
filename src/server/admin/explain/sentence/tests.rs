//! What is told of each way in which a call may end.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    chance::Chance,
    server::admin::explain::look_at,
    telemetry::{
        meters::{CallMeters, Means, UNKNOWN_ACTION},
        metrics::Registry,
        recent::Recent,
        report::{self, Ended},
        stage::Stage::{Attempt, Authenticate, Cache, Flight, MapOutput, RateLimit, Upstream},
        trail::Tracer,
    },
    time,
};

/// How a call ended: its outcome, who answered, and the status.
type End = (Outcome, Source, u16);
/// What its stages decided, in order.
type Decided<'a> = &'a [(Stage, &'static str)];

const NONE: Source = Source::None;

/// What is remembered of a call that ended so.
fn call(
    (outcome, source, status): End,
    decided: Decided<'_>,
    why: Option<&'static str>,
) -> Recalled {
    let (registry, recent) = (Registry::new(), Recent::new(1));
    let tracer = Tracer::new(&registry, None, false, "/{action}", Chance::Random);
    let tracer = tracer.remembering(Arc::clone(&recent));
    let trail = tracer.begin(time::now(), None, "POST");
    decided.iter().for_each(|(stage, word)| trail.step(*stage, time::now(), word));
    trail.meet(|met| met.not_repeated = why);
    let action = if outcome == Outcome::UnknownAction { UNKNOWN_ACTION } else { "lookup" };
    let age = Duration::from_secs(if outcome == Outcome::Ok { 12 } else { 95 });
    let ended = Ended {
        upstream: Some("crm"),
        detail: None,
        request_id: "0",
        action,
        outcome,
        source,
        status,
        age,
        deadline: None,
        http_version: "1.1",
        bytes_in: 0,
        bytes_out: 0,
    };
    report::ended(
        &trail,
        &CallMeters::new(&registry, action, Means { cache: true, fallback: true }),
        &ended,
    );
    recent.newest(1, |_| true).remove(0)
}

#[tokio::test(start_paused = true)]
async fn an_answer_tells_who_gave_it() {
    let ok = |source| (Outcome::Ok, source, 200);
    let stale = (Outcome::Stale, Source::CacheStale, 200);
    let not_found = |source| (Outcome::NotFound, source, 404);
    for (end, decided, wanted) in [
        (ok(Source::Upstream), &[(Attempt, "200")] as Decided<'_>, "`crm` answered."),
        (
            ok(Source::Upstream),
            &[(Attempt, "503"), (Attempt, "200")],
            "`crm` answered after 2 attempts.",
        ),
        (
            ok(Source::CacheFresh),
            &[(Cache, "hit")],
            "The cache had an answer, 12 s old and still fresh.",
        ),
        (
            ok(Source::Coalesced),
            &[(Flight, "joined")],
            "`crm` answered the fetch of another call, for which this one waited.",
        ),
        (
            not_found(Source::Upstream),
            &[(Attempt, "404")],
            "`crm` says that there is no such record: 404.",
        ),
        (
            not_found(Source::CacheFresh),
            &[(Cache, "negative_hit")],
            "The cache remembered that `crm` has no such record: 404.",
        ),
        (
            stale,
            &[(Cache, "stale")],
            "The cache gave an answer that was 95 s old, and had it refreshed behind.",
        ),
        (
            stale,
            &[(Flight, "left"), (Cache, "stale")],
            "The fetch from `crm` took too long and goes on behind, so an answer that was 95 s old was \
             given.",
        ),
        (
            stale,
            &[(Upstream, "breaker_open"), (Flight, "breaker_open"), (Cache, "stale")],
            "The breaker of `crm` was open, so an answer that was 95 s old was given.",
        ),
        (
            (Outcome::Fallback, Source::Fallback, 200),
            &[(Attempt, "connect"), (Upstream, "unreachable"), (Flight, "unreachable")],
            "`crm` could not be reached (connect), so the declared fallback was given.",
        ),
    ] {
        assert_eq!(what(&call(end, decided, None)), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_tells_what_decided_it_and_why_nothing_stood_in() {
    let twice = &[(Attempt, "503"), (Attempt, "503"), (Upstream, "error")];
    for (end, decided, why, wanted) in [
        (
            (Outcome::BreakerOpen, NONE, 503),
            &[(Upstream, "breaker_open"), (Flight, "breaker_open"), (Cache, "failed")]
                as Decided<'_>,
            None,
            "The breaker of `crm` was open, and there was no earlier answer to give: 503.",
        ),
        (
            (Outcome::UpstreamError, NONE, 503),
            twice,
            Some("limit_reached"),
            "`crm` answered 503 in 2 attempts, and this action keeps no answers: 503.",
        ),
        (
            (Outcome::UpstreamError, NONE, 200),
            twice,
            Some("budget_exhausted"),
            "`crm` answered 503 in 2 attempts and was not asked again, as the retry budget was used up, \
             and this action keeps no answers: a 200 that says `upstream_error`.",
        ),
        (
            (Outcome::UpstreamError, NONE, 503),
            &[(Flight, "remembered"), (Cache, "failed")],
            None,
            "The same fetch had failed within the last second (upstream_error), so nothing was sent, and \
             there was no earlier answer to give: 503.",
        ),
    ] {
        assert_eq!(what(&call(end, decided, why)), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_not_the_upstreams_own_tells_whose_it_is() {
    for (end, decided, why, wanted) in [
        (
            (Outcome::MappingError, NONE, 502),
            &[(Upstream, "answered"), (MapOutput, "missing"), (Cache, "failed")] as Decided<'_>,
            None,
            "The reply of `crm` does not fit the action's outputs (missing), and there was no earlier \
             answer to give: 502.",
        ),
        (
            (Outcome::UpstreamRejected, NONE, 400),
            &[(Attempt, "400"), (Upstream, "rejected"), (Cache, "failed")],
            None,
            "`crm` refused the request (400): 400.",
        ),
        (
            (Outcome::Forbidden, NONE, 403),
            &[(Authenticate, "rejected")],
            None,
            "The token authority refused the caller's proof: 403.",
        ),
        (
            (Outcome::Overloaded, NONE, 503),
            &[(RateLimit, "org_full")],
            None,
            "The caller's organisation had as many calls under way as it may: 503.",
        ),
        (
            (Outcome::Canceled, NONE, 0),
            &[(Attempt, "canceled"), (Upstream, "left"), (Flight, "left"), (Cache, "left")],
            None,
            "The caller hung up while `upstream` was under way.",
        ),
    ] {
        assert_eq!(what(&call(end, decided, why)), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn every_end_has_a_sentence_and_all_but_success_something_to_look_at() {
    for outcome in Outcome::ALL {
        for source in outcome.sources() {
            let call = call((outcome, *source, 503), &[], None);
            let told = what(&call);
            assert!(told.ends_with('.') && told.len() > 10, "{outcome:?}: {told}");
            let well = matches!(outcome, Outcome::Ok | Outcome::NotFound);
            assert_eq!(look_at::next(&call).is_empty(), well, "{outcome:?}");
        }
    }
}
