//! What was committed lately, for the validation of optimistic transactions.
//!
//! Memtables carry the sequence of every change. Those already merged are kept here, within one memtable's worth of
//! memory, while a transaction that began before their last change lives; past that, such a transaction is too old.

use alloc::collections::VecDeque;
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
    open: Vec<Open>,
    /// The last number that was given.
    last: u64,
}

#[derive(Debug)]
struct Open {
    number: u64,
    /// It sees what was committed up to here.
    start: u64,
    until_ns: u64,
}

/// One optimistic transaction under way, by a number that no other gets; 0 for none.
#[derive(Debug)]
pub(crate) struct OptimisticPin(pub(super) u64);

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
    pub(super) fn begin(&mut self, start: u64, until_ns: u64) -> OptimisticPin {
        self.last += 1;
        self.open.push(Open { number: self.last, start, until_ns });
        OptimisticPin(self.last)
    }

    pub(super) fn end(&mut self, pin: &OptimisticPin) {
        // Most are short: it is among the last.
        if let Some(at) = self.open.iter().rposition(|open| open.number == pin.0) {
            self.open.swap_remove(at);
        }
    }

    /// Those whose time is over can commit nothing any more, whether they know it or not.
    pub(super) fn end_overdue(&mut self, now_ns: u64) {
        self.open.retain(|open| open.until_ns > now_ns);
    }

    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        self.open.iter().map(|open| open.start).min()
    }
}
