//! Point lookups and counts: one descent, nothing kept.

use alloc::vec::Vec;

use crate::codec::slot::Slot;
use crate::error::Result;

use super::node::Node;
use super::{NodeSource, Root, damaged, load};

/// An entry, and the leaf that holds it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    leaf: Node,
    index: usize,
}

impl Found {
    /// Entry `index` of `leaf`.
    #[inline]
    pub(crate) fn new(leaf: Node, index: usize) -> Self {
        Self { leaf, index }
    }

    #[inline]
    pub(crate) fn leaf(&self) -> &Node {
        &self.leaf
    }

    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// What the key maps to.
    #[inline]
    pub(crate) fn slot(&self) -> Slot<'_> {
        // The index is one the search gave, so there is a slot.
        self.leaf.view().slot(self.index).unwrap_or(Slot::Tombstone)
    }
}

/// Looks `key` up. Restartable: it has no effects.
pub(crate) fn get(source: &(impl NodeSource + ?Sized), root: Option<Root>, key: &[u8]) -> Result<Option<Found>> {
    let Some(root) = root else { return Ok(None) };
    let (mut reference, mut level) = (root.node, root.height);
    loop {
        let node = load(source, &reference, level)?;
        let view = node.view();
        if level == 0 {
            return Ok(view.search(key).ok().map(|index| Found { leaf: node, index }));
        }
        let child = view.child(view.child_index(key));
        reference = child.ok_or_else(|| damaged(&reference, "it has no children"))?;
        level -= 1;
    }
}

/// The leaf that a key belongs to: where it ends, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeafRange {
    /// The first key above it; `None` if there is no bound.
    pub to: Option<Vec<u8>>,
    /// Entries in it.
    pub entries: u64,
}

/// Finds the leaf of `key` by its parents; the leaf itself is not read.
pub(crate) fn leaf_range(source: &(impl NodeSource + ?Sized), root: &Root, key: &[u8]) -> Result<LeafRange> {
    let mut range = LeafRange { to: None, entries: root.entries };
    let (mut reference, mut level) = (root.node, root.height);
    while level > 0 {
        let node = load(source, &reference, level)?;
        let view = node.view();
        let at = view.child_index(key);
        if at < view.keys() {
            let mut to = Vec::new();
            view.key_into(at, &mut to);
            range.to = Some(to);
        }
        range.entries = view.child_entries(at);
        reference = view.child(at).ok_or_else(|| damaged(&reference, "it has no children"))?;
        level -= 1;
    }
    Ok(range)
}

/// Entries (tombstones included) with `start <= key < end`, by the counts in inner nodes: two descents.
pub(crate) fn count_range(
    source: &(impl NodeSource + ?Sized),
    root: Option<Root>,
    start: &[u8],
    end: Option<&[u8]>,
) -> Result<u64> {
    let Some(root) = root else { return Ok(0) };
    let below_end = match end {
        Some(end) => rank(source, &root, end)?,
        None => root.entries,
    };
    let below_start = if start.is_empty() { 0 } else { rank(source, &root, start)? };
    Ok(below_end.saturating_sub(below_start))
}

/// The key of the entry `distance` entries after the first at or above `from`, by the counts in inner nodes: two descents,
/// whatever lies between. `None` if there are not so many.
pub(crate) fn key_after(
    source: &(impl NodeSource + ?Sized),
    root: &Root,
    from: &[u8],
    distance: u64,
) -> Result<Option<Vec<u8>>> {
    let before = if from.is_empty() { 0 } else { rank(source, root, from)? };
    let mut left = before.saturating_add(distance);
    let (mut reference, mut level) = (root.node, root.height);
    loop {
        let node = load(source, &reference, level)?;
        let view = node.view();
        if level == 0 {
            let index = usize::try_from(left).unwrap_or(usize::MAX);
            let key = (index < view.keys()).then(|| {
                let mut key = Vec::new();
                view.key_into(index, &mut key);
                key
            });
            return Ok(key);
        }
        let mut index = 0;
        while index < view.children() && view.child_entries(index) <= left {
            left -= view.child_entries(index);
            index += 1;
        }
        let Some(child) = view.child(index) else { return Ok(None) };
        reference = child;
        level -= 1;
    }
}

/// Entries below `key`.
fn rank(source: &(impl NodeSource + ?Sized), root: &Root, key: &[u8]) -> Result<u64> {
    let (mut reference, mut level) = (root.node, root.height);
    let mut below = 0u64;
    loop {
        let node = load(source, &reference, level)?;
        let view = node.view();
        if level == 0 {
            let (Ok(index) | Err(index)) = view.search(key);
            return Ok(below.saturating_add(index as u64));
        }
        let index = view.child_index(key);
        for before in 0..index {
            below = below.saturating_add(view.child_entries(before));
        }
        reference = view.child(index).ok_or_else(|| damaged(&reference, "it has no children"))?;
        level -= 1;
    }
}
