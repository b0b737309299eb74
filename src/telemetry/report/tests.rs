//! The line of a call is written past tracing, and looks as if it were not.

use std::{
    io,
    sync::{Arc, Mutex},
};

use proptest::prelude::{any, prop_assert_eq, prop_oneof, proptest};
use tracing_subscriber::{layer::SubscriberExt, registry};

use super::*;
use crate::{
    settings::{LogFormat, LogLevel},
    telemetry::{
        log::{self, Forced, Sink},
        trail::Step,
    },
    time::Wall,
};

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

struct Told<'a> {
    context: TraceContext,
    steps: &'a [Step],
    met: Met,
    call: Ended<'a>,
    times: (Duration, Duration),
}

impl Told<'_> {
    fn write(&self, lines: &CallLines) {
        let steps = Steps::of(self.steps);
        let of = (&steps.by_stage(), steps.attempts(), self.met);
        write_line(lines, &self.context, of, &self.call, self.times);
    }

    /// The same as an event of tracing.
    fn emit(&self) {
        let Self { context, steps, met, call, times: (took, waited) } = self;
        let stages = Steps::of(steps).by_stage();
        let decided = |stage| stages.decision(stage);
        let ms = |stage| stages.took(stage).map(millis);
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    target: "holdline::call",
                    message = "call ended",
                    request_id = call.request_id,
                    trace_id = format!("{:032x}", context.trace_id()),
                    span_id = format!("{:016x}", context.span_id()),
                    action = call.action,
                    outcome = call.outcome.as_str(),
                    class = call.outcome.class().as_str(),
                    source = call.source.as_str(),
                    status = call.status,
                    duration_ms = millis(*took),
                    waited_ms = millis(*waited),
                    age_s = call.age.as_secs(),
                    attempts = Steps::of(steps).attempts(),
                    bytes_in = call.bytes_in,
                    bytes_out = call.bytes_out,
                    authenticate = decided(Stage::Authenticate),
                    authenticate_ms = ms(Stage::Authenticate),
                    validate = decided(Stage::Validate),
                    validate_ms = ms(Stage::Validate),
                    rate_limit = decided(Stage::RateLimit),
                    rate_limit_ms = ms(Stage::RateLimit),
                    cache = decided(Stage::Cache),
                    cache_ms = ms(Stage::Cache),
                    flight = decided(Stage::Flight),
                    flight_ms = ms(Stage::Flight),
                    upstream_name = call.upstream,
                    upstream = decided(Stage::Upstream),
                    attempt = decided(Stage::Attempt),
                    breaker = met.breaker,
                    not_repeated = met.not_repeated,
                    upstream_ms = ms(Stage::Upstream),
                    map_output = decided(Stage::MapOutput),
                    map_output_ms = ms(Stage::MapOutput),
                    detail = call.detail,
                )
            };
        }
        if call.outcome.class() == Class::Failure { event!(warn) } else { event!(info) }
    }
}

fn told<'a>(outcome: Outcome, steps: &'a [Step], texts: [&'a str; 2]) -> Told<'a> {
    let call = Ended {
        upstream: (!steps.is_empty()).then_some("crm"),
        detail: (!texts[1].is_empty()).then_some(texts[1]),
        request_id: "0000000000000000000000000000002a",
        action: texts[0],
        outcome,
        source: outcome.sources()[0],
        status: 0,
        age: Duration::ZERO,
        deadline: None,
        http_version: "1.1",
        bytes_in: 0,
        bytes_out: 0,
    };
    let context = TraceContext::unsampled(1, 2);
    Told { context, steps, met: Met::default(), call, times: Default::default() }
}

/// What is written of a call at that level, by both ways.
fn both(
    form: LogFormat,
    level: LogLevel,
    told: &Told<'_>,
    change: impl Fn(&log::Level),
) -> [(String, Vec<(&'static str, u64)>); 2] {
    let wall = Wall::Anchored { shown: 1_795_341_600, at: time::now() + Duration::from_secs(60) };
    [false, true].map(|is_event| {
        let page = Page::default();
        let sink = Sink::to(page.clone());
        let (layer, level) = log::layer(form, level, &sink, wall);
        let lines = CallLines::new(form, wall, &sink, &level);
        tracing::subscriber::with_default(registry().with(layer), || {
            change(&level);
            if is_event { told.emit() } else { told.write(&lines) }
        });
        sink.close();
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        (text, sink.written().collect())
    })
}

#[test]
fn the_levels_of_events_hold_for_the_line_of_a_call_and_count_it() {
    use LogLevel::{Debug, Error, Info, Off, Trace, Warn};
    let levels = [Off, Error, Warn, Info, Debug, Trace];
    for (at, level) in levels.into_iter().enumerate() {
        for outcome in Outcome::ALL {
            let told = told(outcome, &[], ["lookup", ""]);
            let is_warning = outcome.class() == Class::Failure;
            let is_written = at >= if is_warning { 2 } else { 3 };
            let forced =
                Forced { level, until: time::now() + Duration::from_secs(60), reason: None };
            for way in 0..3 {
                // Configured, forced, and fallen back to.
                let configured = if way == 1 { levels[5 - at] } else { level };
                let [line, event] = both(LogFormat::Text, configured, &told, |level| match way {
                    0 => {}
                    1 => level.force(forced.clone()),
                    _ => {
                        level.force(Forced { level: levels[5 - at], ..forced.clone() });
                        level.release();
                    }
                });
                assert_eq!(line, event);
                assert_eq!(!line.0.is_empty(), is_written, "{level:?} {outcome:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn the_line_of_a_call_is_that_of_the_same_event(
        is_json in any::<bool>(),
        outcome in 0..Outcome::ALL.len(),
        source in 0..6_usize,
        stages in proptest::collection::vec((0..8_usize, 0..3_usize, any::<u32>()), 0..12),
        texts in ["\\PC{0,20}|[\u{0}-\u{2f}\u{7f}-\u{9f}\u{2028}\\\\]{0,20}", "\\PC{0,20}|[a-z]{4090,4100}"],
        (status, age, bytes) in (any::<u16>(), any::<u64>(), any::<usize>()),
        (took, waited) in (prop_oneof![0..3_000_000_000_u64, 0..1_u64 << 53], any::<u32>()),
        met in (any::<bool>(), any::<bool>()),
        ids in (any::<u128>(), any::<u64>()),
    ) {
        let word = |at: usize| ["hit", "rate_limited", "5xx"][at];
        let steps: Vec<Step> = stages.iter().map(|(stage, decision, took)| {
            let took = Duration::from_nanos((*took).into());
            Step::new(Stage::ALL[*stage], time::now(), took, word(*decision))
        }).collect();
        let mut told = told(Outcome::ALL[outcome], &steps, [&texts[0], &texts[1]]);
        told.context = TraceContext::unsampled(ids.0, ids.1);
        told.met.breaker = met.0.then_some("half_open");
        told.met.not_repeated = met.1.then_some("budget");
        told.times = (Duration::from_nanos(took), Duration::from_micros(waited.into()));
        told.call.source = Source::ALL[source];
        (told.call.status, told.call.age) = (status, Duration::from_secs(age));
        (told.call.bytes_in, told.call.bytes_out) = (bytes, bytes % 1_000);
        let form = if is_json { LogFormat::Json } else { LogFormat::Text };
        let [line, event] = both(form, LogLevel::Info, &told, |_| {});
        prop_assert_eq!(line, event);
    }
}
