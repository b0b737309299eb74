//! Cache keys: which calls may be given the same answer. A key is the fingerprint of length-prefixed
//! fields, so two different lists of fields never meet in one entry.

use crate::{
    catalog::{
        action::Action,
        policy::{CachePolicy, SharedBy},
    },
    fingerprint::{Fields, Fingerprint},
    pipeline::{authenticate::Caller, validate::ValidInput},
};

/// Raised when the fields below change: entries of an older form are never met.
const FORM: &[u8] = b"1";

/// Which calls may be given the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey(Fingerprint);

impl CacheKey {
    /// The key of a call.
    pub fn new(action: &Action, policy: &CachePolicy, caller: &Caller, input: &ValidInput) -> Self {
        Self(fields(action, policy, caller, input).fingerprint())
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
) -> Fields {
    let mut fields = Fields::new();
    fields.push(FORM).push(action.name.as_str().as_bytes()).push(action.revision.bytes());
    match policy.shared_by {
        SharedBy::All => fields.push(b"all"),
        SharedBy::Org => fields.push(b"org").push(caller.org().as_bytes()),
        SharedBy::Caller => {
            fields.push(b"caller").push(caller.org().as_bytes()).push(caller.client().as_bytes())
        }
    };
    for name in &policy.key {
        let value = input.inputs().get(name).map(|value| value.as_text());
        fields.push(name.as_bytes()).push_option(value.as_deref().map(str::as_bytes));
    }
    fields
}
