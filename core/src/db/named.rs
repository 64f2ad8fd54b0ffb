//! Snapshots by name, which outlive the process.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::catalogue::Catalogue;
use super::database::Database;
use super::snapshot::Snapshot;
use crate::env::sync::Mutex;
use crate::error::{Error, Result};

/// A snapshot that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedSnapshot {
    /// Its name.
    pub name: String,
    /// The newest commit that it sees.
    pub sequence: u64,
    /// When that was made, in milliseconds since 1970.
    pub time_ms: u64,
    /// Bytes that are in use for it and would be free without it, unless another snapshot needs them, too.
    pub held_bytes: u64,
}

impl Database {
    /// Keeps the database as it is now under a name, also when it is closed and opened again, until it is
    /// [dropped](Self::drop_snapshot). At most 64 exist at once; a name has 1 to 128 bytes. What is in memory is merged for it.
    ///
    /// It holds the space of what is overwritten or deleted afterwards, so at most what is in use now. Backups and `repair` leave
    /// named snapshots out; one itself can be [backed up](Snapshot::backup).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use lightning_db::{env::*, Database, Environment, Options, Table};
    /// # let env = Environment { clock: Arc::new(FixedClock(0)), entropy: Arc::new(SeededEntropy::new(1)) };
    /// # let db = Database::open_storage(Arc::new(MemoryStorage::new()), env, Options::default())?;
    /// const WORDS: Table<&str, u64> = Table::new("words");
    ///
    /// db.table(WORDS)?.put("one", 1)?;
    /// db.create_snapshot("before-import")?;
    /// db.table(WORDS)?.put("one", 2)?;
    /// let before = db.snapshot_named("before-import")?;
    /// let one = before.table(WORDS)?.get("one")?.map(|found| found.into_owned()).transpose()?;
    /// assert_eq!(one, Some(1));
    /// drop(before);
    /// db.drop_snapshot("before-import")?;
    /// # Ok::<(), lightning_db::Error>(())
    /// ```
    pub fn create_snapshot(&self, name: &str) -> Result<()> {
        let engine = &self.shared.engine;
        if !engine.is_recording_named(name, true) {
            engine.create_named(name)?;
        }
        engine.record_named(name, true).inspect_err(|error| {
            let goes_on = error.not_resident().is_some() || matches!(error, Error::Pending(_));
            if !goes_on {
                // Whoever was told so does not expect it to be there.
                let _ = engine.drop_named(name);
            }
        })
    }

    /// The snapshots that have a name, oldest first.
    pub fn snapshots(&self) -> Vec<NamedSnapshot> {
        let engine = &self.shared.engine;
        let told = |named: &Arc<crate::engine::Named>| NamedSnapshot {
            name: named.name.clone(),
            sequence: named.sequence,
            time_ms: named.time_ms,
            held_bytes: engine.held_for(named),
        };
        engine.named().iter().map(told).collect()
    }

    /// The database as it was when this snapshot was made.
    pub fn snapshot_named(&self, name: &str) -> Result<Snapshot> {
        let version = self.shared.engine.named_version(name)?;
        Ok(Snapshot {
            engine: Arc::clone(&self.shared.engine),
            // What is remembered of tables is not of then.
            catalogue: Arc::new(Catalogue::default()),
            // What was there then has not expired since.
            now_ms: Mutex::new(Some(version.time_ms)),
            version: Arc::new(version),
        })
    }

    /// Gives up a named snapshot. Whoever reads it now goes on; its space is free once that is over and two checkpoints were made.
    pub fn drop_snapshot(&self, name: &str) -> Result<()> {
        let engine = &self.shared.engine;
        if !engine.is_recording_named(name, false) {
            engine.drop_named(name)?;
        }
        engine.record_named(name, false)
    }
}
