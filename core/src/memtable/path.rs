//! A position in the map.

use super::arena::Entry;
use super::node::Node;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

/// How a path holds the nodes it goes through: counted, or borrowed.
pub(super) trait Link: Clone + Deref<Target = Node> {
    fn child(&self, at: usize) -> Self;
}

impl Link for Arc<Node> {
    fn child(&self, at: usize) -> Self {
        Arc::clone(Node::child(self, at))
    }
}

impl Link for &Node {
    fn child(&self, at: usize) -> Self {
        Node::child(self, at)
    }
}

/// The nodes from the root to an entry, each with the place of the next in it. Has none when it is on no entry.
#[derive(Clone, Debug)]
pub(super) struct Path<L> {
    root: Option<L>,
    steps: Vec<(L, usize)>,
}

impl<L: Link> Path<L> {
    /// On no entry yet.
    pub(super) fn new(root: Option<L>) -> Self {
        Self { root, steps: Vec::new() }
    }

    /// Goes to the first entry whose key is not below `key`.
    pub(super) fn seek(&mut self, key: &[u8]) {
        self.descend_from_root(|node| if node.is_leaf() { node.keys().lower_bound(key) } else { node.child_for(key) });
        if self.steps.last().is_some_and(|(leaf, at)| *at == leaf.len()) {
            self.next_leaf();
        }
    }

    /// Goes to the last entry whose key is below `key`, or to the last of all.
    pub(super) fn seek_below(&mut self, key: Option<&[u8]>) {
        self.descend_from_root(|node| match key {
            Some(key) if node.is_leaf() => node.keys().lower_bound(key).wrapping_sub(1),
            _ => node.child_below(key),
        });
        if self.steps.last().is_some_and(|(_, at)| *at == usize::MAX) {
            self.previous_leaf();
        }
    }

    /// Goes to the last entry whose key is not above `key`.
    pub(super) fn seek_at_most(&mut self, key: &[u8]) {
        self.descend_from_root(|node| match node.keys().search(key) {
            Ok(at) => at,
            Err(at) if node.is_leaf() => at.wrapping_sub(1),
            Err(at) => at.saturating_sub(1),
        });
        if self.steps.last().is_some_and(|(_, at)| *at == usize::MAX) {
            self.previous_leaf();
        }
    }

    /// Goes to the following entry; from the last, and from none, to none.
    #[inline]
    pub(super) fn next(&mut self) {
        match self.steps.last_mut() {
            Some((leaf, at)) if *at + 1 < leaf.len() => *at += 1,
            _ => self.next_leaf(),
        }
    }

    /// Goes to the preceding entry; from the first, and from none, to none.
    #[inline]
    pub(super) fn prev(&mut self) {
        match self.steps.last_mut() {
            Some((_, at)) if *at > 0 => *at -= 1,
            _ => self.previous_leaf(),
        }
    }

    #[inline]
    pub(super) fn entry(&self) -> Option<Entry<'_>> {
        self.steps.last().map(|(leaf, at)| leaf.keys().entry(*at))
    }

    /// Tells nodes apart.
    #[cfg(test)]
    pub(super) fn leaf_address(&self) -> Option<*const Node> {
        self.steps.last().map(|(leaf, _)| core::ptr::from_ref(&**leaf))
    }

    fn descend_from_root(&mut self, choose: impl Fn(&Node) -> usize) {
        self.steps.clear();
        if let Some(root) = self.root.clone() {
            self.descend(root, choose);
        }
    }

    fn descend(&mut self, mut node: L, choose: impl Fn(&Node) -> usize) {
        loop {
            let at = choose(&node);
            let child = if node.is_leaf() { None } else { Some(node.child(at)) };
            self.steps.push((node, at));
            match child {
                Some(child) => node = child,
                None => return,
            }
        }
    }

    #[cold]
    fn next_leaf(&mut self) {
        self.steps.pop();
        while let Some((node, at)) = self.steps.last_mut() {
            if *at + 1 < node.len() {
                *at += 1;
                let child = node.child(*at);
                return self.descend(child, |_| 0);
            }
            self.steps.pop();
        }
    }

    #[cold]
    fn previous_leaf(&mut self) {
        self.steps.pop();
        while let Some((node, at)) = self.steps.last_mut() {
            if *at > 0 {
                *at -= 1;
                let child = node.child(*at);
                return self.descend(child, |node| node.len() - 1);
            }
            self.steps.pop();
        }
    }
}

impl<'a> Path<&'a Node> {
    /// As [`entry`](Self::entry), borrowed from the map and not from the path.
    pub(super) fn lasting_entry(&self) -> Option<Entry<'a>> {
        self.steps.last().map(|&(leaf, at)| leaf.keys().entry(at))
    }
}
