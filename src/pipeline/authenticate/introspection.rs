//! Introspection: a token authority is asked whether a token is active, once per token at a time.
//!
//! Random tokens must not turn us into an attack on the authority: what is no token by its form is
//! refused here, questions are bounded in number and time, a breaker gives a failing authority a
//! rest, and a question goes on when its caller hangs up, because others wait for it too.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    background::Background,
    catalog::caller::{Dialect, Introspection, Proof, Scheme},
    client::{ClientError, RetryAfter},
    fingerprint::{Fingerprint, FingerprintKey},
    mechanism::flight::{Boarding, Flights, Takeoff, Waiter},
    pipeline::{
        authenticate::{
            BAD_GENESYS_TOKEN, BAD_TOKEN, Caller, How, Identified, Surroundings, Unproven,
            contact::{Contact, Manner, RETRY_AFTER, Reply},
            dialects::{self, Said},
            verdicts::{Remembered, Verdicts},
        },
        call::Call,
    },
    telemetry::{exchange::Peer, meters::Moment, trail::Trail},
    time::{self, Instant, Wall},
};

/// Bytes of an authority's answer that are read.
const MAX_ANSWER: usize = 64 << 10;
/// How long a call waits for an answer while an aged verdict is at hand: an authority that takes
/// longer is down for those who stand in line.
const PATIENCE: Duration = Duration::from_millis(300);
/// Calls that may wait for one question.
const MAX_WAITERS: usize = 5_000;

/// How long after a warning the same is worth another.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// What a question came to.
#[derive(Debug, Clone)]
enum Ruling {
    Good(Arc<Caller>),
    Refused(&'static str),
    Unavailable(Duration),
}

/// A token authority and what is remembered of its verdicts.
#[derive(Debug)]
pub(super) struct Authority {
    scheme: Arc<Scheme>,
    contact: Contact,
    pub(super) key: FingerprintKey,
    /// Each under the era of the verdicts in which it was asked.
    flights: Flights<Fingerprint, Ruling, u64>,
    pub(super) verdicts: Verdicts,
    background: Background,
    wall: Wall,
    last_success: Moment,
    /// When it was last said that it refuses us.
    warned: Warned,
}

impl Authority {
    /// Prepares the authority of `scheme`.
    pub(super) fn new(
        scheme: &Arc<Scheme>,
        around: &Surroundings<'_>,
    ) -> Result<Arc<Self>, ClientError> {
        let policy = introspection(scheme);
        let Introspection { timeout, max_concurrent, .. } = *policy;
        let asked = (Peer::at(&policy.url), dialects::subject(&policy.dialect));
        let manner = Manner { timeout, max_concurrent, max_answer: MAX_ANSWER };
        Ok(Arc::new(Self {
            contact: Contact::new(scheme, asked, manner, around)?,
            key: FingerprintKey::random(),
            flights: Flights::new(MAX_WAITERS),
            verdicts: Verdicts::new(policy.verdicts, around.wall),
            background: around.background.clone(),
            wall: around.wall,
            last_success: Moment::of_authority(around.registry, scheme.name.as_str()),
            warned: Warned::default(),
            scheme: Arc::clone(scheme),
        }))
    }

    /// Who the bearer of `token` is.
    pub(super) async fn identify(
        self: &Arc<Self>,
        token: &str,
        call: &Call,
    ) -> Result<Identified, (Unproven, How)> {
        let longest = dialects::longest_token(&introspection(&self.scheme).dialect);
        if token.len() > longest || !token.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(self.refused("malformed", How::Local));
        }
        let print = self.key.of(token.as_bytes());
        let aged = match self.verdicts.look_up(&print) {
            Remembered::Good(caller) => return Ok(Identified { caller, how: How::Cache }),
            Remembered::Refused => {
                return Err(self.refused("invalid", How::Cache));
            }
            Remembered::Aged(caller) => Some(caller),
            Remembered::Nothing => None,
        };
        // Boxed: who is remembered does not carry what only a question needs.
        Box::pin(self.inquire((print, token), aged, call)).await
    }

    /// Who they are as far as the authority can tell; one who is known to be good for as long as it
    /// cannot.
    async fn inquire(
        self: &Arc<Self>,
        (print, token): (Fingerprint, &str),
        aged: Option<Arc<Caller>>,
        call: &Call,
    ) -> Result<Identified, (Unproven, How)> {
        let Some((mut waiter, how)) = self.board(print, token, &call.trail) else {
            return match aged {
                Some(caller) => Ok(Identified { caller, how: How::Stale }),
                None => Err((Unproven::Unavailable { retry_after: RETRY_AFTER }, How::Coalesced)),
            };
        };
        let deadline = call.deadline;
        let until = match aged {
            Some(_) => deadline.instant().min(time::now() + PATIENCE),
            None => deadline.instant(),
        };
        let ruling = tokio::time::timeout_at(until, waiter.landed()).await;
        // What could stand in before the wait may have expired during it.
        let aged = aged.and_then(|_| match self.verdicts.look_up(&print) {
            Remembered::Good(caller) | Remembered::Aged(caller) => Some(caller),
            Remembered::Refused | Remembered::Nothing => None,
        });
        match (ruling, aged) {
            (Ok(Some(Ruling::Good(caller))), _) => Ok(Identified { caller, how }),
            (Ok(Some(Ruling::Refused(result))), _) => Err(self.refused(result, how)),
            // A caller that did not wait long enough has not shown that the authority is down.
            (Err(_), Some(_)) if until == deadline.instant() => Err((Unproven::OutOfTime, how)),
            (_, Some(caller)) => Ok(Identified { caller, how: How::Stale }),
            (Ok(Some(Ruling::Unavailable(retry_after))), None) => {
                Err((Unproven::Unavailable { retry_after }, how))
            }
            (Ok(None), None) => Err((Unproven::Unavailable { retry_after: RETRY_AFTER }, how)),
            (Err(_), None) => Err((Unproven::OutOfTime, how)),
        }
    }

