//! Secrets by which callers prove themselves here, one for each caller: API keys, passwords of users,
//! secrets of clients that fetch tokens.

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    catalog::caller::KnownSecret,
    config::{
        secrets::{self, secret},
        section::{Section, Value},
        values::shown,
    },
};

/// What one kind of them is called, and how it is read.
struct Kind {
    /// The key below which they stand.
    key: &'static str,
    /// Whose they are.
    owner: &'static str,
    /// What one of them is.
    secret: &'static str,
    instead: &'static str,
    read: fn(&Value<'_>) -> Option<SecretString>,
    /// Whether the owner's name is sent before the secret, with a colon between them.
    named: bool,
}

/// `keys`: one secret for each caller, no two the same.
pub(super) fn api_keys(section: &Section<'_>) -> Option<Vec<KnownSecret>> {
    let kind = Kind {
        key: "keys",
        owner: "caller",
        secret: "key",
        instead: "write one key for each caller, such as ivr: \"${file:/path}\"",
        read: |value| secret(value, secrets::KEY),
        named: false,
    };
    known(section, &kind)
}

/// `users`: one password for each user, no two the same.
pub(super) fn users(section: &Section<'_>) -> Option<Vec<KnownSecret>> {
    let kind = Kind {
        key: "users",
        owner: "user",
        secret: "password",
        instead: "write one password for each user, such as ivr: \"${file:/path}\"",
        read: |value| secret(value, secrets::PASSWORD),
        named: true,
    };
    known(section, &kind)
}

/// `clients`: one secret for each client, no two the same.
pub(super) fn clients(section: &Section<'_>) -> Option<Vec<KnownSecret>> {
    let kind = Kind {
        key: "clients",
        owner: "client",
        secret: "secret",
        instead: "write one secret for each client, such as ivr: \"${file:/path}\"",
        read: client_secret,
        named: true,
    };
    known(section, &kind)
}

fn known(section: &Section<'_>, kind: &Kind) -> Option<Vec<KnownSecret>> {
    let written = section.required(kind.key, kind.instead, |value| Some(value.section()))?;
    let read: Vec<_> =
        written.entries().map(|(client, value)| (client, (kind.read)(&value), value)).collect();
    let mut whole = Some(());
    if read.is_empty() {
        let lacking = if kind.named { kind.owner } else { kind.secret };
        written.refuse(format!("has no {lacking}"), kind.instead);
        whole = None;
    }
    let mut known: Vec<KnownSecret> = Vec::with_capacity(read.len());
    for (client, secret, value) in read {
        whole = whole.and(name(client, &value, kind));
        let Some(secret) = secret else {
            whole = None;
            continue;
        };
        let same =
            known.iter().find(|other| other.secret.expose_secret() == secret.expose_secret());
        if let Some(other) = same {
            let what = format!("is the same {} as that of {}", kind.secret, shown(&other.client));
            value.refuse(what, "write another");
            whole = None;
        }
        known.push(KnownSecret { client: client.to_owned(), secret });
    }
    written.finish_open()?;
    whole.map(|()| known)
}

/// Refuses a name that is none, or cannot be sent.
fn name(client: &str, value: &Value<'_>, kind: &Kind) -> Option<()> {
    let Kind { owner, secret, .. } = kind;
    let what = if client.trim().is_empty() {
        format!("is a {secret} of nobody")
    } else if kind.named && client.contains(|c: char| c == ':' || c.is_control()) {
        format!("is a name with a colon or a control character, which no {owner} can send")
    } else {
        return Some(());
    };
    value.refuse_key(what, format!("write the name of a {owner}"));
    None
}

/// A client's secret. Whoever finds it can fetch tokens, and nobody but them sees how often it is
/// guessed.
fn client_secret(value: &Value<'_>) -> Option<SecretString> {
    const SHORT: usize = 16;
    let secret = secret(value, secrets::KEY)?;
    if secret.expose_secret().len() < SHORT {
        value.warn(
            "is short enough to be guessed",
            "write at least 16 characters, such as `openssl rand -base64 24` makes",
        );
    }
    Some(secret)
}
