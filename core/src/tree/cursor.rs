//! Moving through a tree in key order.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::mem;

use crate::codec::slot::Slot;
use crate::error::Result;
use crate::testing::Mutant;

use super::node::{Node, NodeView};
use super::{NodeRef, NodeSource, Root, damaged, load, load_child};

/// A position in one tree: on an entry, before the first, or after the last (where it starts depends on the first move:
/// a new cursor is before the first entry).
///
/// Every move either succeeds or leaves the cursor where it was, so a move that met `NotResident` is simply repeated.
/// Each move answers whether the cursor is on an entry now.
#[derive(Debug)]
pub(crate) struct TreeCursor<S> {
    source: S,
    root: Option<Root>,
    place: Place,
    /// Inner nodes from the root down, each with the child taken. Meaningful only `On` an entry, like the next three.
    path: Vec<Step>,
    leaf: Option<Node>,
    index: usize,
    key: Vec<u8>,
    /// How often the cursor came to a leaf.
    landings: u64,
    /// Where a path is put together before it takes the place of `path`.
    spare: Vec<Step>,
    /// The same for the part of a path below a common ancestor.
    below: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    On,
    After,
}

#[derive(Clone, Debug)]
struct Step {
    node: Node,
    child: usize,
}

impl<S: NodeSource> TreeCursor<S> {
    /// A cursor before the first entry. `None` is the empty tree.
    pub(crate) fn new(source: S, root: Option<Root>) -> Self {
        Self {
            source,
            root,
            place: Place::Before,
            path: Vec::new(),
            leaf: None,
            index: 0,
            key: Vec::new(),
            landings: 0,
            spare: Vec::new(),
            below: Vec::new(),
        }
    }

    /// The entry the cursor is on.
    #[inline]
    pub(crate) fn entry(&self) -> Option<(&[u8], Slot<'_>)> {
        if self.place != Place::On {
            return None;
        }
        let slot = self.leaf.as_ref()?.view().slot(self.index)?;
        Some((&self.key, slot))
    }

    /// Whether the cursor is on an entry.
    #[inline]
    pub(crate) fn is_on_entry(&self) -> bool {
        self.place == Place::On
    }

    /// A number that changes when the cursor comes to a leaf.
    #[inline]
    pub(crate) fn landings(&self) -> u64 {
        self.landings
    }

    /// Whether all entries of the leaf the cursor is on have their values inline.
    #[inline]
    pub(crate) fn leaf_is_inline(&self) -> bool {
        self.leaf.as_ref().is_some_and(|leaf| leaf.view().is_inline())
    }

    /// Which entry of its leaf the cursor is on.
    #[inline]
    pub(crate) fn index_in_leaf(&self) -> usize {
        self.index
    }

    /// Entries of the leaf the cursor is on whose keys are from `from` on and below `to`, from the first to the last: with that
    /// of the cursor, all before it or none, and all behind it or none. `None` where that of the cursor is not one of them.
    pub(crate) fn leaf_part_within(&self, from: &[u8], to: &[u8]) -> Option<(usize, usize)> {
        let leaf = self.leaf.as_ref().filter(|_| self.place == Place::On)?;
        let view = leaf.view();
        let last = leaf.len().checked_sub(1)?;
        let reaches_from = |index| view.compare(index, from) != Ordering::Less;
        let is_below_to = |index| view.compare(index, to) == Ordering::Less;
        if !reaches_from(self.index) || !is_below_to(self.index) {
            return None;
        }
        Some((if reaches_from(0) { 0 } else { self.index }, if is_below_to(last) { last } else { self.index }))
    }

