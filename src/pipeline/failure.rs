//! Every way a call can fail, and four questions about it: its stable code, who answered, what to
//! tell the caller, and when to come back. HTTP is not known here.

use std::{borrow::Cow, time::Duration};

use crate::{
    catalog::mapping::MappingError,
    pipeline::{
        authenticate::Unproven,
        cache::{FetchFailure, Meaning, NoAnswer},
        rate_limit::{Limited, in_flight::OrgFull},
        upstream::error::UpstreamError,
        validate::Invalid,
    },
    telemetry::{
        outcome::{Outcome, Source},
        stage::Decided,
    },
};

/// Why there is no reply that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfetched {
    /// There is no good reply.
    Upstream(UpstreamError),
    /// It does not fit the action's outputs.
    Mapping(MappingError),
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The caller is not known.
    Unproven(Unproven),
    /// Its organisation has as many calls under way as it may.
    OrgFull,
    /// The body was refused.
    Invalid(Invalid),
    /// A limit is used up.
    Limited(Limited),
    /// There is no such record; who says so.
    NotFound(Source),
    /// The fetch failed.
    Unfetched(Unfetched),
    /// The call's time is up.
    OutOfTime,
    /// Too many wait for the same fetch.
    Crowded,
    /// A bug.
    Bug,
}

/// What a caller is told to wait where nothing better is known.
const SOON: Duration = Duration::from_secs(1);

impl Failure {
    /// Its stable code.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Unproven(Unproven::Missing { .. } | Unproven::Void { .. }) => {
                Outcome::Unauthenticated
            }
            Self::Unproven(Unproven::Refused { .. }) => Outcome::Forbidden,
            Self::Unproven(Unproven::Unavailable { .. } | Unproven::OutOfTime) => {
                Outcome::AuthUnavailable
            }
            Self::Invalid(_) => Outcome::BadRequest,
            Self::Limited(_) => Outcome::RateLimited,
            Self::NotFound(_) => Outcome::NotFound,
            Self::Unfetched(Unfetched::Upstream(error)) => upstream_outcome(error),
            Self::Unfetched(Unfetched::Mapping(_)) => Outcome::MappingError,
            Self::OutOfTime => Outcome::DeadlineExceeded,
            Self::OrgFull | Self::Crowded => Outcome::Overloaded,
            Self::Bug => Outcome::InternalError,
        }
    }

    /// Who answered.
    pub fn source(&self) -> Source {
        match self {
            Self::NotFound(source) => *source,
            _ => Source::None,
        }
    }

    /// The status by which the upstream refused, where it did.
    pub fn upstream_status(&self) -> Option<u16> {
        match self {
            Self::NotFound(_) => Some(404),
            Self::Unfetched(Unfetched::Upstream(UpstreamError::Status { status, .. })) => {
                Some(*status)
            }
            _ => None,
        }
    }

    /// What the caller is told. Never a value of theirs, never an address of ours.
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::Unproven(Unproven::Missing { header, .. }) => {
                format!("Missing {header} header").into()
            }
            Self::Unproven(Unproven::Void { .. }) => {
                "Token is invalid or does not hold any more; fetch a new one".into()
            }
            Self::Unproven(Unproven::Refused { detail, .. }) => (*detail).into(),
            Self::Unproven(Unproven::Unavailable { .. } | Unproven::OutOfTime) => {
                "Token authority is unavailable, so the token could not be checked".into()
            }
            Self::OrgFull => "As many calls of this organisation as may be are under way".into(),
            Self::Invalid(invalid) => invalid.to_string().into(),
            Self::Limited(limited) => format!("Rate limit {} is used up", limited.limit).into(),
            Self::NotFound(_) => "External API failed: 404".into(),
            Self::Unfetched(Unfetched::Upstream(error)) => upstream_detail(error),
            Self::Unfetched(Unfetched::Mapping(error)) => error.to_string().into(),
            Self::OutOfTime => "External API timed out".into(),
            Self::Crowded => "Too many calls are waiting for the same record".into(),
            Self::Bug => "Internal server error".into(),
        }
    }

    /// After how long it may be worth calling again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unproven(Unproven::Unavailable { retry_after }) => Some(*retry_after),
            Self::Unproven(Unproven::OutOfTime) | Self::OrgFull | Self::Crowded => Some(SOON),
            Self::Limited(limited) => Some(limited.retry_after),
            Self::Unfetched(Unfetched::Upstream(error)) => match error {
                UpstreamError::BreakerOpen { retry_after }
                | UpstreamError::Held { retry_after }
                | UpstreamError::NotIssued { retry_after, .. } => Some(*retry_after),
                UpstreamError::Saturated => Some(SOON),
                // Whose word these are, nobody behind us can tell: they say when to come back.
                UpstreamError::Status { status: 429 | 503, retry_after } => {
                    Some(retry_after.unwrap_or(SOON))
                }
                UpstreamError::Status { retry_after, .. } => *retry_after,
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a declared fallback may answer instead: where the upstream, or the way to it, is
    /// broken, and nothing the caller did is the reason.
    pub fn may_fall_back(&self) -> bool {
        match self {
            Self::Unfetched(unfetched) => unfetched.meaning() == Meaning::Broken,
            Self::OutOfTime | Self::Crowded => true,
            Self::Unproven(_) | Self::OrgFull | Self::Invalid(_) | Self::Limited(_) => false,
            Self::NotFound(_) | Self::Bug => false,
        }
    }
}

