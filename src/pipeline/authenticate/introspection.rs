//! Introspection: a token authority is asked whether a token is active, once per token at a time.
//!
//! Random tokens must not turn us into an attack on the authority: what is no token by its form is
//! refused here, questions are bounded in number and time, a breaker gives a failing authority a
//! rest, and a question goes on when its caller hangs up, because others wait for it too.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde_json::Value;
use serde_json_path::JsonPath;
use tracing::{Instrument, Span, field::Empty};

use crate::{
    background::Background,
    catalog::{
        caller::{Introspection, Proof, Scheme},
        policy::{BreakerPolicy, ConcurrencyLimit, ConcurrencyPolicy},
        upstream::Pool,
    },
    client::{Client, ClientError, WireError},
    fingerprint::{Fingerprint, FingerprintKey},
    mechanism::{
        breaker::{Breaker, Change, FailureKind, Verdict},
        flight::{Boarding, Flights, Takeoff, Waiter},
        permit::{Permits, Urgency},
    },
    pipeline::authenticate::{
        BAD_TOKEN, Caller, How, Identified, Surroundings, Unproven,
        verdicts::{Good, Remembered, Verdicts},
    },
    telemetry::meters::Moment,
    time::{self, Deadline, Wall},
};

/// Bytes of an authority's answer that are read.
const MAX_ANSWER: usize = 64 << 10;
/// Characters of a token. Real ones have a few dozen, JWTs a few thousand.
const MAX_TOKEN: usize = 4096;
/// How long a question waits for its turn: beyond, the authority is taken to be too slow.
const MAX_QUEUE: Duration = Duration::from_millis(100);
/// What a caller is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How long a call waits for an answer while an aged verdict is at hand: an authority that takes
/// longer is down for those who stand in line.
const PATIENCE: Duration = Duration::from_millis(300);
/// Calls that may wait for one question.
const MAX_WAITERS: usize = 5_000;

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
    client: Client,
    permits: Permits,
    breaker: Arc<Breaker>,
    pub(super) key: FingerprintKey,
    /// Each under the era of the verdicts in which it was asked.
    flights: Flights<Fingerprint, Ruling, u64>,
    pub(super) verdicts: Verdicts,
    background: Background,
    wall: Wall,
    last_success: Moment,
}

impl Authority {
    /// Prepares the authority of `scheme`.
    pub(super) fn new(
        scheme: &Arc<Scheme>,
        around: &Surroundings<'_>,
    ) -> Result<Arc<Self>, ClientError> {
        let policy = introspection(scheme);
        // Its idle connections are closed before a server's usual five seconds of keep-alive.
        let pool = Pool { idle: 16, idle_timeout: Duration::from_secs(4) };
        let breaker = BreakerPolicy {
            enabled: true,
            failure_ratio: 0.5,
            min_attempts: 20,
            window: Duration::from_secs(10),
            run: 7,
            connect_run: 5,
            open_first: Duration::from_secs(2),
            open_max: Duration::from_secs(60),
            close_after: 1,
            ramp: Duration::ZERO,
            slow: None,
            lease: policy.timeout + Duration::from_secs(1),
        };
        let caller = scheme.name.clone();
        let told = move |change: Change| {
            tracing::warn!(
                caller = caller.as_str(),
                from = change.from.as_str(),
                to = change.to.as_str(),
                "breaker of the token authority changed"
            );
        };
        let permits = ConcurrencyPolicy {
            limit: ConcurrencyLimit::Fixed(policy.max_concurrent),
            wait: MAX_QUEUE,
        };
        let name = scheme.name.as_str();
        Ok(Arc::new(Self {
            client: Client::new(policy.timeout, pool, &around.transport)?,
            permits: Permits::new(permits),
            breaker: Breaker::new(breaker, around.chance, Box::new(told)),
            key: FingerprintKey::random(),
            flights: Flights::new(MAX_WAITERS),
            verdicts: Verdicts::new(policy.verdicts, around.wall),
            background: around.background.clone(),
            wall: around.wall,
            last_success: Moment::of_authority(around.registry, name),
            scheme: Arc::clone(scheme),
        }))
    }

