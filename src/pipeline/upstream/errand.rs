//! What travels with a request through the chain: to what end it is sent, until when, and what is
//! noted on the way. reqwest-middleware carries it in its extensions as far as to the layers that are
//! plain calls; from there on a [`Leg`] does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::Next;

use crate::{
    mechanism::{permit::Urgency, quota::Paid},
    pipeline::{call::Terms, upstream::error::AttemptError},
    telemetry::trail::Trail,
    time::Deadline,
};

/// What one try comes to: a reply that was read to its end, or why there is none.
pub(super) type Outcome = Result<Response, AttemptError>;

/// One fetch on its way through the chain.
#[derive(Debug, Clone)]
pub(super) struct Errand {
    /// When nobody listens any more.
    pub(super) deadline: Deadline,
    /// Who waits for it.
    pub(super) urgency: Urgency,
    /// Whether it may be repeated.
    pub(super) repeatable: bool,
    /// Whether it may stand in a line. If not, it is sent at once or not at all.
    may_wait: bool,
    /// The template of its path: what spans may tell of the address.
    pub(super) url_template: Arc<str>,
    /// Where its attempts are noted.
    pub(super) trail: Arc<Trail>,
    attempts: Arc<AtomicU32>,
}

impl Errand {
    /// A fetch that has not been attempted yet.
    pub(super) fn new(terms: &Terms, repeatable: bool, url_template: Arc<str>) -> Self {
        let Terms { deadline, urgency, trail } = terms.clone();
        Self {
            deadline,
            urgency,
            repeatable,
            may_wait: true,
            url_template,
            trail,
            attempts: Arc::default(),
        }
    }

    /// The same errand for an attempt that never waits. Both count their attempts together.
    pub(super) fn at_once(&self) -> Self {
        Self { may_wait: false, ..self.clone() }
    }

    /// The same errand for the attempt on which every call depends: it goes like a caller's, even if
    /// it refreshes. Both count their attempts together.
    pub(super) fn urgent(&self) -> Self {
        Self { urgency: Urgency::Interactive, ..self.clone() }
    }

    /// The errand of a request in the chain.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().expect("every request enters the chain with its errand").clone()
    }

    /// Counts one more attempt; returns how many there were before.
    pub(super) fn next_attempt(&self) -> u32 {
        self.attempts.fetch_add(1, Ordering::Relaxed)
    }

    /// How many attempts were made.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// How long it may stand in a line. A caller's spends at most a tenth of the time left there:
    /// what waits longer could not finish in the rest. Nobody waits for a refresh; it has still to
    /// be in time.
    pub(super) fn patience(&self) -> Duration {
        match self.urgency {
            _ if !self.may_wait => Duration::ZERO,
            Urgency::Interactive => self.left() / 10,
            Urgency::Refresh => self.left() / 2,
        }
    }

    /// Time left for it.
    pub(super) fn left(&self) -> Duration {
        self.deadline.left()
    }
}

/// One attempt on its way down to the wire, and what the layers tell each other of it.
pub(super) struct Leg<'a> {
    /// What is sent; `None` once it is.
    pub(super) request: Option<Request>,
    /// To what end.
    pub(super) errand: &'a Errand,
    /// Where the layers end.
    pub(super) wire: Next<'a>,
    /// What was paid for a place in the quota; what is not spent goes back with the leg.
    pub(super) paid: Option<Paid>,
    /// How long the exchange took, without any wait of ours; zero where nothing was sent.
    pub(super) took: Duration,
}

impl<'a> Leg<'a> {
    /// One that sets out.
    pub(super) fn new(request: Request, errand: &'a Errand, wire: Next<'a>) -> Self {
        Self { request: Some(request), errand, wire, paid: None, took: Duration::ZERO }
    }
}
