//! SQLite, through rusqlite.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{CachedStatement, Connection, Params, params};

use super::locked_version;
use crate::bench::Result;
use crate::bench::data::{Entry, Key, Value};
use crate::bench::engine::{Direction, Durability, Engine, Settings, View};

const GET: &str = "SELECT value FROM records WHERE key = ?1";
const SEEK: &str = "SELECT key, value FROM records WHERE key >= ?1 ORDER BY key LIMIT ?2";
const FORWARD: &str = "SELECT key, value FROM records ORDER BY key";
const BACKWARD: &str = "SELECT key, value FROM records ORDER BY key DESC";
const PUT: &str =
    "INSERT INTO records (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// One writer, which SQLite would impose anyway, and a connection for each reader.
pub(crate) struct Sqlite {
    path: PathBuf,
    settings: Settings,
    writer: Mutex<Connection>,
    idle_readers: Mutex<Vec<Connection>>,
}

pub(crate) struct SqliteView<'v> {
    get: CachedStatement<'v>,
    seek: CachedStatement<'v>,
    forward: CachedStatement<'v>,
    backward: CachedStatement<'v>,
}

impl Engine for Sqlite {
    const NAME: &'static str = "sqlite";
    type View<'v> = SqliteView<'v>;

    fn description() -> String {
        format!(
            "SQLite {} (rusqlite {}); a table WITHOUT ROWID, prepared statements, WAL with synchronous = OFF when relaxed, \
             FULL when synced; page cache of the whole budget",
            rusqlite::version(),
            locked_version("rusqlite")
        )
    }

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let path = directory.join("data.sqlite");
        let writer = connect(&path, settings)?;
        writer.execute_batch(
            "CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        )?;
        Ok(Self { path, settings, writer: Mutex::new(writer), idle_readers: Mutex::default() })
    }

    fn read<R>(&self, body: impl FnOnce(&mut SqliteView<'_>) -> Result<R>) -> Result<R> {
        self.with_reader(|reader| {
            reader.prepare_cached("BEGIN")?.execute([])?;
            let result = body(&mut SqliteView {
                get: reader.prepare_cached(GET)?,
                seek: reader.prepare_cached(SEEK)?,
                forward: reader.prepare_cached(FORWARD)?,
                backward: reader.prepare_cached(BACKWARD)?,
            });
            reader.prepare_cached("COMMIT")?.execute([])?;
            result
        })
    }

    /// A statement outside a transaction is one of its own.
    fn get_fresh(&self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        self.with_reader(|reader| get(&mut reader.prepare_cached(GET)?, key, found))
    }

    fn put(&self, key: &Key, value: &Value) -> Result<()> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.prepare_cached(PUT)?.execute(params![key, value])?;
        Ok(())
    }

    fn put_batch(&self, entries: &[Entry]) -> Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction()?;
        {
            let mut put = transaction.prepare_cached(PUT)?;
            for (key, value) in entries {
                put.execute(params![key, value])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn compact(self, _directory: &Path, _settings: Settings) -> Result<()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).execute_batch("VACUUM")?;
        self.close()
    }

    fn close(self) -> Result<()> {
        for reader in self.idle_readers.into_inner().unwrap_or_else(PoisonError::into_inner) {
            reader.close().map_err(|(_, error)| error)?;
        }
        let writer = self.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The last connection moves the log into the database; with this it syncs that, too.
        writer.execute_batch("PRAGMA synchronous = FULL")?;
        writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        writer.close().map_err(|(_, error)| error)?;
        Ok(())
    }
}

impl Sqlite {
    fn with_reader<R>(&self, body: impl FnOnce(&Connection) -> Result<R>) -> Result<R> {
        let idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => connect(&self.path, self.settings)?,
        };
        let result = body(&reader);
        self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        result
    }
}

impl View for SqliteView<'_> {
    fn get(&mut self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        get(&mut self.get, key, found)
    }

    fn seek(&mut self, from: &Key, limit: usize, entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        each(&mut self.seek, params![from, limit as i64], entry)
    }

    fn scan(&mut self, direction: Direction, entry: impl FnMut(&[u8], &[u8])) -> Result<()> {
        match direction {
            Direction::Forward => each(&mut self.forward, [], entry),
            Direction::Backward => each(&mut self.backward, [], entry),
        }
    }
}

/// A connection as all benchmarks of SQLite have it: WAL, synced as the settings say, the whole budget for its cache.
pub(crate) fn connect(path: &Path, settings: Settings) -> Result<Connection> {
    let connection = Connection::open(path)?;
    let synchronous = match settings.durability {
        Durability::Relaxed => "OFF",
        Durability::Sync => "FULL",
    };
    let cache_kib = settings.memory_bytes / 1024;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch(&format!("PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -{cache_kib}"))?;
    Ok(connection)
}

fn get(statement: &mut CachedStatement<'_>, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
    let mut rows = statement.query([key])?;
    match rows.next()? {
        Some(row) => {
            found(row.get_ref(0)?.as_blob()?);
            Ok(true)
        }
        None => Ok(false),
    }
}

fn each(
    statement: &mut CachedStatement<'_>,
    parameters: impl Params,
    mut entry: impl FnMut(&[u8], &[u8]),
) -> Result<()> {
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        entry(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
    }
    Ok(())
}
