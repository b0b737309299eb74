//! Where the process stands between start and stop, and how many calls are inside it.
//!
//! ```text
//! Starting -> Ready -> Draining -> Closing -> Stopped
//! ```
//!
//! There is no way back. What an operator drains by hand is no step on it, but a hold beside it: as
//! long as it lasts, a process that is ready says that it drains.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::time::{self, Instant};

/// How long from [`Phase::Closing`] on a client may still owe us the rest of what it asks, or take nothing of
/// what it is answered. Long enough for a few packets that got lost, far shorter than the drain:
/// whoever only wants to hold us up must not.
pub const LAST_WORD: Duration = Duration::from_secs(2);

/// Where the process stands. Later phases compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not everything is bound yet; not ready.
    Starting,
    /// Ready for calls.
    Ready,
    /// Not ready any more, but still accepting: balancers need time to notice. Answers ask for the
    /// connection to be closed.
    Draining,
    /// Accepts nothing; calls under way are finished, and so is who has asked already. What is still to
    /// be asked has [`LAST_WORD`].
    Closing,
    /// All is done; calls that still arrive are refused.
    Stopped,
}

impl Phase {
    const ALL: [Self; 5] =
        [Self::Starting, Self::Ready, Self::Draining, Self::Closing, Self::Stopped];
}

const _: () = {
    let mut place = 0;
    while place < Phase::ALL.len() {
        assert!(Phase::ALL[place] as usize == place, "each phase has its place");
        place += 1;
    }
};

/// The phase of a process, or of one group of its listeners. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Lifecycle(Arc<Stand>);

/// What those look at who wait, and beside it what every call looks at.
#[derive(Debug)]
struct Stand {
    standing: watch::Sender<Standing>,
    /// The phase as its place in [`Phase::ALL`], or [`BY_THE_CLOCK`]. Written where `standing` is.
    at_a_glance: AtomicU8,
}

/// No phase: there is a hold, whose end has to be compared with the clock.
const BY_THE_CLOCK: u8 = u8::MAX;

/// How far the process is, and until when its operator keeps calls away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    phase: Phase,
    held_until: Option<Instant>,
}

impl Standing {
    /// The phase that the world is told at `now`.
    fn phase_at(self, now: Instant) -> Phase {
        match self.phase {
            Phase::Ready if self.held_at(now).is_some() => Phase::Draining,
            phase => phase,
        }
    }

    /// What stands in [`Stand::at_a_glance`].
    fn at_a_glance(self) -> u8 {
        match (self.phase, self.held_until) {
            (Phase::Ready, Some(_)) => BY_THE_CLOCK,
            (phase, _) => phase as u8,
        }
    }

    /// Until when it is held, where it is at `now`.
    fn held_at(self, now: Instant) -> Option<Instant> {
        self.held_until.filter(|until| now < *until)
    }
}

/// The process is stopping: there is nothing left to hold or to let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopping;

impl Lifecycle {
    /// One that is [`Phase::Starting`].
    pub fn new() -> Self {
        let standing = Standing { phase: Phase::Starting, held_until: None };
        let at_a_glance = AtomicU8::new(standing.at_a_glance());
        Self(Arc::new(Stand { standing: watch::Sender::new(standing), at_a_glance }))
    }

    /// The phase now. A process that is ready and held is [`Phase::Draining`].
    pub fn phase(&self) -> Phase {
        let at_a_glance = self.0.at_a_glance.load(Ordering::Acquire);
        let known = Phase::ALL.get(usize::from(at_a_glance));
        known.copied().unwrap_or_else(|| self.0.standing.borrow().phase_at(time::now()))
    }

    /// Changes how it stands by `change`, which says whether it did.
    fn change(&self, change: impl FnOnce(&mut Standing) -> bool) {
        self.0.standing.send_if_modified(|standing| {
            let changed = change(standing);
            self.0.at_a_glance.store(standing.at_a_glance(), Ordering::Release);
            changed
        });
    }

    /// Until when it is held by its operator; `None` where it is not.
    pub fn held_until(&self) -> Option<Instant> {
        self.0.standing.borrow().held_at(time::now())
    }

