//! The database from the outside, on memory.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::engine::{Durability, Environment, Limits, Progress};
use crate::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage, StorageError, Sync};
use crate::error::Error;
use crate::log::OperationWriter;
use crate::table::Table;

const T: Table<&[u8], &[u8]> = Table::new("t");
const NUMBERS: Table<u64, i64> = Table::new("numbers");

fn options() -> Options {
    Options {
        background_thread: false,
        memtable_bytes: Some(64 << 10),
        log_segment_bytes: 64 << 10,
        ..Options::default()
    }
}

fn env() -> Environment {
    Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) }
}

fn open(storage: &Arc<MemoryStorage>) -> Database {
    Database::open_storage(Arc::clone(storage) as Arc<dyn Storage>, env(), options()).unwrap()
}

/// What a killed process leaves.
pub(super) fn crashed(storage: &MemoryStorage) -> Arc<MemoryStorage> {
    Arc::new(MemoryStorage::with_contents(storage.contents(FileId::Data), storage.contents(FileId::Log)))
}

fn assert_holds(db: &Database, model: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let snapshot = db.snapshot();
    let table = snapshot.table(T).unwrap();
    let all: Vec<_> = table.range(..).unwrap().map(Result::unwrap).collect();
    let expected: Vec<_> = model.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_eq!(all.len(), expected.len());
    assert!(all == expected, "entries differ");
    let back: Vec<_> = table.range(..).unwrap().rev().map(Result::unwrap).collect();
    assert!(back.iter().eq(expected.iter().rev()));
    assert_eq!(table.len().unwrap(), model.len() as u64);
    let report = db.check().unwrap();
    assert!(report.is_clean(), "{:#?}", report.problems);
}

#[test]
fn what_is_put_is_found_after_merges_closing_and_crashes() {
    let storage = Arc::new(MemoryStorage::new());
    let mut model = BTreeMap::new();
    let db = open(&storage);
    let mut seed = 1u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        seed >> 33
    };
    for round in 0..60 {
        db.transaction(|tx| {
            let mut table = tx.table(T)?;
            for _ in 0..100 {
                let key = format!("key{:06}", random() % 20_000).into_bytes();
                if random() % 10 == 0 {
                    assert_eq!(table.delete(&key)?, model.remove(&key).is_some());
                } else {
                    let value = format!("value {round} {}", random()).repeat(3).into_bytes();
                    table.put(&key, &value)?;
                    model.insert(key, value);
                }
            }
            if round % 7 == 3 {
                let from = format!("key{:06}", random() % 20_000).into_bytes();
                let mut to = from.clone();
                to.extend_from_slice(b"\xff");
                to[5] = to[5].wrapping_add(1);
                table.delete_range(&from[..]..&to[..])?;
                model.retain(|key, _| *key < from || *key >= to);
            }
            Ok(())
        })
        .unwrap();
        if round % 10 == 9 {
            assert_holds(&db, &model);
        }
    }
    assert!(db.stats().flushes > 2, "merges happened");
    let reopened = open(&crashed(&storage));
    assert!(!reopened.recovery().clean);
    assert_holds(&reopened, &model);
    reopened.close().unwrap();

    db.close().unwrap();
    assert_eq!(storage.len(FileId::Log).unwrap(), 0, "the data file alone is the database");
    let reopened = open(&storage);
    assert!(reopened.recovery().clean);
    assert_holds(&reopened, &model);
    reopened.compact().unwrap();
    assert_holds(&reopened, &model);
}

/// Memory in which another thread's transaction comes between two calls that belong together.
#[derive(Debug)]
struct Meeting {
    memory: MemoryStorage,
    /// Questions for the data file's length until the other thread is let in.
    questions_left: AtomicUsize,
    let_in: Mutex<Option<(Sender<()>, Receiver<()>)>>,
    /// Whether the question it is let in at was answered before it came.
    answers_before: bool,
}

impl Storage for Meeting {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        self.memory.read_at(file, offset, buf)
    }
    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        self.memory.write_at(file, offset, buf)
    }
    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        let before = self.memory.len(file);
        if file == FileId::Data
            && self.questions_left.fetch_sub(1, Ordering::Relaxed) == 1
            && let Some((go, done)) = self.let_in.lock().unwrap().take()
        {
            go.send(()).unwrap();
            // As it should be, the other one waits for who asks here, and this wait is in vain.
            let _ = done.recv_timeout(core::time::Duration::from_millis(50));
        }
        if self.answers_before { before } else { self.memory.len(file) }
    }
    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.memory.set_len(file, len)
    }
    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.memory.sync(file)
    }
    fn name(&self) -> String {
        self.memory.name()
    }
}

