//! `callers`: the ways to prove who is calling.

mod admission;
mod introspection;
mod issued;
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
        section::{NOT_SUPPORTED, Section},
        values::{choice, header},
    },
};

#[derive(Clone, Copy)]
enum Type {
    Introspection,
    Rfc7662,
    TokensMe,
    ApiKey,
    Basic,
    Issued,
    Later,
}

const TYPES: [(&str, Type); 7] = [
    ("introspection", Type::Introspection),
    ("api_key", Type::ApiKey),
    ("rfc7662", Type::Rfc7662),
    ("tokens_me", Type::TokensMe),
    ("jwt", Type::Later),
    ("basic", Type::Basic),
    ("issued", Type::Issued),
];
const BUILT: &str = "write introspection, rfc7662, tokens_me, api_key, basic or issued";

/// One way to prove who is calling.
pub(super) fn scheme(name: Name, section: &Section<'_>) -> Option<Scheme> {
    if name.as_str() == "none" {
        section.refuse("is the word for no caller at all", "write another name");
    }
    let written = section.written("type", BUILT)?;
    let kind = choice(&written, &TYPES)?;
    let default_header = match kind {
        Type::Introspection => "X-Genesys-Auth-Token",
        Type::Rfc7662 | Type::TokensMe => "Authorization",
        Type::ApiKey => "X-Api-Key",
        Type::Basic | Type::Issued => "Authorization",
        Type::Later => {
            written.refuse(NOT_SUPPORTED, BUILT);
            return None;
        }
    };
    let default_name = HeaderName::from_bytes(default_header.as_bytes());
    let default_name = default_name.expect("the defaults are names of headers");
    let header = section.read("header", (default_name, default_header.to_owned()), header);
    let asked = |authority: Option<_>| authority.map(|it| Proof::Introspection(Box::new(it)));
    let proof = match kind {
        Type::Introspection => asked(introspection::tutorial(section)),
        Type::Rfc7662 => asked(introspection::rfc7662(section)),
        Type::TokensMe => asked(introspection::tokens_me(section)),
        Type::ApiKey => keys::api_keys(section).map(Proof::ApiKey),
        Type::Basic => keys::users(section).map(Proof::Basic),
        Type::Issued => issued::issued(section).map(|proof| Proof::Issued(Box::new(proof))),
        Type::Later => return None,
    };
    section.finish()?;
    let (header, header_text) = header?;
    Some(Scheme { name, header, header_text, proof: proof? })
}
