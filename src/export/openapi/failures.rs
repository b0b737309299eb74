//! How a call may fail, as documents tell it: one row for each status and word, when it comes, and
//! whether it keeps its status where failures are told by outcome.

use crate::catalog::{
    Catalog,
    action::{Action, Failures},
};
use crate::export::callers::{asks_outside, of_action};

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// The status, or a range such as `4XX` whose other members pass on what the upstream said.
    pub(super) status: &'static str,
    /// The word: `code` of a problem document, `outcome` of an answer.
    pub(super) word: &'static str,
    /// What happened, as a sentence.
    pub(super) when: &'static str,
    /// Whether it keeps its status where failures are told by outcome.
    keeps: bool,
    applies: Applies,
}

/// To which actions a row applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applies {
    All,
    /// Those with callers.
    Proven,
    /// Those whose callers somebody outside vouches for.
    Vouched,
    /// Those with a limit that is enforced.
    Limited,
}

use Applies::{All, Limited, Proven, Vouched};

const fn row(status: &'static str, word: &'static str, when: &'static str) -> Row {
    Row { status, word, when, keeps: false, applies: All }
}

const fn kept(status: &'static str, word: &'static str, when: &'static str) -> Row {
    Row { status, word, when, keeps: true, applies: All }
}

impl Row {
    const fn of(self, applies: Applies) -> Self {
        Self { applies, ..self }
    }
}

/// All, by status.
pub(super) const ROWS: [Row; 32] = [
    kept("400", "bad_request", "The request could not be read, or its body broke off."),
    row("400", "bad_request", "The body is not JSON, or the inputs break the contract."),
    row("400", "upstream_rejected", "The upstream said 400."),
    kept("401", "unauthenticated", "What proves the caller is missing, empty or there twice.")
        .of(Proven),
    kept("403", "forbidden", "What should prove the caller was refused.").of(Proven),
    row("404", "not_found", "The upstream has no such record."),
    kept("405", "bad_request", "The method is not POST."),
    row("405", "upstream_rejected", "The upstream said 405."),
    kept("408", "bad_request", "The body did not arrive in time."),
    row("408", "upstream_rejected", "The upstream said 408."),
    kept("413", "payload_too_large", "The body is too large."),
    row("413", "upstream_rejected", "The upstream said 413."),
    kept("415", "bad_request", "The content type is not JSON, or the body is encoded."),
    row("415", "upstream_rejected", "The upstream said 415."),
    row("429", "rate_limited", "A rate limit is used up.").of(Limited),
    row("429", "upstream_rejected", "The upstream said 429."),
    row("4XX", "upstream_rejected", "The upstream said so."),
    row("500", "internal_error", "A bug."),
    row("500", "upstream_error", "The upstream said 500."),
    row("502", "upstream_rejected", "The upstream refused our credentials, or redirected."),
    row("502", "upstream_unreachable", "No connection to the upstream, or it broke."),
    row("502", "mapping_error", "The upstream's reply does not fit the outputs."),
    row("502", "upstream_error", "The upstream said 502."),
    kept("503", "overloaded", "As much is under way as may be, here or at the upstream."),
    kept("503", "draining", "This instance is shutting down."),
    row("503", "auth_unavailable", "The token could not be checked.").of(Vouched),
    row("503", "breaker_open", "The upstream has been failing and is given a rest."),
    row("503", "upstream_error", "The upstream said 503."),
    row("504", "upstream_timeout", "The upstream took too long."),
    row("504", "deadline_exceeded", "The time of the call was up."),
    row("504", "upstream_error", "The upstream said 504."),
    row("5XX", "upstream_error", "The upstream said so."),
];

/// Those that an action tells by status.
pub(super) fn by_status(catalog: &Catalog, action: &Action) -> Vec<Row> {
    let told = |row: &Row| row.keeps || action.failures == Failures::Status;
    possible(catalog, action).filter(told).collect()
}

/// The words that an action tells by outcome, each once. Also for what may keep its status: the same
/// word has more than one cause.
pub(super) fn by_outcome(catalog: &Catalog, action: &Action) -> Vec<&'static str> {
    let mut words = Vec::new();
    let told = |row: &Row| !row.keeps || row.word == "overloaded";
    for row in possible(catalog, action).filter(told) {
        if !words.contains(&row.word) {
            words.push(row.word);
        }
    }
    words
}

fn possible(catalog: &Catalog, action: &Action) -> impl Iterator<Item = Row> {
    let proven = !action.callers.is_empty();
    let vouched = of_action(catalog, action).any(asks_outside);
    let enforced = |name| catalog.limits.get(name).is_some_and(|limit| limit.enforce);
    let limited = action.limits.iter().any(enforced);
    ROWS.into_iter().filter(move |row| match row.applies {
        All => true,
        Proven => proven,
        Vouched => vouched,
        Limited => limited,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::telemetry::outcome::Outcome;

    #[test]
    fn every_word_for_a_failure_has_a_row_and_no_other() {
        let others = [
            Outcome::Ok,
            Outcome::Stale,
            Outcome::Fallback,
            // Of a path that no action has.
            Outcome::UnknownAction,
            // Nobody is there to be told.
            Outcome::Canceled,
        ];
        let failures = Outcome::ALL.into_iter().filter(|outcome| !others.contains(outcome));
        let words: BTreeSet<_> = failures.map(Outcome::as_str).collect();
        assert_eq!(ROWS.iter().map(|row| row.word).collect::<BTreeSet<_>>(), words);
    }

    #[test]
    fn rows_stand_by_status() {
        assert!(ROWS.is_sorted_by_key(|row| row.status));
    }
}