#[test]
fn the_file_is_never_cut_below_a_value_that_is_written_meanwhile() {
    let (mut met, ways) = (0, (1..9).flat_map(|questions| [(questions, false), (questions, true)]));
    for (questions, answers_before) in ways {
        let storage = Arc::new(Meeting {
            memory: MemoryStorage::new(),
            questions_left: AtomicUsize::new(usize::MAX / 2),
            let_in: Mutex::default(),
            answers_before,
        });
        let db = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, env(), options()).unwrap();
        let fill = |round: u32| {
            db.transaction(|tx| {
                let mut table = tx.table(T)?;
                (0..200_u32).try_for_each(|i| table.put((i * 7 + round).to_be_bytes(), [round as u8; 100]))
            })
        };
        (0..10).for_each(|round| fill(round).unwrap());
        db.transaction(|tx| tx.table(T)?.put(b"long", [1; 300_000])).unwrap();
        db.checkpoint().unwrap();
        db.transaction(|tx| tx.table(T)?.delete(b"long")).unwrap();
        fill(11).unwrap();

        let (go, wait_for_go) = channel();
        let (done, wait_for_done) = channel();
        *storage.let_in.lock().unwrap() = Some((go, wait_for_done));
        std::thread::scope(|scope| {
            let db = &db;
            scope.spawn(move || {
                if wait_for_go.recv().is_ok() {
                    db.transaction(|tx| tx.table(T)?.put(b"beside", [2; 900_000])).unwrap();
                    let _ = done.send(());
                }
            });
            storage.questions_left.store(questions, Ordering::Relaxed);
            db.compact().unwrap();
            // Where fewer questions were asked the other one goes now.
            drop(storage.let_in.lock().unwrap().take());
        });
        let report = db.check().unwrap();
        assert!(report.is_clean(), "at question {questions}, {answers_before}: {:#?}", report.problems);
        let snapshot = db.snapshot();
        let beside = snapshot.table(T).unwrap().get(b"beside").unwrap().map(|found| found.into_owned().unwrap());
        met += usize::from(beside.is_some());
        assert!(beside.is_none_or(|bytes| bytes == [2; 900_000]), "at question {questions}, {answers_before}");
    }
    assert!(met >= 4, "they met {met} times only");
}

#[test]
fn what_is_under_way_is_told_from_its_first_step_to_its_last() {
    let db = open(&Arc::new(MemoryStorage::new()));
    assert!(db.activity().is_idle());
    let (mut flushing, mut checkpointing) = (false, false);
    for round in 0..20_u32 {
        let key = |i: u32| (round * 1000 + i).to_be_bytes();
        db.transaction(|tx| {
            let mut table = tx.table(T)?;
            (0..500).try_for_each(|i| table.put(key(i), b"a value of some length, to fill the memtable"))
        })
        .unwrap();
        while db.step().unwrap() == Progress::More {
            flushing |= db.activity().flush;
            checkpointing |= db.activity().checkpoint;
        }
        assert!(db.activity().is_idle(), "{:?} after the last step", db.activity());
    }
    assert!(flushing && checkpointing);
}

#[test]
fn a_snapshot_does_not_change_while_merges_go_on_under_it() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage);
    db.transaction(|tx| {
        let mut table = tx.table(T)?;
        (0..1000u32).try_for_each(|i| table.put(i.to_be_bytes(), b"old"))
    })
    .unwrap();
    db.checkpoint().unwrap();
    let snapshot = db.snapshot();
    for round in 0..30u32 {
        db.transaction(|tx| {
            let mut table = tx.table(T)?;
            (0..1000u32).try_for_each(|i| table.put(i.to_be_bytes(), format!("new {round} {i}").repeat(5).into_bytes()))
        })
        .unwrap();
        db.checkpoint().unwrap();
    }
    let table = snapshot.table(T).unwrap();
    for entry in table.range(..).unwrap() {
        assert_eq!(entry.unwrap().1, b"old");
    }
    assert_eq!(table.len().unwrap(), 1000);
    let pinned = db.stats();
    assert!(pinned.snapshots >= 1);
    drop(snapshot);
    db.checkpoint().unwrap();
    db.checkpoint().unwrap();
    db.compact().unwrap();
    assert!(db.check().unwrap().is_clean());
    assert!(db.stats().file_bytes < 512 << 10, "{:?}", db.stats().file_bytes);
}

