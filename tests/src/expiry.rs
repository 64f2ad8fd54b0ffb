//! A snapshot expires in the middle of a read of storage, and everything is written anew before the read goes on.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use lightning_db::env::{FileId, MemoryStorage, SeededEntropy, Storage, StorageError, Sync};
use lightning_db::{Database, Durability, Environment, Error, Options, Table, Trim};

use crate::looks::HandSet;
use crate::random::Random;

const T: Table<'_, u64, &[u8]> = Table::new("t");
const KEYS: u64 = 1500;
/// How often everything is written anew meanwhile: after the third time what the snapshot saw is reused.
const ROUNDS: u64 = 8;
const SNAPSHOT_MS: u64 = 1000;

type Hook = Box<dyn FnOnce() + Send>;

/// Memory that lets something happen before so many more reads.
#[derive(Default)]
struct Hooked {
    memory: MemoryStorage,
    hook: Mutex<Option<(u64, Hook)>>,
}

impl Storage for Hooked {
    fn name(&self) -> String {
        self.memory.name()
    }
    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.memory.len(file)
    }
    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.memory.set_len(file, len)
    }
    fn read_at(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        let due = {
            let mut hook = self.hook.lock().expect("nobody panics with it");
            match &mut *hook {
                Some((0, _)) => hook.take(),
                Some((reads, _)) => {
                    *reads -= 1;
                    None
                }
                None => None,
            }
        };
        if let Some((_, hook)) = due {
            hook();
        }
        self.memory.read_at(file, offset, buffer)
    }
    fn write_at(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.memory.write_at(file, offset, bytes)
    }
    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.memory.sync(file)
    }
}

fn value(key: u64, round: u64) -> Vec<u8> {
    format!("value {key} of round {round} {}", key.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes()
}

fn write(db: &Database, round: u64) -> Result<(), Error> {
    db.transaction(|tx| {
        let mut table = tx.table(T)?;
        (0..KEYS).try_for_each(|key| table.put(key, value(key, round).as_slice()))
    })?;
    db.checkpoint()
}

/// What a snapshot of `round` says that is not so: it may refuse to answer.
fn wrong(snapshot: &lightning_db::Snapshot, round: u64) -> Result<String, Error> {
    let mut wrong = String::new();
    for key in 0..KEYS {
        let found = snapshot.table(T).and_then(|table| Ok(table.get(key)?.map(|found| found.to_vec())));
        match found {
            Ok(found) if found == Some(value(key, round)) => {}
            Err(Error::SnapshotExpired { .. }) => {}
            other => {
                let _ = write!(wrong, "key {key} of round {round}: {other:?}; ");
            }
        }
        if wrong.len() > 200 {
            break;
        }
    }
    Ok(wrong)
}

/// Looks with one seed, which chooses the read.
pub fn look(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let (storage, clock) = (Arc::new(Hooked::default()), Arc::new(HandSet::default()));
    let environment = Environment { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(seed)) };
    let mut options = Options::default();
    options.background_thread = false;
    options.durability = Durability::Relaxed;
    options.limits.transaction_ms_max = SNAPSHOT_MS;
    options.limits.snapshot_ms_max = SNAPSHOT_MS;
    let failed = |error: Error| format!("{}: {error}", error.name());
    let db = Database::open_storage(storage.clone(), environment, options).map_err(failed)?;
    write(&db, 0).map_err(failed)?;
    let snapshot = db.snapshot();
    write(&db, 1).map_err(failed)?;
    db.trim_memory(Trim::All);
    let hook = {
        let (db, clock) = (db.clone(), Arc::clone(&clock));
        Box::new(move || {
            clock.0.fetch_add(SNAPSHOT_MS, Ordering::Relaxed);
            (2..2 + ROUNDS).try_for_each(|round| write(&db, round)).expect("nothing fails in memory");
        })
    };
    *storage.hook.lock().expect("nobody panics with it") = Some((random.below(10), hook));
    let mut what = wrong(&snapshot, 0).map_err(failed)?;
    what.push_str(&wrong(&db.snapshot(), 1 + ROUNDS).map_err(failed)?);
    // And when no read is inside any more.
    (2 + ROUNDS..2 + 2 * ROUNDS).try_for_each(|round| write(&db, round)).map_err(failed)?;
    what.push_str(&wrong(&snapshot, 0).map_err(failed)?);
    what.push_str(&wrong(&db.snapshot(), 1 + 2 * ROUNDS).map_err(failed)?);
    let stats = db.stats();
    if stats.quarantined > 0 {
        let _ = write!(what, "{} places are taken for damaged; ", stats.quarantined);
    }
    let report = db.check().map_err(failed)?;
    what.push_str(&report.problems.join("; "));
    if what.is_empty() { Ok(()) } else { Err(format!("a snapshot that expires while it is read: {what}")) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_snapshot_that_expires_while_it_is_read_answers_rightly_or_not_at_all() {
        (0..20).for_each(|seed| super::look(seed).unwrap());
    }

    /// Without this the test above could not fail.
    #[cfg(feature = "testing")]
    #[test]
    fn an_engine_that_reuses_what_is_read_or_reads_what_is_reused_is_noticed() {
        use lightning_db::testing::mutant::Mutant;
        for mutant in [Mutant::ExpiredUnderReader, Mutant::ExpiredSnapshotReads] {
            let _active = mutant.activate();
            let noticed = |seed| !matches!(std::panic::catch_unwind(|| super::look(seed)), Ok(Ok(())));
            assert!((0..20).any(noticed), "{}", mutant.name());
        }
    }
}
