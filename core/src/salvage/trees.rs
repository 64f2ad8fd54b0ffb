//! The trees of a checkpoint record, from the oldest to the newest.

use alloc::vec::Vec;

use super::Salvage;
use super::orphans::{Orphans, Wanted};
use super::report::LossKind;
use super::walk::{Bounds, Lost, Met, walk};
use crate::codec::slot::{Slot, ValueRef};
use crate::engine::{CheckpointRecord, ValueReader};
use crate::error::Result;
use crate::space::Superblock;
use crate::tree::node::NodeView;
use crate::tree::{Root, TreeKind};

/// One tree and what its entries mean.
#[derive(Clone, Copy)]
pub(super) struct Tree<'r> {
    pub kind: TreeKind,
    pub root: &'r Root,
    /// What its nodes carry at most (the base) or exactly (a run).
    pub age: u64,
    /// Keys below this are no longer part of it.
    pub floor: &'r [u8],
}

/// All trees of a record, in the order in which they are applied.
pub(super) fn trees_of(record: &CheckpointRecord) -> Vec<Tree<'_>> {
    let base = record.base.as_ref();
    let mut trees: Vec<Tree<'_>> =
        base.map(|root| Tree { kind: TreeKind::Base, root, age: record.base_age, floor: &[] }).into_iter().collect();
    for layer in record.runs.iter().rev() {
        let (age, floor) = (*layer.run.sequences.end(), layer.merged_below.as_deref().unwrap_or(&[]));
        // What a run deletes lies below its own points.
        let intervals = layer.run.intervals.as_ref().map(|root| (TreeKind::RunIntervals, root));
        let points = layer.run.points.as_ref().map(|root| (TreeKind::RunPoints, root));
        trees.extend(intervals.into_iter().chain(points).map(|(kind, root)| Tree { kind, root, age, floor }));
    }
    trees
}

