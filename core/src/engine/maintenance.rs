//! Background work as bounded steps: flush, merge of runs, checkpoint, relocation. With `std` a thread calls
//! [`Engine::step`]; in a browser the worker does between messages; in a test the simulator.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::archive::ArchiveRecord;
use super::checkpoint::Checkpoint;
use super::compaction::{MergeRuns, MergeToBase, Relocate};
use super::first_write::FirstWrite;
use super::flush::Flush;
use super::job::JobExtents;
use super::named::Named;
use super::quarantine::{Avoided, damaged_among};
#[cfg(feature = "encryption")]
use super::reencryption::ReencryptionWork;
#[cfg(feature = "encryption")]
use super::renew::Renew;
use super::state::Engine;
use crate::codec::cipher::Proof;
use crate::env::Storage;
use crate::env::sync::atomic::Ordering;
use crate::error::{Error, Result};
use crate::log::{Log, LogPosition, SealedSegment};
use crate::space::{Extent, Superblock};

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do now.
    More,
    /// Nothing to do until something is written.
    Idle,
}

/// Runs of one level are merged together at this number.
pub(super) const RUN_FANOUT: usize = 8;
/// More live runs than this go into the base whatever their size.
pub(super) const RUNS_MAX: usize = 12;
/// Writers wait while there are more.
const RUNS_BEFORE_WAITING: usize = 24;
/// Runs go into the base once they hold this part of its entries.
const BASE_PART: u64 = 2;
/// A checkpoint follows when this many bytes of nodes wait for one.
const CHECKPOINT_BYTES: u64 = 32 << 20;

/// What background work is under way, and what the last checkpoint said. Held by whoever does a step.
#[derive(Debug)]
pub(super) struct Work {
    /// What opening has left to the first write. Until then there is no other work.
    pub first_write: Option<FirstWrite>,
    pub flush: Option<Flush>,
    pub merge: Option<MergeJob>,
    pub checkpoint: Option<Checkpoint>,
    /// While everything is sealed under a new data key.
    #[cfg(feature = "encryption")]
    pub reencryption: Option<ReencryptionWork>,
    /// The newest durable superblock.
    pub superblock: Superblock,
    /// The pages of the space map as that superblock's record names them.
    pub map_pages: Vec<(u64, Proof)>,
    /// The log from here on is not in the trees.
    pub merged_log: LogPosition,
    /// Parts of the log before that a recovery cut, and that are not in the trees either.
    pub sealed: Vec<SealedSegment>,
    /// Every commit up to here is in the trees.
    pub merged_sequence: u64,
    pub merged_time_ms: u64,
    pub next_run_id: u64,
    /// Where the newest durable checkpoint begins to replay: what lies before is reused after the next one.
    pub checkpoint_log: LogPosition,
    /// From this generation on that checkpoint's record keeps segments for change feeds: likewise.
    pub checkpoint_kept: u64,
    /// The named snapshots that that checkpoint's record has: likewise.
    pub checkpoint_named: Vec<Arc<Named>>,
    /// What that record says of the archive.
    pub checkpoint_archive: Option<Box<ArchiveRecord>>,
    /// Whether it says that the database is frozen.
    #[cfg(feature = "std")]
    pub checkpoint_frozen: bool,
    /// `merged_log` as that checkpoint holds it.
    pub saved_log: LogPosition,
    /// Bytes of nodes written since the newest checkpoint, and whether layers changed.
    pub unsaved_bytes: u64,
    pub unsaved: bool,
    /// What was asked for, done in order once nothing more urgent is left.
    pub plan: VecDeque<Task>,
    /// Runs go into the base whatever their size.
    pub merge_all: bool,
    /// What is damaged, and merged no more.
    pub avoided: Avoided,
    /// Why the last step failed.
    #[cfg(feature = "std")]
    pub failed: Option<Error>,
    /// What someone waits for, and has put into the plan.
    pub request: Option<Request>,
    /// Values in extents of their own that the trees refer to.
    pub values: u64,
    /// Bytes written into nodes since the database was opened.
    pub node_bytes_written: u64,
}

/// A job that makes fewer and better trees of those there are.
#[derive(Debug)]
pub(super) enum MergeJob {
    Runs(MergeRuns),
    ToBase(MergeToBase),
    Relocate(Relocate),
    #[cfg(feature = "encryption")]
    Renew(Renew),
}

impl MergeJob {
    fn step(&mut self, engine: &Engine, work: &mut Work) -> Result<Progress> {
        match self {
            MergeJob::Runs(merge) => merge.step(engine, work),
            MergeJob::ToBase(merge) => merge.step(engine, work),
            MergeJob::Relocate(relocate) => relocate.step(engine, work),
            #[cfg(feature = "encryption")]
            MergeJob::Renew(renew) => renew.step(engine, work),
        }
    }

