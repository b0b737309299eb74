//! Fingerprints: what stands for a token, a customer or a cache key where the thing itself must not
//! be kept. Fields are length-prefixed before hashing, so two different lists of fields never give
//! the same bytes.

use std::{
    fmt,
    hash::{BuildHasher, Hash, Hasher},
};

use aws_lc_rs::{digest, hmac, rand};
use smallvec::SmallVec;

/// Bytes that SHA-256 takes in at a time.
const BLOCK: usize = 64;

/// A SHA-256 digest, keyed or not. Its `Debug` shows the first four bytes only: enough to tell two
/// apart in a log of one process, too little to look one up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// The first eight bytes: all of them are as good as random.
impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [first, ..] = self.0.as_chunks().0 else { unreachable!("it has 32 bytes") };
        state.write_u64(u64::from_le_bytes(*first));
    }
}

/// Hashes nothing: for tables whose keys are fingerprints, which are hashes already. Only for keyed
/// ones: whoever could compute them could choose such as meet in one place of a table.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passing(u64);

impl BuildHasher for Passing {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Passing {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 ^= hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Fingerprint {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_slice(digest::digest(&digest::SHA256, bytes).as_ref())
    }

    fn from_slice(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(bytes);
        Self(out)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}{:02x}..", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// Fields on their way to a fingerprint.
#[derive(Debug, Default, Clone)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// No fields yet.
    pub fn new() -> Self {
        Self(Vec::with_capacity(160))
    }

    /// Appends one field: its length in eight bytes, then itself.
    pub fn push(&mut self, field: &[u8]) -> &mut Self {
        self.0.extend_from_slice(&(field.len() as u64).to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    /// Appends a field that may be missing; a missing one differs from an empty one.
    pub fn push_option(&mut self, field: Option<&[u8]>) -> &mut Self {
        match field {
            Some(field) => self.push(&[1]).push(field),
            None => self.push(&[0]),
        }
    }

    /// The bytes that are hashed: injective in the list of fields.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Their fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }
}

/// Fields on their way to a keyed fingerprint, which this process alone sees: in fewer bytes than
/// [`Fields`], so that most fit into one block of the hash, and without an allocation where they do.
#[derive(Debug, Default, Clone)]
pub struct Facets(SmallVec<[u8; 128]>);

impl Facets {
    /// No fields yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one field: its length in one byte, or 255 and eight bytes where it has more than
    /// one can tell, then itself.
    pub fn push(&mut self, field: &[u8]) -> &mut Self {
        match u8::try_from(field.len()) {
            Ok(length @ 0..u8::MAX) => self.0.push(length),
            Ok(u8::MAX) | Err(_) => {
                self.0.push(u8::MAX);
                self.0.extend_from_slice(&(field.len() as u64).to_be_bytes());
            }
        }
        self.0.extend_from_slice(field);
        self
    }

    /// Appends a field that may be missing; a missing one differs from an empty one.
    pub fn push_option(&mut self, field: Option<&[u8]>) -> &mut Self {
        self.0.push(u8::from(field.is_some()));
        match field {
            Some(field) => self.push(field),
            None => self,
        }
    }

    /// The bytes that are hashed: injective in the list of fields.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A key known to this process alone, made anew at each start. Fingerprints made with it cannot be
/// looked up in a table of guesses.
///
/// A fingerprint is SHA-256 of the key, which fills the first block, and the text. Two texts of one
/// fingerprint are a collision of SHA-256; nobody without the key can compute one; and that one could
/// be continued into that of a longer text, against which HMAC hashes twice, takes its whole value,
/// which never leaves the process. With the key's block hashed in advance it costs a third.
#[derive(Clone)]
pub struct FingerprintKey(digest::Context);

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(..)")
    }
}

impl FingerprintKey {
    /// A new random key.
    pub fn random() -> Self {
        let mut block = [0; BLOCK];
        rand::fill(&mut block).expect("the system's random source answers");
        let mut keyed = digest::Context::new(&digest::SHA256);
        keyed.update(&block);
        Self(keyed)
    }

    /// The keyed fingerprint of `secret`.
    pub fn of(&self, secret: &[u8]) -> Fingerprint {
        let mut keyed = self.0.clone();
        keyed.update(secret);
        Fingerprint::from_slice(keyed.finish().as_ref())
    }

