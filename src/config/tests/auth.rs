//! `upstreams.*.auth`: each kind is read, its faults are told, its secrets are not, and who asks is
//! part of what is asked.

use crate::{
    catalog::credential::{Credential, Secret},
    config::{Loaded, parse},
};

use super::{good_but, unusual};

fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("S3CRET"),
        "SPACED" => Some("S3CRET two"),
        "CONTROL" => Some("S3CRET\u{7}"),
        "EMPTY" => Some(""),
        _ => None,
    }
    .map(str::to_owned)
}

/// The good file with these lines below the upstream.
fn with(lines: &str) -> String {
    good_but("    timeouts: {", &format!("    {lines}\n    timeouts: {{"))
}

fn loaded(auth: &str) -> Loaded {
    parse("f", &with(&format!("auth: {auth}")), &env).unwrap_or_else(|report| panic!("{report}"))
}

fn credential(auth: &str) -> Credential {
    loaded(auth).catalog.upstreams["crm"].credential.clone()
}

/// What is wrong with those lines, each without the file's name and the upstream's.
fn faults(lines: &str) -> Vec<String> {
    let report = parse("f", &with(lines), &env).unwrap_err();
    let text = format!("{report} {report:?}");
    assert!(!text.contains("S3CRET"), "{text}");
    let problems = report.problems().iter();
    problems.map(|problem| problem.to_string()[2..].replace("upstreams.crm.", "")).collect()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[test]
fn each_kind_is_read() {
    assert_eq!(credential("{type: none}"), Credential::None);
    assert_eq!(
        credential("{type: bearer, token: '${SECRET}'}"),
        Credential::Bearer { token: secret("S3CRET") }
    );
    assert_eq!(
        credential("{type: basic, user: us, password: 'a ${SPACED}'}"),
        Credential::Basic { user: secret("us"), password: secret("a S3CRET two") }
    );
    assert_eq!(
        credential("{type: header, name: X-Key, value: 'Key ${SECRET}'}"),
        Credential::Header {
            name: http::HeaderName::from_static("x-key"),
            value: secret("Key S3CRET")
        }
    );
    let Credential::OAuth2(ours) = credential(
        "{type: oauth2, token_url: 'https://login.example.com/t?a=b', client_id: us, \
         client_secret: '${SPACED}', scope: a b}",
    ) else {
        panic!("another kind")
    };
    assert_eq!(ours.token_url.as_str(), "https://login.example.com/t?a=b");
    assert_eq!((ours.client_id.expose(), ours.client_secret.expose()), ("us", "S3CRET two"));
    assert_eq!(ours.scope.as_deref(), Some("a b"));
    assert!(!format!("{:?}", loaded("{type: bearer, token: '${SECRET}'}")).contains("S3CRET"));
}

/// Lines below the upstream, and what is wrong with them.
const FAULTS: &[(&str, &str)] = &[
    ("auth: {}", "28:5 auth.type: is missing; write none, bearer, basic, header or oauth2"),
    ("auth: {type: barer}", "28:18 auth.type: `barer` is none of its words; write `bearer`"),
    ("auth: {type: none, token: x}", "28:24 auth.token: is not a key here; write `type`"),
    ("auth: {type: bearer}", "28:5 auth.token: is missing; write ${file:/path} or ${NAME}"),
    (
        "auth: {type: bearer, token: '${EMPTY}'}",
        "28:5 auth.token: is missing; write ${file:/path} or ${NAME}",
    ),
    (
        "auth: {type: bearer, token: 'Bearer ${SECRET}'}",
        "28:33 auth.token: must be visible ASCII without spaces: the token alone, without a \
             word before it (from the environment variable SECRET); write the secret alone there",
    ),
    (
        "auth: {type: basic, user: 'a:b', password: '${SECRET}'}",
        "28:31 auth.user: has a colon, at which the password would begin; write another user",
    ),
    (
        "auth: {type: basic, user: a, password: '${CONTROL}'}",
        "28:44 auth.password: must be a text without control characters (from the environment \
             variable CONTROL); write the secret alone there",
    ),
    (
        "auth: {type: basic, user: '', password: '${SECRET}'}",
        "28:31 auth.user: is empty; write another value",
    ),
    (
        "auth: {type: header, name: Host, value: '${SECRET}'}",
        "28:32 auth.name: is a header that HTTP itself sets; write it like X-Genesys-Auth-Token",
    ),
    (
        "auth: {type: header, name: X-Key, value: ' ${SECRET}'}",
        "28:46 auth.value: must be visible ASCII without a space at its ends (from the \
             environment variable SECRET); write the secret alone there",
    ),
    (
        "auth: {type: header, name: x-tenant, value: '${SECRET}'}",
        "27:15 headers.X-Tenant: is the header in which `auth` sends its credential; keep one \
             of the two",
    ),
];

#[test]
fn each_fault_is_told_at_its_place() {
    for (lines, expected) in FAULTS {
        assert_eq!(faults(lines), [*expected], "{lines}");
    }
}

#[test]
fn all_faults_of_one_are_told() {
    let oauth2 = |rest: &str| {
        let all = "token_url: https://l.example/t, client_id: a, client_secret: '${SECRET}'";
        faults(&format!("auth: {{type: oauth2, {}}}", rest.replace("ALL", all)))
    };
    assert_eq!(
        oauth2("scope: []"),
        [
            "28:5 auth.token_url: is missing; write it like https://login.example.com/oauth/token",
            "28:5 auth.client_id: is missing; write the id of our client",
            "28:5 auth.client_secret: is missing; write ${file:/path} or ${NAME}",
            "28:33 auth.scope: must be a scope; write words with a space between them, such as \
             `read write`",
        ]
    );
    assert_eq!(
        oauth2("ALL, scope: 'a  b'"),
        [
            "28:107 auth.scope: must be visible ASCII words with one space between them; write words \
          with a space between them, such as `read write`"
        ]
    );
    assert_eq!(
        oauth2("token_url: 'ftp://a', client_id: a, client_secret: 'ä'"),
        [
            "28:37 auth.token_url: must be an address that begins with http:// or https://; write \
             it like https://crm.example.com",
            "28:77 auth.client_secret: must be printable ASCII on one line; write ${file:/path} or ${NAME}",
        ]
    );
}

#[test]
fn tokens_in_the_clear_are_warned_of() {
    let warned = |host: &str| {
        let auth = format!(
            "{{type: oauth2, token_url: 'http://{host}/t', client_id: a, client_secret: '${{SECRET}}'}}"
        );
        unusual(&loaded(&auth))
    };
    assert_eq!(
        warned("login.example.com"),
        ["28:37 upstreams.crm.auth.token_url: is plain http to a public host: everybody on the \
          way can read it; write https://"]
    );
    assert!(warned("login.internal").is_empty());
}

#[test]
fn credentials_in_the_clear_are_warned_of_and_never_told() {
    for (auth, place) in [
        ("{type: bearer, token: S3CRET}", "28:33 upstreams.crm.auth.token"),
        ("{type: bearer, token: '${UNSET:-S3CRET}'}", "28:33 upstreams.crm.auth.token"),
        ("{type: basic, user: a, password: S3CRET}", "28:44 upstreams.crm.auth.password"),
        ("{type: header, name: X-Key, value: S3CRET}", "28:46 upstreams.crm.auth.value"),
        (
            "{type: oauth2, token_url: 'https://l.example/t', client_id: a, client_secret: S3CRET}",
            "28:89 upstreams.crm.auth.client_secret",
        ),
    ] {
        let loaded = loaded(auth);
        let clear = "is a secret in the clear; write ${file:/path} or ${NAME}";
        assert_eq!(unusual(&loaded), [format!("{place}: {clear}")]);
        assert!(!format!("{loaded:?}").contains("S3CRET"), "{auth}");
    }
}

#[test]
fn no_other_header_takes_the_place_of_the_credential() {
    let yaml = with("auth: {type: bearer, token: '${SECRET}'}");
    let both = yaml.replace("X-Tenant: acme", "authorization: '${SECRET}'");
    let report = parse("f", &both, &env).unwrap_err().to_string();
    assert!(
        report.contains("headers.authorization: is the header in which `auth` sends"),
        "{report}"
    );

    let yaml = with("auth: {type: header, name: X-Key, value: '${SECRET}'}");
    let keyed = yaml.replace("retry: {", "retry: {idempotency_key: X-KEY, ");
    let report = parse("f", &keyed, &env).unwrap_err().to_string();
    assert!(report.contains("retry.idempotency_key: is the header in which `auth`"), "{report}");

    let template = yaml.replace("method: GET", "headers: {x-key: '{lang}'}");
    let report = parse("f", &template, &env).unwrap_err().to_string();
    let expected =
        "request.headers.x-key: is the header in which the upstream's `auth` sends its credential";
    assert!(report.contains(expected), "{report}");
    let other = yaml.replace("method: GET", "headers: {x-other: '{customer_id}'}");
    assert!(parse("f", &other, &env).is_ok());
}

#[test]
fn who_asks_is_part_of_the_question_and_the_secret_is_not() {
    let revision = |auth: &str| loaded(auth).catalog.actions["customer-lookup"].revision;
    let oauth2 = |id: &str, secret: &str, scope: &str| {
        revision(&format!(
            "{{type: oauth2, token_url: 'https://l.example/t', client_id: {id}, \
             client_secret: '${{{secret}}}', scope: {scope}}}"
        ))
    };
    let ours = oauth2("a", "SECRET", "read");
    assert_eq!(ours, oauth2("a", "SPACED", "read"));
    assert_ne!(ours, oauth2("b", "SECRET", "read"));
    assert_ne!(ours, oauth2("a", "SECRET", "all"));
    let basic = |user: &str, secret: &str| {
        revision(&format!("{{type: basic, user: {user}, password: '${{{secret}}}'}}"))
    };
    assert_eq!(basic("a", "SECRET"), basic("a", "SPACED"));
    assert_ne!(basic("a", "SECRET"), basic("b", "SECRET"));
    assert_ne!(basic("a", "SECRET"), revision("{type: bearer, token: '${SECRET}'}"));
    assert_eq!(
        loaded("{type: bearer, token: '${SECRET}'}").settings.revision,
        loaded("{type: bearer, token: 'x${SECRET}'}").settings.revision
    );
    // What is held of the old one is not good for the new one.
    assert_ne!(
        credential("{type: bearer, token: '${SECRET}'}"),
        credential("{type: bearer, token: 'x${SECRET}'}")
    );
}
