//! The cap on the calls that one organisation may have under way at once, so that none takes every
//! place that this instance has.
//!
//! An organisation is what it is for rate limits: what the authority names, the scheme of an API
//! key, and one for all callers of actions that are open to anybody. It stands in the table only
//! while calls of it are under way, so the table is never larger than their number.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{pipeline::authenticate::Caller, telemetry::stage::Decided};

/// The calls of each organisation that are under way.
#[derive(Debug)]
pub struct OrgsInFlight {
    most: usize,
    inside: Mutex<HashMap<Arc<str>, usize>>,
}

/// The place of one call; given back when dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the place back at once"]
pub struct Place<'a>(Option<(&'a OrgsInFlight, Arc<Caller>)>);

/// An organisation has as many calls under way as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrgFull;

/// How much of the cap is used. Never by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrgUse {
    /// Calls that one organisation may have under way.
    pub most: usize,
    /// Organisations with a call under way.
    pub orgs: usize,
    /// The calls of the one that has most.
    pub largest: usize,
}

impl Decided for OrgFull {
    fn decision(&self) -> &'static str {
        "org_full"
    }
}

impl OrgsInFlight {
    /// Nobody inside; at most `most` calls of one organisation. 0: as many as there are, and none
    /// is counted.
    pub fn new(most: usize) -> Self {
        Self { most, inside: Mutex::default() }
    }

    /// Calls that one organisation may have under way.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Lets one call of that caller in until the place is dropped; never waits.
    ///
    /// # Errors
    /// [`OrgFull`], where as many of its organisation are inside as may be.
    pub fn enter(&self, caller: &Arc<Caller>) -> Result<Place<'_>, OrgFull> {
        if self.most == 0 {
            return Ok(Place(None));
        }
        let mut inside = self.inside();
        match inside.get_mut(caller.org()) {
            Some(calls) if *calls >= self.most => return Err(OrgFull),
            Some(calls) => *calls += 1,
            None => drop(inside.insert(caller.org().into(), 1)),
        }
        Ok(Place(Some((self, Arc::clone(caller)))))
    }

    /// How much of the cap is used; `None` where there is none.
    pub fn used(&self) -> Option<OrgUse> {
        let inside = (self.most > 0).then(|| self.inside())?;
        let largest = inside.values().copied().max().unwrap_or_default();
        Some(OrgUse { most: self.most, orgs: inside.len(), largest })
    }

    fn inside(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some((cap, caller)) = &self.0 else { return };
        let mut inside = cap.inside();
        match inside.get_mut(caller.org()) {
            Some(calls) if *calls > 1 => *calls -= 1,
            _ => drop(inside.remove(caller.org())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn caller(org: &str) -> Arc<Caller> {
        Caller::of(org, "ivr")
    }

    #[test]
    fn the_call_after_the_last_place_of_its_organisation_is_turned_away() {
        let cap = OrgsInFlight::new(2);
        let (acme, globex) = (caller("acme"), caller("globex"));
        let first = cap.enter(&acme).unwrap();
        let _second = cap.enter(&acme).unwrap();
        assert_eq!(cap.enter(&acme).unwrap_err(), OrgFull);
        let _theirs = cap.enter(&globex).unwrap();
        assert_eq!(cap.used(), Some(OrgUse { most: 2, orgs: 2, largest: 2 }));
        drop(first);
        assert!(cap.enter(&acme).is_ok());
    }

    #[test]
    fn callers_of_one_organisation_share_its_places() {
        let cap = OrgsInFlight::new(1);
        let _ivr = cap.enter(&Caller::of("acme", "ivr")).unwrap();
        assert!(cap.enter(&Caller::of("acme", "desk")).is_err());
    }

    #[test]
    fn without_a_cap_nothing_is_counted() {
        let cap = OrgsInFlight::new(0);
        let places: Vec<_> = (0..100).map(|_| cap.enter(&caller("acme")).unwrap()).collect();
        assert_eq!(cap.used(), None);
        assert!(cap.inside().is_empty());
        drop(places);
    }

    proptest! {
        #[test]
        fn the_table_holds_those_inside_and_nobody_else(
            most in 1..4_usize,
            steps in vec((0..5_u8, any::<Option<prop::sample::Index>>()), 0..200),
        ) {
            let cap = OrgsInFlight::new(most);
            let mut inside: Vec<(u8, Place<'_>)> = Vec::new();
            for (org, leaves) in steps {
                match leaves {
                    Some(which) if !inside.is_empty() => {
                        drop(inside.swap_remove(which.index(inside.len())));
                    }
                    _ => {
                        let before = inside.iter().filter(|(known, _)| *known == org).count();
                        let place = cap.enter(&caller(&org.to_string()));
                        prop_assert_eq!(place.is_ok(), before < most);
                        inside.extend(place.ok().map(|place| (org, place)));
                    }
                }
                let count = |org: u8| inside.iter().filter(|(known, _)| *known == org).count();
                let counts: Vec<_> = (0..5).map(count).filter(|calls| *calls > 0).collect();
                let largest = counts.iter().copied().max().unwrap_or_default();
                prop_assert_eq!(cap.used(), Some(OrgUse { most, orgs: counts.len(), largest }));
            }
            inside.clear();
            prop_assert_eq!(cap.used(), Some(OrgUse { most, orgs: 0, largest: 0 }));
        }
    }
}
