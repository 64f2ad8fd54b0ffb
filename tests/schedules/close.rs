//! Closing while others work.

use std::collections::BTreeMap;

use lightning_db::Error;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;
use shuttle::thread;

use crate::explore::explore;
use crate::scope::scope;
use crate::world::{Disk, ROWS, assert_kept, open, open_with_tables, options, quiet, rounds};

#[test]
fn commits_are_made_or_refused_and_nobody_hangs() {
    explore(|| {
        let disk = Disk::new();
        let mut options = options();
        options.memtable_bytes = Some(4 << 10);
        let db = open_with_tables(&disk, options);
        let acknowledged = Mutex::new(BTreeMap::new());
        scope(|scope| {
            for client in 0..2 {
                let (db, acknowledged) = (&db, &acknowledged);
                scope.spawn(move || {
                    for round in 0..3 {
                        match db.table(ROWS).and_then(|rows| rows.put((client, round), client * 1000 + round)) {
                            Ok(()) => acknowledged.lock().unwrap().insert(client, round + 1),
                            Err(Error::Closed) => return,
                            Err(error) => panic!("{error}"),
                        };
                    }
                });
            }
            for _ in 0..2 {
                // Whom commits forestall closes again.
                scope.spawn(|| while matches!(db.close(), Err(Error::Invalid { .. })) {});
            }
        });
        drop(db);
        let again = open(&disk.after_power_loss(), quiet());
        assert_kept(&acknowledged.lock().unwrap(), &rounds(&again), "acknowledged");
        again.check().unwrap();
    });
}

/// A commit that comes between the last look at the log and the end is refused or kept.
#[test]
fn what_is_committed_at_the_last_moment_is_kept() {
    explore(commit_at_the_last_moment);
}

pub fn commit_at_the_last_moment() {
    let disk = Disk::new();
    let db = open_with_tables(&disk, quiet());
    let rows = scope(|scope| {
        let client = scope.spawn(|| {
            let rows = db.table(ROWS).unwrap();
            let put = |round| {
                // Closing has many steps, and fails where commits come between the first of them.
                (0..thread_rng().gen_range(0..100)).for_each(|_| thread::yield_now());
                rows.put((0, round), round).is_ok()
            };
            (0..4).take_while(|round| put(*round)).count()
        });
        while matches!(db.close(), Err(Error::Invalid { .. })) {}
        client.join().unwrap()
    });
    drop(db);
    let again = open(&disk.after_power_loss(), quiet());
    assert_kept(&BTreeMap::from([(0, rows as u64)]), &rounds(&again), "acknowledged");
    again.check().unwrap();
}

#[test]
fn the_last_handle_closes_wherever_it_is_dropped() {
    explore(|| {
        let disk = Disk::new();
        let db = open_with_tables(&disk, options());
        let threads: Vec<_> = (0..2)
            .map(|client| {
                let db = db.clone();
                thread::spawn(move || db.table(ROWS).unwrap().put((client, 0), client * 1000).unwrap())
            })
            .collect();
        drop(db);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let again = open(&disk.after_power_loss(), quiet());
        assert_eq!(rounds(&again), BTreeMap::from([(0, 1), (1, 1)]));
        assert_eq!(again.recovery().replayed_commits, 0, "it was closed cleanly");
    });
}
