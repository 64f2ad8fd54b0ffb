//! Giving back everything in a subtree that an interval covers.

use alloc::vec::Vec;

use crate::codec::slot::Slot;
use crate::error::Result;
use crate::tree::node::{Node, NodeView};
use crate::tree::{NodeRef, NodeSink, NodeSource, damaged, load, require_between};

use super::base::Subtree;

/// The subtree being dropped, if there is one.
#[derive(Debug, Default)]
pub(super) struct Dropping {
    /// To be read next.
    next: Option<(NodeRef, u8)>,
    path: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    reference: NodeRef,
    node: Node,
    next_child: usize,
}

impl Dropping {
    pub(super) fn is_idle(&self) -> bool {
        self.next.is_none() && self.path.is_empty()
    }

    pub(super) fn start(&mut self, subtree: Subtree) {
        self.next = Some((subtree.node, subtree.level));
    }

    /// Reads or gives back one node.
    pub(super) fn step(&mut self, source: &impl NodeSource, sink: &mut impl NodeSink) -> Result<()> {
        if let Some((reference, level)) = self.next {
            let node = load(source, &reference, level)?;
            require_between(&node.view(), self.low(), self.high()).map_err(|what| damaged(&reference, what))?;
            self.next = None;
            if level == 0 {
                let view = node.view();
                free_values(&view, 0..view.keys(), sink);
                sink.free(reference);
            } else {
                self.path.push(Open { reference, node, next_child: 0 });
            }
        } else if let Some(open) = self.path.last_mut() {
            let view = open.node.view();
            match view.child(open.next_child) {
                Some(child) => {
                    self.next = Some((child, view.level().saturating_sub(1)));
                    open.next_child += 1;
                }
                None => {
                    sink.free(open.reference);
                    self.path.pop();
                }
            }
        }
        Ok(())
    }

    /// The separator to the left of what is read next, within the subtree.
    fn low(&self) -> Option<(&Node, usize)> {
        self.path.iter().rev().find_map(|open| Some((&open.node, open.next_child.checked_sub(2)?)))
    }

    /// The separator to its right.
    fn high(&self) -> Option<(&Node, usize)> {
        let open = self.path.iter().rev().find(|open| open.next_child < open.node.len())?;
        Some((&open.node, open.next_child.checked_sub(1)?))
    }
}

/// Gives back the extents of a leaf's entries.
pub(super) fn free_values(leaf: &NodeView<'_>, entries: core::ops::Range<usize>, sink: &mut impl NodeSink) {
    for index in entries {
        if let Some(Slot::Extent(value)) = leaf.slot(index) {
            sink.free_value(value);
        }
    }
}
