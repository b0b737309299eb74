//! Callers of type `basic` and `issued`: what is read, and what is at fault in which words.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::{good_but, problems, unusual};
use crate::{
    catalog::caller::{Issued, KnownSecret, Proof, Scheme},
    config::{Loaded, parse},
};

const PORTAL: &str = "    type: api_key\n    keys: {ivr: a-key, web: another-key}\n";
const KEY: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "a-long-enough-secret";

fn env(name: &str) -> Option<String> {
    let known = [
        ("KEY", KEY),
        ("SECRET", SECRET),
        ("PASSWORD", "pass: wörd"),
        ("SHORT", "fifteen-letters"),
    ];
    known.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn loaded(keys: &str) -> Loaded {
    parse("f", &good_but(PORTAL, keys), &env).unwrap_or_else(|report| panic!("{report}"))
}

/// The scheme `portal`, of this type with these keys.
fn scheme(keys: &str) -> std::sync::Arc<Scheme> {
    let loaded = loaded(keys);
    assert_eq!(unusual(&loaded), [""; 0]);
    std::sync::Arc::clone(&loaded.catalog.callers["portal"])
}

fn issued(scheme: &Scheme) -> &Issued {
    match &scheme.proof {
        Proof::Issued(issued) => issued,
        other => panic!("{other:?}"),
    }
}

/// The problems of `portal` with these keys.
fn wrong(keys: &str) -> Vec<String> {
    problems(PORTAL, keys)
}

#[test]
fn a_password_may_be_any_text_that_can_be_typed() {
    let scheme =
        scheme("    type: basic\n    users: {ivr: \"${PASSWORD}\", käthe: \"${SECRET}\"}\n");
    assert_eq!(scheme.header_text, "Authorization");
    let Proof::Basic(users) = &scheme.proof else { panic!() };
    let told =
        |known: &KnownSecret| (known.client.clone(), known.secret.expose_secret().to_owned());
    assert_eq!(
        users.iter().map(told).collect::<Vec<_>>(),
        [("ivr", "pass: wörd"), ("käthe", SECRET)].map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    assert!(!format!("{scheme:?}").contains("wörd"));
}

#[test]
fn users_at_fault() {
    const INSTEAD: &str = "write one password for each user, such as ivr: \"${file:/path}\"";
    assert_eq!(
        wrong("    type: basic\n"),
        [format!("18:3 callers.portal.users: is missing; {INSTEAD}")]
    );
    assert_eq!(
        wrong("    type: basic\n    users: {}\n"),
        [format!("20:5 callers.portal.users: has no user; {INSTEAD}")]
    );
    assert_eq!(
        wrong(
            "    type: basic\n    users: {\"a:b\": one, web: \"\", \" \": \"a\\tb\", ivr: one}\n"
        ),
        [
            "20:13 callers.portal.users.\"a:b\": is a name with a colon or a control character, which \
             no user can send; write the name of a user",
            "20:30 callers.portal.users.web: is empty; write ${file:/path} or ${NAME}",
            "20:34 callers.portal.users.\" \": is a password of nobody; write the name of a user",
            "20:39 callers.portal.users.\" \": must be a text without control characters; write ${file:/path} or ${NAME}",
            "20:52 callers.portal.users.ivr: is the same password as that of `a:b`; write another",
        ]
    );
}

#[test]
fn tokens_are_issued_as_written_or_by_default() {
    let plain =
        scheme("    type: issued\n    clients: {ivr: \"${SECRET}\"}\n    key: \"${KEY}\"\n");
    let of = issued(&plain);
    assert_eq!((&*of.path, of.ttl), ("/oauth/token", Duration::from_secs(3600)));
    assert_eq!((&*of.clients[0].client, of.clients[0].secret.expose_secret()), ("ivr", SECRET));
    assert_eq!((of.key.expose_secret(), &*plain.header_text), (KEY, "Authorization"));
    assert!(!format!("{plain:?}").contains(SECRET) && !format!("{plain:?}").contains(KEY));
    let other = scheme(
        "    type: issued\n    path: /v2/token\n    ttl: 5m\n    header: X-Token\n    \
         clients: {ivr: \"${SECRET}\"}\n    key: \"${KEY}\"\n",
    );
    let of = issued(&other);
    assert_eq!((&*of.path, of.ttl), ("/v2/token", Duration::from_secs(300)));
    assert_eq!(other.header_text, "X-Token");
}

#[test]
fn what_is_at_fault_in_a_scheme_that_issues_tokens_is_told_at_once() {
    const LONG: &str = "write ${file:/path} of a file with at least 32 characters, such as \
                        `openssl rand -base64 32` makes";
    assert_eq!(
        wrong("    type: issued\n    path: oauth\n    ttl: 59s\n    clients: {}\n    key: short\n"),
        [
            "20:11 callers.portal.path: must be / and segments of letters, digits, -, _, . or ~ \
             without a / at the end; write it like /oauth/token"
                .to_owned(),
            "21:10 callers.portal.ttl: must be from 1m to 48h; write a time between them, such as 1h"
                .to_owned(),
            "22:5 callers.portal.clients: has no client; write one secret for each client, such as \
             ivr: \"${file:/path}\""
                .to_owned(),
            format!(
                "23:10 callers.portal.key: is shorter than 32 characters: tokens could be forged; {LONG}"
            ),
        ]
    );
    assert_eq!(
        wrong(&format!("    type: issued\n    ttl: 49h\n    clients: {{ivr: {SECRET}}}\n")),
        [
            format!("18:3 callers.portal.key: is missing; {LONG}"),
            "20:10 callers.portal.ttl: must be from 1m to 48h; write a time between them, such as 1h"
                .to_owned(),
        ]
    );
    assert_eq!(
        wrong(&format!(
            "    type: issued\n    clients: {{ivr: {SECRET}, web: {SECRET}, app: {KEY}}}\n    key: {KEY}\n"
        )),
        ["20:47 callers.portal.clients.web: is the same secret as that of `ivr`; write another",]
    );
    assert_eq!(
        wrong(&format!("    type: issued\n    clients: {{app: {KEY}}}\n    key: {KEY}\n")),
        ["21:10 callers.portal.key: is the secret of the client `app`; write a key that nobody \
             else knows",]
    );
}

#[test]
fn tokens_have_a_path_of_their_own() {
    let portal = |path: &str| {
        format!("    type: issued\n    clients: {{ivr: {SECRET}}}\n    key: {KEY}\n{path}")
    };
    for path in ["/data-action", "/data-action/token", "/data-action/a/b"] {
        assert_eq!(
            wrong(&portal(&format!("    path: {path}\n"))),
            [format!(
                "22:11 callers.portal.path: tokens are fetched at `{path}`, where the actions are; \
                 write another path"
            )]
        );
    }
    loaded(&portal("    path: /data-actions\n"));
    let base = format!(
        "server:\n  base_path: /oauth\n{}",
        &good_but(PORTAL, &portal(""))["version: 1\nserver:\n".len()..]
    );
    let report = super::refused(&format!("version: 1\n{base}"));
    let told = report.problems()[0].to_string();
    assert!(
        told.contains(
            "callers.portal: tokens are fetched at `/oauth/token`, where the actions are"
        ),
        "{report}"
    );
    let twice = format!("{}  portal2:\n{}", portal(""), portal(""));
    assert_eq!(
        wrong(&twice),
        [
            "22:3 callers.portal2: tokens are fetched at `/oauth/token`, as those of callers.portal; \
          write another `path`"
        ]
    );
}

#[test]
fn a_secret_that_can_be_guessed_is_warned_of() {
    let warned = |short: &str| {
        unusual(&loaded(&format!(
            "    type: issued\n    clients: {{ivr: {short}}}\n    key: \"${{KEY}}\"\n"
        )))
    };
    const CLIENT: &str = "20:20 callers.portal.clients.ivr";
    let guessed = "is short enough to be guessed";
    let instead = "write at least 16 characters, such as `openssl rand -base64 24` makes";
    assert_eq!(
        warned("\"${SHORT}\""),
        [format!("{CLIENT}: {guessed} (from the environment variable SHORT); {instead}")]
    );
    assert_eq!(
        warned("fifteen-letters"),
        [
            format!("{CLIENT}: is a secret in the clear; write ${{file:/path}} or ${{NAME}}"),
            format!("{CLIENT}: {guessed}; {instead}"),
        ]
    );
}

#[test]
fn secrets_in_the_clear_are_warned_of_each_at_its_place() {
    const CLEAR: &str = "is a secret in the clear; write ${file:/path} or ${NAME}";
    let issuing =
        format!("    type: issued\n    clients: {{ivr: {SECRET}}}\n    key: ${{NOT_SET:-{KEY}}}\n");
    assert_eq!(
        unusual(&loaded(&issuing)),
        [
            format!("20:20 callers.portal.clients.ivr: {CLEAR}"),
            format!("21:10 callers.portal.key: {CLEAR}"),
        ]
    );
    assert_eq!(
        unusual(&loaded("    type: basic\n    users: {ivr: \"pass: wörd\"}\n")),
        [format!("20:18 callers.portal.users.ivr: {CLEAR}")]
    );
}
