//! `callers`: the ways to prove who is calling.

use std::time::Duration;

use http::HeaderName;
use secrecy::ExposeSecret as _;
use serde_json_path::JsonPath;
use url::Url;

use crate::{
    catalog::{
        caller::{ApiKey, Introspection, Proof, Scheme, VerdictPolicy},
        name::Name,
        region::{self, REGIONS},
    },
    config::{
        hosts::warn_of_plain_http,
        nearest::{by_distance, listed},
        section::{NOT_SUPPORTED, Section, Value},
        values::{
            base_url, choice, count, duration, header, json_path, secret, shown, span, url, word,
        },
    },
};

#[derive(Clone, Copy)]
enum Type {
    Introspection,
    ApiKey,
    Later,
}

const TYPES: [(&str, Type); 7] = [
    ("introspection", Type::Introspection),
    ("api_key", Type::ApiKey),
    ("rfc7662", Type::Later),
    ("tokens_me", Type::Later),
    ("jwt", Type::Later),
    ("basic", Type::Later),
    ("issued", Type::Later),
];
const BUILT: &str = "write introspection or api_key";

/// One way to prove who is calling.
pub(super) fn scheme(name: Name, section: &Section<'_>) -> Option<Scheme> {
    if name.as_str() == "none" {
        section.refuse("is the word for no caller at all", "write another name");
        return None;
    }
    let written = section.written("type", BUILT)?;
    let (default_header, built) = match choice(&written, &TYPES)? {
        Type::Introspection => ("X-Genesys-Auth-Token", true),
        Type::ApiKey => ("X-Api-Key", false),
        Type::Later => {
            written.refuse(NOT_SUPPORTED, BUILT);
            return None;
        }
    };
    let default_name = HeaderName::from_bytes(default_header.as_bytes());
    let default_name = default_name.expect("both defaults are names of headers");
    let header = section.read("header", (default_name, default_header.to_owned()), header);
    let proof = if built {
        introspection(section).map(|proof| Proof::Introspection(Box::new(proof)))
    } else {
        api_keys(section).map(Proof::ApiKey)
    };
    section.finish()?;
    let (header, header_text) = header?;
    Some(Scheme { name, header, header_text, proof: proof? })
}

fn introspection(section: &Section<'_>) -> Option<Introspection> {
    let url = authority(section);
    let org = section.optional("org", word);
    let clients = section.read("clients", Vec::new(), |value| {
        let clients = value.list("write a list of ids", word)?;
        if clients.is_empty() {
            // Taken for "any", a variable that is not set would open the door.
            value.refuse("names no client", "name one, or remove the key: any may call then");
            return None;
        }
        Some(clients)
    });
    let claims = section.section("claims");
    let claim = |key, default| {
        let default = JsonPath::parse(default).expect("the defaults are JSONPaths");
        claims.read(key, default, json_path)
    };
    let org_claim = claim("org", "$.organization.id");
    let client_claim = claim("client", "$.client_id");
    let expires_claim = claim("expires", "$.exp");
    claims.finish();
    let timeout = section.read("timeout", Duration::from_secs(2), span);
    let max_concurrent = section.read("max_concurrent", 16, |value| count(value, 1, 10_000));
    let verdicts = verdicts(&section.section("cache"));
    Some(Introspection {
        url: url?,
        org: org?,
        clients: clients?,
        org_claim: org_claim?,
        client_claim: client_claim?,
        expires_claim: expires_claim?,
        timeout: timeout?,
        max_concurrent: max_concurrent?,
        verdicts: verdicts?,
    })
}

fn verdicts(section: &Section<'_>) -> Option<VerdictPolicy> {
    const MOST: u64 = 10_000_000;
    let ttl = section.read("ttl", Duration::from_secs(3600), span);
    let refused_ttl = section.read("refused_ttl", Duration::from_secs(10), duration);
    let capacity = section.read("capacity", 100_000, |value| count(value, 1, MOST));
    let refused_capacity = section.read("refused_capacity", 10_000, |value| count(value, 1, MOST));
    let stale_on_outage = section.read("stale_on_outage", Duration::ZERO, duration);
    section.finish()?;
    Some(VerdictPolicy {
        ttl: ttl?,
        refused_ttl: refused_ttl?,
        capacity: capacity?,
        refused_capacity: refused_capacity?,
        stale_on_outage: stale_on_outage?,
    })
}

/// The whole address: `url`, else `api_base` and `path`, else the region's host and `path`. The
/// region may stand beside the others, so that one environment variable is enough to leave it.
fn authority(section: &Section<'_>) -> Option<Url> {
    let region = section.read("region", "us-east-1".to_owned(), region);
    let api_base = section.value("api_base");
    let path = section.value("path");
    if let Some(whole) = section.value("url") {
        for other in [&api_base, &path].into_iter().flatten() {
            other.refuse_key("stands beside url, which is the whole address", "remove one of them");
        }
        let address = url(&whole)?;
        warn_of_plain_http(&whole, &address);
        region?;
        return Some(address);
    }
    let path = path.map_or_else(|| Some("/api/v2/oauth2/introspect".to_owned()), |it| path_of(&it));
    let base = match &api_base {
        Some(value) => base_url(value).map(|base| {
            warn_of_plain_http(value, &base);
            base.to_string()
        }),
        None => region.as_deref().and_then(region::api_base),
    };
    let (base, path, _) = (base?, path?, region?);
    Url::parse(&format!("{}{path}", base.trim_end_matches('/'))).ok()
}

fn region(value: &Value<'_>) -> Option<String> {
    let words = || REGIONS.iter().map(|(name, _)| *name);
    let text = value.plain("must be a region of Genesys Cloud", "write it like eu-west-1")?;
    if region::api_base(text).is_none() {
        let nearest: Vec<_> =
            by_distance(text, words()).into_iter().map(|(_, name)| name).collect();
        let instead = format!("write one of {}", listed(&nearest));
        value.refuse(format!("{} is no region of Genesys Cloud", shown(text)), instead);
        return None;
    }
    Some(text.to_owned())
}

fn path_of(value: &Value<'_>) -> Option<String> {
    const INSTEAD: &str = "write it like /api/v2/oauth2/introspect";
    let text = value.plain("must be a path", INSTEAD)?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '\\');
    if !text.starts_with('/') || text.contains(odd) {
        value.refuse("must be a path that begins with / and has no query", INSTEAD);
        return None;
    }
    Some(text.to_owned())
}

fn api_keys(section: &Section<'_>) -> Option<Vec<ApiKey>> {
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
