//! One node of the map, and the changes that walk down through nodes.
//!
//! A change takes the nodes on its way by [`Arc::make_mut`]: in place when nobody else holds them, as a copy otherwise,
//! so whoever holds the old root keeps the old map.

use super::arena::{Arena, CAPACITY};
use super::keys::Keys;
use super::run::Run;
use crate::codec::slot::Slot;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A node with less than this is joined to a neighbour when a removal leaves it so.
const SMALL: usize = CAPACITY / 4;
/// Two nodes are joined only when what comes out has room for some more.
const JOINED_MAX: usize = CAPACITY * 3 / 4;

/// A leaf, which has entries, or an inner node, which has as many children as keys.
///
/// The key of a child is a lower bound of the keys below it, except the first child's, which takes all that is lower too.
/// All leaves are equally deep. No node is empty between changes; an empty map has no root.
///
/// Dropping a node drops the children that nobody else holds, a recursion as deep as the tree, which is a handful; the
/// entries in leaves need no dropping.
#[derive(Clone, Debug)]
pub(super) struct Node {
    keys: Keys,
    children: Vec<Arc<Node>>,
    summary: Summary,
}

/// What is in and below a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) entries: usize,
    pub(super) nodes: usize,
    /// No entry has a higher sequence; the highest may have been removed.
    pub(super) max_sequence: u64,
}

impl Summary {
    fn plus(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            nodes: self.nodes + other.nodes,
            max_sequence: self.max_sequence.max(other.max_sequence),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self { entries: self.entries - other.entries, nodes: self.nodes - other.nodes, ..self }
    }
}

impl Node {
    /// A leaf without entries.
    pub(super) fn leaf(arena: Arc<Arena>) -> Self {
        Self { keys: Keys::new(arena), children: Vec::new(), summary: Summary { nodes: 1, ..Summary::default() } }
    }

    /// The node above `left` and `right`, the two halves of what was the root.
    pub(super) fn root_over(left: Arc<Self>, right: Arc<Self>) -> Self {
        let mut root =
            Self { keys: left.keys.sibling(), children: Vec::with_capacity(CAPACITY), summary: Summary::default() };
        root.insert_child(0, left);
        root.insert_child(1, right);
        root.summarize();
        root
    }

    #[inline]
    pub(super) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// Entries of a leaf, children of an inner node.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    #[inline]
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    #[inline]
    pub(super) fn child(&self, at: usize) -> &Arc<Self> {
        &self.children[at]
    }

    pub(super) fn only_child(&self) -> Option<&Arc<Self>> {
        if let [child] = self.children.as_slice() { Some(child) } else { None }
    }

    #[inline]
    pub(super) fn summary(&self) -> Summary {
        self.summary
    }

    /// Memory a node takes, in bytes, about.
    pub(super) const fn bytes() -> usize {
        // With the counts of its `Arc` and its place among its parent's children, which may be half empty.
        size_of::<Self>() + 4 * size_of::<usize>()
    }

    /// Which child's keys `key` is among.
    #[inline]
    pub(super) fn child_for(&self, key: &[u8]) -> usize {
        match self.keys.search(key) {
            Ok(at) => at,
            Err(at) => at.saturating_sub(1),
        }
    }

    /// The last child that may have keys below `key`, all of them when there is no `key`.
    #[inline]
    pub(super) fn child_below(&self, key: Option<&[u8]>) -> usize {
        key.map_or(self.len(), |key| self.keys.lower_bound(key)).saturating_sub(1)
    }

    /// The first key from `start` on and below `end` whose entry is newer than `sequence`.
    pub(super) fn first_newer(&self, start: &[u8], end: Option<&[u8]>, sequence: u64) -> Option<&[u8]> {
        if self.summary.max_sequence <= sequence {
            return None;
        }
        if self.is_leaf() {
            let within = self.keys.lower_bound(start)..end.map_or(self.len(), |end| self.keys.lower_bound(end));
            return within.map(|at| self.keys.entry(at)).find(|entry| entry.sequence > sequence).map(|entry| entry.key);
        }
        let within = self.child_for(start)..=self.child_below(end);
        self.children.get(within)?.iter().find_map(|child| child.first_newer(start, end, sequence))
    }

