//! Spans on their way to the collector: they leave on a thread of their own, and where it cannot
//! keep up they are dropped and counted.
//!
//! ```text
//! Sender ---------------.
//!                        Bounded (refuses above the bound) -> queue -> thread -> Counted -> OTLP
//! layer -> provider ----'
//! ```
//!
//! The spans of calls come from the `Sender`, those of all other work from tracing, by the layer.
//!
//! The SDK's queue drops without saying how often, so `Bounded` keeps the number of spans that
//! are on their way, and never lets the queue run over. Sending a span costs two atomic steps and a
//! send that cannot block, whether the collector is there or not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::{Context, Key, KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, WithExportConfig, WithTonicConfig,
    tonic_types::transport::ClientTlsConfig,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData,
        SpanExporter, SpanProcessor,
    },
};
use tokio::runtime;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};
use url::Url;

use crate::{
    settings::{TraceProtocol, TraceSettings},
    telemetry::work,
};

/// Spans that may be on their way at once.
const QUEUE: usize = 2_048;
/// Spans in one export.
const BATCH: usize = 512;
/// How long one export may take, and for how long it is tried again.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The endpoint names a user or a password, which would show up in errors.
    #[error("the endpoint must hold no credentials; OTEL_EXPORTER_OTLP_HEADERS may")]
    Credentials,
    /// The endpoint or the environment's OTEL_ variables make no exporter.
    #[error("no exporter can be built")]
    Exporter(#[from] ExporterBuildError),
}

/// The export of traces.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    entrance: Entrance,
    counts: Arc<Counts>,
}

impl Traces {
    /// Starts the thread that exports; the collector need not be there. Over HTTP the process's
    /// rustls provider must be installed before. Over gRPC the connection lives on `runtime`.
    ///
    /// # Errors
    /// [`TracesError`] where the endpoint or the environment's OTEL_ variables are unusable.
    pub fn start(settings: &TraceSettings, runtime: &runtime::Handle) -> Result<Self, TracesError> {
        let _inside = runtime.enter();
        Ok(Self::over(exporter(settings)?))
    }

    fn over<E: SpanExporter + 'static>(exporter: E) -> Self {
        let counts = Arc::new(Counts::default());
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .build();
        let counted = Counted { exporter, counts: Arc::clone(&counts) };
        let mut queue = BatchSpanProcessor::new(counted, config);
        let resource = resource();
        queue.set_resource(&resource);
        let closed = AtomicBool::new(false);
        let bounded = Bounded { queue, counts: Arc::clone(&counts), closed };
        let entrance = Entrance(Arc::new(bounded));
        let provider = SdkTracerProvider::builder()
            // There is little of it, and none of it like the other.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource)
            .with_span_processor(entrance.clone())
            .build();
        Self { provider, entrance, counts }
    }

    /// The layer that turns tracing's spans of [`work`] into OpenTelemetry's. No other span passes, and
    /// no event: what is logged becomes no part of a trace. All that the filter asks stands at the
    /// callsite, and what is finer than INFO is not asked about.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let of_work = filter_fn(|met| met.is_span() && met.target() == work::TARGET);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("holdline"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(of_work.with_max_level_hint(LevelFilter::INFO))
    }

    /// Where spans go that are made without the layer.
    pub(super) fn entrance(&self) -> Entrance {
        self.entrance.clone()
    }

    /// Spans lost: refused because too many were on their way, or in an export that failed.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Spans that the collector took.
    pub fn exported(&self) -> u64 {
        self.counts.exported.load(Ordering::Relaxed)
    }

    /// Exports what has ended, for `at_most` that long; spans that end later go nowhere, uncounted.
    /// Returns how many were still on their way then: a collector that hangs costs no more than
    /// the time given.
    ///
    /// Blocks its thread: call it where blocking is allowed (`spawn_blocking`), over gRPC while the
    /// runtime it was started with still runs.
    pub fn shutdown(&self, at_most: Duration) -> u64 {
        // What went wrong is in the counts, and in the log by the SDK.
        let Bounded { queue, closed, .. } = &*self.entrance.0;
        if !closed.swap(true, Ordering::AcqRel) {
            let _ = queue.shutdown_with_timeout(at_most);
        }
        self.counts.under_way.load(Ordering::Acquire)
    }
}

fn exporter(settings: &TraceSettings) -> Result<opentelemetry_otlp::SpanExporter, TracesError> {
    let endpoint = &settings.endpoint;
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        return Err(TracesError::Credentials);
    }
    let builder = opentelemetry_otlp::SpanExporter::builder();
    let exporter = match settings.protocol {
        TraceProtocol::HttpProtobuf => builder
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(signal(endpoint))
            .with_timeout(EXPORT_TIMEOUT)
            .build()?,
        TraceProtocol::Grpc => {
            let builder = builder
                .with_tonic()
                .with_endpoint(endpoint.as_str().trim_end_matches('/'))
                .with_timeout(EXPORT_TIMEOUT);
            if endpoint.scheme() == "https" {
                // The exporter's own default trusts nobody.
                builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots()).build()?
            } else {
                builder.build()?
            }
        }
    };
    Ok(exporter)
}

/// Where traces are posted below the collector's address.
fn signal(endpoint: &Url) -> String {
    let mut url = endpoint.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["v1", "traces"]);
    }
    url.into()
}

/// Who sends: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES before our own name and version.
fn resource() -> Resource {
    let detected = Resource::builder().build();
    let ours = [("service.name", "holdline"), ("service.version", env!("CARGO_PKG_VERSION"))];
    let missing = ours.into_iter().filter(|(key, _)| {
        // The SDK fills a missing name in by itself.
        detected
            .get_ref(&Key::from_static_str(key))
            .is_none_or(|value| value.as_str().starts_with("unknown_service"))
    });
    let missing: Vec<_> = missing.map(|(key, value)| KeyValue::new(key, value)).collect();
    Resource::builder().with_attributes(missing).build()
}

#[derive(Debug, Default)]
struct Counts {
    under_way: AtomicU64,
    dropped: AtomicU64,
    exported: AtomicU64,
}

/// The way into the queue: narrower than the queue, so the queue never drops by itself.
#[derive(Debug)]
struct Bounded {
    queue: BatchSpanProcessor,
    counts: Arc<Counts>,
    /// Whether nothing goes out any more.
    closed: AtomicBool,
}

/// Clones lead into the same queue.
#[derive(Debug, Clone)]
pub(super) struct Entrance(Arc<Bounded>);

impl Entrance {
    /// Takes a span that has ended.
    pub(super) fn take(&self, span: SpanData) {
        let Bounded { queue, counts, closed } = &*self.0;
        if closed.load(Ordering::Acquire) {
            return;
        }
        let room = |under_way| (under_way < QUEUE as u64).then_some(under_way + 1);
        match counts.under_way.fetch_update(Ordering::AcqRel, Ordering::Relaxed, room) {
            Ok(_) => queue.on_end(span),
            Err(_) => {
                counts.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl SpanProcessor for Entrance {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.take(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.queue.force_flush()
    }

    /// Calls go on sending when a provider ends: [`Traces::shutdown`] closes it.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The way out of the queue, on the exporting thread.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    counts: Arc<Counts>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let sent = self.exporter.export(batch).await;
        let outcome = if sent.is_ok() { &self.counts.exported } else { &self.counts.dropped };
        outcome.fetch_add(spans, Ordering::Relaxed);
        self.counts.under_way.fetch_sub(spans, Ordering::AcqRel);
        sent
    }

    fn shutdown_with_timeout(&self, at_most: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(at_most)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests;
