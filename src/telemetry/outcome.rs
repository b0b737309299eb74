//! How a call ended, in closed words: the values of metric labels, of `code` in problem documents
//! and of `outcome` in answers. One list, so that a dashboard, a flow and a log line agree.

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words are explained in the reference of `outcome`")]
pub enum Outcome {
    Ok,
    NotFound,
    Stale,
    Fallback,
    BadRequest,
    Unauthenticated,
    Forbidden,
    UnknownAction,
    PayloadTooLarge,
    RateLimited,
    Canceled,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
    BreakerOpen,
    DeadlineExceeded,
    MappingError,
    AuthUnavailable,
    Overloaded,
    Draining,
    InternalError,
}

/// What an outcome means for the service's promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The caller got what is true now.
    Success,
    /// The caller got what was true a while ago, or a declared default.
    Degraded,
    /// The caller's own doing; outside the promise.
    Rejected,
    /// Ours or the upstream's.
    Failure,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Source {
    Upstream,
    CacheFresh,
    CacheStale,
    Coalesced,
    Fallback,
    None,
}

impl Outcome {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 22] = [
        Self::Ok,
        Self::NotFound,
        Self::Stale,
        Self::Fallback,
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::UnknownAction,
        Self::PayloadTooLarge,
        Self::RateLimited,
        Self::Canceled,
        Self::UpstreamError,
        Self::UpstreamRejected,
        Self::UpstreamTimeout,
        Self::UpstreamUnreachable,
        Self::BreakerOpen,
        Self::DeadlineExceeded,
        Self::MappingError,
        Self::AuthUnavailable,
        Self::Overloaded,
        Self::Draining,
        Self::InternalError,
    ];

    /// The label, and the `code` of a problem document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "not_found",
            Self::Stale => "stale",
            Self::Fallback => "fallback",
            Self::BadRequest => "bad_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::UnknownAction => "unknown_action",
            Self::PayloadTooLarge => "payload_too_large",
            Self::RateLimited => "rate_limited",
            Self::Canceled => "canceled",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamRejected => "upstream_rejected",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::BreakerOpen => "breaker_open",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::MappingError => "mapping_error",
            Self::AuthUnavailable => "auth_unavailable",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::InternalError => "internal_error",
        }
    }

    /// What it means for the promise.
    pub fn class(self) -> Class {
        match self {
            Self::Ok | Self::NotFound => Class::Success,
            Self::Stale | Self::Fallback => Class::Degraded,
            Self::BadRequest
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::UnknownAction
            | Self::PayloadTooLarge
            | Self::RateLimited
            | Self::Canceled => Class::Rejected,
            Self::UpstreamError
            | Self::UpstreamRejected
            | Self::UpstreamTimeout
            | Self::UpstreamUnreachable
            | Self::BreakerOpen
            | Self::DeadlineExceeded
            | Self::MappingError
            | Self::AuthUnavailable
            | Self::Overloaded
            | Self::Draining
            | Self::InternalError => Class::Failure,
        }
    }

    /// Who may have answered with this outcome: the label pairs that exist.
    pub fn sources(self) -> &'static [Source] {
        match self {
            Self::Ok | Self::NotFound => &[Source::Upstream, Source::CacheFresh, Source::Coalesced],
            Self::Stale => &[Source::CacheStale],
            Self::Fallback => &[Source::Fallback],
            _ => &[Source::None],
        }
    }
}

impl Class {
    /// All.
    pub const ALL: [Self; 4] = [Self::Success, Self::Degraded, Self::Rejected, Self::Failure];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Degraded => "degraded",
            Self::Rejected => "rejected",
            Self::Failure => "failure",
        }
    }
}

impl Source {
    /// All.
    pub const ALL: [Self; 6] = [
        Self::Upstream,
        Self::CacheFresh,
        Self::CacheStale,
        Self::Coalesced,
        Self::Fallback,
        Self::None,
    ];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::CacheFresh => "cache_fresh",
            Self::CacheStale => "cache_stale",
            Self::Coalesced => "coalesced",
            Self::Fallback => "fallback",
            Self::None => "none",
        }
    }
}