    /// The same in the scope of that number: another in each. One key is used with scopes always or
    /// never.
    pub fn of_within(&self, scope: u64, secret: &[u8]) -> Fingerprint {
        let mut keyed = self.0.clone();
        keyed.update(&scope.to_be_bytes());
        keyed.update(secret);
        Fingerprint::from_slice(keyed.finish().as_ref())
    }
}

/// A key by which a service knows again what it has signed, whichever of its replicas did.
pub struct SigningKey(hmac::Key);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// Bytes of a signature.
    pub const SIGNATURE: usize = 32;

    /// The key made of `secret`.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The signature (HMAC-SHA-256) under these fields.
    pub fn sign(&self, fields: &Fields) -> [u8; Self::SIGNATURE] {
        *Fingerprint::from_slice(hmac::sign(&self.0, fields.bytes()).as_ref()).bytes()
    }

    /// Whether `signature` is that of these fields, in time that does not depend on where it differs.
    pub fn has_signed(&self, fields: &Fields, signature: &[u8]) -> bool {
        hmac::verify(&self.0, fields.bytes(), signature).is_ok()
    }
}

/// Whether two secrets are the same, in time that depends on their lengths only.
pub fn same_secret(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_between_fields_changes_the_bytes() {
        let mut a = Fields::new();
        a.push(b"ab").push(b"c");
        let mut b = Fields::new();
        b.push(b"a").push(b"bc");
        assert_ne!(a.bytes(), b.bytes());
    }

    #[test]
    fn a_missing_field_is_not_an_empty_one() {
        let mut a = Fields::new();
        a.push_option(None);
        let mut b = Fields::new();
        b.push_option(Some(b""));
        assert_ne!(a.bytes(), b.bytes());
    }

    #[test]
    fn facets_of_every_length_are_told_apart() {
        let texts = [0, 1, 254, 255, 256, 300].map(|length| vec![b'a'; length]);
        let bytes = |fields: &[&[u8]]| {
            let mut facets = Facets::new();
            for field in fields {
                facets.push(field);
            }
            facets.bytes().to_vec()
        };
        for one in &texts {
            for other in &texts {
                assert_eq!(bytes(&[one]) == bytes(&[other]), one == other);
                let (apart, together) =
                    (bytes(&[one, other]), bytes(&[&[&one[..], other].concat()]));
                assert_ne!(apart, together, "{} {}", one.len(), other.len());
            }
        }
        let option = |field| Facets::new().push_option(field).push(b"").bytes().to_vec();
        assert_ne!(option(None), option(Some(b"")));
    }

    #[test]
    fn a_table_places_a_fingerprint_by_its_first_eight_bytes() {
        let place = |byte, at: usize| {
            let mut bytes = [0; 32];
            bytes[at] = byte;
            Passing::default().hash_one(Fingerprint(bytes))
        };
        assert_eq!(place(1, 0), 1);
        assert_eq!(place(1, 7), 1 << 56);
        assert_eq!(place(1, 8), 0);
    }

    #[test]
    fn two_processes_do_not_share_fingerprints() {
        let (a, b) = (FingerprintKey::random(), FingerprintKey::random());
        assert_eq!(a.of(b"token"), a.of(b"token"));
        assert_ne!(a.of(b"token"), b.of(b"token"));
    }

    #[test]
    fn a_signature_is_of_one_key_and_of_all_fields() {
        let (ours, theirs) = (SigningKey::new(b"ours"), SigningKey::new(b"theirs"));
        let fields = |parts: [&[u8]; 2]| {
            let mut fields = Fields::new();
            for part in parts {
                fields.push(part);
            }
            fields
        };
        let signed = fields([b"ab", b"c"]);
        let signature = ours.sign(&signed);
        assert!(ours.has_signed(&signed, &signature));
        assert!(!theirs.has_signed(&signed, &signature));
        assert!(!ours.has_signed(&fields([b"a", b"bc"]), &signature));
        assert!(!ours.has_signed(&signed, &signature[1..]));
        assert!(!ours.has_signed(&signed, b""));
    }

    #[test]
    fn secrets_compare_equal_only_to_themselves() {
        assert!(same_secret(b"abc", b"abc"));
        assert!(!same_secret(b"abc", b"abd"));
        assert!(!same_secret(b"abc", b"abcd"));
    }
}
