//! Where a merge stands in the tree it starts from.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::error::Result;
use crate::tree::node::Node;
use crate::tree::{NodeRef, Root, damaged, require_between};

/// A place between or at the subtrees of the base. What was opened stays on the path until all below it is done.
#[derive(Debug)]
pub(super) struct Base {
    /// Until the root, whole or in parts, is done.
    root: Option<Root>,
    /// The inner nodes that are open, from the root down.
    path: Vec<OpenInner>,
}

/// An inner node whose children are looked at one by one.
#[derive(Debug)]
pub(super) struct OpenInner {
    pub node: Node,
    pub subtree: Subtree,
    /// The child that is open or comes next.
    child: usize,
    pub untouched: Untouched,
}

/// A node of the base with all below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subtree {
    pub node: NodeRef,
    pub level: u8,
    pub entries: u64,
}

/// Whether a node that was opened may still turn out to be unchanged. It may as long as all that came from it, and nothing
/// else, is waiting in the output: if nothing waited when it was opened, and nothing was written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untouched {
    No,
    /// Unless more nodes than this many have been written meanwhile.
    SinceWrites(u64),
}

impl Untouched {
    pub(super) fn still(self, writes: u64) -> bool {
        self == Untouched::SinceWrites(writes)
    }
}

impl Base {
    pub(super) fn new(root: Option<Root>) -> Self {
        Self { root, path: Vec::new() }
    }

    /// The subtree that is open or comes next; `None` at the end of the innermost open node, and of the base.
    pub(super) fn subtree(&self) -> Option<Subtree> {
        let Some(open) = self.path.last() else {
            return self.root.map(|root| Subtree { node: root.node, level: root.height, entries: root.entries });
        };
        let view = open.node.view();
        let node = view.child(open.child)?;
        Some(Subtree { node, level: view.level().saturating_sub(1), entries: view.child_entries(open.child) })
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.root.is_none() && self.path.is_empty()
    }

    /// Goes into the inner node that comes next.
    pub(super) fn open(&mut self, node: Node, subtree: Subtree, untouched: Untouched) {
        self.path.push(OpenInner { node, subtree, child: 0, untouched });
    }

    /// Leaves the innermost open node, which is the current subtree then, until [`Base::pass`].
    pub(super) fn close(&mut self) -> Option<OpenInner> {
        self.path.pop()
    }

    /// The current subtree is done with.
    pub(super) fn pass(&mut self, changed: bool) {
        match self.path.last_mut() {
            Some(open) => {
                open.child += 1;
                if changed {
                    open.untouched = Untouched::No;
                }
            }
            None => self.root = None,
        }
    }

    /// `key` against the first key that the current subtree may hold.
    pub(super) fn compare_low(&self, key: &[u8]) -> Ordering {
        match self.low() {
            Some((node, separator)) => node.view().compare(separator, key).reverse(),
            None if key.is_empty() => Ordering::Equal,
            None => Ordering::Greater,
        }
    }

    /// Whether `key` is below the first key that is above the current subtree.
    pub(super) fn is_below_high(&self, key: &[u8]) -> bool {
        self.high().is_none_or(|(node, separator)| node.view().compare(separator, key) == Ordering::Greater)
    }

    /// Whether everything below `end` includes all of the current subtree; `None` is the end of all keys.
    pub(super) fn ends_by(&self, end: Option<&[u8]>) -> bool {
        end.is_none_or(|end| self.high().is_some() && !self.is_below_high(end))
    }

    /// Appends the first key that the current subtree may hold.
    pub(super) fn append_low(&self, out: &mut Vec<u8>) {
        if let Some((node, separator)) = self.low() {
            node.view().append_key(separator, out);
        }
    }

    /// Replaces `out` by the first key above the current subtree; `false` if there is no bound.
    pub(super) fn high_into(&self, out: &mut Vec<u8>) -> bool {
        let Some((node, separator)) = self.high() else { return false };
        node.view().key_into(separator, out);
        true
    }

    /// Refuses a node read as the current subtree that does not lie where its parents say.
    pub(super) fn require_holds(&self, node: &Node, subtree: &Subtree) -> Result<()> {
        require_between(&node.view(), self.low(), self.high()).map_err(|what| damaged(&subtree.node, what))
    }

    /// The separator to the left of the current subtree.
    fn low(&self) -> Option<(&Node, usize)> {
        self.path.iter().rev().find_map(|open| Some((&open.node, open.child.checked_sub(1)?)))
    }

    /// The separator to its right.
    fn high(&self) -> Option<(&Node, usize)> {
        self.path.iter().rev().find(|open| open.child + 1 < open.node.len()).map(|open| (&open.node, open.child))
    }
}
