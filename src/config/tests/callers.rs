//! Callers of each type: what they become, and what is wrong with them.

use std::time::Duration;

use crate::catalog::caller::{Algorithm, Dialect, Introspection, Jwt, Proof};

use super::{accepted, refused};

/// A file whose one caller is of these lines.
fn file(caller: &str) -> String {
    format!(
        "version: 1\n\
         callers:\n\
         \x20 c:\n\
         {caller}\
         upstreams: {{crm: {{base_url: https://crm.example.com}}}}\n\
         actions:\n\
         \x20 lookup:\n\
         \x20   caller: c\n\
         \x20   request: {{upstream: crm, path: /users}}\n\
         \x20   output: {{done: {{type: boolean, value: true}}}}\n"
    )
}

/// The same, a key on each line.
fn keys(keys: &[&str]) -> String {
    file(&keys.iter().map(|key| format!("    {key}\n")).collect::<String>())
}

fn proof(lines: &[&str]) -> (String, Proof) {
    let mut catalog = accepted(&keys(lines)).catalog;
    let scheme = catalog.callers.remove("c").expect("the caller");
    let scheme = std::sync::Arc::into_inner(scheme).expect("nobody else has it");
    (scheme.header_text, scheme.proof)
}

fn introspection(lines: &[&str]) -> (String, Introspection) {
    match proof(lines) {
        (header, Proof::Introspection(introspection)) => (header, *introspection),
        other => panic!("{other:?}"),
    }
}

/// What is said of a caller with these keys.
fn told(lines: &[&str]) -> Vec<String> {
    let report = refused(&keys(lines));
    report.problems().iter().map(|problem| problem.to_string()[2..].to_owned()).collect()
}

const RFC7662: [&str; 4] = [
    "type: rfc7662",
    "url: https://idp.example.com/introspect",
    "client_id: holdline",
    "client_secret: s3cr3t",
];

#[test]
fn an_authority_of_rfc_7662_knows_us_and_names_no_organisation() {
    let (header, idp) = introspection(&RFC7662);
    assert_eq!(header, "Authorization");
    let Dialect::Rfc7662(ours) = &idp.dialect else { panic!("{idp:?}") };
    assert_eq!(ours.id, "holdline");
    assert_eq!(idp.url.as_str(), "https://idp.example.com/introspect");
    assert_eq!((&idp.admission.org_claim, idp.admission.names_org), (&None, false));
    assert_eq!(idp.admission.client_claim.to_string(), "$.client_id");
    assert_eq!(idp.expires_claim.as_ref().unwrap().to_string(), "$.exp");
    assert_eq!((idp.timeout, idp.max_concurrent), (Duration::from_secs(2), 16));
    let ttls = |idp: &Introspection| [idp.verdicts.ttl, idp.verdicts.endless_ttl];
    assert_eq!(ttls(&idp), [3600, 300].map(Duration::from_secs));
    let written = introspection(&[&RFC7662[..], &["cache: {ttl: 20m}"]].concat()).1;
    assert_eq!(ttls(&written), [1200; 2].map(Duration::from_secs));
    assert!(!format!("{idp:?}").contains("s3cr3t"));

    assert_eq!(idp, introspection(&RFC7662).1);
    for (at, other) in [(1, "url: https://a.example"), (2, "client_id: a"), (3, "client_secret: a")]
    {
        let mut changed = RFC7662;
        changed[at] = other;
        assert_ne!(idp, introspection(&changed).1, "{other}");
    }
}

#[test]
fn tokens_me_is_asked_in_the_region_and_its_verdicts_do_not_hold_for_long() {
    let (header, real) =
        introspection(&["type: tokens_me", "region: eu-west-1", "org: acme", "header: X-Token"]);
    assert_eq!(header, "X-Token");
    assert_eq!(real.dialect, Dialect::TokensMe);
    let url = "https://api.mypurecloud.ie/api/v2/tokens/me?preserveIdleTTL=true";
    assert_eq!(real.url.as_str(), url);
    assert_eq!((real.admission.org.as_deref(), real.admission.names_org), (Some("acme"), true));
    assert_eq!(real.admission.client_claim.to_string(), "$.OAuthClient.id");
    assert_eq!(real.expires_claim, None);
    assert_eq!(real.verdicts.ttl, Duration::from_secs(300));
    let (_, real) = introspection(&["type: tokens_me", "clients: [ivr]"]);
    assert_eq!((real.admission.org, &*real.admission.clients), (None, &["ivr".to_owned()][..]));
}

#[test]
fn an_authority_of_rfc_7662_without_what_it_needs_is_refused() {
    assert_eq!(
        told(&["type: rfc7662"]),
        [
            "3:3 callers.c.url: is missing; write it like https://idp.example.com/introspect",
            "3:3 callers.c.client_id: is missing; write the name of our client there",
            "3:3 callers.c.client_secret: is missing; write ${file:/path} or ${NAME}",
        ]
    );
    let and = |key| [RFC7662.to_vec(), vec![key]].concat();
    assert_eq!(
        told(&and("org: acme")),
        [
            "8:5 callers.c.org: is compared with nothing: no claim is known to name the organisation; add claims: {org: $.where.it.stands}, or remove the key"
        ]
    );
    assert!(told(&and("region: eu-west-1"))[0].contains("callers.c.region: is not a key here"));
    assert!(told(&and("path: /x"))[0].contains("callers.c.path: is not a key here"));
    let mut clear = RFC7662;
    clear[1] = "url: http://idp.example.com/introspect";
    let warnings = accepted(&keys(&clear)).warnings;
    let of_http = |text: &str| text.contains("is plain http to a public host");
    assert!(warnings.iter().any(|warning| of_http(&warning.to_string())), "{warnings:?}");
}

