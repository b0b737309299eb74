//! What a call costs this process, the network left out: a hit, a miss and two refusals, through the
//! pipeline alone and through the routes, next to a route that does nothing but read and answer.
//!
//! The configuration is the built-in one with its rate limit out of reach; a script answers for the
//! token authority and the upstream. Metrics are kept; no log line is written and no trace sent.
//! One thread does everything, so times are CPU times.
#![expect(clippy::print_stdout, reason = "the ratios at the end are for a person to read")]

use std::{
    cell::Cell, future::Future, hint::black_box, num::NonZeroU32, sync::Arc, time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use holdline::{
    background::Background,
    catalog::{Catalog, action::Action},
    chance::Chance,
    client::{Script, Transport, WireError},
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
    telemetry::{metrics::Registry, outcome::Source, trail::Tracer},
    time::{self, Deadline, Wall},
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const ACTION: &str = "customer-lookup";
const HEADER: &str = "x-genesys-auth-token";
const GOOD: &str = "a-token-of-the-usual-forty-three-characters";
const BAD: &str = "a-token-that-the-authority-does-not-know-of";

/// A whole record of the tutorial's API, of which four values are used.
const RECORD: &str = r#"{"id":1,"name":"Leanne Graham","username":"Bret","email":"Sincere@april.biz",
"address":{"street":"Kulas Light","suite":"Apt. 556","city":"Gwenborough","zipcode":"92998-3874",
"geo":{"lat":"-37.3159","lng":"81.1496"}},"phone":"1-770-736-8031 x56442","website":"hildegard.org",
"company":{"name":"Romaguera-Crona","catchPhrase":"Multi-layered client-server neural-net",
"bs":"harness real-time e-markets"}}"#;

/// The token authority and the upstream.
#[derive(Debug)]
struct Outside;

#[async_trait]
impl Script for Outside {
    async fn exchange(&self, request: reqwest::Request) -> Result<Response<Bytes>, WireError> {
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        let answer = if !request.url().path().ends_with("/introspect") {
            RECORD
        } else if body.windows(GOOD.len()).any(|part| part == GOOD.as_bytes()) {
            r#"{"active": true, "organization": {"id": "org"}, "client_id": "flow"}"#
        } else {
            r#"{"active": false}"#
        };
        Ok(Response::new(Bytes::from_static(answer.as_bytes())))
    }
}

/// The built-in configuration, its rate limit out of reach.
fn configuration() -> (Catalog, Settings) {
    let loaded = config::builtin(&|_| None).expect("the built-in configuration is valid");
    let mut catalog = loaded.catalog;
    for limit in catalog.limits.values_mut() {
        let limit = Arc::get_mut(limit).expect("nobody else has it yet");
        limit.period = Duration::from_nanos(1);
        limit.burst = NonZeroU32::MAX;
    }
    (catalog, loaded.settings)
}

/// A service without its listeners.
struct Bench {
    runtime: Runtime,
    pipeline: Arc<Pipeline>,
    action: Arc<Action>,
    tracer: Tracer,
    routes: Router,
    /// The next customer that nobody has asked for.
    stranger: Cell<u64>,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let (catalog, settings) = configuration();
        let action = catalog.action(ACTION).cloned().expect("the built-in action has that name");
        let registry = Registry::new();
        let parts = Parts {
            registry: Arc::clone(&registry),
            background: Background::new(),
            transport: Transport::Scripted(Arc::new(Outside)),
            wall: Wall::System,
            chance: Chance::Random,
            room: Room { memory: settings.cache.memory, max_entry: settings.cache.max_entry },
            max_in_flight_per_org: settings.server.max_in_flight_per_org,
        };
        let pipeline = Pipeline::new(catalog, &parts).expect("this machine has CA certificates");
        let lifecycle = Lifecycle::new();
        lifecycle.set(Phase::Ready);
        let tracer = Tracer::new(&registry, None, false, "/data-action/{action}", Chance::Random);
        let served = Served::new(Arc::clone(&pipeline), &settings, &registry);
        let plane = DataPlane::new(InForce::new(served), lifecycle, tracer.clone());
        let routes = Router::new().fallback_service(plane.routes());
        Self { runtime, pipeline, action, tracer, routes, stranger: Cell::new(1_000_000) }
    }

    fn stranger(&self) -> u64 {
        let next = self.stranger.get();
        self.stranger.set(next + 1);
        next
    }

    fn call(&self, token: &'static str, body: Bytes) -> Call {
        let began = time::now();
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static(token));
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        Call {
            action: Arc::clone(&self.action),
            headers,
            body,
            deadline: Deadline::after(began, self.action.patience(None)),
            deadline_unreadable: false,
            trail: Arc::new(self.tracer.begin(began, None, "POST")),
        }
    }

    async fn run(&self, token: &'static str, body: Bytes) -> Result<Answer, Failure> {
        self.pipeline.run(&self.call(token, body)).await
    }
}

