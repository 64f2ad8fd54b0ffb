//! What makes a stored node prove itself: its first bytes are those of its checksum, which covers the database, the place
//! and everything after them. The reference in the parent holds the whole checksum, so one computation proves both, and a
//! node whose parents are lost can still be told from whatever else the file holds.
//!
//! A sealed node is this, and takes whole grains, so that its length says little:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 4 | CRC-32 of the database's id, the offset, and what follows up to 32: where to look for a node, no more |
//! | 4 | 4 | bytes of all |
//! | 8 | 24 | nonce |
//! | 32 | | the node as it would be stored, and zeros, encrypted; the first eight bytes are authenticated with it |
//! | end | 16 | tag: what the parent's reference holds |

#![deny(clippy::indexing_slicing)]

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

#[cfg(feature = "encryption")]
use crate::codec::checksum::crc32;
use crate::codec::checksum::{Checksum, Digest};
use crate::codec::cipher::Envelope;
#[cfg(feature = "encryption")]
use crate::codec::cipher::{Cipher, NONCE_BYTES, TAG_BYTES, Unit};

use super::NodeRef;
use super::layout::{AGE_AT, CHECKSUM_LEN, HEADER_LEN, Header, KIND_AT};
use super::node::Node;
use crate::testing::Mutant;

/// Which tree a node is part of, for whoever finds it without its parents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TreeKind {
    /// The bottom: records.
    Base = 0xb0,
    /// Records and tombstones of a run.
    RunPoints = 0xc0,
    /// Deleted ranges of a run.
    RunIntervals = 0xd0,
}

impl TreeKind {
    /// The kind and the level that a node's kind byte stands for.
    pub(crate) fn split(byte: u8) -> Option<(Self, u8)> {
        let kind = match byte & 0xf0 {
            0xb0 => Self::Base,
            0xc0 => Self::RunPoints,
            0xd0 => Self::RunIntervals,
            _ => return None,
        };
        Some((kind, byte & 0x0f))
    }
}

/// How the nodes of one database are proven.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    pub checksum: Checksum,
    pub database_id: [u8; 16],
    pub envelope: Envelope,
}

/// Bytes of a sealed node before what is encrypted.
#[cfg(feature = "encryption")]
const SEALED_AT: usize = 8 + NONCE_BYTES;
/// Sealed nodes take whole grains.
#[cfg(feature = "encryption")]
const GRAIN: usize = 64;
/// The longest that can be one.
pub(crate) const STORED_LEN_MAX: usize = 1 << 20;

/// Where the nonce of a sealed node lies.
#[cfg(feature = "encryption")]
pub(crate) fn nonce_offset(reference: &NodeRef) -> u64 {
    reference.offset.saturating_add((SEALED_AT - NONCE_BYTES) as u64)
}

impl Seal {
    /// The checksum of a stored node at `offset`: of the database's id, the offset and the node after its own checksum.
    pub(crate) fn digest(&self, stored: &[u8], offset: u64) -> Digest {
        let covered = stored.get(CHECKSUM_LEN..).unwrap_or(&[]);
        self.checksum.of(&[&self.database_id, &offset.to_le_bytes(), covered])
    }

    /// Whether a node begins with the first bytes of this checksum of it.
    pub(crate) fn begins_with(stored: &[u8], digest: Digest) -> bool {
        stored.starts_with(&digest.first_bytes())
    }

    /// Bytes that a node of so many takes when it is closed.
    pub(crate) fn closed_len(&self, len: usize) -> usize {
        match &self.envelope {
            Envelope::Plain => len,
            #[cfg(feature = "encryption")]
            Envelope::Sealed(_) => (SEALED_AT + len + TAG_BYTES).next_multiple_of(GRAIN),
        }
    }

