//! Upstreams: from valid inputs to a reply, within the deadline. What stands between the two is in
//! `chain.rs`, in its order.

mod attempt;
mod breaker;
mod chain;
mod credential;
mod errand;
pub mod error;
mod hedge;
mod pace;
mod retry;
mod succession;
mod turn;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::ClientWithMiddleware;

use crate::{
    background::Background,
    catalog::{action::Action, name::Name, upstream::Upstream},
    chance::{self, Chance},
    client::{self, Client, ClientError, Transport},
    mechanism::{
        breaker::{Breaker, Change, Forced, Snapshot, State},
        permit::Urgency,
    },
    pipeline::{call::Terms, upstream::error::UpstreamError, validate::ValidInput},
    telemetry::{
        breakers::BreakerMeters,
        metrics::Registry,
        stage::{Decided, Stage},
        trail::Fact,
    },
    time::{self, Instant, Wall},
};

use chain::Links;
use credential::Login;
use errand::Errand;

/// What an upstream said: a success, with its whole body.
pub struct Reply {
    /// The body.
    pub body: Bytes,
    attempts: u32,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl Decided for Reply {
    fn decision(&self) -> &'static str {
        if self.attempts > 1 { "retried" } else { "answered" }
    }
}

/// All upstreams of the service.
#[derive(Debug)]
pub struct Upstreams(BTreeMap<Name, Lane>);

/// The way to one upstream.
#[derive(Debug)]
struct Lane {
    upstream: Arc<Upstream>,
    client: ClientWithMiddleware,
    /// What the chain ends in.
    network: Client,
    login: Login,
    links: Links,
}

/// How an upstream stands, for operators and gauges.
#[derive(Debug, Clone)]
pub struct Condition<'a> {
    /// Its name.
    pub name: &'a Name,
    /// Its breaker.
    pub breaker: Snapshot,
    /// Attempts under way.
    pub in_flight: usize,
    /// Attempts that may be under way.
    pub limit: usize,
    /// Attempts of callers that wait for their turn.
    pub waiting: usize,
    /// Refreshes that wait for theirs.
    pub refreshes_waiting: usize,
    /// The part of its retry budget that is left.
    pub budget_left: f64,
    /// For how long yet it does not want to be asked; zero when it may be.
    pub not_before_left: Duration,
    /// The part of its quota's burst that is left; `None`: it has no quota.
    pub quota_left: Option<f64>,
    /// For how long yet the token is good with which it is asked, zero where there is none; `None`: it
    /// is asked without one that is issued.
    pub token_left: Option<Duration>,
    /// When that token expires, in time since 1970, zero where there is none.
    pub token_expires: Option<Duration>,
    /// Within which time half of its recent answers came; `None`: there were too few.
    pub median: Option<Duration>,
    /// The same for 95 of a hundred.
    pub p95: Option<Duration>,
}

/// What this stage needs from the outside.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings<'a> {
    pub(crate) registry: &'a Arc<Registry>,
    pub(crate) background: Background,
    pub(crate) transport: Transport,
    pub(crate) wall: Wall,
    pub(crate) chance: Chance,
}

impl Upstreams {
    /// Prepares the way to every upstream; connects to none yet. What is known `before` about one of
    /// the same name is taken over where its settings are the same.
    ///
    /// # Errors
    /// [`ClientError`] where no client can be built.
    pub(crate) fn new(
        upstreams: &BTreeMap<Name, Arc<Upstream>>,
        before: Option<&Self>,
        around: &Surroundings<'_>,
    ) -> Result<Self, ClientError> {
        let lanes = upstreams.iter().map(|(name, upstream)| {
            let before = before.and_then(|known| known.0.get(name));
            Ok((name.clone(), Lane::new(upstream, before, around)?))
        });
        Ok(Self(lanes.collect::<Result<_, _>>()?))
    }

    /// Takes over from what was in force `before`, once this is: what is shared with it goes by the
    /// settings of this one, and what was pressed there while this one was built holds here.
    pub(crate) fn take_over(&self, before: &Self) {
        for (name, lane) in &self.0 {
            let breaker = &lane.links.breaker;
            breaker.lease(lane.upstream.breaker.lease);
            if let Some(before) = before.0.get(name) {
                succession::force_alike(breaker, &before.links.breaker);
            }
        }
    }

    /// Fetches the reply to `input`.
    ///
    /// # Errors
    /// [`UpstreamError`], once all attempts that were worth making have failed.
    pub async fn fetch(
        &self,
        action: &Action,
        input: &ValidInput,
        terms: &Terms,
    ) -> Result<Reply, UpstreamError> {
        let lane = &self.0[action.upstream.as_str()];
        lane.fetch(action, input, terms).await
    }

