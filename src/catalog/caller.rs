//! Schemes: the ways in which a call proves who makes it.

use std::time::Duration;

use http::HeaderName;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json_path::JsonPath;
use url::Url;

use crate::{catalog::name::Name, fingerprint::same_secret};

/// A way to prove who is calling.
#[derive(Debug, PartialEq, Eq)]
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

/// What is done with the header's value.
#[derive(Debug, PartialEq, Eq)]
pub enum Proof {
    /// A token authority is asked.
    Introspection(Box<Introspection>),
    /// It proves itself, by a signature.
    Jwt(Box<Jwt>),
    /// It is compared with keys that are known here.
    ApiKey(Vec<KnownSecret>),
    /// User and password, by HTTP Basic, are compared with those that are known here.
    Basic(Vec<KnownSecret>),
    /// It is a token that was issued here.
    Issued(Box<Issued>),
}

/// A secret that is known here, and whose it is: an API key, a user's password, the secret by which
/// a client fetches tokens.
#[derive(Debug)]
pub struct KnownSecret {
    /// The caller it stands for.
    pub client: String,
    /// The secret.
    pub secret: SecretString,
}

/// How tokens are issued here, and known again.
#[derive(Debug)]
pub struct Issued {
    /// The path at which clients fetch them.
    pub path: String,
    /// Who may.
    pub clients: Vec<KnownSecret>,
    /// How long one holds.
    pub ttl: Duration,
    /// What they are signed with: at least 32 bytes that all replicas share.
    pub key: SecretString,
}

impl PartialEq for KnownSecret {
    fn eq(&self, other: &Self) -> bool {
        self.client == other.client && same(&self.secret, &other.secret)
    }
}

impl Eq for KnownSecret {}

impl PartialEq for Issued {
    fn eq(&self, other: &Self) -> bool {
        let Self { path, clients, ttl, key } = self;
        *path == other.path
            && *clients == other.clients
            && *ttl == other.ttl
            && same(key, &other.key)
    }
}

impl Eq for Issued {}

/// How a token authority is spoken to.
#[derive(Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As the tutorial has it: the token as the bearer and in a JSON body, by POST.
    Tutorial,
    /// RFC 7662: the token in a form, by POST, and we say who we are.
    Rfc7662(Credentials),
    /// Genesys Cloud's own `tokens/me`: the token as the bearer, by GET. Every token that is good
    /// anywhere in the region is good there.
    TokensMe,
}

/// Who we are to an authority.
#[derive(Debug)]
pub struct Credentials {
    /// Our client there.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && same(&self.secret, &other.secret)
    }
}

impl Eq for Credentials {}

/// How the token authority is asked, and how long its verdict holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Introspection {
    /// How it is spoken to.
    pub dialect: Dialect,
    /// The whole address.
    pub url: Url,
    /// Who of those it vouches for may call.
    pub admission: Admission,
    /// Where its answer says when the token expires, in seconds since 1970. `None`: it never does.
    pub expires_claim: Option<JsonPath>,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// Introspections under way at once.
    pub max_concurrent: u32,
    /// How verdicts are kept.
    pub verdicts: VerdictPolicy,
}

/// Who of those that are vouched for may call, and where the claims say who it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Admission {
    /// Only this organisation. `None`: any that is vouched for.
    pub org: Option<String>,
    /// Only these OAuth clients. Empty: any.
    pub clients: Vec<String>,
    /// Where the claims name the organisation. `None`: nowhere, all callers are of one.
    pub org_claim: Option<JsonPath>,
    /// Whether claims must name one. If not, who names none is taken to be of the only one.
    pub names_org: bool,
    /// Where the claims name the OAuth client.
    pub client_claim: JsonPath,
}

/// How a token that proves itself is checked.
#[derive(Debug, PartialEq, Eq)]
pub struct Jwt {
    /// Where the keys of its issuer are.
    pub jwks: Url,
    /// Who must have issued it.
    pub issuer: String,
    /// Whom it must be for: any of these.
    pub audiences: Vec<String>,
    /// How it may be signed.
    pub algorithms: Vec<Algorithm>,
    /// Who of those that hold one may call.
    pub admission: Admission,
    /// How long the keys may take to come.
    pub timeout: Duration,
    /// How verdicts are kept.
    pub verdicts: VerdictPolicy,
}

/// A way to sign of which whoever checks the signature cannot make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA, PKCS #1 v1.5, SHA-256.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSA, PSS, SHA-256.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them, by their names in RFC 7518 and RFC 8037.
    pub const ALL: [(&'static str, Self); 9] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }
}

fn same(a: &SecretString, b: &SecretString) -> bool {
    same_secret(a.expose_secret().as_bytes(), b.expose_secret().as_bytes())
}

/// How verdicts are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerdictPolicy {
    /// How long a good one holds, never past the authority's expiry.
    pub ttl: Duration,
    /// How long one holds of which nobody says when the token ends.
    pub endless_ttl: Duration,
    /// How long a refusal holds.
    pub refused_ttl: Duration,
    /// How many good ones are kept.
    pub capacity: u64,
    /// How many refusals are kept, in a table of their own.
    pub refused_capacity: u64,
    /// How long a verdict past its `ttl`, never past its expiry, serves while the authority is down.
    pub stale_on_outage: Duration,
}