impl Salvage<'_> {
    pub(super) fn copy_trees(&mut self, superblock: &Superblock, record: &CheckpointRecord) -> Result<()> {
        let trees = trees_of(record);
        for tree in &trees {
            let mut lost = Vec::new();
            self.copy_reachable(tree, &mut lost)?;
            // Keys that have moved on to the base are not lost with the run.
            for loss in &mut lost {
                if loss.bounds.low.as_slice() < tree.floor {
                    loss.bounds.low = tree.floor.to_vec();
                }
            }
            lost.retain(|loss| loss.bounds.high.as_ref().is_none_or(|high| *high > loss.bounds.low));
            let (inner, leaves): (Vec<Lost>, Vec<Lost>) = lost.into_iter().partition(|loss| loss.level > 0);
            for loss in leaves {
                self.lose(tree.kind, &loss.bounds, loss.entries);
            }
            if !inner.is_empty() {
                self.copy_orphans(superblock, record, &trees, tree, inner)?;
            }
        }
        Ok(())
    }

    fn copy_reachable(&mut self, tree: &Tree<'_>, lost: &mut Vec<Lost>) -> Result<()> {
        let nodes = alloc::sync::Arc::clone(&self.nodes);
        walk(&nodes, tree.kind, tree.root, &mut |met| {
            match met {
                Met::Reference(..) => self.report.nodes += 1,
                Met::Leaf(view) => {
                    if tree.kind == TreeKind::RunIntervals
                        && let Some(before) = lost.last_mut()
                    {
                        extend_to(before, &view);
                    }
                    self.copy_leaf(tree.kind, &view, tree.floor, None)?;
                }
                Met::Lost(loss) => {
                    self.report.nodes -= 1;
                    self.report.damaged_nodes += 1;
                    lost.push(loss);
                }
            }
            Ok(true)
        })
    }

    /// Leaves whose parents are lost.
    fn copy_orphans(
        &mut self,
        superblock: &Superblock,
        record: &CheckpointRecord,
        trees: &[Tree<'_>],
        tree: &Tree<'_>,
        lost: Vec<Lost>,
    ) -> Result<()> {
        let mut found = alloc::vec![0u64; lost.len()];
        let ranges: Vec<Bounds> = lost.iter().map(|loss| loss.bounds.clone()).collect();
        let mut from = Some(Vec::new());
        while let Some(start) = from.take() {
            let wanted = Wanted { tree, ranges: &ranges, from: &start };
            let orphans = Orphans::find(self, &wanted)?;
            let next = orphans.next_pass.clone();
            for leaf in orphans.current(self, superblock, record, trees, tree)? {
                let Some(node) = super::walk::read(&self.nodes, tree.kind, &leaf.node, 0)? else { continue };
                let Some(at) = ranges.iter().position(|range| range.hold(&leaf.first)) else { continue };
                if let Some(found) = found.get_mut(at) {
                    *found += node.len() as u64;
                }
                self.report.nodes += 1;
                self.copy_leaf(tree.kind, &node.view(), tree.floor, next.as_deref())?;
            }
            from = next;
        }
        for (loss, found) in lost.iter().zip(found) {
            if found < loss.entries {
                self.lose(tree.kind, &loss.bounds, loss.entries - found);
            }
        }
        Ok(())
    }

    fn lose(&mut self, kind: TreeKind, bounds: &Bounds, entries: u64) {
        let kind = if kind == TreeKind::Base { LossKind::Records } else { LossKind::Changes };
        self.losses.add(bounds, entries, kind);
    }

    /// Applies the entries of a leaf, those with keys from `floor` on and before `end`.
    pub(super) fn copy_leaf(
        &mut self,
        kind: TreeKind,
        view: &NodeView<'_>,
        floor: &[u8],
        end: Option<&[u8]>,
    ) -> Result<()> {
        let mut key = Vec::new();
        for index in 0..view.keys() {
            view.key_into(index, &mut key);
            let Some(slot) = view.slot(index) else { continue };
            if kind == TreeKind::RunIntervals {
                if let Slot::Inline(to) = slot {
                    let from = if key.as_slice() < floor { floor } else { &key };
                    self.sink.delete_range(from, (!to.is_empty()).then_some(to))?;
                }
                continue;
            }
            if key.as_slice() < floor || end.is_some_and(|end| key.as_slice() >= end) {
                continue;
            }
            match slot {
                Slot::Inline(value) => self.put(&key, value)?,
                Slot::Extent(value) => self.copy_value(&key, value)?,
                Slot::Tombstone => self.sink.delete(&key)?,
            }
        }
        self.tell_progress();
        Ok(())
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match self.sink.put(key, value)? {
            true => self.report.records += 1,
            false => self.losses.add_key(key),
        }
        Ok(())
    }

    /// Copies a value from its extent. If that is damaged, the record is lost: what layers below have is older.
    pub(super) fn copy_value(&mut self, key: &[u8], value: ValueRef) -> Result<()> {
        let table = value.len.div_ceil(crate::engine::BLOCK_BYTES as u64).saturating_mul(16);
        let inside = value.offset.checked_add(value.len).and_then(|end| end.checked_add(table));
        // The table of checksums ends where the file may.
        let may_be_there = inside.is_some() && value.offset + value.len <= self.source.bytes;
        let mut reader = ValueReader::new(&self.nodes, value, None);
        if may_be_there && self.sink.copy_value(key, value, &mut reader)? {
            self.report.records += 1;
            return Ok(());
        }
        self.report.damaged_values += 1;
        self.losses.add_key(key);
        self.sink.delete(key)
    }
}

/// The last deletion of a lost leaf may end behind the leaf's own bounds, but no later than the next deletion begins.
fn extend_to(before: &mut Lost, next: &NodeView<'_>) {
    let mut start = Vec::new();
    next.key_into(0, &mut start);
    if before.bounds.high.as_ref().is_some_and(|high| *high < start) && !before.extended {
        before.bounds.high = Some(start);
    }
    before.extended = true;
}
