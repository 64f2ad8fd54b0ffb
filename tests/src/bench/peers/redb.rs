//! redb.

use std::path::Path;

use redb::{Builder, Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};

use super::locked_version;
use crate::bench::Result;
use crate::bench::data::{Entry, Key, Value};
use crate::bench::engine::{Direction, Durability, Engine, Settings, View};

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");

pub(crate) struct Redb {
    database: Database,
    durability: redb::Durability,
}

pub(crate) struct RedbView {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Engine for Redb {
    const NAME: &'static str = "redb";
    type View<'v> = RedbView;

    fn description() -> String {
        let version = locked_version("redb");
        format!("redb {version}; relaxed is Durability::None, synced Durability::Immediate; cache of the whole budget")
    }

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let database = Builder::new().set_cache_size(settings.memory_bytes).create(directory.join("data.redb"))?;
        let durability = match settings.durability {
            Durability::Relaxed => redb::Durability::None,
            Durability::Sync => redb::Durability::Immediate,
        };
        let engine = Self { database, durability };
        let transaction = engine.database.begin_write()?;
        transaction.open_table(TABLE)?;
        transaction.commit()?;
        Ok(engine)
    }

    fn read<R>(&self, body: impl FnOnce(&mut RedbView) -> Result<R>) -> Result<R> {
        let transaction = self.database.begin_read()?;
        body(&mut RedbView { table: transaction.open_table(TABLE)? })
    }

    fn put(&self, key: &Key, value: &Value) -> Result<()> {
        self.put_batch(&[(*key, *value)])
    }

    fn put_batch(&self, entries: &[Entry]) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.durability)?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in entries {
                table.insert(key.as_slice(), value.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn compact(mut self, _directory: &Path, _settings: Settings) -> Result<()> {
        while self.database.compact()? {}
        self.close()
    }

    fn close(self) -> Result<()> {
        // Commits without durability are lost unless one with it follows.
        self.database.begin_write()?.commit()?;
        Ok(())
    }
}

impl View for RedbView {
    fn get(&mut self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        let guard = self.table.get(key.as_slice())?;
        Ok(guard.map(|guard| found(guard.value())).is_some())
    }

    fn seek(&mut self, from: &Key, limit: usize, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        for item in self.table.range(from.as_slice()..)?.take(limit) {
            let (key, value) = item?;
            entry(key.value(), value.value());
        }
        Ok(())
    }

    fn scan(&mut self, direction: Direction, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let mut range = self.table.iter()?;
        let step = |item: Option<std::result::Result<_, redb::StorageError>>| item.transpose();
        loop {
            let item = match direction {
                Direction::Forward => range.next(),
                Direction::Backward => range.next_back(),
            };
            let Some((key, value)) = step(item)? else { return Ok(()) };
            entry(redb::AccessGuard::value(&key), redb::AccessGuard::value(&value));
        }
    }
}