#[test]
fn transactions_are_all_or_nothing_and_savepoints_undo() {
    let db = open(&Arc::new(MemoryStorage::new()));
    let failed: crate::Result<()> = db.transaction(|tx| {
        tx.table(T)?.put(b"a", b"1")?;
        Err(Error::ReadOnly)
    });
    assert!(failed.is_err());
    assert!(matches!(db.snapshot().table(T), Err(Error::NoSuchTable { .. })));
    db.transaction(|tx| {
        tx.table(T)?.put(b"a", b"1")?;
        let savepoint = tx.savepoint();
        tx.table(T)?.put(b"b", b"2")?;
        tx.rollback_to(&savepoint);
        assert!(tx.table(T)?.get(b"b")?.is_none());
        assert!(matches!(tx.table(T)?.insert(b"a", b"x"), Err(Error::Unexpected { .. })));
        assert!(matches!(tx.table(T)?.replace(b"c", b"x"), Err(Error::Unexpected { .. })));
        assert!(!tx.table(T)?.compare_and_swap(b"a", Some(b"0"), b"x")?);
        assert!(tx.table(T)?.compare_and_swap(b"a", Some(b"1"), b"3")?);
        assert_eq!(tx.table(NUMBERS)?.increment(1, 5)?, 5);
        assert_eq!(tx.table(NUMBERS)?.increment(1, -7)?, -2);
        Ok(())
    })
    .unwrap();
    assert_eq!(db.table(T).unwrap().get(b"a").unwrap().unwrap(), b"3");
    assert_eq!(db.table(NUMBERS).unwrap().get(1).unwrap(), Some(-2));
    let other: Table<&str, &str> = Table::new("t");
    let before = db.snapshot();
    for _ in 0..2 {
        // Remembered types are not those of who comes next.
        before.table(T).unwrap();
        assert!(matches!(before.table(other), Err(Error::TableTypeMismatch { .. })));
    }
    assert_eq!(db.tables().unwrap().len(), 2);
    assert!(db.transaction(|tx| tx.drop_table("t")).unwrap());
    assert_eq!(db.tables().unwrap().len(), 1);
    assert!(matches!(db.snapshot().table(T), Err(Error::NoSuchTable { .. })));
    db.transaction(|tx| tx.table(other)?.put("a", "b")).unwrap();
    db.snapshot().table(other).unwrap();
    assert!(matches!(db.snapshot().table(T), Err(Error::TableTypeMismatch { .. })));
    assert_eq!(before.table(T).unwrap().get(b"a").unwrap().unwrap(), b"3"[..]);
    assert!(db.transaction(|tx| tx.drop_table("t")).unwrap());
    let nested = db.transaction(|tx| {
        tx.table(NUMBERS)?;
        db.table(NUMBERS)?.put(9, 9)
    });
    assert!(matches!(nested, Err(Error::Invalid { .. })), "{nested:?}");
}

#[test]
fn isolation_levels_refuse_what_they_promise_to_refuse() {
    let db = open(&Arc::new(MemoryStorage::new()));
    db.transaction(|tx| {
        tx.table(NUMBERS)?.put(1, 1)?;
        tx.table(NUMBERS)?.put(2, 1)
    })
    .unwrap();
    // Write skew: each reads both and writes one.
    for (isolation, refused) in [(Isolation::Snapshot, false), (Isolation::Serializable, true)] {
        let (mut a, mut b) = (db.begin(isolation), db.begin(isolation));
        for tx in [&mut a, &mut b] {
            let sum: i64 = tx.table(NUMBERS).unwrap().range(..).unwrap().map(|e| e.unwrap().1).sum();
            assert!(sum > 0);
        }
        a.table(NUMBERS).unwrap().put(1, 5).unwrap();
        b.table(NUMBERS).unwrap().put(2, 5).unwrap();
        a.commit().unwrap();
        assert_eq!(matches!(b.commit(), Err(Error::Conflict { .. })), refused, "{isolation:?}");
    }
    // Lost update.
    for (isolation, refused) in [(Isolation::ReadCommitted, false), (Isolation::Snapshot, true)] {
        let (mut a, mut b) = (db.begin(isolation), db.begin(isolation));
        for tx in [&mut a, &mut b] {
            tx.table(NUMBERS).unwrap().increment(1, 1).unwrap();
        }
        a.commit().unwrap();
        assert_eq!(matches!(b.commit(), Err(Error::Conflict { .. })), refused, "{isolation:?}");
    }
    // Validation sees what was merged meanwhile.
    let mut late = db.begin(Isolation::Serializable);
    late.table(NUMBERS).unwrap().get(2).unwrap();
    late.table(NUMBERS).unwrap().put(7, 7).unwrap();
    db.table(NUMBERS).unwrap().put(2, 8).unwrap();
    db.checkpoint().unwrap();
    assert!(matches!(late.commit(), Err(Error::Conflict { .. } | Error::TransactionTooOld)));
    assert_eq!(
        db.optimistic(Isolation::Serializable, |tx| tx.table(NUMBERS)?.increment(1, 1)).unwrap(),
        db.table(NUMBERS).unwrap().get(1).unwrap().unwrap()
    );
}

