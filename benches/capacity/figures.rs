//! The figures, as the page holds them: the bench writes them there, a test reads them.

use std::fmt::Write as _;

/// A figure's name, unit, digits behind the point, and the part of the bench that measures it.
type Known = (&'static str, &'static str, usize, &'static str);

/// All figures, in the order of the page.
const KNOWN: [Known; 36] = [
    ("processor: idle replica", "ms/s", 1, "processor"),
    ("processor: hit", "us/call", 0, "processor"),
    ("processor: miss", "us/call", 0, "processor"),
    ("processor: stale, breaker open", "us/call", 0, "processor"),
    ("processor: 429 by a limit", "us/call", 0, "processor"),
    ("processor: 403, refused token", "us/call", 0, "processor"),
    ("log: hit", "B/call", 0, "processor"),
    ("log: miss", "B/call", 0, "processor"),
    ("log: stale, breaker open", "B/call", 0, "processor"),
    ("log: 429 by a limit", "B/call", 0, "processor"),
    ("log: 403, refused token", "B/call", 0, "processor"),
    ("attempts: miss, all well", "per call", 3, "processor"),
    ("memory: just started", "MiB", 1, "memory"),
    ("memory: after 20,000 calls", "MiB", 1, "memory"),
    ("memory: each of 10,000 answers", "B", 0, "memory"),
    ("memory: each of 50,000 answers", "B", 0, "memory"),
    ("memory: each of 100,000 answers", "B", 0, "memory"),
    ("memory: an answer by the cache's own count", "B", 0, "memory"),
    ("memory: idle connection", "B", 0, "memory"),
    ("memory: call under way", "B", 0, "memory"),
    ("memory: remembered token", "B", 0, "memory"),
    ("memory: limit key", "B", 0, "memory"),
    ("series: 1 action, 1 upstream", "series", 0, "prometheus"),
    ("series: each further action", "series", 1, "prometheus"),
    ("series: each further upstream", "series", 1, "prometheus"),
    ("series: 30 actions, 12 upstreams", "series", 0, "prometheus"),
    ("scrape: 1 action, 1 upstream", "KiB", 1, "prometheus"),
    ("scrape: 30 actions, 12 upstreams", "KiB", 1, "prometheus"),
    ("scrape, processor: 1 action, 1 upstream", "ms", 2, "prometheus"),
    ("scrape, processor: 30 actions, 12 upstreams", "ms", 2, "prometheus"),
    ("spans: traced hit", "spans", 2, "traces"),
    ("spans: traced miss", "spans", 2, "traces"),
    ("OTLP: traced hit", "B", 0, "traces"),
    ("OTLP: traced miss", "B", 0, "traces"),
    ("attempts: upstream says 503, breaker held closed", "per call", 2, "attempts"),
    ("attempts: upstream says 503, breaker at its defaults", "/s", 2, "attempts"),
];

/// One of them, measured several times.
#[derive(Debug, Clone)]
struct Figure {
    name: String,
    /// The one in the middle, the least and the most; none where it was not measured.
    seen: Option<[f64; 3]>,
}

/// What was measured.
#[derive(Debug, Clone)]
pub(crate) struct Figures(Vec<Figure>);

impl Default for Figures {
    fn default() -> Self {
        Self(KNOWN.iter().map(|(name, ..)| Figure { name: (*name).into(), seen: None }).collect())
    }
}

impl Figures {
    /// Adds what was measured of that name, round by round.
    pub(crate) fn add(&mut self, name: &str, mut values: Vec<f64>) {
        values.sort_by(f64::total_cmp);
        let figure = self.0.iter_mut().find(|figure| figure.name == name);
        let figure = figure.expect("only figures of the table are measured");
        let (middle, last) = (values.get(values.len() / 2), values.last());
        figure.seen = values.first().zip(middle).zip(last).map(|((a, b), c)| [*b, *a, *c]);
    }

    /// The rows of what was measured.
    pub(crate) fn table(&self) -> String {
        let mut table = "| figure | value | unit | least to most | `make capacity` with |\n\
                         |---|---:|---|---|---|\n"
            .to_owned();
        for (name, unit, digits, part) in KNOWN {
            let figure = self.0.iter().find(|figure| figure.name == name);
            let Some([value, least, most]) = figure.and_then(|figure| figure.seen) else {
                continue;
            };
            let told = |value: f64| grouped(value, digits);
            let _ = writeln!(
                table,
                "| {name} | {} | {unit} | {} to {} | `ARGS=\"--only {part}\"` |",
                told(value),
                told(least),
                told(most)
            );
        }
        table
    }

    /// The figures of a page that holds their rows.
    pub(crate) fn of(page: &str) -> Self {
        let number = |text: &str| text.trim().replace(',', "").parse().ok();
        let mut figures = Self::default();
        for line in page.lines() {
            let cells: Vec<_> = line.split(" | ").collect();
            let [name, value, _, spread, ..] = cells[..] else { continue };
            let name = name.trim_start_matches("| ");
            let known = figures.0.iter_mut().find(|figure| figure.name == name);
            let (Some(figure), Some((least, most))) = (known, spread.split_once(" to ")) else {
                continue;
            };
            let all = [number(value), number(least), number(most)];
            figure.seen =
                all.into_iter().collect::<Option<Vec<_>>>().and_then(|v| v.try_into().ok());
        }
        figures
    }

    /// Whether nothing is missing.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.iter().all(|figure| figure.seen.is_some())
    }

    /// The value of that name.
    pub(crate) fn get(&self, name: &str) -> f64 {
        let figure = self.0.iter().find(|figure| figure.name == name);
        let seen = figure.and_then(|figure| figure.seen);
        seen.expect("only a whole table is reckoned with")[0]
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0
            && (whole.len() - at) % 3 == 0
            && digit.is_ascii_digit()
            && !grouped.ends_with('-')
        {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}
