//! Sealing everything anew under a new data key, while readers and writers go on.
//!
//! It begins with a checkpoint into both superblocks that brings the new data key, in the slot of one key, and beside it the one of
//! before, sealed by the new one. **Nothing is sealed under the new key before both are durable**, so whatever is found can be opened. From
//! then on everything is sealed under the new one, and what is not yet, is brought there in bounded steps:
//!
//! 1. *the log* goes on in a new segment; commits before it go into the trees, and runs into the base;
//! 2. *the base* is written anew, one range of keys after the other ([`Renew`]). Each unit's nonce tells of which data key it is, so after a crash it
//!    is gone over again, and only what is left is written;
//! 3. *a checkpoint* replaces the record and all pages of the space map;
//! 4. what all this has freed must come free: snapshots, named ones too, feeds, the archive, and older superblocks read it, with the old key;
//! 5. *free space* is filled with zeros, in both files. What is given out meanwhile is so before it is used, so no sector and no segment that is
//!    in use has older bytes left in it;
//! 6. a last checkpoint into both superblocks without the old key, which is wiped from memory.
//!
//! All that has to be remembered is that there are two data keys: whoever opens a database with two begins at 1.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::checkpoint::Checkpoint;
use super::maintenance::{MergeJob, Progress, Work};
use super::renew::Renew;
use super::state::Engine;
use crate::codec::cipher::Envelope;
use crate::env::{FileId, SyncTicket};
use crate::error::{Error, Result};
use crate::space::{PendingFree, SECTOR_BYTES};
use crate::testing::Mutant;

/// Sectors that one step fills with zeros.
const WIPED_SECTORS: u64 = 256;

/// How far sealing everything anew is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reencryption {
    /// What it is doing.
    pub stage: ReencryptionStage,
    /// So many records of [`all`](Self::all) are written anew, or so many bytes wiped.
    pub done: u64,
    /// About how many there are; 0 where nothing is counted.
    pub all: u64,
    /// What it waits for, if it does not go on by itself.
    pub waiting_for: Option<String>,
}

/// What sealing everything anew is doing, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ReencryptionStage {
    /// Bringing commits and runs into the base.
    Merge,
    /// Writing the base anew.
    Rewrite,
    /// Waiting until what was written before is read by nobody.
    Release,
    /// Filling free space with zeros.
    Wipe,
    /// Making durable that the old data key is no longer needed.
    Forget,
}

impl ReencryptionStage {
    /// A name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Rewrite => "rewrite",
            Self::Release => "release",
            Self::Wipe => "wipe",
            Self::Forget => "forget the old key",
        }
    }
}

/// One that is under way.
#[derive(Debug)]
pub(super) struct ReencryptionWork {
    stage: Stage,
    /// Segments of the log up to this generation hold what is sealed under the old key.
    log_generation: u64,
    /// The new segment's barrier: nothing that leads there may be written before.
    segment_sync: SegmentSync,
    /// Values that were perhaps begun before, and that no tree has yet.
    in_flight: Vec<u64>,
    entries_done: u64,
    /// Values that cannot be read, and so cannot be sealed anew.
    pub(super) values_damaged: u64,
    waiting_for: Option<String>,
}

#[derive(Debug, Default)]
struct SegmentSync {
    due: bool,
    ticket: Option<SyncTicket>,
}

#[derive(Clone, Debug)]
enum Stage {
    NewSegment,
    /// Commits up to this one, and values in flight, go into the trees.
    Drain {
        sequence: u64,
    },
    /// Runs up to this one go into the base.
    Runs {
        until: u64,
    },
    Renew {
        from: Arc<[u8]>,
    },
    /// A checkpoint after this one.
    Seal {
        after: u64,
    },
    /// What was freed up to this checkpoint comes free.
    Release {
        freed_by: u64,
    },
    WipeData {
        sector: u64,
        end: u64,
    },
    WipeLog {
        region: u32,
    },
    Forget,
    /// Something cannot be read.
    Stuck,
}

