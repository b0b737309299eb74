//! The last calls, for `/explain`: how each ended and what each stage decided. A ring of fixed memory,
//! taken stretch by stretch as the first calls come, but for what a caller was told (at most 300 bytes a call), without anything of what was asked or answered, and without who asked.
//!
//! A call that ends writes one place, under the lock of that place alone. Whoever reads holds one such
//! lock at a time, so that no call waits for longer than one record takes to copy.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    telemetry::{
        outcome::{Outcome, Source},
        report::Ended,
        stage::Stage,
        trail::{Met, Step, Trail},
    },
    time::{self, Instant},
};

/// Calls that a service remembers: about 8 MB.
pub const CALLS: usize = 10_000;

/// Calls whose memory is taken at once.
const STRETCH: usize = 64;

/// Steps of one call; what is beyond them are attempts, of which the first are left out.
const STEPS: usize = 16;

/// Bytes of what the caller was told.
const LONGEST: usize = 300;

/// Hexadecimal digits of an id.
const DIGITS: usize = 32;

/// The last calls. One per service, whatever configurations it goes through.
pub struct Recent {
    /// How many calls have ended.
    ended: AtomicU64,
    room: usize,
    /// So many places each. A service that nobody has called yet has none.
    stretches: Box<[OnceLock<Stretch>]>,
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Places whose memory is taken together.
type Stretch = Box<[Mutex<Place>]>;

/// A place in the ring.
struct Place {
    /// The how manyth call it was, counted from one; zero where there was none yet.
    number: u64,
    call: Recalled,
}

/// An id as it is asked for: of a request or of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id([u8; DIGITS]);

/// A name of the configuration, which is short.
#[derive(Clone, Copy)]
struct ShortName {
    bytes: [u8; 64],
    length: u8,
}

/// A step in little room: times in microseconds, at most 71 minutes.
#[derive(Debug, Clone, Copy)]
struct Packed {
    stage: Stage,
    decision: &'static str,
    began: u32,
    took: u32,
}

/// What is remembered of one call.
#[derive(Clone)]
pub struct Recalled {
    request_id: [u8; DIGITS],
    /// Its trace.
    pub trace_id: u128,
    /// When it began.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// How much of that it waited for somebody else.
    pub waited: Duration,
    /// How old the answer was.
    pub age: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// Who answered.
    pub source: Source,
    /// The HTTP status sent; 0: nobody was there to take one.
    pub status: u16,
    /// What its fetch met.
    pub met: Met,
    /// What the caller was told, where it was no answer. Never a value of theirs.
    pub detail: Option<Box<str>>,
    /// Attempts that its steps do not show.
    pub left_out: usize,
    action: ShortName,
    upstream: ShortName,
    steps: [Packed; STEPS],
    kept: u8,
}

impl fmt::Debug for Recalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recalled")
            .field("request_id", &self.request_id())
            .field("outcome", &self.outcome)
            .field("steps", &self.steps())
            .finish_non_exhaustive()
    }
}

impl Id {
    /// Reads 32 hexadecimal digits.
    pub fn read(text: &str) -> Option<Self> {
        let digits: [u8; DIGITS] = text.as_bytes().try_into().ok()?;
        let all = digits.iter().all(u8::is_ascii_hexdigit);
        all.then(|| Self(digits.map(|digit| digit.to_ascii_lowercase())))
    }

    fn as_number(&self) -> Option<u128> {
        u128::from_str_radix(std::str::from_utf8(&self.0).ok()?, 16).ok()
    }
}

impl Recent {
    /// Room for so many calls, at least one.
    pub fn new(calls: usize) -> Arc<Self> {
        let room = calls.max(1);
        let stretches = (0..room.div_ceil(STRETCH)).map(|_| OnceLock::new()).collect();
        Arc::new(Self { ended: AtomicU64::new(0), room, stretches })
    }

