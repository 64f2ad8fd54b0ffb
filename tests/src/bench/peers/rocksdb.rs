//! RocksDB.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRawIterator, FlushOptions, Options, ReadOptions, Snapshot,
    WriteBatch, WriteOptions,
};

use super::locked_version;
use crate::bench::Result;
use crate::bench::data::{Entry, Key, Value};
use crate::bench::engine::{Direction, Durability, Engine, Settings, View};

pub(crate) struct RocksDb {
    database: DB,
    write: WriteOptions,
}

pub(crate) struct RocksDbView<'v> {
    snapshot: &'v Snapshot<'v>,
    /// Kept between seeks, as its documentation advises.
    iterator: DBRawIterator<'v>,
}

impl Engine for RocksDb {
    const NAME: &'static str = "rocksdb";
    type View<'v> = RocksDbView<'v>;

    fn description() -> String {
        let library = match option_env!("ROCKSDB_LIB_DIR") {
            Some(_) => "the system's RocksDB",
            None => locked_version("librocksdb-sys"),
        };
        format!(
            "{library} through the crate rocksdb {}; bloom filters of 10 bits, blocks of 16 KiB, no compression; synced \
             is WriteOptions::sync",
            locked_version("rocksdb")
        )
    }

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_lru_cache(settings.cache_bytes())?);
        table.set_bloom_filter(10.0, false);
        // The wiki's size. Its advice to keep indexes and filters in the block cache is not taken: in the phases with
        // little memory that costs RocksDB nine tenths of its reads.
        table.set_block_size(16 << 10);
        table.set_format_version(5);

        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&table);
        options.set_compression_type(DBCompressionType::None);
        options.set_write_buffer_size(settings.write_buffer_bytes());
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_bytes_per_sync(1 << 20);
        options.increase_parallelism(thread::available_parallelism()?.get() as i32);
        let database = DB::open(&options, directory)?;

        let mut write = WriteOptions::default();
        write.set_sync(settings.durability == Durability::Sync);
        Ok(Self { database, write })
    }

    fn read<R>(&self, body: impl FnOnce(&mut RocksDbView<'_>) -> Result<R>) -> Result<R> {
        let snapshot = self.database.snapshot();
        let iterator = snapshot.raw_iterator();
        body(&mut RocksDbView { snapshot: &snapshot, iterator })
    }

    fn get_fresh(&self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        let value = self.database.get_pinned(key)?;
        Ok(value.map(|value| found(&value)).is_some())
    }

    fn put(&self, key: &Key, value: &Value) -> Result<()> {
        Ok(self.database.put_opt(key, value, &self.write)?)
    }

    fn put_batch(&self, entries: &[Entry]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (key, value) in entries {
            batch.put(key, value);
        }
        Ok(self.database.write_opt(batch, &self.write)?)
    }

    fn settle(&self) -> Result<()> {
        // This version has no call that waits for compactions without starting one.
        const BUSY: [&str; 4] = [
            "rocksdb.mem-table-flush-pending",
            "rocksdb.num-running-flushes",
            "rocksdb.compaction-pending",
            "rocksdb.num-running-compactions",
        ];
        let mut quiet = 0;
        while quiet < 3 {
            let mut busy = 0;
            for property in BUSY {
                busy += self.database.property_int_value(property)?.unwrap_or(0);
            }
            quiet = if busy > 0 { 0 } else { quiet + 1 };
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn compact(self, _directory: &Path, _settings: Settings) -> Result<()> {
        self.database.compact_range(None::<&[u8]>, None::<&[u8]>);
        self.settle()?;
        self.close()
    }

    fn close(self) -> Result<()> {
        let mut flush = FlushOptions::default();
        flush.set_wait(true);
        self.database.flush_opt(&flush)?;
        self.database.flush_wal(true)?;
        self.database.cancel_all_background_work(true);
        Ok(())
    }
}

impl View for RocksDbView<'_> {
    fn get(&mut self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        let value = self.snapshot.get_pinned(key)?;
        Ok(value.map(|value| found(&value)).is_some())
    }

    fn get_many(&mut self, keys: &[Key], mut found: impl FnMut(usize, &[u8])) -> Result<()> {
        for (index, value) in self.snapshot.multi_get_opt(keys, ReadOptions::default()).into_iter().enumerate() {
            if let Some(value) = value? {
                found(index, &value);
            }
        }
        Ok(())
    }

    fn seek(&mut self, from: &Key, limit: usize, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        self.iterator.seek(from);
        for _ in 0..limit {
            let Some((key, value)) = self.iterator.item() else { break };
            entry(key, value);
            self.iterator.next();
        }
        Ok(self.iterator.status()?)
    }

    fn scan(&mut self, direction: Direction, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        match direction {
            Direction::Forward => self.iterator.seek_to_first(),
            Direction::Backward => self.iterator.seek_to_last(),
        }
        while let Some((key, value)) = self.iterator.item() {
            entry(key, value);
            match direction {
                Direction::Forward => self.iterator.next(),
                Direction::Backward => self.iterator.prev(),
            }
        }
        Ok(self.iterator.status()?)
    }
}
