//! A call and its answer: what comes in at one end of the pipeline and goes out at the other.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;

use crate::{
    catalog::{action::Action, mapping::Enveloped},
    mechanism::permit::Urgency,
    telemetry::{
        outcome::{Outcome, Source},
        trail::Trail,
    },
    time::Deadline,
};

/// One request to us, read whole.
pub struct Call {
    /// What it asks for.
    pub action: Arc<Action>,
    /// Its headers, the proof of its caller among them.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When nobody listens any more.
    pub deadline: Deadline,
    /// Whether it named a deadline that cannot be read, which makes it invalid.
    pub deadline_unreadable: bool,
    /// What its stages decide.
    pub trail: Arc<Trail>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold the token, the body a customer.
        f.debug_struct("Call")
            .field("action", &self.action.name)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// On what terms something is fetched.
#[derive(Debug, Clone)]
pub struct Terms {
    /// When nobody listens any more.
    pub deadline: Deadline,
    /// Who waits for it.
    pub urgency: Urgency,
    /// Where it is noted.
    pub trail: Arc<Trail>,
}

/// What goes out when a call is answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The flat object with every output, serialised, within its envelope.
    pub body: Enveloped,
    /// Who answered.
    pub source: Source,
    /// How old it is.
    pub age: Duration,
    /// How long it stays fresh; zero where it is not kept.
    pub ttl: Duration,
    /// For how long it has been past its time; zero where it is not.
    pub overdue: Duration,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("body", &self.body)
            .field("source", &self.source)
            .field("age", &self.age)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// An answer of this moment, which is not kept.
    pub fn of(body: Enveloped, source: Source) -> Self {
        let none = Duration::ZERO;
        Self { body, source, age: none, ttl: none, overdue: none }
    }

    /// How the call ended.
    pub fn outcome(&self) -> Outcome {
        match self.source {
            Source::CacheStale => Outcome::Stale,
            Source::Fallback => Outcome::Fallback,
            Source::Upstream | Source::CacheFresh | Source::Coalesced | Source::None => Outcome::Ok,
        }
    }

    /// Whether it is past its time to live.
    pub fn is_stale(&self) -> bool {
        self.source == Source::CacheStale
    }
}
