//! The ladder of times: an attempt ends before its call, a call before Genesys gives up. One that is
//! upside down is refused; one with a rung that bears nothing is warned of.

use std::time::Duration;

use humantime::format_duration;

use crate::{
    catalog::{
        action::patience,
        caller::{Proof, Scheme},
        name::Name,
        upstream::Upstream,
        worst_case::{Fetch, Trouble},
    },
    config::{
        section::{Section, Value},
        values::span,
    },
};

/// Genesys waits no longer for any data action.
const LONGEST: Duration = Duration::from_secs(60);

/// One action on the ladder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rungs<'a, 'n> {
    pub(super) section: &'a Section<'n>,
    /// The time of the whole call.
    pub(super) timeout: Duration,
    pub(super) safe: bool,
}

/// Reads `genesys_timeout`, which holds in Genesys, not here: it is compared, and told to Genesys.
pub(super) fn genesys_timeout(
    section: &Section<'_>,
    timeout: Option<Duration>,
) -> Option<Option<Duration>> {
    let theirs = section.optional("genesys_timeout", theirs)?;
    if let (Some(ours), Some(theirs)) = (timeout, theirs)
        && ours >= theirs
    {
        let at = section.value("timeout").or_else(|| section.value("genesys_timeout"));
        let what = format!(
            "{} is not below genesys_timeout, {}: Genesys would hang up before the answer",
            format_duration(ours),
            format_duration(theirs)
        );
        at.iter().for_each(|at| at.refuse(&*what, "write a shorter timeout"));
        return None;
    }
    Some(theirs)
}

fn longer(name: &Name) -> String {
    format!("write a longer timeout, or a shorter upstreams.{name}.timeouts.attempt")
}

/// The execution time-out of a data action.
fn theirs(value: &Value<'_>) -> Option<Duration> {
    let theirs = span(value)?;
    if !(Duration::from_secs(1)..=LONGEST).contains(&theirs) {
        value.refuse(
            "is not from 1s to 60s",
            "write the execution time-out of the action in Genesys",
        );
        return None;
    }
    Some(theirs)
}

impl Rungs<'_, '_> {
    /// Where it is told: at what is written of the call's time, or at what stands for it.
    fn place(&self, other: &'static str) -> Option<Value<'_>> {
        self.section.value("timeout").or_else(|| self.section.value(other))
    }

    /// Compares with the time of one attempt at the upstream `name`. Whether one fits.
    pub(super) fn above_attempt(&self, name: &Name, attempt: Duration) -> bool {
        let left = patience(self.timeout, None);
        // One that may take all that is left is always cut short, which is no verdict.
        if attempt < left {
            return true;
        }
        let what = format!(
            "{} is too short: less a margin for the answer it leaves {}, and one attempt at {name} may take {}",
            format_duration(self.timeout),
            format_duration(left),
            format_duration(attempt)
        );
        self.place("request").iter().for_each(|at| at.refuse(&*what, longer(name)));
        false
    }

    /// Compares with the upstream's attempts, of which one fits.
    pub(super) fn above(&self, upstream: &Upstream) {
        let fetch = Fetch::at(upstream, patience(self.timeout, None), self.safe);
        let (name, attempt) = (&upstream.name, format_duration(fetch.timeouts.attempt));
        let (timeout, left) = (format_duration(self.timeout), format_duration(fetch.patience));
        let at = self.place("request");
        if !fetch.fits_in_line() {
            let what = format!(
                "an attempt at {name} that stood in line (concurrency.wait) is cut short, and tells its breaker nothing: {timeout} leaves {left}, and it may take {attempt}"
            );
            at.iter().for_each(|at| at.warn(&*what, longer(name)));
        }
        if fetch.repeats(Trouble::Hangs) && !fetch.fits_two() {
            let attempts = fetch.retry.attempts;
            let what = format!(
                "of {attempts} attempts at {name} not even two fit: {timeout} leaves {left}, and each may take {attempt}"
            );
            let instead = format!(
                "write a shorter upstreams.{name}.timeouts.attempt, a longer timeout, or remove `timeout` from upstreams.{name}.retry.on"
            );
            at.iter().for_each(|at| at.warn(&*what, &*instead));
        }
    }

    /// Compares with the time that a token authority may take.
    pub(super) fn beside(&self, name: &Name, scheme: &Scheme) {
        let asking = match &scheme.proof {
            Proof::Introspection(authority) => authority.timeout,
            Proof::Jwt(policy) => policy.timeout,
            Proof::ApiKey(_) | Proof::Basic(_) | Proof::Issued(_) => return,
        };
        let left = patience(self.timeout, None);
        if asking >= left {
            let what = format!(
                "{} leaves {}, and the token authority may take {} of it: nothing is left for the upstream",
                format_duration(self.timeout),
                format_duration(left),
                format_duration(asking)
            );
            let instead = format!("write a longer timeout, or a shorter callers.{name}.timeout");
            self.place("caller").iter().for_each(|at| at.warn(&*what, &*instead));
        }
    }
}
