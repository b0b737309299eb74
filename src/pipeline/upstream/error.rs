//! How attempts and fetches fail; the only reader of what comes out of the middleware chain.

use std::time::Duration;

use reqwest_middleware::Error as ChainError;

use crate::{
    client::WireError,
    pipeline::cache::{FetchFailure, Meaning},
    telemetry::stage::Decided,
};

/// Why one attempt gave no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttemptError {
    /// The exchange failed on the wire.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The call's time was up before the attempt had its own full time: this says nothing about the
    /// upstream.
    #[error("the call's time was up")]
    CutShort,
    /// The breaker is open; nothing was sent.
    #[error("the breaker is open")]
    BreakerOpen {
        /// After how long it may let one through.
        retry_after: Duration,
    },
    /// The upstream may not be asked yet: its quota is spent, or it said when to come back; nothing
    /// was sent.
    #[error("the upstream may not be asked yet")]
    Held {
        /// After how long it may.
        retry_after: Duration,
    },
    /// No permit in time; nothing was sent.
    #[error("too many attempts are under way")]
    Saturated,
}

impl AttemptError {
    /// Wraps it for the chain.
    pub(super) fn into_chain(self) -> ChainError {
        ChainError::middleware(self)
    }

    /// What came out of the chain. Every error in it is one of ours but reqwest's own.
    pub(super) fn of(error: &ChainError) -> Self {
        match error {
            ChainError::Reqwest(error) => Self::Wire(WireError::of(error)),
            ChainError::Middleware(error) => {
                error.downcast_ref().copied().unwrap_or(Self::Wire(WireError::Protocol))
            }
        }
    }

    /// Whether the upstream provably has not seen the request.
    pub(super) fn never_sent(self) -> bool {
        match self {
            Self::Wire(error) => error.never_sent(),
            Self::BreakerOpen { .. } | Self::Held { .. } | Self::Saturated => true,
            Self::CutShort => false,
        }
    }
}

/// Why a fetch gave no reply that can be mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamError {
    /// It answered with a status that is no success.
    Status {
        /// The status.
        status: u16,
        /// What it asked to wait.
        retry_after: Option<Duration>,
    },
    /// No connection, or it broke.
    Unreachable,
    /// An attempt's own time was up.
    TimedOut,
    /// The call's time was up before that.
    CutShort,
    /// The breaker is open.
    BreakerOpen {
        /// After how long it may let one through.
        retry_after: Duration,
    },
    /// It may not be asked yet: its quota is spent, or it said when to come back.
    Held {
        /// After how long it may.
        retry_after: Duration,
    },
    /// Too much is under way to it.
    Saturated,
    /// No token was issued to log in with; nothing was sent.
    NotIssued {
        /// Whether the issuer refused us, so that people have to mend it.
        refused: bool,
        /// After how long the issuer is asked again.
        retry_after: Duration,
    },
    /// The reply is larger than allowed.
    TooLarge,
    /// The reply is not HTTP, or cannot be decoded.
    Malformed,
    /// The request could not be made of inputs that had been found fit: a bug.
    Unrenderable,
}

impl From<AttemptError> for UpstreamError {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Wire(WireError::Timeout) => Self::TimedOut,
            AttemptError::CutShort => Self::CutShort,
            AttemptError::Wire(WireError::BodyTooLarge) => Self::TooLarge,
            AttemptError::Wire(WireError::Protocol) => Self::Malformed,
            AttemptError::Wire(
                WireError::Connect | WireError::Dns | WireError::Tls | WireError::Reset,
            ) => Self::Unreachable,
            AttemptError::BreakerOpen { retry_after } => Self::BreakerOpen { retry_after },
            AttemptError::Held { retry_after } => Self::Held { retry_after },
            AttemptError::Saturated => Self::Saturated,
        }
    }
}

impl UpstreamError {
    /// The word for it in `upstream_calls_total`, after so many attempts.
    pub(super) fn result(&self, attempts: u32) -> &'static str {
        match self {
            Self::BreakerOpen { .. } => "short_circuited",
            Self::Held { .. } | Self::Saturated => "shed",
            // It came with too little time left: nothing was sent that could have failed.
            Self::CutShort if attempts == 0 => "shed",
            // A clean refusal is an answer, not a failure of the upstream or of the way to it.
            Self::Status { .. } if self.meaning() != Meaning::Broken => "success",
            _ => "failure",
        }
    }
}

impl Decided for UpstreamError {
    fn decision(&self) -> &'static str {
        match self {
            Self::Status { status: 404, .. } => "not_found",
            Self::Status { status: 500.., .. } => "error",
            Self::Status { .. } => "rejected",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timeout",
            Self::CutShort => "deadline_exceeded",
            Self::BreakerOpen { .. } => "breaker_open",
            Self::Held { .. } => "held",
            Self::Saturated => "saturated",
            Self::NotIssued { .. } => "not_issued",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Unrenderable => "unrenderable",
        }
    }

    fn is_failure(&self) -> bool {
        self.meaning() == Meaning::Broken
    }
}

impl FetchFailure for UpstreamError {
    fn meaning(&self) -> Meaning {
        match self {
            Self::Status { status: 404, .. } => Meaning::NotFound,
            Self::Status { status: 410, .. } => Meaning::Gone,
            // Ours to mend (credentials, an address that moved), or a wish to wait: what we know
            // may stand in meanwhile.
            Self::Status { status: 401 | 403 | 407 | 408 | 429 | 300..=399 | 500.., .. } => {
                Meaning::Broken
            }
            // A bug must not hide behind an old answer either.
            Self::Status { .. } | Self::Unrenderable => Meaning::Refused,
            _ => Meaning::Broken,
        }
    }

    fn is_upstreams_own(&self) -> bool {
        match self {
            Self::Status { status: 500.., .. }
            | Self::Unreachable
            | Self::TimedOut
            | Self::TooLarge
            | Self::Malformed => true,
            Self::Status { .. }
            | Self::CutShort
            | Self::BreakerOpen { .. }
            | Self::Held { .. }
            | Self::Saturated
            | Self::NotIssued { .. }
            | Self::Unrenderable => false,
        }
    }

    fn told_after(mut self, age: Duration) -> Self {
        match &mut self {
            Self::Status { retry_after: Some(wait), .. }
            | Self::BreakerOpen { retry_after: wait }
            | Self::Held { retry_after: wait }
            | Self::NotIssued { retry_after: wait, .. } => *wait = wait.saturating_sub(age),
            _ => {}
        }
        self
    }
}
