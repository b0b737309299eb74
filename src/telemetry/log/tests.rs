//! What a line looks like, which lines are written, and what a stuck output costs.

use std::{
    io,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::Value;
use tracing_subscriber::{layer::SubscriberExt, registry};

use super::{
    line::{LONGEST, number, quoted},
    sink::LINES,
    *,
};
use crate::{telemetry::propagation::TraceContext, time};

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A sink that writes to a page.
fn paged() -> (Page, Sink) {
    let page = Page::default();
    (page.clone(), Sink::to(page))
}

/// 2026-11-22T10:00:00Z, standing still.
fn wall() -> Wall {
    Wall::Anchored { shown: 1_795_341_600, at: time::now() + Duration::from_secs(60) }
}

fn written(form: LogFormat, level: LogLevel, events: impl FnOnce(&Level)) -> String {
    let (page, sink) = paged();
    let (lines, level) = layer(form, level, &sink, wall());
    tracing::subscriber::with_default(registry().with(lines), || events(&level));
    drop(sink);
    page.text()
}

fn json(events: impl FnOnce(&Level)) -> Vec<Value> {
    let page = written(LogFormat::Json, LogLevel::Info, events);
    page.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_line_is_one_object_with_its_fields_flat_and_in_order() {
    let page = written(LogFormat::Json, LogLevel::Info, |_| {
        tracing::info!(
            action = "lookup", status = 200, hit = true, took_ms = 1.5, left = -3_i64,
            cause = ?Some("x"), "answered"
        );
    });
    assert_eq!(
        page,
        concat!(
            r#"{"timestamp":"2026-11-22T10:00:00.000Z","level":"INFO","#,
            r#""target":"holdline::telemetry::log::tests","message":"answered","#,
            r#""action":"lookup","status":200,"hit":true,"took_ms":1.5,"left":-3,"#,
            r#""cause":"Some(\"x\")"}"#,
            "\n"
        )
    );
}

#[test]
fn a_text_line_says_the_same_to_a_person() {
    let page = written(LogFormat::Text, LogLevel::Info, |_| {
        tracing::warn!(upstream = "crm", tries = 3, "it said \"no\"\u{1b}[31m\nand hung up");
    });
    assert_eq!(
        page,
        concat!(
            "2026-11-22T10:00:00.000Z  WARN holdline::telemetry::log::tests: ",
            "it said \"no\"\\u001b[31m\\nand hung up upstream=\"crm\" tries=3\n"
        )
    );
}

#[test]
fn what_json_cannot_say_is_null_and_no_key_stands_twice() {
    let lines = json(|_| {
        tracing::info!(ratio = f64::NAN, level = "debug", target = "x", timestamp = 1, "m");
    });
    assert_eq!(lines[0]["ratio"], Value::Null);
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["level_"], "debug");
    assert_eq!(lines[0]["target_"], "x");
    assert_eq!(lines[0]["timestamp_"], 1);
}

#[test]
fn the_message_comes_first_wherever_the_event_has_it() {
    let page = written(LogFormat::Text, LogLevel::Info, |_| {
        tracing::info!(tries = 3, message = "answered");
        tracing::info!(tries = 4);
    });
    assert!(page.contains("log::tests: answered tries=3\n"), "{page}");
    assert!(page.ends_with("log::tests: tries=4\n"), "{page}");
}

#[test]
fn a_long_value_is_cut() {
    let long = "é".repeat(LONGEST);
    let lines = json(|_| tracing::info!(long, "m"));
    let kept = lines[0]["long"].as_str().unwrap();
    assert_eq!(kept, "é".repeat(LONGEST / 2) + "...");
}

#[test]
fn records_of_the_log_crate_keep_their_target_and_lose_their_path() {
    let lines = json(|_| {
        tracing::warn!(target: "log", { log.target = "rustls::client", log.line = 7 }, "hello");
    });
    assert_eq!(lines[0]["target"], "rustls::client");
    assert_eq!(lines[0].as_object().unwrap().len(), 4, "{}", lines[0]);
}

#[tokio::test]
async fn the_trace_that_a_task_works_for_is_named_unless_the_event_names_its_own() {
    let context = TraceContext::unsampled(u128::from_be_bytes([1; 16]), 2);
    let page = Page::default();
    let sink = Sink::to(page.clone());
    let (lines, _) = layer(LogFormat::Json, LogLevel::Info, &sink, wall());
    let subscriber = tracing::subscriber::set_default(registry().with(lines));
    tracing::info!("for nobody");
    let work = async {
        tracing::info!("for a call");
        tracing::info!(trace_id = "its own", "about another");
    };
    within(&context, work).await;
    drop((subscriber, sink));
    let page = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = page.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0].get("trace_id"), None);
    assert_eq!(lines[1]["trace_id"], "01".repeat(16));
    assert_eq!(lines[1]["span_id"], "0000000000000002");
    assert_eq!(lines[2]["trace_id"], "its own");
    assert_eq!(lines[2].get("span_id"), None);
}

