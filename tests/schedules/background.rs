//! Background work beside readers and writers.

use std::collections::BTreeMap;

use lightning_db::{Database, Durability, Options};
use shuttle::thread;

use crate::explore::explore;
use crate::scope::scope;
use crate::world::{Disk, ROWS, open, open_with_tables, options, quiet, rounds};

const BATCH: u64 = 40;
const BATCHES: u64 = 6;

fn small_memtables() -> Options {
    let mut options = options();
    options.memtable_bytes = Some(4 << 10);
    options
}

fn write_batch(db: &Database, client: u64, batch: u64) {
    db.transaction_with(Durability::Relaxed, |tx| {
        let mut rows = tx.table(ROWS)?;
        (0..BATCH).try_for_each(|at| {
            let round = batch * BATCH + at;
            rows.put((client, round), client * 1000 + round)
        })
    })
    .unwrap();
}

#[test]
fn readers_see_whole_commits_while_memtables_are_flushed_and_merged() {
    explore(readers_beside_merges);
}

pub fn readers_beside_merges() {
    let disk = Disk::new();
    let db = open_with_tables(&disk, small_memtables());
    scope(|scope| {
        for client in 0..2 {
            let db = &db;
            scope.spawn(move || (0..BATCHES).for_each(|batch| write_batch(db, client, batch)));
        }
        let old = db.snapshot();
        let old_len = old.table(ROWS).unwrap().len().unwrap();
        for _ in 0..3 {
            let seen = rounds(&db);
            assert!(seen.values().all(|rounds| rounds % BATCH == 0), "{seen:?}");
            assert_eq!(old.table(ROWS).unwrap().len().unwrap(), old_len, "a snapshot does not change");
            thread::yield_now();
        }
    });
    let all = BTreeMap::from([(0, BATCH * BATCHES), (1, BATCH * BATCHES)]);
    assert_eq!(rounds(&db), all);
    db.check().unwrap();
    db.close().unwrap();
    drop(db);
    let again = open(&disk.after_power_loss(), quiet());
    assert_eq!(rounds(&again), all);
    again.check().unwrap();
}

#[test]
fn checkpoints_and_compaction_go_beside_writers_and_background_work() {
    explore(|| {
        let disk = Disk::new();
        let db = open_with_tables(&disk, small_memtables());
        scope(|scope| {
            let db = &db;
            scope.spawn(|| (0..3).for_each(|batch| write_batch(db, 0, batch)));
            scope.spawn(|| db.checkpoint().unwrap());
            scope.spawn(|| db.compact().unwrap());
            let seen = rounds(db);
            assert!(seen.values().all(|rounds| rounds % BATCH == 0), "{seen:?}");
        });
        db.check().unwrap();
        db.sync().unwrap();
        let again = open(&disk.after_power_loss(), quiet());
        assert_eq!(rounds(&again), BTreeMap::from([(0, 3 * BATCH)]));
        again.check().unwrap();
    });
}
