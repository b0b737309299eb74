//! A trail as a waterfall: each step with what it decided, when it began and how long it took.

use std::{cmp::Reverse, fmt::Write, time::Duration};

use crate::telemetry::stage::Stage;

/// Characters of the bars.
const WIDTH: usize = 32;

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    /// The stage.
    pub(super) stage: String,
    /// What it decided.
    pub(super) decision: String,
    /// When it began, from the beginning of the call; `None` where that is not known.
    pub(super) began: Option<Duration>,
    /// How long it took.
    pub(super) took: Duration,
}

/// How deep a stage lies in others.
fn depth(stage: &str) -> usize {
    Stage::ALL.into_iter().find(|known| known.as_str() == stage).map_or(0, Stage::depth)
}

/// Where a stage stands in the order of the pipeline.
fn place(stage: &str) -> usize {
    Stage::ALL.iter().position(|known| known.as_str() == stage).unwrap_or(Stage::ALL.len())
}

/// The bars as lines, in the order in which they began; of two at once the longer one first, which
/// holds the other. Where it is not known when they began, in the order of the pipeline.
pub(super) fn draw(bars: &[Bar], whole: Duration) -> String {
    let mut bars = bars.to_vec();
    bars.sort_by_key(|bar| match bar.began {
        Some(began) => (began, Reverse(bar.took), depth(&bar.stage)),
        None => (Duration::ZERO, Reverse(Duration::ZERO), place(&bar.stage)),
    });
    let scale = |time: Duration| {
        let share = time.as_secs_f64() / whole.as_secs_f64().max(1e-9);
        ((share * WIDTH as f64).round() as usize).min(WIDTH)
    };
    let mut text = String::new();
    for bar in &bars {
        let name = format!("{}{}", "  ".repeat(depth(&bar.stage)), bar.stage);
        let (from, to) = match bar.began {
            Some(began) => (scale(began), scale(began + bar.took)),
            None => (0, scale(bar.took)),
        };
        let from = from.min(WIDTH - 1);
        let length = to.saturating_sub(from).max(1);
        let line = format!("{}{}", " ".repeat(from), "=".repeat(length));
        let began = bar.began.map(|began| format!("at {}", millis(began))).unwrap_or_default();
        writeln!(
            text,
            "  {name:<16} {:<16} {began:>13} {:>11}  |{line:<WIDTH$}|",
            bar.decision,
            millis(bar.took),
        )
        .expect("writing into memory cannot fail");
    }
    text
}

/// `0.05 ms`, `12.3 ms`, `1203 ms`.
pub(super) fn millis(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ..10.0 => format!("{ms:.2} ms"),
        ..100.0 => format!("{ms:.1} ms"),
        _ => format!("{ms:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lie_where_they_began_and_within_each_other() {
        let bar = |stage: &str, decision: &str, began: u64, took: u64| Bar {
            stage: stage.to_owned(),
            decision: decision.to_owned(),
            began: Some(Duration::from_millis(began)),
            took: Duration::from_millis(took),
        };
        let drawn = draw(
            &[
                bar("authenticate", "remote", 0, 40),
                bar("attempt", "503", 40, 40),
                bar("attempt", "200", 120, 40),
                bar("upstream", "retried", 40, 120),
                bar("cache", "miss", 40, 120),
            ],
            Duration::from_millis(160),
        );
        let wanted = "  \
  authenticate     remote              at 0.00 ms     40.0 ms  |========                        |
  cache            miss                at 40.0 ms      120 ms  |        ========================|
      upstream     retried             at 40.0 ms      120 ms  |        ========================|
        attempt    503                 at 40.0 ms     40.0 ms  |        ========                |
        attempt    200                  at 120 ms     40.0 ms  |                        ========|
";
        assert_eq!(drawn, wanted, "{drawn}");
    }

    #[test]
    fn steps_without_a_beginning_stand_in_the_order_of_the_pipeline() {
        // The order in which a service tells them: that in which they ended.
        let ended = ["authenticate", "attempt", "attempt", "upstream", "map_output", "flight"];
        let bars: Vec<_> = ended
            .iter()
            .chain(&["cache", "odd"])
            .zip([1, 9, 3, 12, 40, 52, 53, 1])
            .map(|(stage, took)| Bar {
                stage: (*stage).to_owned(),
                decision: String::new(),
                began: None,
                took: Duration::from_millis(took),
            })
            .collect();
        let drawn = draw(&bars, Duration::from_millis(60));
        let stages: Vec<_> = drawn.lines().map(|line| line.split_whitespace().next()).collect();
        let wanted = [
            "authenticate",
            "cache",
            "flight",
            "upstream",
            "attempt",
            "attempt",
            "map_output",
            "odd",
        ];
        assert_eq!(stages, wanted.map(Some), "{drawn}");
        assert!(drawn.find("9.00 ms") < drawn.find("3.00 ms"), "{drawn}");
    }

    #[test]
    fn what_takes_no_time_can_be_seen() {
        let bar = Bar {
            stage: "validate".to_owned(),
            decision: "valid".to_owned(),
            began: None,
            took: Duration::ZERO,
        };
        assert!(draw(&[bar], Duration::ZERO).contains("|="));
    }
}
