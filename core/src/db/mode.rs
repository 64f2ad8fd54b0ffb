//! Who may use a database that is open.

use core::time::Duration;

use super::database::Database;
use crate::engine::{Mode, Passed};
use crate::error::Result;

impl Database {
    /// Decides who may use the database, for all handles, until it is decided otherwise or the database is closed. It waits
    /// for the transaction that holds the writer lock: afterwards nothing is committed that the mode forbids.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use lightning_db::{env::*, Database, Environment, Mode, Options, Table};
    /// # let env = Environment { clock: Arc::new(FixedClock(0)), entropy: Arc::new(SeededEntropy::new(1)) };
    /// # let db = Database::open_storage(Arc::new(MemoryStorage::new()), env, Options::default())?;
    /// const NAMES: Table<u64, &str> = Table::new("names");
    /// let names = db.table(NAMES)?;
    /// names.put(1, "one")?;
    /// db.set_mode(Mode::ReadOnly)?;
    /// assert_eq!(names.put(1, "uno").unwrap_err().name(), "ReadOnly");
    /// assert_eq!(names.get(1)?.unwrap(), "one");
    /// db.set_mode(Mode::Normal)?;
    /// names.put(1, "uno")?;
    /// # Ok::<(), lightning_db::Error>(())
    /// ```
    pub fn set_mode(&self, mode: Mode) -> Result<()> {
        let _writer = self.shared.exclusive.lock()?;
        self.shared.engine.guard.set_mode(mode);
        Ok(())
    }

    /// Freezes the database, or thaws it: that is recorded in the file, and until it is thawed whoever opens it, with whatever
    /// package, finds it in [`Mode::ReadOnly`]. It is durable when this returns, and this process has the mode then, too.
    ///
    /// A frozen database can be read, verified, compacted and backed up; the backup is not frozen. An application may still
    /// decide otherwise for itself by [`set_mode`](Self::set_mode).
    pub fn set_frozen(&self, is_frozen: bool) -> Result<()> {
        // Nothing is committed after a freeze; a thaw that fails leaves nobody writing.
        if is_frozen {
            self.set_mode(Mode::ReadOnly)?;
        }
        self.shared.engine.record_frozen(is_frozen)?;
        if is_frozen { Ok(()) } else { self.set_mode(Mode::Normal) }
    }

    /// Whether the database is frozen.
    pub fn is_frozen(&self) -> bool {
        self.shared.engine.is_frozen()
    }

    /// What was last decided so.
    pub fn mode(&self) -> Mode {
        self.shared.engine.guard.mode()
    }

    /// Asks what stands before writers, and waits where that is what it says. The caller holds the writer lock.
    #[cold]
    pub(super) fn pass_guard(&self, is_new: bool) -> Result<()> {
        let engine = &self.shared.engine;
        while let Passed::After { wait_ns } = engine.pass_guard(is_new)? {
            if !self.shared.options.background_thread {
                return Err(engine.too_fast());
            }
            crate::env::sync::thread::sleep(Duration::from_nanos(wait_ns));
        }
        Ok(())
    }
}
