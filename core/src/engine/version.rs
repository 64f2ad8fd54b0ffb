//! An immutable state of the database: what a snapshot holds.
//!
//! **Layer invariant:** for each key, every layer is newer than all layers below it: the memtable over the frozen
//! memtables (newest first) over the runs (newest first) over the base.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::lease::Lease;
use crate::codec::slot::ValueRef;
use crate::log::LogPosition;
use crate::memtable::Memtable;
use crate::tree::Root;

/// Everything visible up to one commit.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// The newest commit it holds.
    pub sequence: u64,
    /// Wall clock of that commit in milliseconds; never goes back.
    pub time_ms: u64,
    /// The newest changes.
    pub memtable: Memtable,
    /// Everything below.
    pub layers: Arc<Layers>,
}

/// The layers below the memtable. They change rarely, so versions share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers {
    /// Memtables that take no more writes, newest first.
    pub frozen: Vec<Arc<Frozen>>,
    /// Runs, newest first.
    pub runs: Vec<RunLayer>,
    /// The bottom: holds no tombstones.
    pub base: Option<Root>,
    /// Counts the layers published since the database was opened; what later ones free stays while these are held.
    pub publication: u64,
    /// The publication that brought this base, 0 for the one found when opening: no two bases of an open database share it.
    pub base_since: u64,
    /// Whether what they refer to is kept for those who hold them.
    pub lease: Lease,
}

/// A memtable on its way to storage.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub memtable: Memtable,
    /// The log after its last commit.
    pub log_end: LogPosition,
    /// Its newest commit.
    pub sequence: u64,
    pub values: MemtableValues,
}

/// Value extents that came with the commits of one memtable.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemtableValues {
    /// All of them: in flight until the memtable is merged.
    pub all: Vec<ValueRef>,
    /// Those overwritten while still in the memtable: free once it is merged.
    pub dead: Vec<ValueRef>,
}

/// An immutable tree of changes over the base: points (tombstones too) and deleted intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Distinguishes runs within one database; larger was made later.
    pub id: u64,
    /// The commits its records come from: from the first of its oldest memtable to the last of its newest. Its changes
    /// are not all of theirs: what was dense went into the base.
    pub sequences: RangeInclusive<u64>,
    /// How often its records were merged among runs.
    pub level: u8,
    /// Points by key.
    pub points: Option<Root>,
    /// Deleted intervals: start to end (empty for unbounded).
    pub intervals: Option<Root>,
    /// Approximate bytes of keys and values.
    pub bytes: u64,
}

/// A run as one version sees it: keys below `merged_below` have moved into the base and are no longer part of it.
#[derive(Clone, Debug)]
pub(crate) struct RunLayer {
    pub run: Arc<Run>,
    pub merged_below: Option<Arc<[u8]>>,
}

impl Version {
    /// Whether no layer above the base says anything.
    #[inline]
    pub(crate) fn is_base_alone(&self) -> bool {
        self.layers.runs.is_empty() && self.layers.frozen.is_empty() && self.memtable.is_empty()
    }

    pub(crate) fn is_resting(&self) -> bool {
        self.memtable.is_empty() && self.layers.frozen.is_empty()
    }
}