    fn extents(&mut self) -> &mut JobExtents {
        match self {
            MergeJob::Runs(merge) => &mut merge.extents,
            MergeJob::ToBase(merge) => &mut merge.extents,
            MergeJob::Relocate(relocate) => &mut relocate.extents,
            #[cfg(feature = "encryption")]
            MergeJob::Renew(renew) => &mut renew.extents,
        }
    }

    fn changes_base(&self) -> bool {
        !matches!(self, MergeJob::Runs(_))
    }

    /// It failed, and is not gone on with.
    fn give_up(&mut self, engine: &Engine) {
        #[cfg(feature = "encryption")]
        if let MergeJob::Renew(renew) = self {
            renew.give_up(engine);
        }
        let _ = engine;
    }
}

impl Work {
    /// What the jobs under way have written and freed.
    fn jobs(&mut self) -> impl Iterator<Item = &mut JobExtents> {
        let flush = self.flush.as_mut().map(|flush| &mut flush.extents);
        flush.into_iter().chain(self.merge.as_mut().map(MergeJob::extents))
    }

    /// What jobs under way have written: in use, but referred to by nothing yet.
    pub(super) fn under_way(&mut self) -> impl Iterator<Item = &Extent> {
        self.jobs().flat_map(|extents| extents.written.iter())
    }

    /// A checkpoint begins: see [`JobExtents::leave_out`].
    pub(super) fn leave_out(&mut self, storage: &dyn Storage) -> Result<()> {
        self.jobs().try_for_each(|extents| extents.leave_out(storage))
    }

    /// Whether some job under way will bring a new base: no other may.
    pub(super) fn base_is_taken(&self) -> bool {
        self.flush.as_ref().is_some_and(Flush::changes_base) || self.merge.as_ref().is_some_and(MergeJob::changes_base)
    }
}

/// Why there is a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Settle,
    Compact,
    #[cfg_attr(not(feature = "std"), allow(dead_code, reason = "nothing else is recorded there"))]
    Record,
    Close,
}

/// A job that someone asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Checkpoint,
    /// Shorten the file if a good part of it is free, in at most this many rounds.
    Shrink {
        rounds: u8,
        gain_part: u64,
    },
    /// The last checkpoint of a session.
    CleanCheckpoint,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Checkpoint,
    Flush,
    Merge,
}

/// Whether a job that ended a step so stands where it was and goes on with the next.
pub(super) fn goes_on_after(error: &Error) -> bool {
    error.not_resident().is_some() || matches!(error, Error::Pending(_)) || error.is_too_fast()
}

impl Engine {
    /// Does one bounded piece of background work. `NotResident` and `Pending` mean: fetch or wait, then call again; where
    /// a thread of the engine's own waits for barriers, this waits for it when nothing else is left to do.
    pub(crate) fn step(&self) -> Result<Progress> {
        #[cfg(feature = "std")]
        loop {
            let completed = self.beside.count();
            match self.step_without_waiting() {
                Err(Error::Pending(_)) if self.beside.wait_beyond(completed) => {}
                result => return result,
            }
        }
        #[cfg(not(feature = "std"))]
        self.step_without_waiting()
    }

    /// Like [`step`](Self::step), for the thread that is told when a barrier is complete.
    pub(crate) fn step_without_waiting(&self) -> Result<Progress> {
        // What fails here is told at once, as poison.
        self.sync_if_due();
        if let Some(stopped) = self.writer.lock().stopped.as_ref().filter(|stopped| stopped.stops_work()) {
            return Err(stopped.error());
        }
        self.space.lock().expire(&self.options.limits, &*self.env.clock);
        let mut work = self.work.lock();
        self.step_in(&mut work).map_err(|error| match error {
            Error::OutcomeUnknown { cause } => Error::Poisoned { cause },
            error => error,
        })
    }

    pub(super) fn step_in(&self, work: &mut Work) -> Result<Progress> {
        let start = self.env.clock.monotonic_ns();
        let result = self.do_step(work);
        #[cfg(feature = "std")]
        match &result {
            Err(error) if !goes_on_after(error) => work.failed = Some(error.clone()),
            Ok(Progress::Idle) => {
                work.failed = None;
                self.lend();
            }
            _ => work.failed = None,
        }
        self.step_is_over(work);
        self.counters.step_latency.record_ns(self.env.clock.monotonic_ns().saturating_sub(start));
        result
    }

