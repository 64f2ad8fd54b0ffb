//! How much memory all transactions under way take together, for what they have changed and read.

use crate::env::sync::atomic::{AtomicUsize, Ordering};
use crate::error::{Error, Result};
use crate::limit::Limit;
use crate::testing::Mutant;

/// What each has without asking. As many have it as [`transactions_max`](super::Limits::transactions_max).
pub(crate) const OWN_BYTES: usize = 64 << 10;

/// What they have beyond that.
#[derive(Debug)]
pub(crate) struct TransactionMemory {
    taken: AtomicUsize,
    max: usize,
}

impl TransactionMemory {
    pub(super) fn new(max: usize) -> Self {
        Self { taken: AtomicUsize::new(0), max }
    }

    /// One of them needs so many bytes more.
    pub(crate) fn take(&self, bytes: usize) -> Result<()> {
        let is_room = |sum: &usize| *sum <= self.max || Mutant::TransactionMemoryUnbounded.is_active();
        let more = |taken: usize| taken.checked_add(bytes).filter(is_room);
        match self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(taken) => Err(Error::LimitReached {
                limit: Limit::TransactionMemory,
                allowed: self.max as u64,
                used: taken as u64,
            }),
        }
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}
