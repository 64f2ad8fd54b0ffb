//! A database that leaves its files alone for a while, and one that gives memory back.

use super::database::Database;
use crate::error::Result;

/// How much memory a database gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// What was not read lately.
    Moderate,
    /// All that can be read again.
    All,
}

impl Database {
    /// Brings everything committed into the data file and leaves the files alone until [`resume`](Self::resume), so that the
    /// storage may close them. Meanwhile writes, and reads of what is not in memory, are errors for which
    /// [`Error::is_suspended`](crate::Error::is_suspended) says so; snapshots, transactions, live results and feeds go on
    /// afterwards.
    ///
    /// Whatever it answers, nothing is written any more. An error says what could not be brought into the data file.
    pub fn suspend(&self) -> Result<()> {
        self.shared.engine.suspend()
    }

    /// Goes on after [`suspend`](Self::suspend), over the files as they were left. Where somebody else has written to them
    /// meanwhile that is [`Error::Poisoned`](crate::Error::Poisoned): the database is to be closed and opened again.
    pub fn resume(&self) -> Result<()> {
        self.shared.engine.resume()?;
        if let Some(background) = &self.shared.background {
            background.wake();
        }
        Ok(())
    }

    /// Ends everything now, for every clone: what was acknowledged is made durable, whatever durability it had, what is under way
    /// is refused with [`Error::Closed`](crate::Error::Closed), threads end, and nothing is written any more. Unlike
    /// [`close`](Self::close) it merges nothing: the log stays, and whoever opens the database next replays it. The files are
    /// given back when the last handle is dropped.
    ///
    /// An error says that it is not known whether the last commits are durable. A poisoned database answers so.
    pub fn shut_down_now(&self) -> Result<()> {
        let engine = &self.shared.engine;
        engine.shut_down();
        self.shared.stop_threads();
        let result = engine.end_shut_down();
        self.shared.deregister();
        result
    }

    /// Gives memory back; gives how many bytes of nodes and memtables are held then. Nothing is lost: what is needed again is read
    /// again.
    pub fn trim_memory(&self, how: Trim) -> u64 {
        let engine = &self.shared.engine;
        engine.trim_memory(how == Trim::All);
        if how == Trim::All
            && let Some(background) = &self.shared.background
            && engine.has_frozen()
            && background.start()
        {
            background.wake();
        }
        let stats = self.stats();
        stats.cache_bytes + stats.memtable_bytes
    }
}

#[cfg(test)]
mod tests;
