//! An exchange: one request of ours to somebody else, as far as a trace tells of it. Never a whole
//! address, which holds what callers sent.

use std::{sync::Arc, time::Duration};

use url::Url;

use crate::{
    chance,
    telemetry::{
        attempts::{self, Ended},
        propagation::TraceContext,
        stage::Stage,
        trail::Trail,
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
pub(super) struct Exchange {
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
    fn begin(
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

    /// How it ended, which is now.
    fn ended(self, ended: Ended) -> Exchanged {
        let (status, word) = (status(ended), word(ended));
        let is_well = matches!(ended, Ended::Status(..400) | Ended::Error(CANCELED));
        let took = time::now().saturating_duration_since(self.began);
        Exchanged { of: self, took, status, word, error: (!is_well).then_some(word) }
    }
}

fn status(ended: Ended) -> Option<u16> {
    match ended {
        Ended::Status(status) => Some(status),
        Ended::Error(_) => None,
    }
}

fn word(ended: Ended) -> &'static str {
    match ended {
        Ended::Status(status) => attempts::status_label(status),
        Ended::Error(error) => error,
    }
}

/// An exchange that is under way. When it is dropped it is noted in the trail: as canceled, unless
/// its end was told. The slow ones, of which callers tire, must not be missing where one looks for
/// them.
#[derive(Debug)]
pub struct UnderWay<'a> {
    trail: &'a Trail,
    exchange: Exchange,
    ended: Ended,
    reason: Option<&'static str>,
}

impl<'a> UnderWay<'a> {
    /// One that begins now, in the course of `within`. `resent` is how often it was sent before.
    pub fn begin(
        trail: &'a Trail,
        within: Stage,
        method: &http::Method,
        asked: (&Peer, Target),
        resent: u32,
    ) -> Self {
        let exchange = Exchange::begin(within, method, asked, resent);
        Self { trail, exchange, ended: Ended::Error(CANCELED), reason: None }
    }

    /// When it began.
    pub fn began(&self) -> Instant {
        self.exchange.began
    }

    /// The context that the other side is sent.
    pub fn context(&self) -> TraceContext {
        self.trail.context_below(self.exchange.span_id)
    }

    /// Tells how it ended. It has ended when this is dropped.
    pub fn end(&mut self, ended: Ended) {
        self.ended = ended;
    }

    /// Tells that it went wrong for a reason that its status does not tell.
    pub fn because(&mut self, reason: Option<&'static str>) {
        self.reason = reason;
    }

    /// How it ended, as far as was told.
    pub fn ended(&self) -> Ended {
        self.ended
    }

    /// The same in a word.
    pub fn word(&self) -> &'static str {
        word(self.ended)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let exchanged = self.exchange.clone().ended(self.ended);
        let error = self.reason.or(exchanged.error);
        self.trail.exchanged(Exchanged { error, ..exchanged });
    }
}

/// An exchange that has ended.
#[derive(Debug, Clone)]
pub(super) struct Exchanged {
    pub(super) of: Exchange,
    pub(super) took: Duration,
    pub(super) status: Option<u16>,
    pub(super) word: &'static str,
    /// The word for what went wrong.
    pub(super) error: Option<&'static str>,
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
