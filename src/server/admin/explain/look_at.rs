//! What to look at after a call that ended so, in the order in which it helps.

use crate::telemetry::{
    metrics::{MAPPING_FAILURES, TOKEN_VALIDATIONS},
    outcome::Outcome,
    recent::Recalled,
    stage::Stage,
    steps::Steps,
};

/// What to look at next; nothing where all went well.
pub(super) fn next(call: &Recalled) -> Vec<String> {
    let noted = call.steps();
    let steps = Steps::of(&noted);
    let asked = steps.decision(Stage::Upstream).is_some();
    let refreshed_behind =
        call.outcome == Outcome::Stale && steps.decision(Stage::Flight).is_none();
    let mut places = match (call.upstream(), call.outcome) {
        (Some(upstream), Outcome::Overloaded) if asked => of_upstream(upstream, call.outcome),
        (_, Outcome::Overloaded) | (None, _) => Vec::new(),
        (Some(upstream), outcome) => of_upstream(upstream, outcome),
    };
    places.extend(of_ourselves(call.outcome, asked));
    if !refreshed_behind {
        places.extend(runbook(call.outcome).map(|alert| format!("the runbook of {alert}")));
    }
    places
}

/// What is to be seen of the upstream that the action asks.
fn of_upstream(upstream: &str, outcome: Outcome) -> Vec<String> {
    let stands = |what: &str| format!("GET /upstreams: {what} of `{upstream}`");
    match outcome {
        Outcome::BreakerOpen => vec![
            stands("since when the breaker is open, by whose hand, and the failure ratio"),
            format!("POST /breakers/{upstream}: puts it under your hand for a while"),
        ],
        Outcome::Stale
        | Outcome::Fallback
        | Outcome::UpstreamError
        | Outcome::UpstreamTimeout
        | Outcome::UpstreamUnreachable
        | Outcome::DeadlineExceeded => vec![
            stands("breaker, failure ratio and latency"),
            format!("GET /explain?upstream={upstream}: what other calls met there"),
        ],
        Outcome::UpstreamRejected => vec![
            format!("where it said 401, 403 or 407, `upstreams.{upstream}.auth`"),
            stands("where a token is issued to us, `token_seconds_left`"),
        ],
        Outcome::Overloaded => {
            vec![stands("attempts in flight and waiting, quota, and for how long it is held")]
        }
        Outcome::Canceled => vec![
            stands("the latency"),
            "the flow's own time-out: it has to be longer than the action's".to_owned(),
        ],
        _ => Vec::new(),
    }
}

/// What is to be seen of this instance and its callers.
fn of_ourselves(outcome: Outcome, asked: bool) -> Option<String> {
    let told = match outcome {
        Outcome::MappingError => {
            format!("`{}`: which action, and why; holdline dry-run shows it", MAPPING_FAILURES.name)
        }
        Outcome::AuthUnavailable | Outcome::Unauthenticated | Outcome::Forbidden => {
            format!("`{}`: what is held of proofs, by scheme", TOKEN_VALIDATIONS.name)
        }
        Outcome::RateLimited => "GET /limits: which limit is used up".to_owned(),
        Outcome::Overloaded if !asked => {
            "GET /limits: what is under way, and what may be".to_owned()
        }
        Outcome::Draining => "GET /info: the phase of this instance".to_owned(),
        Outcome::InternalError => "the log lines of this `request_id`".to_owned(),
        Outcome::BadRequest | Outcome::PayloadTooLarge | Outcome::UnknownAction => {
            "GET /docs: what the actions take".to_owned()
        }
        _ => return None,
    };
    Some(told)
}

/// The alert whose runbook is about such calls.
fn runbook(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::BreakerOpen => Some("HoldlineBreakerOpen"),
        Outcome::Stale | Outcome::Fallback => Some("HoldlineServingStale"),
        Outcome::UpstreamError
        | Outcome::UpstreamTimeout
        | Outcome::UpstreamUnreachable
        | Outcome::DeadlineExceeded => Some("HoldlineUpstreamErrors"),
        Outcome::MappingError => Some("HoldlineMappingFailures"),
        Outcome::AuthUnavailable => Some("HoldlineTokenValidationErrors"),
        Outcome::Unauthenticated | Outcome::Forbidden => Some("HoldlineTokenRejectionsHigh"),
        Outcome::RateLimited => Some("HoldlineRateLimiting"),
        Outcome::Overloaded => Some("HoldlineShedding"),
        Outcome::InternalError => Some("HoldlinePanics"),
        _ => None,
    }
}
