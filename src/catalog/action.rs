//! An action: a named operation, its contracts, and what it may cost.

use std::time::Duration;

use crate::{
    catalog::{
        contract::{Contract, Field},
        mapping::{Enveloped, Mapping},
        name::Name,
        policy::CachePolicy,
        template::RequestTemplate,
    },
    fingerprint::Fingerprint,
};

/// A named operation.
#[derive(Debug)]
pub struct Action {
    /// Its name, the last segment of the path.
    pub name: Name,
    /// One sentence for people.
    pub description: String,
    /// The schemes of which any one proves the caller. Empty: anybody may call.
    pub callers: Vec<Name>,
    /// The limits that apply, in this order.
    pub limits: Vec<Name>,
    /// The whole call, from request line to answer.
    pub timeout: Duration,
    /// The time-out that it has in Genesys Cloud, longer than ours, where the configuration says.
    pub genesys_timeout: Option<Duration>,
    /// Whether it may be repeated and cached.
    pub safe: bool,
    /// How bodies are wrapped.
    pub envelope: Envelope,
    /// How failures are told.
    pub failures: Failures,
    /// Whether answers carry `Cache-Status` and `Server-Timing`.
    pub debug_headers: bool,
    /// What must come in.
    pub input: Contract,
    /// The upstream asked.
    pub upstream: Name,
    /// How it is asked.
    pub request: RequestTemplate,
    /// What goes out.
    pub output: Mapping,
    /// How answers are kept. `None`: not at all.
    pub cache: Option<CachePolicy>,
    /// The last resort instead of a failure: a JSON object that satisfies the output contract.
    pub fallback: Option<Enveloped>,
    /// The fingerprint of everything in the configuration that shapes its answers. Part of each
    /// cache key: a changed mapping never meets an answer of the old one.
    pub revision: Fingerprint,
}

/// How long a call to an action with that time-out may take when its caller will wait for `asked`.
///
/// A caller can only shorten it. A quarter of a second of it, or a tenth where it is short, is kept
/// back for the way of the answer.
pub fn patience(timeout: Duration, asked: Option<Duration>) -> Duration {
    let total = asked.map_or(timeout, |asked| asked.min(timeout));
    total - MARGIN.min(total / 10)
}

/// How request and answer bodies are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// `{"data": {...}}`, as the tutorial has it.
    Data,
    /// The bare object, as Genesys Cloud sends it.
    Flat,
}

/// How failures are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failures {
    /// By the HTTP status and a problem document.
    Status,
    /// By a 200 with every output key and `outcome`, `status_code`, `stale`, `age_seconds`.
    Outcome,
}

/// What happens to a fetch when its caller hangs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHangUp {
    /// It is dropped: nobody else wants the answer.
    Cancel,
    /// It goes on: it changes something upstream, and half a change is worse.
    Finish,
}

/// What is kept back of a call's time so that the answer arrives before the caller's timer ends.
const MARGIN: Duration = Duration::from_millis(250);

impl Action {
    /// How long a call may take when its caller will wait for `asked`, or as long as the action
    /// says.
    pub fn patience(&self, asked: Option<Duration>) -> Duration {
        patience(self.timeout, asked)
    }

    /// The input that says whose data its answers are, where they are kept by customer.
    pub fn customer(&self) -> Option<&Field> {
        let name = self.cache.as_ref()?.customer.as_deref()?;
        self.input.fields().iter().find(|field| *field.name == *name)
    }

    /// What happens to an uncached fetch when its caller hangs up. A cached one always goes on: its
    /// answer serves the others.
    pub fn on_hang_up(&self) -> OnHangUp {
        if self.safe { OnHangUp::Cancel } else { OnHangUp::Finish }
    }
}
