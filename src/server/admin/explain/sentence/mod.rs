//! What happened to a call and what decided it, in one plain sentence of closed words: for people who
//! read it at three in the morning.

use crate::telemetry::{
    outcome::{Outcome, Source},
    recent::Recalled,
    stage::Stage,
    steps::Steps,
    trail::Step,
};

/// The sentence.
pub(super) fn what(call: &Recalled) -> String {
    let noted = call.steps();
    let told = Told { call, steps: Steps::of(&noted), noted: &noted };
    let sentence = match call.outcome {
        Outcome::Ok => told.answered(),
        Outcome::NotFound => told.not_found(),
        Outcome::Stale => told.stale(),
        Outcome::Fallback => format!("{}, so the declared fallback was given", told.cause()),
        _ => told.failed(),
    };
    capitalised(&sentence) + "."
}

/// A call whose sentence is made.
struct Told<'a> {
    call: &'a Recalled,
    steps: Steps<'a>,
    noted: &'a [Step],
}

impl Told<'_> {
    /// The upstream as it stands in a sentence.
    fn upstream(&self) -> String {
        self.call.upstream().map_or_else(|| "the upstream".to_owned(), |name| format!("`{name}`"))
    }

    fn answered(&self) -> String {
        let upstream = self.upstream();
        match (self.call.source, self.attempts()) {
            (Source::CacheFresh, _) => {
                format!("the cache had an answer, {} old and still fresh", self.age())
            }
            (Source::Coalesced, _) => {
                format!("{upstream} answered the fetch of another call, for which this one waited")
            }
            (_, 0 | 1) => format!("{upstream} answered"),
            (_, attempts) => format!("{upstream} answered after {attempts} attempts"),
        }
    }

    fn not_found(&self) -> String {
        let upstream = self.upstream();
        let told = match self.call.source {
            Source::CacheFresh => {
                format!("the cache remembered that {upstream} has no such record")
            }
            Source::Coalesced => {
                format!("{upstream} told the fetch of another call that there is no such record")
            }
            _ => format!("{upstream} says that there is no such record"),
        };
        told + &self.status()
    }

    fn stale(&self) -> String {
        let age = self.age();
        match self.steps.decision(Stage::Flight) {
            None => {
                format!("the cache gave an answer that was {age} old, and had it refreshed behind")
            }
            Some(_) => format!("{}, so an answer that was {age} old was given", self.cause()),
        }
    }

    fn failed(&self) -> String {
        let stands_in = matches!(
            self.call.outcome,
            Outcome::UpstreamError
                | Outcome::UpstreamTimeout
                | Outcome::UpstreamUnreachable
                | Outcome::BreakerOpen
                | Outcome::DeadlineExceeded
                | Outcome::MappingError
                | Outcome::Overloaded
        );
        let cached = self.steps.decision(Stage::Cache).is_some();
        let fetched = self.steps.decision(Stage::Upstream).is_some();
        let nothing_else = match (stands_in, cached, fetched) {
            (true, true, _) => ", and there was no earlier answer to give",
            (true, false, true) => ", and this action keeps no answers",
            _ => "",
        };
        self.cause() + nothing_else + &self.status()
    }

    /// With what the caller was told.
    fn status(&self) -> String {
        match (self.call.status, self.call.outcome) {
            (0, Outcome::Canceled) => String::new(),
            (0, _) => ", and nobody was there any more to be told".to_owned(),
            (200, outcome) => format!(": a 200 that says `{}`", outcome.as_str()),
            (status, _) => format!(": {status}"),
        }
    }

    /// Why there was no new answer.
    fn cause(&self) -> String {
        let degraded = matches!(self.call.outcome, Outcome::Stale | Outcome::Fallback);
        match self.steps.decision(Stage::Flight) {
            Some("full") => "as many calls as may were waiting for the same record".to_owned(),
            Some("remembered") => {
                let word = self.call.outcome.as_str();
                let word = if degraded { String::new() } else { format!(" ({word})") };
                format!(
                    "the same fetch had failed within the last second{word}, so nothing was sent"
                )
            }
            Some("left") if degraded => {
                format!("the fetch from {} took too long and goes on behind", self.upstream())
            }
            Some("joined") if degraded => {
                format!(
                    "the fetch of another call from {}, for which this one waited, failed",
                    self.upstream()
                )
            }
            _ => self.trouble(),
        }
    }

    fn trouble(&self) -> String {
        let upstream = self.upstream();
        let mapped = self.steps.decision(Stage::MapOutput).filter(|word| *word != "mapped");
        if let Some(reason) = mapped {
            return format!("the reply of {upstream} does not fit the action's outputs ({reason})");
        }
        let trouble = match self.steps.decision(Stage::Upstream) {
            Some("breaker_open") => format!("the breaker of {upstream} was open"),
            Some("held") => {
                format!("{upstream} may not be asked yet, by its own wish or by its quota")
            }
            Some("saturated") => format!("{upstream} had as many attempts under way as it may"),
            Some("not_issued") => format!("no token could be had to log in to {upstream}"),
            Some("too_large") => format!("the reply of {upstream} was larger than it may be"),
            Some("malformed") => format!("the reply of {upstream} could not be read"),
            Some("timeout") => format!("{upstream} did not answer in time"),
            Some("unreachable") => {
                format!("{upstream} could not be reached{}", self.last_word())
            }
            Some("error") => {
                let word = self.steps.last_attempt().unwrap_or("with an error");
                format!("{upstream} answered {word}")
            }
            Some("rejected") => format!("{upstream} refused the request{}", self.last_word()),
            Some("deadline_exceeded") => {
                format!("the time of the call was up before {upstream} had answered")
            }
            _ => return self.refused(),
        };
        trouble + &self.repeats()
    }

    /// Why it ended without anything being asked, or while something was.
    fn refused(&self) -> String {
        let upstream = self.upstream();
        let because = match self.call.outcome {
            Outcome::BadRequest => "the request breaks its form or the action's contract",
            Outcome::Unauthenticated => "the caller showed no proof that holds",
            Outcome::Forbidden => match self.steps.decision(Stage::Authenticate) {
                Some("rejected") => "the token authority refused the caller's proof",
                _ => "the caller's proof is known not to be good",
            },
            Outcome::UnknownAction => "there is no action of that name",
            Outcome::PayloadTooLarge => "the request was larger than it may be",
            Outcome::RateLimited => "a rate limit of the caller was used up",
            Outcome::AuthUnavailable => {
                "the token authority could not be asked, and nothing usable was known of the token"
            }
            Outcome::Draining => "this instance was shutting down",
            Outcome::InternalError => "a bug of Holdline ended the call",
            Outcome::Overloaded => match self.steps.decision(Stage::RateLimit) {
                Some("org_full") => {
                    "the caller's organisation had as many calls under way as it may"
                }
                _ => "this instance had as many calls under way as it may",
            },
            Outcome::Canceled => {
                // The innermost ends first.
                let stage = self.noted.iter().find(|step| step.decision == "left");
                let stage = stage.map_or("", |step| step.stage.as_str());
                return match stage {
                    "" => "the caller hung up".to_owned(),
                    stage => format!("the caller hung up while `{stage}` was under way"),
                };
            }
            Outcome::BreakerOpen => return format!("the breaker of {upstream} was open"),
            Outcome::UpstreamTimeout => return format!("{upstream} did not answer in time"),
            Outcome::UpstreamUnreachable => return format!("{upstream} could not be reached"),
            Outcome::UpstreamError => return format!("{upstream} answered with an error"),
            Outcome::UpstreamRejected => return format!("{upstream} refused the request"),
            Outcome::MappingError => return format!("the reply of {upstream} could not be used"),
            Outcome::DeadlineExceeded | Outcome::Ok | Outcome::NotFound => {
                "the time of the call was up"
            }
            Outcome::Stale | Outcome::Fallback => return format!("{upstream} gave no new answer"),
        };
        because.to_owned()
    }

    /// How often it was tried, and why not more often.
    fn repeats(&self) -> String {
        let tried = match self.attempts() {
            0 | 1 => String::new(),
            attempts => format!(" in {attempts} attempts"),
        };
        let why = match self.call.met.not_repeated {
            Some("budget_exhausted") => "the retry budget was used up",
            Some("deadline") => "the time left was too short",
            Some("not_idempotent") => "the action is not safe to repeat",
            Some("breaker_open") => "its breaker had opened",
            Some("held") => "it may not be asked again yet",
            // All attempts that there are were made: no more needs to be said.
            _ => return tried,
        };
        format!("{tried} and was not asked again, as {why}")
    }

    fn last_word(&self) -> String {
        self.steps.last_attempt().map(|word| format!(" ({word})")).unwrap_or_default()
    }

    fn attempts(&self) -> usize {
        self.steps.attempts() + self.call.left_out
    }

    fn age(&self) -> String {
        format!("{} s", self.call.age.as_secs())
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
