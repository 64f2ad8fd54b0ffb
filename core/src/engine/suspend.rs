//! Leaving the files alone for a while, as whoever opened them must before a phone puts the application to sleep.
//!
//! **The rule:** between [`Engine::suspend`] and [`Engine::resume`] nothing is written and no barrier is asked for, so that the
//! storage may close its files in between. What is in memory is read as before; other reads meet a storage that refuses for now
//! ([`Error::is_suspended`]), which is neither damage nor the end of anything. What is resumed are the very files that were left:
//! whoever writes to them in between leaves another superblock, and then nothing that is in memory is to be believed.

use super::state::{Engine, Stopped};
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::space::SuperblockSlots;
use crate::testing::Mutant;

impl Engine {
    /// Brings all that was committed into the data file, then refuses writes and waits for what is under way. Writing has ended
    /// afterwards whatever comes of the rest; an error says that something is left in the log, or is not durable.
    pub(crate) fn suspend(&self) -> Result<()> {
        // While others write, so that little is left for when they may not.
        let merged = if self.is_opening() { Ok(()) } else { self.settle() };
        {
            let mut writer = self.writer.lock();
            match &writer.stopped {
                None => writer.stopped = Some(Stopped::Suspended),
                Some(stopped @ (Stopped::Closing | Stopped::Closed | Stopped::ShutDown)) => return Err(stopped.error()),
                Some(Stopped::Suspended | Stopped::ReadOnly | Stopped::Poisoned(_)) => {}
            }
        }
        let durable = self.make_all_durable();
        // A step that has begun ends; the next is refused.
        drop(self.work.lock());
        self.end_barriers_beside();
        match merged {
            // There is nothing to merge.
            Err(Error::ReadOnly) => Ok(()),
            // It went on to be suspended by somebody else.
            Err(error) if error.is_suspended() => durable,
            merged => merged.and(durable),
        }
    }

    /// Refuses everything from now on, for good.
    pub(crate) fn shut_down(&self) {
        self.guarded.end_waiting();
        let mut writer = self.writer.lock();
        if writer.stopped.as_ref().is_some_and(|stopped| stopped.is_closed() || matches!(stopped, Stopped::Poisoned(_)))
        {
            return;
        }
        let why = writer.stopped.insert(Stopped::ShutDown).error();
        drop(writer);
        self.watchers.stopped(&why);
    }

    /// After that: everything that was acknowledged is durable when it returns, and nothing is written any more.
    pub(crate) fn end_shut_down(&self) -> Result<()> {
        let durable = if Mutant::ShutDownUnsynced.is_active() { Ok(()) } else { self.make_all_durable() };
        // A step that has begun ends; the next is refused.
        drop(self.work.lock());
        self.end_barriers_beside();
        durable
    }

    /// Takes writes again, if the files are as they were left.
    pub(crate) fn resume(&self) -> Result<()> {
        match &self.writer.lock().stopped {
            Some(Stopped::Suspended | Stopped::ReadOnly) => {}
            None => return Ok(()),
            Some(stopped) => return Err(stopped.error()),
        }
        if !self.files_are_as_they_were()? {
            let cause = "another process has written to the database while it was suspended here";
            let error = Error::Poisoned { cause: cause.into() };
            self.poison(&Error::invalid(cause));
            return Err(error);
        }
        let mut writer = self.writer.lock();
        if matches!(writer.stopped, Some(Stopped::Suspended)) {
            writer.stopped = None;
        }
        drop(writer);
        // Whoever was refused a read meanwhile looks again.
        self.watchers.resumed();
        Ok(())
    }

    /// Gives memory back: nodes that were not read lately, or all of them and what no memtable has, and brings what one has on its
    /// way into the trees.
    pub(crate) fn trim_memory(&self, all: bool) {
        self.nodes.trim(all);
        if all {
            if !self.is_opening() && !self.options.read_only {
                self.freeze_now();
            }
            self.chunks.trim();
        }
    }

    /// Every writer leaves a superblock of its own before its first commit, and the log's length is that of its segments.
    fn files_are_as_they_were(&self) -> Result<bool> {
        let newest = match SuperblockSlots::read(self.storage()) {
            Ok(SuperblockSlots::Found { newest, .. }) => newest,
            Err(error) if error.passes() => return Err(error),
            Ok(SuperblockSlots::Empty) | Err(_) => return Ok(false),
        };
        let work = self.work.lock();
        let own = &work.superblock;
        let is_own = (newest.database_id, newest.incarnation, newest.checkpoint)
            == (own.database_id, own.incarnation, own.checkpoint);
        let writer = self.writer.lock();
        let log_bytes = writer.log.as_ref().and_then(|log| log.file_bytes_written());
        Ok(is_own && log_bytes.is_none_or(|bytes| self.storage().len(FileId::Log) == Ok(bytes)))
    }

    /// Waits until no barrier is under way on a thread for barriers.
    fn end_barriers_beside(&self) {
        while self.beside.wait_beyond(self.beside.count()) {}
    }
}
