//! `merge(root, sorted changes) → new root`, the only code that writes nodes.
//!
//! The base is read and the new tree made from left to right. Subtrees without changes are taken over by reference, at the
//! highest level possible. A subtree with changes is opened: its children are looked at one by one, its leaves' entries
//! go, together with the changes, into buffers from which nodes are made. Before a subtree is taken over whole, all that
//! waits in lower buffers has to be written; where that would make nodes too empty, the subtree is opened instead and
//! shares its contents with them.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::codec::compress::Compression;
use crate::codec::slot::Slot;
use crate::error::Result;
use crate::testing::Mutant;

use super::encode::Child;
use super::node::Node;
use super::{NodeSink, NodeSizes, NodeSource, Root, load};

mod base;
mod bulk;
mod changes;
mod dropping;
mod inners;
mod leaves;
mod output;

pub(crate) use bulk::Bulk;
pub(crate) use changes::{Change, Changes};

use base::{Base, Subtree, Untouched};
use dropping::{Dropping, free_values};
use output::Output;

/// What becomes of tombstones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing lies below: a deleted key is simply absent from the new tree.
    DropTombstones,
    /// The new tree is a run: its tombstones hide what lies below.
    KeepTombstones,
}

/// How far a merge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Call [`Merge::step`] again.
    More,
    /// The new tree is complete; `None` if it is empty.
    Done(Option<Root>),
}

/// A merge under way. It holds no reference to source, changes or sink, but must be given the same ones at every step;
/// between steps anything may happen that leaves the base readable.
#[derive(Debug)]
pub(crate) struct Merge {
    mode: Mode,
    relocate_from: Option<u64>,
    /// Between these keys, nodes that are [outdated](NodeSource::is_outdated) are written anew as well.
    #[cfg(feature = "encryption")]
    renewed: Option<(Vec<u8>, Option<Vec<u8>>)>,
    base: Base,
    leaf: Option<OpenLeaf>,
    hidden: Hidden,
    dropping: Dropping,
    output: Output,
    /// The change in front is applied; only moving on from it has not succeeded yet.
    advance_due: bool,
    done: Option<Option<Root>>,
}

/// A leaf of the base whose entries are merged with changes; the base's current subtree.
#[derive(Debug)]
struct OpenLeaf {
    node: Node,
    subtree: Subtree,
    /// Entries before this one are done.
    index: usize,
    untouched: Untouched,
}

/// What deleted intervals hide at the place the merge has reached.
#[derive(Debug)]
enum Hidden {
    Nothing,
    Below(Vec<u8>),
    Everything,
}

impl Merge {
    /// Begins to merge changes into `base` (`None` is the empty tree).
    ///
    /// With `relocate_from`, nodes stored at that offset or beyond are written anew even where nothing changes.
    pub(crate) fn new(
        base: Option<Root>,
        mode: Mode,
        sizes: NodeSizes,
        compression: Compression,
        relocate_from: Option<u64>,
    ) -> Self {
        Self {
            mode,
            relocate_from,
            #[cfg(feature = "encryption")]
            renewed: None,
            base: Base::new(base),
            leaf: None,
            hidden: Hidden::Nothing,
            dropping: Dropping::default(),
            output: Output::new(sizes, compression),
            advance_due: false,
            done: None,
        }
    }

    /// Also writes anew what is [outdated](NodeSource::is_outdated) of the nodes that hold, or lead to, keys from `from` on and
    /// below `to`.
    #[cfg(feature = "encryption")]
    pub(crate) fn renewing(self, from: Vec<u8>, to: Option<Vec<u8>>) -> Self {
        Self { renewed: Some((from, to)), ..self }
    }

    /// Works until about `budget` entries and nodes have been handled, or all is done.
    ///
    /// After `NotResident` the merge stands where it was, and the same call goes on from there. After any other error
    /// it is of no use any more, and what it has written and freed has to be forgotten.
    pub(crate) fn step(
        &mut self,
        source: &impl NodeSource,
        changes: &mut impl Changes,
        sink: &mut impl NodeSink,
        budget: usize,
    ) -> Result<Progress> {
        let mut used = 0;
        loop {
            if let Some(root) = self.done {
                sink.flush()?;
                return Ok(Progress::Done(root));
            }
            if used >= budget.max(1) {
                return Ok(Progress::More);
            }
            used += self.small_step(source, changes, sink)?;
        }
    }

