//! What a key maps to in a layer.

use crate::codec::bytes::{Reader, Writer};
use crate::codec::checksum::{Checksum, Digest};
use alloc::vec::Vec;

/// A value as a layer stores it: inline bytes, a reference to an extent of its own, or a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot<'a> {
    /// The bytes themselves.
    Inline(&'a [u8]),
    /// The encoded [`ValueRef`] of a value that lives in its own extent.
    Extent(ValueRef),
    /// The key is deleted; hides lower layers. Never in the base tree.
    Tombstone,
}

/// Stands behind a tag in the reference of a sealed value.
const SEALED: u8 = 1;

/// Where a value above the inline threshold lives. `checksum` covers the table of block checksums at the extent's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueRef {
    /// Byte offset in the data file, a multiple of the grain (64).
    pub offset: u64,
    /// Length of the value in bytes (the extent is longer: block checksums follow).
    pub len: u64,
    /// Of the checksum table.
    pub checksum: Digest,
}

impl ValueRef {
    /// Bytes of the encoding before the checksum.
    const PLACE_LEN: usize = 16;

    /// Bytes of the encoding: with a tag one more than with a hash, so that its length says which.
    pub(crate) fn encoded_len(checksum: Checksum) -> usize {
        Self::PLACE_LEN + checksum.width() + usize::from(checksum.is_tag())
    }

    /// Whether an encoding may have this many bytes.
    pub(crate) fn is_encoded_len(len: usize) -> bool {
        #[cfg(feature = "encryption")]
        if len == Self::encoded_len(Checksum::Tag) {
            return true;
        }
        Checksum::ALL.iter().any(|&checksum| len == Self::encoded_len(checksum))
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.offset);
        out.put_u64(self.len);
        self.checksum.encode(out);
        if self.checksum.kind().is_tag() {
            out.put_u8(SEALED);
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (place, checksum) = bytes.split_at_checked(Self::PLACE_LEN)?;
        let mut reader = Reader::new(place);
        let checksum = match checksum.len() {
            #[cfg(feature = "encryption")]
            17 => Digest::Tag(*checksum.strip_suffix(&[SEALED])?.first_chunk()?),
            _ => Digest::from_bytes(checksum)?,
        };
        Some(Self { offset: reader.u64()?, len: reader.u64()?, checksum })
    }
}
