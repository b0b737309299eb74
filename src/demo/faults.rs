//! What a fake does next: the script first, one fault a request, then the standing rule.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use crate::chance::Chance;

use super::fault::{Fault, Latency, Rule, Standing};

/// The behaviour of one fake, changeable while it runs.
#[derive(Debug)]
pub(super) struct Faults {
    chance: Chance,
    now: Mutex<Behaviour>,
}

#[derive(Debug)]
struct Behaviour {
    usual: Latency,
    standing: Standing,
    script: VecDeque<Fault>,
}

/// What becomes of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) wait: Duration,
    pub(super) fault: Fault,
}

impl Faults {
    pub(super) fn new(usual: Latency, chance: Chance) -> Self {
        let now = Behaviour { usual, standing: Standing::ok(), script: VecDeque::new() };
        Self { chance, now: Mutex::new(now) }
    }

    fn now(&self) -> MutexGuard<'_, Behaviour> {
        self.now.lock().expect("nothing under this lock panics")
    }

    /// What becomes of the request that has just come.
    pub(super) fn plan(&self) -> Plan {
        let mut now = self.now();
        let Behaviour { usual, standing, script } = &mut *now;
        let Standing::Up(Rule { latency, fault, share }) = standing else {
            // It came in the instant in which the listener was being closed.
            return Plan { wait: Duration::ZERO, fault: Fault::Reset };
        };
        let wait = latency.unwrap_or(*usual).sample(self.chance);
        let fault = match script.pop_front() {
            Some(scripted) => scripted,
            None if self.chance.roll() < *share => fault.clone(),
            None => Fault::Ok,
        };
        Plan { wait, fault }
    }

    pub(super) fn standing(&self) -> Standing {
        self.now().standing.clone()
    }

    pub(super) fn set(&self, standing: Standing) {
        self.now().standing = standing;
    }

    pub(super) fn set_usual(&self, usual: Latency) {
        self.now().usual = usual;
    }

    pub(super) fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.now().script.extend(faults);
    }

    pub(super) fn script_left(&self) -> usize {
        self.now().script.len()
    }

    pub(super) fn clear_script(&self) {
        self.now().script.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Latency =
        Latency { fixed: Duration::from_millis(40), jitter: Duration::from_millis(20) };

    #[test]
    fn a_script_is_played_once_and_then_the_rule_stands() {
        let faults = Faults::new(Latency::NONE, Chance::Loaded(0.0));
        faults.set(Standing::every(Fault::Hang));
        faults.script([Fault::status(503), Fault::Ok]);
        let next = || faults.plan().fault;
        assert_eq!([next(), next(), next()], [Fault::status(503), Fault::Ok, Fault::Hang]);
        assert_eq!(faults.script_left(), 0);
    }

    #[test]
    fn a_share_is_decided_by_chance() {
        for (roll, expected) in [(0.49, Fault::Hang), (0.5, Fault::Ok)] {
            let faults = Faults::new(Latency::NONE, Chance::Loaded(roll));
            faults.set(Standing::some(Fault::Hang, 0.5));
            assert_eq!(faults.plan().fault, expected);
        }
    }

    #[test]
    fn a_rule_without_a_latency_leaves_the_usual_one() {
        let faults = Faults::new(USUAL, Chance::Loaded(0.5));
        assert_eq!(faults.plan(), Plan { wait: Duration::from_millis(50), fault: Fault::Ok });
        faults.set(Standing::late(Duration::from_millis(800)));
        assert_eq!(faults.plan().wait, Duration::from_millis(800));
        faults.set(Standing::ok());
        assert_eq!(faults.plan().wait, Duration::from_millis(50));
    }
}
