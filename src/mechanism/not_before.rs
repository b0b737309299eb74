//! The instant before which an upstream does not want to be asked.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::time::Instant;

/// However long an upstream asks to be left alone, it is not for longer: a slip of its clock must
/// not switch it off for a day.
const LONGEST: Duration = Duration::from_secs(300);

/// One that is out of service is left alone for no longer than this, whatever it asks: the word may
/// be that of one replica of many, and while nothing is sent nothing can disprove it. If all of it is
/// out of service, that is the breaker's affair.
const LONGEST_OUT_OF_SERVICE: Duration = Duration::from_secs(10);

/// Why an upstream asks to be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// It was asked too often. That is counted for all of it, so the mark holds.
    TooMany,
    /// It is out of service. That may be true of a part of it alone: one good answer disproves it,
    /// and it does not hold for long.
    OutOfService,
}

impl Because {
    /// For how long it holds at most.
    fn longest(self) -> Duration {
        match self {
            Self::TooMany => LONGEST,
            Self::OutOfService => LONGEST_OUT_OF_SERVICE,
        }
    }
}

/// The marks of one upstream, shared by all attempts at it.
#[derive(Debug, Default)]
pub struct NotBefore(Mutex<Marks>);

#[derive(Debug, Default)]
struct Marks {
    too_many: Option<Instant>,
    out_of_service: Option<Instant>,
}

impl NotBefore {
    /// The upstream asked at `now` to be left alone for `wait`. Of that at most 300 s count, and where
    /// it is out of service at most 10 s. Of two marks the later one holds.
    pub fn set(&self, now: Instant, wait: Duration, because: Because) {
        let until = Some(now + wait.min(because.longest()));
        let mut marks = self.marks();
        let mark = match because {
            Because::TooMany => &mut marks.too_many,
            Because::OutOfService => &mut marks.out_of_service,
        };
        *mark = (*mark).max(until);
    }

    /// It has answered: it is not out of service.
    pub fn answered(&self) {
        self.marks().out_of_service = None;
    }

    /// For how long yet it may not be asked; zero when it may.
    pub fn left(&self, now: Instant) -> Duration {
        let marks = self.marks();
        let until = marks.too_many.max(marks.out_of_service);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        mark.set(start, 2 * SECOND, Because::TooMany);
        assert_eq!(mark.left(start + SECOND), SECOND);
        assert_eq!(mark.left(start + 2 * SECOND), Duration::ZERO);
        assert_eq!(mark.left(start + 9 * SECOND), Duration::ZERO);
    }

    #[test]
    fn the_later_one_wins_in_either_order() {
        for waits in [[5, 2], [2, 5]] {
            let (start, mark) = (now(), NotBefore::default());
            for seconds in waits {
                mark.set(start, seconds * SECOND, Because::TooMany);
            }
            assert_eq!(mark.left(start), 5 * SECOND);
        }
    }

    #[test]
    fn no_more_than_five_minutes_count_and_out_of_service_no_more_than_ten_seconds() {
        for (because, most) in [(Because::TooMany, 300), (Because::OutOfService, 10)] {
            let (start, mark) = (now(), NotBefore::default());
            mark.set(start, Duration::from_secs(u32::MAX.into()), because);
            assert_eq!(mark.left(start), most * SECOND, "{because:?}");
        }
    }

    #[test]
    fn an_answer_ends_the_one_and_not_the_other() {
        let (start, mark) = (now(), NotBefore::default());
        mark.set(start, 9 * SECOND, Because::OutOfService);
        mark.set(start, 2 * SECOND, Because::TooMany);
        assert_eq!(mark.left(start), 9 * SECOND);
        mark.answered();
        assert_eq!(mark.left(start), 2 * SECOND);
    }
}
