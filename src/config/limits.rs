//! `limits`: how many calls may pass, and whose are counted together.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    catalog::{
        limit::{Limit, LimitKey},
        name::Name,
    },
    config::{
        node::Content,
        section::{Section, Value},
        values::{count, flag, rate},
    },
};

const KEYS: &str = "write all, org, caller, action, input.NAME, or a list of these";
/// governor counts in 32 bits; more at once is no limit.
const LARGEST_BURST: u64 = 10_000_000;

/// One limit.
pub(super) fn limit(name: Name, section: &Section<'_>) -> Option<Limit> {
    let key = section.required("key", KEYS, keys);
    let period = section.required("rate", "write calls per second or minute, such as 50/s", rate);
    let burst =
        section.required("burst", "write how many may pass at once, such as 100", |value| {
            count(value, 1, LARGEST_BURST).and_then(NonZeroU32::new)
        });
    let enforce = section.read("enforce", true, flag);
    section.finish()?;
    // What is wrong has been told. Actions are still held against the key.
    let (period, burst) = (period.unwrap_or(Duration::MAX), burst.unwrap_or(NonZeroU32::MIN));
    Some(Limit { name, key: key?, period, burst, enforce: enforce.unwrap_or(true) })
}

fn keys(value: &Value<'_>) -> Option<Vec<LimitKey>> {
    let keys = match value.content() {
        Content::List(_) => value.list(KEYS, key)?,
        Content::Scalar(_) | Content::Map(_) | Content::Broken => vec![key(value)?],
    };
    let alone = keys.len() > 1 && keys.contains(&LimitKey::All);
    let twice = keys.iter().enumerate().any(|(at, key)| keys[..at].contains(key));
    if keys.is_empty() {
        value.refuse("is an empty list", "write `all` to count all calls together");
    } else if alone {
        value.refuse("has `all` beside other keys", "write `all` alone, or leave it out");
    } else if twice {
        value.refuse("names a key twice", "write it once");
    } else {
        return Some(keys);
    }
    None
}

fn key(value: &Value<'_>) -> Option<LimitKey> {
    let text = value.plain("must be what calls have in common", KEYS)?;
    let key = match text {
        "all" => LimitKey::All,
        "org" => LimitKey::Org,
        "caller" => LimitKey::Caller,
        "action" => LimitKey::Action,
        _ => match text.strip_prefix("input.") {
            Some(input) if !input.is_empty() => LimitKey::Input(input.to_owned()),
            Some(_) | None => {
                let known = ["all", "org", "caller", "action", "input.NAME"];
                value.refuse(
                    format!("{} is no key of a limit", value.shown(text)),
                    value.one_of(text, known),
                );
                return None;
            }
        },
    };
    Some(key)
}
