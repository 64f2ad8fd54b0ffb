//! Without any checkpoint record: all leaves there are, put together by their age.
//!
//! The ages of bases and runs are made to be compared, see the node ages of the engine: a run is above every base
//! published before its commits were in the trees, and below those published after it went into one. A leaf of a base
//! says that nothing else is in its key range; leaves of runs say what changed. So they are applied oldest first.

use alloc::vec::Vec;

use super::Salvage;
use super::orphans::{Leaf, Orphans, without_replaced};
use super::report::LossKind;
use super::walk::{Bounds, read};
use crate::error::Result;
use crate::tree::TreeKind;

impl Salvage<'_> {
    pub(super) fn copy_nodes_alone(&mut self) -> Result<()> {
        let mut from = Some(Vec::new());
        while let Some(start) = from.take() {
            let Orphans { leaves, next_pass } = Orphans::collect(self, &start, |_| true)?;
            for leaf in in_order(leaves) {
                self.apply_leaf(&leaf, &start, next_pass.as_deref())?;
            }
            from = next_pass;
        }
        // What is not there cannot be known.
        self.losses.add(&Bounds::all(), 0, LossKind::Changes);
        Ok(())
    }

    fn apply_leaf(&mut self, leaf: &Leaf, from: &[u8], to: Option<&[u8]>) -> Result<()> {
        let Some(node) = read(&self.nodes, leaf.kind, &leaf.node, 0)? else { return Ok(()) };
        self.report.nodes += 1;
        if leaf.kind == TreeKind::Base {
            let first = if leaf.first.as_slice() < from { from } else { &leaf.first };
            let mut behind = leaf.last.clone().unwrap_or_default();
            behind.push(0);
            let end = to.map_or(behind.as_slice(), |to| to.min(&behind));
            self.sink.delete_range(first, Some(end))?;
        }
        self.copy_leaf(leaf.kind, &node.view(), from, to)
    }
}

/// Oldest first; a base is above the runs of its age, deletions of a run below its points.
fn in_order(leaves: Vec<Leaf>) -> Vec<Leaf> {
    let (mut bases, mut leaves): (Vec<Leaf>, Vec<Leaf>) =
        leaves.into_iter().partition(|leaf| leaf.kind == TreeKind::Base);
    bases.sort_by_key(|leaf| core::cmp::Reverse(leaf.age));
    leaves.extend(without_replaced(bases));
    let rank = |kind| match kind {
        TreeKind::RunIntervals => 0,
        TreeKind::RunPoints => 1,
        TreeKind::Base => 2,
    };
    leaves.sort_by_key(|leaf| (leaf.age, rank(leaf.kind)));
    leaves
}
