//! One ordered view over all layers: for each key the newest layer that says anything about it decides.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::layer::{Layer, Move};
use super::leaf_run::LeafRun;
use super::lease::Source;
use super::nodes::Nodes;
use super::version::Version;
use crate::codec::slot::{Slot, ValueRef};
use crate::error::Result;
use crate::tree::node::NodeView;
use crate::tree::{StoredLeaf, TreeCursor};

/// A cursor over several layers, newest first. It owns what it reads, so it can outlive the snapshot it was made from. The
/// engine knows nothing of it, so cursors have no limit but the memory of whoever holds them; what they pin expires.
///
/// Every call that answers `NotResident` is repeated by the caller after fetching; the cursor then goes on where it was.
#[derive(Debug)]
pub(crate) struct MergedCursor {
    /// The base, when there is nothing else to be seen; then there are no layers.
    sole: Option<TreeCursor<Source>>,
    layers: Vec<Layer>,
    current: Option<usize>,
    forward: bool,
    /// A move was asked for and has not been completed.
    moving: bool,
    purpose: Purpose,
    hidden_values: Vec<ValueRef>,
    /// A merge passes nothing that lies at or beyond this key: it belongs to another.
    until: Option<Arc<[u8]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// For readers: tombstones and what they hide do not appear.
    Read,
    /// For merges: tombstones appear, and the values that newer layers hide are collected.
    Merge,
}

impl MergedCursor {
    /// A reader's view of `version`. Stands nowhere until it is sought.
    pub(crate) fn new(version: &Version, nodes: &Arc<Nodes>) -> Self {
        Self::for_reading(Vec::new(), version, Source::of(&version.layers, nodes))
    }

    /// The same for whoever reads all of it once, in its order.
    pub(super) fn in_order(version: &Version, nodes: &Arc<Nodes>) -> Self {
        Self::for_reading(Vec::new(), version, Source::in_order(&version.layers, nodes))
    }

    /// A reader's view of `version` with a transaction's own changes on top.
    pub(crate) fn with_changes(changes: &crate::memtable::Memtable, version: &Version, nodes: &Arc<Nodes>) -> Self {
        Self::for_reading(Layer::memtable(changes).into_iter().collect(), version, Source::of(&version.layers, nodes))
    }

    fn for_reading(mut layers: Vec<Layer>, version: &Version, source: Source) -> Self {
        if layers.is_empty() && version.is_base_alone() {
            let base = TreeCursor::new(source, version.layers.base);
            return Self { sole: Some(base), ..Self::over(layers, Purpose::Read) };
        }
        layers.extend(Layer::all(version, &source));
        Self::over(layers, Purpose::Read)
    }

    /// A merge's view of some layers.
    pub(super) fn for_merge(layers: Vec<Layer>) -> Self {
        Self::over(layers, Purpose::Merge)
    }

    fn over(layers: Vec<Layer>, purpose: Purpose) -> Self {
        Self {
            sole: None,
            layers,
            current: None,
            forward: true,
            moving: false,
            purpose,
            hidden_values: Vec::new(),
            until: None,
        }
    }

    /// Sets out to the first key of a merge's range; `next` arrives there.
    pub(super) fn begin(&mut self, from: &[u8], until: Option<Arc<[u8]>>) {
        self.until = until;
        self.all_go(&Move::AtOrAfter(Arc::from(from)), true);
    }