fn upstream_outcome(error: &UpstreamError) -> Outcome {
    match error {
        UpstreamError::Status { status: 500.., .. } => Outcome::UpstreamError,
        UpstreamError::Status { .. } => Outcome::UpstreamRejected,
        UpstreamError::NotIssued { refused: true, .. } => Outcome::UpstreamRejected,
        UpstreamError::Unreachable | UpstreamError::NotIssued { .. } => {
            Outcome::UpstreamUnreachable
        }
        UpstreamError::TimedOut => Outcome::UpstreamTimeout,
        UpstreamError::CutShort => Outcome::DeadlineExceeded,
        UpstreamError::BreakerOpen { .. } => Outcome::BreakerOpen,
        UpstreamError::Held { .. } | UpstreamError::Saturated => Outcome::Overloaded,
        UpstreamError::TooLarge | UpstreamError::Malformed => Outcome::MappingError,
        UpstreamError::Unrenderable => Outcome::InternalError,
    }
}

fn upstream_detail(error: &UpstreamError) -> Cow<'static, str> {
    match error {
        UpstreamError::Status { status, .. } => format!("External API failed: {status}").into(),
        UpstreamError::Unreachable => "Could not connect to external API".into(),
        UpstreamError::TimedOut | UpstreamError::CutShort => "External API timed out".into(),
        UpstreamError::BreakerOpen { .. } => {
            "External API has been failing and is given a rest".into()
        }
        UpstreamError::Held { .. } => "External API may not be asked again yet".into(),
        UpstreamError::Saturated => "External API has as many requests as it may have".into(),
        UpstreamError::NotIssued { refused: true, .. } => "Login to external API is refused".into(),
        UpstreamError::NotIssued { .. } => "Login to external API is not possible".into(),
        UpstreamError::TooLarge => "External API reply is too large".into(),
        UpstreamError::Malformed => "External API reply cannot be read".into(),
        UpstreamError::Unrenderable => "Internal server error".into(),
    }
}

impl From<NoAnswer<Unfetched>> for Failure {
    fn from(none: NoAnswer<Unfetched>) -> Self {
        match none {
            NoAnswer::Fetch(unfetched, source) => Self::of(unfetched, source),
            NoAnswer::OutOfTime => Self::OutOfTime,
            NoAnswer::Crowded => Self::Crowded,
            NoAnswer::Lost => Self::Bug,
        }
    }
}

impl From<Unfetched> for Failure {
    fn from(unfetched: Unfetched) -> Self {
        Self::of(unfetched, Source::Upstream)
    }
}

impl Failure {
    /// What a failed fetch by `source` comes to.
    fn of(unfetched: Unfetched, source: Source) -> Self {
        match unfetched {
            Unfetched::Upstream(UpstreamError::Status { status: 404, .. }) => {
                Self::NotFound(source)
            }
            Unfetched::Upstream(UpstreamError::CutShort) => Self::OutOfTime,
            other => Self::Unfetched(other),
        }
    }
}

impl From<Unproven> for Failure {
    fn from(unproven: Unproven) -> Self {
        Self::Unproven(unproven)
    }
}

impl From<OrgFull> for Failure {
    fn from(_: OrgFull) -> Self {
        Self::OrgFull
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<Limited> for Failure {
    fn from(limited: Limited) -> Self {
        Self::Limited(limited)
    }
}

impl From<UpstreamError> for Unfetched {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(error)
    }
}

impl From<MappingError> for Unfetched {
    fn from(error: MappingError) -> Self {
        Self::Mapping(error)
    }
}

impl Decided for Unfetched {
    fn decision(&self) -> &'static str {
        match self {
            Self::Upstream(error) => error.decision(),
            Self::Mapping(error) => error.decision(),
        }
    }

    fn is_failure(&self) -> bool {
        self.meaning() == Meaning::Broken
    }
}

impl FetchFailure for Unfetched {
    fn meaning(&self) -> Meaning {
        match self {
            Self::Upstream(error) => error.meaning(),
            Self::Mapping(_) => Meaning::Broken,
        }
    }

    fn is_upstreams_own(&self) -> bool {
        match self {
            Self::Upstream(error) => error.is_upstreams_own(),
            Self::Mapping(_) => true,
        }
    }

    fn told_after(self, age: Duration) -> Self {
        match self {
            Self::Upstream(error) => Self::Upstream(error.told_after(age)),
            mapping @ Self::Mapping(_) => mapping,
        }
    }
}
