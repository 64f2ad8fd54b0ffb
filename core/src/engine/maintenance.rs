//! Background work as bounded steps: flush, merge of runs, checkpoint, relocation. With `std` a thread calls
//! [`Engine::step`]; in a browser the worker does between messages; in a test the simulator.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::checkpoint::Checkpoint;
use super::compaction::{MergeRuns, MergeToBase, Relocate};
use super::flush::Flush;
use super::state::Engine;
use super::values::extent_of;
use crate::codec::checksum::Digest;
use crate::codec::slot::ValueRef;
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::log::{Log, LogPosition, SealedSegment};
use crate::space::{Extent, Superblock};
use crate::tree::{NodeRef, NodeSink, TreeKind};

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
/// Runs go into the base once they hold this part of its entries.
const BASE_PART: u64 = 4;
/// A checkpoint follows when this many bytes of nodes wait for one.
const CHECKPOINT_BYTES: u64 = 32 << 20;

/// What background work is under way, and what the last checkpoint said. Held by whoever does a step.
#[derive(Debug)]
pub(super) struct Work {
    pub job: Option<Job>,
    /// The newest durable superblock.
    pub superblock: Superblock,
    /// The pages of the space map as that superblock's record names them.
    pub map_pages: Vec<(u64, Digest)>,
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
    /// `merged_log` as that checkpoint holds it.
    pub saved_log: LogPosition,
    /// Bytes of nodes written since the newest checkpoint, and whether layers changed.
    pub unsaved_bytes: u64,
    pub unsaved: bool,
    /// What was asked for, done in order once nothing more urgent is left.
    pub plan: VecDeque<Task>,
    /// Runs go into the base whatever their size.
    pub merge_all: bool,
    /// A close is under way: its plan is made.
    pub closing: bool,
    /// Values in extents of their own that the trees refer to.
    pub values: u64,
    /// Bytes written into nodes since the database was opened.
    pub node_bytes_written: u64,
}

#[derive(Debug)]
pub(super) enum Job {
    Flush(Flush),
    MergeRuns(MergeRuns),
    MergeToBase(MergeToBase),
    Relocate(Relocate),
    Checkpoint(Checkpoint),
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

/// What one job has written and freed; it becomes part of the database only when the job publishes.
#[derive(Debug, Default)]
pub(super) struct JobExtents {
    pub written: Vec<Extent>,
    pub freed: Vec<Extent>,
    pub bytes: u64,
    /// Values among `freed`.
    pub freed_values: u64,
}

impl JobExtents {
    /// These values die with this job.
    pub(super) fn free_values(&mut self, values: &[ValueRef]) {
        self.freed.extend(values.iter().map(extent_of));
        self.freed_values += values.len() as u64;
    }
}

/// Where a job's nodes go.
pub(super) struct JobSink<'a> {
    engine: &'a Engine,
    extents: &'a mut JobExtents,
    tree: TreeKind,
}

impl<'a> JobSink<'a> {
    /// Of nodes of the base.
    pub(super) fn new(engine: &'a Engine, extents: &'a mut JobExtents) -> Self {
        Self { engine, extents, tree: TreeKind::Base }
    }

    /// The same for nodes of another tree.
    pub(super) fn of(self, tree: TreeKind) -> Self {
        Self { tree, ..self }
    }
}

impl NodeSink for JobSink<'_> {
    fn write(&mut self, mut stored: Vec<u8>) -> Result<NodeRef> {
        let (extent, checkpoint) = {
            let mut space = self.engine.space.lock();
            (space.map.allocate(stored.len() as u64)?, space.building)
        };
        self.extents.written.push(extent);
        self.extents.bytes += extent.len;
        self.engine.nodes.invalidate(extent.offset);
        let checksum = self.engine.nodes.seal().close(&mut stored, extent.offset, self.tree, checkpoint);
        self.engine.storage().write_at(FileId::Data, extent.offset, &stored)?;
        Ok(NodeRef { offset: extent.offset, len: stored.len() as u32, checksum })
    }

    fn free(&mut self, reference: NodeRef) {
        self.extents.freed.push(Extent { offset: reference.offset, len: u64::from(reference.len) });
    }

    fn free_value(&mut self, value: ValueRef) {
        self.extents.free_values(&[value]);
    }
}

impl Engine {
    /// Does one bounded piece of background work. `NotResident` and `Pending` mean: fetch or wait, then call again.
    pub(crate) fn step(&self) -> Result<Progress> {
        if let Some(stopped @ super::state::Stopped::Poisoned(_)) = &self.writer.lock().stopped {
            return Err(stopped.error());
        }
        let mut work = self.work.lock();
        self.step_in(&mut work).map_err(|error| match error {
            Error::OutcomeUnknown { cause } => Error::Poisoned { cause },
            error => error,
        })
    }

