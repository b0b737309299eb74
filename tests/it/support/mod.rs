//! What the tests stand on: the pipeline on a scripted world in virtual time; over sockets the
//! service in process, its world, and a strict client.

pub(crate) mod ask;
pub(crate) mod client;
pub(crate) mod form;
pub(crate) mod front;
pub(crate) mod issuer;
pub(crate) mod jwt_issuer;
pub(crate) mod lines;
pub(crate) mod organisation;
pub(crate) mod otlp;
pub(crate) mod papers;
pub(crate) mod peer;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod rig;
pub(crate) mod scripted;
pub(crate) mod service;
pub(crate) mod token_endpoint;
mod written;

use std::{fmt::Display, future::Future, time::Duration};

/// How long anything in these tests may take before it counts as broken. Nothing waits this long
/// when all is well; it is far above what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What `work` brings. It fails the test when it takes longer than anything may.
pub(crate) async fn in_time<T>(what: impl Display, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Asks `holds` again and again until it brings something. It fails the test when that takes longer
/// than anything may.
pub(crate) async fn eventually<T>(
    what: impl Display,
    mut holds: impl AsyncFnMut() -> Option<T>,
) -> T {
    in_time(what, async {
        loop {
            if let Some(found) = holds().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// Carries out `work` while `held` is under way, then drops `held` where it stands.
pub(crate) async fn beside<T>(held: impl Future, work: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        _ = held => panic!("what was to be held has ended"),
        done = work => done,
    }
}
