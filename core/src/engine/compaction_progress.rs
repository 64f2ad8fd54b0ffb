//! How far a compaction is, for whoever waits for it.

use super::maintenance::{MergeJob, Work};
use super::state::Engine;

/// What a compaction is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompactionStage {
    /// Bringing memtables and runs into the base.
    Merge,
    /// Moving what lies at the end of the file to free space before it.
    Move,
    /// Making the result durable.
    Checkpoint,
}

impl CompactionStage {
    /// A name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Move => "move",
            Self::Checkpoint => "write checkpoint",
        }
    }
}

/// How far a compaction is: told after each bounded step of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionProgress {
    /// What it is doing.
    pub stage: CompactionStage,
    /// Changes not yet in the base, in memtables and runs.
    pub changes_left: u64,
    /// Bytes of nodes written since the database was opened.
    pub node_bytes_written: u64,
    /// Length of the data file.
    pub file_bytes: u64,
    /// Wholly free sectors inside it.
    pub free_bytes: u64,
}

impl Engine {
    pub(super) fn compaction_progress(&self) -> CompactionProgress {
        let version = self.head();
        let layers = &version.layers;
        let memtables = layers.frozen.iter().map(|frozen| &frozen.memtable).chain([&version.memtable]);
        let in_memory: u64 = memtables.map(|memtable| memtable.len() as u64).sum();
        let in_runs: u64 = layers.runs.iter().map(|layer| layer.run.entries()).sum();
        let (stage, node_bytes_written) = {
            let work = self.work.lock();
            (stage_of(&work), work.node_bytes_written)
        };
        let space = self.space.lock();
        CompactionProgress {
            stage,
            changes_left: in_memory + in_runs,
            node_bytes_written,
            file_bytes: space.map.file_bytes(),
            free_bytes: space.map.free_bytes(),
        }
    }
}

fn stage_of(work: &Work) -> CompactionStage {
    match &work.merge {
        Some(MergeJob::Relocate(_)) => CompactionStage::Move,
        Some(MergeJob::Runs(_) | MergeJob::ToBase(_)) => CompactionStage::Merge,
        #[cfg(feature = "encryption")]
        Some(MergeJob::Renew(_)) => CompactionStage::Merge,
        None if work.flush.is_some() => CompactionStage::Merge,
        None => CompactionStage::Checkpoint,
    }
}
