use alloc::sync::Arc;

use super::*;
use crate::db::{Isolation, Options, Since};
use crate::engine::Environment;
use crate::env::{FixedClock, MemoryStorage, SeededEntropy};
use crate::table::Table;

const T: Table<&str, i64> = Table::new("t");

fn open_at(storage: &Arc<MemoryStorage>, now_ms: u64) -> Database {
    let env = Environment { clock: Arc::new(FixedClock(now_ms)), entropy: Arc::new(SeededEntropy::new(7)) };
    let options = Options { background_thread: false, ..Options::default() };
    Database::open_storage(Arc::clone(storage) as Arc<_>, env, options).unwrap()
}

fn open(storage: &Arc<MemoryStorage>) -> Database {
    open_at(storage, 1_700_000_000_000)
}

/// Carries a request out that adds one; its answer is what it gives.
fn add(db: &Database, requests: &mut Requests, number: u64, answer: &[u8]) {
    let add = |tx: &mut WriteTransaction| {
        tx.table(T)?.increment("n", 1)?;
        tx.remember(requests, number, answer)
    };
    assert!(db.transaction(add).unwrap());
    requests.answered(number, answer, true);
}

fn answer(db: &Database, client: u64, number: u64) -> Option<Vec<u8>> {
    db.answer(&db.requests(client).unwrap(), number).unwrap()
}

fn rows(db: &Database) -> usize {
    let version = db.shared.engine.version();
    let mut rows = db.rows(&version, &entry_key(OWN_NAME)).unwrap();
    core::iter::from_fn(|| rows.next().unwrap()).count()
}

#[test]
fn answers_the_client_has_not_heard_are_there_after_opening_and_a_checkpoint() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage);
    let mut requests = db.requests(1).unwrap();
    for number in [1, 2, 5, 6, 7, 9] {
        add(&db, &mut requests, number, if number < 6 { b"a" } else { b"b" });
    }
    let heard_nothing = |db: &Database| {
        let answers = [1, 5, 6, 9, 10].map(|number| answer(db, 1, number));
        assert_eq!(
            answers,
            [Some(b"a"), Some(b"a"), Some(b"b"), Some(b"b"), None].map(|one| one.map(|one| one.to_vec()))
        );
        assert_eq!(answer(db, 2, 1), None, "another client");
        assert_eq!(rows(db), 2, "one for each answer");
    };
    heard_nothing(&db);
    db.close().unwrap();
    let db = open(&storage);
    heard_nothing(&db);
    db.checkpoint().unwrap();
    heard_nothing(&db);
    assert!(db.check().unwrap().is_clean());
    let version = db.shared.engine.version();
    let mut cursor = MergedCursor::new(&version, &db.shared.engine.nodes);
    cursor.seek(&client_key(0)).unwrap();
    let mut remembered = 0;
    while let Some((key, Slot::Inline(value))) = cursor.entry() {
        remembered += usize::from(is_remembered(key, value));
        cursor.next().unwrap();
    }
    assert_eq!(remembered, 2, "what salvage brings back");
}

#[test]
fn what_the_client_has_heard_is_forgotten_and_its_number_refused() {
    let db = open(&Arc::default());
    let mut requests = db.requests(1).unwrap();
    for number in 1..=20_u8 {
        add(&db, &mut requests, number.into(), &[number]);
    }
    assert_eq!(rows(&db), 20);
    db.heard(&mut requests, 18);
    add(&db, &mut requests, 21, &[21]);
    assert_eq!(rows(&db), 3);
    for requests in [requests, db.requests(1).unwrap()] {
        assert_eq!(db.answer(&requests, 19).unwrap(), Some(vec![19]));
        assert!(matches!(db.answer(&requests, 18), Err(Error::Invalid { .. })));
        let again = db.transaction(|tx| tx.remember(&requests, 21, b""));
        assert!(matches!(again, Err(Error::Invalid { .. })));
    }
    // One after the other, each answer heard: one key for ever.
    let mut requests = db.requests(1).unwrap();
    for number in 22..=40_u8 {
        db.heard(&mut requests, u64::from(number) - 1);
        add(&db, &mut requests, number.into(), &[number]);
        assert_eq!(rows(&db), 1);
    }
}

