//! Which keys readers have asked for, and in which spelling they read them. Kept in tests alone, which hold
//! the schema against it.

#[cfg(test)]
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use crate::config::spelling::Spelling;

/// What was asked for so far.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The keys asked for in each mapping.
    #[cfg(test)]
    pub(super) keys: RefCell<BTreeMap<String, BTreeSet<String>>>,
    /// How each value was read.
    #[cfg(test)]
    pub(super) spellings: RefCell<BTreeMap<String, Spelling>>,
}

#[cfg(test)]
impl Asked {
    pub(super) fn key(&self, path: &str, key: &str) {
        self.keys.borrow_mut().entry(path.to_owned()).or_default().insert(key.to_owned());
    }

    /// A reader that is made of another one says the narrower one first.
    pub(super) fn spelling(&self, path: &str, spelling: impl FnOnce() -> Spelling) {
        self.spellings.borrow_mut().entry(path.to_owned()).or_insert_with(spelling);
    }
}

#[cfg(not(test))]
impl Asked {
    pub(super) fn key(&self, _: &str, _: &str) {}

    pub(super) fn spelling(&self, _: &str, _: impl FnOnce() -> Spelling) {}
}
