//! Everything is encrypted anew while somebody writes and reads: what was there is there, and nothing that was sealed before is in the files.

use std::sync::Arc;

use lightning_db::env::{FileId, MemoryStorage, SeededEntropy, Storage};
use lightning_db::{Database, Encryption, EncryptionKey, Environment, Error, Isolation, Options, Progress, Table};

use crate::random::Random;
use crate::sim::clock::SimClock;
use crate::sim_disk::SimDisk;

const T: Table<'_, u64, &[u8]> = Table::new("t");
const KEYS: u64 = 400;
/// Steps after which somebody else looks.
const STEPS_MAX: u64 = 50_000;

/// One database of this seed.
pub fn look(seed: u64) -> Result<(), String> {
    let storage = Arc::new(MemoryStorage::new());
    let found = work(seed, &storage).and_then(|wrong| match wrong {
        None => killed_while_keys_change(seed),
        wrong => Ok(wrong),
    });
    found.map_err(|error| error.to_string()).and_then(|wrong| wrong.map_or(Ok(()), Err))
}

/// What is committed while the new data key is on its way to the medium is there after the process is killed, whichever key opens the
/// files then.
fn killed_while_keys_change(seed: u64) -> Result<Option<String>, Error> {
    let disk = Arc::new(SimDisk::new(seed));
    let db = open(Arc::clone(&disk) as Arc<dyn Storage>, seed, 1)?;
    db.transaction(|tx| tx.table(T)?.put(0, b"before"))?;
    disk.complete_syncs_later(true);
    for committed in 1..20 {
        let changed = db.reencrypt(&EncryptionKey::raw([2; 32]));
        db.transaction(|tx| tx.table(T)?.put(committed, b"meanwhile"))?;
        let [data, log] = disk.contents();
        let copy = || Arc::new(MemoryStorage::with_contents(data.clone(), log.clone()));
        let left = open(copy(), seed + 1, 1).or_else(|_| open(copy(), seed + 1, 2))?;
        let found = left.snapshot().table(T)?.get(committed)?.map(|found| found.to_vec());
        if found.as_deref() != Some(&b"meanwhile"[..]) {
            return Ok(Some(format!("commit {committed} is not there after the process was killed")));
        }
        match changed {
            Err(Error::Pending(ticket)) => db.complete_sync(ticket, Ok(())),
            // It was made by the call before.
            _ => return Ok(None),
        }
    }
    Ok(Some("the keys do not change".into()))
}

fn contents(storage: &MemoryStorage) -> [Vec<u8>; 2] {
    [FileId::Data, FileId::Log].map(|file| storage.contents(file))
}

fn open(storage: Arc<dyn Storage>, seed: u64, key: u8) -> Result<Database, Error> {
    let disk = Arc::new(SimDisk::new(seed));
    let env = Environment { clock: Arc::new(SimClock::new(&disk)), entropy: Arc::new(SeededEntropy::new(seed)) };
    let mut options = Options::default();
    options.background_thread = false;
    options.memory_budget_bytes = 2 << 20;
    options.log_segment_bytes = 64 << 10;
    options.inline_bytes_max = 500;
    options.feed_retention_bytes = 1 << 20;
    options.durability = lightning_db::Durability::Relaxed;
    options.encryption = [Encryption::Aes256Gcm, Encryption::ChaCha20Poly1305][(seed % 2) as usize];
    options.key = Some(EncryptionKey::raw([key; 32]));
    Database::open_storage(storage, env, options)
}

/// What is wrong, if anything is.
fn work(seed: u64, storage: &Arc<MemoryStorage>) -> Result<Option<String>, Error> {
    let mut random = Random::new(seed);
    let db = open(Arc::clone(storage) as Arc<dyn Storage>, seed, 1)?;
    let mut expected: Vec<Option<Vec<u8>>> = vec![None; KEYS as usize];
    let put = |db: &Database, random: &mut Random, expected: &mut Vec<Option<Vec<u8>>>| -> Result<(), Error> {
        let key = random.below(KEYS);
        let len = if random.chance(1, 30) { random.between(501, 100_000) } else { random.below(200) };
        let value = random.bytes(len as usize);
        db.transaction(|tx| tx.table(T)?.put(key, &value))?;
        expected[key as usize] = Some(value);
        Ok(())
    };
    for _ in 0..600 {
        put(&db, &mut random, &mut expected)?;
        if random.chance(1, 100) {
            db.checkpoint()?;
        }
    }
    // What is begun before, and committed or given up after.
    let mut begun = Vec::new();
    for key in [KEYS, KEYS + 1] {
        let mut transaction = db.begin(Isolation::Snapshot);
        transaction.table(T)?.put(key, [7; 30_000])?;
        begun.push(transaction);
    }
    let snapshot = db.snapshot();
    let seen = expected.clone();
    let before = contents(storage);
    db.reencrypt(&EncryptionKey::raw([2; 32]))?;
    let mut snapshot = Some(snapshot);
    let mut waited = 0;
    for step in 0..STEPS_MAX {
        let Some(progress) = db.reencryption() else { break };
        if random.chance(1, 4) && step < STEPS_MAX / 2 {
            put(&db, &mut random, &mut expected)?;
        }
        if db.step()? == Progress::Idle && progress.waiting_for.is_some() {
            waited += 1;
            if waited == 3 {
                if let Some(mut transaction) = begun.pop() {
                    transaction.commit()?;
                }
                begun.clear();
            } else if waited == 6
                && let Some(snapshot) = snapshot.take()
                && let Some(wrong) = differs(&snapshot, &seen)?
            {
                return Ok(Some(format!("a snapshot of before: {wrong}")));
            }
        }
    }
    if let Some(progress) = db.reencryption() {
        return Ok(Some(format!("it does not come to an end: {progress:?}")));
    }
    for (file, (before, after)) in before.iter().zip(contents(storage)).enumerate() {
        // What stands in clear in superblocks, their copies, and headers may be the same.
        let in_clear = if file == 0 { 8192 } else { 4096 };
        for at in (in_clear..before.len().min(after.len())).step_by(64) {
            let [was, is] = [before, &after].map(|bytes| &bytes[at..(at + 64).min(bytes.len())]);
            if was == is && is.iter().any(|byte| *byte != 0) && !is.starts_with(b"LightnDB") {
                return Ok(Some(format!("what was at {at} of file {file} is there still")));
            }
        }
    }
    let report = db.check()?;
    if !report.is_clean() {
        return Ok(Some(format!("{:?}", report.problems)));
    }
    drop(db);
    let db = open(Arc::clone(storage) as Arc<dyn Storage>, seed + 1000, 2)?;
    if let Some(wrong) = differs(&db.snapshot(), &expected)? {
        return Ok(Some(wrong));
    }
    let found = db.snapshot().table(T)?.get(KEYS + 1)?.map(|found| found.to_vec());
    Ok((found.as_deref() != Some(&[7; 30_000][..])).then(|| "what was begun before is not there".into()))
}

fn differs(snapshot: &lightning_db::Snapshot, expected: &[Option<Vec<u8>>]) -> Result<Option<String>, Error> {
    let table = snapshot.table(T)?;
    for (key, expected) in (0..).zip(expected) {
        let found = table.get(key)?.map(|found| found.to_vec());
        if found != *expected {
            return Ok(Some(format!("key {key} is not what it was")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_of_before_is_left_and_nothing_is_lost() {
        for seed in 0..6 {
            assert_eq!(super::look(seed), Ok(()), "seed {seed}");
        }
    }
}
