//! How others are told of a scheme: as OpenAPI's security scheme, and as the credential with which
//! Genesys Cloud satisfies it. Never a secret.

use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use url::Url;

use crate::{
    catalog::{
        Catalog,
        action::Action,
        caller::{Proof, Scheme},
    },
    export::Site,
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

/// A field of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// Its name there.
    pub(super) key: &'static str,
    /// What stands in it.
    pub(super) filled: Filled,
}

/// What stands in a field of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filled {
    /// What whoever sets it up is asked for.
    Asked(Asked),
    /// The address of this service, with this path.
    Ours(String),
}

/// What whoever sets a credential up is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// How the name of its variable ends. None is the end of another, so that two schemes never
    /// share a variable.
    pub(super) ending: &'static str,
    /// One sentence for people.
    pub(super) description: &'static str,
    /// What stands there unless something else is said.
    pub(super) default: Option<String>,
    /// Whether it is shown to nobody.
    pub(super) secret: bool,
}

/// The scheme as OpenAPI tells it.
pub(super) fn security(scheme: &Scheme, site: Site<'_>) -> Value {
    let what = match &scheme.proof {
        Proof::ApiKey(_) => "A key of this service's own",
        Proof::Introspection(_) => "A token that the authority vouches for",
        Proof::Jwt(_) => "A token that its issuer has signed",
        Proof::Basic(_) => "A user and password of this service's own",
        Proof::Issued(_) => "A token that this service gives out",
    };
    let in_authorization = scheme.header == AUTHORIZATION;
    match &scheme.proof {
        Proof::Basic(_) if in_authorization => {
            json!({"type": "http", "scheme": "basic", "description": what})
        }
        Proof::Issued(issued) if in_authorization => {
            let url = format!("{}{}", site.origin, issued.path);
            let flow = json!({"tokenUrl": url, "scopes": {}});
            json!({"type": "oauth2", "flows": {"clientCredentials": flow}, "description": what})
        }
        Proof::Jwt(_) if in_authorization => json!({
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": what
        }),
        Proof::ApiKey(_) | Proof::Introspection(_) if in_authorization => {
            json!({"type": "http", "scheme": "bearer", "description": what})
        }
        Proof::ApiKey(_)
        | Proof::Introspection(_)
        | Proof::Jwt(_)
        | Proof::Basic(_)
        | Proof::Issued(_) => {
            let name = &scheme.header_text;
            json!({"type": "apiKey", "in": "header", "name": name, "description": what})
        }
    }
}

/// Whether somebody outside must be asked about its proofs, who may not be there.
pub(super) fn asks_outside(scheme: &Scheme) -> bool {
    match scheme.proof {
        Proof::Introspection(_) | Proof::Jwt(_) => true,
        Proof::ApiKey(_) | Proof::Basic(_) | Proof::Issued(_) => false,
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
            fields: vec![secret(
                "apiKey",
                "api_key",
                "The key by which Holdline knows Genesys Cloud",
            )],
            sent: Some("${credentials.apiKey}"),
            fetches: false,
        },
        Proof::Basic(_) => Credential {
            kind: "basicAuth",
            fields: vec![
                asked("userName", "user_name", "The user as whom Genesys Cloud calls Holdline"),
                secret("password", "password", "The password of that user"),
            ],
            // In `Authorization`, where this service looks for it.
            sent: None,
            fetches: false,
        },
        Proof::Introspection(authority) => {
            let url =
                asked("loginUrl", "token_url", "Where tokens are fetched by client credentials");
            fetched_token(with_default(url, login(&authority.url)))
        }
        Proof::Jwt(_) => fetched_token(asked(
            "loginUrl",
            "token_url",
            "Where tokens are fetched by client credentials",
        )),
        Proof::Issued(issued) => {
            fetched_token(Held { key: "loginUrl", filled: Filled::Ours(issued.path.clone()) })
        }
    }
}

/// A token that Genesys Cloud fetches for a client.
fn fetched_token(url: Held) -> Credential {
    let id = asked("clientId", "client_id", "The client for which tokens are fetched");
    let secret = secret("clientSecret", "client_secret", "The secret of that client");
    Credential {
        kind: "userDefinedOAuth",
        fields: vec![id, secret, url],
        sent: Some("${authResponse.access_token}"),
        fetches: true,
    }
}

fn asked(key: &'static str, ending: &'static str, description: &'static str) -> Held {
    let filled = Filled::Asked(Asked { ending, description, default: None, secret: false });
    Held { key, filled }
}

fn secret(key: &'static str, ending: &'static str, description: &'static str) -> Held {
    let filled = Filled::Asked(Asked { ending, description, default: None, secret: true });
    Held { key, filled }
}

fn with_default(mut held: Held, value: Option<String>) -> Held {
    if let Filled::Asked(asked) = &mut held.filled {
        asked.default = value;
    }
    held
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
