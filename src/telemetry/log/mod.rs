//! Log lines: what is written about an event, which events are written, and the thread that writes
//! them.
//!
//! A line is one JSON object, or one line of text for a person; no value can break out of its line
//! or reach a terminal as a control sequence. Whoever logs never waits: a line for which there is
//! no room is dropped and counted.

mod active;
mod call;
mod known;
mod level;
mod line;
mod sink;

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

pub(super) use active::within;
pub use call::CallLines;
pub(super) use call::{Fields, Known, field};
pub use level::{Forced, Level};
use sink::Entrance;
pub use sink::Sink;

/// The layer that turns events into lines for `sink`, and the level to change it by.
pub fn layer<S>(
    form: LogFormat,
    level: LogLevel,
    sink: &Sink,
    wall: Wall,
) -> (impl Layer<S> + Send + Sync + use<S>, Level)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let (filter, handle) = reload::Layer::new(targets(level));
    let events = filter_fn(|event| event.is_event()).with_max_level_hint(LevelFilter::TRACE);
    let lines = Lines { form, wall, out: sink.entrance() }.with_filter(events.and(filter));
    let apply = move |targets| {
        // It fails when the subscriber is gone, and then there is nothing left to filter.
        let _ = handle.reload(targets);
    };
    (lines, Level::new(level, apply))
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

/// How an event becomes a line.
struct Lines {
    form: LogFormat,
    wall: Wall,
    out: Entrance,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        let level = *event.metadata().level();
        line::made(event, self.form, self.wall, |line| self.out.put(line, level));
    }
}

#[cfg(test)]
mod tests;
