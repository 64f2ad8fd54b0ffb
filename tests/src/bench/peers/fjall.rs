//! fjall.

use std::path::Path;
use std::thread;
use std::time::Duration;

use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot,
    config::CompressionPolicy,
};

use super::locked_version;
use crate::bench::Result;
use crate::bench::data::{Entry, Key, Value};
use crate::bench::engine::{Direction, Durability, Engine, Settings, View};

pub(crate) struct Fjall {
    database: Database,
    keyspace: Keyspace,
    persist: PersistMode,
}

pub(crate) struct FjallView<'v> {
    snapshot: Snapshot,
    keyspace: &'v Keyspace,
}

impl Engine for Fjall {
    const NAME: &'static str = "fjall";
    type View<'v> = FjallView<'v>;

    fn description() -> String {
        let version = locked_version("fjall");
        format!("fjall {version}; relaxed is PersistMode::Buffer, synced SyncData; filters as by default")
    }

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let database = Database::builder(directory)
            .cache_size(settings.cache_bytes() as u64)
            .journal_compression(CompressionType::None)
            .open()?;
        let write_buffer = settings.write_buffer_bytes() as u64;
        let keyspace = database.keyspace("records", || {
            KeyspaceCreateOptions::default()
                .data_block_compression_policy(CompressionPolicy::disabled())
                .index_block_compression_policy(CompressionPolicy::disabled())
                .max_memtable_size(write_buffer)
        })?;
        let persist = match settings.durability {
            Durability::Relaxed => PersistMode::Buffer,
            Durability::Sync => PersistMode::SyncData,
        };
        Ok(Self { database, keyspace, persist })
    }

    fn read<R>(&self, body: impl FnOnce(&mut FjallView<'_>) -> Result<R>) -> Result<R> {
        body(&mut FjallView { snapshot: self.database.snapshot(), keyspace: &self.keyspace })
    }

    fn get_fresh(&self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        let value = self.keyspace.get(key)?;
        Ok(value.map(|value| found(&value)).is_some())
    }

    fn put(&self, key: &Key, value: &Value) -> Result<()> {
        self.keyspace.insert(key, value)?;
        // An insert has reached the system's buffers by itself.
        if self.persist != PersistMode::Buffer {
            self.database.persist(self.persist)?;
        }
        Ok(())
    }

    fn put_batch(&self, entries: &[Entry]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(self.persist));
        for (key, value) in entries {
            batch.insert(&self.keyspace, key, value);
        }
        Ok(batch.commit()?)
    }

    fn settle(&self) -> Result<()> {
        // There is no call that waits for compactions: at rest is when none has run for a while.
        let mut quiet = 0;
        let mut completed = self.database.compactions_completed();
        while quiet < 10 {
            thread::sleep(Duration::from_millis(1));
            let now = self.database.compactions_completed();
            let busy = self.database.active_compactions() > 0 || self.database.outstanding_flushes() > 0;
            quiet = if busy || now != completed { 0 } else { quiet + 1 };
            completed = now;
        }
        Ok(())
    }

    fn compact(self, _directory: &Path, _settings: Settings) -> Result<()> {
        self.keyspace.rotate_memtable_and_wait()?;
        self.keyspace.major_compact()?;
        self.close()
    }

    fn close(self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }
}

impl View for FjallView<'_> {
    fn get(&mut self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        let value = self.snapshot.get(self.keyspace, key)?;
        Ok(value.map(|value| found(&value)).is_some())
    }

    fn seek(&mut self, from: &Key, limit: usize, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        for guard in self.snapshot.range::<&Key, _>(self.keyspace, from..).take(limit) {
            let (key, value) = guard.into_inner()?;
            entry(&key, &value);
        }
        Ok(())
    }

    fn scan(&mut self, direction: Direction, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let mut range = self.snapshot.iter(self.keyspace);
        loop {
            let guard = match direction {
                Direction::Forward => range.next(),
                Direction::Backward => range.next_back(),
            };
            let Some(guard) = guard else { return Ok(()) };
            let (key, value) = guard.into_inner()?;
            entry(&key, &value);
        }
    }
}
