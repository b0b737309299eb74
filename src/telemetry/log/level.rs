//! The level of log lines: as configured, or as an operator forces it for a while. What is forced ends
//! by itself, and what it falls back to is what is configured by then.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use tracing_subscriber::filter::Targets;

use crate::{
    settings::LogLevel,
    telemetry::log::targets,
    time::{self, Instant},
};

/// Which lines are written. Clones change the same level.
#[derive(Clone)]
pub struct Level {
    standing: Arc<Mutex<Standing>>,
    /// The lowest level written, for who asks at each call and waits for no lock.
    lowest: Arc<AtomicU8>,
    apply: Arc<dyn Fn(Targets) + Send + Sync>,
}

/// A level in an operator's hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forced {
    /// The lowest level written meanwhile.
    pub level: LogLevel,
    /// When it falls back.
    pub until: Instant,
    /// Why, in the operator's words.
    pub reason: Option<Arc<str>>,
}

#[derive(Debug)]
struct Standing {
    configured: LogLevel,
    forced: Option<Forced>,
}

impl Standing {
    fn level(&self) -> LogLevel {
        self.forced.as_ref().map_or(self.configured, |forced| forced.level)
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Level").field(&self.get()).finish()
    }
}

impl Level {
    pub(super) fn new(
        configured: LogLevel,
        apply: impl Fn(Targets) + Send + Sync + 'static,
    ) -> Self {
        let standing = Standing { configured, forced: None };
        Self {
            standing: Arc::new(Mutex::new(standing)),
            lowest: Arc::new(AtomicU8::new(configured as u8)),
            apply: Arc::new(apply),
        }
    }

    /// The lowest level written.
    pub fn get(&self) -> LogLevel {
        self.now().level()
    }

    /// Whether our own lines of that level are written.
    pub(super) fn lets(&self, level: LogLevel) -> bool {
        self.lowest.load(Ordering::Relaxed) >= level as u8
    }

    /// What is written while nothing is forced.
    pub fn configured(&self) -> LogLevel {
        self.now().configured
    }

    /// What is forced; `None` where nothing is.
    pub fn forced(&self) -> Option<Forced> {
        self.now().forced.clone()
    }

    /// Changes what is configured: at once, for all threads, or where a level is forced as soon as that
    /// ends.
    pub fn set(&self, level: LogLevel) {
        self.change(|standing| standing.configured = level);
    }

    /// Forces a level, in place of any that was forced before.
    pub fn force(&self, forced: Forced) {
        self.change(|standing| standing.forced = Some(forced));
    }

    /// Falls back to what is configured.
    pub fn release(&self) {
        self.change(|standing| standing.forced = None);
    }

    /// Falls back where the time of what is forced is over. Somebody has to ask for it every now and
    /// then, for nobody else looks at the clock; all other questions do it as well.
    pub fn keep_time(&self) {
        drop(self.now());
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) {
        let mut standing = self.now();
        change(&mut standing);
        self.apply(standing.level());
    }

    fn apply(&self, level: LogLevel) {
        self.lowest.store(level as u8, Ordering::Relaxed);
        (self.apply)(targets(level));
    }

    /// How it stands now.
    fn now(&self) -> MutexGuard<'_, Standing> {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if standing.forced.take_if(|forced| time::now() >= forced.until).is_some() {
            self.apply(standing.configured);
            tracing::info!(
                target: "holdline::audit",
                log_level = standing.configured.as_str(),
                "log level fell back"
            );
        }
        standing
    }
}
