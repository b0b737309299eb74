//! What is not a call: probes and metrics for machines, and the operator's listener.
//!
//! Probes answer without a token and change nothing. The operator's listener is on loopback unless it
//! asks for a bearer token; it changes things by POST only, and each change is logged and counted,
//! made or refused.

mod about;
mod audit;
mod cache;
mod caches;
mod config;
mod docs;
mod drain;
mod explain;
mod index;
mod limits;
mod log_level;
mod probes;
pub mod reload;
mod revoke;
pub mod token;
mod upstreams;
mod wish;

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
    time::Duration,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header::ORIGIN},
    middleware::{self, Next},
    response::Response,
    routing::{MethodRouter, get, post},
};

use tokio::runtime::Handle;

use crate::{
    chance,
    pipeline::Pipeline,
    server::{
        admin::{
            audit::{Audit, Change, Door, No, Peer},
            reload::Reload,
            token::Token,
        },
        in_force::InForce,
        lifecycle::{Lifecycle, Stopping},
        listener::Tls,
        problem::problem,
        public::DataPlane,
    },
    telemetry::{
        Telemetry, meters::PurgeMeters, metrics::Registry, outcome::Outcome, recent::Recent,
    },
    time::{self, Instant, Wall},
};

/// Bytes of an operator's request.
const MAX_BODY: usize = 16 << 10;
/// How long an operator's request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What probes and operators look at.
#[derive(Debug)]
pub struct Desk {
    parts: DeskParts,
    purges: Arc<PurgeMeters>,
    audit: Audit,
    /// Why it is drained by hand, where it is.
    drain_reason: Mutex<Option<Arc<str>>>,
}

/// The parts of a [`Desk`] that others own.
#[derive(Debug)]
pub struct DeskParts {
    /// What is in force.
    pub in_force: InForce,
    /// Who reads the configuration anew.
    pub reload: Arc<dyn Reload>,
    /// What an operator must show.
    pub token: Token,
    /// The data plane.
    pub data_plane: Arc<DataPlane>,
    /// Where the service stands in its life.
    pub lifecycle: Lifecycle,
    /// Its metrics.
    pub registry: Arc<Registry>,
    /// The calls that it remembers.
    pub recent: Arc<Recent>,
    /// Its log and traces; `None` where somebody else keeps them.
    pub telemetry: Option<Arc<Telemetry>>,
    /// Open connections to the data plane.
    pub connections: Arc<AtomicUsize>,
    /// Its TLS, where it has one.
    pub tls: Option<Tls>,
    /// The threads that serve calls.
    pub runtime: Handle,
    /// When the service started.
    pub started: Instant,
    /// Where wall time comes from.
    pub wall: Wall,
}

impl Desk {
    /// The desk over those parts.
    pub fn new(parts: DeskParts) -> Arc<Self> {
        Arc::new(Self {
            purges: PurgeMeters::new(&parts.registry),
            audit: Audit::new(&parts.registry),
            drain_reason: Mutex::default(),
            parts,
        })
    }

    /// The pipeline in force.
    pub fn pipeline(&self) -> Arc<Pipeline> {
        Arc::clone(&self.in_force.now().pipeline)
    }

    /// Keeps calls away until `until`, for that reason.
    fn hold(&self, until: Instant, reason: Option<Arc<str>>) -> Result<(), Stopping> {
        // Locked over both, so that of two at once the reason is that of the one that lasts.
        let mut held = self.drain_reason.lock().unwrap_or_else(PoisonError::into_inner);
        self.lifecycle.hold(until)?;
        *held = reason;
        Ok(())
    }

    /// Until when it is drained by hand and why; `None` where it is not.
    fn held(&self) -> Option<(Instant, Option<Arc<str>>)> {
        let reason = self.drain_reason.lock().unwrap_or_else(PoisonError::into_inner);
        self.lifecycle.held_until().map(|until| (until, reason.clone()))
    }

    /// What the clock on the wall shows at an instant to come, such as `2026-01-31T12:00:00Z`.
    fn shown_at(&self, instant: Instant) -> String {
        let left = instant.saturating_duration_since(time::now());
        humantime::format_rfc3339_seconds(self.wall.system_time() + left).to_string()
    }
}

impl Deref for Desk {
    type Target = DeskParts;

    fn deref(&self) -> &DeskParts {
        &self.parts
    }
}

/// `GET /livez /readyz /startupz /metrics`, and nothing else.
pub fn probe_routes(desk: &Arc<Desk>) -> Router {
    Router::new()
        .route("/livez", get(probes::alive))
        .route("/readyz", get(probes::ready))
        .route("/startupz", get(probes::started))
        .route("/metrics", get(probes::metrics))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::clone(desk))
}

/// The operator's routes, behind the token where there is one.
pub fn operator_routes(desk: &Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(index::show))
        .route("/info", get(about::show))
        .route("/config", get(config::show))
        .route("/openapi.json", get(docs::openapi))
        .route("/docs", get(docs::page))
        .route("/upstreams", get(upstreams::show))
        .route("/breakers/{upstream}", change(Change::Breaker, post(upstreams::force)))
        .route("/caches", get(caches::show))
        .route("/limits", get(limits::show))
        .route("/explain", get(explain::list))
        .route("/explain/{id}", get(explain::one))
        .route("/cache/purge", change(Change::Purge, post(cache::purge)))
        .route("/tokens/revoke", change(Change::Revoke, post(revoke::revoke)))
        .route("/drain", change(Change::Drain, post(drain::begin)))
        .route("/undrain", change(Change::Undrain, post(drain::end)))
        .route("/reload", change(Change::Reload, post(reload::now)))
        .route("/log-level", change(Change::LogLevel, post(log_level::force)))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(Arc::clone(desk), from_no_page))
        .layer(middleware::from_fn_with_state(Arc::clone(desk), token::demand))
        .with_state(Arc::clone(desk))
}

/// The route of a change, whose every request has a span of its own.
fn change(change: Change, route: MethodRouter<Arc<Desk>>) -> MethodRouter<Arc<Desk>> {
    route.route_layer(middleware::from_fn_with_state(change, audit::spanned))
}

/// Refuses what a page in the operator's browser sends: on loopback there is no token to stop it.
async fn from_no_page(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    if request.headers().contains_key(ORIGIN) {
        let no = No::new(StatusCode::FORBIDDEN, "Requests from web pages are not taken here");
        return desk.audit.turn_away(Door::Page, Peer::of(&request), &no);
    }
    next.run(request).await
}

/// Gives up on a request that is not answered in time, which one that never ends would not be.
async fn in_time(request: Request, next: Next) -> Response {
    let late = || refused(StatusCode::REQUEST_TIMEOUT, "The request did not arrive in time");
    tokio::time::timeout(PATIENCE, next.run(request)).await.unwrap_or_else(|_| late())
}

async fn nothing_here() -> Response {
    refused(StatusCode::NOT_FOUND, "There is nothing at this path")
}

async fn wrong_method() -> Response {
    refused(StatusCode::METHOD_NOT_ALLOWED, "This path takes another method")
}

/// A problem document for an operator.
fn refused(status: StatusCode, detail: &str) -> Response {
    problem(status, Outcome::BadRequest, detail, &chance::hex128())
}
