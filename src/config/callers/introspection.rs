//! `callers` of the types that ask a token authority: its address, its claims, how long its verdicts
//! hold.

use std::time::Duration;

use url::Url;

use crate::{
    catalog::{
        caller::{Credentials, Dialect, Introspection},
        region::{self, REGIONS},
    },
    config::{
        callers::{
            admission::{Usual, admission},
            verdicts::verdicts,
        },
        hosts::warn_of_plain_http,
        nearest::{by_distance, listed},
        secrets::{self, secret},
        section::{Section, Value},
        values::{base_url, count, shown, span, url, word},
    },
};

/// How long a good verdict holds that names its own end.
const TTL: Duration = Duration::from_secs(3600);
/// How long one holds of which nobody says when the token ends: that long may it outlive the token.
const TTL_WITHOUT_END: Duration = Duration::from_secs(300);

/// The tutorial's authority.
pub(super) fn tutorial(section: &Section<'_>) -> Option<Introspection> {
    let usual = Usual {
        org: Some("$.organization.id"),
        client: "$.client_id",
        expires: Some("$.exp"),
        may_name_none: true,
    };
    let url = address(section, "/api/v2/oauth2/introspect");
    asked(section, Some(Dialect::Tutorial), url, &usual, [TTL; 2])
}

/// One of RFC 7662.
pub(super) fn rfc7662(section: &Section<'_>) -> Option<Introspection> {
    let usual =
        Usual { org: None, client: "$.client_id", expires: Some("$.exp"), may_name_none: false };
    let url = section.required("url", "write it like https://idp.example.com/introspect", public);
    let id = section.required("client_id", "write the name of our client there", word);
    let secret = section
        .required("client_secret", secrets::FROM_OUTSIDE, |value| secret(value, secrets::KEY));
    let credentials = id.zip(secret).map(|(id, secret)| Credentials { id, secret });
    let ttl = [TTL, TTL_WITHOUT_END];
    let asked = asked(section, credentials.map(Dialect::Rfc7662), url, &usual, ttl);
    if section.value("org").or_else(|| section.value("clients")).is_none() {
        section.warn(
            "names neither an organisation nor clients: whoever has a token that is active there may call",
            "add clients: with those that may, or org: and claims: {org: $.where.it.stands}",
        );
    }
    asked
}

/// Genesys Cloud's own.
pub(super) fn tokens_me(section: &Section<'_>) -> Option<Introspection> {
    let usual = Usual {
        org: Some("$.organization.id"),
        client: "$.OAuthClient.id",
        expires: None,
        may_name_none: false,
    };
    let mut url = address(section, "/api/v2/tokens/me");
    if let Some(url) = url.as_mut().filter(|url| !url.query_pairs().any(|(key, _)| key == IDLE)) {
        // Or each check would keep a token from idling.
        url.query_pairs_mut().append_pair(IDLE, "true");
    }
    let asked = asked(section, Some(Dialect::TokensMe), url, &usual, [TTL_WITHOUT_END; 2]);
    if section.value("org").or_else(|| section.value("clients")).is_none() {
        section.refuse(
            "names neither an organisation nor clients: the tokens of everybody in the region are good there",
            "add org: with the id of your organisation, or clients: with those of your OAuth clients",
        );
        return None;
    }
    asked
}

const IDLE: &str = "preserveIdleTTL";

/// What all have in common; verdicts hold for `ttl`, and for `endless_ttl` where nobody says when the
/// token ends, unless it is written.
fn asked(
    section: &Section<'_>,
    dialect: Option<Dialect>,
    url: Option<Url>,
    usual: &Usual,
    [ttl, endless_ttl]: [Duration; 2],
) -> Option<Introspection> {
    let admission = admission(section, usual);
    let timeout = section.read("timeout", Duration::from_secs(2), span);
    let max_concurrent = section.read("max_concurrent", 16, |value| count(value, 1, 10_000));
    let verdicts = verdicts(&section.section("cache"), ttl, endless_ttl, true);
    let (admission, expires_claim) = admission?;
    Some(Introspection {
        dialect: dialect?,
        url: url?,
        admission,
        expires_claim,
        timeout: timeout?,
        max_concurrent: max_concurrent?,
        verdicts: verdicts?,
    })
}

/// A whole address, with a warning where everybody could read what is sent there.
pub(super) fn public(value: &Value<'_>) -> Option<Url> {
    let address = url(value)?;
    warn_of_plain_http(value, &address);
    Some(address)
}

/// The whole address: `url`, else `api_base` and `path`, else the region's host and `path`. The
/// region may stand beside the others, so that one environment variable is enough to leave it.
fn address(section: &Section<'_>, usual_path: &'static str) -> Option<Url> {
    let region = section.read("region", "us-east-1".to_owned(), region);
    let api_base = section.value("api_base");
    let path = section.value("path");
    if let Some(whole) = section.value("url") {
        for other in [&api_base, &path].into_iter().flatten() {
            other.refuse_key("stands beside url, which is the whole address", "remove one of them");
        }
        let address = public(&whole)?;
        region?;
        return Some(address);
    }
    let path = path.map_or_else(|| Some(usual_path.to_owned()), |it| path_of(&it, usual_path));
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

fn path_of(value: &Value<'_>, usual: &str) -> Option<String> {
    let instead = format!("write it like {usual}");
    let text = value.plain("must be a path", &instead)?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '\\');
    if !text.starts_with('/') || text.contains(odd) {
        value.refuse("must be a path that begins with / and has no query", instead);
        return None;
    }
    Some(text.to_owned())
}
