//! Log lines: what is written about an event, which events are written, and the thread that writes
//! them.
//!
//! A line is one JSON object, or one line of text for a person; no value can break out of its line
//! or reach a terminal as a control sequence. Whoever logs never waits: a line for which there is
//! no room is dropped and counted.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets, filter_fn},
    layer,
    registry::LookupSpan,
    reload,
};

use crate::{
    settings::{LogFormat, LogLevel},
    time::Wall,
};

mod line;
mod sink;

use sink::Entrance;
pub use sink::Sink;

/// Which lines are written. Clones change the same level.
#[derive(Clone)]
pub struct Level {
    shown: Arc<Mutex<LogLevel>>,
    apply: Arc<dyn Fn(Targets) + Send + Sync>,
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Level").field(&self.get()).finish()
    }
}

impl Level {
    /// The lowest level written.
    pub fn get(&self) -> LogLevel {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it at once, for all threads.
    pub fn set(&self, level: LogLevel) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        (self.apply)(targets(level));
        *shown = level;
    }
}

/// The layer that turns events into lines for `sink`, and the level to change it by. Spans are left
/// to the layer of traces.
pub fn layer<S>(
    form: LogFormat,
    level: LogLevel,
    sink: &Sink,
    wall: Wall,
) -> (impl Layer<S> + Send + Sync + use<S>, Level)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // The filter alone is behind the reload: span contexts cannot be set through a reloaded layer.
    let (filter, handle) = reload::Layer::new(targets(level));
    let events = filter_fn(|event| event.is_event()).with_max_level_hint(LevelFilter::TRACE);
    let lines = Lines { form, wall, out: sink.entrance() }.with_filter(events.and(filter));
    let apply = move |targets| {
        // It fails when the subscriber is gone, and then there is nothing left to filter.
        let _ = handle.reload(targets);
    };
    (lines, Level { shown: Arc::new(Mutex::new(level)), apply: Arc::new(apply) })
}

/// Our own events from `level` on; what operators change at any level but off. Other crates never get below a warning: what they say in detail
/// may hold URLs and headers, and the exporter would log its own export.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let audit = if level == LevelFilter::OFF { level } else { level.max(LevelFilter::INFO) };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("holdline", level)
        .with_target("holdline::audit", audit)
}

/// The layer itself.
struct Lines {
    form: LogFormat,
    wall: Wall,
    out: Entrance,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        line::made(event, self.form, self.wall, |line| self.out.put(line));
    }
}

#[cfg(test)]
mod tests;