    /// To the first key at or after `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<()> {
        if let Some(base) = &mut self.sole {
            return base.seek(key).map(drop);
        }
        self.all_go(&Move::AtOrAfter(Arc::from(key)), true);
        self.settle()
    }

    /// To the last key before `key`, or to the last key of all.
    pub(crate) fn seek_before(&mut self, key: Option<&[u8]>) -> Result<()> {
        if let Some(base) = &mut self.sole {
            return match key {
                Some(key) => base.seek_before(key),
                None => base.seek_last(),
            }
            .map(drop);
        }
        self.all_go(&Move::Before(key.map(Arc::from)), false);
        self.settle()
    }

    /// To the next key; off the end once past the last.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<()> {
        if let Some(base) = &mut self.sole {
            return if base.is_on_entry() { base.next().map(drop) } else { Ok(()) };
        }
        self.next_of_layers()
    }

    fn next_of_layers(&mut self) -> Result<()> {
        if !self.moving {
            if self.forward {
                self.leave_current(Move::Next);
            } else if let Some(key) = self.key() {
                let mut after = key.to_vec();
                after.push(0);
                self.all_go(&Move::AtOrAfter(Arc::from(after)), true);
            }
        }
        self.settle()
    }

    /// To the previous key; off the end once past the first.
    #[inline]
    pub(crate) fn prev(&mut self) -> Result<()> {
        if let Some(base) = &mut self.sole {
            return if base.is_on_entry() { base.prev().map(drop) } else { Ok(()) };
        }
        self.prev_of_layers()
    }

    fn prev_of_layers(&mut self) -> Result<()> {
        if !self.moving {
            if !self.forward {
                self.leave_current(Move::Prev);
            } else if let Some(key) = self.key() {
                let before = Arc::from(key);
                self.all_go(&Move::Before(Some(before)), false);
            }
        }
        self.settle()
    }

    /// The key the cursor stands on; `None` off either end.
    #[inline]
    pub(crate) fn key(&self) -> Option<&[u8]> {
        if let Some(base) = &self.sole {
            return base.entry().map(|(key, _)| key);
        }
        self.layers.get(self.current?)?.key()
    }

    /// The entry the cursor stands on.
    #[inline]
    pub(crate) fn entry(&self) -> Option<(&[u8], Slot<'_>)> {
        if let Some(base) = &self.sole {
            return base.entry();
        }
        self.layers.get(self.current?)?.entry()
    }

    /// The leaf the cursor is in, where the base alone is read: to be asked about a leaf once, not about each entry.
    #[inline]
    pub(crate) fn leaf(&self) -> Option<&TreeCursor<Source>> {
        self.sole.as_ref()
    }

    /// The base and what lies over it, where the cursor stands on an entry of the base, and nothing newer has its key.
    fn on_base(&self) -> Option<(&TreeCursor<Source>, &[Layer])> {
        if let Some(base) = &self.sole {
            return base.is_on_entry().then_some((base, &[]));
        }
        let (base, newer) = self.layers.split_last()?;
        let is_there = self.forward && !self.moving && self.current == Some(newer.len());
        Some((base.base_cursor().filter(|_| is_there)?, newer))
    }

    /// The leaves of the base from the one that begins with the entry the cursor stands on.
    pub(super) fn leaves_begun(&self) -> Option<LeafRun> {
        let (parent, child) = self.on_base()?.0.leaf_begun()?;
        Some(LeafRun::new(parent.clone(), child, self.key()?))
    }

    /// The leaf that is next in `run`, as it is stored, where no newer layer says anything about a key in it. The cursor must
    /// stand where the run begins.
    pub(super) fn whole_leaf(&self, run: &LeafRun) -> Result<Option<StoredLeaf>> {
        let (Some((base, newer)), Some(end)) = (self.on_base(), run.end()) else { return Ok(None) };
        if !newer.iter().all(|layer| layer.is_silent_below(end)) {
            return Ok(None);
        }
        run.read(base.source())
    }

    /// The base goes to its first key at or after `key`. All else is there already: it was silent below.
    pub(super) fn seek_in_base(&mut self, key: &[u8]) -> Result<()> {
        if let Some(base) = &mut self.sole {
            return base.seek(key).map(drop);
        }
        if let Some(base) = self.layers.last_mut() {
            base.go(Move::AtOrAfter(Arc::from(key)));
        }
        self.current = None;
        self.moving = true;
        self.settle()
    }

    /// Entries of the leaf that the cursor stands in, from there on, about whose keys no newer layer says anything, where their
    /// values are all inline.
    pub(super) fn untouched(&self) -> Option<(NodeView<'_>, Range<usize>)> {
        let (base, newer) = self.on_base()?;
        let leaf = base.leaf().filter(NodeView::is_inline)?;
        let start = base.index_in_leaf();
        let mut first: Option<&[u8]> = None;
        for keys in newer.iter().map(Layer::speaks_from) {
            first = keys?.chain(first).min();
        }
        let end = first.map_or(leaf.keys(), |key| {
            let (Ok(at) | Err(at)) = leaf.search(key);
            at
        });
        (start < end).then_some((leaf, start..end))
    }

    /// Goes to the last of so many entries of the leaf that the cursor stands in: it passes none that a newer layer hides.
    pub(super) fn pass(&mut self, entries: usize) {
        let base = match &mut self.sole {
            Some(base) => Some(base),
            None => self.layers.last_mut().and_then(Layer::base_cursor_mut),
        };
        if let Some(base) = base {
            base.advance_in_leaf(entries.saturating_sub(1));
        }
    }

    /// Values that newer layers hid from what this merge has passed, since the last call.
    pub(super) fn take_hidden_values(&mut self) -> Vec<ValueRef> {
        core::mem::take(&mut self.hidden_values)
    }

    fn all_go(&mut self, to: &Move, forward: bool) {
        self.forward = forward;
        self.current = None;
        self.moving = true;
        for layer in &mut self.layers {
            layer.go(to.clone());
        }
    }

    /// Moves every layer that stands on the current key.
    fn leave_current(&mut self, to: Move) {
        let Some(current) = self.current else { return };
        self.moving = true;
        if let [only] = &mut self.layers[..] {
            only.go(to);
            return;
        }
        let (newer_and_self, older) = self.layers.split_at_mut(current + 1);
        let Some(layer) = newer_and_self.last_mut() else { return };
        for other in older {
            if other.key() == layer.key() {
                if self.purpose == Purpose::Merge
                    && let Some((_, Slot::Extent(value))) = other.entry()
                {
                    self.hidden_values.push(value);
                }
                other.go(to.clone());
            }
        }
        layer.go(to);
        self.current = None;
    }

    fn settle(&mut self) -> Result<()> {
        if let [only] = &mut self.layers[..]
            && self.purpose == Purpose::Merge
        {
            // One layer hides nothing of itself.
            only.settle()?;
            self.current = Some(0);
            self.moving = false;
            return Ok(());
        }
        while self.moving {
            for layer in &mut self.layers {
                layer.settle()?;
            }
            self.current = self.extreme();
            let Some(at) = self.current else {
                self.moving = false;
                return Ok(());
            };
            if self.skip_if_covered(at)? {
                continue;
            }
            let tombstone = matches!(self.entry(), Some((_, Slot::Tombstone)));
            if tombstone && self.purpose == Purpose::Read {
                let on = if self.forward { Move::Next } else { Move::Prev };
                self.leave_current(on);
            } else {
                self.moving = false;
            }
        }
        Ok(())
    }

    /// The layer with the smallest key going forward, the largest going back; the newest of equals.
    fn extreme(&self) -> Option<usize> {
        let mut best: Option<(usize, &[u8])> = None;
        for (index, layer) in self.layers.iter().enumerate() {
            if let Some(key) = layer.key()
                && best.is_none_or(|(_, best)| if self.forward { key < best } else { key > best })
            {
                best = Some((index, key));
            }
        }
        best.map(|(index, _)| index)
    }

    /// Whether a newer layer deletes the range around the key of layer `at`; if so, moves on.
    fn skip_if_covered(&mut self, at: usize) -> Result<bool> {
        let (newer, rest) = self.layers.split_at_mut(at);
        let Some((layer, _)) = rest.split_first() else { return Ok(false) };
        let Some(key) = layer.key() else { return Ok(false) };
        if self.until.as_ref().is_some_and(|until| key >= &**until) {
            return Ok(false);
        }
        for (index, above) in newer.iter_mut().enumerate() {
            let Some(coverage) = above.coverage(key)? else { continue };
            if !coverage.covered {
                continue;
            }
            let beyond = match (self.forward, &coverage.to) {
                (true, Some(end)) => Move::AtOrAfter(Arc::clone(end)),
                (true, None) => Move::Exhaust,
                (false, _) => Move::Before(Some(Arc::clone(&coverage.from))),
            };
            match self.purpose {
                Purpose::Read => self.skip_below(index, &beyond),
                Purpose::Merge => self.pass_hidden(at),
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Every layer below `index` that stands inside the deleted range leaves it at once.
    fn skip_below(&mut self, index: usize, beyond: &Move) {
        let forward = self.forward;
        for layer in self.layers.iter_mut().skip(index + 1) {
            let inside = match (layer.key(), beyond) {
                (Some(key), Move::AtOrAfter(end)) => key < &**end,
                (Some(key), Move::Before(Some(start))) => key >= &**start,
                (Some(_), _) => forward,
                (None, _) => false,
            };
            if inside {
                layer.go(beyond.clone());
            }
        }
    }

    /// A merge passes hidden records one by one, to learn which values die with them.
    fn pass_hidden(&mut self, at: usize) {
        if let Some(layer) = self.layers.get_mut(at) {
            if let Some((_, Slot::Extent(value))) = layer.entry() {
                self.hidden_values.push(value);
            }
            layer.go(Move::Next);
        }
    }
}
