//! canopydb.

use std::path::Path;

use canopydb::{Database, DbOptions, EnvOptions, Tree};

use super::locked_version;
use crate::bench::Result;
use crate::bench::data::{Entry, Key, Value};
use crate::bench::engine::{Direction, Durability, Engine, Settings, View};

const TREE: &[u8] = b"records";

pub(crate) struct Canopydb {
    database: Database,
    sync: bool,
}

pub(crate) struct CanopydbView<'v> {
    tree: &'v Tree<'v>,
}

impl Engine for Canopydb {
    const NAME: &'static str = "canopydb";
    type View<'v> = CanopydbView<'v>;

    fn description() -> String {
        let version = locked_version("canopydb");
        format!("canopydb {version}; write-ahead log; relaxed commits do not wait for its sync; checkpoint at close")
    }

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let write_buffer = settings.write_buffer_bytes();
        let mut environment = EnvOptions::new(directory);
        environment.page_cache_size = settings.cache_bytes();
        let mut options = DbOptions::new();
        // The defaults where memory is ample: 64 MiB, and four times as much before writers wait.
        options.write_txn_memory_limit = write_buffer;
        options.checkpoint_target_size = write_buffer;
        options.throttle_memory_limit = 4 * write_buffer;
        options.stall_memory_limit = 4 * write_buffer;
        let database = Database::with_options(environment, options)?;
        let transaction = database.begin_write()?;
        transaction.get_or_create_tree(TREE)?;
        transaction.commit()?;
        Ok(Self { database, sync: settings.durability == Durability::Sync })
    }

    fn read<R>(&self, body: impl FnOnce(&mut CanopydbView<'_>) -> Result<R>) -> Result<R> {
        let transaction = self.database.begin_read()?;
        let tree = transaction.get_tree(TREE)?.ok_or("the tree is gone")?;
        body(&mut CanopydbView { tree: &tree })
    }

    fn put(&self, key: &Key, value: &Value) -> Result<()> {
        self.put_batch(&[(*key, *value)])
    }

    fn put_batch(&self, entries: &[Entry]) -> Result<()> {
        let transaction = self.database.begin_write()?;
        {
            let mut tree = transaction.get_or_create_tree(TREE)?;
            for (key, value) in entries {
                tree.insert(key, value)?;
            }
        }
        transaction.commit_with(self.sync)?;
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        Ok(self.database.checkpoint()?)
    }

    fn compact(self, _directory: &Path, _settings: Settings) -> Result<()> {
        self.database.compact()?;
        self.close()
    }

    fn close(self) -> Result<()> {
        self.database.checkpoint()?;
        Ok(self.database.sync()?)
    }
}

impl View for CanopydbView<'_> {
    fn get(&mut self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        let value = self.tree.get(key)?;
        Ok(value.map(|value| found(&value)).is_some())
    }

    fn seek(&mut self, from: &Key, limit: usize, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        for item in self.tree.range::<&Key>(from..)?.take(limit) {
            let (key, value) = item?;
            entry(&key, &value);
        }
        Ok(())
    }

    fn scan(&mut self, direction: Direction, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let mut range = self.tree.iter()?;
        loop {
            let item = match direction {
                Direction::Forward => range.next(),
                Direction::Backward => range.next_back(),
            };
            let Some((key, value)) = item.transpose()? else { return Ok(()) };
            entry(&key, &value);
        }
    }
}
