//! An ordered map that shares structure with its clones.

use super::arena::{Arena, Entry};
use super::node::{Node, Summary};
use super::path::Path;
use super::run::Run;
use crate::codec::slot::Slot;
use alloc::sync::Arc;

/// A B-tree of shared nodes. A clone costs two counts, and neither sees what is done to the other afterwards.
#[derive(Clone, Debug)]
pub(super) struct Map {
    root: Option<Arc<Node>>,
    arena: Arc<Arena>,
}

impl Map {
    /// An empty map whose entries will be kept in `arena`.
    pub(super) fn new(arena: Arc<Arena>) -> Self {
        Self { root: None, arena }
    }

    pub(super) fn summary(&self) -> Summary {
        self.root.as_ref().map_or_else(Summary::default, |root| root.summary())
    }

    #[inline]
    pub(super) fn get(&self, key: &[u8]) -> Option<Entry<'_>> {
        let mut node: &Node = self.root.as_ref()?;
        while !node.is_leaf() {
            node = node.child(node.child_for(key));
        }
        let at = node.keys().search(key).ok()?;
        Some(node.keys().entry(at))
    }

    /// The last entry whose key is not above `key`.
    pub(super) fn at_most(&self, key: &[u8]) -> Option<Entry<'_>> {
        let mut node: &Node = self.root.as_ref()?;
        while !node.is_leaf() {
            node = node.child(node.child_for(key));
        }
        match node.keys().search(key) {
            Ok(at) => Some(node.keys().entry(at)),
            Err(0) => {
                // The key of a leaf in its parent may be lower than the leaf's first.
                let mut path = self.borrowed_path();
                path.seek_at_most(key);
                path.lasting_entry()
            }
            Err(at) => Some(node.keys().entry(at - 1)),
        }
    }

    /// A path through the map as it is now, which later changes do not touch.
    pub(super) fn path(&self) -> Path<Arc<Node>> {
        Path::new(self.root.clone())
    }

    /// A path that borrows the map.
    pub(super) fn borrowed_path(&self) -> Path<&Node> {
        Path::new(self.root.as_deref())
    }

    /// The first key from `start` on and below `end` whose entry is newer than `sequence`.
    pub(super) fn first_newer(&self, start: &[u8], end: Option<&[u8]>, sequence: u64) -> Option<&[u8]> {
        self.root.as_ref()?.first_newer(start, end, sequence)
    }

    pub(super) fn put(&mut self, key: &[u8], slot: Slot<'_>, sequence: u64) {
        self.extend(Run::new(core::iter::once((key, slot)), sequence));
    }

    /// Puts the entries of `run`, node by node.
    pub(super) fn extend<'e, I: Iterator<Item = (&'e [u8], Slot<'e>)>>(&mut self, mut run: Run<'e, I>) {
        while run.resume() {
            let root = self.root.get_or_insert_with(|| Arc::new(Node::leaf(Arc::clone(&self.arena))));
            if let Some(right) = Node::put(root, &mut run, None) {
                *root = Arc::new(Node::root_over(Arc::clone(root), right));
            }
        }
    }

    /// Removes the entries from `start` on and below `end`.
    pub(super) fn remove(&mut self, start: &[u8], end: Option<&[u8]>) {
        let first = {
            let mut path = self.borrowed_path();
            path.seek(start);
            path.entry().map(|entry| end.is_none_or(|end| entry.key < end))
        };
        let (Some(true), Some(root)) = (first, &mut self.root) else { return };
        Node::remove(root, start, end);
        while let Some(child) = root.only_child() {
            *root = Arc::clone(child);
        }
        if root.len() == 0 {
            self.root = None;
        }
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        if let Some(root) = &self.root {
            root.check(None, None);
            assert!(root.only_child().is_none());
        }
    }
}
