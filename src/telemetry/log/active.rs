//! Which trace the task at hand works for, so that its log lines can name it.

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt},
};

use crate::telemetry::propagation::TraceContext;

tokio::task_local! {
    /// The ids of trace and span.
    static IDS: (u128, u64);
}

/// `work`, whose log lines name that context, unless they name one themselves.
pub(in super::super) fn within<W: Future>(
    context: &TraceContext,
    work: W,
) -> impl Future<Output = W::Output> + use<W> {
    IDS.scope((context.trace_id(), context.span_id()), work)
}

/// The ids of trace and span for which this task works: those of a call, or else of other work.
pub(super) fn ids() -> Option<(u128, u64)> {
    IDS.try_with(|ids| *ids).ok().or_else(of_work)
}

/// The ids of the work that is done here and is no call.
fn of_work() -> Option<(u128, u64)> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        let ids = |to: &SpanContext| {
            let (trace, span) = (to.trace_id().to_bytes(), to.span_id().to_bytes());
            (u128::from_be_bytes(trace), u64::from_be_bytes(span))
        };
        span.is_valid().then(|| ids(span))
    })
}
