//! The keys of one issuer: fetched when first needed, by one fetch at a time, fetched anew before they
//! are old, and kept while the issuer cannot be reached.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Request};
use url::Url;

use crate::{
    background::Background,
    catalog::{
        caller::{Jwt, Scheme},
        name::Name,
    },
    client::ClientError,
    mechanism::{
        breaker::{FailureKind, Verdict},
        flight::{Boarding, Flights, Takeoff, Waiter},
    },
    pipeline::{
        authenticate::{
            How, Surroundings, Unproven,
            contact::{Contact, Manner, RETRY_AFTER, Reply},
            jwt::key_set::KeySet,
        },
        call::Call,
    },
    telemetry::{exchange::Peer, meters::Moment, trail::Trail},
    time::{self, Deadline, Instant, Wall},
};

/// Bytes of a set of keys that are read.
const MAX_ANSWER: usize = 256 << 10;
/// From this age on keys are fetched anew, behind the calls.
const REFRESH_AFTER: Duration = Duration::from_secs(10 * 60);
/// From this age on a call waits a moment for newer ones: nobody has called for long, or the issuer is
/// down.
const OLD_AFTER: Duration = Duration::from_secs(60 * 60);
/// How long it waits then.
const PATIENCE: Duration = Duration::from_millis(300);
/// Older ones are of no use: the issuer has had a day to withdraw one unseen.
const GONE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after the last fetch a key that nobody knows is worth another: made-up names of keys must
/// not turn us into an attack on the issuer.
const COOLDOWN: Duration = Duration::from_secs(30);
/// Calls that may wait for one fetch.
const MAX_WAITERS: usize = 5_000;

/// A set of keys and since when it is known.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) set: KeySet,
    /// Raised whenever a key is withdrawn: verdicts that were made before are worth nothing.
    pub(super) epoch: u64,
    since: Instant,
}

/// Keys, and how they were come by.
pub(super) type Found = (Arc<Known>, How);

/// What a fetch came to: keys, or after how long it may be worth asking again.
type Landed = Result<Arc<Known>, Duration>;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    caller: Name,
    url: Url,
    contact: Contact,
    flights: Flights<(), Landed>,
    state: Mutex<State>,
    background: Background,
    wall: Wall,
    last_success: Moment,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Arc<Known>>,
    /// When the last fetch began.
    asked: Option<Instant>,
    /// Whether the last one that ended brought none.
    failed: bool,
}

impl State {
    /// Whether another fetch may begin.
    fn is_due(&self, now: Instant) -> bool {
        self.asked.is_none_or(|asked| now >= asked + COOLDOWN)
    }
}

impl Keys {
    /// Prepares the way to the keys; fetches none yet.
    pub(super) fn new(
        scheme: &Scheme,
        policy: &Jwt,
        around: &Surroundings<'_>,
    ) -> Result<Arc<Self>, ClientError> {
        let manner = Manner { timeout: policy.timeout, max_concurrent: 1, max_answer: MAX_ANSWER };
        let peer = Peer::at(&policy.jwks);
        Ok(Arc::new(Self {
            caller: scheme.name.clone(),
            url: policy.jwks.clone(),
            contact: Contact::new(scheme, (peer, "keys"), manner, around)?,
            flights: Flights::new(MAX_WAITERS),
            state: Mutex::default(),
            background: around.background.clone(),
            wall: around.wall,
            last_success: Moment::of_authority(around.registry, scheme.name.as_str()),
        }))
    }

    /// The epoch of the keys at hand.
    pub(super) fn epoch(&self) -> u64 {
        self.state().known.as_ref().map_or(0, |known| known.epoch)
    }

    /// The same for a call with that trail. Where they should be newer, a fetch begins behind it.
    pub(super) fn epoch_for(self: &Arc<Self>, trail: &Arc<Trail>) -> u64 {
        let Some(known) = self.state().known.clone() else { return 0 };
        if time::now() >= known.since + REFRESH_AFTER {
            let _behind = self.board_if_due(trail);
        }
        known.epoch
    }

    /// The keys at hand, waited for as long as `call` may take where there are none.
    pub(super) async fn current(self: &Arc<Self>, call: &Call) -> Result<Found, (Unproven, How)> {
        let deadline = call.deadline;
        let now = time::now();
        let known = self.state().known.clone();
        match known.filter(|known| now < known.since + GONE_AFTER) {
            None => self.wait(self.board(&call.trail), deadline).await,
            Some(known) if now < known.since + OLD_AFTER => Ok((known, How::Local)),
            Some(old) => {
                let until = deadline.instant().min(now + PATIENCE);
                let Some((mut waiter, how)) = self.board_if_due(&call.trail) else {
                    return Ok((old, How::Local));
                };
                match tokio::time::timeout_at(until, waiter.landed()).await {
                    Ok(Some(Ok(newer))) => Ok((newer, how)),
                    _ => Ok((old, How::Local)),
                }
            }
        }
    }

