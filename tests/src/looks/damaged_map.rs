//! Each sector of a database is lost in turn: where only the space map was in it the database opens, says that it has made it
//! again, is whole, and takes writes that harm nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use lightning_db::env::{FileId, MemoryStorage, Storage};
use lightning_db::{Database, Error};

use super::{T, by_hand, in_words, require, small};
use crate::random::Random;

const SECTOR_BYTES: u64 = 4096;

type Rows = BTreeMap<u64, Vec<u8>>;

pub(super) fn look(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let (files, rows) = made(seed, &mut random).map_err(in_words)?;
    let sectors = files[0].len() as u64 / SECTOR_BYTES;
    let mut cures = 0;
    for sector in 2..sectors {
        let storage = Arc::new(MemoryStorage::with_contents(files[0].clone(), files[1].clone()));
        storage
            .write_at(FileId::Data, sector * SECTOR_BYTES, &[0xdb; SECTOR_BYTES as usize])
            .map_err(|e| in_words(e.into()))?;
        let Ok(db) = Database::open_storage(storage.clone(), by_hand(seed).0, small()) else { continue };
        if db.health().findings.iter().any(|finding| finding.name == "healed") {
            cures += 1;
            is_whole(&db, rows.clone(), &mut random)
                .map_err(|what| format!("sector {sector}, map made again: {what}"))?;
            db.close().map_err(in_words)?;
        }
    }
    require(cures > 0, || String::from("no sector held a page of the space map"))
}

fn is_whole(db: &Database, mut rows: Rows, random: &mut Random) -> Result<(), String> {
    require_rows(db, &rows)?;
    for _ in 0..6 {
        write(db, &mut rows, random, 60).map_err(in_words)?;
        db.checkpoint().map_err(in_words)?;
    }
    require_rows(db, &rows)
}

fn require_rows(db: &Database, rows: &Rows) -> Result<(), String> {
    let found = || {
        let snapshot = db.snapshot();
        let rows = snapshot.table(T)?.range(..)?.map(|row| row.map(|(key, value)| (key, value.to_vec())));
        rows.collect::<Result<Rows, Error>>()
    };
    require(found().map_err(in_words)? == *rows, || String::from("other rows"))?;
    let report = db.check().map_err(in_words)?;
    require(report.is_clean(), || report.problems.join("; "))
}

fn write(db: &Database, rows: &mut Rows, random: &mut Random, keys: u64) -> Result<(), Error> {
    for _ in 0..keys {
        let key = random.below(2000);
        // Some have an extent of their own.
        let len = if random.chance(1, 30) { 3000 } else { 30 };
        let value = random.bytes(len);
        db.table(T)?.put(key, value.as_slice())?;
        rows.insert(key, value);
    }
    Ok(())
}

/// The files as a closed or a killed database leaves them.
fn made(seed: u64, random: &mut Random) -> Result<([Vec<u8>; 2], Rows), Error> {
    let storage = Arc::new(MemoryStorage::new());
    let db = Database::open_storage(storage.clone(), by_hand(seed).0, small())?;
    let mut rows = Rows::new();
    for _ in 0..8 {
        write(&db, &mut rows, random, 150)?;
        db.checkpoint()?;
    }
    if random.chance(1, 2) {
        db.close()?;
    } else {
        write(&db, &mut rows, random, 20)?;
    }
    Ok((FileId::ALL.map(|file| storage.contents(file)), rows))
}
