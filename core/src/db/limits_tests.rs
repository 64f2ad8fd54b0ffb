//! What a database gives at most, on memory, by a clock that is set by hand.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use std::boxed::Box;
use std::sync::Mutex;

use super::*;
use crate::engine::{Durability, Environment, Limits, Mode, Progress, Severity};
use crate::env::{FileId, HandSet, MemoryStorage, SeededEntropy, Storage, StorageError, StorageErrorKind, Sync};
use crate::error::{Error, Result};
use crate::limit::Limit;
use crate::table::Table;

const T: Table<u64, &[u8]> = Table::new("t");
const KEYS: u64 = 3000;

type Hook = Box<dyn FnOnce() + Send>;

/// Memory that does something before the next node is read.
#[derive(Default)]
struct Hooked {
    memory: MemoryStorage,
    before_read: Mutex<Option<Hook>>,
    /// Reads of the data file fail.
    reads_fail: AtomicBool,
    /// What is appended to the log is written, and fails.
    appends_fail: AtomicBool,
    /// There is no room for anything.
    is_full: AtomicBool,
}

fn failed(file: FileId, offset: u64, len: usize) -> StorageError {
    StorageError::new(StorageErrorKind::Other, file, offset, len as u64, "the cable is loose")
}

impl Storage for Hooked {
    fn name(&self) -> alloc::string::String {
        self.memory.name()
    }
    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.memory.len(file)
    }
    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.memory.set_len(file, len)
    }
    fn read_at(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        let hook = self.before_read.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        if file == FileId::Data && self.reads_fail.load(Ordering::Relaxed) {
            return Err(failed(file, offset, buffer.len()));
        }
        self.memory.read_at(file, offset, buffer)
    }
    fn write_at(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        // A short mark overwrites what a failed append has left.
        if (file == FileId::Data || bytes.len() > 4096) && self.is_full.load(Ordering::Relaxed) {
            return Err(StorageError::new(StorageErrorKind::Full, file, offset, bytes.len() as u64, "no room"));
        }
        self.memory.write_at(file, offset, bytes)?;
        // What overwrites a failed append is a short mark.
        if file == FileId::Log && bytes.len() > 4096 && self.appends_fail.load(Ordering::Relaxed) {
            return Err(failed(file, offset, bytes.len()));
        }
        Ok(())
    }
    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.memory.sync(file)
    }
}

struct World {
    storage: Arc<Hooked>,
    clock: Arc<HandSet>,
    db: Database,
}

fn world(change: impl FnOnce(&mut Limits)) -> World {
    let (storage, clock) = (Arc::new(Hooked::default()), Arc::new(HandSet::default()));
    let env = Environment { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(7)) };
    let mut limits = Limits { transaction_ms_max: 1000, snapshot_ms_max: 1000, ..Limits::default() };
    change(&mut limits);
    let options = Options {
        memory_budget_bytes: 2 << 20,
        memtable_bytes: Some(32 << 10),
        log_segment_bytes: 64 << 10,
        durability: Durability::Relaxed,
        background_thread: false,
        limits,
        ..Options::default()
    };
    let db = Database::open_storage(storage.clone(), env, options).unwrap();
    World { storage, clock, db }
}

