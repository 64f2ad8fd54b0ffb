//! Persistent (structure-sharing) ordered map of the newest changes: a B-tree of shared nodes over append-only memory,
//! and the disjoint set of the ranges deleted. Uses `codec` and `env`'s lock; knows nothing of storage, and nothing of
//! the layers that it hides.
//!
//! `keys` is the sorted content of a node and its search, `node` the tree's shape and changes, `path` a position,
//! `intervals` the deleted ranges, `arena` the memory.

use crate::codec::slot::Slot;
use crate::testing::Mutant;
use alloc::sync::Arc;

mod arena;
#[cfg(all(test, feature = "std"))]
mod bench;
mod intervals;
mod keys;
mod map;
mod node;
mod path;
mod run;
#[cfg(test)]
mod tests;

#[cfg(feature = "std")]
pub(crate) use arena::CHUNK_MAX_BYTES;
pub(crate) use arena::{ChunkPool, Entry};
pub(crate) use intervals::{Interval, IntervalCursor};

/// Ordered map from keys to slots, with deleted ranges. A clone is a snapshot: it costs a few counts, and neither sees
/// what is done to the other afterwards. Clones may be changed by several threads at once.
///
/// A point beats an interval: an interval hides only the layers below, so deleting a range removes its points, and a
/// point put later lies inside the interval and counts.
#[derive(Clone, Debug)]
pub(crate) struct Memtable {
    points: map::Map,
    intervals: intervals::Intervals,
    arena: Arc<arena::Arena>,
    max_sequence: u64,
}

/// What a memtable knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup<'a> {
    /// The key was put, or deleted by itself (then the slot is a tombstone).
    Found { slot: Slot<'a>, sequence: u64 },
    /// The key lies in a deleted range and was not put since.
    Covered { sequence: u64 },
    /// Older layers decide.
    Absent,
}

impl Memtable {
    /// An empty memtable with memory of its own.
    pub(crate) fn new() -> Self {
        Self::over(arena::Arena::new(None))
    }

    /// The same, with memory from `pool`, where it goes back to.
    pub(crate) fn with_pool(pool: &Arc<ChunkPool>) -> Self {
        Self::over(arena::Arena::new(Some(Arc::clone(pool))))
    }

    fn over(arena: arena::Arena) -> Self {
        let arena = Arc::new(arena);
        let (points, intervals) = (map::Map::new(Arc::clone(&arena)), intervals::Intervals::new(Arc::clone(&arena)));
        Self { points, intervals, arena, max_sequence: 0 }
    }

    /// What this layer says of `key`.
    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Lookup<'_> {
        let hides_own = |key| Mutant::IntervalHidesOwnLayer.is_active() && self.intervals.covering(key).is_some();
        if let Some(entry) = self.points.get(key).filter(|_| !hides_own(key)) {
            return Lookup::Found { slot: entry.slot, sequence: entry.sequence };
        }
        match self.intervals.covering(key) {
            Some(interval) => Lookup::Covered { sequence: interval.sequence },
            None => Lookup::Absent,
        }
    }

    /// Sets what `key` maps to; a tombstone deletes it. Keys are shorter than 1 GiB and values than 4 GiB.
    pub(crate) fn put(&mut self, key: &[u8], slot: Slot<'_>, sequence: u64) {
        self.points.put(key, slot, sequence);
        self.max_sequence = self.max_sequence.max(sequence);
    }

    /// As [`put`](Self::put) for each entry, in their order; quick when the keys rise.
    pub(crate) fn extend_sorted<'e>(&mut self, entries: impl IntoIterator<Item = (&'e [u8], Slot<'e>)>, sequence: u64) {
        self.points.extend(run::Run::new(entries.into_iter(), sequence));
        self.max_sequence = self.max_sequence.max(sequence);
    }

    /// Deletes the keys from `start` on and below `end`, all from `start` on when there is no `end`: removes the points
    /// among them, and covers whatever older layers have. Does nothing when the range is empty.
    pub(crate) fn delete_range(&mut self, start: &[u8], end: Option<&[u8]>, sequence: u64) {
        if end.is_some_and(|end| end <= start) {
            return;
        }
        self.points.remove(start, end);
        self.intervals.insert(start, end, sequence);
        self.max_sequence = self.max_sequence.max(sequence);
    }

    /// Points, tombstones included.
    pub(crate) fn len(&self) -> usize {
        self.points.summary().entries
    }

    /// Disjoint deleted ranges.
    pub(crate) fn interval_count(&self) -> usize {
        self.intervals.summary().entries
    }

    /// Whether there are neither points nor intervals.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0 && self.interval_count() == 0
    }

    /// Memory in use, in bytes: that of all entries ever put here or in a clone, and that of the nodes.
    pub(crate) fn bytes(&self) -> usize {
        self.arena.bytes() + (self.points.summary().nodes + self.intervals.summary().nodes) * node::Node::bytes()
    }

    /// The highest sequence that a change came with, 0 before the first.
    pub(crate) fn max_sequence(&self) -> u64 {
        self.max_sequence
    }

    /// A cursor over the points as they are now, on none of them yet.
    pub(crate) fn cursor(&self) -> MemtableCursor {
        MemtableCursor { path: self.points.path() }
    }

    /// The points in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut path = self.points.borrowed_path();
        path.seek(&[]);
        core::iter::from_fn(move || {
            let entry = path.lasting_entry();
            path.next();
            entry
        })
    }

    /// A cursor over the deleted ranges as they are now, on none of them yet.
    pub(crate) fn intervals(&self) -> IntervalCursor {
        self.intervals.cursor()
    }

    /// The first change after `sequence` that touches a key from `start` on and below `end`: its key, or, if it is a
    /// deleted range, the first key of the range asked for that it covers.
    pub(crate) fn touched_since<'a>(&'a self, start: &'a [u8], end: Option<&[u8]>, sequence: u64) -> Option<&'a [u8]> {
        if self.max_sequence <= sequence || end.is_some_and(|end| end <= start) {
            return None;
        }
        let point = self.points.first_newer(start, end, sequence);
        let interval = self.intervals.first_newer(start, end, sequence).map(|covered| covered.max(start));
        match (point, interval) {
            (Some(point), Some(interval)) => Some(point.min(interval)),
            (point, interval) => point.or(interval),
        }
    }
}

/// A position among the points of a memtable as it was when the cursor was made.
#[derive(Clone, Debug)]
pub(crate) struct MemtableCursor {
    path: path::Path<Arc<node::Node>>,
}

impl MemtableCursor {
    /// Goes to the first point whose key is not below `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) {
        self.path.seek(key);
    }

    /// Goes to the last point.
    pub(crate) fn seek_last(&mut self) {
        self.path.seek_below(None);
    }

    /// Goes to the last point whose key is below `key`.
    pub(crate) fn seek_before(&mut self, key: &[u8]) {
        self.path.seek_below(Some(key));
    }

    /// Goes to the following point; from the last, and from none, to none.
    #[inline]
    pub(crate) fn next(&mut self) {
        self.path.next();
    }

    /// Goes to the preceding point; from the first, and from none, to none.
    #[inline]
    pub(crate) fn prev(&mut self) {
        self.path.prev();
    }

    /// The point the cursor is on.
    #[inline]
    pub(crate) fn entry(&self) -> Option<Entry<'_>> {
        self.path.entry()
    }
}