#[test]
fn long_values_live_outside_the_tree_and_come_back_whole() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage);
    let long: Vec<u8> = (0..300_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
    db.table(T).unwrap().put(b"long", &long[..]).unwrap();
    db.transaction(|tx| {
        tx.table(T)?.put_stream(b"streamed", long.len() as u64, |write| long.chunks(10_000).try_for_each(write))?;
        tx.table(T)?.put(b"overwritten", &long[..])?;
        tx.table(T)?.put(b"overwritten", b"short")
    })
    .unwrap();
    let check = |db: &Database| {
        let snapshot = db.snapshot();
        let table = snapshot.table(T).unwrap();
        assert!(table.get(b"long").unwrap().unwrap().bytes() == &long[..]);
        assert_eq!(table.value_len(b"streamed").unwrap(), Some(300_000));
        let mut part = [0; 1000];
        assert_eq!(table.reader(b"streamed").unwrap().unwrap().read_at(299_500, &mut part).unwrap(), 500);
        assert_eq!(part[..500], long[299_500..]);
        assert_eq!(table.get(b"overwritten").unwrap().unwrap().bytes(), b"short");
        let report = db.check().unwrap();
        assert!(report.is_clean(), "{:#?}", report.problems);
    };
    check(&db);
    let again = open(&crashed(&storage));
    check(&again);
    again.checkpoint().unwrap();
    check(&again);
    again.close().unwrap();
    db.checkpoint().unwrap();
    check(&db);
    db.table(T).unwrap().delete(b"long").unwrap();
    db.table(T).unwrap().delete_range(&b"s"[..]..&b"t"[..]).unwrap();
    db.compact().unwrap();
    assert!(db.check().unwrap().is_clean());
    assert!(db.stats().file_bytes < 100_000, "{}", db.stats().file_bytes);
    let transaction = db.begin(Isolation::Snapshot);
    drop(transaction);
}

#[test]
fn relaxed_commits_survive_a_killed_process() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage);
    for i in 0..500u32 {
        db.transaction_with(Durability::Relaxed, |tx| tx.table(T)?.put(i.to_be_bytes(), b"x")).unwrap();
    }
    let again = open(&crashed(&storage));
    assert_eq!(again.snapshot().table(T).unwrap().len().unwrap(), 500);
    assert_eq!(again.recovery().replayed_commits, 500);
}

#[cfg(feature = "std")]
#[test]
fn a_locked_row_makes_writers_wait_and_circles_end_in_an_error() {
    let db = open(&Arc::new(MemoryStorage::new()));
    db.table(NUMBERS).unwrap().put(1, 0).unwrap();
    db.table(NUMBERS).unwrap().put(2, 0).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    // The closures below hold the writer lock when they wait for the row, so a commit that waits for the
                    // writer lock with the row in its hands closes a circle, and is the one refused.
                    loop {
                        let mut tx = db.begin(Isolation::Snapshot);
                        let value = tx.table(NUMBERS).unwrap().get_for_update(1).unwrap().unwrap().value().unwrap();
                        tx.table(NUMBERS).unwrap().put(1, value + 1).unwrap();
                        match tx.commit() {
                            Ok(()) => break,
                            Err(error) => assert!(matches!(error, Error::Deadlock { .. }), "{error}"),
                        }
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..50 {
                db.transaction(|tx| tx.table(NUMBERS)?.increment(1, 1).map(drop)).unwrap();
            }
        });
    });
    assert_eq!(db.table(NUMBERS).unwrap().get(1).unwrap(), Some(250), "no update was lost");

    let mut a = db.begin(Isolation::Serializable);
    a.table(NUMBERS).unwrap().get_for_update(1).unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut b = db.begin(Isolation::Serializable);
            b.table(NUMBERS).unwrap().get_for_update(2).unwrap();
            let result = b.table(NUMBERS).unwrap().get_for_update(1).map(drop);
            drop(b);
            result
        });
        let mut result = Ok(());
        for _ in 0..2000 {
            // Meets the other's lock once it is there, and then one of the two is refused.
            result = a.table(NUMBERS).unwrap().get_for_update(2).map(drop);
            if result.is_err() || other.is_finished() {
                break;
            }
            std::thread::yield_now();
        }
        drop(a);
        let other = other.join().unwrap();
        assert!(
            [result, other].iter().all(|r| matches!(r, Ok(()) | Err(Error::Deadlock { .. } | Error::Conflict { .. }))),
        );
    });
}

