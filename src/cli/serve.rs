//! `serve`: starts the service, waits for a signal, stops it in order.

use std::{ffi::OsString, num::NonZero, path::Path, thread};

use anyhow::Context;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    cli::{container, load, reload::Origin},
    config::Loaded,
    proxy::{Cause, Proxy, Reader, Stopped, Surroundings},
    server::operations::Operations,
    telemetry::{Telemetry, log::Sink},
};

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let file = load::named(file);
    let runtime = runtime()?;
    // First of all: until they are asked for, signals kill, and the first process of a container they
    // do not even reach.
    let (mut signals, mut hangups) =
        runtime.block_on(async { anyhow::Ok((Signals::new()?, hangups()?)) })?;
    let Some(loaded) = runtime.block_on(read(file, &mut signals))? else {
        runtime.shutdown_background();
        return Ok(());
    };
    let (telemetry, stopped) = runtime.block_on(async {
        let origin = Origin::new(file, &loaded);
        let revision = loaded.settings.revision.clone();
        let Running { proxy, telemetry } =
            start(loaded, Sink::stdout(), Some(origin.reader())).await?;
        let addresses = proxy.addresses();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            config = %file.map_or("built-in".into(), Path::to_string_lossy),
            revision,
            calls = %addresses.public,
            probes = %addresses.probes,
            admin = %addresses.admin,
            tls = proxy.tls().is_some(),
            workers = Handle::current().metrics().num_workers(),
            "ready"
        );
        tokio::select! {
            () = signals.next() => {}
            () = keep_up(&proxy, &origin, &mut hangups) => {}
        }
        let stopped = tokio::select! {
            stopped = proxy.stop() => Some(stopped),
            // Whoever asks twice does not want to wait.
            () = signals.next() => None,
        };
        anyhow::Ok((telemetry, stopped))
    })?;
    if let Some(Stopped { cut: cut @ 1.. }) = stopped {
        tracing::warn!(cut, "stopped with calls under way");
    }
    // Waiting for the log alone: what still runs, such as looking up a host, ends with the process.
    runtime.shutdown_background();
    telemetry.close_log();
    Ok(())
}

/// Reads the configuration, on a thread of its own: it may be a pipe into which nobody writes. One signal
/// meanwhile is answered after that; whoever asks twice does not want to wait: `None`.
async fn read(file: Option<&Path>, signals: &mut Signals) -> anyhow::Result<Option<Loaded>> {
    let file = file.map(Path::to_owned);
    let mut reading = tokio::task::spawn_blocking(move || load::valid(file.as_deref()));
    tokio::select! {
        read = &mut reading => return read?.map(Some),
        () = signals.next() => {}
    }
    tokio::select! {
        read = &mut reading => {
            signals.noted = true;
            read?.map(Some)
        }
        () = signals.next() => Ok(None),
    }
}

/// Reads the configuration anew whenever it has changed, or SIGHUP says so. Does not end.
async fn keep_up(proxy: &Proxy, origin: &Origin, hangups: &mut Signal) {
    loop {
        let cause = tokio::select! {
            _ = hangups.recv() => Cause::Signal,
            () = origin.changed() => Cause::File,
        };
        // What came of it is logged.
        let _ = proxy.reload(cause).await;
    }
}

/// A service, and the log and traces that outlive it.
pub(super) struct Running {
    pub(super) proxy: Proxy,
    pub(super) telemetry: std::sync::Arc<Telemetry>,
}

/// Starts log, traces and service; `reader` reads its configuration anew.
pub(super) async fn start(
    loaded: Loaded,
    sink: Sink,
    reader: Option<Reader>,
) -> anyhow::Result<Running> {
    let Loaded { catalog, mut settings, warnings, .. } = loaded;
    let operations = Operations::start().context("could not start the operations thread")?;
    let telemetry = Telemetry::start(&settings.telemetry, sink, operations.runtime())
        .context("could not start the export of traces")?;
    for warning in &warnings {
        tracing::warn!(target: "holdline::config", "{warning}");
    }
    settings.cache.memory = container::cache_memory(settings.cache.memory);
    let around = Surroundings {
        telemetry: Some(std::sync::Arc::clone(&telemetry)),
        operations: Some(operations),
        reader,
        ..Surroundings::default()
    };
    let proxy = Proxy::start(catalog, settings, around).await?;
    Ok(Running { proxy, telemetry })
}

/// The runtime of the calls. Its workers are as many as `TOKIO_WORKER_THREADS` says, or else as the
/// container's share of the processors and its affinity leave. A single one is the thread that waits
/// for the end: then nothing is handed from one thread to another.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    let mut builder = match workers(std::env::var_os("TOKIO_WORKER_THREADS")) {
        Some(1) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.thread_name("calls").enable_all().build().context("could not start the runtime")
}

/// How many workers the runtime has; `None` where what is `written` is no number, about which tokio
/// complains itself.
fn workers(written: Option<OsString>) -> Option<usize> {
    match written {
        Some(written) => written.to_str()?.parse().ok(),
        // std reads the affinity and the quotas of cgroups, of either version, and rounds down.
        None => Some(thread::available_parallelism().map_or(1, NonZero::get)),
    }
}

/// The signal that asks for the configuration to be read anew.
fn hangups() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("could not wait for SIGHUP")
}

/// The signals that ask for an end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Whether one has come that nobody has answered yet.
    noted: bool,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("could not wait for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("could not wait for SIGINT")?,
            noted: false,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        if std::mem::take(&mut self.noted) {
            return;
        }
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_wins_over_what_the_container_leaves() {
        assert_eq!(workers(Some("3".into())), Some(3));
        assert_eq!(workers(Some("many".into())), None);
        assert!(workers(None) >= Some(1));
    }
}
