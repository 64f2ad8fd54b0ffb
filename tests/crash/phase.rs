//! Where a child was when it was killed.

use std::sync::atomic::{AtomicU32, Ordering};

use lightning_db::{Activity, CompactionStage, RecoveryStage};

/// What a child is doing, as it says itself: its own calls and the background work under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phase(pub u32);

/// What the child's calls are at.
static CALL: AtomicU32 = AtomicU32::new(STARTING);

const STARTING: u32 = 0;
/// Stages of opening follow, from 1.
const WORKING: u32 = 20;
const DUMPING: u32 = 21;
const CLOSING: u32 = 22;
const CHECKPOINT: u32 = 23;
const COMPACT: u32 = 24;
const INDEX: u32 = 30;

/// Background work, in the bits above those of the call.
const BACKGROUND: [(u32, &str); 5] = [
    (1 << 8, "flush"),
    (1 << 9, "merge of runs"),
    (1 << 10, "merge into the base"),
    (1 << 11, "moving extents"),
    (1 << 12, "checkpoint"),
];

/// Notes that a stage of opening begins.
pub fn opening(stage: RecoveryStage) {
    CALL.store(stage.number() as u32, Ordering::Relaxed);
}

/// Notes that the database is read and compared.
pub fn dumping() {
    CALL.store(DUMPING, Ordering::Relaxed);
}

/// Notes that commits are made, and nothing else was called for.
pub fn working() {
    CALL.store(WORKING, Ordering::Relaxed);
}

/// Notes that `checkpoint` was called.
pub fn checkpointing() {
    CALL.store(CHECKPOINT, Ordering::Relaxed);
}

/// Notes how far `compact` is; `None` before it says so itself.
pub fn compacting(stage: Option<CompactionStage>) {
    CALL.store(COMPACT + stage.map_or(0, |stage| 1 + stage as u32), Ordering::Relaxed);
}

/// Notes that an index is being made.
pub fn indexing() {
    CALL.store(INDEX, Ordering::Relaxed);
}

/// Notes that `close` was called.
pub fn closing() {
    CALL.store(CLOSING, Ordering::Relaxed);
}

impl Phase {
    /// Now, with this background work.
    pub fn now(activity: Activity) -> Self {
        let flags =
            [activity.flush, activity.merge_runs, activity.merge_to_base, activity.relocation, activity.checkpoint];
        let bits = BACKGROUND.iter().zip(flags).filter(|(_, on)| *on).map(|((bit, _), _)| bit).sum::<u32>();
        Self(CALL.load(Ordering::Relaxed) | bits)
    }

    /// All that was going on, by name.
    pub fn names(self) -> Vec<String> {
        let call = match self.0 & 0xff {
            STARTING => String::from("start of the process"),
            DUMPING => String::from("reading"),
            WORKING => String::from("commits"),
            CLOSING => String::from("close"),
            CHECKPOINT => String::from("checkpoint()"),
            INDEX => String::from("making an index"),
            COMPACT => String::from("compact()"),
            code if code > COMPACT => {
                let stages = [CompactionStage::Merge, CompactionStage::Move, CompactionStage::Checkpoint];
                let stage = stages.get((code - COMPACT) as usize - 1);
                format!("compact: {}", stage.map_or("?", |stage| stage.name()))
            }
            code => {
                let stage = RecoveryStage::ALL.get((code as usize).wrapping_sub(1));
                format!("open {code:2}: {}", stage.map_or("?", |stage| stage.name()))
            }
        };
        let background =
            BACKGROUND.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| format!("background: {name}"));
        std::iter::once(call).chain(background).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_has_a_name_of_its_own() {
        let mut names: Vec<String> = (0..=COMPACT + 3)
            .chain([INDEX])
            .filter(|code| !(13..20).contains(code))
            .flat_map(|code| Phase(code).names())
            .collect();
        names.extend(Phase(0x1f00).names());
        assert!(names.iter().all(|name| !name.contains('?')), "{names:?}");
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all - 1, "only the start is there twice");
    }
}
