//! Immutable on-storage B+tree: node format, search, cursor, merge. Nodes are never written in place; [`merge`] is the
//! only code that writes them. Uses `codec`; reaches storage only through [`NodeSource`] and [`NodeSink`], and never
//! names a table.

use crate::error::Result;

/// Finds one node in the data file and proves it: a node is read through its parent's reference, never by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeRef {
    /// Byte offset in the data file, a multiple of the grain (64 bytes).
    pub offset: u64,
    /// Stored length in bytes (after compression).
    pub len: u32,
    /// CRC-32 of the stored bytes.
    pub checksum: u32,
}

/// Where the bytes of nodes come from: storage through the node cache. May answer `NotResident`.
pub(crate) trait NodeSource {
    /// Stored bytes of the node, verified against `reference.checksum` and length, decompressed, structurally valid.
    fn node(&self, reference: &NodeRef) -> Result<alloc::sync::Arc<node::Node>>;
}

/// Where merges put nodes. Never answers `NotResident`.
pub(crate) trait NodeSink {
    /// Stores a finished node in free space and gives its reference.
    fn write(&mut self, stored: &[u8]) -> Result<NodeRef>;
    /// The node is no longer part of the tree being made (it may still be part of older versions).
    fn free(&mut self, reference: NodeRef);
    /// The value's extent is no longer referenced by the tree being made.
    fn free_value(&mut self, value: crate::codec::slot::ValueRef);
}

pub(crate) mod node;
