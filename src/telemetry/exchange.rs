//! An exchange: one request of ours to somebody else, as far as a trace tells of it. Never a whole
//! address, which holds what callers sent.

use std::{sync::Arc, time::Duration};

use url::Url;

use crate::{
    chance,
    telemetry::{
        attempts::{self, Ended},
        stage::Stage,
    },
    time::{self, Instant},
};

/// Its end where nobody waited for it any longer, which is nobody's failure.
const CANCELED: &str = "canceled";

/// Whom we ask. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its host, as configured.
    pub(super) address: Arc<str>,
    /// Its port.
    pub(super) port: u16,
}

impl Peer {
    /// Who is reached at that address.
    pub fn at(url: &Url) -> Self {
        let address = url.host_str().unwrap_or_default().into();
        Self { address, port: url.port_or_known_default().unwrap_or_default() }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The template of a path.
    Template(Arc<str>),
    /// A word of ours.
    Word(&'static str),
}

impl Target {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Template(template) => template,
            Self::Word(word) => word,
        }
    }
}

/// What is known of an exchange when it begins.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The stage that makes it.
    pub(super) within: Stage,
    /// A word of a closed list.
    pub(super) method: &'static str,
    pub(super) peer: Peer,
    pub(super) target: Target,
    /// How often it was sent before.
    pub(super) resent: u32,
    pub(super) span_id: u64,
    pub(super) began: Instant,
}

impl Exchange {
    /// One that begins now, in the course of `within`.
    pub fn begin(
        within: Stage,
        method: &http::Method,
        (peer, target): (&Peer, Target),
        resent: u32,
    ) -> Self {
        Self {
            within,
            method: attempts::method_label(method),
            peer: peer.clone(),
            target,
            resent,
            span_id: chance::id64(),
            began: time::now(),
        }
    }

    /// When it began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The id of its span, which is the parent of what the other side does.
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// How it ended, which is now.
    #[must_use]
    pub fn ended(self, ended: Ended) -> Exchanged {
        let (status, word) = match ended {
            Ended::Status(status) => (Some(status), attempts::status_label(status)),
            Ended::Error(error) => (None, error),
        };
        let is_well = matches!(ended, Ended::Status(..400) | Ended::Error(CANCELED));
        let took = time::now().saturating_duration_since(self.began);
        Exchanged { of: self, took, status, word, error: (!is_well).then_some(word) }
    }
}

/// An exchange that has ended.
#[derive(Debug, Clone)]
pub struct Exchanged {
    pub(super) of: Exchange,
    pub(super) took: Duration,
    pub(super) status: Option<u16>,
    pub(super) word: &'static str,
    /// The word for what went wrong.
    pub(super) error: Option<&'static str>,
}

impl Exchanged {
    /// The word for how it ended.
    pub fn word(&self) -> &'static str {
        self.word
    }

    /// The same, wrong for a reason that its status does not tell.
    #[must_use]
    pub fn because(self, reason: Option<&'static str>) -> Self {
        Self { error: reason.or(self.error), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_is_wrong_from_400_on_and_not_when_nobody_waits_any_longer() {
        let peer = Peer::at(&"https://crm.test/v2".parse().unwrap());
        assert_eq!((&*peer.address, peer.port), ("crm.test", 443));
        let error = |ended| {
            let target = Target::Word("token");
            let exchange = Exchange::begin(Stage::Upstream, &http::Method::GET, (&peer, target), 0);
            exchange.ended(ended).error
        };
        assert_eq!(error(Ended::Status(200)), None);
        assert_eq!(error(Ended::Status(302)), None);
        assert_eq!(error(Ended::Status(404)), Some("404"));
        assert_eq!(error(Ended::Status(418)), Some("4xx"));
        assert_eq!(error(Ended::Error("reset")), Some("reset"));
        assert_eq!(error(Ended::Error("canceled")), None);
    }
}
