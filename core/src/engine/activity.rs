//! Which long jobs are under way, readable at any moment without a lock.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::maintenance::{MergeJob, Work};
use super::state::Engine;

/// The background work under way. Several jobs may be: a checkpoint waits for the platform while a flush goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Activity {
    /// A full memtable is brought into the trees.
    pub flush: bool,
    /// Runs become fewer and larger ones.
    pub merge_runs: bool,
    /// Runs are brought into the base.
    pub merge_to_base: bool,
    /// What lies at the end of the file is moved to free space before it.
    pub relocation: bool,
    /// What was merged is made durable.
    pub checkpoint: bool,
}

impl Activity {
    /// Whether nothing is under way.
    pub fn is_idle(self) -> bool {
        self == Self::default()
    }
}

/// An [`Activity`] in one word.
#[derive(Debug, Default)]
pub(super) struct SharedActivity(AtomicUsize);

const FLUSH: usize = 1;
const MERGE_RUNS: usize = 2;
const MERGE_TO_BASE: usize = 4;
const RELOCATION: usize = 8;
const CHECKPOINT: usize = 16;

impl Engine {
    /// What is under way now.
    pub(crate) fn activity(&self) -> Activity {
        let bits = self.activity.0.load(Ordering::Relaxed);
        Activity {
            flush: bits & FLUSH != 0,
            merge_runs: bits & MERGE_RUNS != 0,
            merge_to_base: bits & MERGE_TO_BASE != 0,
            relocation: bits & RELOCATION != 0,
            checkpoint: bits & CHECKPOINT != 0,
        }
    }

    /// A step of this job begins, perhaps its first and last.
    pub(super) fn step_of_flush(&self) {
        self.activity.0.fetch_or(FLUSH, Ordering::Relaxed);
    }

    /// The same for a merge.
    pub(super) fn step_of_merge(&self, merge: &MergeJob) {
        self.activity.0.fetch_or(bit_of(merge), Ordering::Relaxed);
    }

    /// The same for a checkpoint.
    pub(super) fn step_of_checkpoint(&self) {
        self.activity.0.fetch_or(CHECKPOINT, Ordering::Relaxed);
    }

    /// A step is over: what goes on with the next one is still under way.
    pub(super) fn step_is_over(&self, work: &Work) {
        let mut bits = work.merge.as_ref().map_or(0, bit_of);
        if work.flush.is_some() {
            bits |= FLUSH;
        }
        if work.checkpoint.is_some() {
            bits |= CHECKPOINT;
        }
        self.activity.0.store(bits, Ordering::Relaxed);
    }
}

fn bit_of(merge: &MergeJob) -> usize {
    match merge {
        MergeJob::Runs(_) => MERGE_RUNS,
        MergeJob::ToBase(_) => MERGE_TO_BASE,
        MergeJob::Relocate(_) => RELOCATION,
        #[cfg(feature = "encryption")]
        MergeJob::Renew(_) => RELOCATION,
    }
}