    /// Goes to the first entry at or above `key`, else after the last.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<bool> {
        self.jump(Target::AtOrAbove(key))
    }

    /// Goes to the last entry below `key`, else before the first.
    pub(crate) fn seek_before(&mut self, key: &[u8]) -> Result<bool> {
        self.jump(Target::Below(key))
    }

    /// Goes to the first entry.
    pub(crate) fn seek_first(&mut self) -> Result<bool> {
        self.jump(Target::First)
    }

    /// Goes to the last entry.
    pub(crate) fn seek_last(&mut self) -> Result<bool> {
        self.jump(Target::Last)
    }

    /// The leaf the cursor is on.
    pub(crate) fn leaf(&self) -> Option<NodeView<'_>> {
        self.leaf.as_ref().filter(|_| self.place == Place::On).map(Node::view)
    }

    /// Where the leaf is whose first entry the cursor is on: above it, and which child of that it is.
    pub(crate) fn leaf_begun(&self) -> Option<(&Node, usize)> {
        let is_at_start = self.place == Place::On && self.index == 0;
        self.path.last().filter(|_| is_at_start).map(|step| (&step.node, step.child))
    }

    /// Where the cursor reads.
    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// Goes so many entries on in the leaf it is on, no further than its last.
    pub(crate) fn advance_in_leaf(&mut self, entries: usize) {
        if let (Place::On, Some(leaf)) = (self.place, &self.leaf) {
            self.index = self.index.saturating_add(entries).min(leaf.len().saturating_sub(1));
            self.load_key_in_leaf();
        }
    }

    /// Goes to the following entry; from before the first to the first.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<bool> {
        match (self.place, &self.leaf) {
            (Place::On, Some(leaf)) if self.index + 1 < leaf.len() => {
                self.index += 1;
                self.load_key_in_leaf();
                Ok(true)
            }
            (Place::Before, _) => self.seek_first(),
            (Place::After, _) => Ok(false),
            (Place::On, _) => self.cross(true),
        }
    }

    /// Goes to the preceding entry; from after the last to the last.
    #[inline]
    pub(crate) fn prev(&mut self) -> Result<bool> {
        match self.place {
            Place::On if self.index > 0 => {
                self.index -= 1;
                self.load_key_in_leaf();
                Ok(true)
            }
            Place::After => self.seek_last(),
            Place::Before => Ok(false),
            Place::On => self.cross(false),
        }
    }

    /// Steps to the neighbouring leaf.
    fn cross(&mut self, forward: bool) -> Result<bool> {
        let leaf = neighbour(&self.source, &mut self.path, &mut self.below, forward, Some(&self.key))?;
        let skipped = |leaf: &Node| usize::from(Mutant::CursorSkipsAtLeaf.is_active() && leaf.len() > 1);
        Ok(self.land(leaf, forward, |leaf| if forward { skipped(leaf) } else { leaf.len() - 1 }))
    }

    fn jump(&mut self, target: Target<'_>) -> Result<bool> {
        let Some(root) = self.root else {
            self.place = if target.forward() { Place::After } else { Place::Before };
            return Ok(false);
        };
        self.spare.clear();
        let top = load(&self.source, &root.node, root.height)?;
        let mut leaf = Some(descend(&self.source, &mut self.spare, root.node, top, target)?);
        let mut index = leaf.as_ref().and_then(|leaf| target.entry_in(leaf));
        if index.is_none() {
            // Everything in the leaf is on the wrong side of the key: the neighbour's nearest entry is the one.
            leaf = neighbour(&self.source, &mut self.spare, &mut self.below, target.forward(), None)?;
            index = leaf.as_ref().map(|leaf| if target.forward() { 0 } else { leaf.len() - 1 });
        }
        mem::swap(&mut self.path, &mut self.spare);
        Ok(self.land(leaf, target.forward(), |_| index.unwrap_or(0)))
    }

    fn land(&mut self, leaf: Option<Node>, forward: bool, index: impl FnOnce(&Node) -> usize) -> bool {
        let Some(leaf) = leaf else {
            self.place = if forward { Place::After } else { Place::Before };
            return false;
        };
        self.index = index(&leaf);
        self.place = Place::On;
        self.landings = self.landings.wrapping_add(1);
        leaf.expect_entries(self.index, forward);
        leaf.view().key_into(self.index, &mut self.key);
        self.leaf = Some(leaf);
        true
    }

    /// The prefix in the buffer is that of the leaf already.
    #[inline]
    fn load_key_in_leaf(&mut self) {
        if let Some(leaf) = &self.leaf {
            leaf.view().replace_suffix(self.index, &mut self.key);
        }
    }
}

