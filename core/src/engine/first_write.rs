//! What a database that was closed properly leaves undone until something is to be written.
//!
//! **The rule:** both superblocks say that the log is not needed, and it is not read by whoever finds them so. Before this
//! session writes a byte that somebody must find again, a superblock is durable that says that the log is needed, and before
//! that superblock is written, so is the log's beginning that it names. A session that only reads writes nothing, syncs
//! nothing, and leaves the files as it found them; a crash before the superblock does the same for all that is read.
//!
//! Whoever writes calls [`Engine::finish_opening`] first; background work rests until somebody has.

use super::checkpoint::Checkpoint;
use super::maintenance::Work;
use super::state::{Engine, Stopped};
use super::write_again::LastSectors;
use crate::env::Storage;
use crate::error::{Error, Result};
use crate::space::Superblock;
use crate::testing::Mutant;

/// What opening has left to be done.
#[derive(Debug)]
pub(super) struct FirstWrite {
    /// The superblock as it was found.
    found: Superblock,
    /// Read already: a commit asks for no bytes.
    ends: LastSectors,
}

impl FirstWrite {
    /// Reads what it will write again.
    pub(super) fn after(found: Superblock, storage: &dyn Storage) -> Result<Self> {
        Ok(Self { found, ends: LastSectors::read(storage)? })
    }

    fn write_again(&self, storage: &dyn Storage) -> Result<()> {
        if Mutant::FoundNotWrittenAgain.is_active() {
            return Ok(());
        }
        self.found.write(storage)?;
        self.ends.write_again(storage)
    }
}

impl Engine {
    /// Completes what opening left to be done, before anything is written. Restartable; after an error nothing was begun, or
    /// the next call goes on.
    pub(crate) fn finish_opening(&self) -> Result<()> {
        if !self.is_opening() {
            return Ok(());
        }
        self.begin_writing()?;
        while self.is_opening() {
            self.step()?;
        }
        Ok(())
    }

    /// As [`finish_opening`](Self::finish_opening), before a value is written that no commit refers to yet. Where the platform
    /// completes barriers later it is not waited for: the value lies in space that no superblock counts as used.
    pub(crate) fn finish_opening_for_values(&self) -> Result<()> {
        match self.finish_opening() {
            Err(Error::Pending(_)) => Ok(()),
            finished => finished,
        }
    }

    /// Writes the log's beginning. The checkpoint that makes it durable and names it is the next step.
    fn begin_writing(&self) -> Result<()> {
        let mut work = self.work.lock();
        let Work { first_write, checkpoint, .. } = &mut *work;
        let Some(first) = first_write else { return Ok(()) };
        let mut writer = self.writer.lock();
        if let Some(stopped) = &writer.stopped {
            return Err(stopped.error());
        }
        let Some(log) = writer.log.as_mut() else { return Err(Error::ReadOnly) };
        first.write_again(self.storage())?;
        log.write_beginning(self.storage())?;
        *first_write = None;
        if Mutant::CommitBeforeMark.is_active() {
            self.opening.store(false, crate::env::sync::atomic::Ordering::Release);
            return Ok(());
        }
        *checkpoint = Some(Checkpoint::first(false));
        Ok(())
    }

    /// Closes a database to which nothing was written: it is closed already. False when something was.
    pub(super) fn close_unwritten(&self) -> bool {
        let work = self.work.lock();
        let unwritten = work.first_write.is_some();
        if unwritten {
            // Under the lock, so that nobody begins to write meanwhile.
            self.stop(Stopped::Closed);
        }
        unwritten
    }
}
