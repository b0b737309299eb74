//! Secrets by which callers prove themselves here, one for each caller.

use secrecy::ExposeSecret as _;

use crate::{
    catalog::caller::ApiKey,
    config::{
        section::Section,
        values::{secret, shown},
    },
};

/// `keys`: one secret for each caller, no two the same.
pub(super) fn api_keys(section: &Section<'_>) -> Option<Vec<ApiKey>> {
    const INSTEAD: &str = "write one key for each caller, such as ivr: \"${file:/path}\"";
    let keys = section.required("keys", INSTEAD, |value| Some(value.section()))?;
    let read: Vec<_> = keys
        .entries()
        .map(|(client, value)| {
            let key = secret(&value);
            (client, key, value)
        })
        .collect();
    let mut whole = Some(());
    if read.is_empty() {
        keys.refuse("has no key", INSTEAD);
        whole = None;
    }
    let mut known: Vec<ApiKey> = Vec::with_capacity(read.len());
    for (client, key, value) in read {
        let Some(key) = key else {
            whole = None;
            continue;
        };
        if client.trim().is_empty() {
            value.refuse_key("is a key of nobody", "write the name of a caller");
            whole = None;
        }
        let same = known.iter().find(|other| other.key.expose_secret() == key.expose_secret());
        if let Some(other) = same {
            value.refuse(
                format!("is the same key as that of {}", shown(&other.client)),
                "write another",
            );
            whole = None;
        }
        known.push(ApiKey { client: client.to_owned(), key });
    }
    keys.finish_open()?;
    whole.map(|()| known)
}
