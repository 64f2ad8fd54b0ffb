//! LMDB, through heed.
//!
//! The one `unsafe` of the benchmark is [`Lmdb::open`]'s: LMDB maps its file into memory, which is sound as long as
//! nothing else changes the file. A worker makes its databases in a directory of its own, opens each once at a time
//! and hands them to nobody while they are open. `NO_SYNC` gives up durability, which the relaxed phases ask for.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::ops::Bound;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, WithTls};

use super::locked_version;
use crate::bench::Result;
use crate::bench::data::{Entry, Key, Value};
use crate::bench::engine::{Direction, Durability, Engine, Settings, View};

/// Address space only: the file grows with what is in it.
const MAP_BYTES: usize = 64 << 30;

pub(crate) struct Lmdb {
    env: Env<WithTls>,
    table: Database<'static, Bytes, Bytes>,
}

pub(crate) struct LmdbView<'v> {
    transaction: &'v RoTxn<'v, WithTls>,
    table: Database<'static, Bytes, Bytes>,
}

impl Engine for Lmdb {
    const NAME: &'static str = "lmdb";
    type View<'v> = LmdbView<'v>;

    fn description() -> String {
        let version = heed::lmdb_version();
        format!(
            "LMDB {}.{}.{} (heed {}); relaxed is NO_SYNC; no memory budget: it reads the system's page cache",
            version.major,
            version.minor,
            version.patch,
            locked_version("heed")
        )
    }

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES);
        let env = unsafe {
            if settings.durability == Durability::Relaxed {
                options.flags(EnvFlags::NO_SYNC);
            }
            options.open(directory)?
        };
        let created = env.create_databases_and_commit(env.write_txn()?, |opener, transaction| {
            let table = opener.create_database::<Bytes, Bytes>(transaction, None)?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(table))
        })?;
        let table = created.commit().ok_or("the table was not created")?;
        Ok(Self { env, table })
    }

    fn read<R>(&self, body: impl FnOnce(&mut LmdbView<'_>) -> Result<R>) -> Result<R> {
        let transaction = self.env.read_txn()?;
        body(&mut LmdbView { transaction: &transaction, table: self.table })
    }

    fn put(&self, key: &Key, value: &Value) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        self.table.put(&mut transaction, key, value)?;
        Ok(transaction.commit()?)
    }

    fn put_batch(&self, entries: &[Entry]) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        for (key, value) in entries {
            self.table.put(&mut transaction, key, value)?;
        }
        Ok(transaction.commit()?)
    }

    fn compact(self, directory: &Path, _settings: Settings) -> Result<()> {
        let copy = directory.join("compact.mdb");
        self.env.copy_to_file(&mut File::create(&copy)?, CompactionOption::Enabled)?;
        self.close()?;
        fs::rename(copy, directory.join("data.mdb"))?;
        Ok(File::open(directory.join("data.mdb"))?.sync_all()?)
    }

    fn close(self) -> Result<()> {
        self.env.force_sync()?;
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}

impl View for LmdbView<'_> {
    fn get(&mut self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        let value = self.table.get(self.transaction, key)?;
        Ok(value.map(found).is_some())
    }

    fn seek(&mut self, from: &Key, limit: usize, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let range = (Bound::Included(from.as_slice()), Bound::Unbounded);
        for item in self.table.range(self.transaction, &range)?.take(limit) {
            let (key, value) = item?;
            entry(key, value);
        }
        Ok(())
    }

    fn scan(&mut self, direction: Direction, mut entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        match direction {
            Direction::Forward => {
                for item in self.table.iter(self.transaction)? {
                    let (key, value) = item?;
                    entry(key, value);
                }
            }
            Direction::Backward => {
                for item in self.table.rev_iter(self.transaction)? {
                    let (key, value) = item?;
                    entry(key, value);
                }
            }
        }
        Ok(())
    }
}
