//! The sink of an archive takes nothing: what is held for it is bounded, and then there is a gap.

use std::sync::Arc;

use lightning_db::env::MemoryStorage;
use lightning_db::{ArchiveOptions, ArchiveSink, Database, Error};

use super::{T, by_hand, in_words, require, small};
use crate::random::Random;

/// The least that may be asked for.
const HOLD_BYTES: u64 = 1 << 20;
/// A segment of the log, and what one commit frees, beyond which nothing is held.
const SLACK_BYTES: u64 = 512 << 10;

#[derive(Debug)]
struct Stuck;

fn stuck<T>() -> Result<T, Error> {
    Err(Error::Invalid { what: String::from("it takes nothing") })
}

impl ArchiveSink for Stuck {
    fn list(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
    fn read_at(&self, _: &str, _: u64, _: &mut [u8]) -> Result<usize, Error> {
        stuck()
    }
    fn len(&self, _: &str) -> Result<u64, Error> {
        stuck()
    }
    fn begin(&self) -> Result<(), Error> {
        stuck()
    }
    fn write(&self, _: &[u8]) -> Result<(), Error> {
        stuck()
    }
    fn finish(&self, _: &str) -> Result<(), Error> {
        stuck()
    }
    fn remove(&self, _: &str) -> Result<(), Error> {
        stuck()
    }
}

pub(super) fn look(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let db = Database::open_storage(Arc::new(MemoryStorage::new()), by_hand(seed).0, small()).map_err(in_words)?;
    db.attach_archive(Arc::new(Stuck));
    let mut options = ArchiveOptions::default();
    options.hold_bytes = HOLD_BYTES;
    db.archive_on(options).map_err(in_words)?;
    let table = db.table(T).map_err(in_words)?;
    let mut written = 0;
    while written < 3 * HOLD_BYTES {
        // Values of their own are held beside the log.
        let len = if random.chance(1, 2) { 5000 } else { 900 };
        table.put(random.below(50), random.bytes(len).as_slice()).map_err(in_words)?;
        written += len as u64;
        let _ = db.archive_step(true);
        if random.chance(1, 20) {
            db.checkpoint().map_err(in_words)?;
        }
        let status = db.archive_status().ok_or("there is no archive")?;
        require(status.held_bytes <= HOLD_BYTES + SLACK_BYTES, || {
            format!("{} bytes are held for an archive that may have {HOLD_BYTES}", status.held_bytes)
        })?;
    }
    db.checkpoint().map_err(in_words)?;
    let gap = db.archive_status().and_then(|status| status.gap);
    require(gap.is_some(), || String::from("an archive that took nothing lacks nothing"))
}
