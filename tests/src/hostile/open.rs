//! Whole files: whatever they hold, opening them gives a database or an error, and a database can be used, or says what is
//! wrong with it. Within a bound of memory, and of what is read.

use std::sync::Arc;

use lightning_db::env::{FixedClock, MemoryStorage, SeededEntropy};
use lightning_db::testing::decoders;
use lightning_db::{ArchiveSink, Database, Environment, Error, Options, Result, Snapshot};

use super::files::Files;
use super::metered::Metered;
use crate::memory::peak_of;

/// What a database may take that is opened with a budget of 2 MiB, whatever the files say: the budget, a segment of the log
/// being read, a node being decoded.
const MEMORY_BYTES: usize = 16 << 20;
/// And for each byte of the files.
const MEMORY_FACTOR: usize = 24;
/// What may be read in one step of the examination, whatever the files say; and for each byte of them.
const READ_BYTES: u64 = 8 << 20;
const READ_FACTOR: u64 = 64;
/// Entries looked at in one direction.
const ENTRIES_MAX: usize = 100_000;

/// Opens packed files and uses what was opened.
pub fn open(bytes: &[u8]) {
    hold(&Files::unpack(bytes));
}

/// As [`open`], with all checksums made right first, as far as they can be found.
pub fn open_resealed(bytes: &[u8]) {
    let mut files = Files::unpack(bytes);
    decoders::reseal(&mut files.data, &mut files.log);
    hold(&files);
}

/// Replays the packed log.
pub fn log(bytes: &[u8]) {
    decoders::log(&Files::unpack(bytes).log);
}

/// As [`log`], with checksums made right.
pub fn log_resealed(bytes: &[u8]) {
    decoders::log_resealed(&Files::unpack(bytes).log);
}

/// Panics if the engine does not hold against these files.
pub fn hold(files: &Files) {
    let size = files.data.len() + files.log.len();
    let (_, peak) = peak_of(|| examine(files));
    let max = MEMORY_BYTES + MEMORY_FACTOR * size;
    assert!(peak <= max, "files of {size} bytes took {peak} bytes of memory, which is more than {max}");
}

fn examine(files: &Files) {
    let storage = Arc::new(Metered::new(MemoryStorage::with_contents(files.data.clone(), files.log.clone())));
    let options = small();
    let size = (files.data.len() + files.log.len()) as u64;
    let allowed = READ_BYTES + READ_FACTOR * size;
    let open = |options: &Options| {
        storage.allow(allowed);
        Database::open_storage(Arc::<Metered>::clone(&storage), environment(), options.clone())
    };
    let mut reading = options.clone();
    reading.read_only = true;
    if let Ok(database) = open(&reading) {
        storage.allow(allowed);
        let _ = read_all(&database);
    }
    // What could be read can mostly be written too; both may fail, and what is written is never half there.
    let Ok(database) = open(&options) else { return };
    storage.allow(allowed);
    // What a check finds in order stays so; damage may make a file of no use once it is written to.
    let is_whole = database.check().is_ok_and(|report| report.is_clean());
    for step in [read_all, check, write, archive, settle, read_named, settle, read_all, check] {
        storage.allow(allowed);
        let _ = step(&database);
    }
    storage.allow(allowed);
    let written = database.snapshot().untyped_table("written here").is_ok();
    let closed = database.close();
    drop(database);
    match (closed, open(&options)) {
        (Ok(()), Ok(database)) => {
            storage.allow(allowed);
            let is_there = database.snapshot().untyped_table("written here").is_ok();
            assert!(is_there || !written, "a table is gone that was there at a clean close");
        }
        // Segments of the log may be as long as the files say, and the disk is not.
        (Ok(()), Err(error)) if is_whole && !error.is_full() => panic!("closed, and does not open again: {error}"),
        (_, Ok(_) | Err(_)) => {}
    }
}

/// With 2 MiB, and everything small, so that little data goes everywhere.
pub(super) fn small() -> Options {
    let mut options = Options::default();
    options.memory_budget_bytes = 2 << 20;
    options.memtable_bytes = Some(64 << 10);
    options.log_segment_bytes = 64 << 10;
    options.inline_bytes_max = 1 << 10;
    options.background_thread = false;
    options
}

/// The same for every database.
pub(super) fn environment() -> Environment {
    Environment { clock: Arc::new(FixedClock(1_700_000_000_000)), entropy: Arc::new(SeededEntropy::new(3)) }
}

/// Every table, from both ends, and the values by their keys.
pub(super) fn read_all(database: &Database) -> Result<()> {
    read_snapshot(&database.snapshot())
}

/// The same of every snapshot that has a name; then they are given up.
fn read_named(database: &Database) -> Result<()> {
    for named in database.snapshots() {
        if let Ok(snapshot) = database.snapshot_named(&named.name) {
            let _ = read_snapshot(&snapshot);
        }
        database.drop_snapshot(&named.name)?;
    }
    Ok(())
}

/// What an archive lacks goes there, where there is one.
fn archive(database: &Database) -> Result<()> {
    if database.archive_status().is_some() {
        database.attach_archive(Arc::new(Nowhere));
        database.archive_now()?;
    }
    Ok(())
}

/// A sink that keeps nothing.
#[derive(Debug)]
struct Nowhere;

impl ArchiveSink for Nowhere {
    fn list(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn read_at(&self, _name: &str, _offset: u64, _buf: &mut [u8]) -> Result<usize> {
        Ok(0)
    }
    fn len(&self, _name: &str) -> Result<u64> {
        Ok(0)
    }
    fn begin(&self) -> Result<()> {
        Ok(())
    }
    fn write(&self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
    fn finish(&self, _name: &str) -> Result<()> {
        Ok(())
    }
    fn remove(&self, _name: &str) -> Result<()> {
        Ok(())
    }
}

fn read_snapshot(snapshot: &Snapshot) -> Result<()> {
    for table in snapshot.tables()? {
        let records = snapshot.untyped_table(&table.name)?;
        let _ = records.len()?;
        let mut forward: Vec<Vec<u8>> = Vec::new();
        for entry in records.range(..)?.take(ENTRIES_MAX) {
            let (key, _) = entry?;
            assert!(forward.last().is_none_or(|last| *last < key), "keys come in order");
            forward.push(key);
        }
        let mut backward = records.range(..)?.rev();
        let mut last: Option<Vec<u8>> = None;
        for entry in backward.by_ref().take(ENTRIES_MAX) {
            let (key, _) = entry?;
            assert!(last.is_none_or(|last| last > key), "keys come in order, backwards");
            last = Some(key);
        }
        for key in forward.iter().step_by(forward.len() / 50 + 1) {
            let _ = records.get(key)?.map(|found| found.into_owned()).transpose()?;
        }
    }
    Ok(())
}

fn check(database: &Database) -> Result<()> {
    database.check().map(drop)
}

fn write(database: &Database) -> Result<()> {
    database.transaction(|tx| {
        let mut table = tx.untyped_table("written here", "bytes", "bytes")?;
        for key in 0..50u8 {
            table.put([key, 1], vec![key; usize::from(key) * 60])?;
        }
        Ok(())
    })?;
    database.transaction(|tx| {
        let mut table = tx.untyped_table("written here", "bytes", "bytes")?;
        table.delete_range([3u8].as_slice()..&[9u8])?;
        Ok::<_, Error>(())
    })
}

/// All that there is to do in the background.
fn settle(database: &Database) -> Result<()> {
    database.checkpoint()?;
    database.compact()
}