    /// Keys that are newer than `known`; `None` where there are none. While the issuer cannot say so,
    /// nobody can.
    pub(super) async fn newer(
        self: &Arc<Self>,
        known: &Arc<Known>,
        call: &Call,
    ) -> Result<Option<Found>, (Unproven, How)> {
        let (at_hand, failed) = {
            let state = self.state();
            (state.known.clone(), state.failed)
        };
        if let Some(newer) = at_hand.filter(|at_hand| !Arc::ptr_eq(at_hand, known)) {
            return Ok(Some((newer, How::Local)));
        }
        match self.board_if_due(&call.trail) {
            None if failed => Err((Unproven::Unavailable { retry_after: RETRY_AFTER }, How::Local)),
            None => Ok(None),
            boarded => self.wait(boarded, call.deadline).await.map(Some),
        }
    }

    async fn wait(
        &self,
        boarded: Option<(Waiter<Landed>, How)>,
        deadline: Deadline,
    ) -> Result<Found, (Unproven, How)> {
        let unavailable = |retry_after| Unproven::Unavailable { retry_after };
        let Some((mut waiter, how)) = boarded else {
            return Err((unavailable(RETRY_AFTER), How::Coalesced));
        };
        match tokio::time::timeout_at(deadline.instant(), waiter.landed()).await {
            Ok(Some(Ok(known))) => Ok((known, how)),
            Ok(Some(Err(retry_after))) => Err((unavailable(retry_after), how)),
            Ok(None) => Err((unavailable(RETRY_AFTER), how)),
            Err(_) => Err((Unproven::OutOfTime, how)),
        }
    }

    /// Joins the fetch under way, or begins one if it is not too soon for another.
    fn board_if_due(self: &Arc<Self>, trail: &Arc<Trail>) -> Option<(Waiter<Landed>, How)> {
        let due = self.state().is_due(time::now());
        if due || !self.flights.is_empty() { self.board(trail) } else { None }
    }

    /// Joins the fetch under way, or begins one; `None` where too many wait for it.
    fn board(self: &Arc<Self>, trail: &Arc<Trail>) -> Option<(Waiter<Landed>, How)> {
        match self.flights.join(&()) {
            Boarding::Full => None,
            Boarding::Follow(waiter) => Some((waiter, How::Coalesced)),
            Boarding::Lead(takeoff, waiter) => {
                self.state().asked = Some(time::now());
                let (keys, asker) = (Arc::clone(self), Arc::clone(trail));
                let fetch = async move { keys.fetch(takeoff, &asker).await };
                self.background.finish(trail.within(fetch));
                Some((waiter, How::Remote))
            }
        }
    }

    async fn fetch(&self, takeoff: Takeoff<(), Landed>, trail: &Trail) {
        let read = |reply: &Reply| match reply.status().as_u16() {
            200 => KeySet::read(reply.body()),
            _ => None,
        };
        let health = |reply: &Reply| match read(reply) {
            Some(_) => Verdict::Success,
            None => Verdict::Failure(FailureKind::Other),
        };
        let question = || {
            let mut request = Request::new(Method::GET, self.url.clone());
            let json = "application/jwk-set+json, application/json";
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static(json));
            request
        };
        let reply = self.contact.ask(question, health, trail).await;
        let landed = match reply.map(|reply| read(&reply)) {
            Ok(Some(set)) => Ok(self.keep(set)),
            Ok(None) => Err(RETRY_AFTER),
            Err(retry_after) => Err(retry_after),
        };
        if landed.is_err() {
            let at_hand = {
                let mut state = self.state();
                state.failed = true;
                state.known.is_some()
            };
            let caller = self.caller.as_str();
            tracing::warn!(caller, at_hand, "the keys that sign tokens could not be fetched");
        }
        takeoff.land(landed);
    }

    fn keep(&self, set: KeySet) -> Arc<Known> {
        self.last_success.set(self.wall);
        let mut state = self.state();
        let epoch = match &state.known {
            Some(old) if old.set.has_lost(&set) => old.epoch + 1,
            Some(old) => old.epoch,
            None => 0,
        };
        let known = Arc::new(Known { set, epoch, since: time::now() });
        state.known = Some(Arc::clone(&known));
        state.failed = false;
        known
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
