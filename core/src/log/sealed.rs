//! Commits of an encrypted database: the payload that the frames carry is sealed as a whole, bound to its sequence.
//!
//! | bytes of what is sealed | |
//! |---|---|
//! | 8 | the incarnation that wrote it |
//! | 4 | length of the payload |
//! | | the payload |
//! | | zeros, so that the length tells little |
//!
//! Frames are proven by CRC-32 and found by their place as in any log; what they hold is proven by this. A commit of another
//! incarnation with the same sequence, which a power loss took back, is not taken for this one's.

#[cfg(feature = "encryption")]
use alloc::vec::Vec;

#[cfg(feature = "encryption")]
use crate::codec::bytes::{Reader, Writer};
use crate::codec::cipher::Envelope;
#[cfg(feature = "encryption")]
use crate::codec::cipher::{SEALED_BYTES, Unit};

/// Whose log it is, and how its commits are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owner {
    pub database_id: [u8; 16],
    pub envelope: Envelope,
}

impl From<[u8; 16]> for Owner {
    /// Of a database that is not encrypted; or when no commit is to be read.
    fn from(database_id: [u8; 16]) -> Self {
        Self { database_id, envelope: Envelope::Plain }
    }
}

/// Bytes of a commit besides its payload.
#[cfg(feature = "encryption")]
const HEAD_BYTES: usize = 12;
/// What is sealed is a multiple of this.
#[cfg(feature = "encryption")]
const PADDED_TO: usize = 64;

/// Bytes that a payload of `len` takes in frames.
pub(crate) fn framed_len(envelope: &Envelope, len: usize) -> usize {
    match envelope {
        Envelope::Plain => len,
        #[cfg(feature = "encryption")]
        Envelope::Sealed(_) => padded_len(HEAD_BYTES + len) + SEALED_BYTES,
    }
}

/// The length that is told instead of `len`: of a long one only so many leading bits as its length in bits has digits
/// (Padmé; Nikitin et al. 2019), so at most a ninth more.
#[cfg(feature = "encryption")]
fn padded_len(len: usize) -> usize {
    let exponent = len.max(2).ilog2();
    let kept = exponent.max(1).ilog2() + 1;
    len.next_multiple_of((1 << exponent.saturating_sub(kept)).max(PADDED_TO))
}

/// What goes into the frames instead of `payload`, where it is to be sealed.
#[cfg(feature = "encryption")]
pub(crate) fn seal_payload(envelope: &Envelope, incarnation: u64, sequence: u64, payload: &[u8]) -> Option<Vec<u8>> {
    let Envelope::Sealed(cipher) = envelope else { return None };
    let len = HEAD_BYTES + payload.len();
    let mut plain = Vec::with_capacity(padded_len(len));
    plain.put_u64(incarnation);
    plain.put_u32(payload.len() as u32);
    plain.extend_from_slice(payload);
    plain.resize(padded_len(len), 0);
    Some(cipher.seal_whole(Unit::Commit, sequence, &[], &plain))
}

/// The payload that was sealed as this commit's, by this incarnation if it is known.
#[cfg(feature = "encryption")]
pub(crate) fn open_payload(
    cipher: &crate::codec::cipher::Cipher,
    incarnation: Option<u64>,
    sequence: u64,
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let (by, payload) = open_payload_of_any(cipher, sequence, sealed)?;
    incarnation.is_none_or(|incarnation| incarnation == by).then_some(payload)
}

/// The same of whatever incarnation, and which it was.
#[cfg(feature = "encryption")]
pub(crate) fn open_payload_of_any(
    cipher: &crate::codec::cipher::Cipher,
    sequence: u64,
    sealed: &[u8],
) -> Option<(u64, Vec<u8>)> {
    let mut plain = cipher.open_whole(Unit::Commit, sequence, &[], sealed)?;
    let mut reader = Reader::new(&plain);
    let (by, len) = (reader.u64()?, reader.u32()? as usize);
    if len > reader.remaining() {
        return None;
    }
    plain.truncate(HEAD_BYTES + len);
    plain.drain(..HEAD_BYTES);
    Some((by, plain))
}

#[cfg(all(test, feature = "encryption"))]
mod tests {
    use super::*;
    use crate::codec::cipher::{Cipher, Encryption};
    use crate::env::SeededEntropy;
    use alloc::sync::Arc;

    fn cipher() -> Arc<Cipher> {
        let key = crate::codec::cipher::DataKeys::first(zeroize::Zeroizing::new([1; 32]));
        Arc::new(Cipher::new(Encryption::Aes256Gcm, [2; 16], key, &SeededEntropy::new(3)))
    }

    #[test]
    fn a_payload_opens_as_the_commit_that_it_is_and_its_length_is_hidden() {
        let cipher = cipher();
        let envelope = Envelope::Sealed(Arc::clone(&cipher));
        let sealed = seal_payload(&envelope, 5, 77, b"payload").unwrap();
        assert_eq!(sealed.len(), framed_len(&envelope, 7));
        assert_eq!(sealed.len(), framed_len(&envelope, 50), "all short commits are alike");
        assert_eq!(open_payload(&cipher, Some(5), 77, &sealed).as_deref(), Some(&b"payload"[..]));
        assert_eq!(open_payload(&cipher, None, 77, &sealed).as_deref(), Some(&b"payload"[..]));
        assert_eq!(open_payload(&cipher, Some(6), 77, &sealed), None, "of another life");
        assert_eq!(open_payload(&cipher, Some(5), 78, &sealed), None, "as another commit");
    }

    #[test]
    fn padding_is_bounded() {
        for len in (0..5000).chain([1 << 20, (1 << 20) + 1, 77_777_777]) {
            let padded = padded_len(len);
            assert!(padded >= len && padded <= (len + len / 8).max(len + 64), "{len}: {padded}");
            assert_eq!(padded % 64, 0);
        }
    }
}