    /// Completes a node that is about to be stored at `offset`, and gives its checksum. `age` is told in its low 32 bits.
    #[cfg_attr(not(feature = "encryption"), allow(clippy::ptr_arg, reason = "what is sealed grows"))]
    pub(crate) fn close(&self, stored: &mut Vec<u8>, offset: u64, tree: TreeKind, age: u64) -> Digest {
        if let Some(kind) = stored.get_mut(KIND_AT) {
            *kind = tree as u8 | (*kind & 0x0f);
        }
        if let Some(at) = stored.get_mut(AGE_AT..).and_then(<[u8]>::first_chunk_mut::<4>) {
            *at = (age as u32).to_le_bytes();
        }
        #[cfg(feature = "encryption")]
        if let Envelope::Sealed(cipher) = &self.envelope {
            return self.close_sealed(cipher, stored, offset);
        }
        let digest = self.digest(stored, offset);
        if let Some(first) = stored.first_chunk_mut::<CHECKSUM_LEN>() {
            *first = digest.first_bytes();
        }
        digest
    }

    /// The node that was stored, if it is the one that `reference` means.
    pub(crate) fn open(&self, stored: Vec<u8>, reference: &NodeRef) -> Result<Vec<u8>, String> {
        let (len, expected) = (stored.len(), reference.checksum);
        #[cfg(feature = "encryption")]
        if let Envelope::Sealed(cipher) = &self.envelope {
            let tag = stored.last_chunk().map(|tag| Digest::Hash(*tag));
            let opened = self.open_sealed(cipher, stored, reference.offset).filter(|_| tag == Some(expected));
            return opened.ok_or_else(|| format!("node of {len} bytes: not what was sealed with the tag {expected}"));
        }
        let checksum = self.digest(&stored, reference.offset);
        match checksum == expected && Self::begins_with(&stored, checksum) || Mutant::NodeUnverified.is_active() {
            true => Ok(stored),
            false => Err(format!("node of {len} bytes: checksum {checksum}, expected {expected}")),
        }
    }

    /// The node that begins with `bytes`, which lie at `offset`, if one does: how it is referred to, its header and itself. Where
    /// there is something that looks like one, but is none, the length it claims.
    #[allow(clippy::type_complexity, reason = "either all of a node, or how much was looked at in vain, or nothing")]
    pub(crate) fn find(
        &self,
        bytes: &[u8],
        offset: u64,
        len_max: usize,
    ) -> Option<Result<(NodeRef, Header, Node), usize>> {
        #[cfg(feature = "encryption")]
        if let Envelope::Sealed(cipher) = &self.envelope {
            let stored = self.plausible_sealed(bytes, offset).filter(|stored| stored.len() <= len_max)?;
            let tag = *stored.last_chunk()?;
            let found = self.open_sealed(cipher, stored.to_vec(), offset).and_then(|node| {
                let reference = NodeRef { offset, len: stored.len() as u32, checksum: Digest::Hash(tag) };
                Some((reference, Header::parse(&node).ok()?, Node::from_stored(node, None).ok()?))
            });
            return Some(found.ok_or(stored.len()));
        }
        let (header, stored) = plausible(bytes, len_max)?;
        let digest = self.digest(stored, offset);
        let node = if Self::begins_with(stored, digest) { Node::from_stored(stored.to_vec(), None).ok() } else { None };
        let reference = NodeRef { offset, len: stored.len() as u32, checksum: digest };
        Some(node.map(|node| (reference, header, node)).ok_or(stored.len()))
    }

