//! The tree that a merge makes, from left to right.

use alloc::vec::Vec;

use crate::codec::compress::Compression;
use crate::error::{Error, Result};
use crate::tree::encode::{self, Child};
use crate::tree::layout::LEVEL_MAX;
use crate::tree::node::Node;
use crate::tree::{NodeSink, NodeSizes, NodeSource, Root, StoredLeaf, load};

use super::inners::InnerBuffer;
use super::leaves::LeafBuffer;

/// Siblings of the base that are taken into leaves too empty to stand alone.
const ABSORBED_MAX: u8 = 3;
/// Leaves emptier than this begin to take siblings in, and go on until they are as full as the second says.
const FILL_BEFORE_ABSORBING_PERCENT: usize = 60;
const FILL_AFTER_ABSORBING_PERCENT: usize = 80;
/// Leaves emptier than this take in siblings however many it takes.
const FILL_MIN_PERCENT: usize = 40;
const INNER_FILL_MIN_PERCENT: usize = 40;
/// At the right end, where appending goes on.
const INNER_FILL_MIN_AT_END_PERCENT: usize = 12;

/// Entries and children that wait to become nodes, one buffer for each level. Everything in a buffer is to the right of
/// everything in the buffers above it.
#[derive(Debug)]
pub(super) struct Output {
    sizes: NodeSizes,
    compression: Compression,
    pub leaves: LeafBuffer,
    /// Number `n` holds nodes of level `n`, to be the children of nodes of level `n + 1`.
    inners: Vec<InnerBuffer>,
    /// What is known of the keys to the left of all that waits as entries.
    left: Left,
    left_key: Vec<u8>,
    absorbed: u8,
    writes: u64,
}

/// What `Output::left_key` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// There are no keys to the left.
    Nothing,
    /// It is the last of them.
    Last,
    /// It is above all of them, and not above what follows.
    Below,
}

impl Output {
    pub(super) fn new(sizes: NodeSizes, compression: Compression) -> Self {
        Self {
            sizes,
            compression,
            leaves: LeafBuffer::new(sizes.leaf_max),
            inners: Vec::new(),
            left: Left::Nothing,
            left_key: Vec::new(),
            absorbed: 0,
            writes: 0,
        }
    }

    /// Nodes written so far.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    #[cfg(test)]
    /// The last key put in, or one above everything put in and not above what follows.
    pub(super) fn position(&self) -> Option<&[u8]> {
        self.leaves.last_key().or((self.left != Left::Nothing).then_some(&*self.left_key))
    }

    /// Whether nothing waits below `level`: no entries, and no nodes of lower levels.
    pub(super) fn is_empty_below(&self, level: u8) -> bool {
        self.leaves.is_empty() && self.inners.iter().take(usize::from(level)).all(InnerBuffer::is_empty)
    }

    /// Writes leaves that are full and need not wait any longer.
    pub(super) fn write_full_leaves(&mut self, sink: &mut dyn NodeSink) -> Result<()> {
        while self.leaves.overflows() {
            self.write_first_leaf(sink)?;
        }
        Ok(())
    }

    /// Makes way for a whole subtree of `level` by writing all that waits below that level. Where that would make nodes
    /// too empty it answers `false`: then the subtree is to be opened and its parts put in instead.
    pub(super) fn settle(&mut self, level: u8, sink: &mut dyn NodeSink) -> Result<bool> {
        if !self.leaves.is_empty() {
            if self.leaves_are_too_empty() {
                return Ok(false);
            }
            self.leaves.spread_evenly();
            self.write_all_leaves(sink)?;
        }
        for below in 0..level {
            let Some(buffer) = self.inners.get_mut(usize::from(below)).filter(|buffer| !buffer.is_empty()) else {
                continue;
            };
            if buffer.is_thinner_than(INNER_FILL_MIN_PERCENT) {
                return Ok(false);
            }
            buffer.spread_evenly();
            self.write_all_nodes(below, sink)?;
        }
        Ok(true)
    }

