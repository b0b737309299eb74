//! Tasks that outlive the call that started them: flights, refreshes, sweepers, connections.
//!
//! The only place that spawns. Whoever holds a [`Background`] can cancel what it started and wait
//! for the end of it; nothing is detached and forgotten.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A group of tasks with a common end.
#[derive(Debug, Clone, Default)]
pub struct Background {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Background {
    /// An empty group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `work` to its end, whatever happens to the caller; [`Self::stop`] waits for it.
    pub fn finish<F>(&self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(work);
    }

    /// Runs `work` until the group is stopped, then drops it where it stands.
    pub fn until_stopped<F>(&self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// How many tasks are running.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether none is running.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Cancels what runs [`Self::until_stopped`], waits at most `grace` for the rest. Returns how
    /// many tasks were still running then.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(grace, self.tasks.wait()).await;
        self.tasks.len()
    }
}
