//! `actions`: the operations themselves.

use std::time::Duration;

use crate::{
    catalog::{
        action::{Action, Envelope, Failures},
        caller::Scheme,
        contract::Contract,
        limit::{Limit, LimitKey},
        mapping::Enveloped,
        name::Name,
        upstream::Upstream,
    },
    config::{
        cached::{Around, cache},
        contracts::{Outputs, contract, names, outputs, refuse_unfit_for_outcome},
        json::object,
        ladder::{Rungs, genesys_timeout},
        links::{Part, each_once},
        nearest::listed,
        node::Content,
        request::{Request, request},
        revision::Shape,
        section::{Section, Value},
        upstreams::timeouts,
        values::{choice, flag, shown, span, text},
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
    let names = names(&section.section("input"));
    let (input, inputs) = (contract(&section.section("input")), names.as_deref());
    let limits = section.read("limits", Vec::new(), |value| limits(value, inputs, parts.limits));
    let timeout = section.read("timeout", Duration::from_secs(5), span);
    let genesys_timeout = genesys_timeout(section, timeout);
    let envelope = section.read("envelope", Envelope::Data, |value| choice(value, &ENVELOPES));
    let failures = section.read("failures", Failures::Status, |value| choice(value, &FAILURES));
    let debug_headers = section.read("debug_headers", false, flag);
    let safe = safe(section);
    let asked = section.required("request", "write upstream, method and path below it", |value| {
        request(&value.section(), inputs, parts.upstreams)
    });
    climb(section, (timeout, safe), callers.as_deref(), asked.as_ref(), parts);
    let output =
        section.required("output", "write at least one output", |value| outputs(&value.section()));
    if let (Some(Failures::Outcome), Some(outputs)) = (failures, &output) {
        refuse_unfit_for_outcome(&section.section("output"), &outputs.mapping);
    }
    let sent = asked.as_ref().map_or(&[][..], |asked| &asked.sent);
    let around = Around { inputs, sent, timeout, safe };
    let cache = section.optional("cache", |value| cache(value, around));
    let fallback = fallback(section, output.as_ref());
    if section.is_good_so_far() {
        warn_of_unused_inputs(section, sent, parts.limits);
        warn_of_optional_segments(section, input.as_ref(), asked.as_ref());
    }
    if envelope == Some(Envelope::Flat) {
        ["input", "output"].iter().for_each(|key| warn_of_undescribed(&section.section(key)));
        warn_of_unshaped(&section.section("output"));
    }
    section.strays(&["upstream", "method", "path", "headers", "body"], "request");
    section.strays(&["ttl", "stale_while_revalidate", "stale_if_error", "not_found"], "cache");
    let revision = revision(name.as_str(), section, asked.as_ref(), parts.upstreams);
    section.finish()?;
    let (asked, output) = (asked?, output?);
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
        upstream: asked.upstream?,
        request: asked.template?,
        output: output.wrong.is_empty().then_some(output.mapping)?,
        cache: cache?,
        fallback: fallback?,
        revision,
    })
}

const WRITE_CALLER: &str = "write the name of a caller, a list of names, or `none` for anybody";
pub(super) const ENVELOPES: [(&str, Envelope); 2] =
    [("data", Envelope::Data), ("flat", Envelope::Flat)];
pub(super) const FAILURES: [(&str, Failures); 2] =
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

