//! How others are told of a scheme: as OpenAPI's security scheme, and as the credential with which
//! Genesys Cloud satisfies it. Never a secret.

use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use url::Url;

use crate::catalog::{
    Catalog,
    action::Action,
    caller::{Proof, Scheme},
};

/// What Genesys Cloud keeps and sends to satisfy a scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credential {
    /// Its type there.
    pub(super) kind: &'static str,
    /// What it holds.
    pub(super) fields: Vec<Held>,
    /// What an action sends of it in the scheme's header, in Velocity. `None` where Genesys Cloud
    /// sends it by itself.
    sent: Option<&'static str>,
    /// Whether Genesys Cloud fetches a token with it first.
    pub(super) fetches: bool,
}

/// A field of a credential, which whoever sets it up is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// Its name there.
    pub(super) key: &'static str,
    /// How the name of the variable ends that is asked for. None is the end of another, so that two
    /// schemes never share a variable.
    pub(super) ending: &'static str,
    /// One sentence for people.
    pub(super) description: &'static str,
    /// What stands there unless something else is said.
    pub(super) default: Option<String>,
    /// Whether it is shown to nobody.
    pub(super) secret: bool,
}

/// The scheme as OpenAPI tells it.
pub(super) fn security(scheme: &Scheme) -> Value {
    let what = match &scheme.proof {
        Proof::ApiKey(_) => "A key of this service's own",
        Proof::Introspection(_) => "A token that the authority vouches for",
    };
    if scheme.header == AUTHORIZATION {
        json!({"type": "http", "scheme": "bearer", "description": what})
    } else {
        json!({"type": "apiKey", "in": "header", "name": scheme.header_text, "description": what})
    }
}

/// Whether somebody outside must be asked about its proofs, who may not be there.
pub(super) fn asks_outside(scheme: &Scheme) -> bool {
    match scheme.proof {
        Proof::Introspection(_) => true,
        Proof::ApiKey(_) => false,
    }
}

/// The schemes that an action names.
pub(super) fn of_action<'a>(
    catalog: &'a Catalog,
    action: &'a Action,
) -> impl Iterator<Item = &'a Scheme> {
    action.callers.iter().filter_map(|name| Some(&**catalog.callers.get(name)?))
}

/// The scheme by which Genesys Cloud calls an action: the first, since any one will do. `None`:
/// anybody may call.
pub(super) fn for_genesys<'a>(catalog: &'a Catalog, action: &'a Action) -> Option<&'a Scheme> {
    of_action(catalog, action).next()
}

/// What Genesys Cloud keeps for it.
pub(super) fn credential(scheme: &Scheme) -> Credential {
    match &scheme.proof {
        Proof::ApiKey(_) => Credential {
            kind: "userDefined",
            fields: vec![Held {
                key: "apiKey",
                ending: "api_key",
                description: "The key by which Holdline knows Genesys Cloud",
                default: None,
                secret: true,
            }],
            sent: Some("${credentials.apiKey}"),
            fetches: false,
        },
        Proof::Introspection(authority) => fetched_token(login(&authority.url)),
    }
}

/// A token that Genesys Cloud fetches for a client, from there unless something else is said.
fn fetched_token(from: Option<String>) -> Credential {
    let held =
        |key, ending, description| Held { key, ending, description, default: None, secret: false };
    let id = held("clientId", "client_id", "The client for which tokens are fetched");
    let secret = held("clientSecret", "client_secret", "The secret of that client");
    let url = held("loginUrl", "token_url", "Where tokens are fetched by client credentials");
    Credential {
        kind: "userDefinedOAuth",
        fields: vec![id, Held { secret: true, ..secret }, Held { default: from, ..url }],
        sent: Some("${authResponse.access_token}"),
        fetches: true,
    }
}

/// The header that an action sends to satisfy it: name and Velocity template. `None` where Genesys
/// Cloud sends it by itself.
pub(super) fn header(scheme: &Scheme) -> Option<(&str, String)> {
    let sent = credential(scheme).sent?;
    let word = if scheme.header == AUTHORIZATION { "Bearer " } else { "" };
    Some((&scheme.header_text, format!("{word}{sent}")))
}

/// Where a region of Genesys Cloud gives out the tokens that its API vouches for.
fn login(api: &Url) -> Option<String> {
    let domain = api.host_str()?.strip_prefix("api.")?;
    let known = crate::catalog::region::REGIONS.iter().any(|(_, known)| *known == domain);
    known.then(|| format!("https://login.{domain}/oauth/token"))
}
