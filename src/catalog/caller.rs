//! Schemes: the ways in which a call proves who makes it.

use std::time::Duration;

use http::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use serde_json_path::JsonPath;
use url::Url;

use crate::{catalog::name::Name, fingerprint::same_secret};

/// A way to prove who is calling.
#[derive(Debug)]
pub struct Scheme {
    /// Its name.
    pub name: Name,
    /// The header that carries the proof.
    pub header: HeaderName,
    /// The header as the configuration spells it, for sentences to people.
    pub header_text: String,
    /// What is done with it.
    pub proof: Proof,
}

/// What is done with the header's value. Two that are equal come to the same verdicts.
#[derive(Debug, PartialEq)]
pub enum Proof {
    /// A token authority is asked.
    Introspection(Box<Introspection>),
    /// It is compared with keys that are known here.
    ApiKey(Vec<ApiKey>),
}

/// A key and whose it is.
#[derive(Debug)]
pub struct ApiKey {
    /// The caller it stands for.
    pub client: String,
    /// The key.
    pub key: SecretString,
}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        let (key, known) = (self.key.expose_secret(), other.key.expose_secret());
        self.client == other.client && same_secret(key.as_bytes(), known.as_bytes())
    }
}

/// How a token authority is spoken to.
#[derive(Debug, PartialEq)]
pub enum Dialect {
    /// As the tutorial has it: the token as the bearer and in a JSON body, by POST.
    Tutorial,
}

/// How the token authority is asked, and how long its verdict holds.
#[derive(Debug, PartialEq)]
pub struct Introspection {
    /// How it is spoken to.
    pub dialect: Dialect,
    /// The whole address.
    pub url: Url,
    /// Only this organisation. `None`: any that the authority vouches for.
    pub org: Option<String>,
    /// Only these OAuth clients. Empty: any.
    pub clients: Vec<String>,
    /// Where its answer names the organisation.
    pub org_claim: JsonPath,
    /// Where its answer names the OAuth client.
    pub client_claim: JsonPath,
    /// Where its answer says when the token expires, in seconds since 1970.
    pub expires_claim: JsonPath,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// Introspections under way at once.
    pub max_concurrent: u32,
    /// How verdicts are kept.
    pub verdicts: VerdictPolicy,
}

/// How verdicts are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerdictPolicy {
    /// How long a good one holds, never past the authority's expiry.
    pub ttl: Duration,
    /// How long a refusal holds.
    pub refused_ttl: Duration,
    /// How many good ones are kept.
    pub capacity: u64,
    /// How many refusals are kept, in a table of their own.
    pub refused_capacity: u64,
    /// How long a verdict past its `ttl`, never past its expiry, serves while the authority is down.
    pub stale_on_outage: Duration,
}
