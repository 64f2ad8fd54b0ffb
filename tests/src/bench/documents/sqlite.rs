//! SQLite, through rusqlite: documents as JSON text, and indexes over `json_extract`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::city::City;
use super::engine::{DocumentEngine, DocumentView};
use crate::bench::Result;
use crate::bench::engine::Settings;
use crate::bench::peers::locked_version;
use crate::bench::peers::sqlite::connect;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS cities (id INTEGER PRIMARY KEY, document TEXT NOT NULL);
    CREATE UNIQUE INDEX IF NOT EXISTS cities_code ON cities (json_extract(document, '$.code'));
    CREATE INDEX IF NOT EXISTS cities_population ON cities (json_extract(document, '$.population'))";
const INSERT: &str = "INSERT INTO cities (id, document) VALUES (?1, ?2)";
const UPDATE: &str = "UPDATE cities SET document = json_set(document, '$.population', ?2) WHERE id = ?1";
const LOOKUP: &str = "SELECT document FROM cities WHERE json_extract(document, '$.code') = ?1";
const RANGE: &str = "SELECT document FROM cities WHERE json_extract(document, '$.population') >= ?1 \
                     ORDER BY json_extract(document, '$.population'), id LIMIT ?2";
const COUNT: &str = "SELECT count(*) FROM cities WHERE json_extract(document, '$.population') BETWEEN ?1 AND ?2";

/// One writer, which SQLite would impose anyway, and a connection that reads.
pub(crate) struct Sqlite {
    path: PathBuf,
    settings: Settings,
    writer: Mutex<Connection>,
    reader: Mutex<Option<Connection>>,
}

pub(crate) struct SqliteView<'v> {
    lookup: CachedStatement<'v>,
    range: CachedStatement<'v>,
    count: CachedStatement<'v>,
}

impl DocumentEngine for Sqlite {
    const NAME: &'static str = "sqlite";
    type View<'v> = SqliteView<'v>;

    fn description() -> String {
        format!(
            "SQLite {} (rusqlite {}); JSON text, indexes over json_extract, an integer primary key, prepared statements, \
             WAL with synchronous = OFF when relaxed, FULL when synced; page cache of the whole budget",
            rusqlite::version(),
            locked_version("rusqlite")
        )
    }

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let path = directory.join("cities.sqlite");
        let is_new = !path.exists();
        let writer = connect(&path, settings)?;
        if is_new {
            writer.execute_batch(SCHEMA)?;
        }
        Ok(Self { path, settings, writer: Mutex::new(writer), reader: Mutex::default() })
    }

    fn insert_batch(&self, cities: Vec<City>) -> Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction()?;
        {
            let mut insert = transaction.prepare_cached(INSERT)?;
            for city in &cities {
                insert.execute(params![city.id as i64, serde_json::to_string(city)?])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn set_population(&self, id: u64, population: u64) -> Result<()> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = writer.prepare_cached(UPDATE)?.execute(params![id as i64, population as i64])?;
        if changed == 1 { Ok(()) } else { Err(format!("no document {id}").into()) }
    }

    fn read<R>(&self, body: impl FnOnce(&mut SqliteView<'_>) -> Result<R>) -> Result<R> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match &mut *reader {
            Some(reader) => reader,
            none => none.insert(connect(&self.path, self.settings)?),
        };
        reader.prepare_cached("BEGIN")?.execute([])?;
        let result = body(&mut SqliteView {
            lookup: reader.prepare_cached(LOOKUP)?,
            range: reader.prepare_cached(RANGE)?,
            count: reader.prepare_cached(COUNT)?,
        });
        reader.prepare_cached("COMMIT")?.execute([])?;
        result
    }

    fn close(self) -> Result<()> {
        if let Some(reader) = self.reader.into_inner().unwrap_or_else(PoisonError::into_inner) {
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

impl DocumentView for SqliteView<'_> {
    fn lookup(&mut self, code: &str) -> Result<Option<City>> {
        let found = self.lookup.query_row([code], |row| Ok(serde_json::from_str(row.get_ref(0)?.as_str()?)));
        Ok(found.optional()?.transpose()?)
    }

    fn range(&mut self, from: u64, limit: usize, mut found: impl FnMut(City)) -> Result<()> {
        let mut rows = self.range.query(params![from as i64, limit as i64])?;
        while let Some(row) = rows.next()? {
            found(serde_json::from_str(row.get_ref(0)?.as_str()?)?);
        }
        Ok(())
    }

    fn count(&mut self, from: u64, to: u64) -> Result<u64> {
        let count: i64 = self.count.query_row(params![from as i64, to as i64], |row| row.get(0))?;
        Ok(count as u64)
    }
}