#[test]
fn an_authority_of_rfc_7662_all_of_whose_tokens_may_call_is_warned_of() {
    let warned = |more: &[&str]| {
        let warnings = accepted(&keys(&[&RFC7662[..], more].concat())).warnings;
        let texts = warnings.iter().map(ToString::to_string);
        texts.filter(|text| !text.contains("client_secret")).collect::<Vec<_>>()
    };
    let all = warned(&[]);
    let expected = "callers.c: names neither an organisation nor clients: whoever has a token that is active there may call";
    assert!(all.len() == 1 && all[0].contains(expected), "{all:?}");
    assert!(warned(&["clients: [ivr]"]).is_empty());
    assert!(warned(&["claims: {org: $.tenant}", "org: acme"]).is_empty());
}

#[test]
fn tokens_me_without_a_word_about_who_may_call_is_refused() {
    assert_eq!(
        told(&["type: tokens_me", "region: eu-west-1"]),
        [
            "3:3 callers.c: names neither an organisation nor clients: the tokens of everybody in the region are good there; add org: with the id of your organisation, or clients: with those of your OAuth clients"
        ]
    );
    // An environment that lacks the variable opens nothing.
    assert_eq!(told(&["type: tokens_me", "org: \"${GENESYS_ORG_ID:-}\""]).len(), 1);
    let expires = told(&["type: tokens_me", "org: acme", "claims: {expires: $.exp}"]);
    assert!(expires[0].contains("callers.c.claims.expires: is not a key here"), "{expires:?}");
    let client = told(&["type: tokens_me", "org: acme", "client_id: x"]);
    assert!(client[0].contains("callers.c.client_id: is not a key here"), "{client:?}");
    let path = told(&["type: tokens_me", "org: acme", "path: me"]);
    assert!(path[0].ends_with("write it like /api/v2/tokens/me"), "{path:?}");
}

const JWT: [&str; 4] = [
    "type: jwt",
    "jwks: https://idp.example.com/jwks",
    "issuer: https://idp.example.com",
    "audience: holdline",
];

fn jwt(lines: &[&str]) -> Jwt {
    match proof(lines) {
        (_, Proof::Jwt(jwt)) => *jwt,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_that_proves_itself_is_checked_by_what_is_written() {
    let usual = jwt(&JWT);
    assert_eq!(usual.algorithms, [Algorithm::Rs256, Algorithm::Es256]);
    assert_eq!(
        (&*usual.issuer, &*usual.audiences),
        ("https://idp.example.com", &["holdline".to_owned()][..])
    );
    assert_eq!((&usual.admission.org_claim, usual.admission.names_org), (&None, false));
    assert_eq!(usual.verdicts.stale_on_outage, Duration::ZERO);
    assert_eq!(usual, jwt(&JWT));
    for more in [
        "algorithms: [EdDSA, PS512]",
        "claims: {org: $.tenant}",
        "claims: {client: $.azp}",
        "clients: [ivr]",
        "timeout: 1s",
        "cache: {ttl: 5m}",
    ] {
        assert_ne!(usual, jwt(&[JWT.to_vec(), vec![more]].concat()), "{more}");
    }
    let several = jwt(&[JWT[0], JWT[1], JWT[2], "audience: [a, b]"]);
    assert_eq!(several.audiences, ["a", "b"]);
}

#[test]
fn a_token_of_which_it_is_not_known_who_may_sign_it_for_whom_and_how_is_refused() {
    assert_eq!(
        told(&["type: jwt"]),
        [
            "3:3 callers.c.jwks: is missing; write it like https://idp.example.com/jwks",
            "3:3 callers.c.issuer: is missing; write what its tokens say in `iss`",
            "3:3 callers.c.audience: is missing; write what a token for us says in `aud`",
        ]
    );
    let and = |key| told(&[JWT.to_vec(), vec![key]].concat());
    assert_eq!(
        and("algorithms: [RS256, none, HS256, RS257]"),
        [
            "8:25 callers.c.algorithms[1]: is no signature: everybody could write such a token; write the one that the issuer signs with, such as RS256 or ES256",
            "8:31 callers.c.algorithms[2]: is symmetric: whoever can check a token could make one; write the one that the issuer signs with, such as RS256 or ES256",
            "8:38 callers.c.algorithms[3]: `RS257` is none of its words; write `RS256`",
        ]
    );
    assert_eq!(
        and("algorithms: []"),
        ["8:17 callers.c.algorithms: is an empty list: no token would do; write at least one"]
    );
    assert!(and("org: acme")[0].contains("callers.c.org: is compared with nothing"));
    for (key, place) in [
        ("url: https://a.example", "callers.c.url"),
        ("max_concurrent: 2", "callers.c.max_concurrent"),
        ("claims: {expires: $.exp}", "callers.c.claims.expires"),
        ("cache: {stale_on_outage: 5m}", "callers.c.cache.stale_on_outage"),
    ] {
        let told = and(key);
        assert!(told[0].contains(&format!("{place}: is not a key here")), "{told:?}");
    }
}