    /// How many calls it has room for.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Remembers a call that has ended, in the place of the oldest.
    pub(super) fn note(
        &self,
        trail: &Trail,
        (steps, met): (&[Step], Met),
        call: &Ended<'_>,
        (took, waited): (Duration, Duration),
    ) {
        let detail = call.detail.map(|told| told[..told.floor_char_boundary(LONGEST)].into());
        let number = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        let mut place = self.place(number);
        // Who was held up for a whole round must not hide a newer call.
        if place.number > number {
            return;
        }
        place.number = number;
        let recalled = &mut place.call;
        recalled.request_id = call.request_id.as_bytes().try_into().unwrap_or([b'0'; DIGITS]);
        recalled.trace_id = trail.context().trace_id();
        recalled.began = trail.began();
        recalled.took = took;
        recalled.waited = waited;
        recalled.age = call.age;
        recalled.outcome = call.outcome;
        recalled.source = call.source;
        recalled.status = call.status;
        recalled.met = met;
        recalled.detail = detail;
        recalled.action.set(call.action);
        recalled.upstream.set(call.upstream.unwrap_or_default());
        recalled.keep(steps);
    }

    /// The call of that request, or else the newest of that trace.
    pub fn find(&self, id: &Id) -> Option<Recalled> {
        let trace = id.as_number();
        let mut of_trace: Option<(u64, Recalled)> = None;
        for place in self.stretches.iter().filter_map(OnceLock::get).flatten() {
            let place = lock(place);
            if place.number == 0 {
                continue;
            }
            if place.call.request_id == id.0 {
                return Some(place.call.clone());
            }
            let newest = of_trace.as_ref().is_none_or(|(number, _)| *number < place.number);
            if Some(place.call.trace_id) == trace && newest {
                of_trace = Some((place.number, place.call.clone()));
            }
        }
        of_trace.map(|(_, call)| call)
    }

    /// The newest calls that are `wanted`, at most so many, the last that ended first.
    pub fn newest(&self, most: usize, wanted: impl Fn(&Recalled) -> bool) -> Vec<Recalled> {
        self.numbers()
            .rev()
            .filter_map(|number| self.recalled(number, &wanted))
            .take(most)
            .collect()
    }

    /// When the call began that is forgotten next; `None`: there was none yet.
    pub fn since(&self) -> Option<Instant> {
        let mut calls = self.numbers().filter_map(|number| self.recalled(number, |_| true));
        calls.next().map(|call| call.began)
    }

    /// The calls that may be there, the oldest first.
    fn numbers(&self) -> impl DoubleEndedIterator<Item = u64> + use<> {
        let last = self.ended.load(Ordering::Relaxed);
        last.saturating_sub(self.room as u64) + 1..=last
    }

    fn recalled(&self, number: u64, wanted: impl Fn(&Recalled) -> bool) -> Option<Recalled> {
        let place = self.place(number);
        (place.number == number && wanted(&place.call)).then(|| place.call.clone())
    }

    fn place(&self, number: u64) -> MutexGuard<'_, Place> {
        let at = (number % self.room as u64) as usize;
        lock(&self.stretches[at / STRETCH].get_or_init(Place::blanks)[at % STRETCH])
    }
}

impl Place {
    fn blanks() -> Stretch {
        (0..STRETCH).map(|_| Mutex::new(Self { number: 0, call: Recalled::blank() })).collect()
    }
}

