//! Which keys readers have asked for, and in which form they read them. Kept in tests alone, which hold
//! the schema against it.

#[cfg(test)]
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use crate::config::form::Form;

/// What was asked for so far.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The keys asked for in each mapping.
    #[cfg(test)]
    pub(super) keys: RefCell<BTreeMap<String, BTreeSet<String>>>,
    /// The form in which each value was read.
    #[cfg(test)]
    pub(super) forms: RefCell<BTreeMap<String, Form>>,
}

#[cfg(test)]
impl Asked {
    pub(super) fn key(&self, path: &str, key: &str) {
        self.keys.borrow_mut().entry(path.to_owned()).or_default().insert(key.to_owned());
    }

    /// A reader that is made of another one says the narrower form first.
    pub(super) fn form(&self, path: &str, form: impl FnOnce() -> Form) {
        self.forms.borrow_mut().entry(path.to_owned()).or_insert_with(form);
    }
}

#[cfg(not(test))]
impl Asked {
    pub(super) fn key(&self, _: &str, _: &str) {}

    pub(super) fn form(&self, _: &str, _: impl FnOnce() -> Form) {}
}
