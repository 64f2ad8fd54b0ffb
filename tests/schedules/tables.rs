//! Tables that are made, dropped and made anew while others use them.

use lightning_db::{Durability, Error, Isolation};

use crate::explore::explore;
use crate::scope::scope;
use crate::world::{Disk, NUMBERS, ROWS, open, open_with_tables, quiet, rounds};

/// A table that one commit drops and makes anew is in every snapshot the old one or the new one.
#[test]
fn a_table_is_as_the_snapshot_has_it() {
    explore(|| {
        let db = open_with_tables(&Disk::new(), quiet());
        db.table(NUMBERS).unwrap().put(0, 0).unwrap();
        scope(|scope| {
            scope.spawn(|| {
                for round in 1..3 {
                    db.transaction_with(Durability::Relaxed, |tx| {
                        tx.drop_table("numbers")?;
                        tx.table(NUMBERS)?.put(0, round)
                    })
                    .unwrap();
                }
            });
            scope.spawn(|| {
                let mut tx = db.begin(Isolation::Serializable);
                let before = tx.table(NUMBERS).unwrap().get(0).unwrap().map(|found| found.into_owned().unwrap());
                assert!(before.is_some(), "the transaction has no row");
                tx.table(NUMBERS).unwrap().put(0, before.unwrap() + 10).unwrap();
                match tx.commit() {
                    Ok(()) | Err(Error::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            });
            for _ in 0..4 {
                let snapshot = db.snapshot();
                let value = snapshot.table(NUMBERS).unwrap().get(0).unwrap().map(|found| found.into_owned().unwrap());
                assert!(value.is_some(), "commit {} has no row", snapshot.sequence());
            }
        });
        let last = db.table(NUMBERS).unwrap().get(0).unwrap();
        assert!([Some(2), Some(12)].contains(&last), "{last:?}");
    });
}

#[test]
fn whoever_is_first_makes_the_table_and_all_use_it() {
    explore(|| {
        let db = open(&Disk::new(), quiet());
        scope(|scope| {
            for client in 0..3 {
                let db = &db;
                scope.spawn(move || db.table(ROWS).unwrap().put((client, 0), client * 1000).unwrap());
            }
        });
        assert_eq!(rounds(&db).len(), 3);
        assert_eq!(db.tables().unwrap().len(), 1);
    });
}