fn lock(place: &Mutex<Place>) -> MutexGuard<'_, Place> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recalled {
    fn blank() -> Self {
        let none = ShortName { bytes: [0; 64], length: 0 };
        let step = Packed { stage: Stage::Authenticate, decision: "", began: 0, took: 0 };
        Self {
            request_id: [b'0'; DIGITS],
            trace_id: 0,
            began: time::now(),
            took: Duration::ZERO,
            waited: Duration::ZERO,
            age: Duration::ZERO,
            outcome: Outcome::Ok,
            source: Source::None,
            status: 0,
            met: Met::default(),
            detail: None,
            left_out: 0,
            action: none,
            upstream: none,
            steps: [step; STEPS],
            kept: 0,
        }
    }

    /// Keeps the steps, which tell when they began. Where they are too many, the first attempts are
    /// left out: the last one decided, and the other stages stand for all.
    fn keep(&mut self, steps: &[Step]) {
        let mut surplus = steps.len().saturating_sub(STEPS);
        let mut kept = 0;
        for step in steps {
            if surplus > 0 && step.stage == Stage::Attempt {
                surplus -= 1;
                continue;
            }
            let Some(place) = self.steps.get_mut(kept) else { break };
            let began = step.began.saturating_duration_since(self.began);
            let (stage, decision) = (step.stage, step.decision);
            *place = Packed { stage, decision, began: micros(began), took: micros(step.took) };
            kept += 1;
        }
        self.left_out = steps.len() - kept;
        self.kept = kept as u8;
    }

    /// Its request id.
    pub fn request_id(&self) -> &str {
        std::str::from_utf8(&self.request_id).unwrap_or_default()
    }

    /// The action's name, or the word for an unknown one.
    pub fn action(&self) -> &str {
        self.action.as_str()
    }

    /// The upstream that the action asks, by name; `None` where no action was found.
    pub fn upstream(&self) -> Option<&str> {
        Some(self.upstream.as_str()).filter(|name| !name.is_empty())
    }

    /// What its stages decided, in the order in which they ended.
    pub fn steps(&self) -> Vec<Step> {
        let kept = &self.steps[..usize::from(self.kept)];
        let after = |micros: u32| Duration::from_micros(micros.into());
        kept.iter()
            .map(|step| {
                let began = self.began + after(step.began);
                Step::new(step.stage, began, after(step.took), step.decision)
            })
            .collect()
    }
}

impl ShortName {
    fn set(&mut self, text: &str) {
        let text = &text[..text.floor_char_boundary(self.bytes.len())];
        self.bytes[..text.len()].copy_from_slice(text.as_bytes());
        self.length = text.len() as u8;
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, thread};

    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::{
        chance::Chance,
        telemetry::{metrics::Registry, trail::Tracer},
    };

    fn trail() -> Trail {
        let tracer = Tracer::new(&Registry::new(), None, false, "/{action}", Chance::Random);
        tracer.begin(time::now(), None, "POST")
    }

    fn name(number: u64) -> String {
        format!("{number:032x}")
    }

    /// Lets the call of that number end, which tells itself by its status as well.
    fn ends(recent: &Recent, trail: &Trail, number: u64) {
        let request_id = name(number);
        let call = Ended {
            upstream: Some("crm"),
            detail: (number.is_multiple_of(2)).then_some("External API failed: 500"),
            request_id: &request_id,
            action: "lookup",
            outcome: if number.is_multiple_of(2) { Outcome::UpstreamError } else { Outcome::Ok },
            source: Source::None,
            status: number as u16,
            age: Duration::ZERO,
            deadline: None,
            http_version: "1.1",
            bytes_in: 0,
            bytes_out: 0,
        };
        recent.note(trail, (&trail.steps(), trail.met()), &call, (Duration::ZERO, Duration::ZERO));
    }

