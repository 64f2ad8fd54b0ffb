//! What the benchmark asks of a database of documents.

use std::path::Path;

use super::city::City;
use crate::bench::Result;
use crate::bench::engine::Settings;

/// An open database with one collection of [`City`], a unique index over `code` and an index over `population`.
///
/// Documents go in and come out as values of that type: encoding and decoding them is each database's own affair and part
/// of what is measured.
pub(crate) trait DocumentEngine: Sized + Send + Sync + 'static {
    /// As in `--peers`.
    const NAME: &'static str;
    /// Whether there are commits that are not synced.
    const RELAXED: bool = true;

    /// What was measured: version, how documents and indexes are kept, and settings that are not the default.
    fn description() -> String;

    /// Opens the database in `directory`, which exists, and creates it with its indexes when the directory is empty.
    fn open(directory: &Path, settings: Settings) -> Result<Self>;

    /// One transaction that inserts all of `cities`, and fails when there is one of the same id or code.
    fn insert_batch(&self, cities: Vec<City>) -> Result<()>;

    /// One transaction that changes this field of one document.
    fn set_population(&self, id: u64, population: u64) -> Result<()>;

    /// A snapshot with whatever is kept beside it to read quickly (open tables, prepared statements).
    type View<'v>: DocumentView;

    /// Takes a snapshot and runs `body` in it.
    fn read<R>(&self, body: impl FnOnce(&mut Self::View<'_>) -> Result<R>) -> Result<R>;

    /// Runs `body` while all documents with a population from `from` to `to` are watched. Nothing where there is no such
    /// thing.
    fn watching<R>(&self, _from: u64, _to: u64, _body: impl FnOnce() -> Result<R>) -> Result<Option<Watched<R>>> {
        Ok(None)
    }

    /// Returns when no background work is left.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Closes so that everything committed is on the disk.
    fn close(self) -> Result<()>;
}

/// Reads at one point in time.
pub(crate) trait DocumentView {
    /// The document of this code, by the unique index.
    fn lookup(&mut self, code: &str) -> Result<Option<City>>;

    /// The first `limit` documents with a population of at least `from`, by population, then by id.
    fn range(&mut self, from: u64, limit: usize, found: impl FnMut(City)) -> Result<()>;

    /// How many documents have a population from `from` to `to`, both included.
    fn count(&mut self, from: u64, to: u64) -> Result<u64>;
}

/// What [`DocumentEngine::watching`] saw.
pub(crate) struct Watched<R> {
    /// Rows of the first result.
    pub(crate) rows: u64,
    /// Results that came after it.
    pub(crate) changes: u64,
    /// What the body returned.
    pub(crate) result: R,
}
