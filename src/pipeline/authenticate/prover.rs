//! One scheme with whoever gives its verdicts.

use std::sync::Arc;

use http::header::AUTHORIZATION;

use crate::{
    catalog::caller::{Proof, Scheme},
    client::ClientError,
    pipeline::{
        authenticate::{
            Caller, How, Identified, Surroundings, Unproven, Word, api_key, bad_key, bad_password,
            basic::{self, Shown},
            introspection::Authority,
            issued::{self, Issuer},
            jwt::Verifier,
            verdicts::Verdicts,
            word::single,
        },
        call::Call,
    },
};

/// A scheme, and who gives its verdicts.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) scheme: Arc<Scheme>,
    pub(super) prover: Prover,
}

/// Who gives the verdict. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) enum Prover {
    /// A token authority.
    Authority(Arc<Authority>),
    /// The token itself, by the keys of its issuer.
    Verifier(Arc<Verifier>),
    /// We do, by the keys or passwords in the scheme.
    Keys,
    /// We do, because we issued it.
    Issuer(Arc<Issuer>),
}

/// How far one has to go for a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nowhere.
    Here,
    /// At times for keys, never with the token.
    Keys,
    /// To somebody else, with the token.
    Away,
}

impl Reach {
    /// In the order in which they are asked.
    pub(super) const NEAREST_FIRST: [Self; 3] = [Self::Here, Self::Keys, Self::Away];
}

impl Prover {
    /// How far it has to go.
    pub(super) fn reach(&self) -> Reach {
        match self {
            Self::Keys | Self::Issuer(_) => Reach::Here,
            Self::Verifier(_) => Reach::Keys,
            Self::Authority(_) => Reach::Away,
        }
    }

    /// For `scheme`, after the one `before` of the same name.
    pub(super) fn new(
        scheme: &Arc<Scheme>,
        before: Option<&Checked>,
        around: &Surroundings<'_>,
    ) -> Result<Self, ClientError> {
        if let Some(known) = before.filter(|known| known.scheme.proof == scheme.proof) {
            return Ok(known.prover.clone());
        }
        let issuer = before.and_then(|known| match &known.prover {
            Self::Issuer(issuer) => Some(&**issuer),
            Self::Authority(_) | Self::Verifier(_) | Self::Keys => None,
        });
        Ok(match &scheme.proof {
            Proof::Introspection(_) => Self::Authority(Authority::new(scheme, around)?),
            Proof::Jwt(policy) => Self::Verifier(Arc::new(Verifier::new(scheme, policy, around)?)),
            Proof::ApiKey(_) | Proof::Basic(_) => Self::Keys,
            Proof::Issued(_) => {
                let fresh = Issuer::new(scheme, around);
                // Who was cut off stays cut off.
                let next = match issuer {
                    Some(before) => fresh.in_place_of(before),
                    None => fresh,
                };
                Self::Issuer(Arc::new(next))
            }
        })
    }
}

impl Checked {
    /// Who calls, as far as this scheme can tell.
    pub(super) async fn identify(&self, call: &Call) -> Result<Identified, (Unproven, How)> {
        let (header, word) = (&self.scheme.header, self.word());
        let missing = || Unproven::Missing { header: self.scheme.header_text.clone(), word };
        let proof = single(&call.headers, header, word).ok_or_else(|| (missing(), How::Local))?;
        let local = |owner: Option<&str>, bad: Unproven| {
            let owner = owner.ok_or((bad, How::Local))?;
            let caller = Caller { org: self.scheme.name.shared(), client: owner.into() };
            Ok(Identified { caller: Arc::new(caller), how: How::Local })
        };
        match (&self.prover, &self.scheme.proof) {
            // A token of ours is nobody else's to see.
            (Prover::Authority(authority), _) if proof.starts_with(issued::FORM) => {
                Err(authority.refused("malformed", How::Local))
            }
            (Prover::Authority(authority), _) => authority.identify(proof, call).await,
            (Prover::Issuer(issuer), _) => issuer.identify(proof),
            (Prover::Verifier(verifier), Proof::Jwt(policy)) => {
                verifier.identify(policy, proof, call).await
            }
            (Prover::Keys, Proof::ApiKey(keys)) => local(api_key::owner(keys, proof), bad_key()),
            (Prover::Keys, Proof::Basic(users)) => match Shown::read(proof) {
                Some(shown) => local(basic::owner(users, &shown), bad_password("invalid")),
                None => local(None, bad_password("malformed")),
            },
            (Prover::Verifier(_) | Prover::Keys, _) => {
                unreachable!("a prover is made for the proof of its scheme")
            }
        }
    }

    /// What is remembered, where anything is.
    pub(super) fn verdicts(&self) -> Option<&Verdicts> {
        match &self.prover {
            Prover::Authority(authority) => Some(authority.verdicts()),
            Prover::Verifier(verifier) => Some(verifier.verdicts()),
            Prover::Keys | Prover::Issuer(_) => None,
        }
    }

    /// The word before the proof. Every scheme reads its own: what stands behind another word was
    /// not shown to it.
    fn word(&self) -> Option<Word> {
        match &self.scheme.proof {
            Proof::Basic(_) => Some(Word::Basic),
            _ => (self.scheme.header == AUTHORIZATION).then_some(Word::Bearer),
        }
    }
}
