//! What is suspended is left alone, and goes on; what the storage refuses for now is no damage.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::db::{Isolation, Options, Since};
use crate::engine::{Durability, Environment};
use crate::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage, StorageError, StorageErrorKind, Sync};
use crate::error::Error;
use crate::{Query, Schema, Table, Value};

const T: Table<u64, &[u8]> = Table::new("t");

/// Memory that is locked away at times, and tells whether it was written to.
#[derive(Default)]
struct Guarded {
    memory: MemoryStorage,
    /// 0: it serves; else what it refuses with.
    refuses: AtomicU8,
    refused: Mutex<Vec<&'static str>>,
}

impl Guarded {
    fn serve(&self, what: &'static str, file: FileId) -> Result<(), StorageError> {
        let kind = match self.refuses.load(Ordering::SeqCst) {
            0 => return Ok(()),
            1 => StorageErrorKind::Suspended,
            _ => StorageErrorKind::ProtectedData,
        };
        self.refused.lock().unwrap().push(what);
        Err(StorageError::new(kind, file, 0, 0, "Operation not permitted"))
    }

    fn refuse(&self, kind: u8) {
        self.refuses.store(kind, Ordering::SeqCst);
    }
}

impl Storage for Guarded {
    fn name(&self) -> String {
        self.memory.name()
    }
    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.serve("len", file)?;
        self.memory.len(file)
    }
    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.serve("set_len", file)?;
        self.memory.set_len(file, len)
    }
    fn allocate(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.serve("allocate", file)?;
        self.memory.allocate(file, len)
    }
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        self.serve("read", file)?;
        self.memory.read_at(file, offset, buf)
    }
    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        self.serve("write", file)?;
        self.memory.write_at(file, offset, buf)
    }
    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.serve("sync", file)?;
        self.memory.sync(file)
    }
}

fn open(storage: &Arc<Guarded>, background_thread: bool) -> Database {
    let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
    let options = Options { background_thread, feed_retention_bytes: 1 << 20, ..Options::default() };
    Database::open_storage(Arc::clone(storage) as Arc<dyn Storage>, env, options).unwrap()
}

fn fill(db: &Database, keys: core::ops::Range<u64>) {
    db.transaction(|tx| keys.into_iter().try_for_each(|key| tx.table(T)?.put(key, [key as u8; 200]))).unwrap();
}

fn get(db: &Database, key: u64) -> Result<bool> {
    Ok(db.snapshot().table(T)?.get(key)?.is_some())
}

#[test]
fn nothing_is_asked_of_the_files_between_suspending_and_resuming_and_nothing_is_lost() {
    for background in [false, true] {
        let storage = Arc::new(Guarded::default());
        let db = open(&storage, background);
        fill(&db, 0..2000);
        db.transaction_with(Durability::Relaxed, |tx| tx.table(T)?.put(5000, b"relaxed")).unwrap();
        let before = db.snapshot();
        let mut transaction = db.begin(Isolation::Serializable);
        transaction.table(T).unwrap().put(6000, b"open").unwrap();
        db.suspend().unwrap();
        db.suspend().unwrap();
        assert!(get(&db, 6).unwrap(), "and now it is in memory");
        storage.refuse(1);
        let left = [storage.memory.contents(FileId::Data), storage.memory.contents(FileId::Log)];

        let refused = db.transaction(|tx| tx.table(T)?.put(1, b"no")).unwrap_err();
        assert_eq!((refused.name(), refused.is_retryable()), ("Suspended", true));
        let refused = [
            db.table(T).unwrap().put(1, b"no").unwrap_err(),
            db.transaction(|tx| tx.table(T)?.put(1, [1; 100_000])).unwrap_err(),
            transaction.commit().unwrap_err(),
            db.checkpoint().unwrap_err(),
            db.compact().unwrap_err(),
        ];
        for error in &refused {
            assert!(error.is_suspended(), "{error:?}");
        }
        assert!(get(&db, 6).is_ok_and(|found| found), "what is in memory is read");
        db.trim_memory(Trim::All);
        assert!(get(&db, 6).unwrap_err().is_suspended());
        assert!(before.table(T).unwrap().get(6).unwrap().is_some(), "what it sees was in memory, and it holds that");
        assert!(!storage.refused.lock().unwrap().contains(&"sync"));
        assert_eq!(left, [storage.memory.contents(FileId::Data), storage.memory.contents(FileId::Log)]);

        storage.refuse(0);
        db.resume().unwrap();
        db.resume().unwrap();
        assert!(get(&db, 6).unwrap() && get(&db, 5000).unwrap());
        assert!(before.table(T).unwrap().get(6).unwrap().is_some());
        assert_eq!(db.stats().quarantined, 0);
        transaction.commit().unwrap();
        fill(&db, 7000..9000);
        db.checkpoint().unwrap();
        assert_eq!(db.check().unwrap().problems, Vec::<String>::new());
        // As if the process had ended here: all that was acknowledged is there.
        let left =
            MemoryStorage::with_contents(storage.memory.contents(FileId::Data), storage.memory.contents(FileId::Log));
        let again = open(&Arc::new(Guarded { memory: left, ..Guarded::default() }), false);
        assert!([6, 5000, 6000, 8000].iter().all(|key| get(&again, *key).unwrap()));
    }
}

