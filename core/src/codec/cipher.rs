//! Sealing: what encryption at rest does to one unit of a file.
//!
//! A unit is whatever is read and proven as a whole: a node, a block of a value, a page of the space map, a checkpoint record,
//! a commit. Each is sealed by itself under a key of the session that wrote it. A session is one opening of a database; its id
//! is drawn at random, its key is derived from the database's data key, and it counts every attempt at sealing. Id and counter
//! are the unit's nonce and stand with it, so nothing has to be remembered from one session to the next.
//!
//! **No nonce comes twice**: the counter only rises within a session, whatever becomes of what was sealed, and two sessions have
//! the same id with a probability of n²/2¹²⁹ for n sessions. A file that is copied and opened twice is two sessions.
//!
//! The data key has a generation, which every nonce tells in its last two bytes: while a database is sealed anew, two of them are known.
//!
//! What is authenticated with a unit binds it to its database, its kind and its place.

#[cfg(feature = "encryption")]
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::bytes::Reader;
use super::checksum::{Checksum, Digest};

#[cfg(feature = "encryption")]
mod aead;
#[cfg(feature = "encryption")]
mod key;
#[cfg(feature = "encryption")]
mod slots;

#[cfg(feature = "encryption")]
pub use aead::Encryption;
#[cfg(all(test, feature = "encryption"))]
pub(crate) use aead::witness;
#[cfg(feature = "encryption")]
pub(crate) use aead::{Cipher, DataKeys, following, generation_of};
#[cfg(feature = "encryption")]
pub use key::{EncryptionKey, KeyProvider, PassphraseCost};
#[cfg(all(feature = "encryption", feature = "testing"))]
pub use slots::key_area;
#[cfg(all(feature = "encryption", feature = "testing"))]
pub(crate) use slots::key_area_seed;
#[cfg(feature = "encryption")]
pub(crate) use slots::{KeyArea, Lock};
#[cfg(feature = "encryption")]
pub use slots::{KeyInfo, KeyKind};

/// Bytes of a nonce: the session's id, 16, and its counter, 8.
pub(crate) const NONCE_BYTES: usize = 24;
/// Bytes of a tag.
#[cfg(feature = "encryption")]
pub(crate) const TAG_BYTES: usize = 16;
/// What sealing adds to a unit that carries nonce and tag itself.
#[cfg(feature = "encryption")]
pub(crate) const SEALED_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// The nonce of one unit.
#[cfg(feature = "encryption")]
pub(crate) type Nonce = [u8; NONCE_BYTES];

/// Kinds of units: one is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[cfg_attr(not(feature = "encryption"), allow(dead_code, reason = "they say what would be sealed"))]
pub(crate) enum Unit {
    /// A node of a tree; its place is its offset.
    Node = 1,
    /// A block of a value; its place is its number. Which value, and where, says the table.
    ValueBlock = 2,
    /// The nonce and the tags of a value's blocks; its place is the value's length. The reference in the leaf has its tag.
    ValueTable = 3,
    /// A checkpoint record; its place is its offset.
    Record = 4,
    /// A page of the space map; its place is its offset.
    MapPage = 5,
    /// A superblock, which is authenticated and not hidden; its place is its number.
    Superblock = 6,
    /// The payload of a commit in the log; its place is its sequence.
    Commit = 7,
    /// A record of an increment; its place is its number in the file.
    Increment = 8,
    /// The sectors of a named snapshot; its place is its offset.
    Bitmap = 10,
    /// Nothing: it fills the last sector of a value, so that its length is not to be seen.
    Noise = 9,
}

/// What proves a unit that is as long sealed as it is open: kept by whoever refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The checksum, or the tag.
    pub digest: Digest,
    /// Of what is sealed.
    #[cfg(feature = "encryption")]
    pub nonce: Option<Nonce>,
}

impl Proof {
    pub(crate) fn plain(digest: Digest) -> Self {
        Self {
            digest,
            #[cfg(feature = "encryption")]
            nonce: None,
        }
    }

    /// Of nothing that was written, in the form of `checksum`.
    pub(crate) fn none(checksum: Checksum) -> Self {
        Self {
            digest: Digest::none(checksum),
            #[cfg(feature = "encryption")]
            nonce: checksum.is_tag().then_some([0; NONCE_BYTES]),
        }
    }

