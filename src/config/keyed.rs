//! Fingerprints of what was read, for comparing it later without keeping it.

use std::sync::LazyLock;

use crate::fingerprint::{Fingerprint, FingerprintKey};

/// One for the life of the process: what is read now is compared with what was read before.
static KEY: LazyLock<FingerprintKey> = LazyLock::new(FingerprintKey::random);

/// What stands for `bytes`, of which some are secrets that could be guessed.
pub(super) fn fingerprint(bytes: &[u8]) -> Fingerprint {
    KEY.of(bytes)
}
