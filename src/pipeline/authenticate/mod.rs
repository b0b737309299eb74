//! Authenticate: who is calling, proved by one of the schemes that the action names.
//!
//! The proof is a token that an authority vouches for, a token that was issued here, or a key or
//! password that is known here. An authority's verdict is
//! remembered, so that the authority is asked once per token and not once per call; an authority
//! that cannot be reached is never taken for a refusal.

mod api_key;
pub mod basic;
mod claims;
mod contact;
mod dialects;
mod introspection;
mod issued;
mod jwt;
mod prover;
mod revoke;
mod verdicts;
mod word;

pub use issued::{Denied, Grant, Issuer};
pub use revoke::{Revoke, Revoked};
pub use word::Word;

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    background::Background,
    catalog::{action::Action, caller::Scheme, name::Name},
    chance::Chance,
    client::{ClientError, Transport},
    pipeline::call::Call,
    telemetry::{metrics::Registry, stage::Decided, tokens::TokenMeters},
    time::Wall,
};

use prover::{Checked, Prover, Reach};
use verdicts::Verdicts;

/// What the bearer of a bad token of Genesys Cloud is told.
const BAD_GENESYS_TOKEN: &str = "Invalid Genesys Cloud Auth Token";
/// What the bearer of any other bad token is told.
const BAD_TOKEN: &str = "Invalid token";
/// Characters of a signed token: as many as leave room beside it in a head.
const MAX_JWT: usize = 8 << 10;
/// What the bearer of a bad key is told.
const BAD_KEY: &str = "Invalid API key";
/// What is told to who shows a wrong password, or a right one for another user.
const BAD_PASSWORD: &str = "Invalid user or password";

/// Who is calling. Only this stage makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    org: Arc<str>,
    client: Arc<str>,
}

impl Caller {
    /// The organisation.
    pub fn org(&self) -> &str {
        &self.org
    }

    /// The caller within its organisation: an OAuth client, the owner of a key.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// A caller for the tests of other stages.
    #[cfg(test)]
    pub(crate) fn of(org: &str, client: &str) -> Arc<Self> {
        Arc::new(Self { org: org.into(), client: client.into() })
    }
}

/// A caller, and where the verdict about it came from.
#[derive(Debug, Clone)]
pub struct Identified {
    /// Who it is.
    pub caller: Arc<Caller>,
    how: How,
}

/// Where a verdict came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Nothing was asked for.
    Open,
    /// A key known here.
    Local,
    /// Remembered.
    Cache,
    /// Remembered past its time, because the authority is down.
    Stale,
    /// The authority was asked.
    Remote,
    /// Another call had asked already.
    Coalesced,
}

/// Why a caller is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproven {
    /// The header is missing, empty or there twice.
    Missing {
        /// The header as the configuration spells it.
        header: String,
        /// The word that stands before the proof, where one does.
        word: Option<Word>,
    },
    /// It is no token that was issued here, or one that does not hold any more: a new one can be
    /// fetched.
    Void {
        /// The word for why, in `token_validations_total`.
        result: &'static str,
    },
    /// The proof was refused.
    Refused {
        /// The word for why, in `token_validations_total`.
        result: &'static str,
        /// What the caller is told.
        detail: &'static str,
        /// Whether an authority had to be asked for it.
        asked: bool,
    },
    /// The authority could not be asked, and nothing usable is remembered.
    Unavailable {
        /// After how long it may be worth trying again.
        retry_after: Duration,
    },
    /// The call's time was up before the authority answered.
    OutOfTime,
}

impl How {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Local => "local",
            Self::Cache => "cache",
            Self::Stale => "stale",
            Self::Remote => "remote",
            Self::Coalesced => "coalesced",
        }
    }
}

impl Decided for Identified {
    fn decision(&self) -> &'static str {
        self.how.as_str()
    }
}

impl Decided for Unproven {
    fn decision(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Refused { asked: false, .. } | Self::Void { .. } => "refused",
            Self::Refused { asked: true, .. } => "rejected",
            Self::Unavailable { .. } | Self::OutOfTime => "unavailable",
        }
    }

    fn is_failure(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::OutOfTime)
    }
}

/// What this stage needs from the outside.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) background: Background,
    pub(crate) transport: Transport,
    pub(crate) wall: Wall,
    pub(crate) chance: Chance,
}

/// What is remembered of one authority's verdicts.
#[derive(Debug, Clone, Copy)]
pub struct VerdictTables<'a> {
    /// The scheme.
    pub caller: &'a Name,
    /// Good verdicts.
    pub good: u64,
    /// How many of them may be kept.
    pub good_capacity: u64,
    /// Refusals.
    pub refused: u64,
    /// How many of them may be kept.
    pub refused_capacity: u64,
}

