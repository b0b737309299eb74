//! How the process and the threads that serve calls are: what they use, and how late they are.

use std::time::Duration;

use metrics_process::collector;
use tokio::runtime::Handle;

use crate::{
    telemetry::{
        metrics::{self as table, Registry},
        registry::Scrape,
    },
    time,
};

/// How often the threads that serve calls are asked to wake a task in time.
const TICK: Duration = Duration::from_millis(100);
/// How late the runtime wakes a task that waits for a time even if it has nothing else to do.
const GRAIN: Duration = Duration::from_millis(1);

/// Shows what the process uses. What the system does not tell is left out.
pub fn show_process_use(scrape: &mut Scrape<'_>) {
    let seen = collector::collect();
    let whole = |number: Option<u64>| number.map(|number| number as f64);
    for (metric, value) in [
        (&table::PROCESS_CPU, seen.cpu_seconds_total),
        (&table::PROCESS_MEMORY, whole(seen.resident_memory_bytes)),
        (&table::PROCESS_VIRTUAL_MEMORY, whole(seen.virtual_memory_bytes)),
        (&table::PROCESS_VIRTUAL_MEMORY_MAX, whole(seen.virtual_memory_max_bytes)),
        (&table::PROCESS_FDS, whole(seen.open_fds)),
        (&table::PROCESS_FDS_MAX, whole(seen.max_fds)),
        (&table::PROCESS_THREADS, whole(seen.threads)),
        (&table::PROCESS_START, whole(seen.start_time_seconds)),
    ] {
        if let Some(value) = value {
            scrape.show(metric, &[], value);
        }
    }
}

/// Shows how busy the threads of `runtime` are.
pub fn show_runtime(scrape: &mut Scrape<'_>, runtime: &Handle) {
    let seen = runtime.metrics();
    let workers = seen.num_workers();
    let busy: Duration = (0..workers).map(|worker| seen.worker_total_busy_duration(worker)).sum();
    scrape.show(&table::TOKIO_WORKERS, &[], workers as f64);
    scrape.show(&table::TOKIO_TASKS, &[], seen.num_alive_tasks() as f64);
    scrape.show(&table::TOKIO_QUEUE, &[], seen.global_queue_depth() as f64);
    scrape.show(&table::TOKIO_BUSY, &[], busy.as_secs_f64());
}

/// Measures how late the runtime that it runs on wakes a task, over and over. Where its threads are
/// held up, by work that does not yield or by a machine that gives them no time, all calls are as late.
pub fn watch_lag(registry: &Registry) -> impl Future<Output = ()> + Send + use<> {
    let lag = registry.histogram(&table::EVENT_LOOP_LAG, &[]);
    async move {
        loop {
            let planned = time::now() + TICK;
            tokio::time::sleep_until(planned).await;
            lag.record(time::now().saturating_duration_since(planned + GRAIN).as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::background::Background;

    #[test]
    fn the_process_is_told_of_and_so_is_each_worker() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build();
        let registry = Registry::new();
        let mut scrape = registry.scrape();
        show_process_use(&mut scrape);
        show_runtime(&mut scrape, runtime.unwrap().handle());
        let text = scrape.render();
        for metric in table::TABLE {
            let (name, of) = (metric.name, ["process_", "tokio_"]);
            if of.iter().any(|start| name.starts_with(start)) {
                assert!(text.contains(&format!("\n{name} ")), "{name} in\n{text}");
            }
        }
        assert!(text.contains("\ntokio_workers 3\n"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_woken_in_time_is_not_late_and_a_thread_that_is_held_up_makes_all_late() {
        // Times lie between the milliseconds in which the runtime counts.
        tokio::time::advance(Duration::from_micros(300)).await;
        let registry = Registry::new();
        let background = Background::new();
        background.until_stopped(watch_lag(&registry));
        let count = |bound: &str| {
            let series = format!("holdline_event_loop_lag_seconds{bound} ");
            let text = registry.render();
            let line = text.lines().find_map(|line| line.strip_prefix(&*series));
            line.unwrap().parse::<u64>().unwrap()
        };
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        assert_eq!(count("_count"), 10);
        assert_eq!(count(r#"_bucket{le="0.0001"}"#), 10);
        // Nobody runs while time passes.
        tokio::time::advance(Duration::from_millis(300)).await;
        tokio::task::yield_now().await;
        assert_eq!(count("_count"), 11);
        assert_eq!(count(r#"_bucket{le="0.1"}"#), 10);
        assert_eq!(count(r#"_bucket{le="0.5"}"#), 11);
        assert_eq!(background.stop(TICK).await, 0);
    }
}
