//! What holds whatever happens, each in a few hundred random histories.
//!
//! One pipeline lives through all histories of a property: between two of them it rests for an hour,
//! in which everything that waits comes to its end.

mod keys;
mod leaks;
mod repeats;
mod time;

use std::time::Duration;

use holdline::{client::WireError, pipeline::operate::Purge};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// Checks `case` for values of `strategy`, each on a pipeline that has rested.
fn for_all<S: Strategy>(
    setup: &Setup<'_>,
    strategy: &S,
    case: &impl AsyncFn(&Rig, S::Value) -> Result<(), TestCaseError>,
) {
    for_many(Config::default().cases, setup, strategy, case);
}

/// The same for so many values.
fn for_many<S: Strategy>(
    cases: u32,
    setup: &Setup<'_>,
    strategy: &S,
    case: &impl AsyncFn(&Rig, S::Value) -> Result<(), TestCaseError>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let rig = runtime.block_on(async { setup.rig() });
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(strategy, |value| {
        runtime.block_on(async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            rig.purge(&Purge::All);
            rig.pipeline.sweep();
            rig.authority().only([]).always(Line::active("acme", "ivr"));
            rig.upstream().only([]).always(Line::json(&serde_json::json!({"name": "Ada"})));
            case(&rig, value).await
        })
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// Anything that a system may say, up to so many milliseconds late, or never.
fn any_line(late: u64) -> impl Strategy<Value = Line> {
    let reply = prop_oneof![
        4 => Just(Line::json(&serde_json::json!({"name": "Ada", "active": true}))),
        1 => Just(Line::status(200).body("<html>")),
        1 => prop::sample::select(vec![400_u16, 401, 404, 408, 429, 500]).prop_map(Line::status),
        2 => Just(Line::status(503)),
        1 => (0..6_u8).prop_map(|s| Line::status(503).header("retry-after", &s.to_string())),
        3 => any_error().prop_map(Line::fails),
        1 => Just(Line::hangs()),
    ];
    let after = prop_oneof![1 => Just(0), 2 => 0..200_u64, 2 => 0..=late];
    (reply, after).prop_map(|(line, after)| line.after(after))
}

/// Any way to break on the wire.
fn any_error() -> impl Strategy<Value = WireError> {
    prop::sample::select(vec![
        WireError::Timeout,
        WireError::Connect,
        WireError::Dns,
        WireError::Tls,
        WireError::Reset,
        WireError::Protocol,
        WireError::BodyTooLarge,
    ])
}