#[derive(Clone, Copy)]
enum Target<'a> {
    First,
    Last,
    AtOrAbove(&'a [u8]),
    Below(&'a [u8]),
}

impl Target<'_> {
    /// Which way the search goes on when a leaf has no such entry.
    fn forward(self) -> bool {
        matches!(self, Target::First | Target::AtOrAbove(_))
    }

    fn child_of(self, node: &Node) -> usize {
        match self {
            Target::First => 0,
            Target::Last => node.len() - 1,
            Target::AtOrAbove(key) => node.view().child_index(key),
            // Below a separator is the child before it.
            Target::Below(key) => match node.view().search(key) {
                Ok(index) | Err(index) => index,
            },
        }
    }

    fn entry_in(self, leaf: &Node) -> Option<usize> {
        match self {
            Target::First => Some(0),
            Target::Last => Some(leaf.len() - 1),
            Target::AtOrAbove(key) => {
                let (Ok(index) | Err(index)) = leaf.view().search(key);
                (index < leaf.len()).then_some(index)
            }
            Target::Below(key) => {
                let (Ok(index) | Err(index)) = leaf.view().search(key);
                index.checked_sub(1)
            }
        }
    }
}

/// The leaf that `target` leads to from `node`, of `reference`, down; the inner nodes on the way are added to `path`.
fn descend(
    source: &impl NodeSource,
    path: &mut Vec<Step>,
    mut reference: NodeRef,
    mut node: Node,
    target: Target<'_>,
) -> Result<Node> {
    while node.level() > 0 {
        let child = target.child_of(&node);
        reference = node.view().child(child).ok_or_else(|| damaged(&reference, "it has no children"))?;
        let below = load_child(source, &node, child, &reference)?;
        path.push(Step { node, child });
        node = below;
    }
    Ok(node)
}

/// The leaf beside the one `path` leads to, whose keys are all to lie on the other side of `beyond`, and `path` changed to lead to it, but not on an error or where there is none.
fn neighbour(
    source: &impl NodeSource,
    path: &mut Vec<Step>,
    below: &mut Vec<Step>,
    forward: bool,
    beyond: Option<&[u8]>,
) -> Result<Option<Node>> {
    let sibling = |step: &Step, from: usize| {
        if forward { Some(from + 1).filter(|child| *child < step.node.len()) } else { from.checked_sub(1) }
    };
    let turn = path.iter().enumerate().rev().find_map(|(depth, step)| Some((depth, step, sibling(step, step.child)?)));
    let Some((depth, step, child)) = turn else { return Ok(None) };
    let Some(reference) = step.node.view().child(child) else { return Ok(None) };
    let target = if forward { Target::First } else { Target::Last };
    let node = load_child(source, &step.node, child, &reference)?;
    below.clear();
    let leaf = descend(source, below, reference, node, target)?;
    // Keys only ever ascend: a walk over a tree whose nodes are in several places would hardly end.
    let near = if forward { 0 } else { leaf.len() - 1 };
    let is_beyond = |key| leaf.view().compare(near, key) == if forward { Ordering::Greater } else { Ordering::Less };
    if !beyond.is_none_or(is_beyond) {
        return Err(damaged(&reference, "what lies below it is not where its parent says"));
    }
    path.truncate(depth + 1);
    if let Some(step) = path.last_mut() {
        step.child = child;
    }
    path.append(below);
    // Whoever went to a neighbour will likely go on.
    if let Some(step) = path.last()
        && let Some(next) = sibling(step, step.child)
    {
        source.expect_child(&step.node, next);
    }
    Ok(Some(leaf))
}
