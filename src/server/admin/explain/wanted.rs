//! Which calls are asked for: a query of closed words. What is written wrong is told with what may be
//! written, never with what was.

use std::borrow::Cow;

use url::form_urlencoded;

use crate::{
    catalog::Catalog,
    telemetry::{
        meters::UNKNOWN_ACTION,
        outcome::{Class, Outcome},
        recent::Recalled,
    },
};

/// How many where nothing is said: what a screen shows.
const USUAL: usize = 50;
/// How many at most: all that are remembered would hold up the probes and scrapes that come meanwhile.
const MOST: usize = 500;

/// Which calls.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    action: Option<String>,
    outcome: Option<Outcome>,
    class: Option<Class>,
    upstream: Option<String>,
    /// How many.
    pub(super) most: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { action: None, outcome: None, class: None, upstream: None, most: USUAL }
    }
}

impl Wanted {
    /// Reads a query.
    ///
    /// # Errors
    /// What may be written instead, in a sentence.
    pub(super) fn read(query: &str, catalog: &Catalog) -> Result<Self, String> {
        let mut wanted = Self::default();
        let mut seen = Vec::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.contains(&key) {
                return Err(
                    "Each of action, outcome, class, upstream and most may stand once".into()
                );
            }
            wanted.take(&key, &value, catalog)?;
            seen.push(key);
        }
        Ok(wanted)
    }

    fn take(&mut self, key: &str, value: &str, catalog: &Catalog) -> Result<(), String> {
        match key {
            "action" => {
                let names = catalog.actions.keys().map(|name| name.as_str());
                self.action = Some(one_of(key, value, names.chain([UNKNOWN_ACTION]))?.to_owned());
            }
            "upstream" => {
                let names = catalog.upstreams.keys().map(|name| name.as_str());
                self.upstream = Some(one_of(key, value, names)?.to_owned());
            }
            "outcome" => {
                let word = one_of(key, value, Outcome::ALL.map(Outcome::as_str).into_iter())?;
                self.outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
            }
            "class" => {
                let word = one_of(key, value, Class::ALL.map(Class::as_str).into_iter())?;
                self.class = Class::ALL.into_iter().find(|class| class.as_str() == word);
            }
            "most" => {
                let most = value.parse().ok().filter(|most| (1..=MOST).contains(most));
                self.most = most.ok_or(format!("`most` is a number from 1 to {MOST}"))?;
            }
            _ => {
                return Err("Ask by action, outcome, class, upstream, and most: how many".into());
            }
        }
        Ok(())
    }

    /// Whether that call is asked for. Where neither an outcome nor a class is named, all that did not
    /// succeed are.
    pub(super) fn takes(&self, call: &Recalled) -> bool {
        let (outcome, class) = (call.outcome, call.outcome.class());
        let by_end = match (self.outcome, self.class) {
            (None, None) => class != Class::Success,
            (wanted, of) => {
                wanted.is_none_or(|wanted| wanted == outcome) && of.is_none_or(|of| of == class)
            }
        };
        by_end
            && self.action.as_deref().is_none_or(|action| action == call.action())
            && self.upstream.as_deref().is_none_or(|upstream| Some(upstream) == call.upstream())
    }
}

/// The one of `known` that is written.
fn one_of<'a>(
    key: &str,
    value: &str,
    known: impl Iterator<Item = &'a str>,
) -> Result<&'a str, String> {
    let known: Vec<&str> = known.collect();
    known.iter().find(|word| **word == value).copied().ok_or_else(|| {
        let known: Cow<'_, str> = known.join(", ").into();
        format!("There is no such {key}; there are: {known}")
    })
}