fn asking_for(customer: u64) -> Bytes {
    format!(r#"{{"data": {{"customer_id": {customer}}}}}"#).into()
}

fn request(path: &str, body: Bytes) -> Request<Body> {
    Request::post(path)
        .header(HEADER, GOOD)
        .header("content-type", "application/json")
        .header("content-length", body.len())
        .body(Body::from(body))
        .expect("these parts make a request")
}

/// Sends one request through `routes`, and reads the answer to its end.
async fn through(routes: &Router, path: &str, body: Bytes) -> (StatusCode, Bytes) {
    let served = routes.clone().oneshot(request(path, body)).await;
    let (head, body) = served.expect("routes always answer").into_parts();
    let body = body.collect().await.expect("the body is in memory");
    (head.status, body.to_bytes())
}

/// Measures `once` under `name`; gives the shortest mean time of a sample, in nanoseconds.
fn measure<F, Fut, T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    name: &str,
    once: F,
) -> f64
where
    F: Fn() -> Fut,
    Fut: Future<Output = T>,
{
    let mut shortest = f64::INFINITY;
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let took = runtime.block_on(async {
                let began = time::now();
                for _ in 0..times {
                    black_box(once().await);
                }
                began.elapsed()
            });
            shortest = shortest.min(took.as_secs_f64() * 1e9 / times as f64);
            took
        });
    });
    shortest
}

fn pipeline(criterion: &mut Criterion, bench: &Bench) {
    let mut group = criterion.benchmark_group("pipeline");
    let known = asking_for(1);
    let hit = || bench.run(GOOD, known.clone());
    let first = bench.runtime.block_on(hit()).expect("the first call is answered");
    assert_eq!(first.source, Source::Upstream);
    let second = bench.runtime.block_on(hit()).expect("the second call is answered");
    assert_eq!(second.source, Source::CacheFresh);
    measure(&mut group, &bench.runtime, "hit", hit);

    measure(&mut group, &bench.runtime, "miss", || async {
        let answer = bench.run(GOOD, asking_for(bench.stranger())).await;
        assert!(answer.is_ok_and(|answer| answer.source == Source::Upstream));
    });

    measure(&mut group, &bench.runtime, "refused/token", || async {
        let refused = bench.run(BAD, known.clone()).await;
        assert!(matches!(refused, Err(Failure::Unproven(_))));
    });

    let wrong = Bytes::from_static(br#"{"data": {"customer_id": "forty-two"}}"#);
    measure(&mut group, &bench.runtime, "refused/body", || async {
        let refused = bench.run(GOOD, wrong.clone()).await;
        assert!(matches!(refused, Err(Failure::Invalid(_))));
    });
    group.finish();
}

fn routes(criterion: &mut Criterion, bench: &Bench) -> (f64, f64) {
    let mut group = criterion.benchmark_group("routes");
    let (path, known) = (format!("/data-action/{ACTION}"), asking_for(1));
    let hit = || through(&bench.routes, &path, known.clone());
    let (status, body) = bench.runtime.block_on(hit());
    assert_eq!(status, StatusCode::OK, "{body:?}");
    let hit = measure(&mut group, &bench.runtime, "hit", hit);

    let answer = body.clone();
    let bare = Router::new().route(
        &path,
        post(move |asked: Bytes| async move {
            black_box(asked);
            ([("content-type", "application/json")], answer)
        }),
    );
    let once = || through(&bare, &path, known.clone());
    assert_eq!(bench.runtime.block_on(once()), (StatusCode::OK, body));
    let bare = measure(&mut group, &bench.runtime, "bare", once);
    group.finish();
    (hit, bare)
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    let bench = Bench::new();
    pipeline(&mut criterion, &bench);
    let (hit, bare) = routes(&mut criterion, &bench);
    criterion.final_summary();
    // A run with --test measures one call, a run with a filter perhaps none.
    let measured = !std::env::args().any(|arg| arg == "--test") && hit.is_finite();
    if measured && bare.is_finite() {
        println!(
            "a hit costs {:.1} us above a bare route ({:.1} us), {:.1} times its time",
            (hit - bare) / 1e3,
            bare / 1e3,
            hit / bare
        );
    }
}