#[test]
fn failures_come_into_the_next_commit_and_not_without_one() {
    let db = open(&Arc::default());
    let mut requests = db.requests(1).unwrap();
    add(&db, &mut requests, 1, b"done");
    requests.answered(2, b"failed", false);
    assert_eq!(db.answer(&requests, 2).unwrap(), Some(b"failed".to_vec()));
    assert_eq!(answer(&db, 1, 2), None, "nothing was committed since");
    requests.answered(3, b"failed", false);
    add(&db, &mut requests, 4, b"done");
    let answers = [1, 2, 3, 4].map(|number| answer(&db, 1, number).unwrap());
    assert_eq!(answers, [b"done".to_vec(), b"failed".to_vec(), b"failed".to_vec(), b"done".to_vec()]);
}

#[test]
fn a_transaction_that_is_undone_remembers_nothing_nor_one_that_changes_nothing() {
    let db = open(&Arc::default());
    let requests = db.requests(1).unwrap();
    let undone: Result<()> = db.transaction(|tx| {
        tx.table(T)?.put("n", 1)?;
        tx.remember(&requests, 1, b"done")?;
        Err(Error::invalid("no"))
    });
    undone.unwrap_err();
    assert!(!db.transaction(|tx| tx.remember(&requests, 1, b"done")).unwrap());
    assert_eq!((answer(&db, 1, 1), rows(&db)), (None, 0));
}

#[test]
fn a_request_conflicts_with_no_other_of_its_client_and_feeds_do_not_show_it() {
    let db = open(&Arc::default());
    let mut requests = db.requests(1).unwrap();
    add(&db, &mut requests, 1, b"done");
    let mut feed = db.changes(Since::Now).unwrap();
    let mut interactive = db.begin(Isolation::Serializable);
    interactive.table(T).unwrap().put("other", 1).unwrap();
    add(&db, &mut requests, 2, b"done");
    interactive.remember(&requests, 3, b"committed").unwrap();
    interactive.commit().unwrap();
    requests.answered(3, b"committed", true);
    assert_eq!(answer(&db, 1, 3), Some(b"committed".to_vec()));
    for _ in 0..2 {
        assert_eq!(feed.next().unwrap().unwrap().changes().count(), 1);
    }
}

#[test]
fn clients_that_are_silent_for_long_are_forgotten_when_another_comes_and_so_are_the_oldest_of_too_many() {
    let storage = Arc::new(MemoryStorage::new());
    let mut now_ms = 1_700_000_000_000;
    let db = open_at(&storage, now_ms);
    for client in 1..=CLIENTS_MAX as u64 + 10 {
        let mut requests = db.requests(client).unwrap();
        add(&db, &mut requests, 1, b"done");
        add(&db, &mut requests, 2, b"other");
        assert!(rows(&db) <= 2 * CLIENTS_MAX);
    }
    assert_eq!((answer(&db, 10, 2), answer(&db, 11, 1)), (None, Some(b"done".to_vec())));
    db.close().unwrap();
    now_ms += 1000 * (FORGOTTEN_AFTER_S + 1);
    let db = open_at(&storage, now_ms);
    let mut known = db.requests(50).unwrap();
    db.heard(&mut known, 2);
    add(&db, &mut known, 3, b"done");
    add(&db, &mut db.requests(9999).unwrap(), 1, b"done");
    assert_eq!(rows(&db), 2, "the one that has committed since, and the new one");
}

#[test]
fn who_commits_after_it_was_found_silent_is_remembered() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open_at(&storage, 1_700_000_000_000);
    add(&db, &mut db.requests(1).unwrap(), 1, b"done");
    db.close().unwrap();
    let db = open_at(&storage, 1_700_000_000_000 + 1000 * (FORGOTTEN_AFTER_S + 1));
    let mut another = db.requests(2).unwrap();
    add(&db, &mut db.requests(1).unwrap(), 2, b"done");
    add(&db, &mut another, 1, b"done");
    assert_eq!(answer(&db, 1, 2), Some(b"done".to_vec()));
}

#[test]
fn a_malformed_row_is_an_error() {
    let db = open(&Arc::default());
    for (key, value) in [(&client_key(1)[..], &[][..]), (&client_key(1)[..5], &[1, 1, 0]), (&client_key(1), &[1, 1, 2])]
    {
        db.transaction(|tx| tx.put_raw(key, value)).unwrap();
        let from = db.requests(if key.len() < 8 { 0 } else { 1 });
        assert!(matches!(from, Err(Error::Corrupt(_))), "{key:?}");
        db.transaction(|tx| tx.delete_raw(key)).unwrap();
    }
}