    /// How each upstream stands.
    pub fn conditions(&self) -> impl Iterator<Item = Condition<'_>> {
        let now = time::now();
        self.0.iter().map(move |(name, lane)| lane.condition(name, now))
    }

    /// Puts a force on the breaker of the upstream of that name, or lifts it (`None`), and tells how
    /// the upstream stands then; `None` where there is no such upstream.
    pub fn force(&self, name: &str, forced: Option<Forced>) -> Option<Condition<'_>> {
        let (name, lane) = self.0.get_key_value(name)?;
        let now = time::now();
        match forced {
            Some(forced) => lane.links.breaker.force(now, forced),
            None => lane.links.breaker.release(now),
        }
        Some(lane.condition(name, now))
    }
}

impl Lane {
    fn new(
        upstream: &Arc<Upstream>,
        before: Option<&Self>,
        around: &Surroundings<'_>,
    ) -> Result<Self, ClientError> {
        let network = succession::client(upstream, before, around)?;
        let login = succession::login(upstream, before, around)?;
        let links = succession::links(upstream, before, around);
        let client = chain::chain(upstream, &links, &network);
        Ok(Self { upstream: Arc::clone(upstream), client, network, login, links })
    }

    fn condition<'a>(&self, name: &'a Name, now: Instant) -> Condition<'a> {
        let issued = match &self.login {
            Login::Issued(tokens) => Some(tokens),
            Login::None | Login::Fixed(_) => None,
        };
        Condition {
            name,
            breaker: self.links.breaker.snapshot(now),
            in_flight: self.links.permits.in_use(),
            limit: self.links.permits.limit(),
            waiting: self.links.permits.waiting(Urgency::Interactive),
            refreshes_waiting: self.links.permits.waiting(Urgency::Refresh),
            budget_left: self.links.budget.share_left(now),
            not_before_left: self.links.pace.not_before_left(now),
            quota_left: self.links.pace.quota_left(now),
            token_left: issued.map(|tokens| tokens.left(now)),
            token_expires: issued.map(|tokens| tokens.expires()),
            median: self.links.latency.quantile(now, 0.5),
            p95: self.links.latency.quantile(now, 0.95),
        }
    }

    async fn fetch(
        &self,
        action: &Action,
        input: &ValidInput,
        terms: &Terms,
    ) -> Result<Reply, UpstreamError> {
        let request = self.request(action, input)?;
        let template = action.request.url.text().into();
        let errand = Errand::new(terms, action.safe, template);
        errand.trail.tell(Stage::Upstream, Fact::Upstream(self.upstream.name.shared()));
        let sent = self.send(request, &errand).await;
        let result = match sent {
            Ok(response) => self.settle(response, errand.attempts()),
            Err(error) => Err(error),
        };
        let attempts = errand.attempts();
        let word = result.as_ref().map_or_else(|error| error.result(attempts), |_| "success");
        self.links.meters.called(word, attempts as usize);
        result
    }

    /// The request for `input`, with the upstream's headers.
    fn request(&self, action: &Action, input: &ValidInput) -> Result<Request, UpstreamError> {
        let rendered = action
            .request
            .render(&self.upstream.base_url, input.inputs())
            .map_err(|_| UpstreamError::Unrenderable)?;
        let mut request = Request::new(rendered.method, rendered.url);
        let headers = request.headers_mut();
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        let fixed = self.upstream.headers.iter().map(|(name, value)| (name, value));
        for (name, value) in fixed.chain(&rendered.headers) {
            headers.insert(name, value.clone());
        }
        if let Some(name) = &self.upstream.retry.idempotency_key
            && let Ok(value) = HeaderValue::try_from(chance::hex128())
        {
            headers.insert(name, value);
        }
        *request.body_mut() = rendered.body.map(Into::into);
        Ok(request)
    }

    fn settle(&self, mut response: Response, attempts: u32) -> Result<Reply, UpstreamError> {
        if !response.status().is_success() {
            return Err(UpstreamError::Status {
                status: response.status().as_u16(),
                retry_after: retry::retry_after(response.headers(), self.links.wall),
            });
        }
        if response.status() == StatusCode::PARTIAL_CONTENT {
            return Err(UpstreamError::Malformed);
        }
        // The attempt has read it already.
        let body = client::body_of(&mut response).ok_or(UpstreamError::Malformed)?;
        Ok(Reply { body, attempts })
    }
}

/// The breaker of `upstream`, which tells its changes to metrics and the log. What its rules come to
/// while it only observes is logged; as nothing follows from it, no metric counts it as a change.
fn breaker(upstream: &Upstream, around: &Surroundings<'_>) -> Arc<Breaker> {
    let meters =
        BreakerMeters::new(around.registry, upstream.name.as_str(), upstream.breaker.enabled);
    let (name, wall) = (upstream.name.clone(), around.wall);
    let told = move |change: Change| {
        let (upstream, from, to) = (name.as_str(), change.from.as_str(), change.to.as_str());
        if change.observed {
            tracing::warn!(upstream, from, to, "breaker would have changed");
            return;
        }
        meters.changed(from, to);
        // A probe that failed does not begin it anew: one wants to know since when.
        if change.to.refuses_all() && change.from != State::HalfOpen {
            meters.opened.set(wall);
        }
        tracing::warn!(upstream, from, to, "breaker changed");
    };
    Breaker::new(upstream.breaker, around.chance, Box::new(told))
}