    #[cfg(feature = "encryption")]
    fn close_sealed(&self, cipher: &Cipher, stored: &mut Vec<u8>, offset: u64) -> Digest {
        let len = self.closed_len(stored.len());
        let nonce = cipher.next_nonce(offset);
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&[0; CHECKSUM_LEN]);
        out.extend_from_slice(&(len as u32).to_le_bytes());
        out.extend_from_slice(&nonce);
        let mark = crc32(&[&self.database_id, &offset.to_le_bytes(), out.get(CHECKSUM_LEN..).unwrap_or_default()]);
        if let Some(first) = out.first_chunk_mut() {
            *first = mark.to_le_bytes();
        }
        out.extend_from_slice(stored);
        out.resize(len - TAG_BYTES, 0);
        let (clear, body) = out.split_at_mut(SEALED_AT);
        let tag = cipher.seal(&nonce, Unit::Node, offset, clear.get(..8).unwrap_or_default(), body);
        out.extend_from_slice(&tag);
        *stored = out;
        Digest::Hash(tag)
    }

    #[cfg(feature = "encryption")]
    fn open_sealed(&self, cipher: &Cipher, mut stored: Vec<u8>, offset: u64) -> Option<Vec<u8>> {
        let (clear, rest) = stored.split_at_mut_checked(SEALED_AT)?;
        let (clear, nonce) = clear.split_at(8);
        let (body, tag) = rest.split_last_chunk_mut::<TAG_BYTES>()?;
        if !cipher.open(nonce.first_chunk()?, Unit::Node, offset, clear, body, tag) {
            return None;
        }
        // Behind the node are zeros.
        let len = HEADER_LEN.checked_add(Header::parse(body).ok()?.stored_len as usize)?;
        let end = SEALED_AT.checked_add(len).filter(|&end| end <= stored.len() - TAG_BYTES)?;
        stored.truncate(end);
        stored.drain(..SEALED_AT);
        Some(stored)
    }

    /// The bytes of what looks like a sealed node.
    #[cfg(feature = "encryption")]
    fn plausible_sealed<'b>(&self, bytes: &'b [u8], offset: u64) -> Option<&'b [u8]> {
        let (mark, rest) = bytes.get(..SEALED_AT)?.split_first_chunk()?;
        let len = u32::from_le_bytes(*rest.first_chunk()?) as usize;
        let proven = crc32(&[&self.database_id, &offset.to_le_bytes(), rest]) == u32::from_le_bytes(*mark);
        (proven && len.is_multiple_of(GRAIN)).then(|| bytes.get(..len))?
    }
}

/// The stored bytes of what looks like a node.
fn plausible(bytes: &[u8], len_max: usize) -> Option<(Header, &[u8])> {
    // Cheap, and refuses nearly everything.
    TreeKind::split(*bytes.get(KIND_AT)?)?;
    let header = Header::parse(bytes).ok()?;
    let len = HEADER_LEN + header.stored_len as usize;
    (len <= len_max).then_some((header, bytes.get(..len)?))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_node_proves_itself_at_its_place_in_its_database_only() {
        for &checksum in Checksum::ALL {
            let seal = Seal { checksum, database_id: [7; 16], envelope: Envelope::Plain };
            let mut stored = vec![0; 100];
            stored[KIND_AT] = TreeKind::Base as u8 | 3;
            let digest = seal.close(&mut stored, 8192, TreeKind::RunPoints, 0x1_2345_6789);
            assert_eq!(TreeKind::split(stored[KIND_AT]), Some((TreeKind::RunPoints, 3)));
            assert_eq!(stored[AGE_AT..AGE_AT + 4], [0x89, 0x67, 0x45, 0x23]);
            assert_eq!(seal.digest(&stored, 8192), digest);
            assert!(Seal::begins_with(&stored, digest));
            let elsewhere = seal.digest(&stored, 8256);
            assert!(!Seal::begins_with(&stored, elsewhere), "at another place");
            let foreign = Seal { database_id: [8; 16], ..seal.clone() }.digest(&stored, 8192);
            assert!(!Seal::begins_with(&stored, foreign), "in another database");
            for at in CHECKSUM_LEN..stored.len() {
                stored[at] ^= 1;
                assert!(!Seal::begins_with(&stored, seal.digest(&stored, 8192)), "byte {at}");
                stored[at] ^= 1;
            }
        }
    }
}
