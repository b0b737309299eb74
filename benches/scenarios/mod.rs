//! A service without its listeners, in one thread, and calls that always come to the same end. Used by
//! criterion (`benches/pipeline.rs`) and by callgrind (`benches/instructions/`).
//!
//! The configuration is the built-in one with its rate limit out of reach; a script answers for the
//! token authority and the upstream. Each scenario has a service of its own, so none meets what another
//! has left.

pub(crate) mod kinds;
mod outside;
#[path = "../capacity/sink.rs"]
#[expect(dead_code, reason = "here nobody weighs what it takes")]
mod sink;

use std::{
    cell::Cell, convert::Infallible, hint::black_box, num::NonZeroU32, sync::Arc,
    thread::park_timeout, time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::join_all;
use holdline::{
    background::Background,
    catalog::{Catalog, action::Action},
    chance::Chance,
    client::Transport,
    config,
    pipeline::{
        Parts, Pipeline,
        cache::Room,
        call::{Answer, Call},
        failure::Failure,
    },
    server::{
        in_force::{InForce, Served},
        lifecycle::{Lifecycle, Phase},
        public::DataPlane,
    },
    settings::Settings,
    telemetry::{
        Telemetry,
        metrics::Registry,
        outcome::Source,
        recent::{self, Recent},
        trail::Tracer,
    },
    time::{self, Deadline, Wall},
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tower::{Service, ServiceExt};

use kinds::{Kind, Scenario, Told, Way};
pub(crate) use outside::GOOD;
use outside::{BAD, Outside};

/// That of the program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ACTION: &str = "customer-lookup";
/// Where calls go.
pub(crate) const PATH: &str = "/data-action/customer-lookup";
const HEADER: &str = "x-genesys-auth-token";
/// Calls before the first that is measured.
const WARM: u64 = 200;
/// Calls that are measured in one go.
pub(crate) const BATCH: u64 = 64;

/// The built-in configuration, its rate limit out of reach; where answers are to be stale, they are so
/// at once.
fn configuration(kind: Kind) -> (Catalog, Settings) {
    let loaded = config::builtin(&|_| None).expect("the built-in configuration is valid");
    let mut catalog = loaded.catalog;
    for limit in catalog.limits.values_mut() {
        let limit = Arc::get_mut(limit).expect("nobody else has it yet");
        limit.period = Duration::from_nanos(1);
        limit.burst = NonZeroU32::MAX;
    }
    for action in catalog.actions.values_mut() {
        let action = Arc::get_mut(action).expect("nobody else has it yet");
        let cache = action.cache.as_mut().expect("the built-in action has a cache");
        cache.ttl = Duration::from_hours(1);
        if kind == Kind::Stale {
            cache.ttl = Duration::from_millis(1);
            cache.stale_while_revalidate = Duration::from_hours(1);
        }
    }
    (catalog, loaded.settings)
}

/// What is told of a process's calls. Made once for each [`Told`], in its order.
pub(crate) fn telemetry(told: Told) -> Option<Arc<Telemetry>> {
    outside::telemetry(told, &configuration(Kind::Hit).1)
}

/// A call that is ready to be made.
#[derive(Debug)]
enum Asked {
    Call(&'static str, Bytes),
    Request(Request<Body>),
}

/// A service without its listeners, and the calls of one scenario.
pub(crate) struct World {
    runtime: Runtime,
    outside: Arc<Outside>,
    pipeline: Arc<Pipeline>,
    action: Arc<Action>,
    tracer: Tracer,
    plane: Arc<DataPlane>,
    scenario: Scenario,
    is_paused: bool,
    /// The next customer that nobody has asked for.
    stranger: Cell<u64>,
}

impl World {
    /// A service that has been called. `is_paused`: its clock stands still.
    pub(crate) fn new(
        scenario: Scenario,
        telemetry: Option<&Arc<Telemetry>>,
        is_paused: bool,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(is_paused)
            .build()
            .expect("a runtime can be made");
        // What remembers when it was made does so by the same clock.
        let within = runtime.enter();
        let (catalog, settings) = configuration(scenario.kind);
        let action = catalog.action(ACTION).cloned().expect("the built-in action has that name");
        let registry =
            if scenario.told == Told::Off { Registry::switched_off() } else { Registry::new() };
        let outside = Arc::new(Outside::default());
        let parts = Parts {
            registry: Arc::clone(&registry),
            background: Background::new(),
            transport: Transport::Scripted(outside.clone()),
            wall: Wall::System,
            chance: Chance::Random,
            room: Room { memory: settings.cache.memory, max_entry: settings.cache.max_entry },
            max_in_flight_per_org: settings.server.max_in_flight_per_org,
        };
        let pipeline = Pipeline::new(catalog, &parts).expect("this machine has CA certificates");
        let lifecycle = Lifecycle::new();
        lifecycle.set(Phase::Ready);
        let ratio = telemetry.and_then(|telemetry| telemetry.sample_ratio());
        let sender = telemetry.and_then(|telemetry| telemetry.sender(Wall::System));
        let tracer = Tracer::new(&registry, ratio, false, "/data-action/{action}", Chance::Random)
            .sending(sender)
            .logging(telemetry.map(|telemetry| telemetry.calls()))
            .remembering(Recent::new(recent::CALLS));
        let served = Served::new(Arc::clone(&pipeline), &settings, &registry);
        let plane = DataPlane::new(InForce::new(served), lifecycle, tracer.clone());
        drop(within);
        let stranger = Cell::new(1_000_000);
        let world = Self {
            runtime,
            outside,
            pipeline,
            action,
            tracer,
            plane,
            scenario,
            is_paused,
            stranger,
        };
        world.warm();
        world
    }

    /// Calls it until nothing is done for the first time any more, and sees that calls end as they are meant to.
    fn warm(&self) {
        let first = self.runtime.block_on(self.run(GOOD, asking_for(1)));
        assert_eq!(first.map(|answer| answer.source), Ok(Source::Upstream));
        if self.scenario.kind == Kind::Stale {
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
            self.outside.go_down();
        }
        for _ in 0..WARM / BATCH + 1 {
            self.make(self.batch(BATCH));
            self.rest();
        }
        let (token, body) = self.asked();
        let last = self.runtime.block_on(self.run(token, body));
        let last = last.map(|answer| answer.source);
        match self.scenario.kind {
            Kind::Hit => assert_eq!(last, Ok(Source::CacheFresh)),
            Kind::Miss | Kind::Coalesced => assert_eq!(last, Ok(Source::Upstream)),
            Kind::Stale => assert_eq!(last, Ok(Source::CacheStale)),
            Kind::RefusedToken => assert!(matches!(last, Err(Failure::Unproven(_)))),
            Kind::RefusedBody => assert!(matches!(last, Err(Failure::Invalid(_)))),
        }
    }

    /// Token and body of the scenario's next call.
    fn asked(&self) -> (&'static str, Bytes) {
        match self.scenario.kind {
            Kind::Hit | Kind::Stale => (GOOD, asking_for(1)),
            Kind::RefusedToken => (BAD, asking_for(1)),
            Kind::RefusedBody => {
                (GOOD, Bytes::from_static(br#"{"data": {"customer_id": "forty-two"}}"#))
            }
            Kind::Miss | Kind::Coalesced => {
                let next = self.stranger.get();
                self.stranger.set(next + 1);
                (GOOD, asking_for(next))
            }
        }
    }

    /// So many calls, ready to be made.
    pub(crate) fn batch(&self, calls: u64) -> Batch {
        let at_once = self.scenario.kind.at_once();
        let turn = |_| {
            let (token, body) = self.asked();
            let asked = |_| match self.scenario.way {
                Way::Pipeline => Asked::Call(token, body.clone()),
                Way::Routes => Asked::Request(request(token, body.clone())),
            };
            (0..at_once).map(asked).collect()
        };
        Batch((0..calls.div_ceil(at_once)).map(turn).collect())
    }

    /// Makes these calls, one turn after the other.
    pub(crate) fn make(&self, batch: Batch) {
        self.runtime.block_on(async {
            for mut turn in batch.0 {
                match turn.pop() {
                    Some(asked) if turn.is_empty() => self.answered(asked).await,
                    asked => {
                        let all = turn.into_iter().chain(asked);
                        join_all(all.map(|asked| self.answered(asked))).await;
                    }
                }
            }
        });
    }

    /// Lets the exporter's thread take what was sent to it, so that nothing is dropped. Where the clock stands
    /// still nobody is in a hurry, and valgrind makes that thread slow.
    pub(crate) fn rest(&self) {
        let rest = match self.scenario.told {
            Told::Off => return,
            Told::Default => Duration::from_millis(1),
            Told::Full => Duration::from_millis(10),
        };
        park_timeout(if self.is_paused { rest * 20 } else { rest });
    }

    async fn answered(&self, asked: Asked) {
        let wanted = match self.scenario.kind {
            Kind::RefusedToken => StatusCode::FORBIDDEN,
            Kind::RefusedBody => StatusCode::BAD_REQUEST,
            Kind::Hit | Kind::Miss | Kind::Stale | Kind::Coalesced => StatusCode::OK,
        };
        match asked {
            Asked::Call(token, body) => {
                let answer = black_box(self.run(token, body).await);
                assert_eq!(answer.is_ok(), wanted == StatusCode::OK);
            }
            Asked::Request(request) => {
                assert_eq!(through(self.plane.routes(), request).await.0, wanted);
            }
        }
    }

    async fn run(&self, token: &'static str, body: Bytes) -> Result<Answer, Failure> {
        let began = time::now();
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static(token));
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let call = Call {
            action: Arc::clone(&self.action),
            headers,
            body,
            deadline: Deadline::after(began, self.action.patience(None)),
            deadline_unreadable: false,
            trail: Arc::new(self.tracer.begin(began, None, "POST")),
        };
        self.pipeline.run(&call).await
    }
}

/// Calls that are ready to be made: turns of those that are made at once.
#[derive(Debug)]
pub(crate) struct Batch(Vec<Vec<Asked>>);

pub(crate) fn asking_for(customer: u64) -> Bytes {
    format!(r#"{{"data": {{"customer_id": {customer}}}}}"#).into()
}

pub(crate) fn request(token: &str, body: Bytes) -> Request<Body> {
    Request::post(PATH)
        .header(HEADER, token)
        .header("content-type", "application/json")
        .header("content-length", body.len())
        .body(Body::from(body))
        .expect("these parts make a request")
}

/// Sends one request through `routes`, and reads the answer to its end.
pub(crate) async fn through<S>(routes: S, request: Request<Body>) -> (StatusCode, Bytes)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let served = routes.oneshot(request).await;
    let (head, body) = served.expect("routes always answer").into_parts();
    let body = body.collect().await.expect("the body is in memory");
    (head.status, body.to_bytes())
}
