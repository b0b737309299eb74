//! An upstream: a system behind us, and how it is treated.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use url::Url;

use crate::{
    catalog::{
        credential::Credential,
        name::Name,
        policy::{
            BreakerPolicy, ConcurrencyPolicy, HedgePolicy, QuotaPolicy, RetryPolicy, Timeouts,
        },
    },
    fingerprint::{Fields, Fingerprint, FingerprintKey},
    tls::{Identity, Roots},
};

/// A system behind us.
#[derive(Debug)]
pub struct Upstream {
    /// Its name.
    pub name: Name,
    /// Scheme, host, port and the path before every action's own.
    pub base_url: Url,
    /// Whom it must be, who we are to it, and what stands between.
    pub way: Way,
    /// Headers sent with each attempt.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How it is shown who asks.
    pub credential: Credential,
    /// How long an exchange may take.
    pub timeouts: Timeouts,
    /// What is repeated.
    pub retry: RetryPolicy,
    /// When it is given a rest.
    pub breaker: BreakerPolicy,
    /// How much of it is used at once.
    pub concurrency: ConcurrencyPolicy,
    /// What its vendor allows; `None`: nothing is counted.
    pub quota: Option<QuotaPolicy>,
    /// When a late attempt is given a second one beside it; `None`: never.
    pub hedge: Option<HedgePolicy>,
    /// Connections kept.
    pub pool: Pool,
    /// Bytes of a reply that are read, after decompression.
    pub max_reply: usize,
    /// Whether it is sent our trace context.
    pub propagate_trace: bool,
}

impl Upstream {
    /// Where the configuration names the certificate that it is shown.
    pub fn certificate_place(&self) -> String {
        format!("upstreams.{}.tls", self.name)
    }

    /// What stands for the one who asks it, as far as it tells askers apart: it may answer another one
    /// otherwise. What only proves who that is (a password, a client secret) is left out.
    pub fn asker(&self, key: &FingerprintKey) -> Fingerprint {
        let mut fields = Fields::new();
        fields.push(b"asker").push(&self.headers.len().to_be_bytes());
        for (name, value) in &self.headers {
            fields.push(name.as_str().as_bytes()).push(value.as_bytes());
        }
        fields.push_option(self.way.identity.as_ref().map(Identity::certificate));
        match &self.credential {
            Credential::None => fields.push(b"none"),
            Credential::Bearer { token } => fields.push(b"bearer").push(token.expose().as_bytes()),
            Credential::Basic { user, password: _ } => {
                fields.push(b"basic").push(user.expose().as_bytes())
            }
            Credential::Header { name, value } => {
                fields.push(b"header").push(name.as_str().as_bytes());
                fields.push(value.expose().as_bytes())
            }
            Credential::OAuth2(ours) => {
                fields.push(b"oauth2").push(ours.token_url.as_str().as_bytes());
                fields.push(ours.client_id.expose().as_bytes());
                fields.push_option(ours.scope.as_deref().map(str::as_bytes))
            }
        };
        key.of(fields.bytes())
    }
}

/// How a system is reached, its address aside. By itself: directly, and trusting whom the machine
/// trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// The root certificates of which one must have signed its own; `None`: those of the machine.
    pub roots: Option<Roots>,
    /// Who we are to it; `None`: nobody in particular.
    pub identity: Option<Identity>,
    /// The HTTP proxy before it; `None`: it is reached directly.
    pub proxy: Option<Url>,
}

/// Connections kept open while nobody uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// How many, to one host.
    pub idle: usize,
    /// How long. Shorter than the upstream's own keep-alive: the side that closes first decides
    /// who meets a dead connection.
    pub idle_timeout: Duration,
}
