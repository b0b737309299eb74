//! The outside world as a script: what the token authority and the upstream say, after how long,
//! and what each of them saw. No socket; time is the runtime's own, which tests hold still.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use holdline::{
    client::{Script, WireError},
    time::{self, Instant},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::watch;

/// The host of the token authority.
pub(crate) const AUTHORITY_HOST: &str = "authority.test";
/// The host that issues tokens to us; every other host is the upstream.
pub(crate) const ISSUER_HOST: &str = "login.test";

/// The systems outside.
pub(crate) struct World {
    /// The token authority.
    pub(crate) authority: System,
    /// Whoever issues tokens to us.
    pub(crate) issuer: System,
    /// The upstream.
    pub(crate) upstream: System,
}

/// One system outside: lines out of a queue first, then by a standing rule.
pub(crate) struct System {
    began: Instant,
    state: Mutex<State>,
    /// What those that hang are told once they are released.
    release: watch::Sender<Option<Line>>,
}

struct State {
    next: VecDeque<Line>,
    rule: Rule,
    seen: Vec<Seen>,
    in_flight: usize,
    most_in_flight: usize,
}

type Rule = Box<dyn Fn(&Seen) -> Line + Send>;

/// One request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// When, from the start of the script.
    pub(crate) at: Duration,
    /// Its method.
    pub(crate) method: String,
    /// The host that it was for.
    pub(crate) host: String,
    /// Its path and query.
    pub(crate) path: String,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: String,
    /// Whether the system read its body to the end: from then on what it asks for may be done.
    pub(crate) read: bool,
}

impl Seen {
    /// The value of a header; empty where it did not come.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("visible ASCII"))
    }

    /// The bearer token.
    pub(crate) fn bearer(&self) -> &str {
        self.header("authorization").strip_prefix("Bearer ").unwrap_or_default()
    }
}

/// What is said to one request.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    after: Duration,
    unread: bool,
    says: Says,
}

#[derive(Debug, Clone)]
enum Says {
    Reply { status: u16, headers: HeaderMap, body: Bytes },
    Fails(WireError),
    Hangs,
}

impl Line {
    /// 200 with a JSON body.
    pub(crate) fn json(body: &Value) -> Self {
        Self::status(200).body(body.to_string())
    }

    /// That status, with an empty object.
    pub(crate) fn status(status: u16) -> Self {
        let body = Bytes::from_static(b"{}");
        Self::of(Says::Reply { status, headers: HeaderMap::new(), body })
    }

    /// No reply.
    pub(crate) fn fails(error: WireError) -> Self {
        Self::of(Says::Fails(error))
    }

    /// Nothing, until [`System::release`].
    pub(crate) fn hangs() -> Self {
        Self::of(Says::Hangs)
    }

    /// At once. A body was read unless no connection was made.
    fn of(says: Says) -> Self {
        let unread =
            matches!(says, Says::Fails(WireError::Connect | WireError::Dns | WireError::Tls));
        Self { after: Duration::ZERO, unread, says }
    }

    /// The authority's word for a good token of that organisation and client.
    pub(crate) fn active(org: &str, client: &str) -> Self {
        Self::json(&json!({"active": true, "organization": {"id": org}, "client_id": client}))
    }

    /// The issuer's word for the token of that number, which lasts so many seconds.
    pub(crate) fn token(number: u32, lasts: u64) -> Self {
        let token = format!("token-{number}");
        Self::json(&json!({"access_token": token, "token_type": "Bearer", "expires_in": lasts}))
    }

    /// How it breaks, where it does.
    pub(crate) fn error(&self) -> Option<WireError> {
        match self.says {
            Says::Fails(error) => Some(error),
            Says::Reply { .. } | Says::Hangs => None,
        }
    }

    /// The same, so many milliseconds later.
    pub(crate) fn after(mut self, ms: u64) -> Self {
        self.after = Duration::from_millis(ms);
        self
    }

    /// The same, before the body of the request was read to its end.
    pub(crate) fn unread(mut self) -> Self {
        self.unread = true;
        self
    }

    /// With another body.
    pub(crate) fn body(mut self, text: impl Into<Bytes>) -> Self {
        if let Says::Reply { body, .. } = &mut self.says {
            *body = text.into();
        }
        self
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Says::Reply { headers, .. } = &mut self.says {
            let value = HeaderValue::from_str(value).expect("a test writes good headers");
            headers.append(HeaderName::from_static(name), value);
        }
        self
    }
}