#[test]
fn the_level_changes_while_running() {
    let lines = json(|level| {
        tracing::debug!("before");
        level.set(LogLevel::Debug);
        tracing::debug!("between");
        level.clone().set(LogLevel::Off);
        tracing::error!("after");
        assert_eq!(level.get(), LogLevel::Off);
    });
    let said: Vec<_> = lines.iter().map(|line| &line["message"]).collect();
    assert_eq!(said, ["between"]);
}

#[test]
fn what_operators_change_is_written_at_every_level_but_off() {
    for (level, written_at) in [(LogLevel::Off, 0), (LogLevel::Error, 1), (LogLevel::Warn, 1)] {
        let page = written(LogFormat::Json, level, |_| {
            tracing::info!(target: "holdline::audit", "drained by hand");
            tracing::debug!(target: "holdline::audit", "detail");
            tracing::info!("answered");
        });
        assert_eq!(page.lines().count(), written_at, "{level:?}: {page}");
    }
}

#[test]
fn other_crates_never_get_below_a_warning() {
    let page = written(LogFormat::Json, LogLevel::Trace, |_| {
        tracing::info!(target: "hyper::proto", "GET /customers/4711");
        tracing::debug!(target: "opentelemetry_sdk", "exporting");
        tracing::warn!(target: "h2::codec", "kept");
        tracing::trace!("ours");
    });
    assert_eq!(page.lines().count(), 2, "{page}");
    assert!(page.contains("kept") && page.contains("ours"), "{page}");
    let page = written(LogFormat::Json, LogLevel::Error, |_| {
        tracing::warn!(target: "h2::codec", "not even that");
    });
    assert_eq!(page, "");
}

/// An output that stands still until its gate is dropped.
struct Stuck(mpsc::Receiver<()>);

impl io::Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_hangs_costs_lines_but_nobody_waits() {
    let (gate, wait) = mpsc::channel();
    let sink = Sink::to(Stuck(wait));
    let (lines, _level) = layer(LogFormat::Json, LogLevel::Info, &sink, wall());
    tracing::subscriber::with_default(registry().with(lines), || {
        for _ in 0..LINES + 10 {
            tracing::info!("m");
        }
    });
    assert_eq!(sink.dropped(), 10);
    drop(gate);
}

proptest! {
    #[test]
    fn no_value_breaks_its_line(value in "\\PC{0,20}|[\u{0}-\u{2f}\u{7f}-\u{9f}\u{2028}\u{2029}\\\\]{0,20}") {
        let mut line = Vec::new();
        quoted(&mut line, &value);
        let line = String::from_utf8(line).unwrap();
        prop_assert!(!line.contains(char::is_control), "{line:?}");
        prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), value);
    }

    #[test]
    fn numbers_are_written_as_debugging_writes_them(thousandths in 0_u64..10_000_000, any in any::<f64>()) {
        for value in [thousandths as f64 / 1e3, any] {
            let mut text = Vec::new();
            number(&mut text, value);
            let text = String::from_utf8(text).unwrap();
            let wanted = if value.is_finite() { format!("{value:?}") } else { "null".into() };
            prop_assert_eq!(text, wanted);
        }
    }
}

/// Forces a level for so many seconds from now.
fn force(level: &Level, forced: LogLevel, seconds: u64) {
    let until = time::now() + Duration::from_secs(seconds);
    level.force(Forced { level: forced, until, reason: None });
}

#[tokio::test(start_paused = true)]
async fn a_forced_level_falls_back_by_itself_to_what_is_configured_by_then() {
    let (page, sink) = paged();
    let (lines, level) = layer(LogFormat::Json, LogLevel::Info, &sink, wall());
    let _here = tracing::subscriber::set_default(registry().with(lines));
    let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
    force(&level, LogLevel::Debug, 600);
    tracing::debug!("forced");
    pass(599).await;
    level.keep_time();
    tracing::debug!("still forced");
    pass(1).await;
    level.keep_time();
    tracing::debug!("not written");
    assert_eq!((level.get(), level.forced()), (LogLevel::Info, None));

    // What a reload changes meanwhile counts afterwards.
    force(&level, LogLevel::Trace, 60);
    level.set(LogLevel::Warn);
    tracing::trace!("forced again");
    assert_eq!((level.get(), level.configured()), (LogLevel::Trace, LogLevel::Warn));
    // The second force holds, with its own time.
    force(&level, LogLevel::Debug, 120);
    pass(60).await;
    tracing::debug!("the later one holds");
    level.release();
    tracing::info!("below what is configured now");
    pass(60).await;
    assert_eq!(level.get(), LogLevel::Warn);
    drop((_here, sink));

    let said: Vec<String> = page
        .text()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].to_string())
        .collect();
    let wanted =
        ["forced", "still forced", "log level fell back", "forced again", "the later one holds"];
    assert_eq!(said, wanted.map(|message| format!("{message:?}")));
}