    /// One step of the most urgent job that can go on. A checkpoint that waits for the platform holds up no other job, a
    /// long merge no flush: writers wait for flushes alone, as long as merges keep up.
    pub(super) fn do_step(&self, work: &mut Work) -> Result<Progress> {
        if self.options.read_only || work.first_write.is_some() {
            return Ok(Progress::Idle);
        }
        if work.flush.is_none() && self.is_full() {
            // It filled while the one before it was being merged.
            let mut writer = self.writer.lock();
            self.freeze(&mut writer, 1);
        }
        self.forget_what_healed(work);
        #[cfg(feature = "encryption")]
        self.sync_new_segment(work)?;
        let (mut waiting, mut done) = (None, Progress::Idle);
        for lane in [Lane::Checkpoint, Lane::Flush, Lane::Merge] {
            let result = match lane {
                Lane::Checkpoint => self.step_checkpoint(work),
                Lane::Flush => self.step_flush(work),
                Lane::Merge => self.step_merge(work),
            };
            match result {
                // Where there are too many runs, every step of a flush is followed by one of a merge.
                Ok(Progress::More) if lane == Lane::Flush && self.run_count.load(Ordering::Relaxed) > RUNS_MAX => {
                    done = Progress::More;
                }
                Ok(Progress::More) => return Ok(Progress::More),
                Ok(Progress::Idle) => {}
                Err(error @ Error::Pending(_)) => waiting = Some(error),
                Err(error) => return Err(error),
            }
        }
        #[cfg(feature = "encryption")]
        if done == Progress::Idle && waiting.is_none() {
            return self.step_reencryption(work);
        }
        if done == Progress::More { Ok(done) } else { waiting.map_or(Ok(done), Err) }
    }

    fn step_checkpoint(&self, work: &mut Work) -> Result<Progress> {
        let wanted = || {
            let large = work.unsaved && work.unsaved_bytes >= CHECKPOINT_BYTES;
            // With nothing new to say, what waits to be flushed comes first: the log may be held by it.
            let due = work.unsaved || self.head().layers.frozen.is_empty();
            large || due && self.log_calls_for_checkpoint(work)
        };
        if work.checkpoint.is_none() && work.flush.is_none() {
            if self.is_opening() {
                // The one that follows opening failed, and commits wait for it.
                work.checkpoint = Some(Checkpoint::first(work.superblock.checkpoint == 0));
            } else if wanted() {
                work.checkpoint = Some(Checkpoint::new(false));
            }
        }
        let Some(mut checkpoint) = work.checkpoint.take() else { return Ok(Progress::Idle) };
        self.step_of_checkpoint();
        match checkpoint.step(self, work) {
            Ok(Progress::More) => work.checkpoint = Some(checkpoint),
            Ok(Progress::Idle) => {}
            Err(error) if goes_on_after(&error) || checkpoint.may_be_on_the_medium() => {
                work.checkpoint = Some(checkpoint);
                return Err(error);
            }
            Err(error) => {
                checkpoint.abandon(self, work);
                return Err(error);
            }
        }
        Ok(Progress::More)
    }

    fn step_flush(&self, work: &mut Work) -> Result<Progress> {
        if work.flush.is_none() {
            let frozen = self.head().layers.frozen.last().cloned();
            work.flush = frozen.map(|frozen| Flush::new(frozen, !work.base_is_taken() && !work.avoided.base));
        }
        let Some(mut flush) = work.flush.take() else { return Ok(Progress::Idle) };
        self.step_of_flush();
        match flush.step(self, work) {
            Ok(Progress::More) => work.flush = Some(flush),
            Ok(Progress::Idle) => {}
            Err(error) if goes_on_after(&error) => {
                work.flush = Some(flush);
                return Err(error);
            }
            // It goes into a run, which reads nothing.
            Err(error) if flush.changes_base() && self.is_damage(&error) => {
                self.abandon(&flush.extents);
                self.avoid_base(work, error);
            }
            Err(error) => {
                self.abandon(&flush.extents);
                return Err(error);
            }
        }
        Ok(Progress::More)
    }

    fn step_merge(&self, work: &mut Work) -> Result<Progress> {
        let checkpoint_before = work.checkpoint.is_some();
        if work.merge.is_none() {
            work.merge = self.choose_merge(work);
        }
        let Some(mut merge) = work.merge.take() else {
            // A task may have begun a checkpoint instead.
            let begun = work.checkpoint.is_some() && !checkpoint_before;
            return Ok(if begun { Progress::More } else { Progress::Idle });
        };
        self.step_of_merge(&merge);
        match merge.step(self, work) {
            Ok(Progress::More) => work.merge = Some(merge),
            Ok(Progress::Idle) => {}
            Err(error) if goes_on_after(&error) => {
                work.merge = Some(merge);
                return Err(error);
            }
            Err(error) if self.is_damage(&error) => {
                merge.give_up(self);
                self.abandon(merge.extents());
                match &merge {
                    #[cfg(feature = "encryption")]
                    MergeJob::Renew(_) => {
                        if let Some(reencryption) = &mut work.reencryption {
                            reencryption.stopped_by(&error);
                        }
                    }
                    MergeJob::Runs(merge) => {
                        let damaged = damaged_among(&self.nodes, merge.inputs(), &error)?;
                        work.avoided.runs.extend(damaged);
                        work.avoided.first.get_or_insert(error);
                        self.is_damaged.store(true, Ordering::Relaxed);
                    }
                    MergeJob::ToBase(_) | MergeJob::Relocate(_) => self.avoid_base(work, error),
                }
            }
            Err(error) => {
                merge.give_up(self);
                self.abandon(merge.extents());
                return Err(error);
            }
        }
        Ok(Progress::More)
    }

