//! Group commit and publication.

use std::sync::Arc;

use lightning_db::{Database, Durability, Isolation};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;
use shuttle::thread;

use crate::explore::explore;
use crate::scope::scope;
use crate::world::{
    Disk, NUMBERS, ROWS, assert_kept, open, open_ticking, open_with_tables, options, quiet, rounds, rounds_of,
};

const CLIENTS: u64 = 3;
const ROUNDS: u64 = 2;

#[test]
fn an_acknowledged_commit_is_visible_at_once() {
    explore(acknowledged_is_visible);
}

pub fn acknowledged_is_visible() {
    let db = open_with_tables(&Disk::new(), quiet());
    scope(|scope| {
        for client in 0..CLIENTS {
            let db = &db;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let value = client * 1000 + round;
                    match client {
                        0 => db.table(ROWS).unwrap().put((client, round), value).unwrap(),
                        1 => db.transaction(|tx| tx.table(ROWS)?.put((client, round), value)).unwrap(),
                        _ => {
                            let mut tx = db.begin(Isolation::Serializable);
                            tx.table(ROWS).unwrap().put((client, round), value).unwrap();
                            tx.commit().unwrap();
                        }
                    }
                    assert_eq!(db.table(ROWS).unwrap().get((client, round)).unwrap(), Some(value));
                }
            });
        }
    });
}

#[test]
fn what_was_acknowledged_or_seen_survives_a_power_loss() {
    explore(seen_survives);
}

pub fn seen_survives() {
    let disk = Disk::new();
    let db = open_with_tables(&disk, quiet());
    let acknowledged = Mutex::new(std::collections::BTreeMap::new());
    scope(|scope| {
        for client in 0..CLIENTS {
            let (db, acknowledged) = (&db, &acknowledged);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    db.table(ROWS).unwrap().put((client, round), client * 1000 + round).unwrap();
                    acknowledged.lock().unwrap().insert(client, round + 1);
                }
            });
        }
        for _ in 0..2 {
            thread::yield_now();
            let known = acknowledged.lock().unwrap().clone();
            let snapshot = db.snapshot();
            // At once: whoever looks first gives the sync time to end.
            let lost = disk.after_power_loss();
            let seen = rounds_of(&snapshot);
            let kept = rounds(&open(&lost, quiet()));
            assert_kept(&known, &kept, "acknowledged");
            assert_kept(&seen, &kept, "seen");
        }
    });
}

/// Each commit counts on from the one before and says how far it is, so the order of commits can be seen.
#[test]
fn commits_become_visible_in_their_order() {
    explore(|| {
        let db = open_with_tables(&Disk::new(), quiet());
        db.table(NUMBERS).unwrap().put(0, 0).unwrap();
        scope(|scope| {
            for client in 0..CLIENTS {
                let db = &db;
                scope.spawn(move || {
                    for _ in 0..ROUNDS {
                        let durability =
                            if thread_rng().gen_bool(0.5) { Durability::Sync } else { Durability::Relaxed };
                        let mine = db
                            .transaction_with(durability, |tx| {
                                let mut numbers = tx.table(NUMBERS)?;
                                let count = numbers.increment(0, 1)?;
                                numbers.put(count as u64, client as i64)?;
                                Ok(count)
                            })
                            .unwrap();
                        let seen = db.table(NUMBERS).unwrap().get(0).unwrap();
                        assert!(seen >= Some(mine), "{mine} was acknowledged, and {seen:?} is seen");
                    }
                });
            }
            let mut last = (0, 0);
            for _ in 0..4 {
                let snapshot = db.snapshot();
                let numbers = snapshot.table(NUMBERS).unwrap();
                let count = numbers.get(0).unwrap().unwrap().into_owned().unwrap();
                assert!((snapshot.sequence(), count) >= last);
                last = (snapshot.sequence(), count);
                assert_eq!(numbers.len().unwrap() as i64, count + 1, "commits up to {count} are there, and no others");
                thread::yield_now();
            }
        });
        assert_eq!(db.table(NUMBERS).unwrap().get(0).unwrap(), Some((CLIENTS * ROUNDS) as i64));
    });
}

#[test]
fn sync_makes_what_was_relaxed_durable() {
    explore(|| {
        let disk = Disk::new();
        let db = open_with_tables(&disk, quiet());
        scope(|scope| {
            for client in 0..CLIENTS {
                let (db, disk) = (&db, &disk);
                scope.spawn(move || {
                    let durability = if client == 0 { Durability::Sync } else { Durability::Relaxed };
                    db.transaction_with(durability, |tx| tx.table(ROWS)?.put((client, 0), client * 1000)).unwrap();
                    let seen = rounds(db);
                    db.sync().unwrap();
                    let kept = rounds(&open(&disk.after_power_loss(), quiet()));
                    assert_kept(&seen, &kept, "seen before a sync");
                    assert_eq!(kept.get(&client), Some(&1));
                });
            }
        });
    });
}

#[test]
fn periodic_durability_shows_commits_at_once_and_ends() {
    explore(|| {
        let disk = Disk::new();
        let mut options = options();
        options.durability = Durability::Periodic { interval_ms: 5 };
        let db = Arc::new(open_with_tables(&disk, options));
        scope(|scope| {
            for client in 0..2 {
                let db = &db;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        db.table(ROWS).unwrap().put((client, round), client * 1000 + round).unwrap();
                        assert!(rounds(db)[&client] > round);
                    }
                });
            }
        });
        db.sync().unwrap();
        let seen = rounds(&db);
        assert_kept(&seen, &rounds(&open(&disk.after_power_loss(), quiet())), "seen before a sync");
    });
}

/// Commits that are due soon and late, beside others that wait, syncs on demand, and the thread that syncs what is due: nobody
/// waits for ever, and what nobody syncs on demand is durable in the end all the same.
#[test]
fn what_is_due_is_synced_beside_those_who_wait() {
    explore(periodic_beside_sync);
}

pub fn periodic_beside_sync() {
    let disk = Disk::new();
    let db = open_ticking(&disk, options());
    let put = |db: &Database, client, round, durability| {
        db.transaction_with(durability, |tx| tx.table(ROWS)?.put((client, round), client * 1000 + round)).unwrap();
    };
    scope(|scope| {
        for client in 0..CLIENTS {
            let db = &db;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let durability = match client {
                        0 => Durability::Periodic { interval_ms: 2 },
                        1 => Durability::Periodic { interval_ms: 20 },
                        _ => Durability::Sync,
                    };
                    put(db, client, round, durability);
                    assert!(rounds(db)[&client] > round, "an acknowledged commit is visible");
                }
            });
        }
    });
    put(&db, 0, ROUNDS, Durability::Periodic { interval_ms: 10 });
    let all = rounds(&db);
    while rounds(&open(&disk.after_power_loss(), quiet())) != all {
        // Only the background thread can still sync.
        (0..20).for_each(|_| thread::yield_now());
    }
}