    /// Joins the question about that token, asking it if nobody does.
    fn board(
        self: &Arc<Self>,
        print: Fingerprint,
        token: &str,
        trail: &Arc<Trail>,
    ) -> Option<(Waiter<Ruling, u64>, How)> {
        // What is asked since before a revocation is not what is asked now.
        let era = self.verdicts.era();
        match self.flights.join_past(&print, era, |asked| *asked < era) {
            Boarding::Full => None,
            Boarding::Follow(waiter) => Some((waiter, How::Coalesced)),
            Boarding::Lead(takeoff, waiter) => {
                let (authority, token) = (Arc::clone(self), token.to_owned());
                let asker = Arc::clone(trail);
                let question =
                    async move { authority.settle((print, &token), takeoff, &asker).await };
                self.background.finish(trail.within(question));
                Some((waiter, How::Remote))
            }
        }
    }

    async fn settle(
        &self,
        (print, token): (Fingerprint, &str),
        takeoff: Takeoff<Fingerprint, Ruling, u64>,
        trail: &Trail,
    ) {
        let era = *takeoff.mark();
        // The question before this one may have been answered between the look-up and the joining.
        match self.verdicts.look_up(&print) {
            Remembered::Good(caller) => return takeoff.land(Ruling::Good(caller)),
            Remembered::Refused => return takeoff.land(Ruling::Refused("invalid")),
            Remembered::Aged(_) | Remembered::Nothing => {}
        }
        let ruling = match self.ask(print, token, trail).await {
            Ok(Said::Good(good)) => {
                let caller = Arc::clone(&good.caller);
                self.verdicts.keep(print, good, era);
                Ruling::Good(caller)
            }
            Ok(Said::Refused { result, remember }) => {
                if remember {
                    self.verdicts.refuse(print, era);
                }
                Ruling::Refused(result)
            }
            Err(retry_after) => Ruling::Unavailable(retry_after),
        };
        takeoff.land(ruling);
    }

    /// Asks the authority, unless it wants to be left alone. In place of a verdict: after how long it
    /// may be worth asking again.
    async fn ask(&self, print: Fingerprint, token: &str, trail: &Trail) -> Result<Said, Duration> {
        if let Some(left) = self.verdicts.held(&print) {
            return Err(left);
        }
        let policy = introspection(&self.scheme);
        let question = || dialects::question(policy, token);
        let health = |reply: &Reply| dialects::health(&policy.dialect, reply);
        let reply = self.contact.ask(question, health, trail).await?;
        let entry = &self.scheme.name;
        let Some(said) = dialects::read(policy, entry, &reply, self.wall.since_epoch()) else {
            return Err(self.left_alone(print, &reply));
        };
        self.last_success.set(self.wall);
        Ok(said)
    }

    /// What becomes of a reply that is no verdict: after how long it may be worth asking again.
    fn left_alone(&self, print: Fingerprint, reply: &Reply) -> Duration {
        let dialect = &introspection(&self.scheme).dialect;
        if dialects::refuses_us(dialect, reply) && self.warned.is_due(time::now()) {
            tracing::warn!(
                caller = self.scheme.name.as_str(),
                status = reply.status().as_u16(),
                "the token authority refuses our own client_id and client_secret: no token can be \
                 checked"
            );
        }
        let asked = RetryAfter::of(reply.headers()).filter(|_| reply.status().as_u16() == 429);
        let Some(wait) = asked.map(|asked| asked.wait(self.wall)) else { return RETRY_AFTER };
        if dialects::limits_each_token(dialect) {
            return self.verdicts.hold(print, wait);
        }
        self.contact.hold(wait)
    }

    /// What the bearer of a token that is not good is told.
    pub(super) fn refused(&self, result: &'static str, how: How) -> (Unproven, How) {
        let asked = matches!(how, How::Remote | How::Coalesced);
        let detail = match introspection(&self.scheme).dialect {
            Dialect::Tutorial | Dialect::TokensMe => BAD_GENESYS_TOKEN,
            Dialect::Rfc7662(_) => BAD_TOKEN,
        };
        (Unproven::Refused { result, detail, asked }, how)
    }

    /// What is remembered.
    pub(super) fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }
}

/// When something was warned of last.
#[derive(Debug, Default)]
struct Warned(Mutex<Option<Instant>>);

impl Warned {
    /// Whether that is long enough ago; if so, it is warned of now.
    fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now >= last + WARN_AGAIN);
        if due {
            *last = Some(now);
        }
        due
    }
}

fn introspection(scheme: &Scheme) -> &Introspection {
    match &scheme.proof {
        Proof::Introspection(policy) => policy,
        _ => unreachable!("an authority is made for introspection only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_warned_of_once_a_minute() {
        let (warned, start) = (Warned::default(), time::now());
        let due = |seconds| warned.is_due(start + Duration::from_secs(seconds));
        assert_eq!(
            [0, 1, 59, 60, 61, 119, 120].map(due),
            [true, false, false, true, false, false, true]
        );
    }
}
