//! Looking at every grain of the data file: for nodes, and for copies of superblocks.

use alloc::vec::Vec;

use super::source::Source;
use crate::error::Result;
use crate::space::{GRAIN_BYTES, RESERVED_SECTORS, SECTOR_BYTES, Superblock};
use crate::tree::node::Node;
use crate::tree::{HEADER_LEN, Header, NodeRef, Seal};

/// No node is longer as stored.
const NODE_BYTES_MAX: usize = 1 << 20;
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
            let Some((header, stored)) = plausible(bytes, len_max) else {
                self.at += GRAIN_BYTES;
                continue;
            };
            let digest = seal.digest(stored, at);
            let len = stored.len();
            let node =
                if Seal::begins_with(stored, digest) { Node::from_stored(stored.to_vec(), None).ok() } else { None };
            match node {
                Some(node) => {
                    self.at += (len as u64).next_multiple_of(GRAIN_BYTES);
                    return Ok(Some((NodeRef { offset: at, len: len as u32, checksum: digest }, header, node)));
                }
                None => {
                    self.hashed_in_vain += len as u64;
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
                && superblock.record.0.offset == at + Superblock::COPY_BYTES
            {
                return Ok(Some(superblock));
            }
        }
    }
}

/// The stored bytes of what looks like a node.
fn plausible(bytes: &[u8], len_max: usize) -> Option<(Header, &[u8])> {
    // Cheap, and refuses nearly everything.
    if !matches!(bytes.get(4)? & 0xf0, 0xb0 | 0xc0 | 0xd0) {
        return None;
    }
    let header = Header::parse(bytes).ok()?;
    let len = HEADER_LEN + header.stored_len as usize;
    (len <= len_max).then_some((header, bytes.get(..len)?))
}
