//! Cache keys: which calls may be given the same answer. A key is the keyed fingerprint of
//! length-prefixed fields, so two different lists of fields never meet in one entry, and nobody can
//! choose inputs whose keys crowd one place of the table.

use crate::{
    catalog::{
        action::Action,
        policy::{CachePolicy, SharedBy},
    },
    fingerprint::{Facets, Fingerprint, FingerprintKey},
    pipeline::{authenticate::Caller, validate::ValidInput},
};

/// Which calls may be given the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey(Fingerprint);

impl CacheKey {
    /// The key of a call among those that are made with `keys`.
    pub fn new(
        keys: &FingerprintKey,
        action: &Action,
        policy: &CachePolicy,
        caller: &Caller,
        input: &ValidInput,
    ) -> Self {
        Self(keys.of(fields(action, policy, caller, input).bytes()))
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

/// What makes the key: the action and everything in its configuration that shapes answers, who may
/// share them, and the declared inputs. Injective before hashing.
pub fn fields(
    action: &Action,
    policy: &CachePolicy,
    caller: &Caller,
    input: &ValidInput,
) -> Facets {
    let mut fields = Facets::new();
    fields.push(action.name.as_str().as_bytes()).push(action.revision.bytes());
    match policy.shared_by {
        SharedBy::All => fields.push(b"all"),
        SharedBy::Org => fields.push(b"org").push(caller.org().as_bytes()),
        SharedBy::Caller => {
            fields.push(b"caller").push(caller.org().as_bytes()).push(caller.client().as_bytes())
        }
    };
    for name in &policy.key {
        fields.push(name.as_bytes());
        match input.inputs().get(name) {
            Some(value) => value.with_text(|text| fields.push_option(Some(text.as_bytes()))),
            None => fields.push_option(None),
        };
    }
    fields
}
