//! What a call costs this process, the network left out: the scenarios of `benches/scenarios/`, through the
//! pipeline alone and through the routes, with different amounts told of it; next to a route that does nothing
//! but read and answer.
//!
//! One thread makes all calls, so times are CPU times, but for what the threads of log and export take from it.
#![expect(clippy::print_stdout, reason = "the ratio at the end is for a person to read")]

mod scenarios;

use std::{hint::black_box, time::Duration};

use axum::{Router, routing::post};
use bytes::Bytes;
use criterion::{Bencher, Criterion};

use holdline::time;
use scenarios::{
    BATCH, GOOD, PATH, World, asking_for,
    kinds::{Kind, Scenario, Told, Way},
    request, telemetry, through,
};

/// What the ratio at the end is of: the shortest mean times of a sample, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Shortest {
    hit: f64,
    bare: f64,
}

/// Makes so many calls; gives how long that took.
fn timed(world: &World, kind: Kind, times: u64) -> Duration {
    let mut took = Duration::ZERO;
    let (mut left, mut made) = (times.next_multiple_of(kind.at_once()), 0);
    while left > 0 {
        let batch = world.batch(left.min(BATCH));
        let began = time::now();
        world.make(batch);
        took += began.elapsed();
        made += left.min(BATCH);
        left -= left.min(BATCH);
        world.rest();
    }
    took.mul_f64(times as f64 / made as f64)
}

/// Measures one scenario; gives the shortest mean time of a sample.
fn measure(criterion: &mut Criterion, name: &str, mut run: impl FnMut(u64) -> Duration) -> f64 {
    let mut shortest = f64::INFINITY;
    criterion.bench_function(name, |bencher: &mut Bencher<'_>| {
        bencher.iter_custom(|times| {
            let took = run(times);
            shortest = shortest.min(took.as_secs_f64() * 1e9 / times as f64);
            took
        });
    });
    shortest
}

/// A route that reads the body and answers as much as ours.
fn bare(criterion: &mut Criterion) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().expect("a runtime can be made");
    let answer = r#"{"data":{"full_name":"Leanne Graham","email":"Sincere@april.biz","phone":"1-770-736-8031 x56442","is_premium_member":false}}"#;
    let handler = move |asked: Bytes| async move {
        black_box(asked);
        ([("content-type", "application/json")], answer)
    };
    let routes = Router::new().route(PATH, post(handler));
    measure(criterion, "routes/bare", |times| {
        let (mut took, mut left) = (Duration::ZERO, times);
        while left > 0 {
            let batch = left.min(BATCH);
            let requests: Vec<_> = (0..batch).map(|_| request(GOOD, asking_for(1))).collect();
            took += runtime.block_on(async {
                let began = time::now();
                for request in requests {
                    black_box(through(routes.clone(), request).await);
                }
                began.elapsed()
            });
            left -= batch;
        }
        took
    })
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        .configure_from_args();
    let mut shortest = Shortest { hit: f64::INFINITY, bare: bare(&mut criterion) };
    for told in Told::ALL {
        let telemetry = telemetry(told);
        for scenario in Scenario::told(told) {
            let world = World::new(scenario, telemetry.as_ref(), false);
            let run = |times| timed(&world, scenario.kind, times);
            let took = measure(&mut criterion, &scenario.to_string(), run);
            if (scenario.way, scenario.kind, told) == (Way::Routes, Kind::Hit, Told::Default) {
                shortest.hit = took;
            }
        }
        let (spans, lines) = telemetry.map_or((0, 0), |telemetry| telemetry.dropped());
        if spans + lines > 0 {
            println!(
                "{spans} spans and {lines} lines were dropped, which cost less than the others"
            );
        }
    }
    criterion.final_summary();
    // A run with --test measures one call, a run with a filter perhaps none.
    let Shortest { hit, bare } = shortest;
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
