//! What holds whatever happens, each in ten thousand random histories. `PROPTEST_CASES` sets another
//! number.
//!
//! One pipeline lives through all histories of a property: between two of them it rests for an hour,
//! in which everything that waits comes to its end.

mod changes;
mod keys;
mod leaks;
mod polls;
mod reloads;
mod repeats;
mod time;

use std::{env, time::Duration};

use holdline::{client::WireError, pipeline::operate::Purge};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// Histories of each property.
const CASES: u32 = 10_000;

/// Tokens that are issued to us.
const TOKENS: &str = "auth: {type: oauth2, token_url: https://login.test/token, client_id: us, \
                      client_secret: '${SECRET:-s3cret}'}";

/// Checks `case` for values of `strategy`, each on a pipeline that has rested.
fn for_all<S: Strategy>(
    setup: &Setup<'_>,
    strategy: &S,
    case: &impl AsyncFn(&Rig, S::Value) -> Result<(), TestCaseError>,
) {
    for_so_many(CASES, setup, strategy, case);
}

/// The same in so many histories: where each is worth hundreds.
fn for_so_many<S: Strategy>(
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
    let asked = Config::default();
    let cases = if env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { cases };
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..asked });
    let result = runner.run(strategy, |value| {
        runtime.block_on(async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            rig.purge(&Purge::All);
            rig.pipeline.sweep();
            rig.forget();
            rig.authority().only([]).always(Line::active("acme", "ivr"));
            rig.issuer().only([]);
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
    let read = prop::bool::weighted(0.7);
    (reply, after, read).prop_map(|(line, after, read)| {
        let line = line.after(after);
        if read { line } else { line.unread() }
    })
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
