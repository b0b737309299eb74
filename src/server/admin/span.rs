//! How an operator writes a stretch of time: `90s`, `10m`, `2h`.

use std::time::Duration;

/// Reads it; `None` for anything but a whole number and a unit.
pub(super) fn read(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_and_a_unit_are_a_stretch_of_time() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7200), ("0s", 0)] {
            assert_eq!(read(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        let wrong = ["", "s", "10", "10 m", "m10", "-1m", "1.5h", "10M", "٣s", "1d", "1h30m"];
        for text in wrong.into_iter().chain(["18446744073709551615h", "99999999999999999999s"]) {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