impl ReencryptionWork {
    /// Everything is to be sealed anew, as far as it is not.
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::NewSegment,
            log_generation: 0,
            segment_sync: SegmentSync::default(),
            in_flight: Vec::new(),
            entries_done: 0,
            values_damaged: 0,
            waiting_for: None,
        }
    }

    /// The base is written anew below `to`, about so many entries more.
    pub(super) fn renewed(&mut self, to: Option<Arc<[u8]>>, entries: u64) {
        self.entries_done += entries;
        if let Stage::Renew { from } = &mut self.stage {
            match to {
                Some(to) => *from = to,
                // Which checkpoint, is found when no other is under way.
                None => self.stage = Stage::Seal { after: u64::MAX },
            }
        }
    }

    /// What is damaged cannot be sealed anew.
    pub(super) fn stopped_by(&mut self, error: &Error) {
        self.waiting_for = Some(alloc::format!("damage to be repaired: {error}"));
        self.stage = Stage::Stuck;
    }

    /// Segments of the log up to this generation are to be kept for nobody but recovery and the archive.
    pub(super) fn log_to_release(&self) -> u64 {
        self.log_generation
    }
}

impl Engine {
    /// From now on everything is sealed under the data key of now. The caller holds the work, and what is written next goes to sectors
    /// and segments of its own.
    pub(super) fn begin_reencryption(&self, work: &mut Work) {
        {
            let mut space = self.space.lock();
            space.map.set_wiping(true);
            let pages: Vec<u64> = (0..space.map.page_count()).collect();
            space.map.mark_dirty(&pages);
        }
        if let Some(log) = &mut self.writer.lock().log {
            log.set_wiping(true);
        }
        work.reencryption = Some(ReencryptionWork::new());
        work.unsaved = true;
    }

    /// Nothing is sealed under the old data key, and no superblock has it.
    pub(super) fn end_reencryption(&self, work: &mut Work) {
        if let Envelope::Sealed(cipher) = &self.nodes.seal().envelope {
            cipher.forget_retired();
        }
        self.space.lock().map.set_wiping(false);
        if let Some(log) = &mut self.writer.lock().log {
            log.set_wiping(false);
        }
        work.reencryption = None;
    }

    /// How far it is; `None` when everything is sealed under one data key.
    pub(crate) fn reencryption(&self) -> Option<Reencryption> {
        let work = self.work.lock();
        let under_way = work.reencryption.as_ref()?;
        let entries = self.version().layers.base.map_or(0, |base| base.entries);
        let (stage, done, all) = match &under_way.stage {
            Stage::NewSegment | Stage::Drain { .. } | Stage::Runs { .. } => (ReencryptionStage::Merge, 0, 0),
            Stage::Renew { .. } | Stage::Stuck => {
                (ReencryptionStage::Rewrite, under_way.entries_done.min(entries), entries)
            }
            Stage::Seal { .. } | Stage::Release { .. } => (ReencryptionStage::Release, 0, 0),
            Stage::WipeData { sector, end } => {
                (ReencryptionStage::Wipe, sector.min(end) * SECTOR_BYTES, end * SECTOR_BYTES)
            }
            Stage::WipeLog { .. } => (ReencryptionStage::Wipe, 0, 0),
            Stage::Forget => (ReencryptionStage::Forget, 0, 0),
        };
        Some(Reencryption { stage, done, all, waiting_for: under_way.waiting_for.clone() })
    }

    /// The log's new segment is durable before anything leads there.
    pub(super) fn sync_new_segment(&self, work: &mut Work) -> Result<()> {
        let Some(sync) = work.reencryption.as_mut().map(|work| &mut work.segment_sync).filter(|sync| sync.due) else {
            return Ok(());
        };
        // A later sync may succeed without what this one has lost.
        self.barrier(FileId::Log, &mut sync.ticket).inspect_err(|error| {
            if !matches!(error, Error::Pending(_)) {
                self.poison(error);
            }
        })?;
        sync.due = false;
        Ok(())
    }

    /// One step, where nothing else is under way.
    pub(super) fn step_reencryption(&self, work: &mut Work) -> Result<Progress> {
        let is_idle = work.flush.is_none() && work.merge.is_none() && work.checkpoint.is_none();
        // Whoever waits for something else does not wait for this, and what is closed stays as it is.
        if !is_idle || work.request.is_some() || work.reencryption.is_none() || self.writer.lock().stopped.is_some() {
            return Ok(Progress::Idle);
        }
        let Some(mut under_way) = work.reencryption.take() else { return Ok(Progress::Idle) };
        let result = self.step_stage(work, &mut under_way);
        if matches!(result, Ok(Progress::More)) {
            under_way.waiting_for = None;
        }
        work.reencryption = Some(under_way);
        result
    }