fn limits(
    value: &Value<'_>,
    inputs: Option<&[&str]>,
    known: &Part<'_, Limit>,
) -> Option<Vec<Name>> {
    each_once(value, "write a list of names of limits", |item| {
        let name = known.named(item)?;
        let keys = known.get(name.as_str()).map_or(&[][..], |limit| &limit.key);
        for key in keys {
            let LimitKey::Input(input) = key else {
                continue;
            };
            if inputs.is_some_and(|inputs| !inputs.contains(&&**input)) {
                // The name may be out of a variable, which is not shown.
                let limit = known.written(name.as_str());
                let what = match limit.is_some_and(Value::holds_outside) {
                    true => "counts by an input that this action has not".to_owned(),
                    false => {
                        format!("counts by the input {}, which this action has not", shown(input))
                    }
                };
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
    let upstream = asked.and_then(|asked| asked.upstream.as_ref());
    if let Some(name) = upstream {
        // Of an upstream that is wrong elsewhere the times are known all the same.
        let written = parts.upstreams.written(name.as_str());
        let times = written.and_then(|value| timeouts(&value.section().section("timeouts")));
        if times.is_some_and(|times| rungs.above_attempt(name, times.attempt)) {
            let built = parts.upstreams.get(name.as_str());
            built.into_iter().for_each(|upstream| rungs.above(upstream));
        }
    }
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

fn fallback(section: &Section<'_>, outputs: Option<&Outputs<'_>>) -> Option<Option<Enveloped>> {
    section.optional("fallback", |value| {
        let mut object = object(value)?;
        // Without its contract there is nothing to hold it against; the contract's fault is told.
        let Outputs { mapping, wrong } = outputs?;
        object.retain(|name, _| !wrong.contains(&&**name));
        mapping
            .check(&object)
            .map_err(|wrong| {
                wrong.into_iter().for_each(|what| {
                    let output = section.value("output");
                    let hidden = output.is_some_and(|output| output.holds_outside());
                    let what = if hidden { "breaks what the outputs say".to_owned() } else { what };
                    value.refuse_key(what, "write values that fit the outputs");
                });
            })
            .ok()
    })
}

/// Warns of inputs that change nothing: neither the request nor what a limit counts.
fn warn_of_unused_inputs(section: &Section<'_>, sent: &[String], limits: &Part<'_, Limit>) {
    let of_limits: Vec<String> = section
        .value("limits")
        .and_then(|value| value.texts())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| limits.get(name))
        .flat_map(|limit| limit.key.clone())
        .filter_map(|key| match key {
            LimitKey::Input(input) => Some(input),
            LimitKey::All | LimitKey::Org | LimitKey::Caller | LimitKey::Action => None,
        })
        .collect();
    for (name, value) in section.section("input").entries() {
        if !sent.iter().chain(&of_limits).any(|used| used == name) {
            let what = "is used nowhere: neither in the request nor by a limit";
            value.warn_key(what, format!("write {{{name}}} in the request, or remove it"));
        }
    }
}

/// Warns of inputs that may be left out by their contract, and without which there is no address.
fn warn_of_optional_segments(
    section: &Section<'_>,
    input: Option<&Contract>,
    asked: Option<&Request>,
) {
    let template = asked.and_then(|asked| asked.template.as_ref());
    let (Some(input), Some(template)) = (input, template) else { return };
    let optional = input.fields().iter().filter(|field| !field.required);
    let optional = optional.filter(|field| template.places(&field.name).path);
    let names: Vec<&str> = optional.map(|field| &*field.name).collect();
    for (_, value) in section.section("input").entries().filter(|(name, _)| names.contains(name)) {
        value.warn_key("is needed by the path", "write `required: true`");
    }
}

/// Warns of what Genesys would show without a word to whoever builds a flow. Flat answers are those
/// that it takes as they are.
fn warn_of_undescribed(section: &Section<'_>) {
    let bare = |(name, value): (&'_ str, Value<'_>)| {
        let described = value.section().value("description").is_some();
        (!described).then(|| name.to_owned())
    };
    let bare: Vec<String> = section.entries().filter_map(bare).collect();
    if !bare.is_empty() {
        let names: Vec<&str> = bare.iter().map(|name| &**name).collect();
        let what = format!("has no description of {}", listed(&names));
        section.warn(what, "describe each in one sentence: Genesys shows it to who builds a flow");
    }
}

/// Warns of lists and objects of which Genesys, which takes flat answers as they are, cannot know what is
/// in them.
fn warn_of_unshaped(output: &Section<'_>) {
    for (of, lacking) in [("array", "items"), ("object", "properties")] {
        for (_, value) in output.entries() {
            let section = value.section();
            let kind = section.value("type");
            let is = |kind: &Value<'_>| matches!(kind.content(), Content::Scalar(kind) if kind.text == of);
            if kind.is_some_and(|kind| is(&kind)) && section.value(lacking).is_none() {
                let what = format!("is an {of} without {lacking}, which Genesys cannot have");
                value.warn_key(what, format!("write `{lacking}` with the type of what is in it"));
            }
        }
    }
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
        upstream: asked
            .and_then(|asked| asked.upstream.as_ref())
            .and_then(|name| upstreams.written(name.as_str())),
    }
    .fingerprint()
}