    fn numbers(calls: &[Recalled]) -> Vec<u64> {
        calls.iter().map(|call| u64::from_str_radix(call.request_id(), 16).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn the_last_calls_are_there_and_no_others(room in 1_usize..40, ended in 0_u64..100) {
            let (recent, trail) = (Recent::new(room), trail());
            (0..ended).for_each(|number| ends(&recent, &trail, number));
            let kept = ended.saturating_sub(room as u64)..ended;
            let newest = recent.newest(usize::MAX, |_| true);
            prop_assert_eq!(numbers(&newest), kept.clone().rev().collect::<Vec<_>>());
            for number in 0..ended {
                let found = recent.find(&Id::read(&name(number)).unwrap());
                prop_assert_eq!(found.is_some(), kept.contains(&number));
                prop_assert!(found.is_none_or(|call| call.status == number as u16));
            }
            let odd = recent.newest(3, |call| call.outcome == Outcome::Ok);
            let wanted = kept.rev().filter(|number| number % 2 == 1).take(3).collect::<Vec<_>>();
            prop_assert_eq!(numbers(&odd), wanted);
            prop_assert_eq!(recent.since().is_some(), ended > 0);
        }

        #[test]
        fn calls_that_end_at_once_lose_none_and_mix_none(
            room in 1_usize..60, writers in 2_u64..5, each in 1_u64..50,
        ) {
            let recent = Recent::new(room);
            thread::scope(|scope| {
                for writer in 0..writers {
                    let recent = &recent;
                    scope.spawn(move || {
                        let trail = trail();
                        (0..each).for_each(|at| ends(recent, &trail, writer * each + at));
                    });
                }
                // Read meanwhile: whatever is there is whole.
                for call in recent.newest(usize::MAX, |_| true) {
                    let number = u64::from_str_radix(call.request_id(), 16).unwrap();
                    assert_eq!(call.status, number as u16);
                    assert_eq!(call.detail.is_some(), number.is_multiple_of(2));
                }
            });
            let kept = numbers(&recent.newest(usize::MAX, |_| true));
            let distinct: BTreeSet<_> = kept.iter().collect();
            prop_assert_eq!(distinct.len(), room.min((writers * each) as usize));
            prop_assert_eq!(distinct.len(), kept.len());
            // Of each writer the later ones come first.
            for writer in 0..writers {
                let own: Vec<_> = kept.iter().filter(|number| **number / each == writer).collect();
                prop_assert!(own.is_sorted_by(|one, next| one > next), "{own:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_remembered_with_its_steps_and_times() {
        let (recent, trail) = (Recent::new(2), trail());
        let began = time::now();
        tokio::time::advance(Duration::from_micros(1_500)).await;
        trail.step(Stage::Attempt, began, "503");
        trail.meet(|met| met.not_repeated = Some("budget_exhausted"));
        ends(&recent, &trail, 8);
        let call = recent.find(&Id::read(&name(8)).unwrap()).unwrap();
        assert_eq!(call.steps(), trail.steps());
        assert_eq!(call.met.not_repeated, Some("budget_exhausted"));
        assert_eq!((call.action(), call.upstream()), ("lookup", Some("crm")));
        assert_eq!(call.detail.as_deref(), Some("External API failed: 500"));
        assert_eq!(recent.since(), Some(trail.began()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trace_is_found_by_its_newest_call_and_a_request_goes_before_it() {
        let (recent, one, other) = (Recent::new(8), trail(), trail());
        for (number, trail) in [(1, &one), (2, &other), (3, &one)] {
            ends(&recent, trail, number);
        }
        let of_trace = |trail: &Trail| format!("{:032X}", trail.context().trace_id());
        for (trail, newest) in [(&one, 3), (&other, 2)] {
            let found = recent.find(&Id::read(&of_trace(trail)).unwrap()).unwrap();
            assert_eq!(found.request_id(), name(newest));
        }
        for wrong in ["", "1", &"g".repeat(32), &"0".repeat(33), "ü0000000000000000000000000000000"]
        {
            assert_eq!(Id::read(wrong), None, "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_more_steps_than_there_is_room_for_the_first_attempts_are_left_out() {
        let (recent, trail) = (Recent::new(1), trail());
        trail.step(Stage::Authenticate, time::now(), "cache");
        for at in 0..STEPS {
            trail.step(Stage::Attempt, time::now(), if at == STEPS - 1 { "200" } else { "503" });
        }
        trail.step(Stage::Upstream, time::now(), "retried");
        ends(&recent, &trail, 1);
        let call = recent.newest(1, |_| true).remove(0);
        let steps = call.steps();
        assert_eq!((steps.len(), call.left_out), (STEPS, 2));
        let ends: Vec<_> = [0, STEPS - 2, STEPS - 1].map(|at| steps[at].decision).into();
        assert_eq!(ends, ["cache", "200", "retried"]);
    }
}