    fn step_stage(&self, work: &mut Work, under_way: &mut ReencryptionWork) -> Result<Progress> {
        under_way.stage = match under_way.stage.clone() {
            Stage::NewSegment => match self.begin_segment(under_way)? {
                Some(sequence) => Stage::Drain { sequence },
                None => return Ok(under_way.waits("room in the log")),
            },
            Stage::Drain { sequence } => {
                if !self.is_drained(work, under_way, sequence) {
                    if !self.head().layers.frozen.is_empty() {
                        return Ok(Progress::More);
                    }
                    return Ok(under_way.waits("transactions with long values to end"));
                }
                Stage::Runs { until: work.next_run_id }
            }
            Stage::Runs { until } => {
                if self.head().layers.runs.iter().any(|layer| layer.run.id <= until) {
                    if let Some(error) = work.avoided.first.as_ref().filter(|_| work.avoided.base) {
                        under_way.stopped_by(error);
                        return Ok(Progress::Idle);
                    }
                    work.merge_all = true;
                    return Ok(Progress::More);
                }
                Stage::Renew { from: Arc::from(&[][..]) }
            }
            Stage::Renew { from } => match self.version().layers.base {
                Some(base) => {
                    work.merge = Some(MergeJob::Renew(Renew::new(base, from)));
                    return Ok(Progress::More);
                }
                None => Stage::Seal { after: u64::MAX },
            },
            Stage::Seal { after: u64::MAX } => Stage::Seal { after: work.superblock.checkpoint },
            Stage::Seal { after } if work.superblock.checkpoint <= after => {
                work.checkpoint = Some(Checkpoint::new(false));
                return Ok(Progress::More);
            }
            Stage::Seal { .. } => Stage::Release { freed_by: self.space.lock().building },
            Stage::Release { freed_by } => match self.step_release(work, under_way, freed_by)? {
                Some(progress) => return Ok(progress),
                None => Stage::WipeData { sector: 0, end: self.storage().len(FileId::Data)?.div_ceil(SECTOR_BYTES) },
            },
            Stage::WipeData { sector, end } => match self.wipe_sectors(sector, end)? {
                Some(sector) => Stage::WipeData { sector, end },
                None => Stage::WipeLog { region: 0 },
            },
            Stage::WipeLog { region } => {
                let mut writer = self.writer.lock();
                let Some(log) = &mut writer.log else { return Ok(Progress::Idle) };
                let is_more = !Mutant::StaleSpaceUnwiped.is_active() && log.wipe(self.storage(), region)?;
                if is_more { Stage::WipeLog { region: region + 1 } } else { Stage::Forget }
            }
            Stage::Forget => {
                if let Some(block) = &work.superblock.key_block {
                    work.checkpoint = Some(Checkpoint::of_last_key(block.keys.without_retired()));
                }
                return Ok(Progress::More);
            }
            Stage::Stuck => return Ok(Progress::Idle),
        };
        Ok(Progress::More)
    }

    /// The newest commit before, once the log goes on in a new segment; `None` where there is none free.
    fn begin_segment(&self, under_way: &mut ReencryptionWork) -> Result<Option<u64>> {
        let mut writer = self.writer.lock();
        let head = self.head_of(&writer);
        let Some(log) = &mut writer.log else { return Ok(None) };
        let generation = log.position().generation;
        match log.leave_segment(self.storage()) {
            Err(Error::LimitExceeded { .. }) => return Ok(None),
            left => left?,
        }
        under_way.log_generation = generation;
        under_way.segment_sync = SegmentSync { due: !Mutant::NewSegmentNotSynced.is_active(), ticket: None };
        self.note_log_room(&writer);
        drop(writer);
        // Whatever drew a nonce before is among these: it took its place first.
        under_way.in_flight = self.space.lock().in_flight.keys().copied().collect();
        Ok(Some(head.sequence))
    }

    /// Whether all that was in the log and in memory is in the trees.
    fn is_drained(&self, work: &mut Work, under_way: &mut ReencryptionWork, sequence: u64) -> bool {
        {
            let space = self.space.lock();
            under_way.in_flight.retain(|offset| space.in_flight.contains_key(offset));
        }
        if Mutant::ValueInFlightForgotten.is_active() {
            under_way.in_flight.clear();
        }
        let log_is_behind = work.merged_log.generation <= under_way.log_generation || !work.sealed.is_empty();
        if work.merged_sequence >= sequence && under_way.in_flight.is_empty() && !log_is_behind {
            return true;
        }
        let is_in_memtable = || {
            let writer = self.writer.lock();
            writer.values.all.iter().any(|value| under_way.in_flight.contains(&value.offset))
        };
        // Not for what waits for a transaction alone: every commit would be flushed by itself.
        if work.merged_sequence < sequence || log_is_behind || is_in_memtable() {
            self.freeze_now();
        }
        let writer = self.writer.lock();
        if let Some(log) = writer.log.as_ref().filter(|_| self.head_of(&writer).is_resting())
            && log_is_behind
        {
            // There is nothing but marks up to here.
            work.merged_log = log.position();
            work.sealed.clear();
            work.unsaved = true;
            return under_way.in_flight.is_empty() && work.merged_sequence >= sequence;
        }
        false
    }

