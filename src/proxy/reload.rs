//! Reload: a configuration that is read anew takes the place of the one in force, whole or not at all.
//!
//! It is read and built beside the calls, on a thread that serves none. Once nothing can fail any
//! more it is put in force in one step: calls that come from then on find it, those under way end
//! on what they began with.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tokio::runtime::Handle;

use crate::{
    catalog::Catalog,
    pipeline::Parts,
    proxy::fixed,
    server::{
        admin::{reload::Reload, token::Token},
        in_force::{InForce, Served},
        listener::Tls,
        public::DataPlane,
    },
    settings::Settings,
    telemetry::{
        Telemetry,
        reloads::ReloadMeters,
        spans::Attribute,
        work::{self, Work},
    },
};

/// A configuration read anew.
#[derive(Debug)]
pub struct Next {
    /// What can be called.
    pub catalog: Catalog,
    /// How the process runs.
    pub settings: Settings,
    /// What differs from the one before, one line each, without secrets.
    pub changes: Vec<String>,
    /// What is right and probably not meant.
    pub warnings: Vec<String>,
    /// Who is told once it is in force.
    pub taken: Taken,
}

/// Who is told that a configuration is in force: a reader, which compares the next one with it. The
/// default tells nobody.
pub struct Taken(Box<dyn FnOnce() + Send>);

impl Taken {
    /// Calls `then`.
    pub fn new(then: impl FnOnce() + Send + 'static) -> Self {
        Self(Box::new(then))
    }

    /// Tells it.
    pub fn tell(self) {
        (self.0)();
    }
}

impl Default for Taken {
    fn default() -> Self {
        Self::new(|| ())
    }
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taken(..)")
    }
}

/// Reads the configuration anew, as often as it is called; it may block. Its error is every problem,
/// one line each.
pub type Reader = Arc<dyn Fn() -> Result<Next, Vec<String>> + Send + Sync>;

/// Why the configuration is read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A file of it has changed.
    File,
    /// The process was sent a signal.
    Signal,
    /// An operator says so.
    Operator,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Signal => "signal",
            Self::Operator => "operator",
        }
    }
}

/// Puts configurations in force, one after the other. Clones do it together.
#[derive(Clone)]
pub struct Reloader(Arc<Running>);

/// What a reload works on.
pub(super) struct Running {
    pub(super) reader: Option<Reader>,
    /// Of what pipelines are built, and the settings in force. Whoever reloads holds it.
    pub(super) now: Mutex<(Parts, Settings)>,
    pub(super) in_force: InForce,
    pub(super) data_plane: Arc<DataPlane>,
    pub(super) token: Token,
    pub(super) tls: Option<Tls>,
    pub(super) telemetry: Option<Arc<Telemetry>>,
    pub(super) meters: ReloadMeters,
    /// Where it is read and built.
    pub(super) runtime: Handle,
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let can_read = self.0.reader.is_some();
        f.debug_struct("Reloader").field("can_read", &can_read).finish_non_exhaustive()
    }
}

impl Reloader {
    pub(super) fn new(running: Running) -> Self {
        Self(Arc::new(running))
    }

    /// Reads the configuration and puts it in force; of two at once the second waits. Goes on when
    /// the future is dropped. Returns the changes, one line each; none where nothing changed.
    ///
    /// # Errors
    /// Every problem, one line each; then all stays as it was.
    pub async fn reload(&self, cause: Cause) -> Result<Vec<String>, Vec<String>> {
        let running = Arc::clone(&self.0);
        let span = Work::Reload.span();
        let reload = move || span.in_scope(|| running.reload(cause));
        let reloading = self.0.runtime.spawn_blocking(reload);
        // It is lost where the process stops before its turn comes.
        reloading.await.unwrap_or_else(|_| Err(vec!["the process is stopping".to_owned()]))
    }
}

#[async_trait]
impl Reload for Reloader {
    async fn reload(&self) -> Result<Vec<String>, Vec<String>> {
        self.reload(Cause::Operator).await
    }
}

