//! What a key maps to in a layer.

use crate::codec::bytes::{Reader, Writer};
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

/// Where a value above the inline threshold lives. `checksum` covers the table of block checksums at the extent's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueRef {
    /// Byte offset in the data file, a multiple of the grain (64).
    pub offset: u64,
    /// Length of the value in bytes (the extent is longer: block checksums follow).
    pub len: u64,
    /// CRC-32 of the checksum table.
    pub checksum: u32,
}

impl ValueRef {
    /// Bytes of the encoding.
    pub(crate) const ENCODED_LEN: usize = 20;

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.offset);
        out.put_u64(self.len);
        out.put_u32(self.checksum);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let value = Self { offset: reader.u64()?, len: reader.u64()?, checksum: reader.u32()? };
        reader.is_empty().then_some(value)
    }
}