/// All schemes of the service.
#[derive(Debug)]
pub struct Schemes {
    schemes: BTreeMap<Name, Checked>,
    nobody: Arc<Caller>,
    meters: TokenMeters,
}

impl Schemes {
    /// Prepares every scheme; asks nobody yet. An authority that was asked in the same way `before`
    /// is taken over with all its verdicts.
    ///
    /// # Errors
    /// [`ClientError`] where no client towards an authority can be built.
    pub(crate) fn new(
        schemes: &BTreeMap<Name, Arc<Scheme>>,
        before: Option<&Self>,
        around: &Surroundings<'_>,
    ) -> Result<Self, ClientError> {
        let checked = schemes.iter().map(|(name, scheme)| {
            let before = before.and_then(|known| known.schemes.get(name));
            let prover = Prover::new(scheme, before, around)?;
            Ok((name.clone(), Checked { scheme: Arc::clone(scheme), prover }))
        });
        Ok(Self {
            schemes: checked.collect::<Result<_, _>>()?,
            nobody: Arc::new(Caller { org: "".into(), client: "".into() }),
            meters: TokenMeters::new(around.registry),
        })
    }

    /// Proves who makes `call`. Of several schemes any one will do; those that ask nobody come first.
    ///
    /// # Errors
    /// [`Unproven`]; of several reasons the one that the caller can do least about, of equal ones the
    /// first that is written.
    pub async fn identify(&self, call: &Call) -> Result<Identified, Unproven> {
        let Action { callers, .. } = &*call.action;
        if callers.is_empty() {
            return Ok(Identified { caller: Arc::clone(&self.nobody), how: How::Open });
        }
        let mut worst: Option<(usize, (Unproven, How))> = None;
        // Who can tell alone is asked first, wherever it is written: what is good here waits for no
        // authority, and none is shown what is another's.
        for reach in Reach::NEAREST_FIRST {
            let known = callers.iter().filter_map(|name| self.schemes.get(name));
            let asked = known.enumerate().filter(|(_, checked)| checked.prover.reach() == reach);
            for (place, checked) in asked {
                match checked.identify(call).await {
                    Ok(identified) => {
                        self.meters.judged("valid", identified.how.as_str());
                        return Ok(identified);
                    }
                    Err(unproven) => {
                        let rank = |(place, (unproven, _)): &(usize, (Unproven, How))| {
                            (unproven.weight(), Reverse(*place))
                        };
                        let reason = (place, unproven);
                        worst = Some(match worst {
                            Some(known) if rank(&known) >= rank(&reason) => known,
                            _ => reason,
                        });
                    }
                }
            }
        }
        let (unproven, how) = worst.map_or((bad_key(), How::Local), |(_, reason)| reason);
        self.meters.judged(unproven.result(), how.as_str());
        Err(unproven)
    }

    /// Forgets verdicts that are of no use any more.
    pub fn sweep(&self) {
        for verdicts in self.tables() {
            verdicts.sweep();
        }
    }

    /// How many verdicts are remembered.
    pub fn remembered(&self) -> u64 {
        self.tables().map(Verdicts::len).sum()
    }

    /// What is remembered of each authority's verdicts.
    pub fn verdicts(&self) -> impl Iterator<Item = VerdictTables<'_>> {
        self.schemes.iter().filter_map(|(caller, checked)| {
            let [good, good_capacity, refused, refused_capacity] = checked.verdicts()?.fill();
            Some(VerdictTables { caller, good, good_capacity, refused, refused_capacity })
        })
    }

    fn tables(&self) -> impl Iterator<Item = &Verdicts> {
        self.schemes.values().filter_map(Checked::verdicts)
    }
}

fn bad_key() -> Unproven {
    Unproven::Refused { result: "invalid", detail: BAD_KEY, asked: false }
}

fn bad_password(result: &'static str) -> Unproven {
    Unproven::Refused { result, detail: BAD_PASSWORD, asked: false }
}

impl Unproven {
    /// Which of several reasons is told: the one that the caller can do least about. But who shows
    /// a token of ours is told of that, whoever else did not know what to make of it.
    fn weight(&self) -> u8 {
        match self {
            Self::Missing { .. } => 0,
            Self::Void { result: "malformed" } => 1,
            Self::Refused { .. } => 2,
            Self::Void { .. } => 3,
            Self::OutOfTime => 4,
            Self::Unavailable { .. } => 5,
        }
    }

    fn result(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Refused { result, .. } | Self::Void { result } => result,
            Self::Unavailable { .. } | Self::OutOfTime => "error",
        }
    }
}