    pub(super) fn do_step(&self, work: &mut Work) -> Result<Progress> {
        if self.options.read_only {
            return Ok(Progress::Idle);
        }
        if work.job.is_none() {
            work.job = self.choose_job(work);
        }
        let Some(mut job) = work.job.take() else { return Ok(Progress::Idle) };
        match self.step_job(&mut job, work) {
            Ok(Progress::More) => work.job = Some(job),
            Ok(Progress::Idle) => {}
            Err(error)
                if error.not_resident().is_some()
                    || matches!(error, Error::Pending(_))
                    || matches!(&job, Job::Checkpoint(checkpoint) if checkpoint.may_be_on_the_medium()) =>
            {
                work.job = Some(job);
                return Err(error);
            }
            Err(error) => {
                self.abandon(job);
                return Err(error);
            }
        }
        Ok(Progress::More)
    }

    fn step_job(&self, job: &mut Job, work: &mut Work) -> Result<Progress> {
        match job {
            Job::Flush(flush) => flush.step(self, work),
            Job::MergeRuns(merge) => merge.step(self, work),
            Job::MergeToBase(merge) => merge.step(self, work),
            Job::Relocate(relocate) => relocate.step(self, work),
            Job::Checkpoint(checkpoint) => checkpoint.step(self, work),
        }
    }

    /// A job that failed published nothing: what it wrote is free again, what it freed is not.
    fn abandon(&self, job: Job) {
        let extents = match job {
            Job::Flush(flush) => flush.extents,
            Job::MergeRuns(merge) => merge.extents,
            Job::MergeToBase(merge) => merge.extents,
            Job::Relocate(relocate) => relocate.extents,
            Job::Checkpoint(checkpoint) => return checkpoint.abandon(self),
        };
        let mut space = self.space.lock();
        for extent in extents.written {
            self.nodes.invalidate(extent.offset);
            space.map.release(extent);
        }
    }

    fn choose_job(&self, work: &mut Work) -> Option<Job> {
        if self.must_wait() {
            // It filled while the one before it was being merged.
            let mut writer = self.writer.lock();
            self.freeze(&mut writer, 1);
        }
        let version = self.head();
        let layers = &version.layers;
        if let Some(oldest) = layers.frozen.last() {
            return Some(Job::Flush(Flush::new(Arc::clone(oldest))));
        }
        if work.unsaved && work.unsaved_bytes >= CHECKPOINT_BYTES || self.log_calls_for_checkpoint(work) {
            return Some(Job::Checkpoint(Checkpoint::new(false)));
        }
        let runs = &layers.runs;
        if !runs.is_empty() {
            let run_entries: u64 = runs.iter().map(|layer| layer.run.entries()).sum();
            let base_entries = layers.base.as_ref().map_or(0, |root| root.entries);
            let partly_merged = runs.iter().any(|layer| layer.merged_below.is_some());
            if work.merge_all || partly_merged || runs.len() >= RUNS_MAX || run_entries * BASE_PART >= base_entries {
                return Some(Job::MergeToBase(MergeToBase::new(layers)));
            }
            if let Some(merge) = MergeRuns::choose(layers) {
                return Some(Job::MergeRuns(merge));
            }
        }
        work.merge_all = false;
        while let Some(task) = work.plan.pop_front() {
            match task {
                Task::Checkpoint => return Some(Job::Checkpoint(Checkpoint::new(false))),
                Task::CleanCheckpoint => return self.clean_checkpoint(work).map(Job::Checkpoint),
                Task::Shrink { rounds, gain_part } => {
                    if let Some(job) = self.shrink(work, rounds, gain_part) {
                        return Some(job);
                    }
                }
            }
        }
        None
    }

    /// One round: relocation, and the two checkpoints after which what it left behind is free.
    fn shrink(&self, work: &mut Work, rounds: u8, gain_part: u64) -> Option<Job> {
        let rounds = rounds.checked_sub(1)?;
        let (file, used) = {
            let space = self.space.lock();
            (space.map.file_bytes(), space.map.used_bytes())
        };
        if (file - used) < file / gain_part.max(1) {
            return None;
        }
        let relocate = self.choose_relocation(work)?;
        for task in [Task::Shrink { rounds, gain_part }, Task::Checkpoint, Task::Checkpoint] {
            work.plan.push_front(task);
        }
        Some(Job::Relocate(relocate))
    }

    /// Whether writers should do (or wait for) background work before adding more: a frozen memtable is still being
    /// flushed and the active one is full, or the log has no room for a transaction as large as is allowed.
    pub(crate) fn must_wait(&self) -> bool {
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

    /// Runs steps until there is nothing left to do.
    pub(crate) fn run_until_idle(&self) -> Result<()> {
        while self.step()? == Progress::More {}
        Ok(())
    }
}