    /// Who the bearer of `token` is.
    pub(super) async fn identify(
        self: &Arc<Self>,
        token: &str,
        deadline: Deadline,
    ) -> Result<Identified, (Unproven, How)> {
        if token.len() > MAX_TOKEN || !token.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(refused("malformed", How::Local));
        }
        let print = self.key.of(token.as_bytes());
        let aged = match self.verdicts.look_up(&print) {
            Remembered::Good(caller) => return Ok(Identified { caller, how: How::Cache }),
            Remembered::Refused => {
                return Err(refused("invalid", How::Cache));
            }
            Remembered::Aged(caller) => Some(caller),
            Remembered::Nothing => None,
        };
        let Some((mut waiter, how)) = self.board(print, token) else {
            return match aged {
                Some(caller) => Ok(Identified { caller, how: How::Stale }),
                None => Err((Unproven::Unavailable { retry_after: RETRY_AFTER }, How::Coalesced)),
            };
        };
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
            (Ok(Some(Ruling::Refused(result))), _) => Err(refused(result, how)),
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
    ) -> Option<(Waiter<Ruling, u64>, How)> {
        // What is asked since before a revocation is not what is asked now.
        let era = self.verdicts.era();
        match self.flights.join_past(&print, era, |asked| *asked < era) {
            Boarding::Full => None,
            Boarding::Follow(waiter) => Some((waiter, How::Coalesced)),
            Boarding::Lead(takeoff, waiter) => {
                let (authority, token) = (Arc::clone(self), token.to_owned());
                let question = async move { authority.settle(print, &token, takeoff).await };
                self.background.finish(question.instrument(self.span()));
                Some((waiter, How::Remote))
            }
        }
    }

    /// A span for one question; empty where the call that asks it has none.
    fn span(&self) -> Span {
        if Span::current().is_disabled() {
            return Span::none();
        }
        let url = &introspection(&self.scheme).url;
        tracing::info_span!(
            target: "holdline::trail",
            "introspection",
            otel.name = "POST introspection",
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = "POST",
            server.address = url.host_str(),
            server.port = i64::from(url.port_or_known_default().unwrap_or_default()),
            error.type = Empty,
        )
    }

    async fn settle(
        &self,
        print: Fingerprint,
        token: &str,
        takeoff: Takeoff<Fingerprint, Ruling, u64>,
    ) {
        let era = *takeoff.mark();
        // The question before this one may have been answered between the look-up and the joining.
        match self.verdicts.look_up(&print) {
            Remembered::Good(caller) => return takeoff.land(Ruling::Good(caller)),
            Remembered::Refused => return takeoff.land(Ruling::Refused("invalid")),
            Remembered::Aged(_) | Remembered::Nothing => {}
        }
        let ruling = match self.ask(token).await {
            Ok(Said::Active(good)) => {
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
            Err(retry_after) => {
                Span::current().record("otel.status_code", "ERROR");
                Span::current().record("error.type", "unavailable");
                Ruling::Unavailable(retry_after)
            }
        };
        takeoff.land(ruling);
    }

    /// Asks the authority, under its breaker, in its turn, within its time.
    async fn ask(&self, token: &str) -> Result<Said, Duration> {
        let policy = introspection(&self.scheme);
        let pass = self.breaker.admit(time::now()).map_err(|refused| refused.retry_after)?;
        let Ok(_permit) = self.permits.acquire(Urgency::Interactive, MAX_QUEUE).await else {
            return Err(RETRY_AFTER);
        };
        let exchanged = tokio::time::timeout(policy.timeout, self.exchange(policy, token)).await;
        let reply = exchanged.unwrap_or(Err(WireError::Timeout));
        pass.settle(time::now(), verdict(&reply));
        let said = reply.ok().and_then(|reply| self.read(policy, &reply)).ok_or(RETRY_AFTER)?;
        self.last_success.set(self.wall);
        Ok(said)
    }

    /// One exchange; repeated at once where the connection broke under it, which an idle one may do.
    async fn exchange(
        &self,
        policy: &Introspection,
        token: &str,
    ) -> Result<http::Response<bytes::Bytes>, WireError> {
        match self.client.exchange(question(policy, token), MAX_ANSWER).await {
            Err(WireError::Reset | WireError::Connect) => {
                self.client.exchange(question(policy, token), MAX_ANSWER).await
            }
            other => other,
        }
    }

    /// What a reply says; `None` where it is no verdict at all.
    fn read(&self, policy: &Introspection, reply: &http::Response<bytes::Bytes>) -> Option<Said> {
        match reply.status().as_u16() {
            401 | 403 => return Some(Said::Refused { result: "invalid", remember: true }),
            200 => {}
            _ => return None,
        }
        let Ok(answer) = serde_json::from_slice::<Value>(reply.body()) else {
            // A 200 without a literal `"active": true` is a refusal, but a page that is not even
            // JSON comes from something in between, so nothing is remembered of it.
            return Some(Said::Refused { result: "invalid", remember: false });
        };
        if answer.get("active") != Some(&Value::Bool(true)) {
            return Some(Said::Refused { result: "invalid", remember: true });
        }
        // A claim that is there but cannot be read is no verdict at all: taken for absent, it would
        // lift the very restriction that it makes.
        let expires = claim(&policy.expires_claim, &answer, seconds)?;
        if expires.is_some_and(|expires| self.wall.since_epoch() >= expires) {
            return Some(Said::Refused { result: "expired", remember: true });
        }
        let org = claim(&policy.org_claim, &answer, Value::as_str)?;
        let client = claim(&policy.client_claim, &answer, Value::as_str)?;
        let foreign = matches!((&policy.org, org), (Some(ours), Some(org)) if ours != org);
        let unlisted = !policy.clients.is_empty()
            && !client.is_some_and(|client| policy.clients.iter().any(|known| known == client));
        if foreign || unlisted {
            return Some(Said::Refused { result: "forbidden", remember: true });
        }
        // An authority that names no organisation is taken to serve one.
        let entry = self.scheme.name.as_str();
        let org = org.or(policy.org.as_deref()).unwrap_or(entry).into();
        let caller = Arc::new(Caller { org, client: client.unwrap_or(entry).into() });
        Some(Said::Active(Good { caller, expires }))
    }

    /// Forgets verdicts that are of no use any more.
    pub(super) fn sweep(&self) {
        self.verdicts.sweep();
    }

    /// How full its tables of verdicts are.
    pub(super) fn fill(&self) -> [u64; 4] {
        self.verdicts.fill()
    }

    /// How many verdicts are remembered.
    pub(super) fn remembered(&self) -> u64 {
        self.verdicts.len()
    }
}

