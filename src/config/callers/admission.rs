//! Which of those that are vouched for may call, and where the claims about them stand.

use serde_json_path::JsonPath;

use crate::{
    catalog::caller::Admission,
    config::{
        section::Section,
        values::{json_path, word},
    },
};

/// Where claims stand unless it is written.
pub(super) struct Usual {
    /// The organisation. `None`: nowhere that is known.
    pub(super) org: Option<&'static str>,
    /// The OAuth client.
    pub(super) client: &'static str,
    /// When the token expires. `None`: there is no such key.
    pub(super) expires: Option<&'static str>,
    /// Whether a claim of the organisation may be missing at its usual place.
    pub(super) may_name_none: bool,
}

/// `org`, `clients` and `claims`, and where the claims say when a token expires.
pub(super) fn admission(
    section: &Section<'_>,
    usual: &Usual,
) -> Option<(Admission, Option<JsonPath>)> {
    let written_org = section.value("org");
    let org = written_org.as_ref().map_or(Some(None), |value| word(value).map(Some));
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
    let known = |path| JsonPath::parse(path).expect("the defaults are JSONPaths");
    let names_org = usual.org.is_none() || !usual.may_name_none;
    let org_claim = claims.read("org", usual.org.map(known), |value| json_path(value).map(Some));
    let client_claim = claims.read("client", known(usual.client), json_path);
    let expires_claim = match usual.expires {
        Some(path) => claims.read("expires", known(path), json_path).map(Some),
        None => Some(None),
    };
    let finished = claims.finish();
    if let (Some(org), Some(None)) = (&written_org, &org_claim) {
        org.refuse_key(
            "is compared with nothing: no claim is known to name the organisation",
            "add claims: {org: $.where.it.stands}, or remove the key",
        );
        return None;
    }
    finished?;
    let org_claim = org_claim?;
    let names_org = names_org && org_claim.is_some();
    let admission = Admission {
        org: org?,
        clients: clients?,
        org_claim,
        names_org,
        client_claim: client_claim?,
    };
    Some((admission, expires_claim?))
}
