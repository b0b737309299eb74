//! `callers` of type `issued`: where their tokens are fetched, by whom, and what they are signed with.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    catalog::caller::{Issued, KnownSecret, Proof, Scheme},
    config::{
        callers::keys,
        links::Part,
        secrets::{self, secret},
        section::{Section, Value},
        values::{duration, plain_path, shown},
    },
};

/// A token must outlive a few calls, or each of them fetches one.
const SHORTEST: Duration = Duration::from_secs(60);
/// As long as Genesys Cloud lets its own hold: what is signed cannot be taken back for good.
const LONGEST: Duration = Duration::from_secs(48 * 3600);
/// Bytes of a signing key: as many as of a signature.
const KEY: usize = 32;

/// How tokens are issued and known again.
pub(super) fn issued(section: &Section<'_>) -> Option<Issued> {
    const INSTEAD: &str = "write ${file:/path} of a file with at least 32 characters, such as \
                           `openssl rand -base64 32` makes";
    let path = section.read("path", "/oauth/token".to_owned(), |value| {
        plain_path(value, "write it like /oauth/token")
    });
    let clients = keys::clients(section);
    let ttl = section.read("ttl", Duration::from_secs(3600), ttl);
    let key = section.required("key", INSTEAD, |value| {
        let key = secret(value, secrets::KEY)?;
        if key.expose_secret().len() < KEY {
            value.refuse("is shorter than 32 characters: tokens could be forged", INSTEAD);
            return None;
        }
        refuse_a_clients(value, &key, clients.as_deref().unwrap_or_default())?;
        Some(key)
    });
    Some(Issued { path: path?, clients: clients?, ttl: ttl?, key: key? })
}

/// A client that knew the key could sign tokens for all.
fn refuse_a_clients(value: &Value<'_>, key: &SecretString, clients: &[KnownSecret]) -> Option<()> {
    let same = clients.iter().find(|known| known.secret.expose_secret() == key.expose_secret());
    let Some(client) = same else { return Some(()) };
    let what = format!("is the secret of the client {}", shown(&client.client));
    value.refuse(what, "write a key that nobody else knows");
    None
}

fn ttl(value: &Value<'_>) -> Option<Duration> {
    let ttl = duration(value)?;
    if !(SHORTEST..=LONGEST).contains(&ttl) {
        value.refuse("must be from 1m to 48h", "write a time between them, such as 1h");
        return None;
    }
    Some(ttl)
}

/// Refuses a path of tokens that is below the actions' own, or another scheme's.
pub(in crate::config) fn refuse_taken_paths(callers: &Part<'_, Scheme>, base_path: &str) {
    let paths = callers.built().filter_map(|(name, scheme)| match &scheme.proof {
        Proof::Issued(issued) => Some((name, &*issued.path)),
        Proof::Introspection(_) | Proof::Jwt(_) | Proof::ApiKey(_) | Proof::Basic(_) => None,
    });
    let paths: Vec<_> = paths.collect();
    for (at, (name, path)) in paths.iter().enumerate() {
        let below = path
            .strip_prefix(base_path)
            .is_some_and(|rest| matches!(rest.as_bytes(), [] | [b'/', ..]));
        let same = paths[..at].iter().find(|(_, other)| other == path);
        let Some(scheme) = callers.written(name.as_str()).map(Value::section) else { continue };
        let written = scheme.value("path");
        let path = written.as_ref().map_or_else(|| shown(path), |written| written.shown(path));
        let what = match same {
            _ if below => format!("tokens are fetched at {path}, where the actions are"),
            Some((other, _)) => {
                format!("tokens are fetched at {path}, as those of callers.{other}")
            }
            None => continue,
        };
        match written {
            Some(written) => written.refuse(what, "write another path"),
            None => scheme.refuse(what, "write another `path`"),
        }
    }
}
