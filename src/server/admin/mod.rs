//! What is not a call: probes and metrics for machines, and the operator's listener.
//!
//! Probes answer without a token and change nothing. The operator's listener is on loopback unless it
//! asks for a bearer token; it changes things by POST only, and each change is logged and counted.

mod about;
mod cache;
mod caches;
mod drain;
mod limits;
mod probes;
mod token;
mod upstreams;
mod wish;

use std::{
    ops::Deref,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{StatusCode, header::ORIGIN},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use secrecy::SecretString;

use crate::{
    chance,
    pipeline::Pipeline,
    server::{lifecycle::Lifecycle, problem::problem, public::DataPlane},
    telemetry::{
        Telemetry,
        meters::{PurgeMeters, Words},
        metrics::{ADMIN_ACTIONS, Registry},
        outcome::Outcome,
    },
    time::{Instant, Wall},
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
    purge_actions: Words,
    breaker_actions: Words,
    drain_actions: Words,
    undrain_actions: Words,
}

/// The parts of a [`Desk`] that others own.
#[derive(Debug)]
pub struct DeskParts {
    /// The pipeline.
    pub pipeline: Arc<Pipeline>,
    /// The data plane.
    pub data_plane: Arc<DataPlane>,
    /// Where the service stands in its life.
    pub lifecycle: Lifecycle,
    /// Its metrics.
    pub registry: Arc<Registry>,
    /// Its log and traces; `None` where somebody else keeps them.
    pub telemetry: Option<Arc<Telemetry>>,
    /// Open connections to the data plane.
    pub connections: Arc<AtomicUsize>,
    /// The fingerprint of the configuration in force.
    pub revision: String,
    /// When the service started.
    pub started: Instant,
    /// Where wall time comes from.
    pub wall: Wall,
}

impl Desk {
    /// The desk over those parts.
    pub fn new(parts: DeskParts) -> Arc<Self> {
        let registry = &parts.registry;
        let actions = |action: &'static str| {
            Words::new(&["done", "refused"], |result| {
                registry.counter(&ADMIN_ACTIONS, &[action, result])
            })
        };
        Arc::new(Self {
            purges: PurgeMeters::new(registry),
            purge_actions: actions("purge"),
            breaker_actions: actions("breaker"),
            drain_actions: actions("drain"),
            undrain_actions: actions("undrain"),
            parts,
        })
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

/// The operator's routes, behind `token` where there is one.
pub fn operator_routes(desk: &Arc<Desk>, token: Option<SecretString>) -> Router {
    let routes = Router::new()
        .route("/info", get(about::show))
        .route("/upstreams", get(upstreams::show))
        .route("/breakers/{upstream}", post(upstreams::force))
        .route("/caches", get(caches::show))
        .route("/limits", get(limits::show))
        .route("/cache/purge", post(cache::purge))
        .route("/drain", post(drain::begin))
        .route("/undrain", post(drain::end))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn(from_no_page))
        .with_state(Arc::clone(desk));
    match token {
        Some(token) => routes.layer(middleware::from_fn_with_state(Arc::new(token), token::demand)),
        None => routes,
    }
}

/// Refuses what a page in the operator's browser sends: on loopback there is no token to stop it.
async fn from_no_page(request: Request, next: Next) -> Response {
    if request.headers().contains_key(ORIGIN) {
        return refused(StatusCode::FORBIDDEN, "Requests from web pages are not taken here");
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
