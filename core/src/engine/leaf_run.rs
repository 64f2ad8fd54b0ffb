//! Neighbouring leaves of the base that go into a copy as they are.

use alloc::vec::Vec;

use super::lease::Source;
use crate::error::Result;
use crate::tree::StoredLeaf;
use crate::tree::node::Node;

/// Leaves of one parent, from one on. The last is never one of them: where it ends only its own entries say.
#[derive(Debug)]
pub(super) struct LeafRun {
    parent: Node,
    /// The child that is next.
    next: usize,
    /// The first key of the first, and then what lies above the one before and not above the next.
    start: Vec<u8>,
    /// What lies above the next and not above what follows it.
    end: Option<Vec<u8>>,
    passed: bool,
}

impl LeafRun {
    pub(super) fn new(parent: Node, next: usize, first: &[u8]) -> Self {
        let mut run = Self { parent, next, start: first.to_vec(), end: None, passed: false };
        run.find_end();
        run
    }

    fn find_end(&mut self) {
        let view = self.parent.view();
        self.end = (self.next < view.keys()).then(|| {
            let mut end = Vec::new();
            view.key_into(self.next, &mut end);
            end
        });
    }

    /// Where the next lies in the data file.
    pub(super) fn offset(&self) -> u64 {
        self.parent.view().child(self.next).map_or(0, |reference| reference.offset)
    }

    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    pub(super) fn end(&self) -> Option<&[u8]> {
        self.end.as_deref()
    }

    /// The next, if it is as its parent says and has nothing elsewhere.
    pub(super) fn read(&self, source: &Source) -> Result<Option<StoredLeaf>> {
        let view = self.parent.view();
        let Some(reference) = view.child(self.next) else { return Ok(None) };
        let stored = source.stored_leaf(&self.parent, self.next, &reference)?;
        let leaf = stored.and_then(StoredLeaf::new);
        Ok(leaf.filter(|leaf| leaf.entries() == view.child_entries(self.next)))
    }

    /// The next was taken.
    pub(super) fn pass(&mut self) {
        if let Some(end) = self.end.take() {
            self.start = end;
            self.next += 1;
            self.passed = true;
            self.find_end();
        }
    }

    /// The key at which the entries go on that were not passed, if any were.
    pub(super) fn into_passed(self) -> Option<Vec<u8>> {
        self.passed.then_some(self.start)
    }
}
