//! Immutable on-storage B+tree: node format, search, cursor, merge. Nodes are never written in place; [`merge`] is the
//! only code that writes them. Uses `codec`; reaches storage only through [`NodeSource`] and [`NodeSink`], and never
//! names a table.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::codec::checksum::Digest;
use crate::env::FileId;
use crate::error::{Error, Result};

mod cursor;
#[cfg(feature = "testing")]
pub(crate) mod doors;
mod encode;
mod get;
mod layout;
pub(crate) mod merge;
pub(crate) mod node;
mod seal;
mod stored_leaf;
mod walk;

#[cfg(test)]
mod tests;

pub(crate) use cursor::TreeCursor;
pub(crate) use get::{Found, count_range, get, key_after, leaf_range};
pub(crate) use layout::Header;
pub(crate) use merge::{Bulk, Change, Changes, Merge, Mode as MergeMode, Progress as MergeProgress};
#[cfg(feature = "encryption")]
pub(crate) use seal::nonce_offset;
pub(crate) use seal::{STORED_LEN_MAX, Seal, TreeKind};
pub(crate) use stored_leaf::StoredLeaf;
pub(crate) use walk::{Damage, Visitor, Walk};

/// Finds one node in the data file and proves it: a node is read through its parent's reference, never by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeRef {
    /// Byte offset in the data file, a multiple of the grain (64 bytes).
    pub offset: u64,
    /// Stored length in bytes (after compression).
    pub len: u32,
    /// Of the stored bytes and where they are.
    pub checksum: Digest,
}

/// A whole tree. The empty tree has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Root {
    /// The topmost node.
    pub node: NodeRef,
    /// Levels above the leaves; 0 when the root is a leaf.
    pub height: u8,
    /// Entries in all leaves, tombstones included.
    pub entries: u64,
}

/// How large nodes are made. Readers take any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeSizes {
    /// Bytes of a leaf before compression, header included. An entry larger than this makes a leaf of its own.
    pub leaf_max: usize,
    /// Bytes of an inner node, header included. Longer only where fewer than four children would fit.
    pub inner_max: usize,
}

impl Default for NodeSizes {
    /// One 4 KiB sector each.
    fn default() -> Self {
        Self { leaf_max: 4096, inner_max: 4096 }
    }
}

/// Where the bytes of nodes come from: storage through the node cache. May answer `NotResident`.
pub(crate) trait NodeSource {
    /// Stored bytes of the node, verified against `reference.checksum` and length, decompressed, structurally valid.
    fn node(&self, reference: &NodeRef) -> Result<node::Node>;

    /// As [`node`](Self::node), for child `index` of `parent`, which `reference` names. May be quicker.
    fn child(&self, _parent: &node::Node, _index: usize, reference: &NodeRef) -> Result<node::Node> {
        self.node(reference)
    }

    /// Child `index` of `parent` will be read soon.
    fn expect_child(&self, _parent: &node::Node, _index: usize) {}

    /// Whether the node is sealed under a data key that is to be forgotten.
    #[cfg(feature = "encryption")]
    fn is_outdated(&self, _reference: &NodeRef) -> Result<bool> {
        Ok(false)
    }
}

/// What a pointer leads to gives the nodes.
macro_rules! source_behind {
    ($pointer:ty) => {
        impl<S: NodeSource + ?Sized> NodeSource for $pointer {
            #[inline]
            fn node(&self, reference: &NodeRef) -> Result<node::Node> {
                (**self).node(reference)
            }

            #[inline]
            fn child(&self, parent: &node::Node, index: usize, reference: &NodeRef) -> Result<node::Node> {
                (**self).child(parent, index, reference)
            }

            #[inline]
            fn expect_child(&self, parent: &node::Node, index: usize) {
                (**self).expect_child(parent, index);
            }

            #[cfg(feature = "encryption")]
            fn is_outdated(&self, reference: &NodeRef) -> Result<bool> {
                (**self).is_outdated(reference)
            }
        }
    };
}

source_behind!(&S);
source_behind!(Arc<S>);

/// Where merges put nodes. Never answers `NotResident`.
pub(crate) trait NodeSink {
    /// Seals a finished node, stores it in free space and gives its reference.
    fn write(&mut self, stored: Vec<u8>) -> Result<NodeRef>;
    /// Makes everything written so far readable from the source: called before a merge reads what it has
    /// written itself, and before it says that it is done.
    fn flush(&mut self) -> Result<()>;
    /// The node is no longer part of the tree being made. It may still be part of older versions; rarely it is one that
    /// this merge has written itself.
    fn free(&mut self, reference: NodeRef);
    /// The value's extent is no longer referenced by the tree being made.
    fn free_value(&mut self, value: crate::codec::slot::ValueRef);
}

/// Reads a node that its parent puts at `level` (0 for a leaf).
fn load(source: &(impl NodeSource + ?Sized), reference: &NodeRef, level: u8) -> Result<node::Node> {
    on_level(source.node(reference)?, reference, level)
}

/// Reads child `index` of `parent`, which `reference` names.
#[inline]
fn load_child(
    source: &(impl NodeSource + ?Sized),
    parent: &node::Node,
    index: usize,
    reference: &NodeRef,
) -> Result<node::Node> {
    on_level(source.child(parent, index, reference)?, reference, parent.level().saturating_sub(1))
}

#[inline]
fn on_level(node: node::Node, reference: &NodeRef, level: u8) -> Result<node::Node> {
    if node.level() != level {
        return Err(damaged(reference, format!("the node is of level {}, its parent says {level}", node.level())));
    }
    Ok(node)
}

/// What makes a tree of nodes: whatever a node holds lies between the separators beside it, `low` and `high`, each an inner
/// node further up and which of its separators. So no node is in two places, however often it is referred to.
fn require_between(
    view: &node::NodeView<'_>,
    low: Option<(&node::Node, usize)>,
    high: Option<(&node::Node, usize)>,
) -> core::result::Result<(), &'static str> {
    let Some(last) = view.keys().checked_sub(1) else { return Ok(()) };
    let mut key = Vec::new();
    if let Some((parent, separator)) = low {
        view.key_into(0, &mut key);
        if parent.view().compare(separator, &key) == Ordering::Greater {
            return Err("its first key is below what its parent allows");
        }
    }
    if let Some((parent, separator)) = high {
        view.key_into(last, &mut key);
        if parent.view().compare(separator, &key) != Ordering::Greater {
            return Err("its last key is above what its parent allows");
        }
    }
    Ok(())
}

fn damaged(reference: &NodeRef, what: impl Into<String>) -> Error {
    Error::corrupt(FileId::Data, reference.offset, what)
}
