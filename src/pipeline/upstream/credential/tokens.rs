//! The token that is issued to us for one upstream: asked for when it is first needed, by one
//! question however many calls wait for it, and renewed behind their backs before it expires.
//!
//! Nothing happens here while nobody calls. An issuer that fails or refuses us is left alone for a
//! while that doubles, and calls are told so at once; as long as the token at hand is good, they do
//! not notice.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tracing::{Instrument, Span};

use crate::{
    background::Background,
    catalog::{credential::ClientCredentials, upstream::Upstream},
    chance::Chance,
    client::ClientError,
    mechanism::flight::{Boarding, Flights, Takeoff, Waiter},
    pipeline::upstream::{
        Surroundings,
        credential::{
            Header,
            issuer::{Issued, Issuer, No},
        },
        error::UpstreamError,
    },
    telemetry::{attempts, meters::Words},
    time::{self, Deadline, Instant, Wall},
};

/// The part of its time after which a token is renewed: what is left is how long the issuer may be
/// down before anybody notices. ± 5 %, so that the replicas of a service do not ask together.
const RENEWED_AFTER: f64 = 0.8;
const SCATTER: f64 = 0.05;
/// A token is not sent in the last tenth of its time, or the last ten seconds: it has a way to go,
/// and the other side's clock may be ahead.
const LAST_PART: u32 = 10;
const LAST: Duration = Duration::from_secs(10);
/// How long an issuer is left alone after a failure; twice as long after each more in a row.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// However long an issuer asks to be left alone, it is not for longer.
const LONGEST_ASKED: Duration = Duration::from_secs(300);
/// A token that an upstream does not take is dropped no sooner than this after the one before: an
/// upstream that takes none must not make every call ask for another.
const DROPS_APART: Duration = Duration::from_secs(10);
/// Calls that may wait for one question.
const MAX_WAITERS: usize = 5_000;

/// A token of ours.
#[derive(Debug)]
pub(in super::super) struct Token {
    header: Header,
    renew_from: Instant,
    good_until: Instant,
    /// When it expires, in time since 1970.
    expires: Duration,
}

impl Token {
    /// The header that it is sent in.
    pub(in super::super) fn header(&self) -> &Header {
        &self.header
    }
}

/// Where a call has its token from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Fetched {
    /// It was at hand.
    Before,
    /// The call has waited for it: it is as new as can be.
    Now,
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NotIssued {
    refused: bool,
    until: Instant,
}

type Landed = Result<Arc<Token>, NotIssued>;

/// The token of one upstream.
#[derive(Debug)]
pub(in super::super) struct Tokens {
    upstream: Box<str>,
    issuer: Issuer,
    /// Shared with those before and after it to whom the same is issued.
    state: Arc<Mutex<State>>,
    flights: Flights<(), Landed>,
    background: Background,
    chance: Chance,
    wall: Wall,
    refreshes: Words,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Arc<Token>>,
    /// The last failure, as long as no token came after it.
    failed: Option<Failed>,
    /// When the last token was dropped that the upstream did not take.
    dropped: Option<Instant>,
}

#[derive(Debug)]
struct Failed {
    no: No,
    in_a_row: u32,
    /// When the issuer may be asked again.
    until: Instant,
}

/// What there is at an instant.
enum AtHand {
    Good(Arc<Token>),
    /// Good, and due to be renewed.
    Due(Arc<Token>),
    Nothing,
    /// Nothing, and the issuer is left alone.
    Resting(NotIssued),
}

impl Tokens {
    /// Asks nobody yet.
    pub(super) fn new(
        upstream: &Upstream,
        ours: &ClientCredentials,
        around: &Surroundings<'_>,
    ) -> Result<Arc<Self>, ClientError> {
        Self::with(Arc::default(), upstream, ours, around)
    }

    /// The same token, from now on asked for on the way of `upstream`.
    pub(super) fn succeed(
        &self,
        upstream: &Upstream,
        ours: &ClientCredentials,
        around: &Surroundings<'_>,
    ) -> Result<Arc<Self>, ClientError> {
        Self::with(Arc::clone(&self.state), upstream, ours, around)
    }

    fn with(
        state: Arc<Mutex<State>>,
        upstream: &Upstream,
        ours: &ClientCredentials,
        around: &Surroundings<'_>,
    ) -> Result<Arc<Self>, ClientError> {
        Ok(Arc::new(Self {
            upstream: upstream.name.as_str().into(),
            issuer: Issuer::new(upstream, ours, &around.transport, around.wall)?,
            state,
            flights: Flights::new(MAX_WAITERS),
            background: around.background.clone(),
            chance: around.chance,
            wall: around.wall,
            refreshes: attempts::refresh_meters(around.registry, upstream.name.as_str()),
        }))
    }

    /// Whether a call would have to wait for one.
    pub(in super::super) fn is_missing(&self) -> bool {
        matches!(self.at_hand(time::now()), AtHand::Nothing)
    }

    /// For how long yet there is one that may be sent.
    pub(in super::super) fn left(&self, now: Instant) -> Duration {
        let state = self.state();
        let token = state.token.as_ref();
        token.map_or(Duration::ZERO, |token| token.good_until.saturating_duration_since(now))
    }

    /// When the one expires that is at hand, in time since 1970; zero where there is none.
    pub(in super::super) fn expires(&self) -> Duration {
        self.state().token.as_ref().map_or(Duration::ZERO, |token| token.expires)
    }

