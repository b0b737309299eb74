//! Revoking: what was found good is not taken for good any more. An authority is asked again; tokens
//! that were issued here are refused.

use crate::{
    catalog::name::Name,
    pipeline::authenticate::{Prover, Schemes, issued::Issuer, verdicts::Which},
};

/// Whose proofs are not to be taken on trust any more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Revoke<'a> {
    /// This token's.
    Token(&'a str),
    /// Those of a scheme, of a client, or of both; of nobody in particular: all.
    Of {
        /// The scheme.
        caller: Option<&'a Name>,
        /// The client, as the authority or the configuration calls it.
        client: Option<&'a str>,
    },
}

// By hand: a token is never shown, nor whose it is.
impl std::fmt::Debug for Revoke<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Revoke({})", self.scope())
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Verdicts that were forgotten, good ones and refusals.
    pub forgotten: u64,
    /// Clients whose tokens were issued here and are refused from now on.
    pub clients: u64,
}

impl Revoke<'_> {
    /// The word for it.
    pub fn scope(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Of { caller: Some(_), client: None } => "caller",
            Self::Of { client: Some(_), .. } => "client",
            Self::Of { caller: None, client: None } => "all",
        }
    }
}

impl Schemes {
    /// Forgets the verdicts that `revoke` names, so that the next call asks; a question that is under
    /// way will not be remembered. Of tokens that were issued here it refuses those issued before.
    pub fn revoke(&self, revoke: Revoke<'_>) -> Revoked {
        let meant = |name: &&Name| match revoke {
            Revoke::Token(_) => true,
            Revoke::Of { caller, .. } => caller.is_none_or(|caller| caller == *name),
        };
        let mut revoked = Revoked::default();
        for (_, checked) in self.schemes.iter().filter(|(name, _)| meant(name)) {
            match &checked.prover {
                Prover::Authority(authority) => {
                    let which = match revoke {
                        Revoke::Token(token) => Which::Token(authority.key.of(token.as_bytes())),
                        Revoke::Of { client: Some(client), .. } => Which::Client(client),
                        Revoke::Of { client: None, .. } => Which::All,
                    };
                    revoked.forgotten += authority.verdicts.forget(which);
                }
                Prover::Issuer(issuer) => {
                    revoked.clients += match revoke {
                        Revoke::Token(token) => issuer.cut_bearer(token),
                        Revoke::Of { client, .. } => issuer.cut(client),
                    };
                }
                // It proves itself again: what cuts it off for good is its issuer.
                Prover::Verifier(verifier) => {
                    revoked.forgotten += verifier.forget(revoke);
                }
                Prover::Keys => {}
            }
        }
        revoked
    }

    /// Who issues tokens at that path.
    pub fn issuer(&self, path: &str) -> Option<&Issuer> {
        self.issuers().find(|issuer| issuer.path() == path)
    }

    /// All who issue tokens.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.schemes.values().filter_map(|checked| match &checked.prover {
            Prover::Issuer(issuer) => Some(&**issuer),
            Prover::Authority(_) | Prover::Verifier(_) | Prover::Keys => None,
        })
    }
}
