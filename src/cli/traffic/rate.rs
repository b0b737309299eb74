//! How often calls arrive, and when each one is due.

use std::{fmt, str::FromStr, time::Duration};

/// Arrivals per time: `200/s`, `2500/m`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    per_second: f64,
}

impl Rate {
    /// The most that one generator is trusted to keep up with.
    const MAX: f64 = 50_000.0;

    /// When arrival number `place`, counted from 0, is due after the start. Computed from the start
    /// each time, so that rounding does not add up.
    pub(super) fn due(self, place: u64) -> Duration {
        Duration::from_secs_f64(place as f64 / self.per_second)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(count, unit)| {
            let seconds = match unit {
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
            let count = count.parse::<u32>().ok().filter(|count| *count > 0)?;
            Some(f64::from(count) / seconds)
        });
        let per_second = parsed.ok_or("not a rate; write 200/s or 2500/m")?;
        if per_second > Self::MAX {
            return Err(format!("more than {}/s", Self::MAX));
        }
        Ok(Self { per_second })
    }
}

/// As it is written, per second or, where that is no whole number, per minute or hour.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |times: f64| ((self.per_second * times).fract() - 0.5).abs() > 0.499_999;
        let (times, unit) = [(1.0, "s"), (60.0, "m"), (3600.0, "h")]
            .into_iter()
            .find(|(times, _)| whole(*times))
            .unwrap_or((1.0, "s"));
        write!(f, "{:.0}/{unit}", self.per_second * times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn a_rate_reads_back_as_it_was_written() {
        for text in ["200/s", "1/s", "50000/s", "2500/m", "7/m", "1/h"] {
            assert_eq!(rate(text).to_string(), text);
        }
        assert_eq!(rate("120/m").to_string(), "2/s");
        for wrong in ["", "200", "0/s", "-1/s", "1.5/s", "200/d", "50001/s"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }
}
