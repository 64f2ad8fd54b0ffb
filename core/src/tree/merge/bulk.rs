//! A tree made of entries that come in order, over nothing.

use core::ops::Range;

use crate::codec::compress::Compression;
use crate::codec::slot::Slot;
use crate::error::{Error, Result};
use crate::tree::node::{Node, NodeView};
use crate::tree::{NodeRef, NodeSink, NodeSizes, NodeSource, Root, StoredLeaf};

use super::output::Output;

/// A tree under way. Which nodes it writes, and in which order, depends on the entries alone.
#[derive(Debug)]
pub(crate) struct Bulk {
    output: Output,
}

impl Bulk {
    pub(crate) fn new(compression: Compression) -> Self {
        Self { output: Output::new(NodeSizes::default(), compression) }
    }

    /// Adds an entry above all others.
    pub(crate) fn push(&mut self, key: &[u8], slot: Slot<'_>, sink: &mut dyn NodeSink) -> Result<()> {
        self.output.leaves.push(key, slot);
        self.output.write_full_leaves(sink)
    }

    /// Adds all entries of a leaf of another tree, above all others, as they are; `false` where they are to be pushed instead. It
    /// begins with `first`, unless another such leaf ended there, and `end` lies above its keys, and not above what follows.
    pub(crate) fn push_leaf(
        &mut self,
        leaf: StoredLeaf,
        first: &[u8],
        end: &[u8],
        sink: &mut dyn NodeSink,
    ) -> Result<bool> {
        self.output.push_leaf(leaf, first, end, sink)
    }

    /// Adds some entries of a leaf, above all others.
    pub(crate) fn push_part(&mut self, leaf: &NodeView<'_>, part: Range<usize>, sink: &mut dyn NodeSink) -> Result<()> {
        for index in part {
            self.output.leaves.copy(leaf, index);
            self.output.write_full_leaves(sink)?;
        }
        Ok(())
    }

    /// Writes what waits; the tree, if there were entries.
    pub(crate) fn finish(&mut self, sink: &mut dyn NodeSink) -> Result<Option<Root>> {
        loop {
            if let Some(root) = self.output.finish(&Nothing, sink)? {
                return Ok(root);
            }
        }
    }
}

/// Over nothing, nothing is read: nodes are only opened again next to subtrees that were taken over.
struct Nothing;

impl NodeSource for Nothing {
    fn node(&self, _: &NodeRef) -> Result<Node> {
        Err(Error::invalid("a tree that is made in order reads none of its nodes"))
    }
}
