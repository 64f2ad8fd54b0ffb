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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::codec::checksum::Digest;
    use crate::codec::slot::ValueRef;

    /// Keeps what is written, with its number for its place.
    #[derive(Default)]
    struct Written(Vec<Vec<u8>>);

    impl NodeSink for Written {
        fn write(&mut self, stored: Vec<u8>) -> Result<NodeRef> {
            let len = stored.len() as u32;
            self.0.push(stored);
            Ok(NodeRef { offset: 64 * self.0.len() as u64, len, checksum: Digest::Crc32(0) })
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }

        fn free(&mut self, _: NodeRef) {}

        fn free_value(&mut self, _: ValueRef) {}
    }

    #[test]
    fn a_leaf_is_taken_over_unless_it_or_what_waits_is_nearly_empty_or_has_values_elsewhere() {
        let key = |first: u8, n: u32| [&[first][..], &n.to_be_bytes()].concat();
        let leaf = |entries: u32, slot: Slot<'_>| {
            let (mut bulk, mut sink) = (Bulk::new(Compression::None), Written::default());
            (0..entries).for_each(|n| bulk.push(&key(1, n), slot, &mut sink).unwrap());
            bulk.finish(&mut sink).unwrap();
            StoredLeaf::new(sink.0.swap_remove(0))
        };
        let inline = Slot::Inline(&[7; 100]);
        let taken = |waiting: u32, entries: u32| {
            let (mut bulk, mut sink) = (Bulk::new(Compression::None), Written::default());
            (0..waiting).for_each(|n| bulk.push(&key(0, n), inline, &mut sink).unwrap());
            let leaf = leaf(entries, inline).unwrap();
            bulk.push_leaf(leaf, &key(1, 0), &key(1, entries), &mut sink).unwrap()
        };
        // Some 36 of them fill one.
        assert!(taken(0, 30) && taken(0, 16) && taken(30, 30));
        assert!(!taken(0, 10), "it is nearly empty");
        assert!(!taken(10, 30), "what waits would be");
        let elsewhere = ValueRef { offset: 4096, len: 100_000, checksum: Digest::Crc32(0) };
        assert!(leaf(20, Slot::Extent(elsewhere)).is_none());
    }
}