    /// Puts the entries of `run` that are below `upper`, until it has no more or this node splits; then gives the node
    /// that follows it. At least one entry must be due.
    pub(super) fn put<'e, I>(this: &mut Arc<Self>, run: &mut Run<'e, I>, upper: Option<&[u8]>) -> Option<Arc<Self>>
    where
        I: Iterator<Item = (&'e [u8], Slot<'e>)>,
    {
        let node = Arc::make_mut(this);
        if node.is_leaf() { node.put_in_leaf(run, upper) } else { node.put_in_children(run, upper) }.map(Arc::new)
    }

    fn put_in_leaf<'e, I>(&mut self, run: &mut Run<'e, I>, upper: Option<&[u8]>) -> Option<Self>
    where
        I: Iterator<Item = (&'e [u8], Slot<'e>)>,
    {
        while let Some(entry) = run.due(upper) {
            let right = match self.keys.search(entry.key) {
                Ok(at) => {
                    self.keys.replace(at, &entry);
                    None
                }
                Err(at) if self.keys.is_full() => Some(self.split_and(at, |node, at| node.keys.insert(at, &entry))),
                Err(at) => {
                    self.keys.insert(at, &entry);
                    None
                }
            };
            self.summary.entries = self.len();
            self.summary.max_sequence = self.summary.max_sequence.max(entry.sequence);
            run.advance();
            if let Some(mut right) = right {
                right.summary = Summary { entries: right.len(), ..self.summary };
                return Some(right);
            }
        }
        None
    }

    fn put_in_children<'e, I>(&mut self, run: &mut Run<'e, I>, upper: Option<&[u8]>) -> Option<Self>
    where
        I: Iterator<Item = (&'e [u8], Slot<'e>)>,
    {
        while let Some(entry) = run.due(upper) {
            let at = self.child_for(entry.key);
            let below = if at + 1 < self.len() { Some(self.keys.key(at + 1)) } else { upper };
            let child = &mut self.children[at];
            let before = child.summary;
            let split = Self::put(child, run, below);
            let after = child.summary.plus(split.as_ref().map_or_else(Summary::default, |split| split.summary));
            self.summary = self.summary.minus(before).plus(after);
            let Some(split) = split else { continue };
            if at == 0 {
                // The first child may have taken lower keys than its own key here, and what split off now starts with one.
                self.keys.remove(0..1);
                self.keys.insert_shared(0, &self.children[0].keys, 0);
            }
            if self.keys.is_full() {
                let mut right = self.split_and(at + 1, |node, at| node.insert_child(at, split));
                self.summarize();
                right.summarize();
                return Some(right);
            }
            self.insert_child(at + 1, split);
        }
        None
    }

    /// Makes room in a full node by moving its upper half into a new one, then lets `insert` add what belongs at `at`.
    ///
    /// What belongs at one of the ends goes into a node of its own: there a run of rising or falling keys is at work,
    /// which leaves full nodes behind that way.
    fn split_and(&mut self, at: usize, insert: impl FnOnce(&mut Self, usize)) -> Self {
        let middle = if at == 0 || at == self.len() { at } else { self.len() / 2 };
        let mut right = Self { keys: self.keys.split_off(middle), children: Vec::new(), summary: self.summary };
        if !self.is_leaf() {
            right.children.reserve_exact(CAPACITY);
            right.children.extend(self.children.drain(middle..));
        }
        if at < middle || at == 0 {
            insert(self, at)
        } else {
            insert(&mut right, at - middle)
        }
        right
    }

    fn insert_child(&mut self, at: usize, child: Arc<Self>) {
        self.keys.insert_shared(at, &child.keys, 0);
        self.children.insert(at, child);
    }

    fn summarize(&mut self) {
        if self.is_leaf() {
            self.summary.entries = self.len();
            return;
        }
        let itself = Summary { nodes: 1, ..Summary::default() };
        self.summary = self.children.iter().fold(itself, |sum, child| sum.plus(child.summary));
    }

    /// Removes the entries from `start` on and below `end`. May leave this node empty, or with one child.
    pub(super) fn remove(this: &mut Arc<Self>, start: &[u8], end: Option<&[u8]>) {
        let node = Arc::make_mut(this);
        if node.is_leaf() {
            let end = end.map_or(node.len(), |end| node.keys.lower_bound(end));
            node.keys.remove(node.keys.lower_bound(start)..end);
        } else {
            let (first, last) = (node.child_for(start), node.child_below(end));
            if first == last {
                Self::remove(&mut node.children[first], start, end);
            } else {
                Self::remove(&mut node.children[last], &[], end);
                Self::remove(&mut node.children[first], start, None);
                node.drop_child_if_empty(last);
                node.keys.remove(first + 1..last);
                node.children.drain(first + 1..last);
                if first + 1 < node.len() {
                    node.join_if_small(first + 1);
                }
            }
            if !node.drop_child_if_empty(first) {
                node.join_if_small(first);
            }
        }
        node.summarize();
    }

    fn drop_child_if_empty(&mut self, at: usize) -> bool {
        let empty = self.children[at].len() == 0;
        if empty {
            self.children.remove(at);
            self.keys.remove(at..at + 1);
        }
        empty
    }

    /// Joins the child at `at` to the one after it, or else the one before it, if it has become small.
    fn join_if_small(&mut self, at: usize) {
        let len = self.children[at].len();
        let fits =
            |other: usize| len < SMALL && self.children.get(other).is_some_and(|other| other.len() + len <= JOINED_MAX);
        if fits(at + 1) {
            self.join(at);
        } else if at > 0 && fits(at - 1) {
            self.join(at - 1);
        }
    }

    /// Moves what the child after the one at `at` has into the one at `at`.
    fn join(&mut self, at: usize) {
        let right = self.children.remove(at + 1);
        let left = Arc::make_mut(&mut self.children[at]);
        for from in 0..right.len() {
            let to = left.len();
            if from == 0 && !right.is_leaf() {
                // The first key of an inner node may be above keys that its first child has by now; the one here is not.
                left.keys.insert_shared(to, &self.keys, at + 1);
            } else {
                left.keys.insert_shared(to, &right.keys, from);
            }
        }
        left.children.extend(right.children.iter().cloned());
        let max_sequence = left.summary.max_sequence.max(right.summary.max_sequence);
        left.summarize();
        left.summary.max_sequence = max_sequence;
        self.keys.remove(at + 1..at + 2);
    }

    /// Checks everything that must hold in and below a node: order, bounds, heads, depth, fill and summary.
    #[cfg(test)]
    pub(super) fn check(&self, lower: Option<&[u8]>, upper: Option<&[u8]>) -> usize {
        self.keys.check();
        assert!(self.len() > 0);
        let mut summary = Summary { nodes: 1, ..Summary::default() };
        if self.is_leaf() {
            assert!(lower.is_none_or(|lower| lower <= self.keys.key(0)));
            assert!(upper.is_none_or(|upper| self.keys.key(self.len() - 1) < upper));
            summary.entries = self.len();
            summary.max_sequence = (0..self.len()).map(|at| self.keys.entry(at).sequence).max().unwrap_or(0);
        }
        let mut depth = 0;
        if !self.is_leaf() {
            assert_eq!(self.children.len(), self.len());
            for (at, child) in self.children.iter().enumerate() {
                let lower = if at == 0 { lower } else { Some(self.keys.key(at)) };
                let upper = if at + 1 < self.len() { Some(self.keys.key(at + 1)) } else { upper };
                let child_depth = child.check(lower, upper);
                assert!(at == 0 || child_depth == depth);
                depth = child_depth;
                summary = summary.plus(child.summary);
            }
        }
        assert_eq!((summary.entries, summary.nodes), (self.summary.entries, self.summary.nodes));
        assert!(summary.max_sequence <= self.summary.max_sequence);
        depth + 1
    }
}
