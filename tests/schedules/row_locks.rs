//! Row locks: nobody waits for ever, and deadlocks are broken at the expense of interactive transactions.

use lightning_db::{Database, Error, Isolation, Result};
use shuttle::sync::atomic::{AtomicUsize, Ordering};

use crate::explore::explore;
use crate::scope::scope;
use crate::world::{Disk, NUMBERS, open_with_tables, quiet};

fn numbers() -> Database {
    let db = open_with_tables(&Disk::new(), quiet());
    db.transaction(|tx| (0..2).try_for_each(|key| tx.table(NUMBERS)?.put(key, 0))).unwrap();
    db
}

/// Adds one to both rows, in the order given, with both locked.
fn add_to_both(db: &Database, rows: [u64; 2]) -> Result<()> {
    let mut tx = db.begin(Isolation::Snapshot);
    for row in rows {
        let value = tx.table(NUMBERS)?.get_for_update(row)?.unwrap().into_owned()?;
        tx.table(NUMBERS)?.put(row, value + 1)?;
    }
    tx.commit()
}

fn value(db: &Database, key: u64) -> i64 {
    db.table(NUMBERS).unwrap().get(key).unwrap().unwrap()
}

#[test]
fn rows_locked_in_opposite_orders_end_in_commits_and_deadlocks() {
    explore(|| {
        let db = numbers();
        let committed = AtomicUsize::new(0);
        scope(|scope| {
            for client in 0..3 {
                let (db, committed) = (&db, &committed);
                scope.spawn(move || match add_to_both(db, [client % 2, (client + 1) % 2]) {
                    Ok(()) => drop(committed.fetch_add(1, Ordering::SeqCst)),
                    Err(Error::Deadlock { .. } | Error::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                });
            }
        });
        let committed = committed.into_inner();
        assert!(committed > 0, "a circle is broken at one place");
        assert_eq!([value(&db, 0), value(&db, 1)], [committed as i64; 2]);
    });
}

/// All lock in one order, so there is no circle, and nobody may be refused: each gets the row in the end.
#[test]
fn whoever_waits_for_a_row_gets_it() {
    explore(one_after_the_other);
}

pub fn one_after_the_other() {
    let db = numbers();
    scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| add_to_both(&db, [0, 1]).unwrap());
        }
    });
    assert_eq!([value(&db, 0), value(&db, 1)], [4, 4]);
}

#[test]
fn a_closure_is_never_the_victim() {
    explore(|| {
        let db = numbers();
        let committed = AtomicUsize::new(0);
        scope(|scope| {
            for client in 0..2 {
                let (db, committed) = (&db, &committed);
                scope.spawn(move || match add_to_both(db, [client, 1 - client]) {
                    Ok(()) => drop(committed.fetch_add(1, Ordering::SeqCst)),
                    Err(Error::Deadlock { .. } | Error::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                });
            }
            // Waits for rows with the writer lock in its hands, for which the commits above wait.
            let add = || db.transaction(|tx| tx.table(NUMBERS)?.increment(0, 1).map(drop)).unwrap();
            scope.spawn(add);
            add();
        });
        let committed = committed.into_inner() as i64;
        assert_eq!([value(&db, 0), value(&db, 1)], [committed + 2, committed]);
    });
}

/// Writes of one operation look for locked rows too, and wait for the one they need alone.
#[test]
fn writes_of_their_own_wait_for_a_locked_row() {
    explore(|| {
        let db = numbers();
        scope(|scope| {
            scope.spawn(|| {
                let mut tx = db.begin(Isolation::Serializable);
                let before = tx.table(NUMBERS).unwrap().get_for_update(0).unwrap().unwrap().into_owned().unwrap();
                tx.table(NUMBERS).unwrap().put(0, before + 100).unwrap();
                match tx.commit() {
                    Ok(()) | Err(Error::Deadlock { .. }) => {}
                    Err(error) => panic!("nobody else may have written the row: {error}"),
                }
            });
            scope.spawn(|| db.table(NUMBERS).unwrap().put(0, 1).unwrap());
            scope.spawn(|| db.table(NUMBERS).unwrap().delete_range(1..2).unwrap());
        });
        assert!([1, 100, 101].contains(&value(&db, 0)));
        assert_eq!(db.table(NUMBERS).unwrap().get(1).unwrap(), None);
    });
}
