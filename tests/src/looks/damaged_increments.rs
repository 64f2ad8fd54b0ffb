//! A bit of an increment changes: nothing else than what was in it is ever restored.

use std::collections::BTreeMap;
use std::sync::Arc;

use lightning_db::env::{FileId, MemoryStorage, Storage};
use lightning_db::{Database, Error, ReplayUntil};

use super::{T, by_hand, in_words, require, small};
use crate::random::Random;

const FLIPS: u64 = 20;
/// What an increment begins with.
const MAGIC_BYTES: usize = 8;

type Rows = BTreeMap<u64, Vec<u8>>;

pub(super) fn look(seed: u64) -> Result<(), String> {
    let (base, increment, rows) = made(seed).map_err(in_words)?;
    let restored_whole = restored(&base, &increment).map_err(in_words)?;
    require(restored_whole == rows, || String::from("an increment that is whole restores something else"))?;
    let mut random = Random::new(seed);
    for _ in 0..FLIPS {
        let (at, bit) = (random.index(increment.len()), random.below(8));
        let mut damaged = increment.clone();
        damaged[at] ^= 1 << bit;
        match restored(&base, &damaged) {
            Ok(found) if found == rows => {}
            Ok(_) => {
                return Err(format!("bit {bit} of byte {at} of an increment changed, and what was restored with it"));
            }
            // What begins otherwise is none.
            Err(Error::NotADatabase { .. }) if at < MAGIC_BYTES => {}
            Err(error) => require(error.name() == "DamagedBackup", || {
                format!("a damaged increment is a misleading error: {}: {error}", error.name())
            })?,
        }
    }
    Ok(())
}

/// A backup, an increment, and what both hold together.
fn made(seed: u64) -> Result<(Vec<u8>, Vec<u8>, Rows), Error> {
    let mut random = Random::new(seed);
    let mut options = small();
    options.feed_retention_bytes = 1 << 20;
    let db = Database::open_storage(Arc::new(MemoryStorage::new()), by_hand(seed).0, options)?;
    let mut rows = Rows::new();
    let mut put = |keys: u64| {
        for _ in 0..keys {
            let (key, len) = (random.below(200), random.between(20, 60) as usize);
            let value = random.bytes(len);
            db.table(T)?.put(key, value.as_slice())?;
            rows.insert(key, value);
        }
        Ok::<(), Error>(())
    };
    put(50)?;
    let mut backup = db.backup();
    let mut base = Vec::new();
    while let Some(piece) = backup.next()? {
        base.extend(piece);
    }
    put(50)?;
    let (mut increment, mut bytes) = (db.increment(backup.position())?, Vec::new());
    while let Some(piece) = increment.next()? {
        bytes.extend(piece);
    }
    Ok((base, bytes, rows))
}

fn restored(base: &[u8], increment: &[u8]) -> Result<Rows, Error> {
    let storage = Arc::new(MemoryStorage::new());
    storage.write_at(FileId::Data, 0, base)?;
    let db = Database::open_storage(storage, by_hand(1).0, small())?;
    let mut replay = db.replay(ReplayUntil::End)?;
    replay.push(increment)?;
    replay.end_increment()?;
    replay.finish()?;
    let snapshot = db.snapshot();
    let rows = snapshot.table(T)?.range(..)?.map(|row| row.map(|(key, value)| (key, value.to_vec())));
    rows.collect()
}