impl World {
    /// An authority that finds every token good, an issuer of `token-1`, `token-2` and so on, each
    /// for an hour, and an upstream that answers at once.
    pub(crate) fn new(began: Instant) -> Self {
        let issuer = System::new(began, Line::status(500));
        let issued = AtomicU32::new(0);
        issuer.rule(move |_| Line::token(issued.fetch_add(1, Ordering::Relaxed) + 1, 3600));
        Self {
            authority: System::new(began, Line::active("acme", "ivr")),
            issuer,
            upstream: System::new(began, Line::json(&json!({"name": "Ada"}))),
        }
    }
}

impl System {
    fn new(began: Instant, standing: Line) -> Self {
        let state = State {
            next: VecDeque::new(),
            rule: Box::new(move |_| standing.clone()),
            seen: Vec::new(),
            in_flight: 0,
            most_in_flight: 0,
        };
        Self { began, state: Mutex::new(state), release: watch::Sender::new(None) }
    }

    /// Says this once, behind what is queued already.
    pub(crate) fn next(&self, line: Line) -> &Self {
        self.state().next.push_back(line);
        self
    }

    /// Says these, one each, in place of what is queued.
    pub(crate) fn only(&self, lines: impl IntoIterator<Item = Line>) -> &Self {
        self.state().next = lines.into_iter().collect();
        self
    }

    /// Says this whenever nothing is queued.
    pub(crate) fn always(&self, line: Line) -> &Self {
        self.rule(move |_| line.clone())
    }

    /// Says what `rule` makes of the request whenever nothing is queued.
    pub(crate) fn rule(&self, rule: impl Fn(&Seen) -> Line + Send + 'static) -> &Self {
        self.state().rule = Box::new(rule);
        self
    }

    /// Says this to all that hang.
    pub(crate) fn release(&self, line: Line) {
        self.release.send_replace(Some(line));
    }

    /// The requests that came, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// How many came.
    pub(crate) fn count(&self) -> usize {
        self.state().seen.len()
    }

    /// When they came, in milliseconds from the start.
    pub(crate) fn instants(&self) -> Vec<u128> {
        self.state().seen.iter().map(|seen| seen.at.as_millis()).collect()
    }

    /// Forgets the requests that came.
    pub(crate) fn forget(&self) {
        self.state().seen.clear();
    }

    /// How many are being answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.state().in_flight
    }

    /// How many were being answered at once, at most.
    pub(crate) fn most_in_flight(&self) -> usize {
        self.state().most_in_flight
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(&self, seen: Seen) -> Result<http::Response<Bytes>, WireError> {
        let (line, _guard) = self.enter(seen);
        let line = match line.says {
            Says::Hangs => self.released().await,
            _ => line,
        };
        if !line.after.is_zero() {
            tokio::time::sleep(line.after).await;
        }
        match line.says {
            Says::Reply { status, headers, body } => {
                let mut reply = http::Response::new(body);
                *reply.status_mut() = http::StatusCode::from_u16(status).expect("a status");
                *reply.headers_mut() = headers;
                Ok(reply)
            }
            Says::Fails(error) => Err(error),
            Says::Hangs => std::future::pending().await,
        }
    }

    fn enter(&self, mut seen: Seen) -> (Line, Busy<'_>) {
        let mut state = self.state();
        let queued = state.next.pop_front();
        let line = queued.unwrap_or_else(|| (state.rule)(&seen));
        seen.read = !line.unread;
        state.seen.push(seen);
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        (line, Busy(self))
    }

    async fn released(&self) -> Line {
        let mut release = self.release.subscribe();
        release.changed().await.expect("the script outlives its exchanges");
        release.borrow().clone().expect("a release says something")
    }
}

/// Counts a request as being answered, also where it is given up half-way.
struct Busy<'a>(&'a System);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
    }
}

#[async_trait]
impl Script for World {
    async fn exchange(
        &self,
        request: reqwest::Request,
    ) -> Result<http::Response<Bytes>, WireError> {
        let url = request.url();
        let system = match url.host_str() {
            Some(AUTHORITY_HOST) => &self.authority,
            Some(ISSUER_HOST) => &self.issuer,
            _ => &self.upstream,
        };
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let seen = Seen {
            at: time::now().saturating_duration_since(system.began),
            method: request.method().to_string(),
            host: url.host_str().unwrap_or_default().to_owned(),
            path: format!("{}{query}", url.path()),
            headers: request.headers().clone(),
            body: String::from_utf8(body.to_vec()).expect("the service sends UTF-8"),
            read: false,
        };
        system.exchange(seen).await
    }
}