    /// Makes the checkpoints after which what was freed comes free; `None` when it has, all of it.
    fn step_release(
        &self,
        work: &mut Work,
        under_way: &mut ReencryptionWork,
        freed_by: u64,
    ) -> Result<Option<Progress>> {
        if Mutant::OldKeyForgottenEarly.is_active() {
            return Ok(None);
        }
        if under_way.values_damaged > 0 {
            return Ok(Some(under_way.waits("damaged values to be repaired or deleted: see 'check'")));
        }
        let (log_is_kept, log_may_go) = {
            let writer = self.writer.lock();
            let Some(log) = &writer.log else { return Ok(Some(Progress::Idle)) };
            let kept = log.oldest_kept() <= under_way.log_generation;
            let merged = (work.merged_sequence, work.merged_time_ms);
            let keep = self.keep_of_log(log, work.merged_log.generation, merged);
            let needed = log.kept_before(work.merged_log.generation, crate::log::Keep { bytes: 0, ..keep });
            (kept, needed.first().is_none_or(|segment| segment.generation > under_way.log_generation))
        };
        let is_old = |free: &&PendingFree| free.checkpoint <= freed_by;
        // As it is known now: the next checkpoint records it.
        let archived = super::archive::archived_to(self.archive.lock().as_deref());
        let (is_left, held_by) = {
            let named = self.named.lock();
            let outdated = |one: &&Arc<super::named::Named>| {
                let nonce = one.bitmap.1.nonce;
                nonce.is_some_and(|nonce| self.nodes.seal().envelope.is_outdated(&nonce))
            };
            if let Some(one) = named.list.iter().find(outdated) {
                return Ok(Some(under_way.waits(&alloc::format!("the snapshot '{}' to be dropped", one.name))));
            }
            let mut space = self.space.lock();
            let live = space.live_publications();
            let left = || space.pending.iter().filter(is_old);
            if let Some(one) = named.list.iter().find(|one| left().any(|free| one.holds(free))) {
                return Ok(Some(under_way.waits(&alloc::format!("the snapshot '{}' to be dropped", one.name))));
            }
            let by_snapshots =
                || left().any(|free| named.hold(free) || live.iter().any(|at| free.readable.contains(at)));
            let by_archive = || left().any(|free| super::archive::is_held(free, archived));
            let by_damage = || left().any(|free| self.nodes.quarantine().holds(free.extent));
            let held_by = match () {
                () if left().next().is_none() => None,
                () if by_snapshots() => Some("snapshots, cursors and transactions of before to end"),
                () if by_archive() => Some("the archive to be written to"),
                () if by_damage() => Some("damage to be repaired"),
                () => None,
            };
            (left().next().is_some(), held_by)
        };
        if !is_left && !log_is_kept {
            return Ok(None);
        }
        // What may be reused is known after two more.
        let is_early = work.superblock.checkpoint <= freed_by + 1;
        if is_early || is_left && held_by.is_none() || !is_left && log_may_go {
            work.checkpoint = Some(Checkpoint::new(false));
            return Ok(Some(Progress::More));
        }
        Ok(Some(under_way.waits(held_by.unwrap_or("the archive to be written to"))))
    }

    /// Fills the free sectors from `sector` on with zeros, as many as one step may; where to go on.
    fn wipe_sectors(&self, sector: u64, end: u64) -> Result<Option<u64>> {
        if Mutant::StaleSpaceUnwiped.is_active() {
            return Ok(None);
        }
        // Nobody else is given them meanwhile, and no checkpoint is written that counts them.
        let taken = self.space.lock().map.take_free(sector, end, WIPED_SECTORS)?;
        let Some(extent) = taken else { return Ok(None) };
        let written = self.storage().write_at(FileId::Data, extent.offset, &alloc::vec![0; extent.len as usize]);
        self.space.lock().map.release(extent);
        written?;
        Ok(Some((extent.offset + extent.len) / SECTOR_BYTES))
    }
}

impl ReencryptionWork {
    fn waits(&mut self, what: &str) -> Progress {
        self.waiting_for = Some(String::from(what));
        Progress::Idle
    }
}
