//! What a caller waits for: bringing everything into the trees, making the file as small as it can be, closing.

use alloc::sync::Arc;

use super::checkpoint::Checkpoint;
use super::compaction_progress::CompactionProgress;
use super::maintenance::{Progress, Request, Task, Work, goes_on_after};
use super::state::{Engine, Stopped};
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::log::Log;
use crate::testing::Mutant;

impl Engine {
    /// Brings everything into the trees and the data file, so that it alone is the whole database. Restartable.
    pub(crate) fn close(&self) -> Result<()> {
        {
            let writer = self.writer.lock();
            match &writer.stopped {
                Some(Stopped::Closed | Stopped::ReadOnly) => return Ok(()),
                #[cfg(feature = "std")]
                Some(Stopped::ShutDown) => return Ok(()),
                Some(Stopped::Poisoned(cause)) => return Err(Error::Poisoned { cause: cause.clone() }),
                #[cfg(feature = "std")]
                // All of it is durable, and the files are not to be touched.
                Some(Stopped::Suspended) => {
                    drop(writer);
                    self.stop(Stopped::Closed);
                    return Ok(());
                }
                Some(Stopped::Closing) | None => {}
            }
        }
        if self.close_unwritten() {
            return Ok(());
        }
        let plan = |work: &mut Work| {
            work.merge_all = self.merging_all_pays();
            work.plan.extend([
                Task::Checkpoint,
                Task::Checkpoint,
                Task::Shrink { rounds: 2, gain_part: 12 },
                Task::CleanCheckpoint,
            ]);
        };
        self.carry_out(Request::Close, plan, &mut || {})?;
        if !self.work.lock().superblock.clean {
            self.go_on_after_failed_close();
            return Err(Error::invalid("the database was written to while it was being closed; close it again"));
        }
        self.stop(Stopped::Closed);
        self.leave_log()?;
        self.cut_file()?;
        // What these two make durable is only tidiness: the superblock already says that the log may be absent.
        let _ = self.storage().sync(FileId::Log)?;
        let _ = self.storage().sync(FileId::Data)?;
        Ok(())
    }

    /// After a clean close nothing of the log is needed. What is kept of it for change feeds is in the record.
    fn leave_log(&self) -> Result<()> {
        let (fresh, kept_from) = {
            let work = self.work.lock();
            (work.checkpoint_log, work.checkpoint_kept)
        };
        let mut writer = self.writer.lock();
        match writer.log.as_mut().filter(|_| kept_from < fresh.generation) {
            None => Log::discard(self.storage()),
            Some(log) => {
                log.release_to_feeds(&fresh, kept_from);
                log.trim(self.storage())
            }
        }
    }

    /// Freezes and merges until the database is one tree, and makes that durable. Restartable.
    pub(crate) fn settle(&self) -> Result<()> {
        self.require_unclosed()?;
        self.finish_opening()?;
        let plan = |work: &mut Work| {
            work.merge_all = true;
            work.plan.push_back(Task::Checkpoint);
        };
        self.carry_out(Request::Settle, plan, &mut || {})?;
        match self.writer.lock().log.as_mut() {
            Some(log) => log.trim(self.storage()),
            None => Ok(()),
        }
    }

    /// Merges everything, moves the end of the file down, and cuts it. Restartable.
    pub(crate) fn compact(&self, progress: &mut dyn FnMut(&CompactionProgress)) -> Result<()> {
        self.require_unclosed()?;
        self.finish_opening()?;
        let plan = |work: &mut Work| {
            work.merge_all = true;
            work.plan.extend([
                Task::Checkpoint,
                Task::Checkpoint,
                Task::Shrink { rounds: 4, gain_part: u64::MAX },
                Task::Checkpoint,
            ]);
        };
        self.carry_out(Request::Compact, plan, &mut || progress(&self.compaction_progress()))?;
        self.cut_file()?;
        // What is damaged was left as it is.
        self.work.lock().avoided.first.clone().map_or(Ok(()), Err)
    }

    /// A checkpoint after the last one would say that the log is needed, which is gone.
    fn require_unclosed(&self) -> Result<()> {
        match &self.writer.lock().stopped {
            Some(stopped) if stopped.is_closed() => Err(stopped.error()),
            _ => Ok(()),
        }
    }

    /// Plans what was asked for and runs until nothing is left to do. Called again after `NotResident` or `Pending` it
    /// goes on with what it planned then.
    pub(super) fn carry_out(
        &self,
        request: Request,
        plan: impl FnOnce(&mut Work),
        progress: &mut dyn FnMut(),
    ) -> Result<()> {
        if self.work.lock().request != Some(request) {
            self.freeze_now();
            let mut work = self.work.lock();
            work.request = Some(request);
            plan(&mut work);
        }
        let result = loop {
            match cancelled(request).and_then(|()| self.step()) {
                Ok(Progress::More) => progress(),
                result => break result.map(drop),
            }
        };
        if !matches!(&result, Err(error) if goes_on_after(error)) {
            self.work.lock().request = None;
        }
        result
    }

    /// A close merges the runs, and what is about to become one, unless they are tiny beside the base.
    fn merging_all_pays(&self) -> bool {
        const BASE_PART_MIN: u64 = 64;
        let layers = Arc::clone(&self.version().layers);
        let runs: u64 = layers.runs.iter().map(|layer| layer.run.entries()).sum();
        let frozen: u64 = layers.frozen.iter().map(|frozen| frozen.memtable.len() as u64).sum();
        layers.base.as_ref().is_none_or(|base| base.entries <= (runs + frozen).saturating_mul(BASE_PART_MIN))
    }

    /// Gives what lies beyond the newest durable superblock's file back to the platform. Whatever the superblock before
    /// it needs is still pending, so it lies within.
    pub(super) fn cut_file(&self) -> Result<()> {
        // Both are held to the end: meanwhile no checkpoint writes a superblock for a longer file, and nobody takes space
        // beyond the end, where what was written before the cut would be lost.
        let work = self.work.lock();
        let space = self.space.lock();
        let in_flight = space.in_flight.iter().next_back().map_or(0, |(offset, len)| offset + len);
        let being_written = work.checkpoint.as_ref().map_or(0, Checkpoint::file_bytes);
        let end = work.superblock.file_bytes.max(being_written).max(in_flight).max(space.map.file_bytes());
        if self.storage().len(FileId::Data)? > end {
            self.storage().set_len(FileId::Data, end)?;
        }
        Ok(())
    }

    /// The last checkpoint of a session: the log is empty after it and begins anew, with the next generation. `None` when
    /// something was written meanwhile. From here on no commit is accepted, because it would go to a log that is not read.
    pub(super) fn clean_checkpoint(&self, work: &mut Work) -> Option<Checkpoint> {
        let mut writer = self.writer.lock();
        let head = self.head_of(&writer);
        if !head.is_resting() {
            return None;
        }
        let log = writer.log.as_ref()?;
        let keep = self.keep_of_log(log, log.following_generation(), (head.sequence, head.time_ms));
        work.merged_log = log.fresh_position(keep);
        work.merged_sequence = head.sequence;
        work.sealed.clear();
        if !Mutant::CommitsWhileClosing.is_active() {
            writer.stopped.get_or_insert(Stopped::Closing);
        }
        Some(Checkpoint::new(true))
    }
}

/// Whoever closes has given everything else up already.
fn cancelled(request: Request) -> Result<()> {
    if request == Request::Close { Ok(()) } else { Error::if_cancelled() }
}
