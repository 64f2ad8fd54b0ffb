//! A leaf that goes from one tree to another as it is stored.

#![deny(clippy::indexing_slicing)]

use alloc::vec::Vec;

use super::layout::{HAS_KINDS, HEADER_LEN, Header};

/// A leaf as it is stored, opened and proven, with values that are all inline. Its entries were not looked at.
#[derive(Debug)]
pub(crate) struct StoredLeaf {
    stored: Vec<u8>,
    header: Header,
}

impl StoredLeaf {
    /// `None` where it is none, or has entries whose values lie elsewhere.
    pub(crate) fn new(stored: Vec<u8>) -> Option<Self> {
        let header = Header::parse(&stored).ok()?;
        let is_leaf = header.level == 0 && header.flags & HAS_KINDS == 0;
        let is_whole = stored.len() == HEADER_LEN + header.stored_len as usize;
        (is_leaf && is_whole).then_some(Self { stored, header })
    }

    pub(crate) fn entries(&self) -> u64 {
        u64::from(self.header.count)
    }

    /// Bytes before compression.
    pub(super) fn raw_len(&self) -> usize {
        HEADER_LEN + self.header.body_len as usize
    }

    /// Bytes as it is stored, opened.
    pub(crate) fn stored_len(&self) -> u64 {
        self.stored.len() as u64
    }

    pub(super) fn into_stored(self) -> Vec<u8> {
        self.stored
    }
}