fn value(key: u64, round: u64) -> Vec<u8> {
    alloc::format!("value {key} of round {round} {}", key.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes()
}

impl World {
    /// Writes every key anew and makes that the base.
    fn write(&self, round: u64) {
        write(&self.db, round);
    }

    fn pass_ms(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }
}

fn write(db: &Database, round: u64) {
    for part in 0..KEYS / 100 {
        let write = |tx: &mut WriteTransaction| {
            let mut table = tx.table(T)?;
            (part * 100..(part + 1) * 100).try_for_each(|key| table.put(key, value(key, round).as_slice()))
        };
        db.transaction(write).unwrap();
    }
    db.checkpoint().unwrap();
}

/// What is read of every key: how many were right; the others are refused, because the snapshot has expired.
fn read(snapshot: &Snapshot, round: u64) -> Result<u64> {
    let table = snapshot.table(T)?;
    for key in 0..KEYS {
        assert_eq!(table.get(key)?.unwrap().bytes(), value(key, round), "key {key} of round {round}");
    }
    Ok(KEYS)
}

fn limit_of(result: Result<impl core::fmt::Debug>) -> Limit {
    match result {
        Err(Error::LimitReached { limit, .. } | Error::SnapshotExpired { limit, .. }) => limit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_snapshot_expires_when_others_took_its_place_for_too_long_and_gives_its_space_back() {
    let world = world(|_| {});
    let db = &world.db;
    world.write(0);
    let snapshot = db.snapshot();
    world.pass_ms(5000);
    assert_eq!(read(&snapshot, 0), Ok(KEYS), "it is the newest state, and pins nothing");
    let mut cursor = snapshot.table(T).unwrap().cursor(..).unwrap();
    cursor.first().unwrap();
    for round in 1..5 {
        world.write(round);
    }
    world.pass_ms(999);
    db.checkpoint().unwrap();
    assert_eq!(read(&snapshot, 0), Ok(KEYS));
    let stats = db.stats();
    assert!((stats.snapshots, stats.snapshot_oldest_ms) >= (1, 999), "{stats:?}");
    assert!(stats.snapshot_pinned_bytes > KEYS * 20, "{stats:?}");

    world.pass_ms(1);
    while db.step().unwrap() == Progress::More {}
    assert_eq!(limit_of(read(&snapshot, 0)), Limit::SnapshotAge);
    let end = loop {
        match cursor.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the cursor saw everything"),
            Err(error) => break error,
        }
    };
    assert_eq!(end.name(), "SnapshotExpired");
    assert!(!end.is_retryable());
    assert_eq!(
        alloc::format!("{end}"),
        "the snapshot has expired: what it sees was replaced 1000 ms ago, and is kept for 1000; take another, and hold it no \
         longer than needed (snapshot_ms_max)"
    );
    assert_eq!(limit_of(snapshot.table(T).map(drop)), Limit::SnapshotAge);
    let stats = db.stats();
    assert_eq!((stats.snapshots, stats.snapshot_pinned_bytes, stats.snapshots_expired), (0, 0, 1));

    // As long as the handle is held, nothing is kept for it: the file stays as it is.
    let mut file_bytes = 0;
    for round in 5..20 {
        world.write(round);
        file_bytes = file_bytes.max(db.stats().file_bytes);
    }
    for round in 20..40 {
        world.write(round);
        assert_eq!(read(&db.snapshot(), round), Ok(KEYS));
    }
    assert!(db.stats().file_bytes <= file_bytes, "{} bytes, {file_bytes} before", db.stats().file_bytes);
    assert_eq!(limit_of(read(&snapshot, 0)), Limit::SnapshotAge);
    assert!(db.check().unwrap().is_clean());
    assert_eq!(db.stats().quarantined, 0);
}

#[test]
fn what_an_expired_snapshot_sees_is_kept_until_no_read_is_inside() {
    let world = world(|_| {});
    world.write(0);
    let snapshot = world.db.snapshot();
    world.write(1);
    // Nothing is resident: the next node comes from storage, and before it is read everything changes under it.
    world.db.trim_memory(Trim::All);
    let (db, clock) = (world.db.clone(), world.clock.clone());
    *world.storage.before_read.lock().unwrap() = Some(Box::new(move || {
        clock.0.fetch_add(1000, Ordering::Relaxed);
        for round in 2..12 {
            write(&db, round);
        }
    }));
    assert_eq!(limit_of(read(&snapshot, 0)), Limit::SnapshotAge);
    assert!(world.storage.before_read.lock().unwrap().is_none(), "something was read");
    assert_eq!(world.db.stats().quarantined, 0, "what the read has found was what it was to find");
    assert_eq!(read(&world.db.snapshot(), 11), Ok(KEYS), "and it left nothing in the cache that is not so");
    world.write(12);
    assert_eq!(world.db.stats().snapshot_pinned_bytes, 0);
    assert!(world.db.check().unwrap().is_clean());
}

#[test]
fn values_of_their_own_and_scrubs_and_backups_end_with_their_snapshot() {
    let world = world(|_| {});
    let db = &world.db;
    let long = alloc::vec![7u8; 300_000];
    db.table(T).unwrap().put(1, long.as_slice()).unwrap();
    world.write(0);
    db.table(T).unwrap().put(1, long.as_slice()).unwrap();
    db.checkpoint().unwrap();
    let snapshot = db.snapshot();
    let mut blob = snapshot.table(T).unwrap().reader(1).unwrap().unwrap();
    let mut part = [0; 100];
    assert_eq!(blob.read(&mut part).unwrap(), 100);
    let (mut scrub, mut backup) = (db.scrub(), db.backup());
    assert!(scrub.step(1).unwrap());
    assert!(backup.step().unwrap());
    world.write(1);
    world.pass_ms(1000);
    for round in 2..6 {
        world.write(round);
    }
    assert_eq!(limit_of(blob.read_at(200_000, &mut part)), Limit::SnapshotAge);
    assert_eq!(limit_of(scrub.step(1)), Limit::SnapshotAge);
    assert!(scrub.report().is_clean(), "{:?}", scrub.report());
    let end = loop {
        match backup.next() {
            Ok(Some(_)) => {}
            other => break other.map(drop),
        }
    };
    assert_eq!(limit_of(end), Limit::SnapshotAge);
    assert_eq!(db.stats().quarantined, 0);
}

#[test]
fn of_too_many_states_that_are_held_the_oldest_expires() {
    let world = world(|limits| limits.snapshots_max = 16);
    let db = &world.db;
    let mut snapshots = Vec::new();
    for round in 0..17 {
        world.write(round);
        snapshots.push(db.snapshot());
    }
    assert_eq!(db.stats().snapshots, 16);
    assert_eq!(read(&snapshots[0], 0), Ok(KEYS));
    world.write(17);
    while db.step().unwrap() == Progress::More {}
    assert_eq!(limit_of(read(&snapshots[0], 0)), Limit::Snapshots);
    assert_eq!(read(&snapshots[1], 1), Ok(KEYS));
    assert_eq!(db.stats().snapshots, 16);
}

#[test]
fn interactive_transactions_beyond_the_limit_are_refused_until_others_end() {
    let world = world(|limits| limits.transactions_max = 2);
    let db = &world.db;
    world.write(0);
    let mut open = [db.begin(Isolation::Serializable), db.begin(Isolation::Serializable)];
    assert_eq!(db.stats().transactions, 2);
    let mut refused = db.begin(Isolation::Serializable);
    assert_eq!(limit_of(refused.table(T).map(drop)), Limit::Transactions);
    assert_eq!(limit_of(refused.commit()), Limit::Transactions);
    assert!(refused.commit().unwrap_err().is_retryable());
    assert_eq!(
        alloc::format!("{}", refused.commit().unwrap_err()),
        "2 interactive transactions are open, which is the limit; commit or drop some, then begin this one again \
         (transactions_max)"
    );
    open[0].table(T).unwrap().put(1, value(1, 9).as_slice()).unwrap();
    open[0].commit().unwrap();
    drop(refused);
    assert_eq!(db.stats().transactions, 1);
    let mut third = db.begin(Isolation::Serializable);
    third.table(T).unwrap().put(2, value(2, 9).as_slice()).unwrap();
    third.commit().unwrap();
}

#[test]
fn a_transaction_ends_after_its_time() {
    let world = world(|_| {});
    let db = &world.db;
    let mut open = db.begin(Isolation::Serializable);
    open.table(T).unwrap().put(1, [1].as_slice()).unwrap();
    world.pass_ms(1000);
    let ended = open.table(T).unwrap().put(2, [2].as_slice());
    assert_eq!(ended, Err(Error::TransactionTimeout { limit_ms: 1000 }));
    let result = db.transaction(|tx| {
        world.pass_ms(1000);
        tx.table(T)?.put(1, [1].as_slice())
    });
    assert_eq!(result, Err(Error::TransactionTimeout { limit_ms: 1000 }));
}

#[test]
fn a_transaction_that_idles_beyond_its_time_commits_nothing_and_holds_nobody_up() {
    let world = world(|limits| limits.transactions_max = 2);
    let db = &world.db;
    world.write(0);
    let table = db.table(T).unwrap();
    let timeout = Err(Error::TransactionTimeout { limit_ms: 1000 });
    let locked = |key: u64| {
        let mut open = db.begin(Isolation::ReadCommitted);
        let mut rows = open.table(T).unwrap();
        assert_eq!(rows.get_for_update(key).unwrap().unwrap().bytes(), value(key, 0));
        rows.put(key, [9].as_slice()).unwrap();
        open
    };
    let mut idle = [locked(1), locked(2)];
    world.pass_ms(1000);
    // It writes, locks or deletes what they have locked, and as many more can begin.
    table.put(1, [1].as_slice()).unwrap();
    table.delete_range(2..3).unwrap();
    let mut third = locked(3);
    assert_eq!(idle.each_mut().map(Transaction::commit), [timeout.clone(), timeout.clone()]);
    assert_eq!(idle[0].table(T).unwrap().get(1).map(drop), timeout);
    third.commit().unwrap();
    assert_eq!(db.stats().transactions, 0);
    assert_eq!([1, 2, 3].map(|key| table.get(key).unwrap()), [Some(Vec::from([1])), None, Some(Vec::from([9]))]);
    // One that comes to its commit in time, and to the writer lock too late, has lost its rows as well.
    let mut late = locked(4);
    world.pass_ms(1000);
    table.put(4, [4].as_slice()).unwrap();
    late.end_after(u64::MAX / 2, 0);
    assert_eq!(late.commit(), Err(Error::TransactionTimeout { limit_ms: 0 }));
    assert_eq!(table.get(4).unwrap(), Some(Vec::from([4])));
}

#[test]
fn a_transaction_may_be_given_less_than_the_memory_budget_allows() {
    let world = world(|limits| limits.transaction_bytes_max = Some(10_000));
    let result = world.db.transaction(|tx| tx.table(T)?.put(1, [0; 8000].as_slice()));
    assert_eq!(result, Ok(()));
    let result = world.db.transaction(|tx| {
        let mut table = tx.table(T)?;
        (0..20).try_for_each(|key| table.put(key, [0; 1000].as_slice()))
    });
    assert_eq!(result.unwrap_err().name(), "LimitExceeded");
    assert_eq!(world.db.limits().transaction_bytes_max, Some(10_000));
}

fn names(db: &Database) -> Vec<&'static str> {
    db.health().findings.iter().map(|finding| finding.name).collect()
}

#[test]
fn a_mode_decides_who_writes_and_everybody_reads() {
    let world = world(|_| {});
    let db = &world.db;
    world.write(0);
    let table = db.table(T).unwrap();
    let put = |key| table.put(key, value(key, 1).as_slice());
    assert_eq!(names(db), [""; 0]);

    let mut begun = db.begin(Isolation::Serializable);
    begun.table(T).unwrap().put(1, value(1, 1).as_slice()).unwrap();
    put(5).unwrap();
    db.set_mode(Mode::ReadOnly).unwrap();
    assert_eq!(put(2), Err(Error::ReadOnly));
    assert_eq!(db.transaction(|_| Ok(())), Err(Error::ReadOnly));
    assert_eq!(begun.commit(), Err(Error::ReadOnly));
    assert_eq!(table.get(2).unwrap().unwrap(), value(2, 0));
    db.checkpoint().unwrap();
    assert_eq!((db.stats().memtable_entries, names(db)), (0, Vec::from(["mode"])));
    assert!(db.health().is_well());

    db.set_mode(Mode::Maintenance).unwrap();
    let refused = put(2).unwrap_err();
    assert_eq!((refused.name(), refused.is_retryable()), ("Unavailable", true));
    assert_eq!(alloc::format!("{refused}"), "the database is under maintenance; try again later");
    let mut later = db.begin(Isolation::Serializable);
    assert_eq!(later.table(T).map(drop).unwrap_err().name(), "Unavailable");
    assert_eq!(later.commit().unwrap_err().name(), "Unavailable");
    assert_eq!(db.stats().transactions, 1);
    begun.commit().unwrap();
    assert!(db.check().unwrap().is_clean());
    db.compact().unwrap();
    let mut backup = db.backup();
    while backup.next().unwrap().is_some() {}

    db.set_mode(Mode::Normal).unwrap();
    put(2).unwrap();
    assert_eq!(table.get(1).unwrap().unwrap(), value(1, 1));
    assert_eq!((db.mode(), names(db)), (Mode::Normal, Vec::new()));
}

#[test]
fn a_mode_waits_for_whoever_writes_and_is_no_deadlock_for_a_writer_that_sets_it() {
    let world = world(|_| {});
    let result = world.db.transaction(|_| world.db.set_mode(Mode::ReadOnly));
    assert_eq!(result.unwrap_err().name(), "Invalid");
    assert_eq!(world.db.mode(), Mode::Normal);
}

#[test]
fn no_more_backups_are_made_at_once_than_the_limit_allows() {
    let world = world(|limits| limits.backups_max = 1);
    let db = &world.db;
    world.write(0);
    let mut first = db.backup();
    let mut second = db.backup();
    assert_eq!(limit_of(second.next()), Limit::Backups);
    assert_eq!(
        alloc::format!("{}", second.step().unwrap_err()),
        "1 backups or increments are being made, which is the limit; begin this one again when another is done (backups_max)"
    );
    assert_eq!(limit_of(db.increment(first.position()).unwrap().next()), Limit::Backups);
    assert!(first.next().unwrap().is_some());
    drop(first);
    assert!(db.backup().next().unwrap().is_some());
}

#[test]
fn no_more_live_results_are_followed_than_the_limit_allows() {
    let world = world(|limits| limits.watches_max = 2);
    let documents = world.db.collection::<crate::Value>("documents", crate::Schema::key("id")).unwrap();
    let watch = || documents.watch(crate::Query::new());
    let first = watch().unwrap();
    let _second = watch().unwrap();
    assert_eq!(limit_of(watch().map(drop)), Limit::Watches);
    drop(first);
    watch().unwrap();
}

#[test]
fn writers_owe_what_they_wrote_too_fast() {
    let world = world(|limits| limits.write_bytes_per_s = Some(1000));
    let table = world.db.table(T).unwrap();
    let fill = |key: u64| -> Result<()> { (0..100).try_for_each(|more| table.put(key + more, [0; 100].as_slice())) };
    world.pass_ms(1);
    let error = fill(0).unwrap_err();
    assert_eq!(limit_of(Err::<(), _>(error.clone())), Limit::WriteRate);
    assert!(error.is_retryable());
    assert!(table.put(1, [1].as_slice()).is_err());
    world.pass_ms(1000);
    table.put(1, [1].as_slice()).unwrap();
    assert!(fill(0).is_err());
    let written = world.db.stats().log_bytes_written;
    for _ in 0..100 {
        world.pass_ms(100);
        while table.put(1, [1].as_slice()).is_ok() {}
    }
    let rate = (world.db.stats().log_bytes_written - written) / 10;
    assert!((900..1100).contains(&rate), "{rate} bytes a second");
}

#[test]
fn reads_that_keep_failing_are_refused_for_a_while_and_harm_nothing_that_can_be_read_again() {
    let world = world(|_| {});
    let db = &world.db;
    // Each has a leaf of its own, and all together are in several places.
    let long = |key: u64| -> Vec<u8> {
        let mut bits = key + 1;
        let mut next = || {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            bits as u8
        };
        (0..7000).map(|_| next()).collect()
    };
    for key in 0..100 {
        db.table(T).unwrap().put(key, long(key).as_slice()).unwrap();
    }
    db.checkpoint().unwrap();
    db.trim_memory(Trim::All);
    let snapshot = db.snapshot();
    let table = snapshot.table(T).unwrap();
    let read = |key: u64| table.get(key).map(|found| assert_eq!(found.unwrap().bytes(), long(key)));
    read(0).unwrap();
    world.storage.reads_fail.store(true, Ordering::Relaxed);
    // One bad place alone is damage, and nothing is refused for it.
    assert!((0..50).all(|_| read(1).unwrap_err().name() == "StorageFailed"));
    let errors: Vec<_> = (1..100).filter_map(|key| read(key).err()).collect();
    assert!(errors.len() > 90, "{}", errors.len());
    assert_eq!(errors[0].name(), "StorageFailed");
    let last = errors.last().unwrap();
    assert_eq!((last.name(), last.is_retryable()), ("Unavailable", true), "{last}");
    assert!(alloc::format!("{last}").ends_with("try again in 1000 ms"), "{last}");
    let health = db.health();
    assert_eq!(health.severity(), Some(Severity::Critical));
    assert!(names(db).contains(&"reads-failing"), "{health:?}");
    let quarantined = db.stats().quarantined;
    assert!((5..=60).contains(&quarantined), "{quarantined}: no more than were tried");

    world.storage.reads_fail.store(false, Ordering::Relaxed);
    assert_eq!(read(50).unwrap_err().name(), "Unavailable");
    world.pass_ms(1000);
    (0..100).for_each(|key| read(key).unwrap());
    while db.step().unwrap() == Progress::More {}
    assert_eq!((db.stats().quarantined, db.stats().damaged, names(db)), (0, false, Vec::new()));
}

#[test]
fn appends_that_keep_failing_are_refused_for_a_while() {
    let world = world(|_| {});
    let db = &world.db;
    world.write(0);
    let long = [7; 6000];
    let put = |key| db.table(T).unwrap().put(key, long.as_slice());
    put(1).unwrap();
    world.storage.appends_fail.store(true, Ordering::Relaxed);
    for attempt in 0..5 {
        world.pass_ms(1);
        assert_eq!(put(2).unwrap_err().name(), "StorageFailed", "attempt {attempt}");
    }
    let refused = put(2).unwrap_err();
    assert_eq!((refused.name(), refused.is_retryable()), ("Unavailable", true));
    assert_eq!(
        alloc::format!("{refused}"),
        "writing to the log keeps failing, and is not tried for a while; try again in 1000 ms"
    );
    assert!(names(db).contains(&"writes-failing"));
    assert_eq!(db.table(T).unwrap().get(1).unwrap().unwrap(), long, "reading goes on");
    world.pass_ms(1000);
    assert_eq!(put(2).unwrap_err().name(), "StorageFailed");
    assert_eq!(alloc::format!("{}", put(2).unwrap_err()), alloc::format!("{refused}").replace("1000", "2000"));
    world.storage.appends_fail.store(false, Ordering::Relaxed);
    world.pass_ms(2000);
    put(2).unwrap();
    put(3).unwrap();
    assert_eq!(names(db), [""; 0]);
}

#[test]
fn what_was_acknowledged_survives_a_shutdown_and_nothing_is_written_after() {
    let world = world(|_| {});
    let db = world.db.clone();
    world.write(0);
    let table = db.table(T).unwrap();
    table.put(1, value(1, 1).as_slice()).unwrap();
    let mut begun = db.begin(Isolation::Serializable);
    begun.table(T).unwrap().put(2, value(2, 1).as_slice()).unwrap();
    db.shut_down_now().unwrap();
    assert_eq!(table.put(2, value(2, 1).as_slice()), Err(Error::Closed));
    assert_eq!(begun.commit(), Err(Error::Closed));
    assert_eq!(db.step().map(drop), Err(Error::Closed));
    assert_eq!(db.checkpoint(), Err(Error::Closed));
    assert_eq!((db.close(), db.shut_down_now(), names(&db)), (Ok(()), Ok(()), Vec::from(["closed"])));
    let contents = FileId::ALL.map(|file| world.storage.memory.contents(file));
    drop(begun);
    let World { storage, clock, db: other } = world;
    drop((db, other));
    assert_eq!(FileId::ALL.map(|file| storage.memory.contents(file)), contents);

    let env = Environment { clock, entropy: Arc::new(SeededEntropy::new(8)) };
    let db = Database::open_storage(storage, env, Options { background_thread: false, ..Options::default() }).unwrap();
    assert!(!db.recovery().clean);
    let table = db.table(T).unwrap();
    assert_eq!((table.get(1).unwrap().unwrap(), table.get(2).unwrap().unwrap()), (value(1, 1), value(2, 0)));
}

#[test]
fn health_tells_of_snapshots_and_transactions_before_they_end() {
    let world = world(|limits| {
        limits.transactions_max = 10;
        limits.snapshot_ms_max = 10_000;
    });
    let db = &world.db;
    world.write(0);
    let snapshot = db.snapshot();
    world.write(1);
    assert_eq!(names(db), [""; 0]);
    world.pass_ms(5000);
    let _open: Vec<_> = (0..9).map(|_| db.begin(Isolation::Serializable)).collect();
    let health = db.health();
    assert_eq!(names(db), ["snapshot-old", "transactions-nearly-too-many"]);
    assert_eq!(health.severity(), Some(Severity::Warning));
    assert!(!health.is_well());
    let pinned = db.stats().snapshot_pinned_bytes;
    let expected = alloc::format!("the oldest 5000 ms ago; {pinned} bytes cannot be used again because of them");
    assert!(health.findings[0].cause.ends_with(&expected), "{health:?}");
    drop(snapshot);
    assert_eq!(names(db), ["transactions-nearly-too-many"]);
}

#[test]
fn health_tells_of_a_full_file_a_full_log_and_a_poisoned_writer() {
    let world = world(|limits| limits.file_bytes_max = 1 << 20);
    let db = &world.db;
    let mut refused = Ok(());
    for key in 0..2000 {
        refused = db.table(T).unwrap().put(key, [key as u8; 4000].as_slice());
        if refused.is_err() {
            break;
        }
    }
    assert!(refused.is_err());
    let health = db.health();
    assert!(names(db).contains(&"file-nearly-full"), "{health:?}");
    assert!(names(db).contains(&"background-failing"), "{health:?}");
    db.shared.engine.pretend_log_is_full();
    assert!(names(db).contains(&"log-nearly-full"), "{health:?}");
    db.shared.engine.complete_sync(crate::env::SyncTicket(1), Err("the medium is gone".into()));
    let health = db.health();
    assert_eq!((health.findings[0].name, health.findings[0].severity), ("poisoned", Severity::Critical));
    assert!(health.findings[0].cause.contains("the medium is gone"), "{health:?}");
}

#[test]
fn health_tells_of_a_suspended_database_and_of_one_that_has_no_room() {
    let world = world(|_| {});
    let db = &world.db;
    world.write(0);
    db.suspend().unwrap();
    let health = db.health();
    assert_eq!((names(db), health.severity()), (Vec::from(["suspended"]), Some(Severity::Notice)));
    assert!(health.is_well() && health.findings[0].remedy == "resume it", "{health:?}");
    db.resume().unwrap();
    assert_eq!(names(db), [""; 0]);

    // Of a commit, and of background work.
    let table = db.table(T).unwrap();
    world.storage.is_full.store(true, Ordering::Relaxed);
    assert_eq!(table.put(1, [7; 6000].as_slice()).unwrap_err().name(), "StorageFull");
    let health = db.health();
    assert_eq!((names(db), health.severity()), (Vec::from(["storage-full"]), Some(Severity::Critical)));
    assert!(health.findings[0].cause.starts_with("there is no room: "), "{health:?}");
    world.storage.is_full.store(false, Ordering::Relaxed);
    table.put(1, [7; 6000].as_slice()).unwrap();
    assert_eq!(names(db), [""; 0]);
    world.storage.is_full.store(true, Ordering::Relaxed);
    assert_eq!(db.checkpoint().unwrap_err().name(), "StorageFull");
    assert_eq!(names(db), ["storage-full"]);
    world.storage.is_full.store(false, Ordering::Relaxed);
    db.checkpoint().unwrap();
    assert_eq!(names(db), [""; 0]);
}

#[test]
fn health_tells_of_a_scrub_that_is_late_or_fails() {
    let world = world(|_| {});
    let db = &world.db;
    world.write(0);
    let engine = &db.shared.engine;
    engine.scrubs.expect(engine.env.clock.monotonic_ns() + 5_000_000_000);
    let mut scrub = db.scrub();
    assert!(scrub.step(1).unwrap());
    world.pass_ms(5000);
    assert_eq!(names(db), [""; 0]);
    world.pass_ms(3000);
    let health = db.health();
    assert_eq!((names(db), health.severity()), (Vec::from(["scrub-overdue"]), Some(Severity::Warning)));
    let stats = db.stats();
    let expected = alloc::format!(
        "verifying everything stored is 3 s late; {} bytes of {} are done",
        stats.scrub_bytes,
        stats.scrub_bytes_all
    );
    assert_eq!(health.findings[0].cause, expected);
    engine.scrubs.expect(u64::MAX);
    assert_eq!(names(db), [""; 0]);

    world.storage.reads_fail.store(true, Ordering::Relaxed);
    let error = scrub.step(1).unwrap_err();
    let health = db.health();
    let failing = health.findings.iter().find(|finding| finding.name == "scrub-failing").unwrap();
    assert_eq!(failing.severity, Severity::Warning);
    assert_eq!(failing.cause, alloc::format!("verifying everything stored has failed: {error}"));
    world.storage.reads_fail.store(false, Ordering::Relaxed);
    let mut scrub = db.scrub();
    while scrub.step(100).unwrap() {}
    assert_eq!(names(db), [""; 0]);
}

#[test]
fn where_nobody_may_wait_reads_that_are_too_many_are_refused_and_go_on_where_they_were() {
    let world = world(|limits| limits.read_bytes_per_s = Some(20_000));
    let db = &world.db;
    world.pass_ms(1);
    let refused = core::cell::Cell::new(0);
    let patiently = |what: &mut dyn FnMut() -> Result<()>| {
        while let Err(error) = what() {
            assert_eq!(limit_of(Err::<(), _>(error.clone())), Limit::ReadRate);
            assert!(error.is_retryable() && error.name() == "LimitReached");
            refused.set(refused.get() + 1);
            assert!(refused.get() < 10_000, "it never ends");
            world.pass_ms(100);
        }
    };
    for part in 0..KEYS / 100 {
        patiently(&mut || {
            db.transaction(|tx| {
                let mut table = tx.table(T)?;
                (part * 100..(part + 1) * 100).try_for_each(|key| table.put(key, value(key, 0).as_slice()))
            })
        });
    }
    patiently(&mut || db.checkpoint());
    db.trim_memory(Trim::All);
    let snapshot = db.snapshot();
    let (table, mut key) = (snapshot.table(T).unwrap(), 0);
    let began_ms = world.clock.0.load(Ordering::Relaxed);
    patiently(&mut || {
        while key < KEYS {
            assert_eq!(table.get(key)?.unwrap().bytes(), value(key, 0));
            key += 1;
        }
        Ok(())
    });
    let stored = db.stats().node_bytes_written;
    let took_ms = world.clock.0.load(Ordering::Relaxed) - began_ms;
    assert!(refused.get() > 10 && took_ms > 1000, "refused {refused:?} times in {took_ms} ms, {stored} bytes of nodes");
    let mut scrub = db.scrub();
    patiently(&mut || {
        while scrub.step(3)? {}
        Ok(())
    });
    assert!(scrub.report().is_clean());
    assert_eq!((db.stats().quarantined, db.stats().damaged), (0, false));
    patiently(&mut || db.compact());
    assert_eq!(names(db), [""; 0]);
}

#[test]
fn all_transactions_together_fill_no_more_memory_than_is_allowed() {
    let world = world(|limits| {
        limits.transaction_bytes_max = Some(300 << 10);
        limits.transactions_bytes_max = Some(1);
    });
    let db = &world.db;
    let allowed = db.limits().transactions_bytes_max.unwrap();
    assert_eq!(allowed, 600 << 10, "at least two can be as large as they may");
    let long = alloc::vec![7u8; 1000];
    db.table(T).unwrap();
    let fill = |tx: &mut WriteTransaction, from: u64, count: u64| -> Result<()> {
        let mut table = tx.table(T)?;
        (from..from + count).try_for_each(|key| table.put(key, long.as_slice()))
    };
    let mut open: Vec<_> = (0..4).map(|_| db.begin(Isolation::Snapshot)).collect();
    let results: Vec<_> = open.iter_mut().enumerate().map(|(at, tx)| fill(tx, at as u64 * 1000, 250)).collect();
    assert!(results[0].is_ok() && results[1].is_ok(), "{results:?}");
    let refused = results.into_iter().find_map(Result::err).unwrap();
    assert_eq!(limit_of(Err::<(), _>(refused.clone())), Limit::TransactionMemory);
    assert!(refused.is_retryable());
    assert!(db.shared.engine.transaction_memory.taken() <= allowed);
    // One that is small asks for nothing.
    db.table(T).unwrap().put(9000, long.as_slice()).unwrap();
    open.truncate(1);
    open[0].commit().unwrap();
    drop(open);
    assert_eq!(db.shared.engine.transaction_memory.taken(), 0);
    db.transaction(|tx| fill(tx, 0, 250)).unwrap();

    // What is read is remembered for the commit.
    let mut reader = db.begin(Isolation::Serializable);
    let read = |reader: &mut Transaction, keys: u64| (0..keys).try_for_each(|key| reader.table(T)?.get(key).map(drop));
    read(&mut reader, 5000).unwrap();
    read(&mut reader, 5000).unwrap();
    assert!(db.shared.engine.transaction_memory.taken() > 300 << 10);
    assert_eq!(limit_of(read(&mut reader, 50_000)), Limit::TransactionMemory);
    let ranges = (0..50_000).try_for_each(|key| reader.table(T)?.count(key..key + 1).map(drop));
    assert_eq!(limit_of(ranges), Limit::TransactionMemory);
    drop(reader);
    // Deleted ranges are changes as well.
    let result = db.transaction(|tx| {
        let mut table = tx.table(T)?;
        (0..50_000).try_for_each(|key| table.delete_range(key * 3..key * 3 + 1))
    });
    assert_eq!(result.unwrap_err().name(), "LimitExceeded");
    assert_eq!(db.shared.engine.transaction_memory.taken(), 0);
}

#[test]
fn how_far_a_scrub_is_can_be_seen() {
    let world = world(|_| {});
    let db = &world.db;
    world.write(0);
    assert_eq!((db.stats().scrubs, db.stats().scrub_bytes), (0, 0));
    let mut scrub = db.scrub();
    assert!(scrub.step(1).unwrap());
    let stats = db.stats();
    assert!(0 < stats.scrub_bytes && stats.scrub_bytes * 2 < stats.scrub_bytes_all, "{stats:?}");
    while scrub.step(10).unwrap() {}
    let stats = db.stats();
    assert_eq!((stats.scrubs, stats.scrub_bytes), (1, stats.scrub_bytes_all));
    assert!(stats.scrub_bytes > KEYS * 20, "{stats:?}");
}
