//! `actions.*.cache`: how long answers are kept, and what tells two of them apart.

use std::time::Duration;

use crate::{
    catalog::{
        action,
        policy::{CachePolicy, SharedBy},
    },
    config::{
        links::{each_once, input_named},
        nearest::listed,
        section::{Section, Value},
        values::{choice, count, duration, shown, span, text},
    },
};

/// What a cache is held against; `None` where that is wrong itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) inputs: Option<&'a [&'a str]>,
    /// The inputs that the request is made of.
    pub(super) sent: &'a [String],
    pub(super) timeout: Option<Duration>,
    pub(super) safe: Option<bool>,
}

pub(super) const SHARED: [(&str, SharedBy); 3] =
    [("org", SharedBy::Org), ("caller", SharedBy::Caller), ("all", SharedBy::All)];

fn refuse_unsafe(value: &Value<'_>, safe: Option<bool>) {
    if safe == Some(false) {
        value.refuse_key(
            "keeps answers of an action that is not safe",
            "remove it, or write `safe: true` if asking twice changes nothing",
        );
    }
}

/// `cache`.
pub(super) fn cache(value: &Value<'_>, around: Around<'_>) -> Option<CachePolicy> {
    refuse_unsafe(value, around.safe);
    let section = &value.section();
    let ttl = section.required("ttl", "write how long an answer is fresh, such as 60s", span);
    let named = |value: &Value<'_>| match around.inputs {
        Some(inputs) => input_named(value, inputs),
        None => text(value),
    };
    let every = around.inputs.unwrap_or_default().iter().map(|name| (*name).to_owned()).collect();
    let key = section.read("key", every, |value| each_once(value, "write a list of inputs", named));
    let customer = section.optional("customer", named);
    // Names that could not be held against the inputs may be anything, a variable's secret among it.
    if around.inputs.is_some() {
        refuse_shared_entries(section, around.sent, customer.as_ref());
    }
    let shared_by = section.read("shared_by", SharedBy::Org, |value| choice(value, &SHARED));
    let time = |key, default| section.read(key, default, duration);
    let stale_while_revalidate = time("stale_while_revalidate", Duration::ZERO);
    let stale_if_error = time("stale_if_error", Duration::ZERO);
    let stale_after = time("stale_after", Duration::from_millis(300));
    if let (Some(timeout), Some(spare), Some(after)) = (around.timeout, stale_if_error, stale_after)
        && !spare.is_zero()
    {
        warn_of_late_spare(section, after, action::patience(timeout, None));
    }
    let not_found = time("not_found", Duration::ZERO);
    let max_waiters = section.read("max_waiters", 5000, |value| count(value, 1, 1_000_000));
    section.finish()?;
    let mut key = key?;
    key.sort_unstable();
    Some(CachePolicy {
        ttl: ttl?,
        key,
        customer: customer?,
        shared_by: shared_by?,
        stale_while_revalidate: stale_while_revalidate?,
        stale_if_error: stale_if_error?,
        stale_after: stale_after?,
        not_found: not_found?,
        max_waiters: max_waiters?,
    })
}

/// Warns where a call's time is up before it is given the old answer that is at hand.
fn warn_of_late_spare(section: &Section<'_>, after: Duration, patience: Duration) {
    if after >= patience {
        let at = section.value("stale_after").or_else(|| section.value("stale_if_error"));
        let most = humantime::format_duration(patience);
        let what = format!(
            "an old answer that is at hand is given after {}, and a call may take no longer than {most}: \
             it would come at the very end",
            humantime::format_duration(after)
        );
        at.iter().for_each(|at| at.warn(&*what, format!("write a stale_after below {most}")));
    }
}

/// Refuses a key that lacks what the upstream is asked with: one customer would be given the answer
/// of another.
fn refuse_shared_entries(
    section: &Section<'_>,
    sent: &[String],
    customer: Option<&Option<String>>,
) {
    let Some(written) = section.value("key") else {
        return;
    };
    let Some(key) = written.texts() else { return };
    let lacks = |input: &&String| !key.contains(&input.as_str());
    let sent: Vec<&str> = sent.iter().filter(lacks).map(|input| &**input).collect();
    if !sent.is_empty() {
        let what = format!(
            "lacks {}, which the request is made of: two customers would share an entry",
            listed(&sent)
        );
        written.refuse(what, format!("add {}", listed(&sent)));
    }
    let customer = customer.and_then(Option::as_ref).filter(lacks);
    if let Some(customer) = customer.filter(|customer| !sent.contains(&&***customer)) {
        let what =
            format!("lacks {}, the customer: two of them would share an entry", shown(customer));
        written.refuse(what, format!("add {}", shown(customer)));
    }
}
