//! Databases that are frozen, on memory.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::increment_tests::backup_of;
use super::tests::crashed;
use super::*;
use crate::engine::{Environment, Mode};
use crate::env::{HandSet, MemoryStorage, SeededEntropy, Storage};
use crate::error::Error;
use crate::table::Table;

const T: Table<u64, &str> = Table::new("t");

fn open(storage: &Arc<MemoryStorage>) -> Database {
    let env = Environment { clock: Arc::new(HandSet::default()), entropy: Arc::new(SeededEntropy::new(7)) };
    let options = Options { background_thread: false, ..Options::default() };
    Database::open_storage(Arc::clone(storage) as Arc<dyn Storage>, env, options).unwrap()
}

fn names(db: &Database) -> Vec<&'static str> {
    db.health().findings.iter().map(|finding| finding.name).collect()
}

#[test]
fn whoever_opens_a_frozen_database_finds_it_read_only_until_it_is_thawed() {
    let mut storage = Arc::new(MemoryStorage::new());
    let db = open(&storage);
    db.table(T).unwrap().put(1, "one").unwrap();
    assert!(!db.is_frozen());
    db.set_frozen(true).unwrap();
    assert_eq!(db.table(T).unwrap().put(1, "two"), Err(Error::ReadOnly));
    // It was not closed; then it is, and checkpoints and compactions record it again.
    for is_closed in [false, true, false] {
        storage = crashed(&storage);
        let db = open(&storage);
        assert_eq!((db.is_frozen(), db.mode(), names(&db)), (true, Mode::ReadOnly, Vec::from(["frozen"])));
        assert!(db.health().is_well());
        assert_eq!(db.table(T).unwrap().put(1, "two"), Err(Error::ReadOnly));
        assert_eq!(db.table(T).unwrap().get(1).unwrap().unwrap(), "one");
        db.checkpoint().unwrap();
        db.compact().unwrap();
        assert!(db.check().unwrap().is_clean());
        if is_closed {
            db.close().unwrap();
        }
    }
    let db = open(&storage);
    db.set_frozen(false).unwrap();
    assert_eq!((db.is_frozen(), db.mode(), names(&db)), (false, Mode::Normal, Vec::new()));
    let db = open(&crashed(&storage));
    assert_eq!((db.is_frozen(), db.mode()), (false, Mode::Normal));
    db.table(T).unwrap().put(1, "two").unwrap();
}

#[test]
fn a_process_may_write_to_a_frozen_database_and_leaves_it_frozen() {
    let storage = Arc::new(MemoryStorage::new());
    open(&storage).set_frozen(true).unwrap();
    let db = open(&storage);
    db.set_mode(Mode::Normal).unwrap();
    db.table(T).unwrap().put(1, "one").unwrap();
    db.close().unwrap();
    let db = open(&storage);
    assert_eq!((db.is_frozen(), db.mode()), (true, Mode::ReadOnly));
    assert_eq!(db.table(T).unwrap().get(1).unwrap().unwrap(), "one");
}

#[test]
fn a_backup_of_a_frozen_database_is_not_frozen() {
    let db = open(&Arc::new(MemoryStorage::new()));
    db.table(T).unwrap().put(1, "one").unwrap();
    db.set_frozen(true).unwrap();
    let copy = open(&Arc::new(MemoryStorage::with_contents(backup_of(&db).0, Vec::new())));
    assert_eq!((copy.is_frozen(), copy.mode()), (false, Mode::Normal));
    copy.table(T).unwrap().put(1, "two").unwrap();
}

#[test]
fn who_may_only_read_freezes_nothing() {
    let storage = Arc::new(MemoryStorage::new());
    drop(open(&storage));
    let env = Environment { clock: Arc::new(HandSet::default()), entropy: Arc::new(SeededEntropy::new(7)) };
    let options = Options { read_only: true, background_thread: false, ..Options::default() };
    let db = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, env, options).unwrap();
    assert_eq!(db.set_frozen(true), Err(Error::ReadOnly));
    drop(db);
    assert!(!open(&storage).is_frozen());
}
