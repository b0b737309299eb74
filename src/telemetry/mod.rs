//! What the service tells about itself. One record, many readers: the [`trail`] of a call feeds its
//! metrics, its spans and its log line.
//!
//! The words come first ([`outcome`], [`stage`]), then what keeps them ([`trail`], [`meters`] over the
//! one table of [`metrics`], in a [`registry`]), then the ways out ([`log`], [`traces`], and [`recent`],
//! from which the last calls are explained). What is no call leaves its spans as it is done ([`work`]).

pub mod outcome;
pub mod stage;

pub mod propagation;
pub mod steps;
pub mod trail;

pub mod attempts;
pub mod breakers;
pub mod exchange;
pub mod meters;
pub mod metrics;
pub mod recent;
pub mod registry;
pub mod reloads;
pub mod report;
pub mod routes;
pub mod spans;
pub mod tokens;
pub mod vitals;
pub mod work;

pub mod log;
pub mod redact;
pub mod traces;

use std::{sync::Arc, time::Duration};

use tracing_subscriber::{Registry, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    settings::{Keep, TelemetrySettings},
    time::Wall,
};

use log::{CallLines, Level, Sink};
use spans::Sender;
use traces::{Traces, TracesError};

/// How long the last spans may take to go out: with all else that ends then, less than two seconds.
const FLUSH: Duration = Duration::from_millis(1_500);

/// The process's log and trace export. One per process: both hang on tracing's global subscriber.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<Traces>,
    ratio: Option<f64>,
    keep: Option<Keep>,
    sink: Sink,
    level: Level,
    calls: CallLines,
}

impl Telemetry {
    /// Starts both. `runtime` is where a gRPC exporter keeps its connection: not that of the calls.
    ///
    /// # Errors
    /// [`TracesError`] where the exporter's settings cannot work. A collector that is down is no
    /// error: spans are dropped and counted.
    pub fn start(
        settings: &TelemetrySettings,
        sink: Sink,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Arc<Self>, TracesError> {
        let traces = match &settings.traces {
            Some(traces) => Some(Traces::start(traces, runtime)?),
            None => None,
        };
        let (lines, level) =
            log::layer::<Registry>(settings.log_format, settings.log_level, &sink, Wall::System);
        let calls = CallLines::new(settings.log_format, Wall::System, &sink, &level);
        let work = traces.as_ref().map(Traces::layer);
        // In a process that has a subscriber already, such as a test's, that one stays.
        let _ = tracing_subscriber::registry().with(lines).with(work).try_init();
        redact::install_panic_hook();
        let ratio = settings.traces.as_ref().map(|traces| traces.sample_ratio);
        let keep = settings.traces.as_ref().map(|traces| traces.keep);
        Ok(Arc::new(Self { traces, ratio, keep, sink, level, calls }))
    }

    /// The share of calls whose spans are exported; `None`: nobody takes them.
    pub fn sample_ratio(&self) -> Option<f64> {
        self.ratio
    }

    /// Who sends the spans of calls; `None`: nobody takes them.
    pub fn sender(&self, wall: Wall) -> Option<Sender> {
        Some(Sender::new(self.keep?, self.traces.as_ref()?.entrance(), wall))
    }

    /// Who writes the lines of calls.
    pub fn calls(&self) -> CallLines {
        self.calls.clone()
    }

    /// The level of log lines.
    pub fn level(&self) -> &Level {
        &self.level
    }

    /// Log lines so far, by their level.
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.sink.written()
    }

    /// Spans and log lines that were dropped rather than waited for.
    pub fn dropped(&self) -> (u64, u64) {
        (self.traces.as_ref().map_or(0, Traces::dropped), self.sink.dropped())
    }

    /// Writes the last lines, for at most a second; none is written later.
    pub fn close_log(&self) {
        self.sink.close();
    }

    /// Sends the last spans; gives up after a second and a half. Blocks: not for a worker of the runtime.
    pub fn flush(&self) {
        if let Some(traces) = &self.traces {
            let left = traces.shutdown(FLUSH);
            if left > 0 {
                tracing::warn!(spans = left, "spans were lost at the end");
            }
        }
    }
}
