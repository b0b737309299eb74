//! Names by which one part of the file speaks of another, and what is wrong where there is no such
//! thing.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    catalog::name::Name,
    config::{
        nearest::write_one_of,
        section::{Section, Value},
    },
};

/// A mapping of named things, such as `upstreams`.
#[derive(Debug)]
pub(super) struct Part<'n, T> {
    /// What one of them is called.
    kind: &'static str,
    /// All that are written, right or wrong: a reference to a wrong one is no second fault.
    written: BTreeMap<&'n str, Value<'n>>,
    built: BTreeMap<Name, Arc<T>>,
    /// Those that something speaks of.
    named: RefCell<BTreeSet<String>>,
    /// There is no mapping, which has been said.
    broken: bool,
}

impl<'n, T> Part<'n, T> {
    /// Builds each entry by `build`.
    pub(super) fn read(
        section: &Section<'n>,
        kind: &'static str,
        build: impl Fn(Name, &Section<'n>) -> Option<T>,
    ) -> Self {
        let written: BTreeMap<_, _> = section.entries().collect();
        let mut built = BTreeMap::new();
        for (text, value) in section.entries() {
            let name = Name::new(text);
            if let Err(why) = &name {
                value.refuse_key(why.to_string(), "write another name");
            }
            // What is below a wrong name is read all the same, so that its faults are told too.
            let standing_in = || Name::new("unnamed").expect("it is of the form");
            let thing = build(name.clone().unwrap_or_else(|_| standing_in()), &value.section());
            if let (Ok(name), Some(thing)) = (name, thing) {
                built.insert(name, Arc::new(thing));
            }
        }
        Self { kind, written, built, named: RefCell::default(), broken: section.is_broken() }
    }

    /// The name that `value` holds, of a thing that is written.
    pub(super) fn named(&self, value: &Value<'_>) -> Option<Name> {
        let kind = self.kind;
        let instead = || write_one_of("", self.written.keys().copied());
        let text = value.plain(&format!("must be the name of one {kind}"), &instead())?;
        if self.broken {
            return None;
        }
        if !self.written.contains_key(text) {
            let instead = if self.written.is_empty() {
                format!("add it below `{kind}s`")
            } else {
                value.one_of(text, self.written.keys().copied())
            };
            value.refuse(format!("there is no {kind} {}", value.shown(text)), instead);
            return None;
        }
        self.named.borrow_mut().insert(text.to_owned());
        Name::new(text).ok()
    }

    /// Warns of those that nothing has spoken of.
    pub(super) fn warn_of_unnamed(&self) {
        for (name, value) in &self.written {
            if !self.named.borrow().contains(*name) {
                value.warn_key("is named by no action", "name it in one, or remove it");
            }
        }
    }

    /// The thing of that name, if it was built.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<T>> {
        self.built.get(name)
    }

    /// All that were built, with their names.
    pub(super) fn built(&self) -> impl Iterator<Item = (&Name, &Arc<T>)> {
        self.built.iter()
    }

    /// The thing of that name as it is written.
    pub(super) fn written(&self, name: &str) -> Option<&Value<'n>> {
        self.written.get(name)
    }

    /// All that were built.
    pub(super) fn into_built(self) -> BTreeMap<Name, Arc<T>> {
        self.built
    }
}

/// Refuses each of `names` that is no input of `inputs`, such as those in a template.
pub(super) fn refuse_unknown_inputs<'a>(
    value: &Value<'_>,
    names: impl IntoIterator<Item = &'a str>,
    inputs: &[&str],
) -> Option<()> {
    let mut all_known = Some(());
    for name in names {
        if !inputs.contains(&name) {
            let instead = if inputs.is_empty() {
                "add it below `input`".to_owned()
            } else {
                value.one_of(name, inputs.iter().copied())
            };
            value.refuse(format!("there is no input {}", value.shown(name)), instead);
            all_known = None;
        }
    }
    all_known
}

/// The name of one input.
pub(super) fn input_named(value: &Value<'_>, inputs: &[&str]) -> Option<String> {
    let names = write_one_of("", inputs.iter().copied());
    let text = value.plain("must be the name of an input", &names)?;
    refuse_unknown_inputs(value, [text], inputs)?;
    Some(text.to_owned())
}

/// The items of a list of which none may stand there twice.
pub(super) fn each_once<T: PartialEq>(
    value: &Value<'_>,
    instead: &str,
    reader: impl Fn(&Value<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let items = value.items(instead)?;
    let mut read: Vec<Option<T>> = Vec::with_capacity(items.len());
    for item in &items {
        let one = reader(item);
        if one.is_some() && read.contains(&one) {
            item.refuse("is written twice", "keep one");
        }
        read.push(one);
    }
    read.into_iter().collect()
}
