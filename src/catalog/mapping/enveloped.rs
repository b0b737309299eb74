//! An answer as it lies in memory: with the envelope that most are sent in already around it.

use std::fmt;

use bytes::Bytes;

use crate::catalog::action::Envelope;

const OPEN: &[u8] = br#"{"data":"#;
const CLOSE: u8 = b'}';

/// A flat object with every output, serialised, in its envelope: `{"data":{...}}`. Sent with it or without,
/// it is copied neither way.
#[derive(Clone, PartialEq, Eq)]
pub struct Enveloped(Bytes);

impl fmt::Debug for Enveloped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Enveloped({} bytes)", self.0.len())
    }
}

impl Enveloped {
    /// How many bytes the envelope adds.
    pub const ADDS: usize = OPEN.len() + 1;

    /// The object that `write` appends, of about `expected` bytes.
    pub(super) fn write<E>(
        expected: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut out = Vec::with_capacity(expected + Self::ADDS);
        out.extend_from_slice(OPEN);
        write(&mut out)?;
        out.push(CLOSE);
        Ok(Self(out.into()))
    }

    /// That object in its envelope.
    pub fn around(flat: &[u8]) -> Self {
        Self([OPEN, flat, &[CLOSE]].concat().into())
    }

    /// One that was [`Self::into_bytes`].
    pub fn again(bytes: Bytes) -> Self {
        debug_assert!(bytes.starts_with(OPEN) && bytes.ends_with(&[CLOSE]), "it was another");
        Self(bytes)
    }

    /// All its bytes.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The object without its envelope.
    pub fn flat(&self) -> &[u8] {
        let inside = self.0.strip_prefix(OPEN).and_then(|inside| inside.split_last());
        inside.map_or_else(Default::default, |(_, flat)| flat)
    }

    /// What is sent in that envelope.
    pub fn sent(&self, envelope: Envelope) -> Bytes {
        match envelope {
            Envelope::Data => self.0.clone(),
            Envelope::Flat => self.0.slice_ref(self.flat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_the_same_bytes() {
        let answer = Enveloped::around(br#"{"a":1}"#);
        let (whole, flat) = (answer.sent(Envelope::Data), answer.sent(Envelope::Flat));
        assert_eq!((&*whole, &*flat), (&br#"{"data":{"a":1}}"#[..], &br#"{"a":1}"#[..]));
        assert_eq!(whole.len(), flat.len() + Enveloped::ADDS);
        assert_eq!(flat.as_ptr(), whole[OPEN.len()..].as_ptr());
        let written = Enveloped::write(7, |out| {
            out.extend_from_slice(br#"{"a":1}"#);
            Ok::<_, ()>(())
        });
        assert_eq!(written, Ok(Enveloped::again(answer.into_bytes())));
    }
}
