//! Resident nodes take what memtables do not hold, and both stay within the budget.

use alloc::sync::Arc;
use alloc::vec;

use super::*;
use crate::engine::{Environment, Progress};
use crate::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage};
use crate::table::Table;

const T: Table<u64, &[u8]> = Table::new("t");
const BUDGET: usize = 8 << 20;
/// What the space map and buffers are left.
const SHARED: u64 = (BUDGET - BUDGET / 16) as u64;
const VALUE: usize = 1000;

fn open_on(storage: &Arc<MemoryStorage>) -> Database {
    let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
    let options = Options { background_thread: false, memory_budget_bytes: BUDGET, ..Options::default() };
    Database::open_storage(Arc::clone(storage) as Arc<dyn Storage>, env, options).unwrap()
}

fn fill(db: &Database, keys: core::ops::Range<u64>) {
    for from in keys.clone().step_by(50) {
        let value = vec![from as u8; VALUE];
        let keys = from..keys.end.min(from + 50);
        db.transaction(|tx| keys.clone().try_for_each(|key| tx.table(T)?.put(key, value.as_slice()))).unwrap();
        assert_within(db);
    }
}

fn read(db: &Database, keys: core::ops::Range<u64>) {
    let snapshot = db.snapshot();
    let table = snapshot.table(T).unwrap();
    keys.for_each(|key| assert!(table.get(key).unwrap().is_some()));
    assert_within(db);
}

fn rest(db: &Database) {
    db.checkpoint().unwrap();
    while db.step().unwrap() == Progress::More {
        assert_within(db);
    }
    assert_within(db);
}

fn assert_within(db: &Database) {
    let stats = db.stats();
    assert!(stats.cache_bytes <= stats.cache_bytes_max, "{stats:?}");
    // A memtable is full when it holds as much as it may: the last commit may have brought more.
    let last = 128 << 10;
    assert!(stats.cache_bytes_max + stats.memtable_bytes <= SHARED + last, "{stats:?}");
}

#[test]
fn empty_memtables_leave_their_memory_to_nodes() {
    let db = open_on(&Arc::new(MemoryStorage::default()));
    fill(&db, 0..5000);
    rest(&db);
    let lent = db.stats().cache_bytes_max;
    assert!(lent > SHARED * 9 / 10, "{lent}");
    read(&db, 0..5000);
    let misses = db.stats().cache_misses;
    assert!(db.stats().cache_bytes > 5000 * VALUE as u64);
    read(&db, 0..5000);
    assert_eq!(db.stats().cache_misses, misses, "all that was read is resident");

    // A small write takes nothing of it.
    fill(&db, 0..50);
    assert_eq!(db.stats().cache_bytes_max, lent);
    // As a memtable grows, it gets what it needs, and while others are written nothing is lent again.
    let mut before = lent;
    for from in (0..5000).step_by(200) {
        fill(&db, from..from + 200);
        let now = db.stats().cache_bytes_max;
        assert!(now <= before, "lent while much is written");
        before = now;
        read(&db, from..from + 200);
    }
    let part = (BUDGET / 5) as u64;
    assert!(before <= SHARED - part && before >= SHARED - 2 * part - 16, "{before}");
    rest(&db);
    assert_eq!(db.stats().cache_bytes_max, lent);
    read(&db, 0..5000);
    assert!(db.check().unwrap().is_clean());
}

#[test]
fn what_reopening_finds_in_the_log_is_not_lent() {
    let storage = Arc::new(MemoryStorage::default());
    let db = open_on(&storage);
    assert!(db.stats().cache_bytes_max > SHARED * 9 / 10);
    fill(&db, 0..1000);
    let crashed = MemoryStorage::with_contents(storage.contents(FileId::Data), storage.contents(FileId::Log));
    let db = open_on(&Arc::new(crashed));
    assert!(db.stats().memtable_bytes > 1000 * VALUE as u64);
    assert_within(&db);
    read(&db, 0..1000);
}