    /// A token that may be sent, waited for until `deadline` where there is none at hand.
    pub(in super::super) async fn token(
        self: &Arc<Self>,
        deadline: Deadline,
    ) -> Result<(Arc<Token>, Fetched), UpstreamError> {
        match self.at_hand(time::now()) {
            AtHand::Good(token) => return Ok((token, Fetched::Before)),
            AtHand::Due(token) => {
                // Nobody waits for it: whoever boards it does so because the old one is gone.
                drop(self.board());
                return Ok((token, Fetched::Before));
            }
            AtHand::Resting(not_issued) => return Err(not_issued.told()),
            AtHand::Nothing => {}
        }
        let mut waiter = self.board().ok_or(UpstreamError::Saturated)?;
        match tokio::time::timeout_at(deadline.instant(), waiter.landed()).await {
            Ok(Some(Ok(token))) => Ok((token, Fetched::Now)),
            Ok(Some(Err(not_issued))) => Err(not_issued.told()),
            // The question was lost: a bug, after which the next to come asks anew.
            Ok(None) => Err(NotIssued { refused: false, until: time::now() }.told()),
            Err(_) => Err(UpstreamError::CutShort),
        }
    }

    /// The upstream has not taken `token`. Says whether there is another to try: one that has its
    /// place by now, or else one that is to be asked for, and then `token` is dropped. It is kept
    /// where none can be had: some of what it is sent for may still take it.
    pub(in super::super) fn not_taken(&self, token: &Arc<Token>) -> bool {
        let now = time::now();
        let mut state = self.state();
        let is_current = state.token.as_ref().is_some_and(|current| Arc::ptr_eq(current, token));
        if !is_current {
            return true;
        }
        let just_dropped = state.dropped.is_some_and(|dropped| now < dropped + DROPS_APART);
        let resting = state.failed.as_ref().is_some_and(|failed| now < failed.until);
        if just_dropped || resting {
            return false;
        }
        state.dropped = Some(now);
        state.token = None;
        true
    }

    fn at_hand(&self, now: Instant) -> AtHand {
        let state = self.state();
        let resting = state.failed.as_ref().filter(|failed| now < failed.until);
        match (&state.token, resting) {
            (Some(token), _) if now < token.renew_from => AtHand::Good(Arc::clone(token)),
            (Some(token), None) if now < token.good_until => AtHand::Due(Arc::clone(token)),
            (Some(token), Some(_)) if now < token.good_until => AtHand::Good(Arc::clone(token)),
            (_, Some(failed)) => {
                AtHand::Resting(NotIssued { refused: failed.no.refused, until: failed.until })
            }
            (_, None) => AtHand::Nothing,
        }
    }

    /// Joins the question that is under way, or asks it. `None`: too many wait for it.
    fn board(self: &Arc<Self>) -> Option<Waiter<Landed>> {
        match self.flights.join(&()) {
            Boarding::Full => None,
            Boarding::Follow(waiter) => Some(waiter),
            Boarding::Lead(takeoff, waiter) => {
                let tokens = Arc::clone(self);
                let question = async move { tokens.fly(takeoff).await };
                self.background.finish(question.instrument(self.issuer.span()));
                Some(waiter)
            }
        }
    }

    async fn fly(&self, takeoff: Takeoff<(), Landed>) {
        // The question before this one may have been answered between the look and the boarding.
        let landed = match self.at_hand(time::now()) {
            AtHand::Good(token) => Ok(token),
            AtHand::Resting(not_issued) => Err(not_issued),
            AtHand::Due(_) | AtHand::Nothing => {
                // It was the other side that began to count.
                let asked = time::now();
                match self.issuer.ask().await {
                    Ok(issued) => Ok(self.keep(asked, issued)),
                    Err(no) => Err(self.rest(no)),
                }
            }
        };
        takeoff.land(landed);
    }

    fn keep(&self, asked: Instant, issued: Issued) -> Arc<Token> {
        let Issued { header, lasts } = issued;
        let renewed_after = lasts.mul_f64(RENEWED_AFTER * self.chance.around_one(SCATTER));
        let token = Arc::new(Token {
            header,
            renew_from: asked + renewed_after,
            good_until: asked + (lasts - LAST.min(lasts / LAST_PART)),
            expires: self.wall.since_epoch()
                + (asked + lasts).saturating_duration_since(time::now()),
        });
        let failed = {
            let mut state = self.state();
            state.token = Some(Arc::clone(&token));
            state.failed.take()
        };
        self.refreshes.count("success");
        if failed.is_some() {
            tracing::info!(upstream = &*self.upstream, "tokens are issued again");
        }
        token
    }

    /// Leaves the issuer alone for a while.
    fn rest(&self, no: No) -> NotIssued {
        let mut state = self.state();
        let before = state.failed.take();
        let in_a_row = before.as_ref().map_or(0, |failed| failed.in_a_row).saturating_add(1);
        let doubled = FIRST_REST.saturating_mul(1 << (in_a_row - 1).min(8)).min(LONGEST_REST);
        let own = doubled.mul_f64(self.chance.around_one(0.2));
        let asked = no.retry_after.unwrap_or_default().min(LONGEST_ASKED);
        let until = time::now() + own.max(asked);
        let is_news = before.is_none_or(|failed| failed.no.reason != no.reason);
        state.failed = Some(Failed { no, in_a_row, until });
        drop(state);
        self.refreshes.count(if no.refused { "refused" } else { "failure" });
        let span = Span::current();
        span.record("otel.status_code", "ERROR");
        span.record("error.type", no.reason);
        if is_news {
            let (upstream, reason) = (&*self.upstream, no.reason);
            tracing::warn!(upstream, reason, status = no.status, "no token is issued");
        }
        NotIssued { refused: no.refused, until }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NotIssued {
    fn told(self) -> UpstreamError {
        let retry_after = self.until.saturating_duration_since(time::now());
        UpstreamError::NotIssued { refused: self.refused, retry_after }
    }
}