    #[cfg(test)]
    /// Everything below this key is in the new tree, though perhaps not yet in a node; `None` at the start.
    pub(crate) fn position(&self) -> Option<&[u8]> {
        self.output.position()
    }

    /// Reads at most one node, before it does anything else. Gives the entries and nodes handled.
    fn small_step(
        &mut self,
        source: &impl NodeSource,
        changes: &mut impl Changes,
        sink: &mut impl NodeSink,
    ) -> Result<usize> {
        if self.advance_due {
            changes.advance()?;
            self.advance_due = false;
        }
        if !self.dropping.is_idle() {
            self.dropping.step(source, sink)?;
            return Ok(1);
        }
        let change = changes.peek()?;
        if let Some(leaf) = self.leaf.take() {
            return self.leaf_step(leaf, change, sink);
        }
        if let Some(subtree) = self.base.subtree() {
            return self.subtree_step(subtree, change, source, sink);
        }
        if !self.base.is_exhausted() {
            return self.close_inner(sink);
        }
        match change {
            Some(change) => self.apply(change, sink)?,
            None => self.done = self.output.finish(source, sink)?,
        }
        Ok(1)
    }

    /// Applies a change to which no entry of the base corresponds.
    fn apply(&mut self, change: Change<'_>, sink: &mut impl NodeSink) -> Result<()> {
        self.advance_due = true;
        match change {
            Change::Interval { start, end: Some(end) } if end <= start => {}
            Change::Interval { end, .. } => {
                self.hidden = end.map_or(Hidden::Everything, |end| Hidden::Below(end.to_vec()));
            }
            Change::Point { slot: Slot::Tombstone, .. } if self.mode == Mode::DropTombstones => {}
            Change::Point { key, slot } => {
                self.output.leaves.push(key, slot);
                self.output.write_full_leaves(sink)?;
            }
        }
        Ok(())
    }

    /// Takes over, drops or opens the next subtree.
    fn subtree_step(
        &mut self,
        subtree: Subtree,
        change: Option<Change<'_>>,
        source: &impl NodeSource,
        sink: &mut impl NodeSink,
    ) -> Result<usize> {
        #[cfg(feature = "encryption")]
        let (outdated, leads_to_outdated) = match self.may_be_renewed() {
            true => (source.is_outdated(&subtree.node)?, subtree.level > 0),
            false => (false, false),
        };
        #[cfg(not(feature = "encryption"))]
        let (outdated, leads_to_outdated) = (false, false);
        if matches!(&self.hidden, Hidden::Below(end) if self.base.compare_low(end) != Ordering::Greater) {
            self.hidden = Hidden::Nothing;
        }
        let (hides, hides_all) = match &self.hidden {
            Hidden::Nothing => (false, false),
            Hidden::Below(end) => (true, self.base.ends_by(Some(end))),
            Hidden::Everything => (true, true),
        };
        let has_change = change.is_some_and(|change| self.base.is_below_high(change.key()));
        // A point may put again the very value that the interval hides, so its leaf is merged entry by entry.
        if hides_all && !has_change {
            self.dropping.start(subtree);
            self.base.pass(true);
            return Ok(1);
        }
        let changes = hides || has_change;
        let absorb = !changes && !self.output.settle(subtree.level, sink)?;
        if !changes && !absorb && !outdated && !leads_to_outdated && !self.may_relocate(&subtree) {
            self.take_over(subtree, sink)?;
            return Ok(1);
        }
        let node = load(source, &subtree.node, subtree.level)?;
        self.base.require_holds(&node, &subtree)?;
        let untouched = if outdated || self.relocates(&subtree) || !self.output.is_empty_below(subtree.level) {
            Untouched::No
        } else {
            Untouched::SinceWrites(self.output.writes())
        };
        if subtree.level > 0 {
            self.base.open(node, subtree, untouched);
        } else {
            if absorb {
                self.output.note_absorbed();
            }
            self.leaf = Some(OpenLeaf { node, subtree, index: 0, untouched });
        }
        Ok(1)
    }

    /// Whether the current subtree may hold keys of the range that is renewed.
    #[cfg(feature = "encryption")]
    fn may_be_renewed(&self) -> bool {
        self.renewed.as_ref().is_some_and(|(from, to)| {
            self.base.is_below_high(from) && to.as_ref().is_none_or(|to| self.base.compare_low(to) == Ordering::Greater)
        })
    }

    fn relocates(&self, subtree: &Subtree) -> bool {
        self.relocate_from.is_some_and(|from| subtree.node.offset >= from)
    }

