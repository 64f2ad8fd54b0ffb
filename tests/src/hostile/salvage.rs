//! Salvage of any two files: an answer within bounds, never written to them, and what comes back is a whole database.

use std::sync::Arc;

use lightning_db::Database;
use lightning_db::env::{FileId, MemoryStorage, Storage};
use lightning_db::testing::decoders;

use super::files::Files;
use super::metered::Metered;
use super::open::{environment, read_all, small};
use crate::memory::peak_of;

/// What a salvage may take that is given a budget of 2 MiB, whatever the files say, beside the new database.
const MEMORY_BYTES: usize = 24 << 20;
/// And for each byte of the files, and of the new ones, which lie in memory here.
const MEMORY_FACTOR: usize = 24;
const NEW_FACTOR: usize = 3;
/// What may be read, whatever the files say; and for each byte of them, and of the new ones, which hold no more than was read.
const READ_BYTES: u64 = 32 << 20;
const READ_FACTOR: u64 = 64;

/// Salvages packed files.
pub fn salvage(bytes: &[u8]) {
    hold(&Files::unpack(bytes));
}

/// As [`salvage`], with all checksums made right first, as far as they can be found.
pub fn salvage_resealed(bytes: &[u8]) {
    let mut files = Files::unpack(bytes);
    decoders::reseal(&mut files.data, &mut files.log);
    hold(&files);
}

fn hold(files: &Files) {
    let size = files.data.len() + files.log.len();
    let (new, peak) = peak_of(|| examine(files));
    let max = MEMORY_BYTES + MEMORY_FACTOR * size + NEW_FACTOR * new;
    assert!(peak <= max, "files of {size} bytes took {peak} bytes of memory, which is more than {max}");
}

/// Gives the bytes of the new files.
fn examine(files: &Files) -> usize {
    let source = Arc::new(MemoryStorage::with_contents(files.data.clone(), files.log.clone()));
    let metered = Arc::new(Metered::over(Arc::clone(&source)));
    metered.allow(READ_BYTES + READ_FACTOR * (files.data.len() + files.log.len()) as u64);
    let new = Arc::new(Metered::new(MemoryStorage::new()));
    let Ok(database) = Database::open_storage(Arc::<Metered>::clone(&new), environment(), small()) else {
        panic!("a new database in memory opens")
    };
    let salvaged = database.salvage(metered, &mut |_| {});
    assert!(
        source.contents(FileId::Data) == files.data && source.contents(FileId::Log) == files.log,
        "it was written to"
    );
    if let Ok(report) = salvaged {
        let check = database.check().unwrap_or_else(|error| panic!("what came back cannot be checked: {error}"));
        assert!(check.is_clean(), "what came back is not whole: {:?}", check.problems);
        read_all(&database).unwrap_or_else(|error| panic!("what came back cannot be read: {error}"));
        let snapshot = database.snapshot();
        let tables = snapshot.tables().unwrap_or_default();
        let count = |name: &str| snapshot.untyped_table(name).and_then(|table| table.len()).unwrap_or(u64::MAX);
        let records: u64 = tables.iter().map(|table| count(&table.name)).sum();
        assert_eq!((report.tables, report.records), (tables.len() as u64, records), "what the report counts is there");
    }
    FileId::ALL.iter().map(|&file| new.len(file).unwrap_or(0) as usize).sum()
}
