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
pub(super) enum Credential {
    /// A fixed value: User Defined, with the field `apiKey`.
    Key,
    /// A token that it fetches for a client: User Defined (OAuth), with the fields `clientId`,
    /// `clientSecret` and `loginUrl`.
    Token {
        /// Where it is fetched, as far as that is known.
        from: Option<String>,
    },
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
        Proof::ApiKey(_) => Credential::Key,
        Proof::Introspection(authority) => Credential::Token { from: login(&authority.url) },
    }
}

/// The header that an action sends to satisfy it: name and Velocity template. `None` where Genesys
/// Cloud sends it by itself.
pub(super) fn header(scheme: &Scheme) -> Option<(&str, String)> {
    let value = match credential(scheme) {
        Credential::Key => "${credentials.apiKey}",
        Credential::Token { .. } => "${authResponse.access_token}",
    };
    let word = if scheme.header == AUTHORIZATION { "Bearer " } else { "" };
    Some((&scheme.header_text, format!("{word}{value}")))
}

/// Where a region of Genesys Cloud gives out the tokens that its API vouches for.
fn login(api: &Url) -> Option<String> {
    let domain = api.host_str()?.strip_prefix("api.")?;
    let known = crate::catalog::region::REGIONS.iter().any(|(_, known)| *known == domain);
    known.then(|| format!("https://login.{domain}/oauth/token"))
}
