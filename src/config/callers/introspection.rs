//! `callers` of the types that ask a token authority: its address, its claims, how long its verdicts
//! hold.

use std::time::Duration;

use serde_json_path::JsonPath;
use url::Url;

use crate::{
    catalog::{
        caller::{Dialect, Introspection, VerdictPolicy},
        region::{self, REGIONS},
    },
    config::{
        hosts::warn_of_plain_http,
        nearest::{by_distance, listed},
        section::{Section, Value},
        values::{base_url, count, duration, json_path, shown, span, url, word},
    },
};

/// How the authority is asked, and what its verdicts are worth.
pub(super) fn introspection(section: &Section<'_>) -> Option<Introspection> {
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
        dialect: Dialect::Tutorial,
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