    fn leaves_are_too_empty(&self) -> bool {
        let fill = self.leaves.fill_percent();
        match self.absorbed {
            _ if fill < FILL_MIN_PERCENT => true,
            0 => fill < FILL_BEFORE_ABSORBING_PERCENT,
            ABSORBED_MAX.. => false,
            _ => fill < FILL_AFTER_ABSORBING_PERCENT,
        }
    }

    /// A leaf of the base is taken in only because [`Output::settle`] asked for it.
    pub(super) fn note_absorbed(&mut self) {
        self.absorbed = self.absorbed.saturating_add(1);
    }

    /// Takes a subtree of the base over as it is. `high`, if there is a bound, puts the first key above it in its argument.
    pub(super) fn take_over(
        &mut self,
        level: u8,
        child: Child,
        high: impl FnOnce(&mut Vec<u8>) -> bool,
        sink: &mut dyn NodeSink,
    ) -> Result<()> {
        if high(&mut self.left_key) {
            self.left = Left::Below;
        }
        self.push_child(level, child, sink)
    }

    /// The node of `level` whose parts, and nothing else, wait below that level is taken over whole after all.
    pub(super) fn take_back(&mut self, level: u8) {
        match level.checked_sub(1) {
            None => self.leaves.clear(),
            Some(below) => self.inners[usize::from(below)].clear(),
        }
    }

    /// How many nodes of `level` wait.
    pub(super) fn waits(&self, level: u8) -> usize {
        self.inners.get(usize::from(level)).map_or(0, |buffer| buffer.children().len())
    }

    fn push_child(&mut self, level: u8, child: Child, sink: &mut dyn NodeSink) -> Result<()> {
        let at = usize::from(level);
        while self.inners.len() <= at {
            self.inners.push(InnerBuffer::new(self.sizes.inner_max));
        }
        self.inners[at].push(child);
        while self.inners[at].overflows() {
            self.write_first_node(level, sink)?;
        }
        Ok(())
    }

    fn write_all_leaves(&mut self, sink: &mut dyn NodeSink) -> Result<()> {
        while !self.leaves.is_empty() {
            self.write_first_leaf(sink)?;
        }
        self.absorbed = 0;
        Ok(())
    }

    fn write_first_leaf(&mut self, sink: &mut dyn NodeSink) -> Result<()> {
        let leaf = self.leaves.first_leaf(self.compression);
        let node = sink.write(leaf.stored)?;
        self.writes += 1;
        let separator = self.separator(self.leaves.first_key().unwrap_or(&[]));
        self.left_key.clear();
        self.left_key.extend_from_slice(self.leaves.last_key_of_first_leaf().unwrap_or(&[]));
        self.left = Left::Last;
        self.leaves.remove_first_leaf();
        self.push_child(0, Child { separator, node, entries: leaf.entries as u64, fresh: true }, sink)
    }

    /// Between what is to the left and a leaf that begins with this key.
    fn separator(&self, first: &[u8]) -> Vec<u8> {
        match self.left {
            Left::Nothing => Vec::new(),
            Left::Last => encode::separator(&self.left_key, first).to_vec(),
            Left::Below => self.left_key.clone(),
        }
    }

    /// Makes a leaf of another tree a leaf of this, as it is: it begins with `first`, and `end` lies above all its keys, and not
    /// above what follows. Where that, or what waits, would be too empty, it answers `false`: then the entries are to be put in
    /// instead.
    pub(super) fn push_leaf(
        &mut self,
        leaf: StoredLeaf,
        first: &[u8],
        end: &[u8],
        sink: &mut dyn NodeSink,
    ) -> Result<bool> {
        let is_full = 100 * leaf.raw_len() >= FILL_MIN_PERCENT * self.sizes.leaf_max;
        if !is_full || !self.settle(0, sink)? {
            return Ok(false);
        }
        let entries = leaf.entries();
        let node = sink.write(leaf.into_stored())?;
        self.writes += 1;
        let separator = self.separator(first);
        self.left_key.clear();
        self.left_key.extend_from_slice(end);
        self.left = Left::Below;
        self.push_child(0, Child { separator, node, entries, fresh: true }, sink)?;
        Ok(true)
    }

