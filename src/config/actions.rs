//! `actions`: the operations themselves.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    catalog::{
        action::{self, Action, Envelope, Failures},
        caller::Scheme,
        contract::{Contract, Field},
        limit::{Limit, LimitKey},
        mapping::Mapping,
        name::Name,
        policy::{CachePolicy, SharedBy},
        upstream::Upstream,
    },
    config::{
        contracts::{contract, mapping, refuse_unfit_for_outcome},
        json::object,
        ladder::{Rungs, genesys_timeout},
        links::{Part, input_named},
        nearest::listed,
        node::Content,
        request::{Request, request},
        revision::Shape,
        section::{Section, Value},
        values::{choice, count, duration, flag, shown, span, text},
    },
    fingerprint::Fingerprint,
};

/// What an action may name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a, 'n> {
    pub(super) callers: &'a Part<'n, Scheme>,
    pub(super) limits: &'a Part<'n, Limit>,
    pub(super) upstreams: &'a Part<'n, Upstream>,
}

/// One operation.
pub(super) fn action(name: Name, section: &Section<'_>, parts: Parts<'_, '_>) -> Option<Action> {
    let description = section.read("description", String::new(), text);
    let callers = section.required("caller", WRITE_CALLER, |value| callers(value, parts.callers));
    let input = contract(&section.section("input"));
    let fields = input.as_ref().map(Contract::fields);
    let limits = section.read("limits", Vec::new(), |value| limits(value, fields, parts.limits));
    let timeout = section.read("timeout", Duration::from_secs(5), span);
    let genesys_timeout = genesys_timeout(section, timeout);
    let envelope = section.read("envelope", Envelope::Data, |value| choice(value, &ENVELOPES));
    let failures = section.read("failures", Failures::Status, |value| choice(value, &FAILURES));
    let debug_headers = section.read("debug_headers", false, flag);
    let safe = safe(section);
    let asked = section.required("request", "write upstream, method and path below it", |value| {
        request(&value.section(), fields, parts.upstreams)
    });
    climb(section, (timeout, safe), callers.as_deref(), asked.as_ref(), parts);
    let output =
        section.required("output", "write at least one output", |value| mapping(&value.section()));
    if let (Some(Failures::Outcome), Some(mapping)) = (failures, &output) {
        refuse_unfit_for_outcome(&section.section("output"), mapping);
    }
    let cache = section.optional("cache", |value| {
        refuse_unsafe_cache(value, safe);
        cache(&value.section(), fields, asked.as_ref(), timeout)
    });
    let fallback = fallback(section, output.as_ref());
    let revision = revision(name.as_str(), section, asked.as_ref(), parts.upstreams);
    section.finish()?;
    let asked = asked?;
    Some(Action {
        name,
        description: description?,
        callers: callers?,
        limits: limits?,
        timeout: timeout?,
        genesys_timeout: genesys_timeout?,
        safe: safe?,
        envelope: envelope?,
        failures: failures?,
        debug_headers: debug_headers?,
        input: input?,
        upstream: asked.upstream,
        request: asked.template,
        output: output?,
        cache: cache?,
        fallback: fallback?,
        revision,
    })
}

const WRITE_CALLER: &str = "write the name of a caller, a list of names, or `none` for anybody";
const ENVELOPES: [(&str, Envelope); 2] = [("data", Envelope::Data), ("flat", Envelope::Flat)];
const FAILURES: [(&str, Failures); 2] =
    [("status", Failures::Status), ("outcome", Failures::Outcome)];

/// The schemes of which any one will do; none at all must be written out.
fn callers(value: &Value<'_>, known: &Part<'_, Scheme>) -> Option<Vec<Name>> {
    if !matches!(value.content(), Content::List(_)) {
        if value.plain("must be the name of a caller", WRITE_CALLER)? == "none" {
            return Some(Vec::new());
        }
        return known.named(value).map(|name| vec![name]);
    }
    let names = each_once(value, WRITE_CALLER, |item| {
        if item.plain("must be the name of a caller", WRITE_CALLER)? == "none" {
            item.refuse(
                "stands in a list, where it would let anybody in",
                "write `caller: none`, or remove it",
            );
            return None;
        }
        known.named(item)
    })?;
    if names.is_empty() {
        value.refuse("is an empty list", WRITE_CALLER);
        return None;
    }
    Some(names)
}

