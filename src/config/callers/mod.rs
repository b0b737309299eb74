//! `callers`: the ways to prove who is calling.

mod admission;
mod introspection;
mod issued;
mod jwt;
mod keys;
mod verdicts;

pub(super) use issued::refuse_taken_paths;

use http::HeaderName;

use crate::{
    catalog::{
        caller::{Proof, Scheme},
        name::Name,
    },
    config::{
        section::{Section, Value},
        values::{self, choice},
    },
};

#[derive(Clone, Copy)]
enum Type {
    Introspection,
    Rfc7662,
    TokensMe,
    Jwt,
    ApiKey,
    Basic,
    Issued,
}

const TYPES: [(&str, Type); 7] = [
    ("introspection", Type::Introspection),
    ("api_key", Type::ApiKey),
    ("rfc7662", Type::Rfc7662),
    ("tokens_me", Type::TokensMe),
    ("jwt", Type::Jwt),
    ("basic", Type::Basic),
    ("issued", Type::Issued),
];

const TYPE: &str = "write introspection, rfc7662, tokens_me, jwt, api_key, basic or issued";

/// The header of a caller's proof: not one that is read for what it is, whoever calls.
fn header(value: &Value<'_>) -> Option<(HeaderName, String)> {
    const READ: [&str; 10] = [
        "accept",
        "accept-encoding",
        "content-encoding",
        "content-type",
        "date",
        "expect",
        "traceparent",
        "tracestate",
        "x-deadline-ms",
        "x-request-id",
    ];
    let (name, text) = values::header(value)?;
    if READ.contains(&name.as_str()) {
        value.refuse("is a header that has a meaning of its own here", "write another name");
        return None;
    }
    Some((name, text))
}

/// One way to prove who is calling.
pub(super) fn scheme(name: Name, section: &Section<'_>) -> Option<Scheme> {
    if name.as_str() == "none" {
        section.refuse("is the word for no caller at all", "write another name");
    }
    let written = section.written("type", TYPE)?;
    let kind = choice(&written, &TYPES)?;
    let default_header = match kind {
        Type::Introspection => "X-Genesys-Auth-Token",
        Type::Rfc7662 | Type::TokensMe | Type::Jwt => "Authorization",
        Type::ApiKey => "X-Api-Key",
        Type::Basic | Type::Issued => "Authorization",
    };
    let default_name = HeaderName::from_bytes(default_header.as_bytes());
    let default_name = default_name.expect("the defaults are names of headers");
    let header = section.read("header", (default_name, default_header.to_owned()), header);
    let asked = |authority: Option<_>| authority.map(|it| Proof::Introspection(Box::new(it)));
    let proof = match kind {
        Type::Introspection => asked(introspection::tutorial(section)),
        Type::Rfc7662 => asked(introspection::rfc7662(section)),
        Type::TokensMe => asked(introspection::tokens_me(section)),
        Type::Jwt => jwt::jwt(section).map(|policy| Proof::Jwt(Box::new(policy))),
        Type::ApiKey => keys::api_keys(section).map(Proof::ApiKey),
        Type::Basic => keys::users(section).map(Proof::Basic),
        Type::Issued => issued::issued(section).map(|proof| Proof::Issued(Box::new(proof))),
    };
    section.finish()?;
    let (header, header_text) = header?;
    Some(Scheme { name, header, header_text, proof: proof? })
}
