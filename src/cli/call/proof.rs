//! What proves the caller of a call, by what the configuration knows.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    catalog::{
        action::Action,
        caller::{Proof, Scheme},
    },
    pipeline::{Pipeline, authenticate::basic::Shown},
};

/// What proves the caller: what was given, in the header that the action asks for; else what the
/// configuration itself knows.
pub(super) fn of(
    pipeline: &Pipeline,
    action: &Action,
    given: Option<(Option<&HeaderName>, &SecretString)>,
) -> Option<(HeaderName, SecretString)> {
    let callers = &pipeline.catalog().callers;
    let mut schemes = action.callers.iter().filter_map(|name| callers.get(name.as_str()));
    match given {
        Some((Some(header), token)) => Some((header.clone(), token.clone())),
        Some((None, token)) => {
            let scheme = schemes.next()?;
            let shown = match &scheme.proof {
                Proof::Basic(_) => basic(token.expose_secret()),
                _ => token.clone(),
            };
            Some((scheme.header.clone(), shown))
        }
        None => schemes.find_map(|scheme| known_proof(pipeline, scheme)),
    }
}

/// The first key or user that the scheme knows, or a token for its first client.
fn known_proof(pipeline: &Pipeline, scheme: &Scheme) -> Option<(HeaderName, SecretString)> {
    let known = match &scheme.proof {
        Proof::ApiKey(known) | Proof::Basic(known) => known.first()?,
        Proof::Issued(issued) => issued.clients.first()?,
        Proof::Introspection(_) | Proof::Jwt(_) => return None,
    };
    let (client, secret) = (&known.client, known.secret.expose_secret());
    let shown = match &scheme.proof {
        Proof::Basic(_) => basic(&format!("{client}:{secret}")),
        Proof::Issued(issued) => {
            let shown = Shown::read(&STANDARD.encode(format!("{client}:{secret}")))?;
            pipeline.schemes().issuer(&issued.path)?.grant(&[shown]).ok()?.token
        }
        _ => known.secret.clone(),
    };
    eprintln!("as {client} ({})", scheme.name);
    Some((scheme.header.clone(), shown))
}

/// `user:password` as HTTP Basic shows it.
fn basic(user_and_password: &str) -> SecretString {
    format!("Basic {}", STANDARD.encode(user_and_password)).into()
}