    /// Whether new calls are wanted.
    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Ready
    }

    /// Moves on to `phase`. There is no way back: an earlier phase than the present one is ignored.
    pub fn set(&self, phase: Phase) {
        self.change(|now| {
            let later = phase > now.phase;
            if later {
                now.phase = phase;
            }
            later
        });
    }

    /// Keeps calls away until `until`, in place of any hold before. It ends by itself then.
    ///
    /// # Errors
    /// [`Stopping`], from [`Phase::Draining`] on.
    pub fn hold(&self, until: Instant) -> Result<(), Stopping> {
        self.replace_hold(Some(until)).map(drop)
    }

    /// Ends a hold. Whether there was one.
    ///
    /// # Errors
    /// [`Stopping`], from [`Phase::Draining`] on.
    pub fn let_go(&self) -> Result<bool, Stopping> {
        let before = self.replace_hold(None)?;
        Ok(before.held_at(time::now()).is_some())
    }

    /// How it stood before.
    fn replace_hold(&self, until: Option<Instant>) -> Result<Standing, Stopping> {
        let mut before = None;
        self.change(|now| {
            let may = now.phase < Phase::Draining;
            if may {
                before = Some(*now);
                now.held_until = until;
            }
            may
        });
        before.ok_or(Stopping)
    }

    /// Waits until `phase` or a later one; a hold is no step towards it. Dropping the future has no
    /// effect.
    pub async fn reached(&self, phase: Phase) {
        let mut changes = self.0.standing.subscribe();
        changes
            .wait_for(|now| now.phase >= phase)
            .await
            .expect("the sender lives as long as self, which is borrowed here");
    }

    /// Waits until nobody who has not asked yet is listened to any more.
    pub async fn heard_out(&self) {
        self.reached(Phase::Closing).await;
        tokio::time::sleep(LAST_WORD).await;
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

/// How many calls are inside, and how many bytes of bodies they hold. Neither passes its maximum;
/// what does not fit is turned away at once, without waiting.
#[derive(Debug)]
pub struct InFlight {
    calls: Room,
    bytes: Room,
}

impl InFlight {
    /// Nobody inside; at most `max_calls` at once, holding at most `max_bytes`.
    pub fn new(max_calls: usize, max_bytes: usize) -> Self {
        Self { calls: Room::new(max_calls), bytes: Room::new(max_bytes) }
    }

    /// Changes how many may be inside. Who is inside stays: where that are more, nobody is let in
    /// until enough have left.
    pub fn resize(&self, max_calls: usize, max_bytes: usize) {
        self.calls.max.store(max_calls, Ordering::Relaxed);
        self.bytes.max.store(max_bytes, Ordering::Relaxed);
    }

    /// Lets one call in until the guard is dropped. `None`: full.
    pub fn enter(&self) -> Option<Guard<'_>> {
        self.calls.take(1)
    }

    /// Sets `bytes` aside until the guard is dropped. `None`: they do not fit beside the others.
    pub fn reserve(&self, bytes: usize) -> Option<Guard<'_>> {
        self.bytes.take(bytes)
    }

    /// Whether no further call would be let in now.
    pub fn is_full(&self) -> bool {
        self.count() >= self.max_count()
    }

    /// Calls that may be inside.
    pub fn max_count(&self) -> usize {
        self.calls.max.load(Ordering::Relaxed)
    }

    /// Bytes that may be set aside.
    pub fn max_bytes(&self) -> usize {
        self.bytes.max.load(Ordering::Relaxed)
    }

    /// Calls inside.
    pub fn count(&self) -> usize {
        self.calls.taken.load(Ordering::Relaxed)
    }

    /// Bytes set aside.
    pub fn bytes(&self) -> usize {
        self.bytes.taken.load(Ordering::Relaxed)
    }
}

/// A share of what is limited; dropping it gives it back.
#[derive(Debug)]
#[must_use = "dropping it gives the share back at once"]
pub struct Guard<'a> {
    room: &'a Room,
    amount: usize,
}

