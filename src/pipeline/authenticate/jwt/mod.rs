//! JSON Web Tokens: a token proves itself by the signature of its issuer, whose public keys are
//! fetched. Nobody is asked about it; a good one is remembered, so that it is checked once.

mod key_set;
mod keys;
mod token;

use std::sync::Arc;

use crate::{
    catalog::caller::{Algorithm, Jwt, Scheme},
    client::ClientError,
    fingerprint::{Fingerprint, FingerprintKey},
    pipeline::{
        authenticate::{
            BAD_TOKEN, How, Identified, MAX_JWT, Surroundings, Unproven,
            revoke::Revoke,
            verdicts::{Remembered, Verdicts, Which},
        },
        call::Call,
    },
    time::Wall,
};

use key_set::Signature;
use keys::Keys;
use token::{Token, Unfit, judge};

/// The one who checks tokens of one issuer.
#[derive(Debug)]
pub(super) struct Verifier {
    scheme: Arc<Scheme>,
    keys: Arc<Keys>,
    key: FingerprintKey,
    verdicts: Verdicts,
    wall: Wall,
}

impl Verifier {
    /// Prepares to check tokens as `policy`, the one of `scheme`, has it.
    pub(super) fn new(
        scheme: &Arc<Scheme>,
        policy: &Jwt,
        around: &Surroundings<'_>,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            keys: Keys::new(scheme, policy, around)?,
            key: FingerprintKey::random(),
            verdicts: Verdicts::new(policy.verdicts, around.wall),
            wall: around.wall,
            scheme: Arc::clone(scheme),
        })
    }

    /// Who the bearer of `text` is.
    pub(super) async fn identify(
        &self,
        policy: &Jwt,
        text: &str,
        call: &Call,
    ) -> Result<Identified, (Unproven, How)> {
        if text.len() > MAX_JWT {
            return Err(refused("malformed", How::Local));
        }
        let era = self.verdicts.era();
        let print = self.print(self.keys.epoch_for(&call.trail), text);
        match self.verdicts.look_up(&print) {
            Remembered::Good(caller) => return Ok(Identified { caller, how: How::Cache }),
            Remembered::Refused => return Err(refused("invalid", How::Cache)),
            Remembered::Aged(_) | Remembered::Nothing => {}
        }
        // Boxed: who is remembered does not carry what only a proof needs.
        Box::pin(self.prove(policy, (text, era), call)).await
    }

    /// Who they are by the token itself, first read in that era.
    async fn prove(
        &self,
        policy: &Jwt,
        (text, era): (&str, u64),
        call: &Call,
    ) -> Result<Identified, (Unproven, How)> {
        let Some(token) = Token::read(text) else {
            return Err(refused("malformed", How::Local));
        };
        let algorithm = Algorithm::named(&token.algorithm);
        let Some(algorithm) = algorithm.filter(|one| policy.algorithms.contains(one)) else {
            return Err(refused("invalid", How::Local));
        };
        let (mut known, mut how) = self.keys.current(call).await?;
        loop {
            let signature = known.set.check(&token, algorithm);
            if signature == Signature::Good {
                break;
            }
            // A key may be replaced under its old name, too.
            if let Some(newer) = self.keys.newer(&known, call).await? {
                (known, how) = newer;
                continue;
            }
            // A key that nobody knows may come at any moment, so nothing is remembered of it.
            if signature == Signature::Forged {
                self.verdicts.refuse(self.print(known.epoch, text), era);
            }
            return Err(refused("invalid", how));
        }
        let print = self.print(known.epoch, text);
        let unreadable = Unfit { result: "invalid", for_good: true };
        let now = self.wall.since_epoch();
        let claims = token.claims().ok_or(unreadable);
        match claims.and_then(|claims| judge(policy, &self.scheme.name, &claims, now)) {
            Ok(good) => {
                let caller = Arc::clone(&good.caller);
                self.verdicts.keep(print, good, era);
                Ok(Identified { caller, how })
            }
            Err(Unfit { result, for_good }) => {
                if for_good {
                    self.verdicts.refuse(print, era);
                }
                Err(refused(result, how))
            }
        }
    }

    /// What stands for a token under the keys of that epoch. A key that is withdrawn takes with it
    /// what was known of the tokens before, at once and whatever is under way.
    fn print(&self, epoch: u64, text: &str) -> Fingerprint {
        self.key.of_within(epoch, text.as_bytes())
    }

    /// Forgets what is remembered: the next call proves itself anew. Returns of how many.
    pub(super) fn forget(&self, revoke: Revoke<'_>) -> u64 {
        self.verdicts.forget(match revoke {
            Revoke::Token(token) => Which::Token(self.print(self.keys.epoch(), token)),
            Revoke::Of { client: Some(client), .. } => Which::Client(client),
            Revoke::Of { client: None, .. } => Which::All,
        })
    }

    /// What is remembered.
    pub(super) fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }
}

fn refused(result: &'static str, how: How) -> (Unproven, How) {
    let asked = matches!(how, How::Remote | How::Coalesced);
    (Unproven::Refused { result, detail: BAD_TOKEN, asked }, how)
}
