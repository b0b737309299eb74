//! What the service does on its own or for its operator: the spans of it, made while it is done.
//!
//! Calls have none of these: their spans are made out of the trail, when they have ended. Where nobody
//! takes traces, a span of work is switched off at its callsite, and all of this does nothing.

use opentelemetry::{Value, trace::Status};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::telemetry::spans::Attribute;

/// The target of these spans: the layer of traces takes no other.
pub(super) const TARGET: &str = "holdline::work";

/// A piece of work. Those that begin while another runs lie in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The start of the service, until it is ready.
    Start,
    /// Of a start: the parts are put together.
    Wire,
    /// Of a start: the listeners are bound.
    Listen,
    /// A configuration is read anew.
    Reload,
    /// Of a reload: it is read and checked.
    Read,
    /// Of a reload: what it asks for is built beside what is in force.
    Build,
    /// Of a reload: it is put in force.
    Apply,
    /// A change that an operator asks for.
    Change,
    /// The end of the service, until the last spans are sent.
    Stop,
    /// Of an end: the pause in which balancers notice.
    Pause,
    /// Of an end: the calls under way.
    Calls,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Start,
        Self::Wire,
        Self::Listen,
        Self::Reload,
        Self::Read,
        Self::Build,
        Self::Apply,
        Self::Change,
        Self::Stop,
        Self::Pause,
        Self::Calls,
    ];

    /// The name of its span.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Wire => "wire",
            Self::Listen => "listen",
            Self::Reload => "reload",
            Self::Read => "read",
            Self::Build => "build",
            Self::Apply => "apply",
            Self::Change => "change",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Calls => "calls",
        }
    }

    /// Its span, which begins now and lies in that of the work at hand. It ends with its last clone.
    pub fn span(self) -> Span {
        tracing::info_span!(target: TARGET, "work", otel.name = self.as_str())
    }

    /// Does it, on this thread, and tells where it failed.
    ///
    /// # Errors
    /// That of `work`.
    pub fn attempt<T, E>(self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.run(|| work().inspect_err(|_| failed()))
    }

    /// Does it, on this thread.
    pub fn run<T>(self, work: impl FnOnce() -> T) -> T {
        self.span().in_scope(work)
    }
}

/// What may be told of work: our own words and numbers, so that nobody else's can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// A word of a closed list.
    Word(&'static str),
    /// How many.
    Number(usize),
}

impl From<&'static str> for Told {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<usize> for Told {
    fn from(number: usize) -> Self {
        Self::Number(number)
    }
}

impl From<Told> for Value {
    fn from(told: Told) -> Self {
        match told {
            Told::Word(word) => word.into(),
            Told::Number(number) => i64::try_from(number).unwrap_or(i64::MAX).into(),
        }
    }
}

/// Tells something of the work at hand.
pub fn tell(attribute: Attribute, told: impl Into<Told>) {
    Span::current().set_attribute(attribute.key(), told.into());
}

/// Tells that the work at hand failed, and somebody has to mend it.
pub fn failed() {
    Span::current().set_status(Status::error(""));
}

#[cfg(test)]
mod tests {
    use crate::telemetry::stage::Stage;

    use super::*;

    #[test]
    fn no_work_is_called_like_other_work_or_a_stage() {
        let mut names = Work::ALL.map(Work::as_str).to_vec();
        names.extend(Stage::ALL.iter().map(|stage| stage.as_str()));
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
