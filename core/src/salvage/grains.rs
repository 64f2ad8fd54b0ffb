//! Looking at every grain of the data file: for nodes, and for copies of superblocks.

use alloc::vec::Vec;

use super::source::Source;
use crate::error::Result;
use crate::space::{GRAIN_BYTES, RESERVED_SECTORS, SECTOR_BYTES, Superblock};
use crate::tree::node::Node;
use crate::tree::{Header, NodeRef, STORED_LEN_MAX, Seal};

/// No node is longer as stored.
const NODE_BYTES_MAX: usize = STORED_LEN_MAX;
/// Bytes read at once.
const CHUNK_BYTES: usize = 4 << 20;
/// What looks like a node and is none is hashed up to this many times the file's length in all; then only what claims to be
/// short is still looked at. So no file takes forever.
const HASHED_PART_MAX: u64 = 16;
const SHORT_BYTES: usize = 8 << 10;

/// A window that moves over the file.
pub(super) struct Grains<'s> {
    source: &'s Source,
    buf: Vec<u8>,
    start: u64,
    at: u64,
    hashed_in_vain: u64,
}

impl<'s> Grains<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        Self { source, buf: Vec::new(), start: 0, at: RESERVED_SECTORS * SECTOR_BYTES, hashed_in_vain: 0 }
    }

    /// The bytes from the current grain on: as many as a node may have, if the file does.
    fn here(&mut self) -> Result<Option<&[u8]>> {
        if self.at >= self.source.bytes {
            return Ok(None);
        }
        let end = self.start + self.buf.len() as u64;
        let needed = self.source.bytes.min(self.at.saturating_add(NODE_BYTES_MAX as u64));
        if needed > end || self.at < self.start {
            let len = usize::try_from(self.source.bytes - self.at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            self.start = self.at;
            self.buf.resize(len, 0);
            self.source.read(self.at, &mut self.buf)?;
        }
        let from = usize::try_from(self.at - self.start).unwrap_or(usize::MAX);
        Ok(self.buf.get(from..))
    }

    /// The next node of the database that `seal` is of, and where it lies.
    pub(super) fn next_node(&mut self, seal: &Seal) -> Result<Option<(NodeRef, Header, Node)>> {
        let hashed_max = self.source.bytes.saturating_mul(HASHED_PART_MAX);
        loop {
            let (at, hashed) = (self.at, self.hashed_in_vain);
            let Some(bytes) = self.here()? else { return Ok(None) };
            let len_max = if hashed > hashed_max { SHORT_BYTES } else { NODE_BYTES_MAX };
            match seal.find(bytes, at, len_max) {
                Some(Ok((reference, header, node))) => {
                    self.at += u64::from(reference.len).next_multiple_of(GRAIN_BYTES);
                    return Ok(Some((reference, header, node)));
                }
                looked_at => {
                    self.hashed_in_vain += looked_at.map_or(0, |found| found.err().unwrap_or(0) as u64);
                    self.at += GRAIN_BYTES;
                }
            }
        }
    }

    /// The next copy of a superblock that stands where its record begins.
    pub(super) fn next_copy(&mut self) -> Result<Option<Superblock>> {
        loop {
            let at = self.at;
            let Some(bytes) = self.here()? else { return Ok(None) };
            let copy = Superblock::decode_copy(bytes);
            self.at += GRAIN_BYTES;
            if let Some(Ok(superblock)) = copy
                && superblock.record.0.offset == at + superblock.copy_bytes()
            {
                return Ok(Some(superblock));
            }
        }
    }
}