    /// Nothing is merged into the base any more: it is damaged, or something that would go into it is.
    fn avoid_base(&self, work: &mut Work, error: Error) {
        work.avoided.base = true;
        work.avoided.first.get_or_insert(error);
        self.is_damaged.store(true, Ordering::Relaxed);
    }

    /// A job that failed published nothing: what it wrote is free again, what it freed is not.
    fn abandon(&self, extents: &JobExtents) {
        let mut space = self.space.lock();
        for &extent in &extents.written {
            self.nodes.invalidate(extent.offset);
            space.map.release(extent);
        }
        space.ages.job_abandoned();
    }

    fn choose_merge(&self, work: &mut Work) -> Option<MergeJob> {
        let layers = Arc::clone(&self.head().layers);
        let runs = &layers.runs;
        if !runs.is_empty() {
            let run_entries: u64 = runs.iter().map(|layer| layer.run.entries()).sum();
            let base_entries = layers.base.as_ref().map_or(0, |root| root.entries);
            let partly_merged = runs.iter().any(|layer| layer.merged_below.is_some());
            let due = work.merge_all
                || partly_merged
                || runs.len() >= RUNS_MAX
                || run_entries.saturating_mul(BASE_PART) >= base_entries;
            if due && !work.avoided.base && !work.base_is_taken() {
                return Some(MergeJob::ToBase(MergeToBase::new(&layers)));
            }
            // Which runs go on to the base is settled once some have begun to.
            if (!due || work.avoided.base)
                && let Some(merge) = MergeRuns::choose(&layers, &work.avoided)
            {
                return Some(MergeJob::Runs(merge));
            }
        }
        if work.flush.is_some() || work.checkpoint.is_some() {
            return None;
        }
        work.merge_all = false;
        while let Some(task) = work.plan.pop_front() {
            match task {
                Task::Checkpoint => work.checkpoint = Some(Checkpoint::new(false)),
                Task::CleanCheckpoint => work.checkpoint = self.clean_checkpoint(work),
                Task::Shrink { rounds, gain_part } => {
                    if let Some(relocate) = self.shrink(work, rounds, gain_part) {
                        return Some(MergeJob::Relocate(relocate));
                    }
                }
            }
            if work.checkpoint.is_some() {
                return None;
            }
        }
        None
    }

    /// One round: relocation, and the two checkpoints after which what it left behind is free.
    fn shrink(&self, work: &mut Work, rounds: u8, gain_part: u64) -> Option<Relocate> {
        let rounds = rounds.checked_sub(1)?;
        let (file, used) = {
            let space = self.space.lock();
            (space.map.file_bytes(), space.map.used_bytes())
        };
        if work.avoided.base || (file - used) < file / gain_part.max(1) {
            return None;
        }
        let relocate = self.choose_relocation(work)?;
        for task in [Task::Shrink { rounds, gain_part }, Task::Checkpoint, Task::Checkpoint] {
            work.plan.push_front(task);
        }
        Some(relocate)
    }

    /// Whether writers should do (or wait for) background work before adding more: a frozen memtable is still being
    /// flushed and the active one is full, or the log has no room for a transaction as large as is allowed.
    ///
    /// And when merges are so far behind that every read would have to look into this many runs.
    #[inline]
    pub(crate) fn must_wait(&self) -> bool {
        self.is_full() || self.run_count.load(Ordering::Relaxed) > RUNS_BEFORE_WAITING && !self.is_damaged()
    }

    /// Merges keep away from something, so waiting for them may never end.
    fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.memtable_bytes() >= self.options.memtable_bytes || self.log_is_full.load(Ordering::Relaxed)
    }

    /// A checkpoint that lets go of log: what is merged need not be replayed, and what the newest checkpoint does not
    /// replay is free after one more.
    fn log_calls_for_checkpoint(&self, work: &Work) -> bool {
        if work.merged_log != work.saved_log {
            return true;
        }
        let oldest = || self.writer.lock().log.as_ref().map(Log::oldest_generation);
        self.log_is_full.load(Ordering::Relaxed) && oldest().is_some_and(|oldest| oldest < work.merged_log.generation)
    }

    /// Freezes whatever the active memtable holds, so that steps bring it into the trees.
    pub(crate) fn freeze_now(&self) {
        let mut writer = self.writer.lock();
        self.freeze(&mut writer, usize::MAX);
    }
}
