//! Syncs that fail while several wait for them.

use std::collections::BTreeMap;

use lightning_db::{Durability, Error};
use shuttle::sync::Mutex;
use shuttle::thread;

use crate::explore::explore;
use crate::scope::scope;
use crate::world::{Disk, ROWS, assert_kept, open, open_with_tables, options, quiet, rounds};

const CLIENTS: u64 = 3;
const ROUNDS: u64 = 3;

#[test]
fn nobody_is_told_that_a_lost_commit_was_made() {
    explore(|| {
        let disk = Disk::new();
        let db = open_with_tables(&disk, quiet());
        let acknowledged = Mutex::new(BTreeMap::new());
        let unknown = Mutex::new(0);
        let mut seen = BTreeMap::new();
        scope(|scope| {
            for client in 0..CLIENTS {
                let (db, acknowledged, unknown) = (&db, &acknowledged, &unknown);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        match db.table(ROWS).unwrap().put((client, round), client * 1000 + round) {
                            Ok(()) => {
                                assert!(rounds(db).get(&client) > Some(&round), "an acknowledged commit is visible");
                                acknowledged.lock().unwrap().insert(client, round + 1);
                            }
                            Err(Error::OutcomeUnknown { .. }) => {
                                *unknown.lock().unwrap() += 1;
                                // Nobody gets further after that.
                                let again = db.table(ROWS).unwrap().put((client, round + 1), 0);
                                assert!(matches!(again, Err(Error::Poisoned { .. } | Error::OutcomeUnknown { .. })));
                                return;
                            }
                            Err(Error::Poisoned { .. }) => return,
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
            disk.fail_syncs();
            for _ in 0..2 {
                seen = rounds(&db);
                thread::yield_now();
            }
        });
        let last = rounds(&db);
        assert_kept(&seen, &last, "seen earlier");
        let kept = rounds(&open(&disk.after_power_loss(), quiet()));
        let acknowledged = acknowledged.lock().unwrap();
        assert_kept(&acknowledged, &kept, "acknowledged");
        assert_kept(&last, &kept, "seen");
        if *unknown.lock().unwrap() == 0 {
            assert_eq!(acknowledged.values().sum::<u64>(), CLIENTS * ROUNDS, "nothing failed, so all was acknowledged");
        }
    });
}

#[test]
fn explicit_syncs_and_relaxed_commits_hear_of_the_failure() {
    explore(|| {
        let disk = Disk::new();
        let db = open_with_tables(&disk, quiet());
        let durable = Mutex::new(BTreeMap::new());
        scope(|scope| {
            for client in 0..CLIENTS {
                let (db, durable) = (&db, &durable);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let put = db.transaction_with(Durability::Relaxed, |tx| {
                            tx.table(ROWS)?.put((client, round), client * 1000 + round)
                        });
                        if put.is_err() || db.sync().is_err() {
                            return;
                        }
                        durable.lock().unwrap().insert(client, round + 1);
                    }
                });
            }
            disk.fail_syncs();
        });
        let kept = rounds(&open(&disk.after_power_loss(), quiet()));
        assert_kept(&durable.lock().unwrap(), &kept, "synced");
    });
}

/// Background work whose barrier fails ends with everyone told, the waiting included.
#[test]
fn writers_that_wait_for_background_work_hear_that_it_failed() {
    explore(|| {
        let disk = Disk::new();
        let mut options = options();
        options.memtable_bytes = Some(4 << 10);
        let db = open_with_tables(&disk, options);
        scope(|scope| {
            for client in 0..2u64 {
                let db = &db;
                scope.spawn(move || {
                    for round in 0..8u64 {
                        let put = db.transaction_with(Durability::Relaxed, |tx| {
                            let mut rows = tx.table(ROWS)?;
                            (0..40)
                                .try_for_each(|at| rows.put((client, round * 40 + at), client * 1000 + round * 40 + at))
                        });
                        if put.is_err() {
                            return;
                        }
                    }
                });
            }
            disk.fail_syncs();
        });
        let _ = db.close();
        drop(db);
        rounds(&open(&disk.after_power_loss(), quiet()));
    });
}