impl Running {
    fn reload(&self, cause: Cause) -> Result<Vec<String>, Vec<String>> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = now.0.wall;
        // The last line of defence: a bug in here must not take the way to the next reload with it.
        let reloaded = catch_unwind(AssertUnwindSafe(|| self.replace(&mut now)));
        let reloaded = reloaded.unwrap_or_else(|_| Err(vec!["a bug ended the reload".to_owned()]));
        let cause = cause.as_str();
        work::tell(Attribute::Cause, cause);
        match &reloaded {
            Ok(None) => {
                self.meters.read("unchanged", wall);
                work::tell(Attribute::Result, "unchanged");
                tracing::info!(target: "holdline::audit", cause, "configuration is unchanged");
            }
            Ok(Some(changes)) => {
                self.meters.read("applied", wall);
                work::tell(Attribute::Result, "applied");
                work::tell(Attribute::Changes, changes.len());
                let revision = &*self.in_force.now().revision;
                let number = changes.len();
                tracing::info!(
                    target: "holdline::audit",
                    cause,
                    changes = number,
                    revision,
                    "configuration replaced"
                );
                for change in changes {
                    tracing::info!(target: "holdline::audit", change, "configuration changed");
                }
            }
            Err(problems) => {
                self.meters.read("refused", wall);
                work::tell(Attribute::Result, "refused");
                work::failed();
                let number = problems.len();
                tracing::error!(
                    target: "holdline::audit",
                    cause,
                    problems = number,
                    "configuration refused, the one before stays in force"
                );
                for problem in problems {
                    tracing::error!(target: "holdline::audit", problem, "configuration is wrong");
                }
            }
        }
        reloaded.map(Option::unwrap_or_default)
    }

    /// `None`: there is nothing to replace.
    fn replace(
        &self,
        (parts, settings): &mut (Parts, Settings),
    ) -> Result<Option<Vec<String>>, Vec<String>> {
        let reader = self.reader.as_ref();
        let reader = reader.ok_or_else(|| vec!["there is no file to read".to_owned()])?;
        let read = Work::Read.attempt(|| reader())?;
        let Next { catalog, settings: next, changes, warnings, taken } = read;
        // A secret that was replaced leaves the revision as it is.
        if changes.is_empty() && next.revision == settings.revision {
            return Ok(None);
        }
        let fixed = fixed::changed(settings, &next);
        if !fixed.is_empty() {
            return Err(fixed.into_iter().map(|key| format!("{key}: takes a restart")).collect());
        }
        let before = self.in_force.now();
        let per_org_before = parts.max_in_flight_per_org;
        parts.max_in_flight_per_org = next.server.max_in_flight_per_org;
        let (pipeline, served) = Work::Build.attempt(|| {
            let pipeline = before.pipeline.succeed(catalog, parts).map_err(|error| {
                parts.max_in_flight_per_org = per_org_before;
                vec![error.to_string()]
            })?;
            let served = before.succeed(Arc::clone(&pipeline), &next, &parts.registry);
            Ok::<_, Vec<String>>((pipeline, served))
        })?;

        // From here on nothing fails.
        for warning in &warnings {
            tracing::warn!(target: "holdline::config", "{warning}");
        }
        Work::Apply.run(|| {
            self.apply(&next, served);
            before.pipeline.retire(&pipeline);
        });
        taken.tell();
        *settings = next;
        Ok(Some(changes))
    }

    /// Puts it in force.
    fn apply(&self, next: &Settings, served: Arc<Served>) {
        self.data_plane.resize(&next.server);
        self.token.put(next.admin.token.clone());
        if let (Some(listener), Some(tls)) = (&self.tls, &next.server.tls) {
            listener.put(tls, next.server.handshake_timeout);
        }
        self.in_force.put(served);
        if let Some(telemetry) = &self.telemetry {
            telemetry.level().set(next.telemetry.log_level);
        }
    }
}
