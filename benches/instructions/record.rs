//! The recorded figures, and what is held against them.

use std::{collections::BTreeMap, fmt::Write as _};

/// What of a hundred a figure may be above the recorded one. Runs of the same build differ by up to a sixth
/// of that.
pub(crate) const MORE: f64 = 3.0;
/// What it may be below: beyond that the record says too little of what is there, and is made anew.
pub(crate) const LESS: f64 = 10.0;

/// Instructions per call of each scenario, and of what they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record {
    /// Of which compiler, profile and machine, as `key: value`.
    pub(crate) of: Vec<String>,
    pub(crate) figures: Vec<(String, u64)>,
}

impl Record {
    /// Reads what [`Self::written`] has written.
    ///
    /// # Errors
    /// The line that is none.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut record = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let figure = line.split_once(' ').and_then(|(name, count)| {
                let count = count.trim().replace(',', "").parse().ok()?;
                Some((name.to_owned(), count))
            });
            match figure {
                Some(figure) => record.figures.push(figure),
                None if line.contains(": ") => record.of.push(line.to_owned()),
                None => return Err(format!("no figure: {line}")),
            }
        }
        Ok(record)
    }

    pub(crate) fn written(&self) -> String {
        let mut text = "# Instructions per call, as callgrind counts them: `make instructions` \
                        compares, `make instructions ARGS=--write` writes.\n"
            .to_owned();
        for line in &self.of {
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
        for (name, count) in &self.figures {
            let _ = writeln!(text, "{name:30}{:>10}", grouped(*count));
        }
        text
    }
}

/// What a figure is beside the recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Alike,
    Worse,
    MuchBetter,
    NotRecorded,
    NotMeasured,
}

/// A scenario: recorded, now, and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) recorded: Option<u64>,
    pub(crate) now: Option<u64>,
    pub(crate) verdict: Verdict,
}

impl Row {
    /// How far it is from the recorded figure, in hundredths of that.
    fn change(&self) -> Option<f64> {
        let (now, recorded) = (self.now? as f64, self.recorded? as f64);
        Some((now - recorded) * 100.0 / recorded)
    }
}

/// Holds what is measured now against the recorded figures: each scenario of either once.
pub(crate) fn compared(recorded: &Record, now: &Record) -> Vec<Row> {
    let mut rows = BTreeMap::<&str, [Option<u64>; 2]>::new();
    for (side, record) in [recorded, now].into_iter().enumerate() {
        for (name, count) in &record.figures {
            rows.entry(name).or_default()[side] = Some(*count);
        }
    }
    let row = |(name, [recorded, now]): (&str, [Option<u64>; 2])| {
        let mut row = Row { name: name.to_owned(), recorded, now, verdict: Verdict::Alike };
        row.verdict = match row.change() {
            Some(change) if change > MORE => Verdict::Worse,
            Some(change) if change < -LESS => Verdict::MuchBetter,
            Some(_) => Verdict::Alike,
            None if recorded.is_none() => Verdict::NotRecorded,
            None => Verdict::NotMeasured,
        };
        row
    };
    rows.into_iter().map(row).collect()
}

/// The table for a person to read.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = format!("{:30}{:>10}{:>10}{:>9}\n", "scenario", "recorded", "now", "change");
    for row in rows {
        let count = |count: Option<u64>| count.map_or("-".to_owned(), grouped);
        let change = row.change().map_or("-".to_owned(), |change| format!("{change:+.2} %"));
        let said = match row.verdict {
            Verdict::Alike => String::new(),
            Verdict::Worse => format!("  WORSE: at most {MORE} % more is taken for noise"),
            Verdict::MuchBetter => "  MUCH BETTER: record anew".to_owned(),
            Verdict::NotRecorded => "  NOT RECORDED: record anew".to_owned(),
            Verdict::NotMeasured => "  NOT MEASURED: record anew".to_owned(),
        };
        let (recorded, now) = (count(row.recorded), count(row.now));
        let _ = writeln!(text, "{:30}{recorded:>10}{now:>10}{change:>9}{said}", row.name);
    }
    text
}

/// With a comma before each three digits.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
