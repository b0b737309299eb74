//! Waiting for what cannot be awaited: a condition is asked again and again, within a bound.

use std::{fmt::Display, future::Future, time::Duration};

use holdline::time;

/// Long enough for a busy machine; a test that works does not wait for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How often a condition is asked for.
const STEP: Duration = Duration::from_millis(10);

/// What `ask` gives as soon as it gives something. Panics, naming `what`, where it does not in time.
pub(crate) async fn eventually<T, F>(what: impl Display, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let until = time::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(time::now() < until, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(STEP).await;
    }
}
