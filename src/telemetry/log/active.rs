//! Which trace the task at hand works for, so that its log lines can name it.

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

/// The ids of trace and span for which this task works.
pub(super) fn ids() -> Option<(u128, u64)> {
    IDS.try_with(|ids| *ids).ok()
}