/// What the authority said.
enum Said {
    Active(Good),
    Refused { result: &'static str, remember: bool },
}

fn introspection(scheme: &Scheme) -> &Introspection {
    match &scheme.proof {
        Proof::Introspection(policy) => policy,
        _ => unreachable!("an authority is made for introspection only"),
    }
}

fn refused(result: &'static str, how: How) -> (Unproven, How) {
    let asked = matches!(how, How::Remote | How::Coalesced);
    (Unproven::Refused { result, detail: BAD_TOKEN, asked }, how)
}

/// The tutorial's question: the token as the bearer and in the body.
fn question(policy: &Introspection, token: &str) -> Request {
    let mut request = Request::new(Method::POST, policy.url.clone());
    let headers = request.headers_mut();
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))
        .expect("a token of visible ASCII is a header value");
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    *request.body_mut() = Some(serde_json::json!({ "token": token }).to_string().into());
    request
}

/// What an exchange tells about the authority's health. What it says about the token is none of the
/// breaker's business; a refusal is a good answer.
fn verdict(reply: &Result<http::Response<bytes::Bytes>, WireError>) -> Verdict {
    match reply {
        Ok(reply) if reply.status().is_server_error() => Verdict::Failure(FailureKind::Other),
        Ok(reply) => match reply.status().as_u16() {
            200 | 401 | 403 => Verdict::Success,
            _ => Verdict::None,
        },
        Err(error) if error.never_sent() => Verdict::Failure(FailureKind::Connect),
        Err(WireError::BodyTooLarge) => Verdict::None,
        Err(_) => Verdict::Failure(FailureKind::Other),
    }
}

/// A claim, read by `read`. `Some(None)`: the answer does not make it; `None`: it cannot be read.
fn claim<'a, T>(
    at: &JsonPath,
    answer: &'a Value,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Option<Option<T>> {
    match at.query(answer).first() {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) if text.is_empty() => Some(None),
        Some(value) => read(value).map(Some),
    }
}

/// A point in time; like a JWT's it may have a fraction. One before 1970 is as good as 1970.
fn seconds(number: &Value) -> Option<Duration> {
    let fractional = || Some(Duration::try_from_secs_f64(number.as_f64()?.max(0.0)));
    match number.as_u64() {
        Some(whole) => Some(Duration::from_secs(whole)),
        None => fractional().map(|expires| expires.unwrap_or(Duration::MAX)),
    }
}
