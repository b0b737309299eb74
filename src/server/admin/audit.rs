//! The audit: each change that an operator asks for is counted and logged with who asked, whether it
//! was made or refused. Why it was refused is told in our own words, never in those of the request.

use std::{
    borrow::Cow,
    convert::Infallible,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, FromRequest, Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use tracing::{
    Instrument,
    field::{DisplayValue, display},
};

use crate::{
    server::admin::refused,
    telemetry::{
        meters::Words,
        metrics::{ADMIN_ACTIONS, Registry},
        spans::Attribute,
        work::{self, Work},
    },
    time::{self, Instant},
};

/// The least time between two lines about who was turned away at the door: whoever tries tokens
/// must not fill the log.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// What an operator can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Purge,
    Revoke,
    Breaker,
    Drain,
    Undrain,
    Reload,
    LogLevel,
}

impl Change {
    const ALL: [Self; 7] = [
        Self::Purge,
        Self::Revoke,
        Self::Breaker,
        Self::Drain,
        Self::Undrain,
        Self::Reload,
        Self::LogLevel,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Purge => "purge",
            Self::Revoke => "revoke",
            Self::Breaker => "breaker",
            Self::Drain => "drain",
            Self::Undrain => "undrain",
            Self::Reload => "reload",
            Self::LogLevel => "log_level",
        }
    }
}

/// Answers a request for that change within its span. What came of it is told by the audit; in which
/// words it was asked for, and by whom, is not.
pub(super) async fn spanned(
    State(change): State<Change>,
    request: Request,
    next: Next,
) -> Response {
    async {
        work::tell(Attribute::Change, change.as_str());
        next.run(request).await
    }
    .instrument(Work::Change.span())
    .await
}

/// Why somebody is turned away before it is looked at what they ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Without the token.
    Token,
    /// Sent by a web page.
    Page,
}

impl Door {
    const ALL: [Self; 2] = [Self::Token, Self::Page];

    fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Page => "page",
        }
    }
}

/// A refusal: its status, and the sentence that operator and log are told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct No {
    status: StatusCode,
    why: Cow<'static, str>,
}

impl No {
    pub(super) fn new(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Self {
        Self { status, why: why.into() }
    }

    /// To a request that cannot be read.
    pub(super) fn usage(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }
}

/// Where a request comes from, as far as the listener says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(Option<SocketAddr>);

impl Peer {
    pub(super) fn of(request: &Request) -> Self {
        let connected = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self(connected.map(|ConnectInfo(address)| *address))
    }

    /// As a field of a log line.
    pub(super) fn shown(self) -> Option<DisplayValue<SocketAddr>> {
        self.0.map(display)
    }
}

/// A change that is asked for: by whom, and in which words.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) peer: Peer,
    /// The body, or why it did not arrive.
    pub(super) body: Result<Bytes, No>,
}

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let peer = Peer::of(&request);
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            let why = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => "The body is too large",
                _ => "The body did not arrive whole",
            };
            No::new(rejection.status(), why)
        });
        Ok(Self { peer, body })
    }
}

/// What was asked for and what came of it. What is made is logged where it is made, with its own
/// fields.
#[derive(Debug)]
pub(super) struct Audit {
    changes: [Words; 7],
    doors: [Words; 2],
    turned_away: Mutex<TurnedAway>,
}

impl Audit {
    pub(super) fn new(registry: &Registry) -> Self {
        let words = |action: &'static str, results: &'static [&'static str]| {
            Words::new(results, |result| registry.counter(&ADMIN_ACTIONS, &[action, result]))
        };
        Self {
            changes: Change::ALL.map(|change| words(change.as_str(), &["done", "refused"])),
            doors: Door::ALL.map(|door| words(door.as_str(), &["refused"])),
            turned_away: Mutex::default(),
        }
    }

    /// Counts a change that was made.
    pub(super) fn made(&self, change: Change) {
        self.changes[change as usize].count("done");
        work::tell(Attribute::Result, "done");
    }

    /// Refuses a change.
    pub(super) fn refuse(&self, change: Change, peer: Peer, no: &No) -> Response {
        self.refused(change, peer, no);
        refused(no.status, &no.why)
    }

    /// Counts and logs a change that is refused.
    pub(super) fn refused(&self, change: Change, peer: Peer, no: &No) {
        self.changes[change as usize].count("refused");
        work::tell(Attribute::Result, "refused");
        tracing::info!(
            target: "holdline::audit",
            change = change.as_str(),
            status = no.status.as_u16(),
            why = &*no.why,
            peer = peer.shown(),
            "change refused"
        );
    }

    /// Turns somebody away at the door. Of many in a second only the first has a line.
    pub(super) fn turn_away(&self, door: Door, peer: Peer, no: &No) -> Response {
        self.doors[door as usize].count("refused");
        let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = turned_away.due(time::now()) {
            tracing::info!(
                target: "holdline::audit",
                change = door.as_str(),
                status = no.status.as_u16(),
                why = &*no.why,
                times,
                peer = peer.shown(),
                "turned away"
            );
        }
        refused(no.status, &no.why)
    }
}

/// Who was turned away since the last line about it.
#[derive(Debug, Default)]
struct TurnedAway {
    logged: Option<Instant>,
    since: u64,
}

impl TurnedAway {
    /// Counts one more; how many to log, if it is time to.
    fn due(&mut self, at: Instant) -> Option<u64> {
        self.since += 1;
        if self.logged.is_some_and(|logged| at < logged + BETWEEN_LINES) {
            return None;
        }
        self.logged = Some(at);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tries_many_tokens_in_a_second_leaves_one_line() {
        let (mut turned_away, start) = (TurnedAway::default(), time::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(turned_away.due(start), Some(1));
        assert_eq!((turned_away.due(at(1)), turned_away.due(at(999))), (None, None));
        assert_eq!(turned_away.due(at(1000)), Some(3), "and the next says how many there were");
        assert_eq!(turned_away.due(at(1500)), None);
    }

    #[test]
    fn each_word_stands_at_its_own_place() {
        for (at, change) in Change::ALL.into_iter().enumerate() {
            assert_eq!(change as usize, at);
        }
        for (at, door) in Door::ALL.into_iter().enumerate() {
            assert_eq!(door as usize, at);
        }
    }
}