#[test]
fn what_a_suspended_database_left_is_whole_without_its_log_being_replayed() {
    let storage = Arc::new(Guarded::default());
    let db = open(&storage, false);
    fill(&db, 0..2000);
    db.suspend().unwrap();
    let left =
        MemoryStorage::with_contents(storage.memory.contents(FileId::Data), storage.memory.contents(FileId::Log));
    let again = open(&Arc::new(Guarded { memory: left, ..Guarded::default() }), false);
    assert_eq!(again.recovery().replayed_commits, 0);
    assert!(get(&again, 1999).unwrap());
    db.close().unwrap();
    assert_eq!(db.resume().unwrap_err(), Error::Closed);
    assert_eq!(db.suspend().unwrap_err(), Error::Closed);
}

#[test]
fn files_that_another_process_has_written_to_are_not_gone_on_with() {
    for deleted_log in [false, true] {
        let storage = Arc::new(Guarded::default());
        let db = open(&storage, true);
        fill(&db, 0..100);
        db.suspend().unwrap();
        if deleted_log {
            storage.memory.set_len(FileId::Log, 0).unwrap();
        } else {
            let other = open(&storage, false);
            fill(&other, 100..101);
            other.close().unwrap();
        }
        let error = db.resume().unwrap_err();
        assert!(error.to_string().contains("another process has written"), "{error}");
        assert_eq!(db.transaction(|tx| tx.table(T)?.put(1, b"no")).unwrap_err().name(), "Poisoned");
        assert_eq!(db.resume().unwrap_err().name(), "Poisoned");
    }
}

