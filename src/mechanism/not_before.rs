//! The instant before which an upstream does not want to be asked.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::time::Instant;

/// However long an upstream asks to be left alone, it is not for longer: a slip of its clock must
/// not switch it off for a day.
const LONGEST: Duration = Duration::from_secs(300);

/// The mark of one upstream, shared by all attempts at it.
#[derive(Debug, Default)]
pub struct NotBefore(Mutex<Option<Instant>>);

impl NotBefore {
    /// The upstream asked at `now` to be left alone for `wait`, of which at most 300 s count. Of two
    /// marks the later one holds.
    pub fn set(&self, now: Instant, wait: Duration) {
        let until = now + wait.min(LONGEST);
        let mut mark = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *mark = (*mark).max(Some(until));
    }

    /// For how long yet it may not be asked; zero when it may.
    pub fn left(&self, now: Instant) -> Duration {
        let mark = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mark.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::now;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_holds_until_its_instant() {
        let (start, mark) = (now(), NotBefore::default());
        assert_eq!(mark.left(start), Duration::ZERO);
        mark.set(start, 2 * SECOND);
        assert_eq!(mark.left(start + SECOND), SECOND);
        assert_eq!(mark.left(start + 2 * SECOND), Duration::ZERO);
        assert_eq!(mark.left(start + 9 * SECOND), Duration::ZERO);
    }

    #[test]
    fn the_later_one_wins_in_either_order() {
        for waits in [[5, 2], [2, 5]] {
            let (start, mark) = (now(), NotBefore::default());
            for seconds in waits {
                mark.set(start, seconds * SECOND);
            }
            assert_eq!(mark.left(start), 5 * SECOND);
        }
    }

    #[test]
    fn no_more_than_five_minutes_count() {
        let (start, mark) = (now(), NotBefore::default());
        mark.set(start, Duration::from_secs(u32::MAX.into()));
        assert_eq!(mark.left(start), 300 * SECOND);
    }
}