/// The items of a list of which none may stand there twice.
fn each_once<T: PartialEq>(
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

fn limits(
    value: &Value<'_>,
    fields: Option<&[Field]>,
    known: &Part<'_, Limit>,
) -> Option<Vec<Name>> {
    each_once(value, "write a list of names of limits", |item| {
        let name = known.named(item)?;
        let keys = known.get(name.as_str()).map_or(&[][..], |limit| &limit.key);
        for key in keys {
            let LimitKey::Input(input) = key else {
                continue;
            };
            let Some(fields) = fields else { continue };
            if !fields.iter().any(|field| *field.name == **input) {
                let what =
                    format!("counts by the input {}, which this action has not", shown(input));
                item.refuse(what, "add the input, or remove the limit");
            }
        }
        Some(name)
    })
}

/// Compares the times of an action with those of what it names, where both are known.
fn climb(
    section: &Section<'_>,
    (timeout, safe): (Option<Duration>, Option<bool>),
    callers: Option<&[Name]>,
    asked: Option<&Request>,
    parts: Parts<'_, '_>,
) {
    let (Some(timeout), Some(safe)) = (timeout, safe) else { return };
    let rungs = Rungs { section, timeout, safe };
    let upstream = asked.and_then(|asked| parts.upstreams.get(asked.upstream.as_str()));
    upstream.into_iter().for_each(|upstream| rungs.above(upstream));
    for name in callers.unwrap_or_default() {
        let scheme = parts.callers.get(name.as_str());
        scheme.into_iter().for_each(|scheme| rungs.beside(name, scheme));
    }
}

fn safe(section: &Section<'_>) -> Option<bool> {
    section.read("safe", section.value("request").is_none_or(|value| reads(&value)), flag)
}

/// Whether the method is one that changes nothing. What is wrong with it is told where the request
/// is read, so a word that is no method is no second fault here.
fn reads(request: &Value<'_>) -> bool {
    let Content::Map(entries) = request.content() else {
        return true;
    };
    let method = entries.iter().find(|(key, _)| key.text == "method");
    let Some(Content::Scalar(scalar)) = method.map(|(_, node)| &node.content) else {
        return true;
    };
    !matches!(&*scalar.text, "POST" | "PUT" | "PATCH" | "DELETE")
}

fn refuse_unsafe_cache(value: &Value<'_>, safe: Option<bool>) {
    if safe == Some(false) {
        value.refuse_key(
            "keeps answers of an action that is not safe",
            "remove it, or write `safe: true` if asking twice changes nothing",
        );
    }
}

fn cache(
    section: &Section<'_>,
    fields: Option<&[Field]>,
    asked: Option<&Request>,
    timeout: Option<Duration>,
) -> Option<CachePolicy> {
    const SHARED: [(&str, SharedBy); 3] =
        [("org", SharedBy::Org), ("caller", SharedBy::Caller), ("all", SharedBy::All)];
    let ttl = section.required("ttl", "write how long an answer is fresh, such as 60s", span);
    let inputs = fields.unwrap_or_default();
    let named = |value: &Value<'_>| match fields {
        Some(fields) => input_named(value, fields),
        None => text(value),
    };
    let every = inputs.iter().map(|field| (*field.name).to_owned()).collect();
    let key = section.read("key", every, |value| each_once(value, "write a list of inputs", named));
    let customer = section.optional("customer", named);
    if let Some(key) = &key {
        refuse_shared_entries(section, key, fields.and(asked), customer.as_ref());
    }
    let shared_by = section.read("shared_by", SharedBy::Org, |value| choice(value, &SHARED));
    let time = |key, default| section.read(key, default, duration);
    let stale_while_revalidate = time("stale_while_revalidate", Duration::ZERO);
    let stale_if_error = time("stale_if_error", Duration::ZERO);
    let stale_after = time("stale_after", Duration::from_millis(300));
    if let (Some(timeout), Some(spare), Some(after)) = (timeout, stale_if_error, stale_after)
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
    key: &[String],
    asked: Option<&Request>,
    customer: Option<&Option<String>>,
) {
    let Some(written) = section.value("key") else {
        return;
    };
    let lacks = |input: &&String| !key.contains(*input);
    let sent: Vec<&str> = asked
        .map_or(&[][..], |asked| &asked.sent)
        .iter()
        .filter(lacks)
        .map(|input| &**input)
        .collect();
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

fn fallback(section: &Section<'_>, output: Option<&Mapping>) -> Option<Option<Bytes>> {
    section.optional("fallback", |value| {
        let object = object(value)?;
        // Without its contract there is nothing to hold it against; the contract's fault is told.
        output?
            .check(&object)
            .map_err(|wrong| {
                wrong.into_iter().for_each(|what| {
                    value.refuse_key(what, "write values that fit the outputs");
                });
            })
            .ok()
    })
}

fn revision(
    name: &str,
    section: &Section<'_>,
    asked: Option<&Request>,
    upstreams: &Part<'_, Upstream>,
) -> Fingerprint {
    Shape {
        name,
        envelope: section.value("envelope").as_ref(),
        input: section.value("input").as_ref(),
        request: section.value("request").as_ref(),
        output: section.value("output").as_ref(),
        cache: section.value("cache").as_ref(),
        upstream: asked.and_then(|asked| upstreams.written(asked.upstream.as_str())),
    }
    .fingerprint()
}