    /// Bytes of the encoding.
    pub(crate) fn width(checksum: Checksum) -> usize {
        checksum.width() + if checksum.is_tag() { NONCE_BYTES } else { 0 }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.digest.encode(out);
        #[cfg(feature = "encryption")]
        out.extend_from_slice(self.nonce.as_ref().map_or(&[], |nonce| nonce));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, checksum: Checksum) -> Option<Self> {
        #[cfg_attr(not(feature = "encryption"), allow(unused_mut, reason = "it has no nonce"))]
        let mut proof = Self::plain(Digest::decode(reader, checksum)?);
        #[cfg(feature = "encryption")]
        if checksum.is_tag() {
            proof.nonce = Some(take_nonce(reader)?);
        }
        Some(proof)
    }
}

#[cfg(feature = "encryption")]
pub(crate) fn take_nonce(reader: &mut Reader<'_>) -> Option<Nonce> {
    reader.take(NONCE_BYTES)?.first_chunk().copied()
}

/// How the units of one database are kept: as they are, or sealed.
#[derive(Clone, Debug, Default)]
pub(crate) enum Envelope {
    /// As they are.
    #[default]
    Plain,
    /// Sealed by this cipher.
    #[cfg(feature = "encryption")]
    Sealed(Arc<Cipher>),
}

impl Envelope {
    /// Seals `unit` at `place`, if there is anything to be done, and gives what proves it.
    pub(crate) fn prove(&self, checksum: Checksum, unit: Unit, place: u64, bytes: &mut [u8]) -> Proof {
        match self {
            Self::Plain => {
                let _ = (unit, place);
                Proof::plain(checksum.of(&[bytes]))
            }
            #[cfg(feature = "encryption")]
            Self::Sealed(cipher) => {
                let nonce = cipher.next_nonce(place);
                let tag = cipher.seal(&nonce, unit, place, &[], bytes);
                Proof { digest: Digest::Hash(tag), nonce: Some(nonce) }
            }
        }
    }

    /// Opens what [`prove`](Self::prove) has sealed; false, and `bytes` are not to be used, if it is not what was proven.
    pub(crate) fn verify(&self, checksum: Checksum, unit: Unit, place: u64, proof: &Proof, bytes: &mut [u8]) -> bool {
        match self {
            Self::Plain => {
                let _ = (unit, place);
                checksum.of(&[bytes]) == proof.digest
            }
            #[cfg(feature = "encryption")]
            Self::Sealed(cipher) => match (proof.digest, proof.nonce) {
                (Digest::Hash(tag), Some(nonce)) => cipher.open(&nonce, unit, place, &[], bytes, &tag),
                _ => false,
            },
        }
    }

    /// What follows a value that ends at `end`, up to a multiple of `sector`: nothing to be read. Of values that are not sealed
    /// that needs not be written.
    pub(crate) fn noise_behind(&self, end: u64, sector: u64) -> Vec<u8> {
        match self {
            Self::Plain => {
                let _ = (end, sector);
                Vec::new()
            }
            #[cfg(feature = "encryption")]
            Self::Sealed(cipher) => {
                let mut noise = alloc::vec![0; (end.next_multiple_of(sector) - end) as usize];
                if noise.is_empty() {
                    return noise;
                }
                cipher.seal(&cipher.next_nonce(end), Unit::Noise, end, &[], &mut noise);
                noise
            }
        }
    }

    /// Whether this nonce is of a data key that is to be forgotten.
    #[cfg(feature = "encryption")]
    pub(crate) fn is_outdated(&self, nonce: &Nonce) -> bool {
        match self {
            Self::Plain => false,
            Self::Sealed(cipher) => generation_of(nonce) != cipher.generation(),
        }
    }

    /// For a copy of the database that is made in two passes: a session of its own, in which a unit's place is its counter,
    /// so that both passes come to the same bytes. No two units of the copy have one place.
    pub(crate) fn for_copy(&self, entropy: &dyn crate::env::Entropy) -> Self {
        match self {
            Self::Plain => {
                let _ = entropy;
                Self::Plain
            }
            #[cfg(feature = "encryption")]
            Self::Sealed(cipher) => Self::Sealed(Arc::new(cipher.for_copy(entropy))),
        }
    }
}