    /// Whether the subtree has to be opened to learn where the nodes in it are.
    fn may_relocate(&self, subtree: &Subtree) -> bool {
        self.relocates(subtree) || (subtree.level > 0 && self.relocate_from.is_some())
    }

    /// The base's current subtree becomes part of the new tree as it is.
    fn take_over(&mut self, subtree: Subtree, sink: &mut impl NodeSink) -> Result<()> {
        let mut separator = Vec::new();
        self.base.append_low(&mut separator);
        let child = Child { separator, node: subtree.node, entries: subtree.entries, fresh: false };
        self.output.take_over(subtree.level, child, |high| self.base.high_into(high), sink)?;
        self.base.pass(false);
        Ok(())
    }

    /// The base's current subtree is replaced by what was made of its parts.
    fn replace(&mut self, subtree: Subtree, sink: &mut impl NodeSink) {
        if !Mutant::ExtentLeaked.is_active() {
            sink.free(subtree.node);
        }
        self.base.pass(true);
    }

    /// The innermost open node has no more children.
    fn close_inner(&mut self, sink: &mut impl NodeSink) -> Result<usize> {
        let Some(inner) = self.base.close() else { return Ok(1) };
        let level = inner.subtree.level;
        if inner.untouched.still(self.output.writes()) {
            debug_assert!(self.output.is_empty_below(level - 1) && self.output.waits(level - 1) == inner.node.len());
            self.output.take_back(level);
            self.take_over(inner.subtree, sink)?;
        } else {
            self.replace(inner.subtree, sink);
        }
        Ok(1)
    }

    /// Takes a stretch of entries into the new tree or drops it, or applies a change in or after them, or leaves the leaf.
    fn leaf_step(&mut self, mut leaf: OpenLeaf, change: Option<Change<'_>>, sink: &mut impl NodeSink) -> Result<usize> {
        let node = leaf.node.clone();
        let view = node.view();
        let from = leaf.index;
        let (until, same_key) = match change {
            Some(change) => match view.search(change.key()) {
                Ok(index) => (index, true),
                Err(index) => (index, false),
            },
            None => (view.keys(), false),
        };
        let hidden_until = match &self.hidden {
            Hidden::Nothing => from,
            Hidden::Everything => view.keys(),
            Hidden::Below(_) if Mutant::PartOfLeafNotDeleted.is_active() => from,
            Hidden::Below(end) => {
                let (Ok(index) | Err(index)) = view.search(end);
                index
            }
        };
        let dropped = hidden_until.min(until);
        if from < dropped {
            free_values(&view, from..dropped, sink);
            leaf.index = dropped;
            leaf.untouched = Untouched::No;
            self.leaf = Some(leaf);
            return Ok(dropped - from);
        }
        if from < until {
            for index in from..until {
                self.output.leaves.copy(&view, index);
            }
            self.output.write_full_leaves(sink)?;
            leaf.index = until;
            self.leaf = Some(leaf);
            return Ok(until - from);
        }
        match change {
            Some(change) if from < view.keys() || self.base.is_below_high(change.key()) => {
                let old = view.slot(from).filter(|_| same_key);
                self.change_in_leaf(&mut leaf, change, old, sink)?;
                self.leaf = Some(leaf);
            }
            _ => self.close_leaf(&leaf, sink)?,
        }
        Ok(1)
    }

    /// Applies a change that comes before the leaf's next entry, or is to that entry, whose slot is `old` then.
    fn change_in_leaf(
        &mut self,
        leaf: &mut OpenLeaf,
        change: Change<'_>,
        old: Option<Slot<'_>>,
        sink: &mut impl NodeSink,
    ) -> Result<()> {
        if let Change::Point { slot, .. } = change {
            let same = old == Some(slot);
            if old.is_some() {
                leaf.index += 1;
            }
            if let Some(Slot::Extent(value)) = old.filter(|_| !same) {
                sink.free_value(value);
            }
            let nothing_changes =
                same || (old.is_none() && slot == Slot::Tombstone && self.mode == Mode::DropTombstones);
            if !nothing_changes {
                leaf.untouched = Untouched::No;
            }
        }
        self.apply(change, sink)
    }

    fn close_leaf(&mut self, leaf: &OpenLeaf, sink: &mut impl NodeSink) -> Result<()> {
        if leaf.untouched.still(self.output.writes()) {
            self.output.take_back(0);
            self.take_over(leaf.subtree, sink)
        } else {
            self.replace(leaf.subtree, sink);
            Ok(())
        }
    }
}