impl Guard<'_> {
    /// Takes `more` on top. `false`: it does not fit beside the others, and nothing is taken.
    #[must_use]
    pub fn grow(&mut self, more: usize) -> bool {
        let fits = self.room.add(more);
        if fits {
            self.amount += more;
        }
        fits
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

/// An amount of something, part of it taken. The counter guards no other memory, so relaxed
/// ordering is enough.
#[derive(Debug)]
struct Room {
    taken: AtomicUsize,
    max: AtomicUsize,
}

impl Room {
    fn new(max: usize) -> Self {
        Self { taken: AtomicUsize::new(0), max: AtomicUsize::new(max) }
    }

    fn take(&self, amount: usize) -> Option<Guard<'_>> {
        self.add(amount).then(|| Guard { room: self, amount })
    }

    fn add(&self, amount: usize) -> bool {
        let max = self.max.load(Ordering::Relaxed);
        let add = |taken: usize| taken.checked_add(amount).filter(|sum| *sum <= max);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::{
        collection::vec,
        prelude::{any, proptest},
    };

    use super::*;

    #[test]
    fn a_phase_never_goes_back() {
        let lifecycle = Lifecycle::new();
        assert_eq!(lifecycle.phase(), Phase::Starting);
        lifecycle.set(Phase::Ready);
        assert!(lifecycle.is_ready());
        lifecycle.set(Phase::Closing);
        lifecycle.set(Phase::Draining);
        assert_eq!(lifecycle.phase(), Phase::Closing);
        assert!(!lifecycle.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_phase_is_woken_by_it_or_a_later_one() {
        let lifecycle = Lifecycle::new();
        let waiting = async {
            lifecycle.reached(Phase::Draining).await;
            lifecycle.phase()
        };
        let moving = async {
            lifecycle.set(Phase::Ready);
            tokio::time::sleep(Duration::from_secs(1)).await;
            lifecycle.clone().set(Phase::Closing);
        };
        assert_eq!(tokio::join!(waiting, moving).0, Phase::Closing);
        lifecycle.reached(Phase::Ready).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_ends_by_itself_or_by_hand_and_is_no_step_towards_the_end() {
        let lifecycle = Lifecycle::new();
        let minute = || time::now() + Duration::from_secs(60);
        lifecycle.hold(minute()).unwrap();
        assert_eq!(lifecycle.phase(), Phase::Starting, "it was not ready before");
        lifecycle.set(Phase::Ready);
        assert_eq!(lifecycle.phase(), Phase::Draining);
        assert!(!lifecycle.is_ready());
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(lifecycle.phase(), Phase::Draining);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((lifecycle.phase(), lifecycle.held_until()), (Phase::Ready, None));

        lifecycle.hold(minute()).unwrap();
        let later = minute() + Duration::from_secs(60);
        lifecycle.hold(later).unwrap();
        assert_eq!(lifecycle.held_until(), Some(later), "the last word counts");
        let drained = lifecycle.reached(Phase::Draining);
        assert!(tokio::time::timeout(Duration::from_secs(1), drained).await.is_err());
        assert_eq!(lifecycle.let_go(), Ok(true));
        assert_eq!(lifecycle.phase(), Phase::Ready);
        assert_eq!(lifecycle.let_go(), Ok(false));
    }

    #[test]
    fn each_phase_is_known_by_its_place() {
        for phase in Phase::ALL {
            let lifecycle = Lifecycle::new();
            lifecycle.set(phase);
            assert_eq!(lifecycle.phase(), phase);
            assert_eq!(lifecycle.0.standing.borrow().phase, phase);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_can_neither_be_held_nor_let_go() {
        let lifecycle = Lifecycle::new();
        lifecycle.set(Phase::Ready);
        let soon = time::now() + Duration::from_secs(1);
        lifecycle.hold(soon).unwrap();
        lifecycle.set(Phase::Draining);
        assert_eq!((lifecycle.hold(soon), lifecycle.let_go()), (Err(Stopping), Err(Stopping)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(lifecycle.phase(), Phase::Draining, "the end of a hold does not undo it");
    }

    #[test]
    fn the_call_after_the_last_place_is_turned_away_until_one_leaves() {
        let inside = InFlight::new(2, 0);
        let first = inside.enter();
        let second = inside.enter();
        assert!(first.is_some() && second.is_some());
        assert!(inside.enter().is_none());
        assert_eq!(inside.count(), 2);
        drop(first);
        assert_eq!(inside.count(), 1);
        assert!(inside.enter().is_some());
    }

    #[test]
    fn with_fewer_places_nobody_is_sent_away_and_nobody_let_in_until_enough_have_left() {
        let inside = InFlight::new(3, 10);
        let mut calls: Vec<_> = (0..3).filter_map(|_| inside.enter()).collect();
        let bytes = inside.reserve(8);
        inside.resize(2, 4);
        assert_eq!((inside.count(), inside.is_full(), inside.bytes()), (3, true, 8));
        calls.pop();
        assert!(inside.enter().is_none() && inside.reserve(1).is_none());
        calls.pop();
        drop(bytes);
        assert!(inside.enter().is_some() && inside.reserve(4).is_some());
    }

    #[test]
    fn a_reservation_beyond_any_number_is_turned_away() {
        let inside = InFlight::new(0, usize::MAX);
        let _most = inside.reserve(usize::MAX).expect("fits");
        assert!(inside.reserve(1).is_none());
    }

    proptest! {
        #[test]
        fn bytes_never_pass_the_budget_and_all_come_back(
            wishes in vec(any::<u16>(), 0..50),
            max in any::<u16>(),
        ) {
            let inside = InFlight::new(0, usize::from(max));
            let mut kept = Vec::new();
            for wish in wishes {
                let fits = inside.bytes() + usize::from(wish) <= usize::from(max);
                let guard = inside.reserve(usize::from(wish));
                assert_eq!(guard.is_some(), fits);
                kept.extend(guard);
                assert!(inside.bytes() <= usize::from(max));
            }
            drop(kept);
            assert_eq!(inside.bytes(), 0);
        }
    }

    #[test]
    fn threads_that_race_for_places_never_get_more_than_there_are() {
        let inside = InFlight::new(3, 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let _guard = inside.enter();
                        assert!(inside.count() <= 3);
                    }
                });
            }
        });
        assert_eq!(inside.count(), 0);
    }
}