    /// Makes nodes of all nodes of `level` that wait.
    fn write_all_nodes(&mut self, level: u8, sink: &mut dyn NodeSink) -> Result<()> {
        while !self.inners[usize::from(level)].is_empty() {
            self.write_first_node(level, sink)?;
        }
        Ok(())
    }

    fn write_first_node(&mut self, level: u8, sink: &mut dyn NodeSink) -> Result<()> {
        let parent_level = level + 1;
        if parent_level > LEVEL_MAX {
            return Err(Error::LimitExceeded {
                what: "height of a tree",
                value: u64::from(parent_level),
                limit: u64::from(LEVEL_MAX),
            });
        }
        let buffer = &mut self.inners[usize::from(level)];
        let Some(inner) = buffer.first_node(parent_level) else { return Ok(()) };
        let node = sink.write(inner.stored)?;
        self.writes += 1;
        buffer.remove_first_node();
        let child = Child { separator: inner.separator, node, entries: inner.entries, fresh: true };
        self.push_child(parent_level, child, sink)
    }

    /// One step of making a single tree of all that waits, when nothing more will come. `None` while there is more to do,
    /// then the root, if there is a tree.
    pub(super) fn finish(&mut self, source: &dyn NodeSource, sink: &mut dyn NodeSink) -> Result<Option<Option<Root>>> {
        if !self.leaves.is_empty() {
            self.write_all_leaves(sink)?;
            return Ok(None);
        }
        let Some(level) = self.lowest_waiting(0) else { return Ok(Some(None)) };
        let is_top = self.lowest_waiting(level + 1).is_none();
        let buffer = &mut self.inners[usize::from(level)];
        if let ([only], true) = (buffer.children(), is_top) {
            return Ok(Some(Some(Root { node: only.node, height: level, entries: only.entries })));
        }
        let thin = !is_top && buffer.is_thinner_than(INNER_FILL_MIN_AT_END_PERCENT);
        let is_only = buffer.children().len() == 1;
        if thin && self.reopen_last_above(level, is_only, source, sink)? {
            return Ok(None);
        }
        self.inners[usize::from(level)].spread_for_appending();
        self.write_all_nodes(level, sink)?;
        Ok(None)
    }

    /// The lowest level, from this one on, of which nodes wait.
    fn lowest_waiting(&self, from: u8) -> Option<u8> {
        let found = self.inners.iter().enumerate().skip(usize::from(from)).find(|(_, buffer)| !buffer.is_empty());
        found.map(|(level, _)| level as u8)
    }

    /// Opens the last node that waits above `level`, so that its children wait instead. What this merge has written itself
    /// is opened only with `even_fresh`: for the sake of a child that would be the only one of its parent. Such a node was
    /// written to make way for a subtree of which, opened to move its parts, hardly anything was left.
    fn reopen_last_above(
        &mut self,
        level: u8,
        even_fresh: bool,
        source: &dyn NodeSource,
        sink: &mut dyn NodeSink,
    ) -> Result<bool> {
        let Some(above) = self.lowest_waiting(level + 1) else { return Ok(false) };
        let last = self.inners[usize::from(above)].children().last();
        let Some(last) = last.filter(|last| even_fresh || !last.fresh) else { return Ok(false) };
        sink.flush()?;
        let node = load(source, &last.node, above)?;
        sink.free(last.node);
        if let Some(child) = self.inners[usize::from(above)].pop() {
            self.inners[usize::from(above) - 1].prepend(children_of(&node, child.separator));
        }
        Ok(true)
    }
}

/// The children of a node, the first of which begins where the node does.
fn children_of(node: &Node, separator: Vec<u8>) -> Vec<Child> {
    let view = node.view();
    let mut separator = Some(separator);
    let child = |index: usize| {
        let separator = separator.take().unwrap_or_else(|| {
            let mut key = Vec::new();
            view.key_into(index - 1, &mut key);
            key
        });
        let node = view.child(index)?;
        Some(Child { separator, node, entries: view.child_entries(index), fresh: false })
    };
    (0..view.children()).map_while(child).collect()
}
