//! Lightning DB, through its public interface as any application uses it.

use std::marker::PhantomData;
use std::path::Path;

use lightning_db::{Checksum, Compression, Cursor, Database, Options, ReadTable, Table, Verify};

use super::{OURS, locked_version};
use crate::bench::Result;
use crate::bench::data::{Entry, Key, Value};
use crate::bench::engine::{Direction, Durability, Engine, Settings, View};

const TABLE: Table<&[u8], &[u8]> = Table::new("records");

/// What is chosen beside what every benchmark chooses.
pub(crate) trait Manner: Send + Sync + 'static {
    const NAME: &'static str;
    const DESCRIPTION: &'static str;

    fn choose(options: &mut Options);
}

/// As an application has it that chooses nothing.
pub(crate) struct Usual;

impl Manner for Usual {
    const NAME: &'static str = OURS;
    const DESCRIPTION: &'static str = "compression off, otherwise its defaults; at rest after a checkpoint";

    fn choose(_: &mut Options) {}
}

/// Nodes and values proven by BLAKE3.
pub(crate) struct Blake3;

impl Manner for Blake3 {
    const NAME: &'static str = "lightning-blake3";
    const DESCRIPTION: &'static str = "the same with checksums by BLAKE3";

    fn choose(options: &mut Options) {
        options.checksum = Checksum::Blake3;
    }
}

/// Nothing is trusted that is in memory, and each write is read back.
pub(crate) struct VerifyAlways;

impl Manner for VerifyAlways {
    const NAME: &'static str = "lightning-verify-always";
    const DESCRIPTION: &'static str = "the same, verifying each read and reading back each write";

    fn choose(options: &mut Options) {
        options.verify = Verify::Always;
    }
}

pub(crate) struct Lightning<M> {
    database: Database,
    manner: PhantomData<M>,
}

pub(crate) struct LightningView<'v> {
    table: ReadTable<'v, &'static [u8], &'static [u8]>,
    /// Kept between seeks.
    cursor: Cursor<&'static [u8], &'static [u8]>,
}

/// As every benchmark opens it.
pub(crate) fn options(settings: Settings) -> Options {
    let mut options = Options::default();
    options.memory_budget_bytes = settings.memory_bytes;
    options.compression = Compression::None;
    options.durability = match settings.durability {
        Durability::Relaxed => lightning_db::Durability::Relaxed,
        Durability::Sync => lightning_db::Durability::Sync,
    };
    options
}

impl<M: Manner> Engine for Lightning<M> {
    const NAME: &'static str = M::NAME;
    type View<'v> = LightningView<'v>;

    fn description() -> String {
        let version = locked_version("lightning-db");
        format!("Lightning DB {version}; {}", M::DESCRIPTION)
    }

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let mut options = options(settings);
        M::choose(&mut options);
        let database = Database::open(directory.join("data.ldb"), options)?;
        database.table(TABLE)?;
        Ok(Self { database, manner: PhantomData })
    }

    fn read<R>(&self, body: impl FnOnce(&mut LightningView<'_>) -> Result<R>) -> Result<R> {
        let snapshot = self.database.snapshot();
        let table = snapshot.table(TABLE)?;
        let cursor = table.cursor(..)?;
        body(&mut LightningView { table, cursor })
    }

    fn get_fresh(&self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        let snapshot = self.database.snapshot();
        let value = snapshot.table(TABLE)?.get(key)?;
        Ok(value.map(|value| found(&value)).is_some())
    }

    fn put(&self, key: &Key, value: &Value) -> Result<()> {
        Ok(self.database.table(TABLE)?.put(key, value)?)
    }

    fn put_batch(&self, entries: &[Entry]) -> Result<()> {
        Ok(self.database.transaction(|transaction| {
            let mut table = transaction.table(TABLE)?;
            entries.iter().try_for_each(|(key, value)| table.put(key, value))
        })?)
    }

    fn settle(&self) -> Result<()> {
        Ok(self.database.checkpoint()?)
    }

    fn compact(self, _directory: &Path, _settings: Settings) -> Result<()> {
        self.database.compact()?;
        self.close()
    }

    fn close(self) -> Result<()> {
        Ok(self.database.close()?)
    }
}

impl View for LightningView<'_> {
    fn get(&mut self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        let value = self.table.get(key)?;
        Ok(value.map(|value| found(&value)).is_some())
    }

    fn get_many(&mut self, keys: &[Key], mut found: impl FnMut(usize, &[u8])) -> Result<()> {
        for (index, value) in self.table.get_many(keys)?.iter().enumerate() {
            if let Some(value) = value {
                found(index, value);
            }
        }
        Ok(())
    }

    fn seek(&mut self, from: &Key, limit: usize, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let mut at = self.cursor.seek(from)?;
        for taken in 1..=limit {
            let Some((key, value)) = at else { break };
            entry(key, value);
            if taken == limit {
                break;
            }
            at = self.cursor.next()?;
        }
        Ok(())
    }

    fn scan(&mut self, direction: Direction, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let mut at = match direction {
            Direction::Forward => self.cursor.first()?,
            Direction::Backward => self.cursor.last()?,
        };
        while let Some((key, value)) = at {
            entry(key, value);
            at = match direction {
                Direction::Forward => self.cursor.next()?,
                Direction::Backward => self.cursor.prev()?,
            };
        }
        Ok(())
    }
}