#[test]
fn a_log_that_fills_up_makes_writers_wait_and_never_fail() {
    const CHANGE_BYTES: usize = 2000;
    for (batch, rounds) in [(1u64, 3000u64), (40, 100)] {
        let storage = Arc::new(MemoryStorage::new());
        let limits = Limits { log_bytes_max: Some(0), ..Limits::default() };
        let options = Options { limits, durability: Durability::Relaxed, ..options() };
        let db = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, env(), options).unwrap();
        for round in 0..rounds {
            db.transaction(|tx| {
                let mut table = tx.table(T)?;
                (0..batch).try_for_each(|key| table.put(&key.to_be_bytes()[..], &[round as u8; CHANGE_BYTES][..]))
            })
            .unwrap();
        }
        let written = rounds * batch * CHANGE_BYTES as u64;
        let log_bytes_max = 8 * (64 << 10);
        assert!(written > 4 * log_bytes_max, "the log went round");
        assert!(storage.contents(FileId::Log).len() as u64 <= log_bytes_max + 4096);
        let crashed = crashed(&storage);
        let db = open(&crashed);
        assert_eq!(db.table(T).unwrap().len().unwrap(), batch);
    }
}

#[test]
fn a_row_lock_moves_only_a_transaction_that_has_seen_nothing() {
    let db = open(&Arc::new(MemoryStorage::new()));
    db.table(NUMBERS).unwrap().put(1, 10).unwrap();
    db.table(NUMBERS).unwrap().put(2, 20).unwrap();
    // Both locks are asked for after somebody else has changed both rows.
    let after_others = |isolation, look: &dyn Fn(&mut crate::Transaction)| {
        let mut tx = db.begin(isolation);
        look(&mut tx);
        db.transaction(|tx| {
            let mut numbers = tx.table(NUMBERS)?;
            numbers.increment(1, 1)?;
            numbers.increment(2, 1).map(drop)
        })
        .unwrap();
        let locked = tx.table(NUMBERS).unwrap().get_for_update(1).map(|found| found.unwrap().value().unwrap());
        let other = tx.table(NUMBERS).unwrap().get(2).unwrap().unwrap().value().unwrap();
        (locked, other)
    };
    let nothing = |tx: &mut crate::Transaction| assert!(tx.table(NUMBERS).is_ok());
    let a_row = |tx: &mut crate::Transaction| drop(tx.table(NUMBERS).unwrap().get(2).unwrap());
    let a_count = |tx: &mut crate::Transaction| assert!(tx.table(NUMBERS).unwrap().count(..).unwrap() > 0);
    for isolation in [Isolation::ReadCommitted, Isolation::Snapshot, Isolation::Serializable] {
        let before = db.table(NUMBERS).unwrap().get(2).unwrap().unwrap();
        let (locked, other) = after_others(isolation, &nothing);
        assert_eq!((locked.unwrap(), other), (before - 9, before + 1), "{isolation:?}");
        for look in [&a_row as &dyn Fn(&mut crate::Transaction), &a_count] {
            let before = db.table(NUMBERS).unwrap().get(2).unwrap().unwrap();
            let (locked, other) = after_others(isolation, look);
            match isolation {
                Isolation::ReadCommitted => assert_eq!((locked.unwrap(), other), (before - 9, before + 1)),
                _ => {
                    assert!(matches!(locked, Err(Error::Conflict { .. })), "{isolation:?}: {locked:?}");
                    assert_eq!(other, before, "{isolation:?}: one snapshot");
                }
            }
        }
    }

    // A table that was dropped meanwhile is not written to.
    let mut tx = db.begin(Isolation::Snapshot);
    tx.table(NUMBERS).unwrap();
    db.transaction(|tx| tx.drop_table("numbers").map(drop)).unwrap();
    let locked = tx.table(NUMBERS).unwrap().get_for_update(1).map(drop);
    assert!(matches!(locked, Err(Error::Conflict { .. })), "{locked:?}");
}