#[test]
fn live_results_and_feeds_go_on() {
    let storage = Arc::new(Guarded::default());
    let db = open(&storage, true);
    let people = db.collection::<Value>("people", Schema::key("id")).unwrap();
    let person = |id: u64| Value::Map(vec![("id".into(), id.into())]);
    (0..50).for_each(|id| people.put(&person(id)).unwrap());
    let mut live = people.watch(Query::new()).unwrap();
    assert_eq!(live.try_next_cbor().unwrap().unwrap().added.len(), 50);
    let mut feed = db.changes(Since::Now).unwrap();
    people.put(&person(50)).unwrap();
    let told = Arc::new(AtomicU8::new(0));
    db.suspend().unwrap();
    storage.refuse(1);
    db.trim_memory(Trim::All);
    assert_eq!(live.try_next_cbor().unwrap(), None, "it cannot be read now");
    assert!(feed.next().map(drop).unwrap_err().is_suspended());
    let seen = Arc::clone(&told);
    live.on_ready(move || {
        seen.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(told.load(Ordering::SeqCst), 0);
    storage.refuse(0);
    db.resume().unwrap();
    assert_eq!(told.load(Ordering::SeqCst), 1, "whoever was refused is told to look again");
    assert_eq!(live.try_next_cbor().unwrap().unwrap().added.len(), 1);
    assert!(feed.next().unwrap().is_some());
    people.put(&person(51)).unwrap();
    assert_eq!(live.try_next_cbor().unwrap().unwrap().added.len(), 1);
    assert!(feed.next().unwrap().is_some());
}

/// As under the data protection of a phone that was locked.
#[test]
fn files_that_are_locked_away_are_an_error_that_passes_and_no_damage() {
    let storage = Arc::new(Guarded::default());
    let db = open(&storage, false);
    fill(&db, 0..2000);
    db.checkpoint().unwrap();
    db.trim_memory(Trim::All);
    storage.refuse(2);
    for _ in 0..3 {
        let error = get(&db, 6).unwrap_err();
        assert_eq!((error.name(), error.number(), error.is_retryable()), ("ProtectedDataUnavailable", 30, true));
        assert!(error.to_string().contains("unlocked"), "{error}");
    }
    let mut rows = db.snapshot().table(T).map(|table| table.range(..).map(drop));
    assert!(rows.as_mut().is_err() || rows.is_ok_and(|rows| rows.is_err()));
    let refused = db.check().unwrap_err();
    assert_eq!(refused.name(), "ProtectedDataUnavailable", "{refused}");
    storage.refuse(0);
    assert!(get(&db, 6).unwrap());
    assert_eq!((db.stats().quarantined, db.stats().damaged), (0, false));
    fill(&db, 3000..3001);
    db.compact().unwrap();
    assert_eq!(db.check().unwrap().problems, Vec::<String>::new());

    // A commit that was refused with nothing of it written is refused, not unknown, and writing goes on when it may.
    storage.refuse(2);
    let refused = db.transaction(|tx| tx.table(T)?.put(4000, b"no")).unwrap_err();
    assert_eq!(refused.name(), "ProtectedDataUnavailable", "{refused}");
    storage.refuse(0);
    assert!(!get(&db, 4000).unwrap());
    fill(&db, 4001..4002);
    db.close().unwrap();
    assert_eq!(open(&storage, false).check().unwrap().problems, Vec::<String>::new());

    // Opening refuses likewise, and nothing is changed by it.
    storage.refuse(2);
    let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
    let refused =
        Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, env, Options::default()).unwrap_err();
    assert_eq!(refused.name(), "ProtectedDataUnavailable");
}

#[test]
fn memory_is_given_back_and_read_again() {
    let storage = Arc::new(Guarded::default());
    let db = open(&storage, false);
    fill(&db, 0..20_000);
    db.checkpoint().unwrap();
    let empty = db.trim_memory(Trim::All);
    assert_eq!(db.stats().cache_nodes, 0);
    (0..20_000).step_by(7).for_each(|key| assert!(get(&db, key).unwrap()));
    let held = db.stats().cache_bytes + db.stats().memtable_bytes;
    assert!(held > empty + (1 << 20), "{held} {empty}");
    // All was read, so moderation takes nothing at first.
    assert_eq!(db.trim_memory(Trim::Moderate), held);
    (0..1000).for_each(|key| assert!(get(&db, key).unwrap()));
    let lately = db.trim_memory(Trim::Moderate);
    assert!(lately < held && lately > empty, "{empty} {lately} {held}");
    let misses = db.stats().cache_misses;
    (0..1000).for_each(|key| assert!(get(&db, key).unwrap()));
    assert_eq!(db.stats().cache_misses, misses, "what was read lately stays");
    fill(&db, 0..1000);
    assert!(db.stats().memtable_bytes > 0);
    db.trim_memory(Trim::All);
    while db.step().unwrap() == crate::Progress::More {}
    assert_eq!(db.stats().memtable_bytes, 0, "what was written is merged");
    assert_eq!(db.trim_memory(Trim::All), empty);
    assert!(get(&db, 19_999).unwrap());
}
