//! What was committed lately, for the validation of optimistic transactions.
//!
//! Memtables carry the sequence of every change. Those already merged are kept here, within one memtable's worth of
//! memory, while a transaction that began before their last change lives; past that, such a transaction is too old.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::version::Version;
use crate::memtable::Memtable;
use crate::testing::Mutant;

/// Merged memtables that are still needed for validation, oldest first.
#[derive(Debug)]
pub(crate) struct Recent {
    kept: VecDeque<Memtable>,
    bytes: usize,
    bytes_max: usize,
    /// Every change after this commit is in `kept` or in a memtable of the head.
    complete_since: u64,
}

/// Where optimistic transactions under way began: as many as [`transactions_max`](super::Limits::transactions_max).
#[derive(Debug, Default)]
pub(super) struct Optimistic {
    starts: BTreeMap<u64, u64>,
    count: usize,
}

/// One optimistic transaction under way.
#[derive(Debug)]
pub(crate) struct OptimisticPin {
    pub(super) start: u64,
    pub(super) ended: crate::env::sync::atomic::AtomicBool,
}

impl Recent {
    pub(super) fn new(complete_since: u64, bytes_max: usize) -> Self {
        Self { kept: VecDeque::new(), bytes: 0, bytes_max, complete_since }
    }

    /// The memtables that together hold every change since `start`; `None` when some are gone.
    pub(crate) fn since<'a>(&'a self, start: u64, head: &'a Version) -> Option<Vec<&'a Memtable>> {
        if start < self.complete_since && !Mutant::TooOldAccepted.is_active() {
            return None;
        }
        let frozen = head.layers.frozen.iter().map(|frozen| &frozen.memtable);
        Some(core::iter::once(&head.memtable).chain(frozen).chain(&self.kept).collect())
    }

    /// A memtable has been merged; its last commit is `sequence`.
    pub(super) fn merged(&mut self, memtable: &Memtable, sequence: u64, oldest_start: Option<u64>) {
        while let Some(first) = self.kept.front()
            && oldest_start.is_none_or(|start| first.max_sequence() <= start)
        {
            self.drop_oldest();
        }
        if oldest_start.is_none_or(|start| sequence <= start) {
            self.complete_since = self.complete_since.max(sequence);
            return;
        }
        self.kept.push_back(memtable.clone());
        self.bytes += memtable.bytes();
        while self.bytes > self.bytes_max && !self.kept.is_empty() {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(gone) = self.kept.pop_front() {
            self.bytes = self.bytes.saturating_sub(gone.bytes());
            self.complete_since = self.complete_since.max(gone.max_sequence());
        }
    }
}

impl Optimistic {
    pub(super) fn begin(&mut self, start: u64) {
        *self.starts.entry(start).or_insert(0) += 1;
        self.count += 1;
    }

    pub(super) fn end(&mut self, start: u64) {
        if let Some(count) = self.starts.get_mut(&start) {
            *count -= 1;
            if *count == 0 {
                self.starts.remove(&start);
            }
            self.count -= 1;
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        self.starts.keys().next().copied()
    }
}