/// Shows the time it was last given.
#[derive(Debug, Default)]
struct HandSetClock(core::sync::atomic::AtomicUsize);

impl crate::env::Clock for HandSetClock {
    fn wall_ms(&self) -> u64 {
        self.0.load(core::sync::atomic::Ordering::Relaxed) as u64
    }
    fn monotonic_ns(&self) -> u64 {
        self.wall_ms() * 1_000_000
    }
}

#[test]
fn a_periodic_commit_is_synced_within_its_interval_and_with_all_before_it() {
    let clock = Arc::new(HandSetClock::default());
    let environment = Environment { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(7)) };
    let storage = Arc::new(MemoryStorage::new());
    let db = Database::open_storage(storage, environment, options()).unwrap();
    let put = |durability| {
        db.transaction_with(durability, |tx| tx.table(T)?.put(b"key", b"value")).unwrap();
    };
    let syncs_after = |ms| {
        clock.0.store(ms, core::sync::atomic::Ordering::Relaxed);
        while db.step().unwrap() == Progress::More {}
        db.stats().sync_latency.count()
    };
    let before = syncs_after(0);
    put(Durability::Relaxed);
    put(Durability::Periodic { interval_ms: 100 });
    put(Durability::Periodic { interval_ms: 20 });
    assert_eq!(syncs_after(19), before, "nothing is due yet");
    assert_eq!(syncs_after(20), before + 1, "the shorter interval is over");
    assert_eq!(syncs_after(1000), before + 1, "the one sync was for all of them");
    put(Durability::Periodic { interval_ms: 20 });
    assert_eq!(syncs_after(1019), before + 1);
    assert_eq!(syncs_after(1020), before + 2);
    put(Durability::Relaxed);
    assert_eq!(syncs_after(9000), before + 2, "a relaxed commit waits for nothing");
}

#[test]
fn a_periodic_commit_that_is_due_before_all_others_is_heard_of() {
    let db = open(&Arc::new(MemoryStorage::new()));
    let due = |interval_ms| {
        let engine = &db.shared.engine;
        let put = |writer: &mut OperationWriter<'_>| writer.put(b"key", b"value");
        engine.append(&mut Vec::new(), Durability::Periodic { interval_ms }, false, |_, _| Ok(()), put).unwrap().due
    };
    assert!(due(60_000), "nothing was due");
    assert!(!due(60_000), "whoever syncs comes soon enough");
    assert!(due(20), "whoever syncs would sleep too long");
    assert!(!due(60_000));
}

#[test]
fn a_checkpoint_that_reaches_into_a_page_of_the_space_map_only_for_a_moment_leaks_nothing() {
    // A page of the map is for 4096 sectors: files that end at each of the last ones before, and beyond.
    for sectors in 4060..4100 {
        let db = open(&Arc::new(MemoryStorage::new()));
        db.table(T).unwrap().put(b"large", vec![7; sectors << 12]).unwrap();
        for round in 0..3_u8 {
            db.checkpoint().unwrap();
            db.table(T).unwrap().put([round], b"small").unwrap();
        }
        let report = db.check().unwrap();
        assert!(report.is_clean(), "{sectors} sectors: {:?}", report.problems);
    }
}

/// Where libraries are built so that what unwinds out of a destructor ends the program, this would.
#[test]
fn a_panic_while_the_last_handle_closes_stays_inside() {
    let storage = Arc::new(crate::env::Failing::default());
    let db = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, env(), options()).unwrap();
    db.transaction(|tx| tx.table(T)?.put(b"a", [1; 3])).unwrap();
    // A lock that a panic has left behind: syncs ask for it, and panic.
    let held = Arc::clone(&storage);
    let holder = std::thread::spawn(move || {
        let _held = held.syncs.lock().unwrap();
        std::panic::resume_unwind(Box::new(()))
    });
    holder.join().unwrap_err();
    drop(db);
    let reopened = open(&storage.memory);
    let snapshot = reopened.snapshot();
    assert!(snapshot.table(T).unwrap().get(b"a").unwrap().is_some());
}
